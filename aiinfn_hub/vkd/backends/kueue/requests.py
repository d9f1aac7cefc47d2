"""What the back end asks of the API server about one job. Each request raises `KubeError`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from http import HTTPStatus

from aiinfn_hub.kube import jobs, names
from aiinfn_hub.kube.client import KubeClient, KubeError
from aiinfn_hub.platform.model import Platform
from aiinfn_hub.platform.refusal import Reason, Refusal
from aiinfn_hub.vkd.backends.base import BackendJob

_log = logging.getLogger(__name__)


class Requests:
    """The few things that vkd does in the cluster."""

    def __init__(self, platform: Platform, client: KubeClient, command: Sequence[str]) -> None:
        self._platform = platform
        self._client = client
        self._command = command

    async def create(self, job: BackendJob) -> None:
        """Make a job's Job; one that is there already is fine."""
        body = jobs.job(job.id, job.selection, job.work, job.output, self._platform, command=self._command)
        try:
            await self._client.create(jobs.jobs_path(self._platform), body)
        except KubeError as error:
            if error.status != HTTPStatus.CONFLICT or error.reason != "AlreadyExists":
                raise

    async def delete(self, job_id: str) -> None:
        """Delete a job's Job, and its pods with it; one that is gone is fine."""
        await self._client.delete(jobs.jobs_path(self._platform, names.job_name(job_id)))

    async def activate(self, workload: str, *, active: bool) -> None:
        """Let Kueue run a job, or have it take the job back."""
        path = jobs.workloads_path(self._platform, workload)
        await self._client.patch(path, {"spec": {"active": active}})

    async def was_preempted(self, pod: str) -> bool:
        """Tell whether kube-scheduler evicted a pod, given by uid, in the last hour."""
        selector = f"involvedObject.uid={pod},reason=Preempted"
        events = await self._client.get(jobs.events_path(self._platform), fieldSelector=selector)
        return bool(events.get("items"))


def refusal_of(error: KubeError) -> Refusal:
    """Say to the person why the cluster will not have a job."""
    if error.status == HTTPStatus.FORBIDDEN and "quota" in error.message:
        return Refusal(
            Reason.CAPACITY,
            "The cluster takes no more jobs: the quota of the batch namespace is used up.",
            "Try again when some have ended.",
        )
    if error.status in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}:
        return Refusal(
            Reason.UNAVAILABLE,
            "The cluster is not set up for batch jobs.",
            "Tell the operators: `aiinfn-hub kueue apply` makes what is missing.",
        )
    _log.error(
        "cluster refuses a job status=%d reason=%s message=%s",
        error.status,
        error.reason,
        error.message[:500],
    )
    return Refusal(
        Reason.INVALID,
        "The cluster does not take this job.",
        "Tell the operators: the reason is in vkd's log.",
    )
