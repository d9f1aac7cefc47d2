"""What a sweep is, out of what its points are. Pure functions."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from io import StringIO
from typing import Any, Final

from aiinfn_hub.contract.jobs import Work
from aiinfn_hub.contract.states import FINAL, JobState
from aiinfn_hub.contract.sweeps import SweepProgress, SweepTable
from aiinfn_hub.contract.values import TAGS, as_argument, as_python
from aiinfn_hub.i18n.messages import Message


def at_point(work: Work, values: Mapping[str, Any]) -> Work:
    """Return the work of a point: values on top of a notebook's parameters, or after a script's arguments."""
    if work.kind == "notebook":
        return work.model_copy(update={"parameters": {**work.parameters, **values}})
    added = [f"--{name}={as_argument(value)}" for name, value in values.items()]
    return work.model_copy(update={"arguments": [*work.arguments, *added]})


def counted(progress: SweepProgress, before: JobState, after: JobState) -> SweepProgress:
    """Move one point from a state to another."""
    changed = progress.model_dump()
    changed[before] -= 1
    changed[after] += 1
    return SweepProgress(**changed)


def together(state: JobState, progress: SweepProgress) -> list[JobState]:
    """Return the states that a sweep goes through, from one, to what its points are now.

    It runs if one of them runs, and waits if all that are not over wait. At its end it failed if one failed.
    """
    if progress.over == progress.points:
        end = (
            JobState.FAILED
            if progress.failed
            else JobState.CANCELLED
            if progress.cancelled
            else JobState.SUCCEEDED
        )
        return [] if state in FINAL else [end]
    now = (
        JobState.RUNNING if progress.running else JobState.STARTING if progress.starting else JobState.QUEUED
    )
    if now is state:
        return []
    if state is JobState.RUNNING and now is JobState.STARTING:
        return [JobState.QUEUED, JobState.STARTING]
    if state is JobState.QUEUED and now is JobState.RUNNING:
        return [JobState.STARTING, JobState.RUNNING]
    return [now]


def numbers(**counts: int) -> list[Message]:
    """Report how many there are of each, such as ``3 failed``; what there is none of is left out."""
    return [Message(_PARTS[word], number=number) for word, number in counts.items() if number]


_PARTS: Final = {
    "running": "sweep.part.running",
    "finished": "sweep.part.finished",
    "failed": "sweep.part.failed",
    "cancelled": "sweep.part.cancelled",
}


def end_message(progress: SweepProgress) -> Message:
    """Report how a sweep ended."""
    parts = numbers(finished=progress.succeeded, failed=progress.failed, cancelled=progress.cancelled)
    return Message("sweep.ended", points=progress.points, parts=parts)


def csv_of(table: SweepTable) -> str:
    """Write the table of a sweep as CSV (RFC 4180): the parameters, then the values, each in the order of its first use.

    A text that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    parameters = list(dict.fromkeys(name for point in table.points for name in point.parameters))
    values = list(dict.fromkeys(name for point in table.points for name in point.values))
    clash = set(parameters) & set(values)
    heads = [*parameters, *(f"value:{name}" if name in clash else name for name in values)]
    out = StringIO()
    writer = csv.writer(out)
    writer.writerow(["point", "state", *heads, "seconds", "started", "ended", "attempt", "job", "output"])
    for point in table.points:
        seconds = (point.ended - point.started).total_seconds() if point.ended and point.started else None
        writer.writerow(
            [
                point.point,
                str(point.state),
                *(_given(point.parameters, name) for name in parameters),
                *(_cell(point.values.get(name)) for name in values),
                seconds,
                point.started.isoformat() if point.started else None,
                point.ended.isoformat() if point.ended else None,
                point.attempt,
                point.job,
                _cell(point.output),
            ]
        )
    return out.getvalue()


def _given(values: Mapping[str, Any], name: str) -> Any:
    """Write a parameter; an empty cell is one that was not given."""
    return "None" if name in values and values[name] is None else _cell(values.get(name))


def _cell(value: Any) -> Any:
    if isinstance(value, (dict, list)):
        text = json.dumps(value)
        # What is tagged in it is of no use to whoever reads the table.
        return as_python(value) if any(f'"{tag}"' in text for tag in TAGS) else text
    if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"}:
        return f"'{value}"
    return value
