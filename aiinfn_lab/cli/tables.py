"""Tables and details on a terminal, or plain columns elsewhere. Loaded only when something is shown."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from aiinfn_hub.contract.jobs import JobDescription
from aiinfn_hub.contract.values import as_text
from aiinfn_lab.client import HistoryEntry, Job, Resources, SweepPoint
from aiinfn_lab.i18n.language import gettext as _
from aiinfn_lab.i18n.language import marked

from .common import assignments, plain

_STYLES: Final = {
    "queued": "yellow",
    "starting": "cyan",
    "running": "blue",
    "succeeded": "green",
    "failed": "bold red",
    "cancelled": "dim",
}
_DESCRIPTION: Final = (marked("labels"),)
"""Fields of a job's description, as they are shown."""
_UNBOUNDED: Final = 100_000
"""Width of what is not read on a terminal: nothing is cut, one line stays one line."""


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to the command, as where rich is not used: rich itself ends the process with 1."""
        raise BrokenPipeError


def console() -> Console:
    """Return the console for stdout. Colours never say what no word says; NO_COLOR and files get none."""
    terminal = sys.stdout.isatty()
    return _Console(
        width=None if terminal else _UNBOUNDED,
        color_system=None if os.environ.get("NO_COLOR") or not terminal else "auto",
        highlight=False,
        emoji=False,
        markup=False,
    )


def columns(titles: Sequence[str], rows: Iterable[Sequence[str | Text]], *, wide: Sequence[str] = ()) -> None:
    """Write a table.

    Parameters
    ----------
    wide
        Titles of the columns that shrink on a narrow terminal; others keep their words whole.
    """
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    for title in titles:
        gives_way = title in wide
        table.add_column(title, no_wrap=not gives_way, overflow="fold" if gives_way else "ellipsis")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(plain(cell)) for cell in row))
    _write(console(), table)


def _write(out: Console, table: Table) -> None:
    """Write a table without the blanks that fill up its last column."""
    with out.capture() as captured:
        out.print(table)
    for line in captured.get().splitlines():
        click.echo(line.rstrip())


def jobs(found: Sequence[Job], *, owners: bool) -> None:
    """Write a list of jobs."""
    width = console().width
    # On a narrow terminal what the sentence says anyway is cut; ids never are.
    shown = {"OWNER": owners, "DEVICE": width >= 80, "SUBMITTED": width >= 100}
    titles = ["ID", "NAME", "OWNER", "STATE", "DEVICE", "SUBMITTED", "WHAT HAPPENS"]
    rows: list[list[str | Text]] = [
        [job.id, _short(job.name), job.owner, state(job.state), device(job), ago(job.created), job.sentence]
        for job in found
    ]
    kept = [place for place, title in enumerate(titles) if shown.get(title, True)]
    columns(
        [titles[place] for place in kept],
        [[row[place] for place in kept] for row in rows],
        wide=("NAME", "WHAT HAPPENS"),
    )


def _queue(job: Job) -> str:
    if not job.position:
        return job.queue
    return _("{queue}, position {position}").format(queue=job.queue, position=job.position)


def _short(name: str) -> str:
    return name if len(name) <= 30 else f"{name[:29]}…"


def details(job: Job, events: Sequence[HistoryEntry], used: Resources | None) -> None:
    """Write all about a job; of a failed one the error first."""
    out = console()
    out.print(Text.assemble((plain(job.name), "bold"), "  ", state(job.state)))
    out.print(Text(plain(job.sentence)))
    if job.error is not None:
        told = (_("{error} in cell {cell}: {message}") if job.error.cell else "{error}: {message}").format(
            error=job.error.name, cell=job.error.cell, message=job.error.message
        )
        out.print()
        if job.error.message not in job.sentence:
            out.print(Text(plain(told), style="red"))
        if job.error.traceback:
            out.print(Text(plain(job.error.traceback)))
    out.print()
    rows = [
        ("id", job.id),
        (_("owner"), job.owner),
        (_("project"), job.project),
        (_("queue"), _queue(job)),
        (_("device"), device(job)),
        (_("size, image"), f"{job.size}, {job.image}"),
        (_("time limit"), span(job.time_limit)),
        (_("input"), job.work.path),
        (_("output"), job.output),
        (_("arguments"), shlex.join(job.work.arguments)),
        (_("parameters"), assignments(job.work.parameters)),
        (_("attempt"), str(job.attempt) if job.attempt else ""),
        (_("again of"), job.rerun_of or ""),
        *(
            (_(field.replace("_", " ")), said if isinstance(said, str) else ", ".join(said or ()))
            for field in JobDescription.model_fields
            if field != "name"
            for said in [getattr(job, field)]
        ),
        (_("submitted"), moment(job.created)),
        (_("started"), moment(job.started)),
        (_("ended"), moment(job.ended)),
        (_("kept until"), _("it is released (pinned)") if job.pinned else moment(job.kept_until)),
    ]
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for name, value in rows:
        if value:
            table.add_row(name, Text(plain(value)))
    _write(out, table)
    if used is not None and used.points:
        out.print(f"\n{_('Resources')}", style="bold")
        for sentence in (*used.sentences, *used.advice):
            out.print(Text(plain(sentence)))
    out.print(f"\n{_('History')}", style="bold")
    columns(
        ("TIME", "STATE", "WHAT HAPPENED"),
        [
            line
            for entry in events
            for line in (
                (moment(entry.time), str(entry.state), entry.message),
                *((moment(step.time), "", step.message) for step in entry.startup),
            )
        ],
        wide=("WHAT HAPPENED",),
    )


def points(found: Sequence[SweepPoint]) -> None:
    """Write the table of a sweep."""
    parameters = list(dict.fromkeys(name for point in found for name in point.parameters))
    recorded = list(dict.fromkeys(name for point in found for name in point.values))
    rows: list[list[str | Text]] = [
        [
            str(point.point),
            *(_cell(point.parameters.get(name)) for name in parameters),
            state(point.state),
            span((point.ended - point.started).total_seconds()) if point.ended and point.started else "",
            *(_cell(point.values.get(name)) for name in recorded),
            point.job,
        ]
        for point in found
    ]
    columns(("POINT", *parameters, "STATE", "TOOK", *recorded, "JOB"), rows)


def _cell(value: object) -> str:
    if value is None or isinstance(value, float):
        return "" if value is None else f"{value:.6g}"
    return _short(str(as_text(value)))


def state(word: str) -> Text:
    """Write the word for a state, in a colour that only repeats it; one that a newer platform has is written as it is."""
    return Text(plain(word), style=_STYLES.get(word, ""))


def device(job: Job) -> str:
    """Write what a job runs on."""
    if not job.count:
        return "CPU"
    pretended = f" ({_('simulated')})" if job.simulated else ""
    return f"{job.count} x {job.accelerator}{pretended}" if job.count > 1 else f"{job.accelerator}{pretended}"


def moment(time: datetime | None) -> str:
    """Write a moment in local time."""
    return "" if time is None else time.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def ago(time: datetime) -> str:
    """Write how long ago something was."""
    seconds = max(0, int((datetime.now(UTC) - time).total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return _("{number} {unit} ago").format(number=seconds // size, unit=unit)
    return _("just now")


def span(seconds: float) -> str:
    """Write a duration."""
    whole = round(seconds)
    parts = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        amount, whole = divmod(whole, size)
        if amount:
            parts.append(f"{amount} {unit}")
    return " ".join(parts[:2]) or "0 s"
