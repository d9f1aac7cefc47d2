"""Pods of jobs that the API server refuses: quotas, limits, policies and webhooks.

Kubernetes makes the pods of a Job itself, so nobody is answered. The Job controller writes an event on the Job, and tries again
less and less often, while Kueue keeps quota and node for the job. So the event is read here, and the job goes back to its
place in the queue, or ends where the next try would end alike.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from aiinfn_hub.kube import names
from aiinfn_hub.kube.objects.jobs import moment
from aiinfn_hub.kube.reasons import pod_reasons
from aiinfn_hub.kube.reasons.pod_reasons import Explanation
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.selection import Selection

from .facts import Seen

PATIENCE: Final = 3.0
"""Seconds that a refusal that may pass is left to the Job controller: a pod that just ends may still count."""
NO_POD: Final = 20.0
"""Seconds without a pod after which a job whose pod was refused before counts as refused again: Kubernetes drops events."""
_PAUSES: Final = (5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0)
_JOB_NAME: Final = names.job_name("")
_WINDOW: Final = timedelta(minutes=10)
_MOST_KEPT: Final = 1000
_LONGEST: Final = 2000
"""Characters of an event's message that are kept: a policy may tell a story."""


@dataclass(frozen=True, slots=True)
class RefusedPod:
    """What is kept of an event ``FailedCreate`` of a Job. Each repetition is news.

    Attributes
    ----------
    time
        When it was said last.
    """

    job_id: str
    time: datetime
    message: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class PodRefusal:
    """Why a job's pod was refused.

    Attributes
    ----------
    time
        By the cluster's clock.
    """

    explanation: Explanation
    time: datetime


def read_refusal(item: Mapping[str, Any]) -> RefusedPod | None:
    """Read an event; None if it is not about a pod that could not be made for one of our Jobs."""
    about = item.get("involvedObject") or {}
    name = str(about.get("name") or "")
    if about.get("kind") != "Job" or item.get("reason") != "FailedCreate" or not name.startswith(_JOB_NAME):
        return None
    series = item.get("series") or {}
    time = moment(
        series.get("lastObservedTime")
        or item.get("lastTimestamp")
        or item.get("eventTime")
        or item["metadata"].get("creationTimestamp")
    )
    if time is None:
        return None
    count = int(series.get("count") or item.get("count") or 1)
    return RefusedPod(name.removeprefix(_JOB_NAME), time, str(item.get("message") or "")[:_LONGEST], count)


def explain(message: str, selection: Selection, platform: Platform) -> Explanation | None:
    """Put a refusal into words."""
    return pod_reasons.explain(
        pod_reasons.of_failed_create(message), pod_reasons.words_of(selection, platform)
    )


def is_empty(seen: Seen) -> bool:
    """Return whether Kueue let a job go, and there is no pod of it."""
    job, workload = seen.job, seen.workload
    return (
        job is not None
        and workload is not None
        and workload.active
        and workload.admitted
        and not job.suspended
        and not job.over
        and not job.ending
        and job.started is not None
        and not any(not pod.over for pod in seen.pods.values())
    )


def holds(refusal: PodRefusal, seen: Seen) -> bool:
    """Return whether a refusal is about the start that goes on, and still true."""
    job = seen.job
    # Kubernetes writes both times in whole seconds.
    return is_empty(seen) and job is not None and job.started is not None and refusal.time >= job.started


def pause(refusals: int) -> float:
    """Return the seconds until a job is let go again whose pod was refused so often in a row."""
    return _PAUSES[min(max(refusals, 1), len(_PAUSES)) - 1]


class RefusedPods:
    """What the API server refused lately, for operators.

    Parameters
    ----------
    clock
        Gives the time.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._kept: deque[tuple[datetime, str, str]] = deque(maxlen=_MOST_KEPT)

    def note(self, job_id: str, explanation: Explanation, time: datetime) -> None:
        """Note a refusal."""
        self._kept.append((time, job_id, explanation.told.as_text()))

    def lately(self) -> list[tuple[str, int]]:
        """Return what was said in the last ten minutes, each with the number of jobs, most first."""
        now = self._clock()
        jobs = {(said, job_id) for time, job_id, said in self._kept if now - time < _WINDOW}
        return Counter(said for said, _ in jobs).most_common()
