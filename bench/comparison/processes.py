"""Processor time and memory of server processes, over trees of processes that come and go."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Self

import psutil

INTERVAL = 0.2
"""Seconds between two looks. What a process used after the last look before its end is not seen, in either system."""


@dataclass(frozen=True)
class Usage:
    """What processes used while they were watched.

    Attributes
    ----------
    cpu
        Seconds of the processor, user and system.
    peak
        Largest sum of their memory at one moment (PSS: pages that are shared count in parts), in MB (10^6 bytes).
    """

    cpu: float
    peak: float


def tree(roots: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Return processes with all that they started, without the kernels of notebooks that are open in a browser.

    Those kernels are direct children of the Jupyter server; they are the same program in both systems.
    """
    children: dict[int, list[psutil.Process]] = {}
    for process in psutil.process_iter(["ppid"]):
        children.setdefault(process.info["ppid"], []).append(process)
    servers = list(roots)
    found, left = [], list(servers)
    while left:
        process = left.pop()
        found.append(process)
        server = process in servers
        left += [one for one in children.get(process.pid, []) if not (server and _is_kernel(one))]
    return found


def memory(processes: Iterable[psutil.Process]) -> float:
    """Return the proportional set size (PSS) of processes, in MB."""
    total = 0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            total += process.memory_full_info().pss
    return total / 1e6


class Watch:
    """Looks at processes from a thread of its own: ``with Watch(find) as watch: ...``, then `usage`."""

    def __init__(self, find: Callable[[], list[psutil.Process]]) -> None:
        self._find = find
        self._first: dict[psutil.Process, float] = {}
        self._last: dict[psutil.Process, float] = {}
        self._peak = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        for process in self._find():
            with contextlib.suppress(psutil.Error):
                self._first[process] = _seconds(process)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def usage(self) -> Usage:
        """What was used since the start; processes that began meanwhile count from their beginning."""
        cpu = sum(last - self._first.get(process, 0.0) for process, last in self._last.items())
        return Usage(cpu, self._peak)

    def _run(self) -> None:
        looks = 0
        while not self._over.wait(INTERVAL):
            self._look(looks % 3 == 0)
            looks += 1
        self._look(False)

    def _look(self, with_memory: bool) -> None:
        processes = self._find()
        for process in processes:
            with contextlib.suppress(psutil.Error):
                self._last[process] = _seconds(process)
        if with_memory:
            self._peak = max(self._peak, memory(processes))


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _is_kernel(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return "ipykernel_launcher" in process.cmdline()
    return False
