"""What a vkd that comes back finds on disk about the jobs that its store knows."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from aiinfn_hub.contract.states import JobState
from aiinfn_hub.vkd.backends.common.attempt_files import LocalFiles
from aiinfn_hub.vkd.backends.common.system import start_ticks
from aiinfn_hub.vkd.domain.backend import BackendJob

from .process import supervisors

_log = logging.getLogger(__name__)
_ACTIVE = frozenset({JobState.STARTING, JobState.RUNNING})


@dataclass(frozen=True, slots=True)
class Found:
    """A job with the attempts whose end, or whose very existence, the store does not know.

    Attributes
    ----------
    attempts
        In their order; empty for a job that just waits. Only the last one can still run.
    """

    job: BackendJob
    attempts: tuple[int, ...]


def survey(files: LocalFiles, jobs: Sequence[BackendJob]) -> list[Found]:
    """Compare the store with the disk. Blocks.

    The store may be behind: a vkd that was killed had perhaps not yet written down that an attempt ended, or that the
    next one began.
    """
    present = files.known_jobs()
    found = []
    for job in jobs:
        last = files.last_attempt(job.id) if job.id in present else 0
        first = job.attempt if job.state in _ACTIVE else job.attempt + 1
        last = max(last, first) if job.state in _ACTIVE else last
        found.append(Found(job, tuple(range(first, last + 1))))
    return found


def end_strays(files: LocalFiles, known: Iterable[Path], patience: float) -> None:
    """Stop the supervisors of jobs that the store does not know, as when it was deleted. Blocks.

    They hold devices that would otherwise be given out a second time. One whose attempt was just abandoned is no stray:
    it ends by itself and starts nothing.
    """
    expected = frozenset(known)
    strays = {pid: folder for pid, folder in supervisors(files.jobs).items() if folder not in expected}
    for pid, folder in strays.items():
        if (folder / "abandoned").exists():
            continue
        _log.warning("Job %s runs but is not known here any more: it is stopped", folder.parent.name)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + patience
    while any(_still(strays)) and time.monotonic() < deadline:
        time.sleep(0.05)


def _still(pids: Iterable[int]) -> Iterator[bool]:
    return (start_ticks(pid) is not None for pid in pids)
