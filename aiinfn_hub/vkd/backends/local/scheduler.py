"""In which order waiting jobs start: pure, and cheap however many wait.

The order is: priority (higher first), then the project that used least lately, then age. Jobs for one accelerator form
a *lane*, jobs without one the lane ``none``. Nobody overtakes within a lane; a lane that is stuck does not hold up the
others. One exception keeps small CPU jobs from starving a job that has its device but not its cores: such a job also
holds up the CPU lane behind it.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Final

from aiinfn_hub.platform.model.fields import CPU_ONLY

CPU_WEIGHT: Final = 0.05
"""What a core counts beside a device (1) in the fair order: 20 core-seconds weigh as one device-second."""
QUANTUM: Final = 60.0
"""Seconds that a job counts at least while it runs, so that of two idle projects each gets one of two free devices."""


@dataclass(frozen=True, slots=True)
class WaitingJob:
    """What the order needs to know of a job."""

    id: str
    queue: str
    project: str
    lane: str
    priority: int
    queued_at: datetime
    count: int
    cores: float
    memory: int
    number: int = 0
    """The place among those that were queued at the same time."""


def weight_of(count: int, cores: float) -> float:
    """Return what a second of a job counts for its project, by its devices, or its cores if it has none."""
    return float(count) if count else cores * CPU_WEIGHT


class Fit(Enum):
    """Whether a job can start now, or what it lacks."""

    YES = auto()
    NO_DEVICE = auto()
    NO_ROOM = auto()
    """Its device is free, but cores or memory of the host are taken."""


class UsageMeter:
    """Decayed use per project, in device-seconds.

    Parameters
    ----------
    half_life
        After this time, use counts half.
    """

    def __init__(self, half_life: timedelta) -> None:
        self.half_life = half_life
        self._settled: dict[str, tuple[float, datetime]] = {}
        self._running: dict[str, dict[str, tuple[float, datetime]]] = {}

    def seed(self, usage: Mapping[str, float], now: datetime) -> None:
        """Begin with what is known of the past, decayed up to now."""
        self._settled = {project: (seconds, now) for project, seconds in usage.items()}

    def begin(self, job_id: str, project: str, weight: float, at: datetime) -> None:
        """Count a job from now on."""
        self._running.setdefault(project, {})[job_id] = (weight, at)

    def end(self, job_id: str, project: str, now: datetime) -> None:
        """Settle a job's use; of one that is not counted, nothing happens."""
        running = self._running.get(project, {}).pop(job_id, None)
        if running is not None:
            weight, began = running
            used = weight * max(0.0, (now - began).total_seconds())
            self._settled[project] = (self._decayed(project, now) + used, now)

    def _decayed(self, project: str, now: datetime) -> float:
        seconds, at = self._settled.get(project, (0.0, now))
        return seconds * math.exp2(-max(0.0, (now - at).total_seconds()) / self.half_life.total_seconds())

    def value(self, project: str, now: datetime) -> float:
        """Return a project's use, that of its running jobs included."""
        return self._decayed(project, now) + sum(
            weight * max(QUANTUM, (now - began).total_seconds())
            for weight, began in self._running.get(project, {}).values()
        )


_Age = tuple[datetime, int, int]
"""When a job was submitted, its number, and, of jobs without one, which came first."""
Rank = Callable[[str], float]
"""A project's use."""


class Line:
    """All waiting jobs, in buckets of equal priority, project and lane, each sorted by age.

    A step looks at the heads of the buckets only, so its cost does not grow with the number of waiting jobs.
    """

    def __init__(self) -> None:
        self._jobs: dict[str, tuple[_Age, WaitingJob]] = {}
        self._buckets: dict[tuple[int, str, str], list[tuple[_Age, str]]] = {}
        self._arrivals = 0
        self._lanes: Counter[str] = Counter()
        self._queues: Counter[str] = Counter()
        self._positions: dict[str, int] | None = None
        self._ranking: list[tuple[int, int, str]] = []

    def __len__(self) -> int:
        return len(self._jobs)

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._jobs

    def jobs(self) -> list[WaitingJob]:
        """List the waiting jobs in no particular order."""
        return [waiting for _, waiting in self._jobs.values()]

    def in_lane(self, lane: str) -> int:
        """Count the jobs that wait for an accelerator."""
        return self._lanes[lane]

    def in_queue(self, queue: str) -> int:
        """Count the jobs that wait in a queue."""
        return self._queues[queue]

    def add(self, waiting: WaitingJob) -> None:
        """Put a job where its age belongs. A job that is in line already stays where it is."""
        if waiting.id in self._jobs:
            return
        self._arrivals += 1
        age = (waiting.queued_at, waiting.number, self._arrivals)
        self._jobs[waiting.id] = (age, waiting)
        insort(self._buckets.setdefault(_bucket(waiting), []), (age, waiting.id))
        self._lanes[waiting.lane] += 1
        self._queues[waiting.queue] += 1
        self._positions = None

    def remove(self, job_id: str) -> WaitingJob | None:
        """Take a job out of the line."""
        entry = self._jobs.pop(job_id, None)
        if entry is None:
            return None
        age, waiting = entry
        key = _bucket(waiting)
        bucket = self._buckets[key]
        del bucket[bisect_left(bucket, (age, job_id))]
        if not bucket:
            del self._buckets[key]
        self._lanes[waiting.lane] -= 1
        self._queues[waiting.queue] -= 1
        self._positions = None
        return waiting

    def next(self, rank: Rank, fit: Callable[[WaitingJob], Fit], blocked: set[str]) -> WaitingJob | None:
        """Take the next job that can start out of the line.

        Parameters
        ----------
        rank
            The use of a project.
        fit
            Tells whether a job can start now.
        blocked
            Lanes in which nobody may start; stuck lanes are added, so that one set serves all steps of a pass.
        """
        ranks: dict[str, float] = {}
        while True:
            best: tuple[int, float, _Age] | None = None
            chosen = ""
            for (priority, project, lane), bucket in self._buckets.items():
                if lane in blocked:
                    continue
                use = ranks[project] if project in ranks else ranks.setdefault(project, rank(project))
                age, job_id = bucket[0]
                if best is None or (-priority, use, age) < best:
                    best, chosen = (-priority, use, age), job_id
            if best is None:
                return None
            waiting = self._jobs[chosen][1]
            outcome = fit(waiting)
            if outcome is Fit.YES:
                return self.remove(chosen)
            blocked.add(waiting.lane)
            if outcome is Fit.NO_ROOM:
                blocked.add(CPU_ONLY)

    def positions(self, rank: Rank) -> Mapping[str, int]:
        """Return each job's place in its queue, from 1; computed again only when the order may have changed."""
        ranks = {project: rank(project) for _, project, _ in self._buckets}
        # Only the order of the groups matters, so that growing use alone does not cost a new computation.
        order = {use: index for index, use in enumerate(sorted(set(ranks.values())))}
        shape = sorted(
            {(-priority, order[ranks[project]], project) for priority, project, _ in self._buckets}
        )
        if self._positions is not None and shape == self._ranking:
            return self._positions
        places: dict[str, int] = {}
        last: Counter[str] = Counter()
        groups: dict[tuple[int, float], list[tuple[_Age, str]]] = {}
        for (priority, project, _), bucket in self._buckets.items():
            groups.setdefault((-priority, ranks[project]), []).extend(bucket)
        for group in sorted(groups):
            for _, job_id in sorted(groups[group]):
                queue = self._jobs[job_id][1].queue
                last[queue] += 1
                places[job_id] = last[queue]
        self._positions, self._ranking = places, shape
        return places


def _bucket(waiting: WaitingJob) -> tuple[int, str, str]:
    return waiting.priority, waiting.project, waiting.lane
