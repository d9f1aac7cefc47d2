"""What a back end keeps on disk: one folder per attempt of a job; locally also one file per session's claim.

``jobs/JOB/ATTEMPT/`` is described in `supervisor`; vkd adds ``intent.json``: why it stops the attempt, written before
the signal is sent, so that a vkd that was killed in between still tells the job's end as it was meant.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import time
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from .system import write_atomically

_SAFE_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}\Z")
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
"""What a write to a full disk says."""


class IntentKind(StrEnum):
    """Why vkd stops an attempt."""

    CANCEL = "cancel"
    PREEMPT = "preempt"
    INTERRUPT = "interrupt"
    DEVICE_LOST = "device_lost"
    NEVER_FITS = "never_fits"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class Intent:
    """A decision to stop an attempt; ``at`` in seconds since the epoch."""

    kind: IntentKind
    at: float


@dataclass(frozen=True, slots=True)
class RunFacts:
    """Content of ``run.json``: which processes are above the job, and since when it runs.

    Attributes
    ----------
    pid, ticks
        The guard, which is the last of an attempt to go, and its start.
    supervisor, supervisor_ticks
        The supervisor below it; None if an older version wrote this, where both were one.
    cgroup
        Folder of the job's cgroup; empty if it has none.
    """

    pid: int
    ticks: int
    boot: str
    child: int | None
    started: float
    supervisor: int | None = None
    supervisor_ticks: int | None = None
    cgroup: str = ""


@dataclass(frozen=True, slots=True)
class ExitFacts:
    """Content of ``exit.json``.

    ``why`` is ``exited``, ``stopped``, ``time_limit``, ``start_failed``, ``supervisor_killed`` or ``supervisor_failed``
    (``message`` says how), or ``lost`` (written by vkd). ``out_of_memory``: it was killed when the machine ran out of memory.
    """

    exit_code: int | None
    signal: int | None
    started: float | None
    ended: float
    why: str
    message: str = ""
    records: dict[str, Any] | None = None
    out_of_memory: bool = False


class AttemptFolder:
    """The folder of one attempt."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log = path / "log"
        self.records = path / "records.json"
        self.resources = path / "resources.json"

    def prepare(self, spec: dict[str, Any]) -> None:
        """Make the folder with its specification, which holds the person's parameters and is private."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomically(str(self.path / "spec.json"), spec, durable=False)

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            value = json.loads((self.path / name).read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            # A file that cannot be read tells as little as none.
            return None
        return value if isinstance(value, dict) else None

    def spec(self) -> dict[str, Any]:
        """Read the specification, empty if there is none."""
        return self._read("spec.json") or {}

    def run(self) -> RunFacts | None:
        """Read who runs it; None if it never began."""
        value = self._read("run.json")
        return None if value is None else RunFacts(**value)

    def exit(self) -> ExitFacts | None:
        """Read how it ended; None if it did not, or nobody could write it."""
        value = self._read("exit.json")
        return None if value is None else ExitFacts(**value)

    def supervised(self) -> bool:
        """Return whether a guard or a supervisor of this attempt is alive: they hold its lock."""
        try:
            lock = os.open(self.path / "lock", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
        return False

    def intent(self) -> Intent | None:
        """Read why it was being stopped."""
        value = self._read("intent.json")
        return None if value is None else Intent(IntentKind(value["kind"]), float(value["at"]))

    def read_records(self) -> dict[str, Any]:
        """Read the last progress and error that the job told."""
        return self._read("records.json") or {}

    def read_resources(self) -> list[dict[str, Any]]:
        """Read what the job used over time."""
        try:
            value = json.loads(self.resources.read_bytes())
        except (OSError, ValueError):
            return []
        return value if isinstance(value, list) else []

    def write_intent(self, intent: Intent) -> None:
        """Note why it is being stopped, prepared or not. A full disk does not keep it from being stopped."""
        with contextlib.suppress(OSError):
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_atomically(str(self.path / "intent.json"), asdict(intent), durable=False)

    def write_lost(self, run: RunFacts | None, *, rebooted: bool) -> ExitFacts:
        """Note that it ended without a word: now, or, if the machine was restarted, when it last wrote something."""
        ended = time.time()
        if rebooted:
            ended = max(
                (p.stat().st_mtime for p in self.path.iterdir() if p.name != "exit.json.new"), default=ended
            )
        facts = ExitFacts(None, None, run.started if run and run.child else None, ended, "lost")
        with contextlib.suppress(OSError):
            write_atomically(str(self.path / "exit.json"), asdict(facts))
        return facts

    def abandon(self, patience: float = 5.0) -> bool:
        """Make sure that an attempt which has not begun never will.

        Parameters
        ----------
        patience
            How long to wait, in seconds, for a supervisor that is just starting.

        Returns
        -------
        bool
            False if it has begun: then ``run.json`` exists.
        """
        deadline = time.monotonic() + patience
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            # Where no lock can be made, as on a full disk, no supervisor can make one either.
            return self.run() is None
        try:
            while True:
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if self.run() is not None:
                        return False
                    with contextlib.suppress(OSError):
                        (self.path / "abandoned").touch(mode=0o600)
                    return True
                if self.run() is not None:
                    return False
                if time.monotonic() > deadline:
                    # It holds the lock and does not get on; nothing more can be done from outside.
                    return True
                time.sleep(0.02)
        finally:
            os.close(lock)


class JobFolders:
    """A folder for each job, and in it one for each attempt.

    Attributes
    ----------
    jobs
        Where they are.
    """

    jobs: Path

    def job(self, job_id: str) -> Path:
        """Return the folder of a job.

        Raises
        ------
        ValueError
            If the id is not one that the service makes: a path must never come from outside.
        """
        if not _SAFE_ID.match(job_id):
            raise ValueError(f"{job_id!r} is no job id")
        return self.jobs / job_id

    def attempt(self, job_id: str, attempt: int) -> AttemptFolder:
        """Return the folder of an attempt."""
        return AttemptFolder(self.job(job_id) / str(attempt))

    def forget(self, job_id: str) -> None:
        """Delete everything that is kept of a job. Blocks.

        Raises
        ------
        OSError
            If it cannot be deleted.
        """
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.job(job_id))


class LocalFiles(JobFolders):
    """The folder ``vkd/local`` in the data folder."""

    def __init__(self, data: Path) -> None:
        self.root = data.absolute() / "vkd" / "local"
        self.jobs = self.root / "jobs"
        self.sessions = self.root / "sessions"
        self.offline = self.root / "offline.json"

    def prepare(self) -> None:
        """Make the folders, private to vkd's account."""
        for folder in (self.root.parent, self.root, self.jobs, self.sessions):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.root.parent.chmod(0o700)  # it may be older than this, and also holds the store

    def lock(self, patience: float) -> int:
        """Make sure that one vkd at a time works here; give the descriptor that holds the lock. Blocks.

        Parameters
        ----------
        patience
            How long to wait, in seconds, for one that is just ending.

        Raises
        ------
        RuntimeError
            If another vkd works on this folder.
        """
        deadline = time.monotonic() + patience
        descriptor = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    os.close(descriptor)
                    message = (
                        f"Another vkd works on {self.root}. End it, or set AIINFN_DATA to another folder."
                    )
                    raise RuntimeError(message) from None
                time.sleep(0.05)
            else:
                return descriptor

    def known_jobs(self) -> frozenset[str]:
        """List the jobs that have a folder."""
        return frozenset(path.name for path in self.jobs.iterdir())

    def last_attempt(self, job_id: str) -> int:
        """Return the number of the latest attempt that was prepared, or 0."""
        try:
            names = [path.name for path in self.job(job_id).iterdir()]
        except FileNotFoundError:
            return 0
        return max((int(name) for name in names if name.isdigit()), default=0)

    def claim(self, session_id: str) -> Path:
        """Return the file of a session's claim; a session's id holds names of people, so it is hashed."""
        return self.sessions / f"{hashlib.sha256(session_id.encode()).hexdigest()}.json"

    def read_offline(self) -> frozenset[str]:
        """Read the devices that are taken out by hand: a JSON list of device ids in ``offline.json``.

        Raises
        ------
        ValueError
            If the file is not such a list.
        """
        try:
            value = json.loads(self.offline.read_bytes())
        except FileNotFoundError:
            return frozenset()
        if not isinstance(value, list) or not all(isinstance(device, str) for device in value):
            raise ValueError("it is not a JSON list of device ids")
        return frozenset(value)
