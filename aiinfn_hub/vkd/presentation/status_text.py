"""Where jobs are, as messages for people: pure functions of what the store and the back end know.

No time of day stands in them: the client shows times in the reader's zone, and a job's history has them.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from aiinfn_hub.contract.runner import JobError, Progress
from aiinfn_hub.contract.states import Cause, JobState
from aiinfn_hub.contract.sweeps import SweepProgress
from aiinfn_hub.contract.templates import NOTHING
from aiinfn_hub.i18n.messages import Message
from aiinfn_hub.vkd.domain.sweep_points import numbers

_AGAIN: Final = {
    Cause.PREEMPTED: Message("again.preempted"),
    Cause.INTERRUPTED: Message("again.interrupted"),
    Cause.DEVICE_LOST: Message("again.device_lost"),
    Cause.LOST: Message("again.lost"),
    Cause.HELD: Message("again.held"),
    Cause.START_FAILED: Message("again.start_failed"),
}

_FAILED: Final = {
    Cause.LOST: Message("state.failed.lost"),
    Cause.NEVER_FITS: Message("state.failed.never_fits"),
    Cause.START_FAILED: Message("state.failed.start"),
    Cause.DEVICE_LOST: Message("state.failed.device_lost"),
}

TURN: Final = Message("reason.turn")
"""Why a point waits that is not in its queue yet."""


def job(
    state: JobState,
    cause: Cause,
    *,
    queue: str,
    position: int | None = None,
    reason: Message | None = None,
    progress: Progress | None = None,
    attempt: int = 0,
    error: JobError | None = None,
    exit_code: int | None = None,
    time_limit: timedelta | None = None,
    cancelled_by: str | None = None,
    told: Message | None = None,
) -> Message:
    """Explain in one sentence where a job is.

    Parameters
    ----------
    queue
        Title of its queue.
    position
        Place in the queue, from 1; None while it is not known.
    reason
        Why it waits, where more than its place is known.
    cancelled_by
        Who asked for its end, if somebody did and it is not the owner; ``""`` if it is the owner.
    told
        What the back end said of the last change. Only it knows what happened to a process that is lost.
    """
    if cancelled_by is not None and state in {JobState.QUEUED, JobState.STARTING, JobState.RUNNING}:
        return Message("state.cancelling.by", person=cancelled_by) if cancelled_by else _CANCELLING
    match state:
        case JobState.QUEUED:
            waiting = _waiting(cause, position, queue)
            return Message("state.because", state=waiting, reason=reason) if reason else waiting
        case JobState.STARTING:
            return _STARTING if attempt <= 1 else Message("state.starting.again", attempt=attempt)
        case JobState.RUNNING if progress:
            return Message("state.running.cell", cell=progress.cell, cells=progress.cells)
        case JobState.RUNNING:
            return _RUNNING
        case JobState.SUCCEEDED:
            return _FINISHED
        case JobState.CANCELLED:
            return Message("state.cancelled.by", person=cancelled_by) if cancelled_by else _CANCELLED
        case JobState.FAILED:
            if cause is Cause.LOST and told is not None and _says_why(told):
                return Message("state.failed.as_told", told=told)
            return _failed(cause, error, exit_code, time_limit)


_CANCELLING: Final = Message("state.cancelling")
_STARTING: Final = Message("state.starting")
_RUNNING: Final = Message("state.running")
_FINISHED: Final = Message("state.finished")
_CANCELLED: Final = Message("state.cancelled")


def sweep(
    state: JobState, cause: Cause, progress: SweepProgress, *, queue: str, cancelled_by: str | None = None
) -> Message:
    """Explain in one sentence how far a sweep is: "Running: 37 of 100 points done, 8 running, 1 failed"."""
    points, by = progress.points, cancelled_by
    match state:
        case JobState.SUCCEEDED:
            return Message("sweep.finished", points=points)
        case JobState.FAILED:
            return Message("sweep.failed", failed=progress.failed, points=points)
        case JobState.CANCELLED:
            facts: dict[str, Any] = {"succeeded": progress.succeeded, "points": points}
            return (
                Message("sweep.cancelled.by", person=by, **facts)
                if by
                else Message("sweep.cancelled", **facts)
            )
    over = Message("sweep.done", over=progress.over, points=points)
    if by is not None:
        return (
            Message("sweep.cancelling.by", person=by, done=[over])
            if by
            else Message("sweep.cancelling", done=[over])
        )
    parts = numbers(running=progress.running, failed=progress.failed, cancelled=progress.cancelled)
    done = [over, *parts]
    if state is JobState.QUEUED:
        if cause in _AGAIN:
            return Message("sweep.again", why=_AGAIN[cause], queue=queue, done=done)
        return Message("sweep.waiting", queue=queue, done=done)
    return Message("sweep.running" if state is JobState.RUNNING else "sweep.starting", done=done)


def _waiting(cause: Cause, position: int | None, queue: str) -> Message:
    """Return where in its queue a job is: "Waiting: 2nd in line in Opportunistic"."""
    why = _AGAIN.get(cause)
    if position is None:
        return Message("state.again", why=why, queue=queue) if why else Message("state.waiting", queue=queue)
    place = (
        Message("place.next", queue=queue)
        if position == 1
        else Message("place.nth", position=position, queue=queue)
    )
    if why:
        return Message("state.again.place", why=why, place=place)
    return Message("state.waiting.place", place=place)


def _says_why(told: Message) -> bool:
    """Return whether what the back end said explains a failure. Text is of before there were codes."""
    if told.code in {NOTHING, "failed.lost"}:
        return False
    return told.code.startswith("failed.") or str(told.facts.get("text", "")).startswith("Failed: ")


def _failed(
    cause: Cause, error: JobError | None, exit_code: int | None, time_limit: timedelta | None
) -> Message:
    if cause is Cause.TIME_LIMIT:
        return Message("state.time_limit.of", limit=time_limit) if time_limit else Message("state.time_limit")
    if cause in _FAILED:
        return _FAILED[cause]
    if error and error.name:
        line = error.message.strip().splitlines()[0] if error.message.strip() else ""
        text = f"{error.name}: {_short(line)}" if line else error.name
        if error.cell is not None:
            return Message("state.failed.cell_error", cell=error.cell, error=text)
        return Message("state.failed.error", error=text)
    if exit_code:
        return Message("state.failed.exit_code", code=exit_code)
    return Message("state.failed")


def _short(text: str, length: int = 120) -> str:
    printable = "".join(character if character.isprintable() else " " for character in text)
    return printable if len(printable) <= length else printable[: length - 1] + "…"


def would_start(count: int, title: str, free: int, ahead: int, queue: str) -> Message:
    """Return what would happen to a job that is not submitted yet.

    Parameters
    ----------
    count, title
        Devices asked for; 0 for CPU only.
    free
        Devices of the kind that nobody holds.
    ahead
        Jobs that wait in the queue.
    """
    if ahead:
        return Message("dry_run.behind", ahead=ahead, queue=queue)
    if count == 0:
        return Message("dry_run.now.cpu")
    if free >= count:
        return (
            Message("dry_run.now.one", title=title)
            if count == 1
            else Message("dry_run.now", count=count, title=title)
        )
    if count == 1:
        return Message("dry_run.waits.one", title=title, queue=queue)
    return Message("dry_run.waits", count=count, title=title, queue=queue)
