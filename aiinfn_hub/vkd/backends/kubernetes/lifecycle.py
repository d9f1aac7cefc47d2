"""From what the cluster shows of a job to what is reported of it: pure, and the same however many events were missed.

An attempt is one pod that was bound to a node. What was seen last is compared with what was told last, and the steps in
between are filled in, so that only allowed transitions are told. Where two watches may disagree for a moment, nothing is
concluded before they had time to agree: that is a `Doubt`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from aiinfn_hub.contract.states import FINAL, Cause, JobState
from aiinfn_hub.i18n.messages import Message
from aiinfn_hub.platform.selection import Selection

from . import status_text
from .facts import JobPodFacts, Seen

_AGREE: Final = 3.0
"""Seconds until the Job has surely told why its pod was ended."""
_NOT_HERE: Final = frozenset({"DeletionByTaintManager", "DeletionByPodGC"})
"""Disruptions after which nobody can tell any more whether the process runs."""


@dataclass(frozen=True, slots=True)
class Known:
    """What was reported of a job, and what is intended with it.

    Attributes
    ----------
    attempts
        Uids of the pods that were its attempts, in their order.
    appeared
        Its Job was in the cluster.
    yielded
        Pods that were told to make room for a session.
    withheld
        It is stopped because its owner lost the access.
    remaking
        Its Job is being deleted, to be made anew.
    rebooted
        The node of its attempt was restarted since it began.
    restarts
        How often that happened before.
    """

    state: JobState
    attempts: tuple[str, ...] = ()
    appeared: bool = False
    cancelling: bool = False
    yielded: frozenset[str] = frozenset()
    withheld: bool = False
    remaking: bool = False
    rebooted: bool = False
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """A change of state to be reported.

    Attributes
    ----------
    pod
        The attempt's; empty if there was none to be seen.
    own
        The attempt ended by itself: what it said last decides about cause and words.
    remove
        Its Job would never end, and must be deleted.
    remake
        Its Job failed for a fault of the cluster, and must be made anew.
    refused_by, refused
        The node that did not take the pod in, and the kubelet's word for why.
    """

    state: JobState
    cause: Cause
    message: Message
    attempt: int
    pod: str = ""
    started: datetime | None = None
    ended: datetime | None = None
    exit_code: int | None = None
    signal: int | None = None
    own: bool = False
    remove: bool = False
    remake: bool = False
    refused_by: str = ""
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Doubt:
    """Something that is only concluded if it stays so.

    Attributes
    ----------
    key
        What it is; another one starts over.
    seconds
        How long it must have stayed.
    """

    key: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Advice:
    """What follows from what is seen."""

    steps: tuple[Step, ...]
    doubt: Doubt | None = None


def advance(known: Known, seen: Seen, selection: Selection, doubted: tuple[str, float] = ("", 0.0)) -> Advice:
    """Return what is to be reported of a job.

    Parameters
    ----------
    doubted
        Key of the doubt that an earlier call gave, and the seconds since.
    """
    reading = _Reading(known, seen, selection, doubted)
    reading.run()
    return Advice(tuple(reading.steps), reading.doubt)


class _Reading:
    def __init__(self, known: Known, seen: Seen, selection: Selection, doubted: tuple[str, float]) -> None:
        self._known = known
        self._seen = seen
        self._selection = selection
        self._doubted = doubted
        self._state = known.state
        self._attempts = list(known.attempts)
        self.steps: list[Step] = []
        self.doubt: Doubt | None = None

    def run(self) -> None:
        if self._state in FINAL:
            return
        bound = [pod for pod in self._seen.in_order if pod.node]
        if self._state is not JobState.QUEUED:
            current = self._attempts[-1] if self._attempts else ""
            pod = self._seen.pods.get(current)
            ended = self._of_pod(pod) if pod else self._without_trace(current)
            if not ended:
                return
        for pod in bound:
            if pod.uid in self._attempts or self._state in FINAL:
                continue
            self._begin(pod)
            if not self._of_pod(pod):
                return
        if self._state is JobState.QUEUED:
            self._while_queued()

    # Steps

    def _tell(
        self,
        state: JobState,
        cause: Cause,
        message: Message,
        pod: JobPodFacts | None = None,
        *,
        exit_code: int | None = None,
        signal: int | None = None,
        own: bool = False,
        remove: bool = False,
    ) -> bool:
        about_one = state is JobState.STARTING or self._state is not JobState.QUEUED
        self.steps.append(
            Step(
                state,
                cause,
                message,
                len(self._attempts),
                pod=self._attempts[-1] if about_one and self._attempts else "",
                started=pod.started if pod else None,
                ended=pod.ended if pod else None,
                exit_code=exit_code,
                signal=signal,
                own=own,
                remove=remove,
            )
        )
        self._state = state
        return True

    def _begin(self, pod: JobPodFacts) -> None:
        self._attempts.append(pod.uid)
        self._tell(JobState.STARTING, Cause.PLACED, status_text.starting(self._selection, pod.node), pod)

    def _running(self, pod: JobPodFacts) -> None:
        if self._state is JobState.STARTING:
            self._tell(JobState.RUNNING, Cause.STARTED, status_text.RUNNING, pod)

    def _again(self, reason: status_text.Again, pod: JobPodFacts | None) -> bool:
        """Report that it waits again; what was cancelled meanwhile does not."""
        if self._known.cancelling:
            return self._tell(JobState.CANCELLED, Cause.CANCELLED, status_text.CANCELLED, pod)
        if self._known.withheld:
            reason = status_text.HELD
        return self._tell(JobState.QUEUED, reason.cause, reason.message(self._selection), pod)

    # The attempt in progress. Each tells whether it is over.

    def _of_pod(self, pod: JobPodFacts) -> bool:
        if pod.started is not None:
            self._running(pod)
        if pod.over:
            return self._ended(pod)
        if pod.disrupted in _NOT_HERE and pod.ending:
            return self._again(status_text.DISRUPTED[pod.disrupted], pod)
        if pod.stuck and not pod.ending:
            return self._stuck(pod)
        return False

    def _stuck(self, pod: JobPodFacts) -> bool:
        rule = status_text.stuck(pod.stuck, pod.stuck_message)
        if rule is None or not self._sure(f"{pod.uid} {rule.key}", rule.patience):
            return False
        message = rule.message(self._selection)
        return self._tell(JobState.FAILED, Cause.START_FAILED, message, pod, remove=True)

    def _ended(self, pod: JobPodFacts) -> bool:
        job = self._seen.job
        if pod.phase == "Succeeded" or pod.exit_code == 0:
            # Even if it was told to stop just then: the runner never exits with 0 because of SIGTERM.
            self._running(pod)
            return self._tell(JobState.SUCCEEDED, Cause.COMPLETED, status_text.FINISHED, pod, exit_code=0)
        if job is not None and job.failed == status_text.DEADLINE:
            return self._time_limit(pod)
        if self._known.cancelling:
            return self._tell(JobState.CANCELLED, Cause.CANCELLED, status_text.CANCELLED, pod)
        by_node = status_text.ended_by_node(pod.refused) if pod.refused else None
        if pod.refused and by_node is None and not pod.disrupted:
            return self._refused(pod)
        # A pod that failed before Kueue ended it counts as a failure of its Job, which never runs again.
        if pod.uid in self._known.yielded and (pod.ending or pod.disrupted or pod.refused):
            return self._again(status_text.PREEMPTED, pod)
        if pod.disrupted:
            return self._again(status_text.disrupted(pod.disrupted), pod)
        if by_node is not None:
            return self._tell(JobState.FAILED, *by_node, pod)
        if pod.ending:
            return self._ended_from_outside(pod)
        return self._own_failure(pod)

    def _refused(self, pod: JobPodFacts) -> bool:
        """Report that the node did not take the pod in. Kubernetes counts that as the Job's own failure."""
        self._again(status_text.node_refused(pod.node, pod.refused), pod)
        if status_text.is_refusal(pod.refused):
            self.steps[-1] = replace(self.steps[-1], refused_by=pod.node, refused=pod.refused)
        return self._anew()

    def _anew(self) -> bool:
        self.steps[-1] = replace(self.steps[-1], remake=self._state is JobState.QUEUED)
        return True

    def _own_failure(self, pod: JobPodFacts) -> bool:
        if status_text.lost_by_node(pod.ended_by, pod.exit_code, rebooted=self._known.rebooted):
            if pod.started is not None:
                self._running(pod)
            if self._known.restarts < status_text.MOST_RESTARTS:
                self._again(status_text.node_restarted(pod.node), pod)
                return self._anew()
            message = Message("failed.node_restarts", times=self._known.restarts + 1)
            return self._tell(JobState.FAILED, Cause.LOST, message, pod)
        if pod.started is not None or pod.exit_code is not None:
            self._running(pod)
        cause, message = status_text.failed(pod.ended_by, self._selection)
        return self._tell(
            JobState.FAILED,
            cause,
            message,
            pod,
            exit_code=pod.exit_code,
            signal=pod.signal,
            own=not message,
        )

    def _ended_from_outside(self, pod: JobPodFacts | None) -> bool:
        """Find out who ended a pod; the Job tells it a moment earlier or later."""
        job, workload = self._seen.job, self._seen.workload
        if job is None or job.ending:
            if self._known.cancelling or self._sure("gone", _AGREE):
                return self._tell(JobState.CANCELLED, Cause.CANCELLED, self._cancelled(), pod)
            return False
        if job.failed == status_text.DEADLINE:
            return self._time_limit(pod)
        if workload is not None and workload.evicted:
            return self._again(
                status_text.evicted(workload.evicted, ran=self._state is JobState.RUNNING), pod
            )
        if job.suspended:
            return self._again(status_text.SUSPENDED, pod)
        if job.failed and pod is not None:
            return self._own_failure(pod)
        if not self._sure("why", _AGREE):
            return False
        return self._again(status_text.VANISHED, pod)

    def _without_trace(self, uid: str) -> bool:
        """Judge an attempt whose pod is not there any more."""
        if self._known.remaking:  # noted, and not told yet
            return self._again(status_text.VANISHED, None)
        job = self._seen.job
        if job is not None and job.succeeded:
            return self._completed()
        failed = job.failed if job is not None else ""
        if uid in self._known.yielded and not self._known.cancelling and not failed:
            return self._again(status_text.PREEMPTED, None)
        if failed and self._known.cancelling:
            return self._tell(JobState.CANCELLED, Cause.CANCELLED, status_text.CANCELLED)
        if failed and failed != status_text.DEADLINE:
            self._fill_in()
            return self._tell(JobState.FAILED, Cause.LOST, status_text.LOST)
        return self._ended_from_outside(None)

    # Without an attempt

    def _while_queued(self) -> None:
        job = self._seen.job
        if self._known.remaking and (job is not None or not self._known.cancelling):
            return  # what it tells is of the one before
        if job is None:
            if self._known.cancelling and not self._seen.pods:
                self._tell(JobState.CANCELLED, Cause.CANCELLED, status_text.CANCELLED_WAITING)
            elif self._known.appeared and not self._known.cancelling:
                self._tell(JobState.CANCELLED, Cause.CANCELLED, status_text.DELETED)
        elif job.succeeded:
            self._attempts.append(f"job {job.uid}")
            self._tell(JobState.STARTING, Cause.PLACED, status_text.starting(self._selection, ""))
            self._completed()
        elif job.failed == status_text.DEADLINE:
            self._time_limit(None)
        elif job.failed and not self._seen.pods and self._sure("failed", _AGREE):
            self._tell(JobState.FAILED, Cause.LOST, status_text.LOST)

    def _completed(self) -> bool:
        self._fill_in()
        job = self._seen.job
        self._tell(JobState.SUCCEEDED, Cause.COMPLETED, status_text.FINISHED, exit_code=0)
        if job is not None:
            self.steps[-1] = replace(self.steps[-1], started=job.started, ended=job.completed)
        return True

    def _fill_in(self) -> None:
        if self._state is JobState.STARTING:
            self._tell(JobState.RUNNING, Cause.STARTED, status_text.RUNNING)
            job = self._seen.job
            self.steps[-1] = replace(self.steps[-1], started=job.started if job else None)

    def _time_limit(self, pod: JobPodFacts | None) -> bool:
        if pod is not None and pod.started is not None:
            self._running(pod)
        if self._known.cancelling:
            return self._tell(JobState.CANCELLED, Cause.CANCELLED, status_text.CANCELLED, pod)
        message = status_text.time_limit(self._selection)
        exit_code = pod.exit_code if pod else None
        return self._tell(JobState.FAILED, Cause.TIME_LIMIT, message, pod, exit_code=exit_code)

    def _cancelled(self) -> Message:
        return status_text.CANCELLED if self._known.cancelling else status_text.DELETED

    def _sure(self, key: str, seconds: float) -> bool:
        if seconds <= 0 or (self._doubted[0] == key and self._doubted[1] >= seconds):
            return True
        self.doubt = Doubt(key, seconds)
        return False
