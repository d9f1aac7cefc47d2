"""A job that is not over, as the back end follows it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from aiinfn_hub.contract.states import JobState
from aiinfn_hub.i18n.messages import Message
from aiinfn_hub.vkd.domain.backend import BackendJob

from .attempt_files import AttemptNote
from .lifecycle import Doubt, Known
from .log_stream import LogFollower
from .pod_refusals import PodRefusal

UNKNOWN_POD = "?"
"""Stands for an attempt of which the data folder knows nothing, e.g. because it was lost."""


@dataclass(slots=True, eq=False)
class ReconcileState:
    """What is known of a job, and what is being done about it.

    Attributes
    ----------
    appeared
        Its Job was seen in the cluster, or made by an earlier vkd.
    deleted
        The API server took the order to delete its Job.
    withheld
        Its attempt is stopped because its owner lost the access.
    obstacle
        Why its Job could not be made yet.
    refusal
        The API server's last refusal of its pod.
    refusals, paused
        How often in a row its pod was refused, and until when Kueue does not let it go again, in monotonic seconds.
    empty
        Since when Kueue lets it go and it has no pod, in monotonic seconds; 0 if that is not so.
    removed
        Uid of the Job that was deleted to be made anew.
    fixed_deadline
        Uid of a Job whose time limit the cluster does not let us change.
    said
        What was told of the starts of its attempts.
    dirty, task
        Something changed since it was looked at; who looks at it now.
    """

    job: BackendJob
    note: AttemptNote
    state: JobState
    attempts: list[str]
    appeared: bool = False
    cancelling: bool = False
    deleted: bool = False
    obstacle: Message | None = None
    dirty: bool = False
    task: asyncio.Task[None] | None = None
    follower: LogFollower | None = None
    followed: int = 0
    failures: int = 0
    lifted: float = 0.0
    stranded: float = 0.0
    asked: str = ""
    withheld: bool = False
    refusal: PodRefusal | None = None
    refusals: int = 0
    paused: float = 0.0
    empty: float = 0.0
    removed: str = ""
    fixed_deadline: str = ""
    said: set[tuple[int, Message]] = field(default_factory=set)
    _doubt: Doubt | None = None
    _since: float = 0.0

    @classmethod
    def of(cls, job: BackendJob, note: AttemptNote) -> ReconcileState:
        """Take up a job where the store knows it: what was noted but not reported is reported again."""
        attempts = note.attempts[: job.attempt]
        attempts = [UNKNOWN_POD] * (job.attempt - len(attempts)) + attempts
        return cls(job, note, job.state, attempts, appeared=note.created)

    @property
    def id(self) -> str:
        """The job's id."""
        return self.job.id

    @property
    def queue(self) -> str:
        """Its queue on the platform."""
        return self.job.selection.queue_name or ""

    @property
    def attempt(self) -> int:
        """Number of the attempt that was reported last."""
        return len(self.attempts)

    @property
    def pod(self) -> str:
        """Uid of the pod of the attempt in progress; empty if there is none."""
        return self.attempts[-1] if self.attempts and self.state is not JobState.QUEUED else ""

    def known(self, *, rebooted: bool = False) -> Known:
        """Return what the reducer needs.

        Parameters
        ----------
        rebooted
            The node of the attempt in progress was restarted since it began.
        """
        return Known(
            self.state,
            tuple(self.attempts),
            appeared=self.appeared and not self.note.remake,
            cancelling=self.cancelling,
            yielded=frozenset(self.note.yielded),
            withheld=self.withheld,
            remaking=self.note.remake,
            rebooted=rebooted,
            restarts=self.note.restarts,
        )

    def doubted(self) -> tuple[str, float]:
        """Return the open doubt with its age in seconds."""
        return (self._doubt.key, time.monotonic() - self._since) if self._doubt else ("", 0.0)

    def doubt(self, doubt: Doubt | None) -> float | None:
        """Keep a doubt; returns the seconds after which to look again."""
        if doubt is None or self._doubt is None or doubt.key != self._doubt.key:
            self._since = time.monotonic()
        self._doubt = doubt
        if doubt is None:
            return None
        return max(0.05, doubt.seconds - (time.monotonic() - self._since) + 0.05)
