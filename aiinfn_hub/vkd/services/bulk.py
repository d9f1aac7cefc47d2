"""Bulk actions on jobs: change them, and cancel, run again, label or delete many at once."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from aiinfn_hub.contract.changes import (
    BulkRequest,
    BulkResult,
    BulkResults,
    JobChange,
    Tombstone,
)
from aiinfn_hub.contract.jobs import Job
from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.contract.problem_model import Problem
from aiinfn_hub.contract.states import JobState
from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.platform.person import Person
from aiinfn_hub.vkd.database.retention import Check
from aiinfn_hub.vkd.domain.records import StoredJob
from aiinfn_hub.vkd.presentation import job_view

from . import validation
from .authorization import no_job
from .jobs import JobService

logger = logging.getLogger(__name__)
Outcome = dict[str, StoredJob | Refusal]


class JobActions:
    """Changes of jobs that were taken in.

    Parameters
    ----------
    service
        Knows who sees what, and the back end.
    """

    def __init__(self, service: JobService) -> None:
        self._service = service
        self._care = service.retention_store

    async def edit(self, person: Person, job_id: str, change: JobChange) -> Job:
        """Change name, labels or pin of a job.

        Raises
        ------
        Refusal
            From `validation`; because it is somebody else's; or because too many are pinned.
        """
        labels = None if change.labels is None else validation.check_labels(change.labels)

        def changed(job: StoredJob) -> StoredJob:
            name = job.name
            if change.name is not None:
                name = validation.job_name(change.name, str(job.work.get("path", "")))
            pinned = job.pinned if change.pinned is None else change.pinned
            if pinned and not job.pinned:
                _check_pinnable(job)
            job = replace(job, name=name, pinned=pinned)
            return job if labels is None else job.relabelled(labels)

        done = await self._edit([job_id], person, changed)
        return self._service.show(_good(done[job_id]), person)

    async def delete(self, person: Person, job_id: str) -> None:
        """Delete a job that is over.

        Raises
        ------
        Refusal
            If it is somebody else's, not over, a point of a sweep, or a sweep whose results a later one shows.
        """
        _good((await self._delete([job_id], person))[job_id])

    async def many(self, person: Person, request: BulkRequest, key: str | None) -> BulkResults:
        """Do the same with many jobs; one that cannot be done does not keep the others from it.

        Parameters
        ----------
        key
            Of ``rerun``: the same request with the same key makes the same jobs.
        """
        ids = list(dict.fromkeys(request.ids))
        actions: dict[str, Callable[[], Awaitable[Outcome]]] = {
            "cancel": lambda: self._cancel(ids, person),
            "rerun": lambda: self._rerun(ids, person, validation.idempotency_key(key)),
            "delete": lambda: self._delete(ids, person),
            "label": lambda: self._label(ids, person, request),
        }
        done = await actions[request.action]()
        shown = request.action != "delete"
        return BulkResults(
            results=[self._result(job_id, done[job_id], person, shown=shown) for job_id in ids]
        )

    async def tombstones(self, person: Person, most: int) -> list[Tombstone]:
        """Return what may be left of deleted jobs in the person's own home."""
        return await self._care.tombstones(person.name, most)

    async def acknowledge_tombstones(self, person: Person, ids: Sequence[str]) -> None:
        """Note that nothing is left of them there."""
        await self._care.acknowledge_tombstones(person.name, ids)

    # One action each

    async def _cancel(self, ids: list[str], person: Person) -> Outcome:
        def check(job: StoredJob | None) -> StoredJob:
            seen = self._seen(job, person)
            if seen.final and seen.state is not JobState.CANCELLED:
                raise _ended()
            return seen

        done = await self._care.cancelling(ids, check, person.name)
        for job in done.values():
            if isinstance(job, StoredJob) and not job.final:
                await self._service.stop_job(job.id, person.name)
        logger.info("jobs cancel number=%d by=%s", len(done), person.name)
        return done

    async def _rerun(self, ids: list[str], person: Person, key: str | None) -> Outcome:
        found = await self._care.get_many(ids)
        done: Outcome = {}
        for job_id in ids:
            try:
                old = self._seen(found.get(job_id), person)
                own = None if key is None else validation.idempotency_key(f"{key[:180]}-{job_id}")
                done[job_id] = await self._service.run_again(person, old, own)
            except Refusal as refusal:
                done[job_id] = refusal
        return done

    async def _delete(self, ids: list[str], person: Person) -> Outcome:
        done = await self._care.remove(ids, self._own(person))
        number = sum(isinstance(job, StoredJob) for job in done.values())
        logger.info("jobs deleted number=%d by=%s", number, person.name)
        if number:
            self._service.retention.poke()
        return done

    async def _label(self, ids: list[str], person: Person, request: BulkRequest) -> Outcome:
        add = validation.check_labels(request.add_labels, "add_labels")
        remove = {validation.label(text, "remove_labels") for text in request.remove_labels}

        def changed(job: StoredJob) -> StoredJob:
            kept = [label for label in job.labels if label not in remove]
            return job.relabelled(validation.check_labels([*kept, *add]))

        return await self._edit(ids, person, changed)

    async def _edit(
        self, ids: list[str], person: Person, change: Callable[[StoredJob], StoredJob]
    ) -> Outcome:
        most = self._service.platform.limits.pinned_jobs_per_person
        return await self._care.edit(ids, self._own(person), change, most_pinned=most)

    # Who may

    def _seen(self, job: StoredJob | None, person: Person) -> StoredJob:
        if job is None or not self._service.view(person).sees(job):
            raise no_job()
        return job

    def _own(self, person: Person) -> Check:
        def check(job: StoredJob | None) -> StoredJob:
            seen = self._seen(job, person)
            if not job_view.may_edit(seen, person):
                raise Refusal(
                    Reason.FORBIDDEN,
                    _("Only its owner or an operator can change or delete this job."),
                    _("Ask {owner}.").format(owner=seen.owner),
                )
            return seen

        return check

    def _result(self, job_id: str, done: StoredJob | Refusal, person: Person, *, shown: bool) -> BulkResult:
        if isinstance(done, Refusal):
            problem = Problem(
                reason=done.reason.value, message=done.message, hint=done.hint, field=done.field
            )
            return BulkResult(id=job_id, problem=problem)
        return BulkResult(id=job_id, job=self._service.show(done, person) if shown else None)


def _ended() -> Refusal:
    return Refusal(Reason.CONFLICT, _("The job has ended already."), _("There is nothing left to cancel."))


def _check_pinnable(job: StoredJob) -> None:
    if job.sweep_of is not None:
        raise Refusal(
            Reason.CONFLICT, _("A point is kept as long as its sweep."), _("Pin the sweep."), field="pinned"
        )


def _good(done: StoredJob | Refusal) -> StoredJob:
    if isinstance(done, Refusal):
        raise done
    return done
