"""What vkd does: takes jobs in, follows them through the back end, and shows them to whom they concern.

It stands between the routes, which know HTTP, and the store and the back end, which know nothing of people.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from aiinfn_hub.contract.jobs import DryRun, HistoryEntry, Job, JobPage, JobRequest
from aiinfn_hub.contract.platform import AvailabilityReading, PlatformView, QueueChoice, Usage
from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.contract.runner import Resources
from aiinfn_hub.contract.sessions import Claim, ClaimRequest
from aiinfn_hub.contract.states import JobState
from aiinfn_hub.contract.sweeps import SweepTable
from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.i18n.messages import Message
from aiinfn_hub.platform import gate
from aiinfn_hub.platform.loading.reload import PlatformFile
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.person import Person
from aiinfn_hub.platform.selection import Door, simulated_devices
from aiinfn_hub.vkd.database import people
from aiinfn_hub.vkd.database.jobs import JobStore
from aiinfn_hub.vkd.database.retention import RetentionStore
from aiinfn_hub.vkd.domain.backend import Backends
from aiinfn_hub.vkd.domain.records import (
    Filter,
    StoredJob,
    View,
    now,
)
from aiinfn_hub.vkd.presentation import job_view, resource_summary, status_text

from . import authorization
from .access import AccessHolds
from .authorization import no_job
from .event_recorder import EventRecorder
from .platform_sync import PlatformSync
from .retention import RetentionWorker
from .submission import Submission

logger = logging.getLogger(__name__)


class JobService:
    """The delegation service.

    Parameters
    ----------
    file
        What there is and who may use it.
    """

    def __init__(self, file: PlatformFile, store: JobStore, backends: Backends) -> None:
        self._platform_sync = PlatformSync(file, backends.adopt)
        self.store = store
        self.backends = backends
        self.recorder = EventRecorder(store, backends, file.current.limits.usage_half_life)
        self._submission = Submission(lambda: self.platform, store, backends, self.recorder)
        self.retention_store = RetentionStore(store)
        self.retention = RetentionWorker(self.retention_store, backends.jobs, lambda: self.platform)
        self.followed: Counter[str] = Counter()
        """Logs that are being followed, by person."""
        self.access = AccessHolds(store, backends.jobs)

    async def start(self) -> None:
        """Hand the jobs that are not over to the back end, and follow them from then on."""
        await self.access.load()
        await self.recorder.start()
        self._platform_sync.start()
        self.retention.start()

    async def stop(self) -> None:
        """Stop following jobs, without ending them."""
        await self.retention.stop()
        await self._platform_sync.stop()
        await self.recorder.stop()

    @property
    def platform(self) -> Platform:
        """What is in force. Take it once in a request."""
        return self._platform_sync.platform

    @property
    def file_in_force(self) -> bool:
        """Whether the platform file as it is now is in force."""
        return self._platform_sync.file_in_force

    # Jobs: taking them in

    async def submit(self, person: Person, request: JobRequest, key: str | None) -> tuple[Job, bool]:
        """Take a job or a sweep in; see `Submission.submit`."""
        stored, created = await self._submission.submit(person, request, key)
        return self.show(stored, person), created

    async def dry_run(self, person: Person, request: JobRequest) -> DryRun:
        """Return what would happen to a request; see `Submission.dry_run`."""
        return await self._submission.dry_run(person, request)

    async def rerun(
        self, person: Person, job_id: str, key: str | None, points: str | None = None
    ) -> tuple[Job, bool]:
        """Run a finished job, or points of a finished sweep, again; see `Submission.rerun`."""
        old = await self._visible(person, job_id)
        stored, created = await self._submission.rerun(person, old, key, points)
        return self.show(stored, person), created

    async def run_again(self, person: Person, old: StoredJob, key: str | None) -> StoredJob:
        """Run one of many jobs again."""
        return (await self._submission.rerun(person, old, key))[0]

    # Jobs: showing and ending them

    async def job(self, person: Person, job_id: str) -> Job:
        """Show a job.

        Raises
        ------
        Refusal
            `Reason.NOT_FOUND`, also for a job that this person may not see: that it exists is nobody's business.
        """
        return self.show(await self._visible(person, job_id), person)

    async def jobs(self, person: Person, wanted: Filter) -> JobPage:
        """Show a page of jobs."""
        page = await self.store.page(self.view(person), wanted)
        positions, reading = self.backends.queues.positions(), self.backends.inventory.inventory()
        shown = [self._shown(stored, person, positions, reading) for stored in page.jobs]
        cursor = None
        searched_to = None
        if page.more:
            last = page.jobs[-1]
            cursor = f"n{last.number}" if wanted.since is None else f"c{last.change}-{last.number}"
        elif page.looked_to is not None:
            cursor, searched_to = f"n{page.looked_to[0]}", page.looked_to[1]
        return JobPage(
            jobs=shown,
            next_cursor=cursor,
            revision=page.through,
            active=page.active,
            deleted=page.deleted,
            searched_to=searched_to,
        )

    def version(self) -> tuple[str, int, int]:
        """Return what changes whenever a list of jobs may have changed; for ETags, so it is cheap."""
        return self.recorder.version()

    async def cancel(self, person: Person, job_id: str) -> Job:
        """Ask for a job's end; asking again changes nothing.

        Raises
        ------
        Refusal
            `Reason.CONFLICT` if it has ended otherwise.
        """
        seen = await self._visible(person, job_id)
        try:
            stored = await self.store.cancelling(job_id, person.name)
        except Refusal as refusal:
            if refusal.reason is not Reason.STORAGE_FULL:
                raise
            # It may be this job that fills the disk: it is stopped now, and that is written when there is room.
            stored = seen
            if not seen.final:
                self.recorder.note_cancellation(job_id, person.name)
        if stored is None:
            raise no_job()
        if stored.final:
            if stored.state is JobState.CANCELLED:
                return self.show(stored, person)
            raise Refusal(
                Reason.CONFLICT, _("The job has ended already."), _("There is nothing left to cancel.")
            )
        logger.info("job cancel job=%s by=%s", job_id, person.name)
        await self.stop_job(job_id, person.name)
        return self.show(stored, person)

    async def stop_job(self, job_id: str, by: str) -> None:
        """End a job, in its sweep or at the back end; that it was asked for is kept already."""
        if not self.recorder.sweeps.cancel(job_id, by):
            await self.backends.jobs.cancel(job_id)

    async def points(self, person: Person, job_id: str) -> SweepTable:
        """Show the points of a sweep.

        Raises
        ------
        Refusal
            `Reason.CONFLICT` for a job that is no sweep.
        """
        sweep = await self._visible(person, job_id)
        if sweep.sweep is None:
            raise Refusal(Reason.CONFLICT, _("This job is no sweep."), _("It has no points to show."))
        rows = await self.store.sweep_table(sweep)
        return SweepTable(
            points=[
                job_view.point(stored, self.show(stored, person), carried=carried) for stored, carried in rows
            ]
        )

    async def events(self, person: Person, job_id: str) -> list[HistoryEntry]:
        """Return a job's history, oldest first."""
        await self._visible(person, job_id)
        return job_view.history(await self.store.events(job_id))

    async def resources(self, person: Person, job_id: str, attempt: int | None) -> Resources:
        """Show what an attempt of a job used; the last one unless another is named.

        Raises
        ------
        Refusal
            `Reason.CONFLICT` for a sweep, which runs nothing itself; `Reason.NOT_FOUND` for an attempt that was not.
        """
        stored = await self._visible(person, job_id)
        if stored.sweep is not None:
            raise Refusal(Reason.CONFLICT, _("A sweep uses nothing itself."), _("Look at one of its points."))
        if attempt is not None and attempt > max(stored.attempt, 1):
            raise no_attempt(attempt, stored.attempt)
        wanted = attempt or stored.attempt
        points = await self.backends.logs.read_resources(job_id, wanted) if wanted else []
        offer = gate.offer(self.platform, person, door=Door.JOB)
        names = offer.sizes_of(stored.project, stored.accelerator) if stored.project in offer.projects else ()
        reading = self.backends.inventory.inventory()
        device = simulated_devices(stored.selection)
        return resource_summary.view(
            stored,
            wanted,
            points,
            {name: self.platform.sizes[name] for name in names},
            simulated=bool(stored.count) and job_view.simulated(stored.accelerator, device, reading),
            final=stored.final or wanted < stored.attempt,
        )

    async def stored(self, person: Person, job_id: str) -> StoredJob:
        """Return a job as it is kept, if the person may see it."""
        return await self._visible(person, job_id)

    # The platform

    def platform_view(self, person: Person) -> PlatformView:
        """Show what the person may use, and what there is of it now."""
        return job_view.platform(
            gate.offer(self.platform, person, door=Door.JOB),
            self.backends.inventory.inventory(),
            self.backends.queues.queues(),
        )

    def queues(self, person: Person) -> list[QueueChoice]:
        """Show the queues that the person may use."""
        return job_view.queues(
            gate.offer(self.platform, person, door=Door.JOB), self.backends.queues.queues()
        )

    def availability(self, names: frozenset[str] | None) -> AvailabilityReading:
        """Show what there is of some accelerators, or of all."""
        return job_view.aged(self.backends.inventory.inventory(), names, self._platform_sync.version)

    async def usage(self, person: Person, since: datetime) -> Usage:
        """Sum the batch use since a moment, of what the person may see."""
        return Usage(since=since, entries=await self.store.usage(self.view(person), since, now()))

    # Sessions

    async def claim(self, session_id: str, request: ClaimRequest) -> Claim:
        """Ask for devices for a session."""
        # The hub may have read a changed platform file a moment before vkd does.
        known = request.accelerator in self.platform.accelerators
        if not known and request.accelerator not in (await self._platform_sync.latest()).accelerators:
            raise Refusal(
                Reason.UNKNOWN,
                _("There is no accelerator {name}.").format(name=repr(request.accelerator[:60])),
                _("Choose another one on the form."),
                field="accelerator",
            )
        claim = await self.backends.devices.claim(session_id, request)
        logger.info(
            "session claim session=%s accelerator=%s count=%d state=%s",
            session_id,
            request.accelerator,
            request.count,
            claim.state,
        )
        return claim

    async def claim_state(self, session_id: str) -> Claim:
        """Return how far a claim is."""
        claim = await self.backends.devices.claim_state(session_id)
        if claim is None:
            raise Refusal(Reason.NOT_FOUND, _("This session holds no device."), _("Claim one first."))
        return claim

    async def release(self, session_id: str) -> None:
        """Take a session's devices back."""
        await self.backends.devices.release(session_id)
        logger.info("session release session=%s", session_id)

    # People

    async def release_user(self, name: str, released_as: str, *, dry_run: bool) -> int:
        """Release a user name; see `people.release`."""
        kept = await people.release(self.store, name, released_as, dry_run=dry_run)
        if not dry_run:
            logger.info("person released owner=%s as=%s jobs=%d", name, released_as, kept)
        return kept

    # Who sees what

    def view(self, person: Person) -> View:
        """Return whose jobs a person sees; see `authorization.view`."""
        return authorization.view(person, self.platform)

    async def _visible(self, person: Person, job_id: str) -> StoredJob:
        stored = await self.store.get(job_id)
        if stored is None or not self.view(person).sees(stored):
            raise no_job()
        return stored

    def show(self, stored: StoredJob, person: Person) -> Job:
        """Show a job as it is kept."""
        return self._shown(
            stored, person, self.backends.queues.positions(), self.backends.inventory.inventory()
        )

    def _shown(
        self,
        stored: StoredJob,
        person: Person,
        positions: Mapping[str, int],
        reading: AvailabilityReading,
    ) -> Job:
        if not stored.final and (by := self.recorder.cancelled_by(stored.id)):
            stored = replace(stored, cancelled_by=stored.cancelled_by or by)
        try:
            return job_view.job(
                stored, person, self.platform, positions.get(stored.id), reading, self._reason(stored)
            )
        except Exception:
            logger.exception("job cannot be shown job=%s", stored.id)
            return job_view.unreadable(stored)

    def _reason(self, stored: StoredJob) -> Message | None:
        if held := self.access.reason(stored):
            return held
        if self.recorder.sweeps.holds(stored.id):
            return status_text.TURN
        return self.backends.queues.reason(stored.id)


def no_attempt(asked: int, latest: int) -> Refusal:
    """Refuse an attempt that was not."""
    return Refusal(
        Reason.NOT_FOUND,
        _("This job has no attempt {attempt}.").format(attempt=asked),
        _("The latest is {attempt}.").format(attempt=latest),
        field="attempt",
    )
