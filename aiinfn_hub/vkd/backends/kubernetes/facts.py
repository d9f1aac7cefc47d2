"""What is kept of Jobs, Workloads and pods of batch: few fields, whatever Kubernetes sends."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeVar

from aiinfn_hub.kube import names
from aiinfn_hub.kube.objects.jobs import moment

Json = Mapping[str, Any]

_JOB_NAME: Final = names.job_name("")
LIMIT_RANGE: Final = "LimitRange"
"""Our word for: a LimitRange of the namespace does not allow what a job asks for, which Kueue finds out before it starts."""
_LIMIT_RANGE: Final = re.compile(r"LimitRange constraints|must not exceed its limits")


@dataclass(frozen=True, slots=True)
class JobFacts:
    """What is kept of a Job.

    Attributes
    ----------
    failed
        Reason of its failure; it is set before the pods are told to end.
    deadline
        Seconds from its start after which Kubernetes ends it.
    """

    uid: str
    job_id: str
    suspended: bool
    started: datetime | None = None
    completed: datetime | None = None
    succeeded: bool = False
    failed: str | None = None
    ending: bool = False
    deadline: int | None = None

    @property
    def over(self) -> bool:
        """Whether it starts no pod any more."""
        return self.succeeded or self.failed is not None


@dataclass(frozen=True, slots=True)
class WorkloadFacts:
    """What is kept of a Workload: Kueue's view of a Job.

    Attributes
    ----------
    evicted
        Why Kueue took it back, while it does so; None once it waits or runs again.
    waiting
        Why it has no quota.
    priority
        Kueue's own, which orders what waits; None until it has one.
    """

    uid: str
    name: str
    job_id: str
    active: bool = True
    admitted: bool = False
    evicted: str | None = None
    waiting: str | None = None
    priority: int | None = None


@dataclass(frozen=True, slots=True)
class JobPodFacts:
    """What is kept of a pod of a Job. It has one container.

    Attributes
    ----------
    exit_code, ended_by
        Of the container, once it ended: Kubernetes' reason, such as ``OOMKilled``.
    refused
        Why the kubelet did not run the pod at all.
    stuck, stuck_message
        What the container waits for, such as ``ErrImagePull``.
    disrupted
        Why the cluster ended it, if it did.
    """

    uid: str
    name: str
    job_id: str
    created: str
    node: str = ""
    phase: str = "Pending"
    ending: bool = False
    unschedulable: bool = False
    started: datetime | None = None
    ended: datetime | None = None
    over: bool = False
    exit_code: int | None = None
    signal: int | None = None
    ended_by: str = ""
    refused: str = ""
    stuck: str = ""
    stuck_message: str = ""
    disrupted: str = ""


def read_job(item: Json, label: str) -> JobFacts | None:
    """Read a Job; ``label`` is the key that holds our job's id."""
    metadata, status = item["metadata"], item.get("status") or {}
    job_id = (metadata.get("labels") or {}).get(label)
    if not job_id:
        return None
    conditions = _conditions(status)
    failed = conditions.get("Failed") or conditions.get("FailureTarget")
    return JobFacts(
        uid=metadata["uid"],
        job_id=job_id,
        suspended=bool((item.get("spec") or {}).get("suspend")),
        started=moment(status.get("startTime")),
        completed=moment(status.get("completionTime")),
        succeeded="Complete" in conditions or "SuccessCriteriaMet" in conditions,
        failed=failed[0] if failed else None,
        ending=bool(metadata.get("deletionTimestamp")),
        deadline=(item.get("spec") or {}).get("activeDeadlineSeconds"),
    )


def read_workload(item: Json) -> WorkloadFacts | None:
    """Read a Workload; None if it is not one of our Jobs'."""
    metadata = item["metadata"]
    owner = next((o for o in metadata.get("ownerReferences") or () if o.get("kind") == "Job"), None)
    if owner is None or not str(owner.get("name", "")).startswith(_JOB_NAME):
        return None
    status = item.get("status") or {}
    conditions = _conditions(status)
    spec = item.get("spec") or {}
    reserved = next((c for c in status.get("conditions") or () if c.get("type") == "QuotaReserved"), None)
    return WorkloadFacts(
        uid=metadata["uid"],
        name=metadata["name"],
        job_id=owner["name"].removeprefix(_JOB_NAME),
        active=spec.get("active", True) is not False,
        admitted="Admitted" in conditions,
        evicted=conditions["Evicted"][0] if "Evicted" in conditions else None,
        waiting=_waiting(reserved) if reserved and reserved.get("status") == "False" else None,
        priority=spec.get("priority"),
    )


def _waiting(condition: Json) -> str:
    """Return why Kueue gives no quota: its reason, or ours for what it only says in its message."""
    if _LIMIT_RANGE.search(str(condition.get("message") or "")):
        return LIMIT_RANGE
    return str(condition.get("reason", ""))


def read_pod(item: Json, label: str) -> JobPodFacts | None:
    """Read a pod of a Job."""
    metadata, status = item["metadata"], item.get("status") or {}
    job_id = (metadata.get("labels") or {}).get(label)
    if not job_id:
        return None
    conditions = _conditions(status)
    scheduled: Json = next((c for c in status.get("conditions") or () if c.get("type") == "PodScheduled"), {})
    container = _Container.of(status)
    phase = status.get("phase") or "Pending"
    disrupted = conditions.get("DisruptionTarget")
    return JobPodFacts(
        uid=metadata["uid"],
        name=metadata["name"],
        job_id=job_id,
        created=metadata.get("creationTimestamp") or "",
        node=(item.get("spec") or {}).get("nodeName") or "",
        phase=phase,
        ending=bool(metadata.get("deletionTimestamp")),
        unschedulable=scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable",
        started=container.started,
        ended=container.ended,
        over=phase in {"Succeeded", "Failed"} or container.over,
        exit_code=container.exit_code,
        signal=container.signal,
        ended_by=container.ended_by,
        refused=str(status.get("reason") or "") if phase == "Failed" and not container.over else "",
        stuck=container.stuck,
        stuck_message=container.stuck_message,
        disrupted=disrupted[0] if disrupted else "",
    )


@dataclass(slots=True)
class _Container:
    started: datetime | None = None
    ended: datetime | None = None
    over: bool = False
    exit_code: int | None = None
    signal: int | None = None
    ended_by: str = ""
    stuck: str = ""
    stuck_message: str = ""

    @classmethod
    def of(cls, status: Json) -> _Container:
        found = cls()
        statuses: Sequence[Json] = status.get("containerStatuses") or ()
        state: Json = (statuses[0].get("state") if statuses else None) or {}
        if running := state.get("running"):
            found.started = moment(running.get("startedAt"))
        elif ended := state.get("terminated"):
            found.over = True
            found.exit_code, found.signal = ended.get("exitCode"), ended.get("signal")
            found.ended_by = ended.get("reason") or ""
            # A container that never ran is "terminated" since the epoch.
            started, over = moment(ended.get("startedAt")), moment(ended.get("finishedAt"))
            found.started = started if started and started.year > _EPOCH else None
            found.ended = over if over and over.year > _EPOCH else None
        elif waiting := state.get("waiting"):
            found.stuck = waiting.get("reason") or ""
            found.stuck_message = str(waiting.get("message") or "")[:500]
        return found


_EPOCH: Final = 1970


def _conditions(status: Json) -> dict[str, tuple[str, str]]:
    """Return reason and message of the conditions that are true now: one that was once may stay in the list as False."""
    return {
        c["type"]: (str(c.get("reason") or ""), str(c.get("message") or ""))
        for c in status.get("conditions") or ()
        if c.get("status") == "True"
    }


@dataclass(slots=True)
class Seen:
    """What the cluster has of one job now."""

    job: JobFacts | None = None
    workload: WorkloadFacts | None = None
    pods: dict[str, JobPodFacts] = field(default_factory=dict)

    @property
    def nothing(self) -> bool:
        """Whether it has nothing of it."""
        return self.job is None and self.workload is None and not self.pods

    @property
    def in_order(self) -> list[JobPodFacts]:
        """The pods, oldest first."""
        return sorted(self.pods.values(), key=lambda pod: (pod.created, pod.name))


_Object = TypeVar("_Object", JobFacts, WorkloadFacts)


def _latest(known: _Object | None, before: _Object | None, after: _Object | None) -> _Object | None:
    """Return what there is after a change; the end of an older object of the same name takes nothing away."""
    if after is not None:
        return after
    gone = before is not None and known is not None and known.uid == before.uid
    return None if gone else known


class Cluster:
    """What the watches tell of all jobs, by job id."""

    def __init__(self) -> None:
        self._seen: dict[str, Seen] = {}

    def of(self, job_id: str) -> Seen:
        """Return what there is of a job; empty if there is nothing."""
        return self._seen.get(job_id) or Seen()

    def jobs(self) -> list[str]:
        """List the ids of what there is."""
        return list(self._seen)

    def see_job(self, before: JobFacts | None, after: JobFacts | None) -> str:
        """Take in a change; returns the job's id."""
        job_id, seen = self._entry(before, after)
        seen.job = _latest(seen.job, before, after)
        return self._tidy(job_id, seen)

    def see_workload(self, before: WorkloadFacts | None, after: WorkloadFacts | None) -> str:
        """Take in a change; returns the job's id."""
        job_id, seen = self._entry(before, after)
        seen.workload = _latest(seen.workload, before, after)
        return self._tidy(job_id, seen)

    def see_pod(self, before: JobPodFacts | None, after: JobPodFacts | None) -> str:
        """Take in a change; returns the job's id."""
        job_id, seen = self._entry(before, after)
        if after is not None:
            seen.pods[after.uid] = after
        elif before is not None:
            seen.pods.pop(before.uid, None)
        return self._tidy(job_id, seen)

    def _entry(
        self,
        before: JobFacts | WorkloadFacts | JobPodFacts | None,
        after: JobFacts | WorkloadFacts | JobPodFacts | None,
    ) -> tuple[str, Seen]:
        facts = after or before
        assert facts is not None  # noqa: S101 - a change has one side at least
        return facts.job_id, self._seen.setdefault(facts.job_id, Seen())

    def _tidy(self, job_id: str, seen: Seen) -> str:
        if seen.nothing:
            del self._seen[job_id]
        return job_id
