"""What the job uses: processor, memory and accelerator, told every few seconds as records."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import Final, Self

from aiinfn_hub.contract.constants import MOST_RESOURCE_POINTS
from aiinfn_hub.contract.runner import ResourcePoint
from aiinfn_lab.runner.accelerator import AcceleratorReader, find
from aiinfn_lab.runner.protocol import Reporter
from aiinfn_lab.runner.usage import UsageSource, of_this_job

_log = logging.getLogger(__name__)
_FIRST: Final = 2.0
"""Seconds between two points at first; doubled whenever the points are halved, see `supervisor.resources.Series`."""

_RECENT: Final = 3.0
"""Seconds for which a process that the system ended because memory ran out is taken for the job's."""


class Meter:
    """Measures in a thread of its own, because a driver or a file system that hangs must not hold up the job.

    Parameters
    ----------
    interval
        Seconds between two points at first.
    """

    def __init__(
        self,
        reporter: Reporter,
        *,
        usage: UsageSource | None = None,
        interval: float = _FIRST,
    ) -> None:
        self._reporter = reporter
        self._usage = usage or of_this_job()
        self._interval = interval
        self._points: deque[ResourcePoint] = deque()
        self._end = threading.Event()
        self._thread: threading.Thread | None = None
        # A count of some seconds ago: what was ended longer ago, on a machine perhaps of somebody else, is another matter.
        self._killed = self._killed_next = self._usage.killed()
        self._counted = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        if self._thread is not None:
            self._thread.join(0.2)
        self._tell()

    def look(self) -> None:
        """Return what was measured since the last call.

        Measuring begins with the first: what forks before it does so without threads.
        """
        if self._thread is None:
            self._thread = threading.Thread(target=self._measure, name="meter", daemon=True)
            self._thread.start()
        if time.monotonic() - self._counted >= _RECENT:
            self._killed, self._killed_next = self._killed_next, self._usage.killed()
            self._counted = time.monotonic()
        self._tell()

    def ran_out_of_memory(self) -> bool:
        """Whether the system ended a process because memory ran out in the last seconds: in the job's container if it has one."""
        return self._usage.killed() > self._killed

    def _tell(self) -> None:
        while self._points:
            self._reporter.resources(self._points.popleft())

    def _measure(self) -> None:
        try:
            self._measure_on(find())
        except Exception as error:  # figures are not worth a job
            _log.debug("nothing is measured any more: %s", error)

    def _measure_on(self, accelerator: AcceleratorReader | None) -> None:
        told, interval = 0, self._interval
        began = last = time.monotonic()
        used = self._usage.seconds()
        while True:
            # Of a job of a few seconds there should be something, too.
            if self._end.wait(interval if told else interval / 2):
                return
            reading = accelerator.read() if accelerator is not None else None
            memory = self._usage.memory()
            now, seconds = time.monotonic(), self._usage.seconds()
            if memory:
                self._points.append(
                    ResourcePoint(
                        time=round(now - began, 1),
                        cores=round(max(0.0, seconds - used) / (now - last), 3),
                        memory=memory,
                        busy=reading.busy if reading else None,
                        accelerator_memory=reading.memory if reading else None,
                    )
                )
                told += 1
            last, used = now, seconds
            if told >= MOST_RESOURCE_POINTS:
                told, interval = MOST_RESOURCE_POINTS // 2, 2 * interval
