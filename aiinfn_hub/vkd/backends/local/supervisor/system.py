"""What the supervisor and vkd know of processes and files: standard library only, and fast to import."""

from __future__ import annotations

import ctypes
import json
import os
from typing import Any, Final

PR_SET_PDEATHSIG: Final = 1
PR_SET_CHILD_SUBREAPER: Final = 36
PR_SET_NO_NEW_PRIVS: Final = 38


def boot_id() -> str:
    """Give what tells one boot of this machine from another."""
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
    """Give a process's start in clock ticks since boot, which tells it from a later one of the same number.

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


def oom_kills() -> int:
    """Count the processes that the kernel has ended for want of memory since the machine's start."""
    try:
        with open("/proc/vmstat", "rb") as stream:  # noqa: PTH123 - no pathlib here
            _, found, rest = stream.read().partition(b"\noom_kill ")
    except OSError:
        return 0
    return int(rest.split(maxsplit=1)[0]) if found else 0


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
