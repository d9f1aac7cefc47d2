"""SQL for changing and deleting jobs, and for what is left of deleted ones.

A deleted job is gone for everybody in one transaction, which also notes what of it is elsewhere: its log at the back end, the
copy of its input and its checkpoints in its owner's home. Each of these is removed afterwards and its note with it, so
that a vkd that is killed in between goes on where it was. The account of device time stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from aiinfn_hub.contract.changes import Tombstone
from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.contract.states import JobState
from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.vkd.domain.records import StoredJob, now, snapshot_digest

from . import search_index
from .jobs import JobStore
from .tables import jobs, removed

Check = Callable[[StoredJob | None], StoredJob]
"""Gives the job if something may be done with it, else raises a `Refusal`."""
_AT_ONCE: Final = 500
"""Ids in one statement."""


class RetentionStore:
    """The other half of the store.

    Parameters
    ----------
    store
        Whose database it works on.
    """

    def __init__(self, store: JobStore) -> None:
        self._store = store

    async def get_many(self, ids: Sequence[str]) -> dict[str, StoredJob]:
        """Return the jobs that there are of some ids."""
        async with self._store.reading() as connection:
            return await _many(connection, ids)

    # Changing

    async def edit(
        self, ids: Sequence[str], check: Check, change: Callable[[StoredJob], StoredJob], *, most_pinned: int
    ) -> dict[str, StoredJob | Refusal]:
        """Change name, labels or pin of jobs.

        Parameters
        ----------
        change
            Gives a job as it is to be, or raises a `Refusal`.
        most_pinned
            How many jobs of one person may be pinned.

        Returns
        -------
        dict
            Each job as it is now, or why it was not changed.
        """
        outcome: dict[str, StoredJob | Refusal] = {}
        async with self._store.changing() as (connection, number):
            found = await _many(connection, ids, lock=True)
            for job_id in ids:
                try:
                    before = check(found.get(job_id))
                    after = change(before)
                    if after.pinned and not before.pinned:
                        await _check_pinned(connection, after.owner, most_pinned)
                except Refusal as refusal:
                    outcome[job_id] = refusal
                    continue
                outcome[job_id] = after
                if after != before:
                    outcome[job_id] = replace(after, change=number)
                    await _write(connection, before, after, number)
        return outcome

    async def cancelling(self, ids: Sequence[str], check: Check, by: str) -> dict[str, StoredJob | Refusal]:
        """Remember that somebody asked for the end of jobs; see `JobStore.cancelling`."""
        outcome: dict[str, StoredJob | Refusal] = {}
        async with self._store.changing() as (connection, number):
            found = await _many(connection, ids, lock=True)
            asked = []
            for job_id in ids:
                try:
                    job = check(found.get(job_id))
                except Refusal as refusal:
                    outcome[job_id] = refusal
                    continue
                if not job.final and job.cancelled_by is None:
                    job = replace(job, cancelled_by=by, change=number)
                    asked.append(job_id)
                outcome[job_id] = job
            for some in _some(asked):
                await connection.execute(
                    sa.update(jobs).where(jobs.c.id.in_(some)).values(cancelled_by=by, change=number)
                )
        return outcome

    # Deleting

    async def remove(self, ids: Sequence[str], check: Check) -> dict[str, StoredJob | Refusal]:
        """Delete jobs that are over, sweeps with their points.

        Returns
        -------
        dict
            Each job as it was, or why it was not deleted.
        """
        outcome: dict[str, StoredJob | Refusal] = {}
        async with self._store.changing() as (connection, number):
            found = await _many(connection, ids, lock=True)
            chosen: dict[str, StoredJob] = {}
            for job_id in ids:
                try:
                    chosen[job_id] = _deletable(check(found.get(job_id)))
                except Refusal as refusal:
                    outcome[job_id] = refusal
            for job_id in await _shown_elsewhere(connection, chosen):
                del chosen[job_id]
                outcome[job_id] = Refusal(
                    Reason.CONFLICT,
                    _("A later run of this sweep shows its results."),
                    _("Delete the later one first, or both together."),
                )
            await _delete(connection, list(chosen.values()), number)
            outcome |= chosen
        return {job_id: outcome[job_id] for job_id in ids}

    async def expired(self, before: datetime, most: int) -> list[StoredJob]:
        """Return jobs that ended before a moment and are not pinned, the oldest first; not those that must stay."""
        later = jobs.alias()
        shown = sa.exists().where(later.c.rerun_of == jobs.c.id, later.c.sweep.is_not(sa.null()))
        statement = (
            sa.select(jobs)
            .where(
                jobs.c.sweep_of.is_(None),
                jobs.c.ended < before,
                jobs.c.pinned.is_(None),
                sa.or_(jobs.c.sweep.is_(sa.null()), ~shown),
            )
            .order_by(jobs.c.ended)
            .limit(most)
        )
        async with self._store.reading() as connection:
            return [StoredJob.of(row) for row in (await connection.execute(statement)).mappings()]

    # What is left of deleted jobs

    async def with_logs(self, most: int) -> list[str]:
        """Return deleted jobs whose logs are still there; those that were tried least come first."""
        statement = (
            sa.select(removed.c.job).where(removed.c.log.is_(True)).order_by(removed.c.tries).limit(most)
        )
        async with self._store.reading() as connection:
            return list((await connection.execute(statement)).scalars())

    async def forgotten(self, gone: Iterable[str], failed: Iterable[str]) -> None:
        """Note of deleted jobs whose logs are gone, and whose could not be removed."""
        async with self._store.writing() as connection:
            for some in _some(gone):
                await connection.execute(sa.update(removed).where(removed.c.job.in_(some)).values(log=False))
            for some in _some(failed):
                await connection.execute(
                    sa.update(removed).where(removed.c.job.in_(some)).values(tries=removed.c.tries + 1)
                )

    async def tombstones(self, owner: str, most: int) -> list[Tombstone]:
        """Return what may be left of deleted jobs in somebody's home; not a copy that another job uses by now."""
        statement = (
            sa.select(removed.c.job, removed.c.snapshot)
            .where(removed.c.owner == owner, removed.c.home.is_(True))
            .order_by(removed.c.job)
            .limit(most)
        )
        async with self._store.reading() as connection:
            found = [(job, path) for job, path in await connection.execute(statement)]
            paths = {snapshot_digest(path): path for _job, path in found if path}
            used = {paths[digest] for _owner, digest in await _used(connection, {owner: list(paths)})}
        return [Tombstone(id=job, snapshot=None if path in used else path) for job, path in found]

    async def acknowledge_tombstones(self, owner: str, ids: Sequence[str]) -> None:
        """Note that nothing is left of deleted jobs in somebody's home."""
        async with self._store.writing() as connection:
            for some in _some(ids):
                await connection.execute(
                    sa.update(removed)
                    .where(removed.c.owner == owner, removed.c.job.in_(some))
                    .values(home=False)
                )

    async def forget_removed(self, done_before: datetime, any_before: datetime, most: int) -> int:
        """Drop old notes of deleted jobs: those with nothing left to do, and such that nobody came to do."""
        old = (
            sa.select(removed.c.job)
            .where(
                removed.c.removed < done_before,
                sa.or_(
                    sa.and_(removed.c.log.is_(False), removed.c.home.is_(False)),
                    removed.c.removed < any_before,
                ),
            )
            .order_by(removed.c.removed)
            .limit(most)
        )
        async with self._store.writing() as connection:
            return (
                await connection.execute(sa.delete(removed).where(removed.c.job.in_(old.scalar_subquery())))
            ).rowcount


# Inside a transaction


def _some(ids: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """Yield ids in portions that a statement takes."""
    rest = iter(ids)
    while portion := tuple(islice(rest, _AT_ONCE)):
        yield portion


async def _many(
    connection: AsyncConnection, ids: Sequence[str], *, lock: bool = False
) -> dict[str, StoredJob]:
    found = {}
    for some in _some(ids):
        statement = sa.select(jobs).where(jobs.c.id.in_(some))
        if lock:
            statement = statement.with_for_update()
        for row in (await connection.execute(statement)).mappings():
            found[row["id"]] = StoredJob.of(row)
    return found


async def _check_pinned(connection: AsyncConnection, owner: str, most: int) -> None:
    statement = (
        sa.select(sa.func.count()).select_from(jobs).where(jobs.c.owner == owner, jobs.c.pinned.is_(True))
    )
    if (await connection.execute(statement)).scalar_one() >= most:
        raise Refusal(
            Reason.TOO_MANY,
            _("{most} jobs are pinned already.").format(most=most),
            _("Release one that need not be kept any more."),
            field="pinned",
        )


async def _write(connection: AsyncConnection, before: StoredJob, after: StoredJob, number: int) -> None:
    await connection.execute(
        sa.update(jobs)
        .where(jobs.c.id == after.id)
        .values(
            name=after.name,
            description=after.description or None,
            pinned=True if after.pinned else None,
            change=number,
        )
    )
    if (after.name, after.labels) != (before.name, before.labels):
        await search_index.change(connection, after)
    if after.labels != before.labels:
        await search_index.relabel(connection, after)


def _deletable(job: StoredJob) -> StoredJob:
    if job.sweep_of is not None:
        raise Refusal(Reason.CONFLICT, _("A point is deleted with its sweep."), _("Delete the sweep."))
    if not job.final:
        raise Refusal(
            Reason.CONFLICT,
            _("The sweep is not over yet.") if job.sweep else _("The job is not over yet."),
            _("Cancel it first, then delete it."),
        )
    return job


async def _shown_elsewhere(connection: AsyncConnection, chosen: Mapping[str, StoredJob]) -> list[str]:
    """Return the sweeps of which a later one, which is not deleted with them, shows results."""
    sweeps = [job for job in chosen.values() if job.sweep is not None]
    if not sweeps:
        return []
    later: dict[str, list[str]] = {}
    for some in _some(job.id for job in sweeps):
        statement = sa.select(jobs.c.rerun_of, jobs.c.id).where(
            jobs.c.rerun_of.in_(some), jobs.c.sweep.is_not(sa.null())
        )
        for origin, again in await connection.execute(statement):
            later.setdefault(origin, []).append(again)
    kept: set[str] = set()
    # The newest first: whether it stays decides about those before it.
    for job in sorted(sweeps, key=lambda job: job.number, reverse=True):
        if any(again not in chosen or again in kept for again in later.get(job.id, ())):
            kept.add(job.id)
    return sorted(kept)


async def _delete(connection: AsyncConnection, chosen: Sequence[StoredJob], number: int) -> None:
    if not chosen:
        return
    gone: list[Any] = [
        (job.id, job.owner, job.project, None, job.state, str(job.work.get("snapshot") or "") or None)
        for job in chosen
    ]
    for some in _some(job.id for job in chosen if job.sweep is not None):
        points = sa.select(jobs.c.id, jobs.c.owner, jobs.c.project, jobs.c.sweep_of, jobs.c.state).where(
            jobs.c.sweep_of.in_(some)
        )
        gone += [(*point, None) for point in await connection.execute(points)]
    for some in _some(row[0] for row in gone):
        await connection.execute(sa.delete(jobs).where(jobs.c.id.in_(some)))
    free = await _unused(connection, chosen)
    moment = now()
    notes = []
    for job_id, owner, project, sweep_of, state, path in gone:
        # A copy is noted once, though several of the deleted jobs may share it.
        copy = path if free.pop((owner, path), False) else None
        notes.append(
            {
                "job": job_id,
                "change": number,
                "owner": owner,
                "project": project,
                "sweep_of": sweep_of,
                "removed": moment,
                "log": True,
                # Of a job that succeeded the runner removed the checkpoints.
                "home": copy is not None or state != JobState.SUCCEEDED,
                "snapshot": copy,
                "tries": 0,
            }
        )
    await connection.execute(sa.insert(removed), notes)


async def _unused(
    connection: AsyncConnection, gone: Sequence[StoredJob]
) -> dict[tuple[str, str | None], bool]:
    """Return the copies of inputs, by owner and path, that no job uses any more."""
    candidates = {
        (job.owner, job.snapshot): str(job.work.get("snapshot") or "")
        for job in gone
        if job.work.get("snapshot")
    }
    by_owner: dict[str, list[str]] = {}
    for owner, digest in candidates:
        by_owner.setdefault(owner, []).append(digest)
    used = await _used(connection, by_owner)
    return {
        (owner, path): True for (owner, digest), path in candidates.items() if (owner, digest) not in used
    }


async def _used(connection: AsyncConnection, digests: Mapping[str, Sequence[str]]) -> set[tuple[str, str]]:
    """Return which copies, by owner and digest, some job uses."""
    used: set[tuple[str, str]] = set()
    for owner, wanted in digests.items():
        for some in _some(wanted):
            statement = sa.select(jobs.c.snapshot).where(jobs.c.owner == owner, jobs.c.snapshot.in_(some))
            used |= {(owner, digest) for digest in (await connection.execute(statement)).scalars()}
    return used
