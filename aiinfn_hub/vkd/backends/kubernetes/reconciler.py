"""The job reconciler: create Jobs, report what happens to them, and delete them.

Each job is reconciled by one task at a time, whenever something about it changed. What is reported follows from what is
seen (`lifecycle`), so a change that was missed costs nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from typing import Any, Final

from aiinfn_hub.contract.states import FINAL, Cause, JobState
from aiinfn_hub.i18n.messages import Message
from aiinfn_hub.kube.client import KubeClient, KubeError
from aiinfn_hub.kube.objects import jobs
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.vkd.domain.backend import BackendJob, Holds, Update

from . import pod_refusals, status_text
from .archive import ArchivedPart
from .attempt_files import AttemptNote, KubernetesFiles
from .creation_order import CreationOrder
from .facts import Cluster, Seen
from .job_api import JobApi, explained, hopeless, obstacle, refused
from .job_state import UNKNOWN_POD, ReconcileState
from .lifecycle import Step, advance
from .log_collector import LOG_LIMIT, LogCollector
from .node_refusals import NodeRefusals
from .pod_refusals import PodRefusal, RefusedPod, RefusedPods
from .startup_events import EventFacts, step_of
from .updates import update_of

_log = logging.getLogger(__name__)
_RETRY: Final = (0.5, 1.0, 2.0, 5.0)
_STRANDED: Final = 12.0
"""Seconds that a job may look for its node: as long as one that must go may take."""
_MOST_SAID: Final = 300
"""Messages about the starts of one job: it may try its luck for days."""
_REFUSAL_SHOWN: Final = 30.0
"""Seconds after its pause for which a job's last refusal is the reason why it waits."""
_TAKEN_BACK: Final = 50
"""Tenths of a second in which Kueue has surely taken a job back."""
_LIFT_AGAIN: Final = 2.0
"""Seconds until Kueue has surely seen that a Workload is active."""


class Reconciler:
    """The jobs of the back end that are not over.

    Parameters
    ----------
    emit
        Takes each update.
    holds
        Tells whether a job is kept from running for a session's sake.
    moved
        Called with a queue whose order may have changed.
    boot
        Tells the boot id of a node, empty if it is not known.

    Attributes
    ----------
    tracks
        By job id.
    waiting, running
        Numbers of jobs by queue, and of waiting ones by accelerator.
    refusing_nodes, refused_pods
        What kubelets and the API server turned away lately.
    """

    def __init__(
        self,
        platform: Platform,
        client: KubeClient,
        cluster: Cluster,
        files: KubernetesFiles,
        clock: Callable[[], datetime],
        *,
        emit: Callable[[Update], None],
        holds: Callable[[str], bool],
        moved: Callable[[str, str], None],
        boot: Callable[[str], str] = lambda _: "",
        command: Sequence[str] = jobs.RUNNER,
        log_limit: int = LOG_LIMIT,
    ) -> None:
        self._client = client
        self._cluster = cluster
        self._files = files
        self._clock = clock
        self._emit = emit
        self._holds = holds
        self._moved = moved
        self._boot = boot
        self.refusing_nodes = NodeRefusals(clock)
        self.refused_pods = RefusedPods(clock)
        self._requests = JobApi(platform, client, command)
        self._logs = LogCollector(platform, client, cluster, files, log_limit, self._told)
        self._open = False
        self._chores: set[asyncio.Task[None]] = set()
        self._put: set[str] = set()
        self._order = CreationOrder(time.monotonic, self.mark)
        self.tracks: dict[str, ReconcileState] = {}
        self._lines: dict[str, Counter[str]] = {}
        self._done: set[str] = set()
        self._withheld = Holds()
        self.waiting: Counter[str] = Counter()
        self.running: Counter[str] = Counter()
        self.wanted: Counter[str] = Counter()

    def adopt(self, platform: Platform) -> None:
        """Load a changed platform file; what is in the cluster stays as it is."""
        self._requests.adopt(platform)

    # Taking jobs in

    async def load(self, known: Sequence[BackendJob]) -> None:
        """Take up the jobs that the store knows."""
        for job in known:
            note = await asyncio.to_thread(self._files.load, job.id)
            self._add(ReconcileState.of(job, note))

    def open(self) -> None:
        """Begin: what the cluster has is known now."""
        self._open = True
        for job_id in {*self.tracks, *self._cluster.jobs()}:
            self.mark(job_id)
            if job_id not in self.tracks:
                self._put_away(job_id, suspended_only=False)

    def _add(self, track: ReconcileState) -> None:
        self.tracks[track.id] = track
        self._count(track, 1)
        if track.note.created:
            self._order.created(track.job)
        elif track.state is JobState.QUEUED:
            self._order.add(track.job)

    def _count(self, track: ReconcileState, sign: int) -> None:
        selection = track.job.selection
        if track.state is JobState.QUEUED:
            self.waiting[track.queue] += sign
            self.wanted[selection.accelerator_name] += sign
            self._lines.setdefault(track.queue, Counter())[selection.project] += sign
        elif track.state not in FINAL:
            self.running[track.queue] += sign

    async def submit(self, job: BackendJob) -> None:
        """Take a job in; its Job is made at once, but not waited for.

        The store has the job already, so nothing is lost with an API server that is slow or away, and nobody who submits
        waits for it, or for those that submit at the same time.
        """
        if job.id in self.tracks or job.id in self._done:
            return
        # Only what is made here has a note; nothing of this job can be there yet.
        self._add(ReconcileState.of(job, AttemptNote()))
        self.mark(job.id)

    async def _create(self, track: ReconcileState) -> None:
        """Make a job's Job, if it is its turn."""
        pause = self._order.pause(track.job)
        if pause is None:
            return
        if pause > 0:
            self._later(track, pause)
            return
        # One that waits for its first turn would lose its place when it may go there again.
        accelerator = track.job.selection.accelerator_name
        avoid = self.refusing_nodes.avoided(accelerator) if track.note.first else []
        await self._requests.create(track.job, avoid)
        track.note.created, track.note.avoid = True, avoid
        self._order.created(track.job)
        track.obstacle = None
        await self._save(track)
        self._moved(track.queue, "")

    def obstacle(self, job_id: str) -> Message | None:
        """Return why a job's Job could not be made yet, if it could not; also if it waits for one that could not."""
        track = self.tracks[job_id]
        if track.note.created or track.obstacle:
            return track.obstacle
        first = self.tracks.get(self._order.first(track.job))
        return first.obstacle if first is not None else None

    def forget(self, job_id: str) -> bool:
        """Forget that a job ever was; False if it is not over."""
        self._done.discard(job_id)
        return job_id not in self.tracks

    def waits(self, job_id: str) -> bool:
        """Return whether a job waits in its queue."""
        track = self.tracks.get(job_id)
        return track is not None and track.state is JobState.QUEUED

    def lines(self, queue: str) -> list[str]:
        """Return the projects whose jobs wait in a queue."""
        return [project for project, number in self._lines.get(queue, {}).items() if number > 0]

    def cancel(self, job_id: str) -> None:
        """Stop a job for good."""
        if (track := self.tracks.get(job_id)) is not None:
            track.cancelling = True
            self.mark(job_id)

    def hold(self, holds: Holds) -> None:
        """Keep jobs from running whose owner lost the access, and let those go on that are not held any more."""
        before, self._withheld = self._withheld, holds
        for track in list(self.tracks.values()):
            selection = track.job.selection
            if before.waits(selection) or holds.waits(selection):
                self.mark(track.id)

    async def yield_place(self, job_id: str) -> bool:
        """Have Kueue evict a job for a session; False if Kueue cannot be asked now."""
        track = self.tracks.get(job_id)
        workload = self._cluster.of(job_id).workload
        if track is None or workload is None:
            return False
        pods = [pod.uid for pod in self._cluster.of(job_id).in_order if pod.node and not pod.over]
        track.note.yielded = [*track.note.yielded, *(uid for uid in pods if uid not in track.note.yielded)]
        try:
            # Noted first: a vkd that is killed in between must still tell the truth about it.
            await self._save(track)
            await self._requests.activate(workload.name, active=False)
        except (KubeError, OSError) as error:
            _log.warning("job not asked to make room job=%s error=%s", job_id, type(error).__name__)
            return False
        return True

    async def nudge(self, accelerator: str) -> bool:
        """Have Kueue look at the queues again: deactivate the last job in line for a moment. False if none waits."""
        for track in reversed(self.tracks.values()):
            if track.state is not JobState.QUEUED or track.job.selection.accelerator_name != accelerator:
                continue
            workload = self._cluster.of(track.id).workload
            if workload is not None and workload.active and not workload.admitted and not track.cancelling:
                with contextlib.suppress(KubeError):
                    await self._requests.activate(workload.name, active=False)
                return True
        return False

    # Looking at a job

    def mark(self, job_id: str) -> None:
        """Have a job looked at, because something about it changed."""
        track = self.tracks.get(job_id)
        if not self._open:
            return
        if track is None:
            self._put_away(job_id)
            return
        track.dirty = True
        if track.follower is not None:
            track.follower.poke()
        if track.task is None:
            track.task = asyncio.create_task(self._look(track))

    def _put_away(self, job_id: str, *, suspended_only: bool = True) -> None:
        """Delete a Job that would run again, although what it was made for is over.

        Kueue may take a Job back in the moment in which its pod ends with success; the pod is then not counted.
        """
        job = self._cluster.of(job_id).job
        if job is None or job.over or job.ending or (suspended_only and not job.suspended):
            return
        if job_id not in self._put:
            self._put.add(job_id)
            self._chore(self._remove_if_known(job_id))

    async def _remove_if_known(self, job_id: str) -> None:
        # Only on the word of the data folder: what is not followed may also be another vkd's, or its store was lost.
        if (await asyncio.to_thread(self._files.load, job_id)).over:
            _log.warning("job is over, but would run again: its Job is deleted job=%s", job_id)
            await self._remove(job_id)
        self._put.discard(job_id)

    def _later(self, track: ReconcileState, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds, self.mark, track.id)

    async def _look(self, track: ReconcileState) -> None:
        try:
            while track.dirty and track.state not in FINAL:
                track.dirty = False
                await self._settle(track)
        except Exception:
            # A fault of ours must not leave the job unattended for ever.
            _log.exception("job not followed job=%s", track.id)
            self._later(track, _RETRY[-1])
        finally:
            track.task = None

    async def _settle(self, track: ReconcileState) -> None:
        seen = self._cluster.of(track.id)
        if seen.job is not None and not track.note.remake:
            track.appeared = True
        if seen.workload is not None:
            self._order.seen(track.job, admitted=seen.workload.admitted)
        self._adopt(track, seen)
        if await self._bring_in_line(track, seen):
            return
        now = self._cluster.of(track.id)
        seen = Seen(now.job, now.workload, dict(now.pods))  # it must not change while steps are told
        known = track.known(rebooted=self._rebooted(track, seen))
        advice = advance(known, seen, track.job.selection, track.doubted())
        for step in advice.steps:
            await self._apply(track, step, seen)
        if track.state in {JobState.STARTING, JobState.RUNNING} and not self._withheld.stops(
            track.job.selection
        ):
            track.withheld = False
        if track.state in FINAL:
            return
        await self._set_deadline(track, seen)
        if (seconds := track.doubt(advice.doubt)) is not None:
            self._later(track, seconds)
        if track.state is JobState.RUNNING:
            self._logs.follow(track)

    async def _bring_in_line(self, track: ReconcileState, seen: Seen) -> bool:
        """Do in the cluster what is missing, and return whether the job is over by that."""
        try:
            await self._act(track, seen)
            await self._send_back(track, seen)
            if await self._heed_refusal(track, seen):
                return True
            await self._ask_for_the_reason(track, seen)
            track.failures = 0
        except KubeError as error:
            if not track.note.created and not track.cancelling:
                found = explained(error, track.job.selection, self._requests.platform)
                if hopeless(error, found):
                    await self._never_starts(track, refused(error, found), seen)
                    return True
            self._failed(track, error)
        return False

    def _adopt(self, track: ReconcileState, seen: Seen) -> None:
        """Recognise the attempt in progress where the data folder does not tell its pod."""
        if track.pod == UNKNOWN_POD:
            unknown = [pod.uid for pod in seen.in_order if pod.node and pod.uid not in track.attempts]
            if unknown:
                track.attempts[-1] = unknown[-1]

    async def _act(self, track: ReconcileState, seen: Seen) -> None:
        """Bring the cluster in line with what is meant: make, delete, let run again."""
        if track.cancelling:
            if not track.deleted:
                await self._requests.delete(track.id)
                track.deleted = True
            return
        if track.note.remake and not await self._clear_away(track, seen):
            return
        workload = seen.workload
        if self._withheld.waits(track.job.selection):
            await self._keep_back(track, seen)
            return
        if seen.job is None and not track.note.created and track.state is JobState.QUEUED:
            self._order.add(track.job)
            await self._create(track)
        await self._keep_place(track, seen)
        await self._end_avoidance(track, seen)
        if workload is None or workload.active or self._holds(track.id):
            return
        if (left := track.paused - time.monotonic()) > 0:
            self._later(track, left + 0.1)
            return
        # Whoever is inactive, and held for nobody, was left so by a vkd that ended meanwhile.
        if time.monotonic() - track.lifted > _LIFT_AGAIN:
            track.lifted = time.monotonic()
            await self._requests.activate(workload.name, active=True)
            self._moved(track.queue, "")
        self._later(track, _LIFT_AGAIN + 0.1)

    # Faults of the cluster

    async def _clear_away(self, track: ReconcileState, seen: Seen) -> bool:
        """Delete a Job that is to be made anew, and return whether it is gone."""
        if seen.job is not None:
            if not seen.job.ending and track.removed != seen.job.uid:
                await self._requests.delete(track.id)
                track.removed = seen.job.uid
            return False
        if seen.workload is not None or track.state is not JobState.QUEUED:
            return False
        track.note.remake, track.appeared = False, False
        await self._save(track)
        return True

    async def _keep_place(self, track: ReconcileState, seen: Seen) -> None:
        """Let a job whose Job was made anew go first: it had its turn, and Kueue orders by the age of Workloads."""
        workload = seen.workload
        if (
            not track.note.first
            or workload is None
            or workload.admitted
            or track.state is not JobState.QUEUED
        ):
            return
        queue = self._requests.platform.queues.get(track.queue)
        usual = queue.priority if queue else track.job.selection.priority
        if workload.priority != usual:
            return
        try:
            await self._requests.go_first(workload.name, usual)
        except KubeError as error:
            # Its place is not worth its start.
            _log.warning("job not put first job=%s status=%d reason=%s", track.id, error.status, error.reason)

    async def _end_avoidance(self, track: ReconcileState, seen: Seen) -> None:
        """Make a Job anew that waits and keeps off nodes which may be tried again."""
        workload, note = seen.workload, track.note
        if (
            not note.avoid
            or track.state is not JobState.QUEUED
            or not note.created
            or workload is None
            or workload.admitted
        ):
            return
        accelerator = track.job.selection.accelerator_name
        if set(note.avoid) <= set(self.refusing_nodes.avoided(accelerator)):
            self._later(track, (self.refusing_nodes.next_end(accelerator) or 1.0) + 0.1)
            return
        note.created, note.remake, note.avoid = False, True, []
        await self._save(track)
        track.dirty = True

    async def _heed_refusal(self, track: ReconcileState, seen: Seen) -> bool:
        """Give Kueue's quota back for a job whose pod the API server refuses, and return whether the job is over.

        Kueue would keep quota and node until its ``waitForPodsReady.timeout``, and then try again for ever.
        """
        refusal = track.refusal
        if refusal is None or track.state is not JobState.QUEUED or track.cancelling or seen.workload is None:
            return False
        now = time.monotonic()
        if not pod_refusals.is_empty(seen):
            track.empty = 0.0
            return False
        track.empty = track.empty or now
        again = pod_refusals.holds(refusal, seen)
        if again and not refusal.explanation.passes:
            await self._never_starts(track, status_text.pod_refused(refusal.explanation), seen, remove=True)
            return True
        patience = pod_refusals.PATIENCE if again else pod_refusals.NO_POD
        if (left := track.empty + patience - now) > 0:
            self._later(track, left + 0.1)
            return False
        track.refusals += 1
        pause = pod_refusals.pause(track.refusals)
        track.paused, track.empty = now + pause, 0.0
        _log.warning("job goes back to its queue, its pod was refused job=%s pause=%.0f", track.id, pause)
        await self._requests.activate(seen.workload.name, active=False)
        self._moved(track.queue, "")
        return False

    async def _never_starts(
        self, track: ReconcileState, message: Message, seen: Seen, *, remove: bool = False
    ) -> None:
        step = Step(JobState.FAILED, Cause.START_FAILED, message, track.attempt, remove=remove)
        await self._apply(track, step, seen)

    async def _set_deadline(self, track: ReconcileState, seen: Seen) -> None:
        """Let a job's time limit run from the start of its container, and not while its image is fetched."""
        job, selection = seen.job, track.job.selection
        if job is None or job.over or job.ending or job.deadline is None or track.cancelling:
            return
        if track.fixed_deadline == job.uid:
            return
        pod = seen.pods.get(track.pod)
        if track.state is JobState.RUNNING and pod is not None and not pod.over and not job.suspended:
            if pod.started is None or job.started is None:
                return
            wanted = jobs.deadline(selection, job.started, pod.started)
        elif track.state is JobState.QUEUED and job.suspended:
            wanted = jobs.first_deadline(selection)
        else:
            return
        if job.deadline == wanted:
            return
        try:
            await self._requests.set_deadline(track.id, wanted)
        except KubeError as error:
            _log.warning(
                "time limit not set job=%s status=%d reason=%s", track.id, error.status, error.reason
            )
            if error.unreachable:
                self._later(track, _RETRY[-1])
            else:
                track.fixed_deadline = job.uid  # asking again would not help

    def _rebooted(self, track: ReconcileState, seen: Seen) -> bool:
        pod = seen.pods.get(track.pod)
        return pod is not None and bool(track.note.boot) and self._boot(pod.node) not in {"", track.note.boot}

    async def _keep_back(self, track: ReconcileState, seen: Seen) -> None:
        """Deactivate the Workload of a job that is held; one that runs, only if it is to be stopped."""
        workload, selection = seen.workload, track.job.selection
        if seen.job is None and not track.note.created:
            # Those behind it, of others of its project, must not wait for it.
            self._order.leave(track.job)
        if workload is None or not workload.active:
            return
        waits = track.state is JobState.QUEUED and not any(
            pod.node and not pod.over for pod in seen.pods.values()
        )
        if waits or self._withheld.stops(selection):
            track.withheld = track.withheld or not waits
            await self._requests.activate(workload.name, active=False)
            self._moved(track.queue, "")

    async def _send_back(self, track: ReconcileState, seen: Seen) -> None:
        """Have Kueue take a job back that it let go onto a node on which a session was faster.

        It would do so itself, but after its ``waitForPodsReady.timeout``, which must exceed the longest image pull.
        """
        workload = seen.workload
        stranded = (
            track.state is JobState.QUEUED
            and workload is not None
            and workload.active
            and workload.admitted
            and any(pod.unschedulable and not pod.ending for pod in seen.pods.values())
        )
        if not stranded or workload is None:
            track.stranded = 0.0
        elif not track.stranded:
            track.stranded = time.monotonic()
            self._later(track, _STRANDED + 0.1)
        elif time.monotonic() - track.stranded >= _STRANDED:
            track.stranded = 0.0
            _log.info("job found its device taken and goes back to its queue job=%s", track.id)
            await self._requests.activate(workload.name, active=False)

    async def _ask_for_the_reason(self, track: ReconcileState, seen: Seen) -> None:
        """Find out whether an attempt whose pod went while nobody looked was evicted for a session."""
        pod = track.pod
        if not pod or pod in seen.pods or pod == track.asked or pod in track.note.yielded:
            return
        preempted = await self._requests.was_preempted(pod)
        track.asked = pod
        if preempted:
            track.note.yielded = [*track.note.yielded, pod]

    def _failed(self, track: ReconcileState, error: KubeError) -> None:
        pause = _RETRY[min(track.failures, len(_RETRY) - 1)]
        level = logging.WARNING if track.failures == 0 else logging.DEBUG
        _log.log(level, "cluster refused job=%s status=%d reason=%s", track.id, error.status, error.reason)
        track.failures += 1
        if track.note.created:
            track.obstacle = None
        else:
            found = explained(error, track.job.selection, self._requests.platform)
            track.obstacle = obstacle(error, found)
        self._later(track, pause)

    # Telling

    def hear_refusal(self, event: RefusedPod) -> None:
        """Take in that the API server refused a job's pod."""
        track = self.tracks.get(event.job_id)
        if track is None:
            return
        explanation = pod_refusals.explain(event.message, track.job.selection, self._requests.platform)
        if explanation is None:
            return
        if track.refusal is None or track.refusal.explanation.told != explanation.told:
            _log.warning("pod of a job refused job=%s message=%s", track.id, event.message[:500])
        track.refusal = PodRefusal(explanation, event.time)
        self.refused_pods.note(track.id, explanation, event.time)
        self.mark(track.id)

    def refused(self, job_id: str) -> Message | None:
        """Return why a waiting job's pod was refused when it was its turn last; None if it was not."""
        track = self.tracks.get(job_id)
        if track is None or track.refusal is None or track.state is not JobState.QUEUED:
            return None
        recent = track.empty or time.monotonic() < track.paused + _REFUSAL_SHOWN
        return track.refusal.explanation.told if recent else None

    def hear(self, event: EventFacts) -> None:
        """Report what an event says of a job's start."""
        track = self.tracks.get(event.job_id)
        if track is None:
            return
        if event.pod in track.attempts:
            attempt = track.attempts.index(event.pod) + 1
        elif track.state is JobState.QUEUED:
            attempt = track.attempt + 1  # it is not bound to a node yet
        else:
            return
        step = step_of(event, track.job.selection, self._requests.platform)
        if step is None or (attempt, step.message) in track.said or len(track.said) >= _MOST_SAID:
            return
        track.said.add((attempt, step.message))
        self._emit(Update(track.id, self._clock(), attempt, startup=(step,)))

    async def _apply(self, track: ReconcileState, step: Step, seen: Seen) -> None:
        if step.state is JobState.STARTING:
            attempts = [*track.attempts, step.pod]
            track.note.attempts = attempts
            begun = seen.pods.get(step.pod)
            track.note.boot = self._boot(begun.node) if begun is not None else ""
            await self._save(track)
            track.refusal, track.refusals = None, 0
            track.attempts = list(attempts)  # only now: what cannot be kept is tried again
        pod = seen.pods.get(step.pod)
        if step.state is JobState.RUNNING and pod is not None:
            self._logs.start(track, pod, step.attempt)
        records: dict[str, Any] = {}
        if step.state in FINAL or step.state is JobState.QUEUED:
            records = await self._logs.end(track, step, pod)
        if step.remake:
            await self._note_fault(track, step)
        if step.state in FINAL:
            track.note.over = True
            await self._save(track)
        self._count(track, -1)
        was_waiting = track.state is JobState.QUEUED
        track.state = step.state
        self._count(track, 1)
        if was_waiting or step.state is JobState.QUEUED:
            self._moved(track.queue, "" if step.state is JobState.QUEUED else track.id)
        self._emit(update_of(track.job, step, records, self._clock()))
        if step.state in FINAL:
            self._finish(track, step)

    async def _note_fault(self, track: ReconcileState, step: Step) -> None:
        """Note that a job waits again for a fault of the cluster: its Job is made anew, and goes first."""
        if step.refused_by:
            wanted = track.job.selection.accelerator_name
            number = self.refusing_nodes.note(step.refused_by, wanted, step.refused)
            _log.warning(
                "node did not take a pod in node=%s job=%s reason=%s lately=%d",
                step.refused_by,
                track.id,
                step.refused,
                number,
            )
        else:
            track.note.restarts += 1
        track.note.created, track.note.remake, track.note.first = False, True, True
        await self._save(track)
        track.dirty = True

    def _told(self, track: ReconcileState, attempt: int, told: ArchivedPart) -> None:
        if track.state is JobState.RUNNING and track.attempt == attempt:
            self._emit(Update(track.id, self._clock(), attempt, progress=told.progress, values=told.values))

    def _finish(self, track: ReconcileState, step: Step) -> None:
        self.tracks.pop(track.id, None)
        self._done.add(track.id)
        self._order.over(track.job)
        if step.remove:
            self._chore(self._remove(track.id))

    async def _remove(self, job_id: str) -> None:
        """Delete a Job that would never end by itself, however long that takes."""
        await self._give_quota_back(job_id)
        for pause in (*_RETRY, *([30.0] * 100)):
            try:
                await self._requests.delete(job_id)
            except KubeError:
                await asyncio.sleep(pause)
            else:
                return

    async def _give_quota_back(self, job_id: str) -> None:
        """Have Kueue take a job back before its Job is deleted.

        It keeps the quota of a Workload whose Job is gone until the garbage collector removes it, which may take half a minute.
        """
        workload = self._cluster.of(job_id).workload
        if workload is None or not workload.admitted:
            return
        with contextlib.suppress(KubeError):
            await self._requests.activate(workload.name, active=False)
            for _ in range(_TAKEN_BACK):
                workload = self._cluster.of(job_id).workload
                if workload is None or not workload.admitted:
                    return
                await asyncio.sleep(0.1)

    def _chore(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)

    async def _save(self, track: ReconcileState) -> None:
        await asyncio.to_thread(self._files.save, track.id, track.note)

    def is_over(self, job_id: str, attempt: int) -> bool:
        """Return whether nothing is added any more to the log of an attempt."""
        track = self.tracks.get(job_id)
        if track is None or attempt < track.attempt:
            return True
        if attempt > track.attempt:
            return False
        return track.state is JobState.QUEUED

    async def close(self) -> None:
        """Stop; the jobs run on."""
        self._open = False
        tasks = [track.task for track in self.tracks.values() if track.task] + list(self._chores)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for track in self.tracks.values():
            if track.follower is not None:
                await track.follower.stop()
