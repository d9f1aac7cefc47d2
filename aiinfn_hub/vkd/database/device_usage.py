"""Device time in the store: what each attempt used, summed for people and for the fair order."""

from __future__ import annotations

from datetime import datetime, timedelta
from math import exp, log

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from aiinfn_hub.contract.platform import UsageEntry
from aiinfn_hub.contract.states import JobState
from aiinfn_hub.vkd.domain.backend import Update
from aiinfn_hub.vkd.domain.records import StoredJob, View

from .tables import usage


async def record(connection: AsyncConnection, job: StoredJob, update: Update) -> None:
    """Open an attempt's account when it runs, and close it when it does not any more.

    Parameters
    ----------
    job
        As it was before the update.
    """
    if update.state is JobState.RUNNING:
        await connection.execute(
            sa.insert(usage).values(
                job=job.id,
                attempt=update.attempt,
                project=job.project,
                person=job.owner,
                accelerator=job.accelerator,
                count=job.count,
                started=(update.started or update.time).timestamp(),
            )
        )
    elif job.state is JobState.RUNNING:
        await connection.execute(
            sa.update(usage)
            .where(usage.c.job == job.id, usage.c.attempt == job.attempt)
            .values(ended=(update.ended or update.time).timestamp())
        )


async def between(
    connection: AsyncConnection, view: View, since: datetime, until: datetime
) -> list[UsageEntry]:
    """Sum the time between two moments by project, person and accelerator; see `JobStore.usage`."""
    begin, end = since.timestamp(), until.timestamp()
    over = sa.func.coalesce(usage.c.ended, end)
    started = sa.case((usage.c.started < begin, begin), else_=usage.c.started)
    ended = sa.case((over > end, end), else_=over)
    statement = (
        sa.select(
            usage.c.project,
            usage.c.person.label("user"),
            usage.c.accelerator,
            sa.func.sum((ended - started) * usage.c.count).label("device_seconds"),
            sa.func.count(sa.distinct(usage.c.job)).label("jobs"),
        )
        .where(usage.c.started < end, sa.or_(usage.c.ended.is_(None), usage.c.ended > begin))
        .group_by(usage.c.project, usage.c.person, usage.c.accelerator)
        .order_by(usage.c.project, usage.c.person, usage.c.accelerator)
    )
    if not view.everything:
        statement = statement.where(
            sa.or_(usage.c.person == view.person, usage.c.project.in_(sorted(view.projects)))
        )
    rows = (await connection.execute(statement)).mappings().all()
    return [UsageEntry.model_validate(dict(row)) for row in rows]


async def decayed(connection: AsyncConnection, at: datetime, half_life: timedelta) -> dict[str, float]:
    """Integrate each project's use with a weight that halves in every half-life.

    What was used longer than ten half-lives ago counts for less than a thousandth and is left out.
    """
    moment = at.timestamp()
    rate = log(2) / half_life.total_seconds()
    statement = sa.select(usage.c.project, usage.c.count, usage.c.started, usage.c.ended).where(
        sa.or_(usage.c.ended.is_(None), usage.c.ended > moment - 10 * half_life.total_seconds())
    )
    total: dict[str, float] = {}
    for project, count, started, ended in await connection.execute(statement):
        last = min(ended if ended is not None else moment, moment)
        weight = (exp(-rate * (moment - last)) - exp(-rate * (moment - min(started, last)))) / rate
        total[project] = total.get(project, 0.0) + count * weight
    return total
