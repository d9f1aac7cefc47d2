"""Processor time and memory of a job: of its container where it has one, else of the runner's processes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final, Protocol

MEASURE: Final = "AIINFN_MEASURE"
"""Environment variable: ``container`` where all that is in the container is the job."""
_CGROUPS: Final = Path("/sys/fs/cgroup")


class UsageSource(Protocol):
    """Where the figures come from."""

    def seconds(self) -> float:
        """Return the processor time so far, in seconds of one core."""

    def memory(self) -> int:
        """Return the memory in use now, in bytes."""

    def killed(self) -> int:
        """Count the processes that the system has ended because memory ran out."""


def of_this_job() -> UsageSource:
    """Choose what can be measured here."""
    if os.environ.get(MEASURE) == "container":
        for kind in (CgroupV2, CgroupV1):
            usage = kind(_CGROUPS)
            if usage.memory():
                return usage
    return Processes()


class CgroupV2:
    """A container's cgroup, as the kernel's cgroup-v2 documentation has it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def seconds(self) -> float:
        """Return the processor time so far, in seconds of one core."""
        return _table(self._folder / "cpu.stat").get("usage_usec", 0) / 1e6

    def memory(self) -> int:
        """Return the memory in use now, in bytes; without the files that are only cached."""
        table = _table(self._folder / "memory.stat")
        cached = table.get("active_file", 0) + table.get("inactive_file", 0)
        return max(0, _number(self._folder / "memory.current") - cached)

    def killed(self) -> int:
        """Count the processes that the kernel ended because the container had no memory left."""
        return _table(self._folder / "memory.events").get("oom_kill", 0)


class CgroupV1:
    """A container's cgroup on older nodes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def seconds(self) -> float:
        """Return the processor time so far, in seconds of one core."""
        return _number(self._folder / "cpuacct" / "cpuacct.usage") / 1e9

    def memory(self) -> int:
        """Return the memory in use now, in bytes; without the files that are only cached."""
        folder = self._folder / "memory"
        table = _table(folder / "memory.stat")
        cached = table.get("total_active_file", 0) + table.get("total_inactive_file", 0)
        return max(0, _number(folder / "memory.usage_in_bytes") - cached)

    def killed(self) -> int:
        """Count the processes that the kernel ended because the container had no memory left."""
        return _table(self._folder / "memory" / "memory.oom_control").get("oom_kill", 0)


class Processes:
    """The runner and all below it, on a machine that is not the job's alone."""

    def __init__(self) -> None:
        # It takes a moment, which a job's start need not wait for: the methods are called in a thread.
        self._library: Any = None

    @property
    def _psutil(self) -> Any:
        if self._library is None:
            import psutil  # noqa: PLC0415

            self._library = psutil
        return self._library

    def _all(self) -> list[Any]:
        me = self._psutil.Process()
        return [me, *me.children(recursive=True)]

    def seconds(self) -> float:
        """Return the processor time so far, in seconds of one core; that of children which have ended included."""
        total = 0.0
        for process in self._all():
            try:
                times = process.cpu_times()
            except self._psutil.Error:
                continue
            total += times.user + times.system + times.children_user + times.children_system
        return total

    def memory(self) -> int:
        """Return the memory in use now, in bytes; what processes share counts once."""
        total = 0
        for process in self._all():
            try:
                total += process.memory_full_info().pss
            except (self._psutil.AccessDenied, AttributeError):
                total += process.memory_info().rss
            except self._psutil.Error:
                continue
        return total

    def killed(self) -> int:
        """Count the processes that the kernel ended because the machine had no memory left."""
        return _table(Path("/proc/vmstat")).get("oom_kill", 0)


def _table(path: Path) -> dict[str, int]:
    """Read lines of a name and a number; empty if it cannot be read."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.split() for line in lines)
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def _number(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0
