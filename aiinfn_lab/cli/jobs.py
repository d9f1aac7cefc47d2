"""``list``, ``show``, ``points``, ``cancel``, ``rerun``; `manage` has what else is done with jobs."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING

import click

from aiinfn_lab.i18n.language import gettext as _

from .common import (
    Word,
    client,
    complete_choices,
    complete_jobs,
    echo_json,
    exit_of,
    explained,
    job_id,
    note,
    output_option,
    plain,
    tell_error,
)

if TYPE_CHECKING:
    from aiinfn_lab.client import Client, Job

_STATES = ("active", "queued", "starting", "running", "succeeded", "failed", "cancelled")


@click.command("list")
@click.option(
    "-s",
    "--state",
    "states",
    type=click.Choice(_STATES),
    metavar="STATE",
    multiple=True,
    help=f"Only jobs in this state: {', '.join(_STATES[1:])}, or active for all that are not over; may be repeated.",
)
@click.option(
    "--project",
    type=Word(),
    shell_complete=complete_choices("projects"),
    help="Only jobs of this project.",
)
@click.option(
    "--owner",
    type=Word(),
    help="Only jobs of this person (managers and operators see those of others).",
)
@click.option(
    "--search", metavar="WORDS", help="Only jobs with all these words in name, path, label, id or error."
)
@click.option("--label", type=Word("label"), help="Only jobs with this label.")
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(1),
    metavar="NUMBER",
    default=25,
    show_default=True,
    help="Newest jobs to list.",
)
@click.option("--all", "everything", is_flag=True, help="List all jobs.")
@output_option()
@explained
def list_jobs(
    *,
    states: tuple[str, ...],
    project: str | None,
    owner: str | None,
    search: str | None,
    label: str | None,
    limit: int,
    everything: bool,
    output: str,
    quiet: bool,
) -> None:
    """List jobs, newest first."""
    with client() as connection:
        # One more than shown, to know whether there are more.
        wanted = None if everything else limit + 1
        listed = connection.jobs(
            states, project=project, owner=owner, search=search, label=label, limit=wanted
        )
        found = list(islice(listed, wanted))
        more, found = (not everything and len(found) > limit), found if everything else found[:limit]
        if quiet:
            for job in found:
                click.echo(job.id)
        elif output == "json":
            echo_json(found)
        elif not found:
            filtered = states or project or owner or search or label
            note(_("No such jobs.") if filtered else _("No jobs yet. Submit one: aiinfn submit --help"))
        else:
            from . import tables  # noqa: PLC0415 - it loads rich

            tables.jobs(found, owners=len({job.owner for job in found}) > 1)
        if more and not quiet and output != "json":
            note(_("These are the newest {limit}. Use --all to list all.").format(limit=limit))


@click.command(short_help="Show all about a job.")
@click.argument("job", shell_complete=complete_jobs)
@output_option(quiet="Only the state.")
@explained
def show(job: str, output: str, quiet: bool) -> None:
    """Show all about JOB: an id, or last for your newest one.

    As JSON it is the job as the API gives it, with its history as "events", and of a job that has begun what it used as
    "resources".
    """
    with client() as connection:
        found = connection.job(job_id(connection, job))
        if quiet:
            click.echo(plain(found.state))
            return
        events = connection.events(found.id)
        # A sweep runs nothing itself.
        used = connection.resources(found.id) if found.attempt and found.sweep is None else None
    if output == "json":
        echo_json({**found.model_dump(mode="json"), "events": events, "resources": used})
    else:
        from . import tables  # noqa: PLC0415

        tables.details(found, events, used)


@click.command(short_help="Cancel jobs.")
@click.argument("jobs", nargs=-1, required=True, shell_complete=complete_jobs)
@output_option(quiet="Only the ids.")
@explained
def cancel(jobs: tuple[str, ...], output: str, quiet: bool) -> None:
    """Cancel JOBS. What they printed and wrote so far stays."""
    each(jobs, lambda connection, identity: connection.cancel(identity), output, quiet=quiet)


@click.command(short_help="Run jobs that are over again.")
@click.argument("jobs", nargs=-1, required=True, shell_complete=complete_jobs)
@click.option(
    "--points",
    metavar="WHICH",
    help="Of a sweep: failed, all, or numbers separated by commas. Default: what did not succeed.",
)
@output_option(quiet="Only the new ids.")
@explained
def rerun(jobs: tuple[str, ...], points: str | None, output: str, quiet: bool) -> None:
    """Run JOBS that are over again, with the same copy of their input and the same choices.

    Of a sweep only some points run again; its table shows what the others gave before.
    """
    each(jobs, lambda connection, identity: connection.rerun(identity, points), output, quiet=quiet)


@click.command(short_help="Show the table of a sweep.")
@click.argument("job", shell_complete=complete_jobs)
@click.option(
    "-o",
    "--output",
    type=click.Choice(("table", "json", "csv")),
    default="table",
    show_default=True,
    help="csv: for a spreadsheet or pandas.",
)
@explained
def points(job: str, output: str) -> None:
    """Show every point of the sweep JOB with its parameters, state, time and recorded values."""
    with client() as connection:
        identity = job_id(connection, job)
        if output == "csv":
            click.echo(connection.points_csv(identity), nl=False)
            return
        found = connection.points(identity)
    if output == "json":
        echo_json(found)
    else:
        from . import tables  # noqa: PLC0415

        tables.points(found)


def each(jobs: tuple[str, ...], act: Callable[[Client, str], Job], output: str, *, quiet: bool) -> None:
    """Do something with each job; one that cannot be done does not keep the others from it."""
    from aiinfn_lab.client import AiinfnError  # noqa: PLC0415

    done, failed = [], None
    with client() as connection:
        for given in jobs:
            try:
                identity = job_id(connection, given)
                done.append(act(connection, identity))
            except AiinfnError as error:
                failed = error
                about = f"{given}: " if len(jobs) > 1 else ""
                tell_error(error, as_json=output == "json", about=about, of_job=True)
                continue
            if quiet:
                click.echo(done[-1].id)
            elif output != "json":
                click.echo(plain(f"{done[-1].id}  {done[-1].name}: {done[-1].sentence}"))
    if output == "json" and not quiet:
        echo_json(done)
    if failed is not None:
        raise click.exceptions.Exit(exit_of(failed))
