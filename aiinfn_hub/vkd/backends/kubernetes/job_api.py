"""What the back end asks of the API server about one job. Each request raises `KubeError`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from http import HTTPStatus

from aiinfn_hub.i18n.messages import Message
from aiinfn_hub.kube import names
from aiinfn_hub.kube.client import KubeClient, KubeError
from aiinfn_hub.kube.objects import jobs
from aiinfn_hub.kube.reasons import pod_reasons
from aiinfn_hub.kube.reasons.pod_reasons import Explanation
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.selection import Selection
from aiinfn_hub.vkd.domain.backend import BackendJob

from . import status_text

_log = logging.getLogger(__name__)


class JobApi:
    """The few things that vkd does in the cluster."""

    def __init__(self, platform: Platform, client: KubeClient, command: Sequence[str]) -> None:
        self._platform = platform
        self._client = client
        self._command = command

    @property
    def platform(self) -> Platform:
        """What is in force."""
        return self._platform

    def adopt(self, platform: Platform) -> None:
        """Load a changed platform file."""
        self._platform = platform

    async def create(self, job: BackendJob, avoid: Sequence[str] = ()) -> None:
        """Make a job's Job, which keeps off some nodes; one that is there already is fine."""
        body = jobs.job(
            job.id, job.selection, job.work, job.output, self._platform, command=self._command, avoid=avoid
        )
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

    async def go_first(self, workload: str, priority: int) -> None:
        """Have Kueue take a job before those of a priority."""
        path = jobs.workloads_path(self._platform, workload)
        await self._client.patch(path, {"spec": {"priority": priority + 1}})

    async def set_deadline(self, job_id: str, seconds: int) -> None:
        """Change the seconds from its start after which Kubernetes ends a Job."""
        path = jobs.jobs_path(self._platform, names.job_name(job_id))
        await self._client.patch(path, {"spec": {"activeDeadlineSeconds": seconds}})

    async def was_preempted(self, pod: str) -> bool:
        """Return whether kube-scheduler evicted a pod, given by uid, in the last hour."""
        selector = f"involvedObject.uid={pod},reason=Preempted"
        events = await self._client.get(jobs.events_path(self._platform), fieldSelector=selector)
        return bool(events.get("items"))


def explained(error: KubeError, selection: Selection, platform: Platform) -> Explanation | None:
    """Find the words for the API server's refusal of a Job; None if there are none."""
    statement = pod_reasons.of_refusal(error.status, error.reason, error.message)
    return pod_reasons.explain(statement, pod_reasons.words_of(selection, platform))


def hopeless(error: KubeError, found: Explanation | None = None) -> bool:
    """Return whether a Job that was refused would be refused again: it is not allowed, or the API server does not understand it."""
    denied = found is not None and found.denied
    return denied or error.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}


def obstacle(error: KubeError, found: Explanation | None = None) -> Message:
    """Explain to the person why the cluster does not have a job, as the end of a sentence."""
    if found is not None and found.told.code == "pod.webhook_away":
        return Message("reason.pod_refused", told=found.told)
    if error.status == HTTPStatus.FORBIDDEN and "quota" in error.message:
        return Message("reason.cluster_quota")
    if error.status == HTTPStatus.UNAUTHORIZED:
        return Message("reason.cluster_credentials")
    if error.status in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}:
        return Message("reason.cluster_not_set_up")
    if not hopeless(error):
        return Message("reason.cluster_silent")
    _log_refusal(error)
    return Message("reason.cluster_refuses")


def refused(error: KubeError, found: Explanation | None = None) -> Message:
    """Explain to the person why a job failed that the cluster will never take; the log has what the cluster says."""
    _log_refusal(error)
    if found is not None and found.denied:
        return status_text.pod_refused(found)
    return Message("failed.refused")


def _log_refusal(error: KubeError) -> None:
    _log.error(
        "cluster refuses a job status=%d reason=%s message=%s",
        error.status,
        error.reason,
        error.message[:500],
    )
