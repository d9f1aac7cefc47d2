"""`KubernetesBackend`: jobs as batch/v1 Jobs that Kueue admits, sessions as pods of the hub, devices as the cluster has them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from aiinfn_hub.contract.platform import Availability, AvailabilityReading, NodeNotice
from aiinfn_hub.contract.problem import Reason
from aiinfn_hub.contract.runner import ResourcePoint
from aiinfn_hub.contract.sessions import Claim, ClaimRequest
from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.i18n.messages import Message
from aiinfn_hub.kube import names
from aiinfn_hub.kube.client import KubeClient, KubeError, path_of
from aiinfn_hub.kube.inventory import (
    ClusterInventory,
    DevicePodFacts,
    InventoryReader,
    NodeFacts,
    NodeWarning,
)
from aiinfn_hub.kube.objects import jobs
from aiinfn_hub.kube.watch import ObjectWatch, WatchedKind
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.vkd.backends.common import attempt_log
from aiinfn_hub.vkd.backends.common.exit_outcome import points_of
from aiinfn_hub.vkd.domain.backend import (
    BackendJob,
    Holds,
    JobRefusal,
    LogChunk,
    QueueLength,
    Start,
    Update,
)

from . import status_text
from .attempt_files import KubernetesFiles
from .facts import (
    Cluster,
    JobFacts,
    JobPodFacts,
    WorkloadFacts,
    read_job,
    read_pod,
    read_workload,
)
from .log_collector import LOG_LIMIT
from .pod_refusals import RefusedPod, read_refusal
from .queue_positions import QueuePositions
from .reconciler import Reconciler
from .requeue import RequeueTrigger
from .session_claims import SessionClaims
from .startup_events import EventFacts, read_event

_log = logging.getLogger(__name__)
_START_SECONDS: Final = 10.0
"""How long a start waits for the cluster; after that vkd serves what it knows, and goes on when the cluster answers."""
_PROBE_SECONDS: Final = 5.0
_MOST_REFUSALS: Final = 5
"""Reasons for which the API server refuses pods that operators are shown."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class KubernetesBackend:
    """Runs jobs in a cluster. See `aiinfn_hub.vkd.domain.backend.CompleteBackend`.

    Parameters
    ----------
    data
        The data folder; attempts and their logs are kept in ``vkd/kueue`` below it.
    client
        vkd's own identity in the cluster; closed by `stop`.
    command
        What runs in a job instead of the runner.
    """

    def __init__(
        self,
        platform: Platform,
        data: Path,
        client: KubeClient,
        clock: Callable[[], datetime] = _utc_now,
        *,
        command: Sequence[str] = jobs.RUNNER,
        log_limit: int = LOG_LIMIT,
    ) -> None:
        self._platform = platform
        self._client = client
        self._clock = clock
        self._files = KubernetesFiles(data)
        self._cluster = Cluster()
        self._inventory = ClusterInventory(platform)
        self._boots: dict[str, str] = {}
        self._updates: asyncio.Queue[Update | None] = asyncio.Queue()
        self._director = Reconciler(
            platform,
            client,
            self._cluster,
            self._files,
            clock,
            emit=self._updates.put_nowait,
            holds=self._holds,
            moved=self._moved,
            boot=lambda node: self._boots.get(node, ""),
            command=command,
            log_limit=log_limit,
        )
        self._sessions = SessionClaims(platform, self._inventory, self._cluster, self._director)
        self._positions = QueuePositions(client, platform, self._director.waits, self._director.lines)
        self._nudge = RequeueTrigger(self._director)
        self._fault: BaseException | None = None
        self._logged_notices: tuple[NodeWarning, ...] = ()
        self._read_at = clock()
        self._tasks: list[asyncio.Task[None]] = []
        self._device_tasks: list[asyncio.Task[None]] = []
        self._nodes, self._pods = self._watch_devices(platform, self._inventory)
        self._batch = self._watch_batch()
        # Nothing waits for these: they only say how jobs start.
        about = {"fieldSelector": "involvedObject.kind=Pod"}
        kind = WatchedKind("events", jobs.events_path(platform), read_event, about)
        self._events = ObjectWatch(client, kind, self._hear)
        # The Job controller says there why it cannot make a pod.
        failed = {"fieldSelector": "involvedObject.kind=Job,reason=FailedCreate"}
        kind_of_refusal = WatchedKind("refused pods", jobs.events_path(platform), read_refusal, failed)
        self._refusals = ObjectWatch(client, kind_of_refusal, self._hear_refusal)

    def _watch_devices(
        self, platform: Platform, inventory: ClusterInventory
    ) -> tuple[ObjectWatch[NodeFacts], ObjectWatch[DevicePodFacts]]:
        reader = InventoryReader(platform)

        def read_node(item: Mapping[str, Any]) -> NodeFacts | None:
            boot = ((item.get("status") or {}).get("nodeInfo") or {}).get("bootID")
            self._boots[item["metadata"]["name"]] = str(boot or "")
            return reader.node(item)

        unfinished = {"fieldSelector": "status.phase!=Succeeded,status.phase!=Failed"}

        def see_node(before: NodeFacts | None, after: NodeFacts | None) -> None:
            inventory.see_node(before, after)
            self._read_at = self._clock()

        def see_pod(before: DevicePodFacts | None, after: DevicePodFacts | None) -> None:
            inventory.see_pod(before, after)
            if inventory is self._inventory:
                self._see_pod(before, after)

        return (
            ObjectWatch(self._client, WatchedKind("nodes", path_of("v1", "nodes"), read_node), see_node),
            ObjectWatch(
                self._client, WatchedKind("pods", path_of("v1", "pods"), reader.pod, unfinished), see_pod
            ),
        )

    def _watch_batch(
        self,
    ) -> tuple[ObjectWatch[JobFacts], ObjectWatch[WorkloadFacts], ObjectWatch[JobPodFacts]]:
        platform, client = self._platform, self._client
        label = names.Labels(platform.label_prefix).job
        ours = {"labelSelector": label}

        def read_our_job(item: Mapping[str, Any]) -> JobFacts | None:
            return read_job(item, label)

        def read_our_pod(item: Mapping[str, Any]) -> JobPodFacts | None:
            return read_pod(item, label)

        return (
            ObjectWatch(
                client, WatchedKind("jobs", jobs.jobs_path(platform), read_our_job, ours), self._see_job
            ),
            ObjectWatch(
                client,
                WatchedKind("workloads", jobs.workloads_path(platform), read_workload),
                self._see_workload,
            ),
            ObjectWatch(
                client,
                WatchedKind("job pods", jobs.pods_path(platform), read_our_pod, ours),
                self._see_job_pod,
            ),
        )

    # Coming and going

    async def start(self, known: Start) -> None:
        """Take over what an earlier vkd left; see `JobBackend.start`."""
        await asyncio.to_thread(self._files.prepare)
        await self._director.load(known.jobs)
        self._device_tasks = [self._run(watch.run()) for watch in (self._nodes, self._pods)]
        for watch in self._batch:
            self._run(watch.run())
        self._run(self._events.run())
        self._run(self._refusals.run())
        self._run(self._positions.run())
        self._run(self._nudge.run())
        self._run(self._probe())
        begin = asyncio.create_task(self._begin())
        self._tasks.append(begin)
        done, _pending = await asyncio.wait({begin}, timeout=_START_SECONDS)
        if not done:
            _log.warning("the cluster does not answer yet; jobs are followed as soon as it does")

    def _run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        task.add_done_callback(self._ended)
        self._tasks.append(task)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        """End the stream of updates after a fault of ours: vkd must then be started again, not fall silent."""
        if not task.cancelled() and (fault := task.exception()) is not None:
            self._fault = fault
            self._updates.put_nowait(None)

    async def _begin(self) -> None:
        for watch in (self._nodes, self._pods, *self._batch):
            await watch.synced.wait()
        self._read_at = self._clock()
        self._director.open()
        for queue in self._platform.queues:
            self._positions.touch(queue)

    async def stop(self) -> None:
        """Stop; jobs and sessions run on, and `updates` ends."""
        await self._sessions.close()
        await self._director.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._updates.put_nowait(None)
        await self._client.close()

    async def adopt(self, platform: Platform) -> None:
        """Load a changed platform file; see `JobBackend.adopt`.

        If it describes other accelerators, the nodes are read again first, so that no reading ever shows half of it.
        """
        if platform.accelerators != self._platform.accelerators:
            inventory = ClusterInventory(platform)
            watches = self._watch_devices(platform, inventory)
            tasks = [self._run(watch.run()) for watch in watches]
            try:
                for watch in watches:
                    await watch.synced.wait()
            except asyncio.CancelledError:
                for task in tasks:
                    task.cancel()
                raise
            for task in self._device_tasks:
                task.cancel()
                self._tasks.remove(task)
            self._device_tasks = tasks
            self._nodes, self._pods = watches
            self._inventory = inventory
        self._platform = platform
        self._positions.adopt(platform)
        self._director.adopt(platform)
        self._sessions.adopt(platform, self._inventory)

    async def updates(self) -> AsyncIterator[Update]:
        """Stream what happens, until `stop`."""
        while (update := await self._updates.get()) is not None:
            yield update
        if self._fault is not None:
            raise self._fault

    async def _probe(self) -> None:
        """Confirm what is known: a watch without news may also be one whose connection died silently."""
        while True:
            await asyncio.sleep(_PROBE_SECONDS)
            if not (self._nodes.connected and self._pods.connected):
                continue
            with suppress(KubeError):
                await self._client.get("/version")
                self._read_at = self._clock()

    # What the watches tell

    def _see_pod(self, before: DevicePodFacts | None, after: DevicePodFacts | None) -> None:
        self._read_at = self._clock()
        self._sessions.poke()
        if after is None and before is not None and before.node and not before.job:
            given_back = {resource for resource, _ in before.devices}
            self._nudge.freed(
                name
                for name, accelerator in self._platform.accelerators.items()
                if accelerator.kubernetes.resource in given_back
            )

    def _see_job(self, before: JobFacts | None, after: JobFacts | None) -> None:
        self._director.mark(self._cluster.see_job(before, after))

    def _see_workload(self, before: WorkloadFacts | None, after: WorkloadFacts | None) -> None:
        job_id = self._cluster.see_workload(before, after)
        self._director.mark(job_id)
        track = self._director.tracks.get(job_id)
        if track is not None:
            self._positions.touch(track.queue)

    def _see_job_pod(self, before: JobPodFacts | None, after: JobPodFacts | None) -> None:
        self._director.mark(self._cluster.see_pod(before, after))
        self._sessions.poke()

    def _hear(self, before: EventFacts | None, after: EventFacts | None) -> None:
        if after is not None:
            self._director.hear(after)

    def _hear_refusal(self, before: RefusedPod | None, after: RefusedPod | None) -> None:
        if after is not None:
            self._director.hear_refusal(after)

    def _holds(self, job_id: str) -> bool:
        return self._sessions.holds(job_id)

    def _moved(self, queue: str, job_id: str) -> None:
        if job_id:
            self._positions.drop(queue, job_id)
        self._positions.touch(queue)

    # Jobs

    async def submit(self, job: BackendJob) -> None:
        """Make a job's Job; see `JobBackend.submit`.

        Raises
        ------
        Refusal
            If the cluster can never take it.
        """
        selection, accelerator = job.selection, job.selection.accelerator
        if (
            accelerator
            and accelerator.kubernetes.quota is not None
            and selection.count > accelerator.kubernetes.quota
        ):
            raise JobRefusal(
                Reason.TOO_LARGE,
                Message("failed.quota", quota=accelerator.kubernetes.quota, title=accelerator.title),
                _("Ask for fewer."),
                field="count",
            )
        if len(job.work.model_dump_json()) > jobs.MOST_BYTES:
            raise JobRefusal(
                Reason.TOO_LARGE,
                Message("failed.too_large"),
                _("Put large values into a file."),
                field="work",
            )
        await self._director.submit(job)

    async def cancel(self, job_id: str) -> None:
        """Stop a job for good."""
        self._director.cancel(job_id)

    async def hold(self, holds: Holds) -> None:
        """Keep jobs from running; see `JobBackend.hold`."""
        self._director.hold(holds)

    async def interrupt(self) -> None:
        """Do nothing: the jobs run in the cluster, which does not stop with vkd."""

    def positions(self) -> Mapping[str, int]:
        """Return the place of each waiting job in its queue, from 1."""
        return self._positions.places

    def reason(self, job_id: str) -> Message | None:
        """Explain why a job still waits."""
        track = self._director.tracks.get(job_id)
        workload = self._cluster.of(job_id).workload
        if track is None or not self._director.waits(job_id):
            return None
        if workload is None:
            return self._director.obstacle(job_id)
        if (told := self._director.refused(job_id)) is not None:
            return Message("reason.pod_refused", told=told)
        selection = track.job.selection
        if track.note.avoid and not workload.admitted:
            return Message("reason.node_avoided", nodes=", ".join(track.note.avoid))
        largest = self._inventory.largest(selection.accelerator_name) if selection.accelerator else 0
        return status_text.waiting(workload.waiting, selection, largest, admitted=workload.admitted)

    def queues(self) -> Mapping[str, QueueLength]:
        """Return the length of each queue by name."""
        waiting, running = self._director.waiting, self._director.running
        return {name: QueueLength(waiting[name], running[name]) for name in self._platform.queues}

    def inventory(self) -> AvailabilityReading:
        """Return what there is of each accelerator, from memory."""
        entries = []
        for name in self._platform.accelerators:
            counts = self._inventory.counts(name)
            entries.append(
                Availability(
                    accelerator=name,
                    total=counts.total,
                    free=counts.free,
                    sessions=counts.sessions,
                    batch=counts.batch,
                    others=counts.others,
                    offline=counts.offline,
                    queued=self._director.wanted[name],
                    waiting_sessions=self._inventory.waiting_sessions(name),
                    next_session_end=self._inventory.next_session_end(name),
                )
            )
        age = max(0.0, (self._clock() - self._read_at).total_seconds())
        return AvailabilityReading(
            accelerators=entries, read_at=self._read_at, age=age, notices=self._notices()
        )

    def _notices(self) -> list[NodeNotice]:
        """Return what operators should know about the cluster, and log what is new about the nodes."""
        found = self._access_warnings()
        if self._nodes.synced.is_set():  # nothing before the nodes were read
            found += self._node_warnings()
        found += self._refusal_warnings()
        return [NodeNotice.model_validate(asdict(each)) for each in found]

    def _refusal_warnings(self) -> list[NodeWarning]:
        return [
            NodeWarning("refuses", each.accelerator, (each.node,), each.number, found=each.reasons)
            for each in self._director.refusing_nodes.repeated()
        ] + [
            NodeWarning("pod_refused", "", number=number, found=(said,))
            for said, number in self._director.refused_pods.lately()[:_MOST_REFUSALS]
        ]

    def _access_warnings(self) -> list[NodeWarning]:
        if self._client.refused_since is not None:
            return [NodeWarning("credentials_refused", "")]
        watches: tuple[ObjectWatch[Any], ...] = (
            self._nodes,
            self._pods,
            *self._batch,
            self._events,
            self._refusals,
        )
        closed = [
            watch.title for watch in watches if watch.error and watch.error.status == HTTPStatus.FORBIDDEN
        ]
        return [NodeWarning("rights_missing", "", found=tuple(closed))] if closed else []

    def _node_warnings(self) -> tuple[NodeWarning, ...]:
        found = self._inventory.notices()
        if found is not self._logged_notices:
            for each in set(found).difference(self._logged_notices):
                _log.warning(
                    "nodes do not fit the platform file code=%s accelerator=%s nodes=%s",
                    each.code,
                    each.accelerator,
                    ",".join(each.nodes),
                )
            self._logged_notices = found
        return found

    def largest(self, accelerator: str) -> int:
        """Count the devices of an accelerator on the node that has most of them."""
        return self._inventory.largest(accelerator)

    async def read_log(self, job_id: str, attempt: int, offset: int, limit: int) -> LogChunk:
        """Read part of an attempt's log; see `JobLogs.read_log`."""
        folder = self._files.attempt(job_id, attempt)
        over = self._director.is_over(job_id, attempt)
        return await asyncio.to_thread(attempt_log.read, folder, attempt, offset, limit, over=over)

    async def wait_log(self, job_id: str, attempt: int, offset: int, timeout: float) -> None:  # noqa: ASYNC109 - a long poll
        """Wait until the log is longer than ``offset``, the attempt is over, or for ``timeout`` seconds."""
        folder = self._files.attempt(job_id, attempt)
        await attempt_log.wait(folder, offset, timeout, lambda: self._director.is_over(job_id, attempt))

    async def read_resources(self, job_id: str, attempt: int) -> list[ResourcePoint]:
        """Read what an attempt used so far; see `JobLogs.read_resources`."""
        folder = self._files.attempt(job_id, attempt)
        return points_of(await asyncio.to_thread(folder.read_resources))

    async def forget(self, job_id: str) -> bool:
        """Delete what is kept of a final job; see `JobBackend.forget`."""
        if not self._director.forget(job_id):
            return False
        await asyncio.to_thread(self._files.forget, job_id)
        return True

    # Sessions

    async def claim(self, session_id: str, request: ClaimRequest) -> Claim:
        """Make room for a session; see `DeviceBroker.claim`."""
        return await self._sessions.claim(session_id, request)

    async def claim_state(self, session_id: str) -> Claim | None:
        """Return how far a claim is."""
        return self._sessions.state(session_id)

    async def release(self, session_id: str) -> None:
        """Forget a session's claim; its devices are free when its pod is gone."""
        self._sessions.release(session_id)
