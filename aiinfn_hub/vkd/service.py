"""What vkd does: takes jobs in, follows them through the back end, and shows them to whom they concern.

It stands between the routes, which know HTTP, and the store and the back end, which know nothing of people.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from aiinfn_hub.platform import gate
from aiinfn_hub.platform.model import Platform
from aiinfn_hub.platform.person import Person
from aiinfn_hub.platform.refusal import Reason, Refusal
from aiinfn_hub.platform.reload import PlatformFile
from aiinfn_hub.platform.selection import Door, Selection

from . import inputs, sentences, views
from .adoption import Adoption
from .backends.base import Backend, BackendJob
from .contract import (
    AvailabilityReading,
    Claim,
    ClaimRequest,
    DryRun,
    HistoryEntry,
    Job,
    JobPage,
    JobRequest,
    JobState,
    PlatformView,
    QueueChoice,
    Usage,
    Work,
    output_path,
)
from .database import refusal_of
from .follower import Follower
from .records import Filter, NewJob, StoredJob, View, digest, new_id, now
from .store import Store

logger = logging.getLogger(__name__)

CHOICES: Final = ("project", "queue", "accelerator", "count", "image", "size", "time_limit")
"""The fields of a request that the gate decides about."""


class Service:
    """The delegation service.

    Parameters
    ----------
    file
        What there is and who may use it.
    """

    def __init__(self, file: PlatformFile, store: Store, backend: Backend) -> None:
        self._adoption = Adoption(file, backend.adopt)
        self.store = store
        self.backend = backend
        self.follower = Follower(store, backend, file.current.limits.usage_half_life)
        self._submitting = asyncio.Lock()

    async def start(self) -> None:
        """Hand the back end what is not over, and follow it from then on."""
        await self.follower.start()
        self._adoption.start()

    async def stop(self) -> None:
        """Let go, without ending jobs."""
        await self._adoption.stop()
        await self.follower.stop()

    @property
    def platform(self) -> Platform:
        """What is in force. Take it once in a request."""
        return self._adoption.platform

    @property
    def file_in_force(self) -> bool:
        """Whether the platform file as it is now is in force."""
        return self._adoption.file_in_force

    # Jobs: taking them in

    async def submit(self, person: Person, request: JobRequest, key: str | None) -> tuple[Job, bool]:
        """Take a job in; it is kept before this returns.

        Parameters
        ----------
        key
            Idempotency key: the same request with the same key is the same job.

        Returns
        -------
        job, created
            ``created`` is False if the key found an earlier one.

        Raises
        ------
        Refusal
            From the gate, from `inputs`, for a full disk, or because too many of the person's jobs wait.
        """
        work, selection, name = self._check(person, request)
        return await self._accept(
            person,
            NewJob(
                selection=selection,
                work=work,
                output="",
                name=name,
                id="",
                created=now(),
                idempotency_key=inputs.idempotency_key(key),
                digest=digest(request.model_dump(mode="json", exclude_none=True)),
            ),
        )

    def dry_run(self, person: Person, request: JobRequest) -> DryRun:
        """Say what would become of a request.

        Raises
        ------
        Refusal
            If it would be refused.
        """
        _, selection, _ = self._check(person, request)
        queue = selection.queue_name or ""
        lengths = self.backend.queues()
        ahead = lengths[queue].waiting if queue in lengths else 0
        free = sum(
            entry.free
            for entry in self.backend.inventory().accelerators
            if entry.accelerator == selection.accelerator_name
        )
        title = selection.accelerator.title if selection.accelerator else ""
        return DryRun(
            sentence=sentences.would_start(
                selection.count, title, free, ahead, self.platform.queues[queue].title
            ),
            ahead=ahead,
        )

    async def rerun(self, person: Person, job_id: str, key: str | None) -> tuple[Job, bool]:
        """Run a finished job again: the same copy of its input, its choices granted anew.

        Raises
        ------
        Refusal
            If it is somebody else's (its input is in that person's home), is not over, or would not be granted now.
        """
        old = await self._visible(person, job_id)
        if old.owner != person.name:
            raise Refusal(
                Reason.FORBIDDEN, "Only its owner can run a job again.", "Its input is in the owner's home."
            )
        if not old.final:
            raise Refusal(
                Reason.CONFLICT,
                "The job is not over yet.",
                "Wait for its end, or cancel it, then run it again.",
            )
        granted = old.selection
        choices = {
            "project": old.project,
            "queue": old.queue,
            "accelerator": old.accelerator,
            "count": old.count,
            "image": granted["image_name"],
            "size": granted["size_name"],
            "time_limit": granted["time_limit"],
        }
        return await self._accept(
            person,
            NewJob(
                selection=gate.resolve(choices, self.platform, person, Door.JOB),
                work=Work.model_validate(old.work),
                output="",
                name=old.name,
                id="",
                created=now(),
                rerun_of=old.id,
                idempotency_key=inputs.idempotency_key(key),
                digest=digest({"rerun_of": old.id}),
            ),
        )

    def _check(self, person: Person, request: JobRequest) -> tuple[Work, Selection, str]:
        choices = {field: value for field in CHOICES if (value := getattr(request, field)) is not None}
        selection = gate.resolve(choices, self.platform, person, Door.JOB)
        work = inputs.check_work(request.work)
        return work, selection, inputs.job_name(request.name, work.path)

    async def _accept(self, person: Person, wanted: NewJob) -> tuple[Job, bool]:
        job_id = new_id()
        new = NewJob(
            selection=wanted.selection,
            work=wanted.work,
            output=output_path(wanted.work, job_id),
            name=wanted.name,
            id=job_id,
            created=wanted.created,
            rerun_of=wanted.rerun_of,
            idempotency_key=wanted.idempotency_key,
            digest=wanted.digest,
        )
        # One at a time: the limit is exact, and a second click waits until the first is decided. From here on a client
        # that goes away changes nothing: a job that is in the store must reach the back end.
        stored, created = await asyncio.shield(asyncio.ensure_future(self._keep(person, new)))
        if created:
            logger.info(
                "job submitted job=%s owner=%s project=%s queue=%s accelerator=%s count=%d",
                stored.id,
                stored.owner,
                stored.project,
                stored.queue,
                stored.accelerator,
                stored.count,
            )
        return self._show(stored, person), created

    async def _keep(self, person: Person, new: NewJob) -> tuple[StoredJob, bool]:
        async with self._submitting:
            if (found := await self.store.replay(new)) is not None:
                return found, False
            stored = await self.store.insert(new, most_waiting=self.platform.limits.jobs_waiting_per_person)
            job = BackendJob(new.id, new.selection, new.work, new.output, new.created)
            try:
                await self.backend.submit(job)
            except Exception as error:
                await self.follower.withdraw(new.id)
                if isinstance(error, Refusal):
                    raise
                if refusal := refusal_of(error):
                    raise refusal from error
                raise
            return stored, True

    # Jobs: showing and ending them

    async def job(self, person: Person, job_id: str) -> Job:
        """Show a job.

        Raises
        ------
        Refusal
            `Reason.NOT_FOUND`, also for a job that this person may not see: that it exists is nobody's business.
        """
        return self._show(await self._visible(person, job_id), person)

    async def jobs(self, person: Person, wanted: Filter) -> JobPage:
        """Show a page of jobs."""
        page = await self.store.page(self.view(person), wanted)
        positions, reading = self.backend.positions(), self.backend.inventory()
        shown = [
            views.job(
                stored,
                person,
                self.platform,
                positions.get(stored.id),
                reading,
                self.backend.reason(stored.id),
            )
            for stored in page.jobs
        ]
        cursor = None
        if page.more:
            last = page.jobs[-1]
            cursor = f"n{last.number}" if wanted.since is None else f"c{last.change}-{last.number}"
        return JobPage(jobs=shown, next=cursor, updated_through=page.through, active=page.active)

    def version(self) -> tuple[str, int, int]:
        """Give what changes whenever a list of jobs may have changed; for ETags, so it is cheap."""
        return self.follower.version()

    async def cancel(self, person: Person, job_id: str) -> Job:
        """Ask for a job's end; asking again changes nothing.

        Raises
        ------
        Refusal
            `Reason.CONFLICT` if it has ended otherwise.
        """
        await self._visible(person, job_id)
        stored = await self.store.cancelling(job_id, person.name)
        if stored is None:
            raise _no_job()
        if stored.final:
            if stored.state is JobState.CANCELLED:
                return self._show(stored, person)
            raise Refusal(Reason.CONFLICT, "The job has ended already.", "There is nothing left to cancel.")
        logger.info("job cancel job=%s by=%s", job_id, person.name)
        await self.backend.cancel(job_id)
        return self._show(stored, person)

    async def events(self, person: Person, job_id: str) -> list[HistoryEntry]:
        """Give a job's history, oldest first."""
        await self._visible(person, job_id)
        return await self.store.events(job_id)

    async def stored(self, person: Person, job_id: str) -> StoredJob:
        """Give a job as it is kept, if the person may see it."""
        return await self._visible(person, job_id)

    # The platform

    def platform_view(self, person: Person) -> PlatformView:
        """Show what the person may use, and what there is of it now."""
        return views.platform(
            gate.offer(self.platform, person, door=Door.JOB), self.backend.inventory(), self.backend.queues()
        )

    def queues(self, person: Person) -> list[QueueChoice]:
        """Show the queues that the person may use."""
        return views.queues(gate.offer(self.platform, person, door=Door.JOB), self.backend.queues())

    def availability(self, names: frozenset[str] | None) -> AvailabilityReading:
        """Show what there is of some accelerators, or of all."""
        return views.aged(self.backend.inventory(), names, self._adoption.version)

    async def usage(self, person: Person, since: datetime) -> Usage:
        """Sum the batch use since a moment, of what the person may see."""
        return Usage(since=since, entries=await self.store.usage(self.view(person), since, now()))

    # Sessions

    async def claim(self, session_id: str, request: ClaimRequest) -> Claim:
        """Ask for devices for a session."""
        # The hub may have read a changed platform file a moment before vkd does.
        known = request.accelerator in self.platform.accelerators
        if not known and request.accelerator not in (await self._adoption.latest()).accelerators:
            raise Refusal(
                Reason.UNKNOWN,
                f"There is no accelerator {request.accelerator[:60]!r}.",
                "Choose another one on the form.",
                field="accelerator",
            )
        claim = await self.backend.claim(session_id, request)
        logger.info(
            "session claim session=%s accelerator=%s count=%d state=%s",
            session_id,
            request.accelerator,
            request.count,
            claim.state,
        )
        return claim

    async def claim_state(self, session_id: str) -> Claim:
        """Tell how far a claim is."""
        claim = await self.backend.claim_state(session_id)
        if claim is None:
            raise Refusal(Reason.NOT_FOUND, "This session holds no device.", "Claim one first.")
        return claim

    async def release(self, session_id: str) -> None:
        """Give a session's devices back."""
        await self.backend.release(session_id)
        logger.info("session release session=%s", session_id)

    # Who sees what

    def view(self, person: Person) -> View:
        """Give whose jobs a person sees: the own, those of managed projects, and operators all."""
        return View(person.name, person.managed_projects(self.platform), everything=person.admin)

    async def _visible(self, person: Person, job_id: str) -> StoredJob:
        stored = await self.store.get(job_id)
        if stored is None or not self.view(person).sees(stored):
            raise _no_job()
        return stored

    def _show(self, stored: StoredJob, person: Person) -> Job:
        positions: Mapping[str, int] = self.backend.positions()
        return views.job(
            stored,
            person,
            self.platform,
            positions.get(stored.id),
            self.backend.inventory(),
            self.backend.reason(stored.id),
        )


def _no_job() -> Refusal:
    return Refusal(Reason.NOT_FOUND, "There is no such job.", "It may belong to somebody else.")
