"""The store: every job's state and history, on SQLite or PostgreSQL.

It enforces the transitions of `contract.states.TRANSITIONS`. It knows neither HTTP nor the back end. `JobStore.seed` fills it
for measurements.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from aiinfn_hub.contract.platform import UsageEntry
from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.contract.records import merge_values
from aiinfn_hub.contract.runner import Progress
from aiinfn_hub.contract.states import TRANSITIONS, Cause, JobState
from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.vkd.domain.backend import Update
from aiinfn_hub.vkd.domain.records import (
    ACTIVE,
    Applied,
    Filter,
    HistoryRow,
    NewJob,
    Notes,
    Page,
    StoredJob,
    View,
)

from . import (
    device_usage,
    pagination,
    row_mapping,
    search_index,
    startup_events,
    sweep_rows,
)
from .engine import Database
from .tables import counters, history, jobs

logger = logging.getLogger(__name__)


class JobStore:
    """What is kept of all jobs.

    Attributes
    ----------
    change
        Number of the last change, for ETags; in memory, so that asking whether anything changed costs nothing.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.change = 0

    @classmethod
    async def open(cls, url: str) -> JobStore:
        """Connect to a database by its SQLAlchemy URL and bring its schema up to date."""
        store = cls(await Database.open(url))
        async with store._database.read() as connection:
            store.change = (await connection.execute(sa.select(counters.c.value))).scalar_one()
        return store

    async def close(self) -> None:
        """Close the database."""
        await self._database.close()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that reads; for the store's other halves."""
        async with self._database.read() as connection:
            yield connection

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[tuple[AsyncConnection, int]]:
        """Open a transaction that changes jobs, with the number of this change."""
        async with self._database.write() as connection:
            change = await self._count(connection)
            yield connection, change
        self.change = change

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that changes something which no list shows."""
        async with self._database.write() as connection:
            yield connection

    # Writing

    async def insert(self, new: NewJob, *, most_waiting: int | None = None) -> StoredJob:
        """Keep a new job; after this it survives anything but the loss of the disk.

        The database itself lets an idempotency key be used once; the caller looks for it first, by `replay`.

        Parameters
        ----------
        most_waiting
            How many jobs of one person may wait; looked at in the same transaction, so the limit is exact.

        Raises
        ------
        Refusal
            `Reason.STORAGE_FULL`, or `Reason.TOO_MANY`; nothing was changed then.
        """
        async with self._database.write() as connection:
            if most_waiting is not None:
                await row_mapping.check_waiting(connection, new.selection.person, most_waiting)
            await row_mapping.check_origin(connection, new)
            change = await self._count(connection)
            columns = row_mapping.columns(new, change)
            inserted = await connection.execute(sa.insert(jobs).values(columns).returning(*jobs.c))
            job = StoredJob.of(inserted.mappings().one())
            await search_index.keep(connection, [columns])
            await connection.execute(
                sa.insert(history).values(
                    job=new.id,
                    time=new.created,
                    state=JobState.QUEUED,
                    cause=Cause.SUBMITTED,
                    attempt=0,
                    message=row_mapping.submitted(new),
                )
            )
        self.change = change
        return job

    async def insert_sweep(
        self, new: NewJob, points: Sequence[NewJob], *, most_waiting: int, most_points: int
    ) -> tuple[StoredJob, list[StoredJob]]:
        """Keep a sweep and its points, all or nothing; see `insert`.

        Parameters
        ----------
        most_points
            How many points of one person may wait.
        """
        person = new.selection.person
        async with self._database.write() as connection:
            await row_mapping.check_waiting(connection, person, most_waiting)
            await sweep_rows.check_points(connection, person, len(points), most_points)
            await row_mapping.check_origin(connection, new)
            change = await self._count(connection)
            columns = row_mapping.columns(new, change)
            inserted = await connection.execute(sa.insert(jobs).values(columns).returning(*jobs.c))
            row = inserted.mappings().one()
            await search_index.keep(connection, [columns])
            # Numbers are the order of age: each point has its own.
            await connection.execute(
                sa.insert(jobs),
                [row_mapping.columns(point, change + index) for index, point in enumerate(points, 1)],
            )
            change += len(points)
            await connection.execute(sa.update(counters).values(value=change))
            await connection.execute(
                sa.insert(history),
                [
                    {"job": each.id, "time": each.created, "state": JobState.QUEUED, "cause": Cause.SUBMITTED, "attempt": 0, "message": row_mapping.submitted(each)}
                    for each in (new, *points)
                ],
            )  # fmt: skip
            stored = await connection.execute(
                sa.select(jobs).where(jobs.c.sweep_of == new.id).order_by(jobs.c.number)
            )
            kept = [StoredJob.of(point) for point in stored.mappings()]
        self.change = change
        return StoredJob.of(row), kept

    async def withdraw(self, job_id: str) -> bool:
        """Delete a job that the back end would not take; only one that never started."""
        async with self._database.write() as connection:
            change = await self._count(connection)
            untouched = sa.and_(jobs.c.id == job_id, jobs.c.state == JobState.QUEUED, jobs.c.attempt == 0)
            gone = (await connection.execute(sa.delete(jobs).where(untouched))).rowcount > 0
        self.change = change
        return gone

    async def apply(self, update: Update, progress: Progress | None = None) -> Applied:
        """Record a change of state that the back end tells.

        Parameters
        ----------
        progress
            The latest progress that was not written yet; it goes with the end of the attempt.
        """
        if update.state is None:
            raise ValueError("progress is recorded by `note`")
        async with self._database.write() as connection:
            job = await _get(connection, update.job_id)
            if job is None:
                return Applied.UNKNOWN_JOB
            if job.state is update.state and job.attempt == update.attempt:
                return Applied.KNOWN
            if update.state not in TRANSITIONS[job.state] or update.attempt < job.attempt:
                logger.error(
                    "illegal transition job=%s from=%s to=%s attempt=%d told=%d: a fault of the back end, not applied",
                    job.id,
                    job.state,
                    update.state,
                    job.attempt,
                    update.attempt,
                )
                return Applied.ILLEGAL
            change = await self._count(connection)
            values = row_mapping.changes(job, update, progress)
            await connection.execute(
                sa.update(jobs).where(jobs.c.id == job.id).values(**values, change=change)
            )
            await connection.execute(
                sa.insert(history).values(
                    job=job.id,
                    time=update.time,
                    state=update.state,
                    cause=values["cause"],
                    attempt=update.attempt,
                    message=values["message"],
                )
            )
            if values.get("error"):
                await search_index.change(connection, replace(job, error=update.error))
            if job.count:
                await device_usage.record(connection, job, update)
            if job.sweep_of is not None:
                await sweep_rows.carry_up(connection, job, update, change)
        self.change = change
        return Applied.CHANGED

    async def note(self, notes: Notes) -> None:
        """Write progress, messages of starts and changed places in the queues, all under one change number."""
        if not notes:
            return
        async with self._database.write() as connection:
            change = await self._count(connection)
            if notes.progress:
                statement = (
                    sa.update(jobs)
                    .where(jobs.c.id == sa.bindparam("job"), jobs.c.state == JobState.RUNNING)
                    .values(progress=sa.bindparam("now"), change=change)
                )
                await connection.execute(
                    statement, [{"job": job, "now": p.model_dump()} for job, p in notes.progress.items()]
                )
            await startup_events.keep(connection, notes.startup)
            for job_id, recorded in notes.recorded.items():
                await self._record(connection, job_id, recorded, change)
            if notes.moved:
                await connection.execute(
                    sa.update(jobs)
                    .where(jobs.c.id == sa.bindparam("job"), jobs.c.state == JobState.QUEUED)
                    .values(change=change),
                    [{"job": job} for job in notes.moved],
                )
        self.change = change

    async def cancelling(self, job_id: str, by: str) -> StoredJob | None:
        """Remember that somebody asked for a job's end; the first who asks is kept. None if there is no such job."""
        async with self._database.write() as connection:
            job = await _get(connection, job_id)
            if job is None or job.final or job.cancelled_by is not None:
                return job
            change = await self._count(connection)
            await connection.execute(
                sa.update(jobs).where(jobs.c.id == job_id).values(cancelled_by=by, change=change)
            )
            job = await _get(connection, job_id)
        self.change = change
        return job

    async def seed(self, new: Iterable[NewJob], updates: Iterable[Update] = ()) -> None:
        """Write many jobs and then what happened to them, in one transaction: a history for measurements.

        The updates are taken as they are; no back end hears of these jobs.
        """
        async with self._database.write() as connection:
            change = await self._count(connection)
            begun = []
            for job in new:
                change += 1
                begun.append(row_mapping.columns(job, change))
            entries = [
                {"job": row["id"], "time": row["created"], "state": row["state"], "cause": row["cause"], "attempt": 0, "message": row["message"]}
                for row in begun
            ]  # fmt: skip
            if begun:
                await connection.execute(sa.insert(jobs), begun)
                await search_index.keep(connection, begun)
            last = {}
            for update in updates:
                if update.state is None:
                    continue
                change += 1
                entries.append(
                    {"job": update.job_id, "time": update.time, "state": update.state, "cause": update.cause, "attempt": update.attempt, "message": update.message}
                )  # fmt: skip
                last[update.job_id] = {
                    "job": update.job_id, "new_state": update.state, "new_cause": update.cause, "new_attempt": update.attempt,
                    "new_message": update.message, "new_time": update.time, "new_change": change,
                    "began": update.started, "over": update.ended,
                }  # fmt: skip
            if entries:
                await connection.execute(sa.insert(history), entries)
            if last:
                columns = {
                    "state": "new_state", "cause": "new_cause", "attempt": "new_attempt", "message": "new_message",
                    "updated": "new_time", "change": "new_change", "started": "began", "ended": "over",
                }  # fmt: skip
                await connection.execute(
                    sa.update(jobs)
                    .where(jobs.c.id == sa.bindparam("job"))
                    .values({column: sa.bindparam(key) for column, key in columns.items()}),
                    list(last.values()),
                )
            await connection.execute(sa.update(counters).values(value=change))
        self.change = change

    # Reading

    async def get(self, job_id: str) -> StoredJob | None:
        """Return a job, or None."""
        statement = sa.select(jobs).where(jobs.c.id == job_id)

        def look(connection: sa.Connection) -> StoredJob | None:
            row = connection.execute(statement).mappings().first()
            return StoredJob.of(row) if row else None

        return await self._database.query(look)

    async def replay(self, new: NewJob) -> StoredJob | None:
        """Return the job that was submitted before with the same idempotency key.

        Raises
        ------
        Refusal
            `Reason.CONFLICT` if the key was used for another request.
        """
        if new.idempotency_key is None:
            return None
        statement = sa.select(jobs).where(
            jobs.c.owner == new.selection.person, jobs.c.idempotency_key == new.idempotency_key
        )
        async with self._database.read() as connection:
            row = (await connection.execute(statement)).mappings().first()
        if row is None:
            return None
        if row["digest"] != new.digest:
            raise Refusal(
                Reason.CONFLICT,
                _("This Idempotency-Key was used for another request."),
                _("Use a new key for a new job."),
            )
        return StoredJob.of(row)

    async def events(self, job_id: str) -> list[HistoryRow]:
        """Return a job's history, oldest first."""
        statement = (
            sa.select(history.c.time, history.c.state, history.c.cause, history.c.attempt, history.c.message)
            .where(history.c.job == job_id)
            .order_by(history.c.id)
        )
        async with self._database.read() as connection:
            found = (await connection.execute(statement)).mappings().all()
            entries = [
                HistoryRow(
                    row["time"], JobState(row["state"]), Cause(row["cause"]), row["attempt"], row["message"]
                )
                for row in found
            ]
            await startup_events.add_to(connection, job_id, entries)
        return entries

    async def check_waiting(
        self, owner: str, points: int, *, most_waiting: int, most_points: int
    ) -> tuple[int, int]:
        """Count a person's jobs that wait, a sweep as one, and the points of sweeps; see `insert` and `insert_sweep`.

        Parameters
        ----------
        points
            Points of the sweep that is to be taken in; 0 if it is a job.

        Raises
        ------
        Refusal
            If one more would be refused.
        """
        async with self._database.read() as connection:
            waiting = await row_mapping.check_waiting(connection, owner, most_waiting)
            return waiting, await sweep_rows.check_points(connection, owner, points, most_points)

    async def sweep_table(self, sweep: StoredJob) -> list[tuple[StoredJob, bool]]:
        """Return the points of a sweep by number, each with whether an older sweep that is run again in part ran it."""
        async with self._database.read() as connection:
            return await sweep_rows.of_sweep(connection, sweep)

    async def page(self, view: View, wanted: Filter) -> Page:
        """Return one page of the jobs that somebody sees."""
        return await self._database.query(lambda connection: pagination.read(connection, view, wanted))

    async def unfinished(self) -> list[StoredJob]:
        """Return all jobs that are not final, oldest first."""
        statement = sa.select(jobs).where(jobs.c.state.in_(ACTIVE)).order_by(jobs.c.number)
        async with self._database.read() as connection:
            return [StoredJob.of(row) for row in (await connection.execute(statement)).mappings()]

    async def states(self) -> dict[JobState, int]:
        """Count all jobs by state."""
        statement = sa.select(jobs.c.state, sa.func.count()).group_by(jobs.c.state)
        async with self._database.read() as connection:
            found = {JobState(state): number for state, number in await connection.execute(statement)}
        return {state: found.get(state, 0) for state in JobState}

    async def usage(self, view: View, since: datetime, until: datetime) -> list[UsageEntry]:
        """Sum the device time between two moments, of what somebody sees; running attempts count up to ``until``."""
        async with self._database.read() as connection:
            return await device_usage.between(connection, view, since, until)

    async def decayed_usage(self, at: datetime, half_life: timedelta) -> dict[str, float]:
        """Return each project's device-seconds, those of long ago counting less: half after one half-life."""
        async with self._database.read() as connection:
            return await device_usage.decayed(connection, at, half_life)

    # Inside a transaction

    async def _record(
        self, connection: AsyncConnection, job_id: str, recorded: Mapping[str, Any], change: int
    ) -> None:
        job = await _get(connection, job_id)
        if job is not None:
            # The bound is that of the job: each attempt has its own, and may use other names.
            values = {"recorded": merge_values(job.recorded, recorded)[0], "change": change}
            await connection.execute(sa.update(jobs).where(jobs.c.id == job_id).values(values))

    async def _count(self, connection: AsyncConnection) -> int:
        statement = sa.update(counters).values(value=counters.c.value + 1).returning(counters.c.value)
        return int((await connection.execute(statement)).scalar_one())


async def _get(connection: AsyncConnection, job_id: str) -> StoredJob | None:
    # SQLite's writer holds the whole database already.
    statement = sa.select(jobs).where(jobs.c.id == job_id).with_for_update()
    row = (await connection.execute(statement)).mappings().first()
    return StoredJob.of(row) if row else None
