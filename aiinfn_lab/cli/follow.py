"""``logs`` and ``wait``: what takes as long as a job, and leaves it alone when it is interrupted."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from aiinfn_lab.i18n.language import gettext as _

from .common import (
    ExitCode,
    Word,
    client,
    complete_jobs,
    echo_json,
    explained,
    interrupted,
    job_id,
    note,
    output_option,
    plain,
)

if TYPE_CHECKING:
    from aiinfn_lab.client import AiinfnError, Client, Job


@click.command(short_help="Print what a job prints.")
@click.argument("job", shell_complete=complete_jobs)
@click.option(
    "-f", "--follow", is_flag=True, help="Go on until the job is over, also when it is interrupted."
)
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(0),
    metavar="NUMBER",
    help="Only the last lines (and with -f what follows them).",
)
@click.option(
    "--attempt", type=click.IntRange(1), metavar="NUMBER", help="Of an earlier attempt. Default: the latest."
)
@explained
def logs(job: str, follow: bool, lines: int | None, attempt: int | None) -> None:
    """Print what JOB prints (an id, or last for your newest one).

    Ctrl-C ends the reading and not the job.
    """
    with client() as connection:
        identity = job_id(connection, job)
        try:
            printed = follow_log(connection, identity, follow=follow, lines=lines, attempt=attempt)
        except KeyboardInterrupt:
            raise interrupted(
                _("Not reading any more; the job goes on. To read on: aiinfn {command} {job}").format(
                    command="logs -f", job=identity
                )
            ) from None
        if follow or not printed:
            found = connection.job(identity)
            about = f"{found.id}: {found.sentence}"
            if not printed:
                nothing = _("Nothing printed yet.") if found.actions else _("Nothing was printed.")
                about = f"{nothing} {about}"
            note(about)


def follow_log(
    connection: Client,
    identity: str,
    *,
    follow: bool = True,
    lines: int | None = None,
    attempt: int | None = None,
) -> bool:
    """Print a log; returns whether there was anything."""
    out = sys.stdout.buffer
    offset, shown = 0, attempt
    if lines is not None:
        part = connection.tail(identity, lines, attempt=attempt)
        out.write(part.data)
        out.flush()
        if not follow:
            return bool(part.data)
        offset = part.end
    if follow:
        found = connection.job(identity)
        if found.state in {"queued", "starting"}:
            note(f"{found.sentence}.".replace("..", "."))
        shown = attempt or max(found.attempt, 1)
    printed = offset > 0
    parts = connection.logs(identity, follow=follow, offset=offset, attempt=attempt, on_trouble=_trouble)
    for part in parts:
        if follow and part.attempt != shown:
            shown = part.attempt
            out.flush()
            note(_("[attempt {attempt}]").format(attempt=part.attempt))
        out.write(part.data)
        out.flush()
        printed = True
    return printed


@click.command(short_help="Wait until jobs are over.")
@click.argument("jobs", nargs=-1, required=True, shell_complete=complete_jobs)
@click.option(
    "-t",
    "--timeout",
    type=Word("time"),
    help="Longest time to wait, such as 90s, 30m or 8h. Default: no limit.",
)
@output_option(quiet="Say nothing; the exit status tells.")
@explained
def wait(jobs: tuple[str, ...], timeout: str | None, output: str, quiet: bool) -> None:
    """Wait until JOBS are over.

    The exit status is 0 if all succeeded, 1 if one failed or was cancelled, 5 if the time was up. Changes are told on
    stderr, the end on stdout. Ctrl-C ends the waiting and not the jobs.
    """
    seconds = _seconds(timeout)
    with client() as connection:
        identities = [job_id(connection, given) for given in jobs]
        try:
            found = connection.wait(
                identities, seconds, on_change=None if quiet else _Teller().tell, on_trouble=_trouble
            )
        except KeyboardInterrupt:
            raise interrupted(
                _("Not waiting any more; the jobs go on. To wait again: aiinfn wait {jobs}").format(
                    jobs=" ".join(identities)
                )
            ) from None
    if output == "json":
        echo_json(found)
    elif not quiet:
        for job in found:
            click.echo(plain(f"{job.id}  {job.name}: {job.sentence}"))
    raise click.exceptions.Exit(outcome(found))


def outcome(jobs: list[Job]) -> ExitCode:
    """Return the exit status of jobs that are over."""
    return ExitCode.OK if all(job.state == "succeeded" for job in jobs) else ExitCode.JOB_FAILED


class _Teller:
    """Tells what happens to jobs on stderr, each sentence once."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}

    def tell(self, job: Job) -> None:
        if job.ended is None and self._told.get(job.id) != job.sentence:
            self._told[job.id] = job.sentence
            note(f"{job.id}  {job.name}: {job.sentence}")


def _trouble(error: AiinfnError) -> None:
    note(_("[{message} Jobs are not affected; waiting for it.]").format(message=error.message))


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    from aiinfn_hub.contract.units import parse_duration  # noqa: PLC0415 - it loads pydantic

    try:
        return parse_duration(int(text) if text.isascii() and text.isdigit() else text).total_seconds()
    except ValueError as error:
        raise click.BadParameter(f"{error}.", param_hint="--timeout") from None
