"""What the back end keeps on disk: which pods were a job's attempts, and the logs of the attempts.

``jobs/JOB/job.json`` is small and written before anything that it says is told, so that a vkd that was killed counts the
same attempts afterwards. ``jobs/JOB/ATTEMPT/`` has ``log``, ``records.json`` and ``archive.json``.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from aiinfn_hub.vkd.backends.local.files import AttemptFolder
from aiinfn_hub.vkd.backends.local.supervisor.system import write_atomically

_SAFE_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}\Z")


@dataclass(slots=True)
class Note:
    """What is kept of a job.

    Attributes
    ----------
    created
        Its Job was made in the cluster.
    attempts
        Uids of its pods, in their order.
    yielded
        Those of them that were told to make room for a session.
    over
        Its end was told, or is about to be.
    """

    created: bool = False
    attempts: list[str] = field(default_factory=list)
    yielded: list[str] = field(default_factory=list)
    over: bool = False


class KueueFiles:
    """The folder ``vkd/kueue`` in the data folder."""

    def __init__(self, data: Path) -> None:
        self.root = data.absolute() / "vkd" / "kueue"
        self.jobs = self.root / "jobs"

    def prepare(self) -> None:
        """Make the folders, private to vkd's account: logs are people's."""
        for folder in (self.root.parent, self.root, self.jobs):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.root.parent.chmod(0o700)  # it may be older than this, and also holds the store

    def job(self, job_id: str) -> Path:
        """Give the folder of a job.

        Raises
        ------
        ValueError
            If the id is not one that the service makes: a path must never come from outside.
        """
        if not _SAFE_ID.match(job_id):
            raise ValueError(f"{job_id!r} is no job id")
        return self.jobs / job_id

    def attempt(self, job_id: str, attempt: int) -> AttemptFolder:
        """Give the folder of an attempt."""
        return AttemptFolder(self.job(job_id) / str(attempt))

    def load(self, job_id: str) -> Note:
        """Read what is kept of a job; nothing if there is nothing, or it cannot be read."""
        with contextlib.suppress(OSError, ValueError, TypeError):
            return Note(**json.loads((self.job(job_id) / "job.json").read_bytes()))
        return Note()

    def save(self, job_id: str, note: Note) -> None:
        """Keep a note. Blocks.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        folder = self.job(job_id)
        folder.mkdir(exist_ok=True, mode=0o700)
        write_atomically(str(folder / "job.json"), asdict(note))

    def forget(self, job_id: str) -> None:
        """Delete everything that is kept of a job."""
        shutil.rmtree(self.job(job_id), ignore_errors=True)
