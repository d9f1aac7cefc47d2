"""Submission: check a request, store the job, and hand it to the back end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from aiinfn_hub.contract.jobs import DryRun, JobRequest, Work
from aiinfn_hub.contract.paths import output_folder, output_path, point_output
from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.contract.states import JobState
from aiinfn_hub.contract.sweeps import SweepProgress
from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.platform import gate
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.person import Person
from aiinfn_hub.platform.selection import Door, Selection
from aiinfn_hub.vkd.database.engine import refusal_of
from aiinfn_hub.vkd.database.jobs import JobStore
from aiinfn_hub.vkd.domain.backend import BackendJob, Backends, QueueLength
from aiinfn_hub.vkd.domain.records import (
    NewJob,
    StoredJob,
    digest,
    new_id,
    now,
)
from aiinfn_hub.vkd.domain.sweep_points import at_point
from aiinfn_hub.vkd.presentation import status_text

from . import precheck, validation
from .event_recorder import EventRecorder

logger = logging.getLogger(__name__)

CHOICES: Final = ("project", "queue", "accelerator", "count", "image", "size", "time_limit")
"""The fields of a request that the gate decides about."""
Points = Mapping[int, Mapping[str, Any]]
"""The points of a sweep by number, with their values."""


class Submission:
    """Takes jobs in.

    Parameters
    ----------
    platform
        Returns the platform in force.
    """

    def __init__(
        self, platform: Callable[[], Platform], store: JobStore, backends: Backends, recorder: EventRecorder
    ) -> None:
        self._platform = platform
        self._store = store
        self._jobs, self._queues, self._inventory = backends.jobs, backends.queues, backends.inventory
        self._recorder = recorder
        # One at a time: a second click waits until the first is decided.
        self._submitting = asyncio.Lock()

    async def submit(self, person: Person, request: JobRequest, key: str | None) -> tuple[StoredJob, bool]:
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
            From the gate, from `validation`, for a full disk, or because too many of the person's jobs wait.
        """
        work, selection, name, said = self._check(person, request)
        asked = digest(request.model_dump(mode="json", exclude_none=True))
        if request.sweep is None:
            return await self._keep(_new(selection, work, name, key, asked, said))
        points = dict(enumerate(request.sweep.points, 1))
        sweep = _progress(points, request.sweep.parallelism)
        return await self._keep(_new(selection, work, name, key, asked, said, sweep=sweep), points)

    async def dry_run(self, person: Person, request: JobRequest) -> DryRun:
        """Return what would happen to a request; see `precheck`.

        Raises
        ------
        Refusal
            If it would be refused.
        """
        _work, selection, _name, _said = self._check(person, request)
        platform, sweep = self._platform(), request.sweep
        mine = await self._store.check_waiting(
            person.name,
            0 if sweep is None else len(sweep.points),
            most_waiting=platform.limits.jobs_waiting_per_person,
            most_points=platform.limits.sweep_points_per_person,
        )
        queue, accelerator = selection.queue_name or "", selection.accelerator_name
        entries = self._inventory.inventory().accelerators
        there = next((entry for entry in entries if entry.accelerator == accelerator), None)
        facts = precheck.Facts(
            selection=selection,
            platform=platform,
            length=self._queues.queues().get(queue, QueueLength()),
            there=there,
            largest=self._inventory.largest(accelerator) if selection.count else None,
            mine=precheck.QueueAhead(*mine),
            time_given=request.time_limit is not None and request.time_limit != "",
            sweep=sweep,
        )
        found = precheck.look(facts)
        hopeless = next(
            (check for check in found if check.what == "fits" and check.verdict == "problem"), None
        )
        free, ahead = there.free if there else 0, facts.length.waiting
        return DryRun(
            sentence=hopeless.sentence
            if hopeless
            else str(status_text.would_start(selection.count, facts.title, free, ahead, facts.queue)),
            ahead=ahead,
            checks=found,
        )

    async def rerun(
        self, person: Person, old: StoredJob, key: str | None, points: str | None = None
    ) -> tuple[StoredJob, bool]:
        """Run a finished job again: the same copy of its input, its choices judged again.

        Parameters
        ----------
        points
            Of a sweep: ``failed`` (all that did not succeed), ``all``, or numbers separated by commas. Default: those that
            did not succeed, or all if all did.

        Raises
        ------
        Refusal
            If it is somebody else's (its input is in that person's home), is not over, or would not be granted now.
        """
        if old.sweep_of is not None:
            points = str(old.point)
            sweep = await self._store.get(old.sweep_of)
            old = sweep or old
        if old.owner != person.name:
            raise Refusal(
                Reason.FORBIDDEN,
                _("Only its owner can run a job again."),
                _("Its input is in the owner's home."),
            )
        if not old.final:
            raise Refusal(
                Reason.CONFLICT,
                _("The sweep is not over yet.") if old.sweep else _("The job is not over yet."),
                _("Wait for its end, or cancel it, then run it again."),
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
        selection = gate.resolve(choices, self._platform(), person, Door.JOB)
        work = Work.model_validate(old.work)
        if old.sweep is None:
            asked = digest({"rerun_of": old.id})
            return await self._keep(
                _new(selection, work, old.name, key, asked, old.description, rerun_of=old.id)
            )
        chosen = _chosen([point for point, _carried in await self._store.sweep_table(old)], points)
        asked = digest({"rerun_of": old.id, "points": sorted(chosen)})
        again = _progress(chosen, old.sweep.parallelism)
        return await self._keep(
            _new(selection, work, old.name, key, asked, old.description, rerun_of=old.id, sweep=again),
            chosen,
        )

    def _check(self, person: Person, request: JobRequest) -> tuple[Work, Selection, str, Mapping[str, Any]]:
        choices = {field: value for field in CHOICES if (value := getattr(request, field)) is not None}
        selection = gate.resolve(choices, self._platform(), person, Door.JOB)
        work = validation.check_work(request.work)
        if request.sweep is not None:
            validation.check_sweep(work, request.sweep)
        name, said = validation.job_name(request.name, work.path), validation.check_description(request)
        return work, selection, name, said

    # Keeping. From here on a client that goes away changes nothing: a job that is in the store must reach the back end.

    async def _keep(self, new: NewJob, points: Points | None = None) -> tuple[StoredJob, bool]:
        """Keep a job, or a sweep with its points; what its idempotency key made before is given instead."""
        stored, created = await asyncio.shield(asyncio.ensure_future(self._insert(new, points)))
        if created:
            kind, what = ("sweep", "points") if points else ("job", "count")
            logger.info(
                "%s submitted %s=%s owner=%s project=%s queue=%s accelerator=%s %s=%d",
                kind,
                kind,
                stored.id,
                stored.owner,
                stored.project,
                stored.queue,
                stored.accelerator,
                what,
                len(points) if points else stored.count,
            )
        return stored, created

    async def _insert(self, new: NewJob, points: Points | None) -> tuple[StoredJob, bool]:
        async with self._submitting:
            if (found := await self._store.replay(new)) is not None:
                return found, False
            if points:
                return await self._insert_sweep(new, points), True
            return await self._insert_job(new), True

    async def _insert_job(self, new: NewJob) -> StoredJob:
        most = self._platform().limits.jobs_waiting_per_person
        stored = await self._store.insert(new, most_waiting=most)
        job = BackendJob(new.id, new.selection, new.work, new.output, new.created, stored.number)
        try:
            await self._jobs.submit(job)
        except Exception as error:
            await self._recorder.withdraw(new.id)
            if isinstance(error, Refusal):
                raise
            if refusal := refusal_of(error):
                raise refusal from error
            raise
        return stored

    async def _insert_sweep(self, new: NewJob, points: Points) -> StoredJob:
        limits = self._platform().limits
        sweep, kept = await self._store.insert_sweep(
            new,
            _points(new, points),
            most_waiting=limits.jobs_waiting_per_person,
            most_points=limits.sweep_points_per_person,
        )
        self._recorder.sweeps.begin(sweep, kept)
        return sweep


def _new(
    selection: Selection,
    work: Work,
    name: str,
    key: str | None,
    asked: str,
    description: Mapping[str, Any],
    *,
    rerun_of: str | None = None,
    sweep: SweepProgress | None = None,
) -> NewJob:
    job_id = new_id()
    return NewJob(
        selection=selection,
        work=work,
        output=output_path(work, job_id) if sweep is None else output_folder(work, job_id),
        name=name,
        id=job_id,
        created=now(),
        rerun_of=rerun_of,
        idempotency_key=validation.idempotency_key(key),
        digest=asked,
        sweep=sweep,
        description=description,
    )


def _progress(points: Points, parallelism: int) -> SweepProgress:
    """Return how far a sweep is before it begins."""
    number = len(points)
    return SweepProgress(points=number, parallelism=min(parallelism, number), queued=number)


def _points(sweep: NewJob, points: Points) -> list[NewJob]:
    return [
        NewJob(
            selection=sweep.selection,
            work=at_point(sweep.work, values),
            output=point_output(sweep.work, sweep.id, number),
            name=f"{sweep.name}, point {number}",
            id=new_id(),
            created=sweep.created,
            sweep_of=sweep.id,
            point=number,
            swept=values,
        )
        for number, values in sorted(points.items())
    ]


def _chosen(points: list[StoredJob], wanted: str | None) -> Points:
    """Return the points of a finished sweep that are to run again; see `Submission.rerun`."""
    every = {point.point or 0: point.swept or {} for point in points}
    failed = {
        point.point or 0: point.swept or {} for point in points if point.state is not JobState.SUCCEEDED
    }
    if wanted in {None, ""}:
        return failed or every
    if wanted == "all":
        return every
    if wanted == "failed":
        if not failed:
            raise Refusal(
                Reason.CONFLICT,
                _("All points of this sweep succeeded."),
                _("Ask for all, or for their numbers."),
                field="points",
            )
        return failed
    numbers = [int(part) for part in str(wanted).split(",") if part.isascii() and part.isdigit()]
    if len(numbers) != len(str(wanted).split(",")) or not set(numbers) <= every.keys():
        raise Refusal(
            Reason.INVALID,
            _("These are not points of this sweep."),
            _("Write failed, all, or numbers from 1 to {most} separated by commas.").format(
                most=max(every, default=0)
            ),
            field="points",
        )
    return {number: every[number] for number in numbers}
