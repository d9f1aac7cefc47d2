"""The holds on people's jobs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from aiinfn_hub.contract.access import Hold
from aiinfn_hub.contract.states import JobState
from aiinfn_hub.vkd.domain.records import ACTIVE

from . import tables
from .jobs import JobStore

_AT_ONCE: Final = 500


async def load(store: JobStore) -> list[Hold]:
    """Return the holds in force."""
    async with store.reading() as connection:
        rows = (await connection.execute(sa.select(tables.holds))).mappings().all()
    return [Hold.model_validate(dict(row)) for row in rows]


async def active_projects(store: JobStore) -> dict[str, list[str]]:
    """Return the projects in which somebody has jobs that are not over, by owner."""
    statement = (
        sa.select(tables.jobs.c.owner, tables.jobs.c.project)
        .where(tables.jobs.c.state.in_(ACTIVE))
        .distinct()
        .order_by(tables.jobs.c.owner, tables.jobs.c.project)
    )
    found: dict[str, list[str]] = {}
    async with store.reading() as connection:
        for owner, project in await connection.execute(statement):
            found.setdefault(owner, []).append(project)
    return found


async def replace(store: JobStore, holds: Sequence[Hold], changed: Sequence[str]) -> None:
    """Put other holds in the place of those there are.

    Parameters
    ----------
    changed
        The owners whose holds are other ones now.
    """
    jobs = tables.jobs
    async with store.changing() as (connection, change):
        await connection.execute(sa.delete(tables.holds))
        if holds:
            await connection.execute(
                sa.insert(tables.holds), [hold.model_dump(mode="json") for hold in holds]
            )
        # Their sentence is another one: lists that ask for what changed have to show it.
        for first in range(0, len(changed), _AT_ONCE):
            some = changed[first : first + _AT_ONCE]
            await connection.execute(
                sa.update(jobs)
                .where(jobs.c.owner.in_(some), jobs.c.state == JobState.QUEUED)
                .values(change=change)
            )
