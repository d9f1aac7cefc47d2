"""The rows of sweeps and of their points, inside a transaction of the store."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.contract.states import FINAL, Cause, JobState
from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.i18n.messages import Message
from aiinfn_hub.vkd.domain import sweep_points
from aiinfn_hub.vkd.domain.backend import NO_MESSAGE, Update
from aiinfn_hub.vkd.domain.records import StoredJob

from .tables import history, jobs

AGAIN: Final = frozenset(
    {Cause.PREEMPTED, Cause.INTERRUPTED, Cause.DEVICE_LOST, Cause.LOST, Cause.HELD, Cause.START_FAILED}
)
"""Why a point may wait again; the history of its sweep tells it, but not every end and start of a point."""
_MOST_ANCESTORS: Final = 20


async def carry_up(connection: AsyncConnection, point: StoredJob, update: Update, change: int) -> None:
    """Bring the sweep of a point in line with a change of it.

    Parameters
    ----------
    point
        As it was before.
    """
    statement = sa.select(jobs).where(jobs.c.id == point.sweep_of).with_for_update()
    row = (await connection.execute(statement)).mappings().first()
    if row is None or update.state is None:
        return
    sweep = StoredJob.of(row)
    if sweep.sweep is None or sweep.final:
        return
    progress = sweep_points.counted(sweep.sweep, point.state, update.state)
    values: dict[str, Any] = {"sweep": progress.model_dump(), "change": change, "updated": update.time}
    path = sweep_points.together(sweep.state, progress)
    if path:
        values |= _told(sweep, path[-1], update, sweep_points.end_message(progress))
    if update.cause is Cause.PREEMPTED:
        values["preemptions"] = sweep.preemptions + 1
    await connection.execute(sa.update(jobs).where(jobs.c.id == sweep.id).values(**values))
    if path and (path[-1] in FINAL or update.cause in AGAIN or sweep.started is None):
        await connection.execute(
            sa.insert(history).values(
                job=sweep.id,
                time=update.time,
                state=path[-1],
                cause=values["cause"],
                attempt=values["attempt"],
                message=values["message"],
            )
        )


def _told(sweep: StoredJob, state: JobState, update: Update, end: Message) -> dict[str, Any]:
    """Return the columns of a sweep that its new state changes."""
    values: dict[str, Any] = {"state": state, "attempt": max(1, sweep.attempt), "message": update.message}
    if state in FINAL:
        causes = {
            JobState.SUCCEEDED: Cause.COMPLETED,
            JobState.FAILED: Cause.ERROR,
            JobState.CANCELLED: Cause.CANCELLED,
        }
        return values | {"cause": causes[state], "message": end, "ended": update.ended or update.time}
    if state is JobState.RUNNING:
        began = sweep.started or update.started or update.time
        return values | {"cause": Cause.STARTED, "started": began}
    if state is JobState.STARTING:
        return values | {"cause": Cause.PLACED}
    again = update.cause in AGAIN
    return values | {
        "cause": update.cause if again else Cause.SUBMITTED,
        "message": update.message if again else NO_MESSAGE,
    }


async def of_sweep(connection: AsyncConnection, sweep: StoredJob) -> list[tuple[StoredJob, bool]]:
    """Return the points of a sweep by number, each with whether it is an older sweep's that this one runs again in part."""
    found: dict[int, tuple[StoredJob, bool]] = {}
    asked: StoredJob | None = sweep
    for generation in range(_MOST_ANCESTORS):
        if asked is None or asked.sweep is None:
            break
        statement = sa.select(jobs).where(jobs.c.sweep_of == asked.id).order_by(jobs.c.number)
        for row in (await connection.execute(statement)).mappings():
            point = StoredJob.of(row)
            found.setdefault(point.point or 0, (point, generation > 0))
        asked = await _row(connection, asked.rerun_of)
    return [found[number] for number in sorted(found)]


async def _row(connection: AsyncConnection, job_id: str | None) -> StoredJob | None:
    if job_id is None:
        return None
    row = (await connection.execute(sa.select(jobs).where(jobs.c.id == job_id))).mappings().first()
    return StoredJob.of(row) if row else None


async def check_points(connection: AsyncConnection, owner: str, more: int, most: int) -> int:
    """Refuse more points to somebody who has many that have not begun, else count those; without new ones it is 0."""
    if more == 0:
        return 0
    statement = (
        sa.select(sa.func.count())
        .select_from(jobs)
        .where(jobs.c.owner == owner, jobs.c.sweep_of.is_not(None), jobs.c.state == JobState.QUEUED)
    )
    waiting = int((await connection.execute(statement)).scalar_one())
    if waiting + more > most:
        raise Refusal(
            Reason.TOO_MANY,
            _("You may have {most} points of sweeps waiting; {waiting} are already.").format(
                most=most, waiting=waiting
            ),
            _("Submit fewer points, or wait until some have started."),
            field="sweep",
        )
    return waiting
