"""What a job's process is given: its environment, its command, and what it reads from standard input."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from aiinfn_hub.contract import private_kernels
from aiinfn_hub.contract.jobs import RunSpec
from aiinfn_hub.host.accounts import Account
from aiinfn_hub.platform.model.accelerator_kinds import visible_devices
from aiinfn_hub.platform.model.accelerators import Accelerator
from aiinfn_hub.platform.model.images import Image
from aiinfn_hub.vkd.domain.backend import BackendJob

LOG_LIMIT: Final = 128 * 2**20
"""Bytes of an attempt's log that are kept."""
_PASSED_ON: Final = (
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "LD_LIBRARY_PATH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)
"""What is taken over from vkd's own environment, as a session takes it from the hub's; the secrets stay there."""


MARK: Final = "AIINFN_MARK"
"""Environment variable of an attempt's processes, by whose value they are found."""
_OLDER_MARKS: Final = ("AIINFN_JOB_ID", "AIINFN_ATTEMPT", "HOME")
"""By what those are found, together, that were started before there was this variable."""


def mark_of(folder: Path) -> str:
    """Return the mark of the attempt in a folder."""
    return hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:32]


def marks_in(spec: Mapping[str, Any]) -> frozenset[bytes]:
    """Return what the environment of every process of an attempt has, for all that is known; empty if nothing is."""
    environment = spec.get("environment") or {}
    names = (MARK,) if MARK in environment else _OLDER_MARKS
    if not all(environment.get(name) for name in names):
        return frozenset()
    return frozenset(os.fsencode(f"{name}={environment[name]}") for name in names)


def device_environment(accelerator: Accelerator | None, devices: Sequence[str]) -> dict[str, str]:
    """Return the variables that make exactly these devices visible, and name them.

    CUDA sees nothing behind the id of a simulated device, and nothing at all where the variable is empty.
    """
    kind = accelerator.kind if accelerator else None
    return visible_devices(kind, devices) | {"AIINFN_DEVICES": ",".join(devices)}


def prefix_of(image: Image) -> Path:
    """Return the Python environment of an image on this host."""
    return Path(image.local.prefix or sys.prefix)


def interpreter_of(image: Image) -> str:
    """Return the Python of an image on this host."""
    return str(Path(image.local.prefix) / "bin" / "python") if image.local.prefix else sys.executable


def job_environment(
    job: BackendJob, attempt: int, account: Account, devices: Sequence[str], own: Mapping[str, str]
) -> dict[str, str]:
    """Build a job's whole environment.

    Parameters
    ----------
    own
        The environment of this process, of which little is passed on.
    """
    selection = job.selection
    prefix = prefix_of(selection.image)
    environment = {"LANG": "C.UTF-8"} | {name: own[name] for name in _PASSED_ON if own.get(name)}
    environment |= {
        "PATH": os.pathsep.join((str(prefix / "bin"), own.get("PATH", os.defpath))),
        "HOME": str(account.home),
        "USER": account.name,
        "LOGNAME": account.name,
        "SHELL": "/bin/bash" if Path("/bin/bash").exists() else "/bin/sh",
        "AIINFN_JOB_ID": job.id,
        "AIINFN_ATTEMPT": str(attempt),
        "AIINFN_PROJECT": selection.project,
        "AIINFN_ACCELERATOR": selection.accelerator_name,
        "AIINFN_COUNT": str(selection.count),
        "AIINFN_IMAGE": selection.image_name,
        "AIINFN_SIZE": selection.size_name,
        private_kernels.VARIABLE: private_kernels.policy(account.uid is not None),
    }
    return environment | device_environment(selection.accelerator, devices)


def attempt_spec(
    job: BackendJob,
    attempt: int,
    account: Account,
    devices: Sequence[str],
    *,
    folder: Path,
    command: Sequence[str] | None,
    grace: float,
    log_limit: int,
) -> dict[str, Any]:
    """Build what the supervisor reads.

    Parameters
    ----------
    folder
        That of the attempt.
    command
        None for the runner of the image's environment. ``-P`` and ``-s`` keep the home, its working folder, and ``~/.local``
        off its module path: a person's ``random.py`` must not break it. What it runs is started without them.
    grace
        Seconds between SIGTERM and SIGKILL.
    """
    work = RunSpec(job=job.id, attempt=attempt, home=str(account.home), work=job.work, output=job.output)
    runner = [interpreter_of(job.selection.image), "-P", "-s", "-m", "aiinfn_lab.runner", "-"]
    return {
        "command": list(command or runner),
        "environment": job_environment(job, attempt, account, devices, os.environ) | {MARK: mark_of(folder)},
        "cwd": str(account.home),
        "uid": account.uid,
        "gid": account.gid,
        "stdin": work.model_dump_json(),
        "time_limit": job.selection.time_limit.total_seconds(),
        "grace": grace,
        "log_limit": log_limit,
        "devices": list(devices),
        "accelerator": job.selection.accelerator_name,
    }
