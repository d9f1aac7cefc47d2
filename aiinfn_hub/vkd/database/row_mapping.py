"""Rows of the jobs table: what is written of a new job and of a change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.contract.runner import Progress
from aiinfn_hub.contract.states import FINAL, Cause, JobState
from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.i18n.messages import Message
from aiinfn_hub.vkd.domain.backend import Update
from aiinfn_hub.vkd.domain.records import NewJob, StoredJob, snapshot_digest

from .tables import jobs


async def check_waiting(connection: AsyncConnection, owner: str, most: int) -> int:
    """Refuse one more job to somebody who has many that wait, else count them; a sweep counts as one."""
    statement = (
        sa.select(sa.func.count())
        .select_from(jobs)
        .where(jobs.c.owner == owner, jobs.c.sweep_of.is_(None), jobs.c.state == JobState.QUEUED)
    )
    waiting = int((await connection.execute(statement)).scalar_one())
    if waiting >= most:
        raise Refusal(
            Reason.TOO_MANY,
            _("{most} of your jobs are waiting already.").format(most=most),
            _("Submit more when some have started, or cancel some."),
        )
    return waiting


async def check_origin(connection: AsyncConnection, new: NewJob) -> None:
    """Refuse to run a job again that was deleted meanwhile: its copy of the input goes."""
    if new.rerun_of is not None:
        there = await connection.execute(sa.select(jobs.c.id).where(jobs.c.id == new.rerun_of))
        if there.first() is None:
            raise Refusal(
                Reason.NOT_FOUND,
                _("The job was deleted meanwhile."),
                _("Submit its file again."),
            )


def submitted(new: NewJob) -> Message:
    """Return how a job begins, for its history."""
    queue = new.selection.queue_name
    if new.rerun_of:
        return Message("history.submitted.again", queue=queue, job=new.rerun_of)
    return Message("history.submitted", queue=queue)


def columns(new: NewJob, change: int) -> dict[str, Any]:
    """Return the columns of a new job."""
    selection = new.selection
    return {
        "id": new.id,
        "number": change,
        "change": change,
        "owner": selection.person,
        "project": selection.project,
        "queue": selection.queue_name or "",
        "accelerator": selection.accelerator_name,
        "count": selection.count,
        "name": new.name,
        "state": JobState.QUEUED,
        "cause": Cause.SUBMITTED,
        "message": submitted(new),
        "attempt": 0,
        "preemptions": 0,
        "selection": selection.model_dump(mode="json"),
        "work": new.work.model_dump(mode="json"),
        "output": new.output,
        "created": new.created,
        "updated": new.created,
        "rerun_of": new.rerun_of,
        "sweep": new.sweep.model_dump() if new.sweep else None,
        "sweep_of": new.sweep_of,
        "point": new.point,
        "swept": dict(new.swept) if new.swept is not None else None,
        "description": dict(new.description) or None,
        "snapshot": snapshot_digest(new.work.snapshot),
        "idempotency_key": new.idempotency_key,
        "digest": new.digest,
    }


def changes(job: StoredJob, update: Update, progress: Progress | None) -> Mapping[str, Any]:
    """Return the columns that an update changes."""
    by = job.cancelled_by
    foreign = update.state is JobState.CANCELLED and by is not None and by != job.owner
    values: dict[str, Any] = {
        "state": update.state,
        "cause": update.cause or job.cause,
        "message": Message("history.cancelled.by", person=by) if foreign else update.message,
        "attempt": update.attempt,
        "updated": update.time,
    }
    if update.state in FINAL:
        last = update.progress or progress
        values["ended"] = update.ended or update.time
        values["exit_code"] = update.exit_code
        values["error"] = update.error.model_dump() if update.error else None
        if update.started:
            values["started"] = update.started
        if last:
            values["progress"] = last.model_dump()
    elif update.state is JobState.RUNNING:
        values["started"] = update.started or update.time
        values["progress"] = update.progress.model_dump() if update.progress else None
    else:
        values |= {"started": None, "ended": None, "progress": None, "error": None, "exit_code": None}
        if update.cause is Cause.PREEMPTED:
            values["preemptions"] = job.preemptions + 1
    return values
