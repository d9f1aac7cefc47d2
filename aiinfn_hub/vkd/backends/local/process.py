"""Supervisor processes as vkd sees them: spawned, recognised after a restart, watched for their end, cleaned up after."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import Any, Final

import psutil

from aiinfn_hub.vkd.backends.common.attempt_files import RunFacts
from aiinfn_hub.vkd.backends.common.system import boot_id, start_ticks

from .environment import marks_in
from .supervisor import __main__ as program
from .supervisor.main import READY_FD
from .supervisor.marks import Marks

_PROGRAM: Final = str(Path(program.__file__).resolve())
_CLOCK_STEP: Final = 5.0
"""Seconds by which two readings of a process's start may differ."""


def spawn(folder: Path) -> tuple[int, int]:
    """Start the supervisor of an attempt. Blocks.

    Returns
    -------
    tuple
        Its process id, and the read end of a pipe that ends when the job is up, or the supervisor is gone. It is a
        child of this process and the leader of its own session.

    Notes
    -----
    `os.posix_spawn` and not `subprocess`: the latter insists on seeing its children end, and this one outlives us.
    Nothing of vkd's environment is passed on, so that no token of vkd's is in reach of a job's process list.
    """
    faults = str(folder / "supervisor.err")
    ready, writing = os.pipe()
    try:
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-S", _PROGRAM, str(folder)],
            {"PATH": os.defpath, "LANG": "C.UTF-8"},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_OPEN, 2, faults, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
                (os.POSIX_SPAWN_DUP2, writing, READY_FD),
            ],
            setsid=True,
            # Blocked until its handler is there: a stop that comes at once is neither lost nor fatal.
            setsigmask=[signal.SIGTERM],
            setsigdef=[signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD],
        )
    except OSError:
        os.close(ready)
        raise
    finally:
        os.close(writing)
    return pid, ready


def is_alive(facts: RunFacts) -> bool:
    """Return whether the process of these facts still runs, and is not another of the same number."""
    return still(facts.pid, facts.ticks, facts.boot)


class ProcessWatch:
    """Notices the end of one process without asking again and again.

    Raises
    ------
    ProcessLookupError
        If there is no such process.

    Attributes
    ----------
    gone
        Set once the process ended.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.gone = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._descriptor = os.pidfd_open(pid)
        self._loop.add_reader(self._descriptor, self._ended)

    def _ended(self) -> None:
        # Reaped only if it is a child of this very process, not one adopted from a vkd before.
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PIDFD, self._descriptor, os.WEXITED | os.WNOHANG)
        self.gone.set()
        self.close()

    def send(self, number: signal.Signals) -> None:
        """Send a signal; to a process that is gone, nothing happens."""
        if self._descriptor >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, number)

    def close(self) -> None:
        """Stop watching."""
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1


def _processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _with(marks: frozenset[bytes]) -> list[int]:
    """List the processes whose environment has all of these."""
    found: list[int] = []
    if not marks:
        return found
    for pid in _processes():
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            continue
        if marks <= set(environment.split(b"\0")):
            found.append(pid)
    return found


def kill_leftovers(folder: Path, spec: dict[str, Any], facts: RunFacts | None) -> list[int]:
    """Kill what an attempt left behind whose guard and supervisor were both killed. Blocks.

    Parameters
    ----------
    spec
        As the supervisor read it. Processes of other accounts than the job's are left alone.

    Returns
    -------
    list
        The processes that were found; whether they are gone is for another call to see.
    """
    uid = spec.get("uid")
    marks = Marks(str(folder), spec, facts.cgroup if facts else "")
    owner = os.geteuid() if uid is None else uid
    # By their environment, too: where there are no other marks, that is what is left.
    found = {pid for pid in _with(marks_in(spec)) if _owner(pid) == owner}
    found |= set(marks.processes())
    found = {pid for pid in found if start_ticks(pid) is not None}
    for pid in found:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    if not found:
        marks.remove()
    return sorted(found)


def kill_supervisor(facts: RunFacts) -> None:
    """Kill the supervisor of an attempt, which is stuck; its guard ends the job then."""
    if facts.supervisor is not None and still(facts.supervisor, facts.supervisor_ticks, facts.boot):
        with contextlib.suppress(OSError):
            os.kill(facts.supervisor, signal.SIGKILL)


def _owner(pid: int) -> int | None:
    try:
        return Path(f"/proc/{pid}").stat().st_uid
    except OSError:
        return None


def supervisors(jobs: Path) -> dict[int, Path]:
    """Find the supervisors that run in a jobs folder, by process id."""
    found: dict[int, Path] = {}
    for pid in _processes():
        with contextlib.suppress(OSError):
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if _PROGRAM.encode() in command and len(command) > 1:
                folder = Path(os.fsdecode(command[-2]))
                if folder.is_relative_to(jobs):
                    found[pid] = folder
    return found


def recognise(pid: int, started: float | None) -> int | None:
    """Return the start of a process in ticks, by which it is recognised from now on; None if it is gone.

    Parameters
    ----------
    started
        Its start in seconds since the epoch, as psutil gives it: a process that started at another time is another.
        It is compared only here, because every correction of the machine's clock changes it.
    """
    ticks = start_ticks(pid)
    if ticks is None or started is None:
        return ticks
    with contextlib.suppress(psutil.Error):
        if abs(psutil.Process(pid).create_time() - started) <= _CLOCK_STEP:
            return ticks
    return None


def still(pid: int, ticks: int | None, boot: str) -> bool:
    """Return whether a process that was recognised once still runs."""
    return ticks is not None and boot == boot_id() and start_ticks(pid) == ticks
