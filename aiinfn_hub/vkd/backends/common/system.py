"""What the supervisor and vkd know of processes and files: standard library only, and fast to import."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import time
from typing import Any, Final

PR_SET_PDEATHSIG: Final = 1
PR_SET_CHILD_SUBREAPER: Final = 36
PR_SET_NO_NEW_PRIVS: Final = 38
_ENDING: Final = 0x4 | 0x400
"""The kernel's flags ``PF_EXITING`` and ``PF_SIGNALED``."""


def boot_id() -> str:
    """Return what tells one boot of this machine from another."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:  # noqa: PTH123 - no pathlib here
            return stream.read().strip()
    except OSError:
        return ""


def stat_fields(pid: int | str) -> list[bytes]:
    """Read what ``/proc/PID/stat`` has after the name: state, parent, ... ; empty if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:  # noqa: PTH123 - no pathlib here
            data = stream.read()
    except OSError:
        return []
    return data[data.rfind(b")") + 2 :].split()


def start_ticks(pid: int) -> int | None:
    """Return a process's start in clock ticks since boot, which tells it from a later one of the same number.

    None if it is gone, or a zombie.
    """
    fields = stat_fields(pid)
    return int(fields[19]) if fields and fields[0] not in {b"Z", b"X"} else None


def descendants(root: int) -> list[int]:
    """List the processes below one, those that detached themselves included if it is a subreaper."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - no pathlib here
        if name.isdigit() and (fields := stat_fields(name)) and fields[0] != b"Z":
            children.setdefault(int(fields[1]), []).append(int(name))
    found: list[int] = []
    frontier = [root]
    while frontier:
        below = children.get(frontier.pop(), [])
        found += below
        frontier += below
    return found


def groups_of(pid: int | str) -> list[int]:
    """Return the supplementary groups of a process; empty if it is gone, or a zombie."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as stream:  # noqa: PTH123
            lines = stream.read().splitlines()
    except OSError:
        return []
    if any(line.startswith("State:\tZ") for line in lines):
        return []
    found = next((line for line in lines if line.startswith("Groups:")), "")
    return [int(word) for word in found.split()[1:]]


def is_terminating(pid: int) -> bool:
    """Return whether a process is gone, or will be before its next instruction: SIGKILL waits for it."""
    fields = stat_fields(pid)
    if not fields or fields[0] in {b"Z", b"X"}:
        return True
    flags, pending = int(fields[6]), int(fields[28])
    return bool(flags & _ENDING or pending & 1 << (signal.SIGKILL - 1))


def oom_kills(cgroup: str = "") -> int:
    """Count the processes that the kernel has ended because memory ran out: of a cgroup, or else of the whole machine."""
    for path in (f"{cgroup}/memory.events", "/proc/vmstat") if cgroup else ("/proc/vmstat",):
        try:
            with open(path, "rb") as stream:  # noqa: PTH123 - no pathlib here
                _, found, rest = stream.read().partition(b"\noom_kill ")
        except OSError:
            continue  # memory is not accounted for by cgroup here
        if found:
            return int(rest.split(maxsplit=1)[0])
    return 0


class RecentOomKills:
    """Whether the kernel has ended a process because memory ran out in the last seconds.

    Only then can it be why a job ended just now: one may live for days after a process of its own, or of others on this
    machine, was ended so.

    Parameters
    ----------
    cgroup
        The job's; empty if it has none.
    """

    WINDOW: Final = 5.0
    """Seconds between two counts; what is compared with is between one and two of them old."""

    def __init__(self, cgroup: str = "") -> None:
        self._cgroup = cgroup
        self._before = self._last = oom_kills(cgroup)
        self._counted = time.monotonic()

    def look(self, now: float) -> None:
        """Count if it is time to, by the monotonic clock."""
        if now >= self._counted + self.WINDOW:
            self._before, self._last, self._counted = self._last, oom_kills(self._cgroup), now

    def any(self) -> bool:
        """Return whether there was one in the last seconds."""
        return oom_kills(self._cgroup) > self._before


def write_atomically(path: str, value: Any, *, durable: bool = True) -> None:
    """Replace a JSON file as a whole, and, if ``durable``, so that it survives a power cut."""
    draft = f"{path}.new"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        write_all(descriptor, json.dumps(value).encode())
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(draft, path)  # noqa: PTH104 - no pathlib here


def write_all(descriptor: int, data: bytes) -> None:
    """Write everything: a single `os.write` may write less."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def prctl(option: int, value: int) -> None:
    """Set a property of this process."""
    libc = ctypes.CDLL(None, use_errno=True)
    nothing = ctypes.c_ulong(0)
    if libc.prctl(option, ctypes.c_ulong(value), nothing, nothing, nothing) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
