"""Copies of inputs, made at submission, so that a later edit does not change a queued job."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiinfn_hub.platform.refusal import Reason, Refusal

ROOT: Final = ".aiinfn/jobs"
"""Folder of all snapshots, relative to the home: `aiinfn_hub.vkd.contract.SNAPSHOT_ROOT`, which is not imported
because pydantic would take two thirds of what this extension may add to a session's memory."""

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True)
class Snapshot:
    """Where the copy of an input is.

    Attributes
    ----------
    path
        Relative to the home.
    fresh
        Whether this submission made it; otherwise it belongs to an earlier one with the same key.
    """

    path: str
    folder: Path
    fresh: bool

    def discard(self) -> None:
        """Remove the copy again, if this submission made it."""
        if self.fresh:
            shutil.rmtree(self.folder, ignore_errors=True)


def planned(key: str, name: str) -> str:
    """Path that a snapshot would have, relative to the home.

    The folder follows from the idempotency key: a repeated request finds the copy of the first one, so that both
    say the same to vkd although the file may have changed in between.
    """
    digest = hashlib.sha256(f"{key}\0{name}".encode()).hexdigest()
    return f"{ROOT}/{digest[:16]}/{name}"


def take(home: Path, key: str, name: str, data: bytes) -> Snapshot:
    """Write the copy, durably and all or nothing. Blocks; call it in a thread.

    Raises
    ------
    Refusal
        If there is no room, or the folder cannot be written. Nothing is left behind.
    """
    path = planned(key, name)
    folder = (home / path).parent
    if (home / path).is_file():
        return Snapshot(path, folder, fresh=False)
    draft = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    try:
        # Level by level: mkdir(parents=True) would give the upper one the umask's mode.
        for level in (folder.parent.parent, folder.parent):
            level.mkdir(mode=0o700, exist_ok=True)
        draft.mkdir(mode=0o700)
        _write(draft / name, data)
        _sync(draft)
        draft.rename(folder)
        _sync(folder.parent)
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        raise _explain(error) from error
    return Snapshot(path, folder, fresh=True)


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _explain(error: OSError) -> Refusal:
    if error.errno in _FULL:
        return Refusal(
            Reason.STORAGE_FULL,
            "Your home is full, so the job's copy of the file could not be made.",
            "Delete something, then submit again; nothing was submitted.",
        )
    return Refusal(
        Reason.FORBIDDEN if isinstance(error, PermissionError) else Reason.UNAVAILABLE,
        f"The job's copy of the file could not be written to ~/{ROOT}: {os.strerror(error.errno or 0)}.",
        "Check that the folder is yours and can be written; nothing was submitted.",
    )
