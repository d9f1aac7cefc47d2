"""How an attempt ended: pure, from what is on disk and what vkd meant."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import ValidationError

from aiinfn_hub.contract.records import RecordRefusedError, check
from aiinfn_hub.contract.runner import (
    JobError,
    Progress,
    ResourcePoint,
    RunnerRecord,
    Scalar,
)
from aiinfn_hub.contract.states import Cause, JobState
from aiinfn_hub.i18n.messages import Message
from aiinfn_hub.platform.selection import Selection
from aiinfn_hub.vkd.backends.common.ending import SUPERVISOR_FAILED, SUPERVISOR_KILLED, ends_as_told

from .attempt_files import ExitFacts, Intent, IntentKind
from .resource_series import checked

_LINE: Final = 200
"""Longest quotation from an error in a sentence."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where an attempt leaves its job."""

    state: JobState
    cause: Cause
    message: Message
    exit_code: int | None = None
    error: JobError | None = None


def moment(seconds: float | None) -> datetime | None:
    """Turn seconds since the epoch into a time."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def plural(count: int, title: str) -> str:
    """Write some devices: ``NVIDIA T4``, ``2 x NVIDIA T4``."""
    return title if count == 1 else f"{count} x {title}"


def progress_of(records: Mapping[str, Any]) -> Progress | None:
    """Return the last progress that the job told, if it makes sense."""
    record = _record(records.get("progress"))
    return record.progress if record else None


def error_of(records: Mapping[str, Any]) -> JobError | None:
    """Return the error that the job told, if it makes sense."""
    record = _record(records.get("error"))
    return record.error if record else None


def values_of(records: Mapping[str, Any]) -> dict[str, Scalar]:
    """Return what the job recorded."""
    record = _record(records.get("values"))
    return record.values or {} if record else {}


def points_of(found: Iterable[Any]) -> list[ResourcePoint]:
    """Return what the job used over time, as far as it makes sense."""
    return [ResourcePoint.model_validate(point) for point in checked(found)]


def _record(value: Any) -> RunnerRecord | None:
    # What the supervisor took is checked again: an older one may have taken more, and the job wrote it.
    try:
        return RunnerRecord.model_validate(check(value)) if isinstance(value, dict) else None
    except (ValidationError, RecordRefusedError):
        return None


def stopped(intent: Intent, selection: Selection) -> Outcome:
    """Judge an attempt that was stopped on purpose."""
    if intent.kind is IntentKind.CANCEL:
        return Outcome(JobState.CANCELLED, Cause.CANCELLED, Message("history.cancelled"))
    if intent.kind is IntentKind.PREEMPT:
        message = gave_way(selection, datetime.fromtimestamp(intent.at, UTC))
        return Outcome(JobState.QUEUED, Cause.PREEMPTED, message)
    if intent.kind is IntentKind.DEVICE_LOST:
        title = selection.accelerator.title if selection.accelerator else selection.accelerator_name
        message = Message("again.no_device", accelerator=title)
        return Outcome(JobState.QUEUED, Cause.DEVICE_LOST, message)
    if intent.kind is IntentKind.HOLD:
        return Outcome(JobState.QUEUED, Cause.HELD, Message("again.withheld"))
    return Outcome(JobState.QUEUED, Cause.INTERRUPTED, Message("again.platform_stopped"))


def gave_way(selection: Selection, at: datetime) -> Message:
    """Report that a job made room for a session."""
    if selection.accelerator is None:
        return Message("again.gave.place", at=at)
    return Message("again.gave", devices=plural(selection.count, selection.accelerator.title), at=at)


def judge(
    ended: ExitFacts,
    intent: Intent | None,
    records: Mapping[str, Any],
    selection: Selection,
    *,
    rebooted: bool,
) -> Outcome:
    """Return where an attempt that ended leaves its job, and why. Nothing else decides this.

    What happened first counts, whatever was meant a moment later:

    1. Success is success, even if it came just when the job was told to stop: the runner never exits with 0 because of
       SIGTERM.
    2. A person's wish to cancel.
    3. What was the end of it before vkd's order to stop reached it: its time limit, a start that failed, its own failure.
       Only where its device was lost, a failure is put down to that.
    4. Why vkd stopped it.
    5. Without an order of vkd: what its supervisor saw, or that this was killed.

    Parameters
    ----------
    rebooted
        The machine was restarted since the attempt began: it has another boot id.
    """
    if ended.exit_code == 0:
        return Outcome(JobState.SUCCEEDED, Cause.COMPLETED, Message("history.finished"), 0)
    if intent is not None and (intent.kind is IntentKind.CANCEL or not _ended_before(ended, intent)):
        return replace(stopped(intent, selection), exit_code=ended.exit_code)
    if ended.why == "stopped":
        # Nobody here asked for it: the machine is being shut down, and told every process so.
        message = Message("again.machine_stops")
        return Outcome(JobState.QUEUED, Cause.INTERRUPTED, message, ended.exit_code)
    if ended.why == "time_limit":
        message = Message("history.time_limit", limit=selection.time_limit)
        return Outcome(JobState.FAILED, Cause.TIME_LIMIT, message, ended.exit_code, error_of(records))
    if ended.why == "start_failed":
        message = Message("failed.start", why=ended.message)
        return Outcome(JobState.FAILED, Cause.START_FAILED, message)
    if ended.why == "lost" and rebooted:
        message = Message("failed.rebooted")
        return Outcome(JobState.FAILED, Cause.LOST, message)
    if ended.why in {"lost", SUPERVISOR_KILLED}:
        message = (
            Message("failed.supervisor_killed.by", signal=ended.message)
            if ended.message.startswith("SIG")
            else Message("failed.supervisor_killed")
        )
        return Outcome(JobState.FAILED, Cause.LOST, message)
    if ended.why == SUPERVISOR_FAILED:
        return Outcome(JobState.FAILED, Cause.LOST, Message("failed.supervisor"))
    return _failed(ended, error_of(records))


def _ended_before(ended: ExitFacts, intent: Intent) -> bool:
    """Return whether an attempt was at its end before vkd's order to stop reached it."""
    if ended.why in {"time_limit", "start_failed"}:
        return True
    if ended.why != "exited" or intent.kind is IntentKind.DEVICE_LOST:
        return False
    # A machine that is shut down tells the job's process, too, perhaps before the supervisor.
    return not ends_as_told(ended.exit_code, ended.signal) or ended.out_of_memory


def unless_cancelled(outcome: Outcome, intent: Intent | None, selection: Selection) -> Outcome:
    """Return an outcome, or that the job is cancelled if a person asked for this while it was being found."""
    if intent is None or intent.kind is not IntentKind.CANCEL or outcome.state is JobState.SUCCEEDED:
        return outcome
    return replace(stopped(intent, selection), exit_code=outcome.exit_code)


def _failed(ended: ExitFacts, error: JobError | None) -> Outcome:
    if error is not None:
        text = (
            f"{error.name}: {error.message}".strip().splitlines()[0][:_LINE] if error.message else error.name
        )
        message = (
            Message("failed.error", error=text)
            if error.cell is None
            else Message("failed.cell", cell=error.cell, error=text)
        )
        # The runner's 2 means that it could not begin, e.g. because the kernel is missing.
        cause = Cause.START_FAILED if ended.exit_code == 2 and error.cell is None else Cause.ERROR
        return Outcome(JobState.FAILED, cause, message, ended.exit_code, error)
    if ended.out_of_memory:
        return Outcome(JobState.FAILED, Cause.ERROR, Message("failed.machine_memory"))
    if ended.signal is not None:
        try:
            name = signal.Signals(ended.signal).name
        except ValueError:
            name = f"signal {ended.signal}"
        # A lack of memory is only told where the system says so.
        return Outcome(JobState.FAILED, Cause.ERROR, Message("failed.signal", signal=name))
    message = Message("failed.exit_code", code=ended.exit_code)
    return Outcome(JobState.FAILED, Cause.ERROR, message, ended.exit_code)
