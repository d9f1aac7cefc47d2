"""What happened while attempts started, as rows of the store: kept for each attempt, a bounded number, each message once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from aiinfn_hub.contract.constants import MOST_STARTUP_STEPS
from aiinfn_hub.contract.states import JobState
from aiinfn_hub.i18n.messages import Message
from aiinfn_hub.vkd.domain.backend import StartupEvent
from aiinfn_hub.vkd.domain.records import HistoryRow

from .tables import jobs, startup

Steps = Mapping[tuple[str, int], Sequence[StartupEvent]]
"""By job and attempt."""


async def keep(connection: AsyncConnection, steps: Steps) -> None:
    """Write what is new. A back end tells the same again after a restart; of a job that is gone nothing is kept."""
    for (job, attempt), told in steps.items():
        known = sa.select(startup.c.message).where(startup.c.job == job, startup.c.attempt == attempt)
        messages = set((await connection.execute(known)).scalars())
        new: dict[Message, StartupEvent] = {}
        for step in told:
            if step.message not in messages and len(messages) + len(new) < MOST_STARTUP_STEPS:
                new.setdefault(step.message, step)
        exists = sa.select(sa.exists().where(jobs.c.id == job))
        if not new or not (await connection.execute(exists)).scalar_one():
            continue
        await connection.execute(
            sa.insert(startup),
            [
                {"job": job, "attempt": attempt, "time": step.time, "message": step.message}
                for step in new.values()
            ],
        )


async def add_to(connection: AsyncConnection, job: str, entries: Sequence[HistoryRow]) -> None:
    """Put each attempt's messages with the entry of the history with which it begins."""
    found = (
        sa.select(startup.c.attempt, startup.c.time, startup.c.message)
        .where(startup.c.job == job)
        .order_by(startup.c.time, startup.c.id)
    )
    for attempt, time, message in await connection.execute(found):
        entry = _beginning(entries, attempt)
        if entry is not None:
            entry.startup.append(StartupEvent(time, message))


def _beginning(entries: Sequence[HistoryRow], attempt: int) -> HistoryRow | None:
    """Find where an attempt begins; of one that found no place yet, the last entry before it."""
    for entry in entries:
        if entry.attempt == attempt and entry.state is JobState.STARTING:
            return entry
    before = [entry for entry in entries if entry.attempt <= attempt]
    return before[-1] if before else None
