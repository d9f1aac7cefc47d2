"""Sweeps: the same work, once for each point."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from .base import Answer, Open, Request
from .constants import MOST_POINTS
from .runner import Scalar
from .states import JobState


class SweepRequest(Request):
    """Makes a sweep of a job: the same work, once for each point.

    Each point is a job of its own, so that one gives way to a session without the others, and starts as soon as one device
    is free. At most ``parallelism`` of them are in the queue or run at a time.

    Attributes
    ----------
    points
        Values for each point, on top of the work's own parameters. A script gets each as ``--name=value``.
    """

    points: list[dict[str, Any]] = Field(min_length=1, max_length=MOST_POINTS)
    parallelism: int = Field(default=8, ge=1, le=MOST_POINTS)


class SweepProgress(Answer):
    """How far a sweep is: its points by state. ``points`` is the sum of the others."""

    points: int
    parallelism: int
    """Points in the queue or running at a time."""
    queued: int = 0
    """In the queue, or not yet."""
    starting: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0

    @property
    def over(self) -> int:
        """Points that have ended."""
        return self.succeeded + self.failed + self.cancelled


class SweepPoint(Answer):
    """A row in the table of a sweep."""

    point: int
    """From 1."""
    job: str
    """The job that ran it last."""
    state: Open[JobState]
    final: bool
    """It is over, as `jobs.Job.final`."""
    sentence: str
    code: str = ""
    facts: dict[str, Any] = Field(default_factory=dict)
    """What the sentence says, for programs."""
    parameters: dict[str, Any]
    values: dict[str, Scalar]
    """What it recorded by ``aiinfn_lab.record``."""
    attempt: int
    started: datetime | None = None
    ended: datetime | None = None
    output: str
    carried: bool = False
    """It is a result of the sweep that this one runs again in part."""


class SweepTable(Answer):
    """Answer of ``GET jobs/{id}/points``: all points, by number."""

    points: list[SweepPoint]
