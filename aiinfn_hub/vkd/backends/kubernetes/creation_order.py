"""In which order the Jobs of a project reach Kueue, and how far apart.

Kueue orders the jobs of a LocalQueue by the second in which it made their Workloads, and within one second by UID, which is
as good as at random (Kueue 0.19, pkg/cache/queue/cluster_queue.go, baseCompareFunc). A Workload stays with its job, so the
second in which it was made is also the place to which a preempted job returns. Therefore of each project the jobs for one
accelerator are created in the order in which they were submitted, and the Workload of each is a second younger than that of
the one before it.

Without an accelerator there is seldom a shortage: such a job follows as soon as the one before it has its quota.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from aiinfn_hub.platform.selection import Selection
from aiinfn_hub.vkd.domain.backend import BackendJob

APART: Final = 1.0
"""Seconds between two Workloads: Kubernetes keeps the time at which an object was made in whole seconds."""
_ASK_AGAIN: Final = 1.0
"""Seconds after which a job looks whether the one before it has its Workload; usually it hears of it earlier."""

_Key = tuple[str, str, str]
_Place = tuple[datetime, int, str]


@dataclass(slots=True)
class _Created:
    """The job of a line that was created last.

    Attributes
    ----------
    place
        Its place in the order of submission.
    seen
        When its Workload was seen first, in seconds of the clock; None until then.
    admitted
        Whether it has had its quota.
    """

    place: _Place
    seen: float | None = None
    admitted: bool = False


@dataclass(slots=True)
class _Line:
    """The jobs of a project for one accelerator in a queue of the platform."""

    waiting: list[_Place] = field(default_factory=list)
    last: _Created | None = None


class CreationOrder:
    """Whose turn it is to be created.

    Parameters
    ----------
    clock
        Monotonic seconds.
    wake
        Called with the id of a job whose turn may have come.
    """

    def __init__(self, clock: Callable[[], float], wake: Callable[[str], None]) -> None:
        self._clock = clock
        self._wake = wake
        self._lines: dict[_Key, _Line] = {}
        self._waiting: set[str] = set()

    def add(self, job: BackendJob) -> None:
        """Add a job that is to be created; one that is there already stays where it is."""
        if job.id not in self._waiting:
            self._waiting.add(job.id)
            heapq.heappush(self._line(job).waiting, _place(job))

    def leave(self, job: BackendJob) -> None:
        """Let a job that is not to be created now wait beside the line; `add` puts it back at its place."""
        if job.id in self._waiting:
            self._waiting.discard(job.id)
            self._wake_next(self._line(job))

    def created(self, job: BackendJob) -> None:
        """Note that a job's Job is in the cluster, and wake the next."""
        line = self._line(job)
        self._waiting.discard(job.id)
        if line.last is None or line.last.place < _place(job):
            line.last = _Created(_place(job))
        self._wake_next(line)

    def seen(self, job: BackendJob, *, admitted: bool) -> None:
        """Note what Kueue shows of a job's Workload."""
        line = self._lines.get(_key(job.selection))
        if line is None or line.last is None or line.last.place[-1] != job.id:
            return
        last = line.last
        if last.seen is None or (admitted and not last.admitted):
            last.seen = self._clock() if last.seen is None else last.seen
            last.admitted = last.admitted or admitted
            self._wake_next(line)

    def over(self, job: BackendJob) -> None:
        """Note that a job ended: nothing has to keep its distance from it."""
        self._waiting.discard(job.id)
        line = self._lines.get(_key(job.selection))
        if line is None:
            return
        if line.last is not None and line.last.place[-1] == job.id:
            line.last = None
        self._wake_next(line)
        if not line.waiting and line.last is None:
            del self._lines[_key(job.selection)]

    def pause(self, job: BackendJob) -> float | None:
        """Return the seconds until a job may be created, 0 if it may now, None if others come first."""
        line = self._line(job)
        if self._next(line) != job.id:
            return None
        last = line.last
        if last is None or (last.admitted and not job.selection.count):
            return 0.0
        if last.seen is None:
            return _ASK_AGAIN
        return max(0.0, last.seen + APART - self._clock())

    def first(self, job: BackendJob) -> str:
        """Return the id of the job that is created next in a job's line; empty if there is none."""
        return self._next(self._line(job))

    def _line(self, job: BackendJob) -> _Line:
        return self._lines.setdefault(_key(job.selection), _Line())

    def _next(self, line: _Line) -> str:
        while line.waiting and line.waiting[0][-1] not in self._waiting:
            heapq.heappop(line.waiting)
        return line.waiting[0][-1] if line.waiting else ""

    def _wake_next(self, line: _Line) -> None:
        if job_id := self._next(line):
            self._wake(job_id)


def _key(selection: Selection) -> _Key:
    return selection.queue_name or "", selection.project, selection.accelerator_name


def _place(job: BackendJob) -> _Place:
    return job.queued_at, job.number, job.id
