"""``delete``, ``label``, ``keep``: what is done with jobs that are there."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import click

from aiinfn_lab.i18n.language import gettext as _
from aiinfn_lab.i18n.language import ngettext

from .common import (
    client,
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
    from aiinfn_lab.client import BulkResult, Client


@click.command(short_help="Delete jobs that are over.")
@click.argument("jobs", nargs=-1, required=True, shell_complete=complete_jobs)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@output_option(quiet="Only the ids.")
@explained
def delete(jobs: tuple[str, ...], yes: bool, output: str, quiet: bool) -> None:
    """Delete JOBS that are over, with their logs and the copies of their input; a sweep with its points.

    Your own input and output files stay, and the device time they used stays in the account.
    """
    question = ngettext(
        "Delete the job {job}? That cannot be undone.",
        "Delete these {number} jobs? That cannot be undone.",
        len(jobs),
    ).format(job=plain(jobs[0]), number=len(jobs))
    if not yes:
        try:
            click.confirm(question, abort=True, err=True)
        except click.Abort:
            if sys.stdin.isatty():
                raise
            raise click.UsageError(_("Nobody said yes. With --yes it deletes without asking.")) from None
    _together(jobs, lambda connection, ids: connection.delete(ids), _deleted, output, quiet=quiet)


@click.command(short_help="Give jobs labels, or take them away.")
@click.argument("jobs", nargs=-1, required=True, shell_complete=complete_jobs)
@click.option("-a", "--add", multiple=True, metavar="LABEL", help="Give this one; may be repeated.")
@click.option("-r", "--remove", multiple=True, metavar="LABEL", help="Take this one away; may be repeated.")
@output_option(quiet="Only the ids.")
@explained
def label(
    jobs: tuple[str, ...], add: tuple[str, ...], remove: tuple[str, ...], output: str, quiet: bool
) -> None:
    """Give JOBS labels by which they are found again: aiinfn list --label LABEL.

    A label is one word, such as paper-2026; a job has at most ten.
    """
    if not add and not remove:
        raise click.UsageError(_("Say which label, with --add or --remove."))
    _together(
        jobs, lambda connection, ids: connection.label(ids, add, remove), _labelled, output, quiet=quiet
    )


@click.command(short_help="Keep jobs whatever their age.")
@click.argument("jobs", nargs=-1, required=True, shell_complete=complete_jobs)
@click.option("--release", is_flag=True, help="Keep them no longer than others.")
@output_option(quiet="Only the ids.")
@explained
def keep(jobs: tuple[str, ...], release: bool, output: str, quiet: bool) -> None:
    """Keep JOBS whatever their age; others are deleted some time after their end, which aiinfn show tells."""
    from .jobs import each  # noqa: PLC0415

    each(
        jobs, lambda connection, identity: connection.edit(identity, pinned=not release), output, quiet=quiet
    )


def _deleted(number: int) -> str:
    return ngettext("{number} job deleted.", "{number} jobs deleted.", number).format(number=number)


def _labelled(number: int) -> str:
    return ngettext("{number} job labelled.", "{number} jobs labelled.", number).format(number=number)


def _together(
    jobs: tuple[str, ...],
    act: Callable[[Client, Iterable[str]], list[BulkResult]],
    done: Callable[[int], str],
    output: str,
    *,
    quiet: bool,
) -> None:
    """Do the same with all jobs at once, and tell each that it could not be done with."""
    from aiinfn_lab.client import AiinfnError  # noqa: PLC0415

    failed = None
    with client() as connection:
        results = act(connection, [job_id(connection, given) for given in jobs])
    for result in results:
        if result.problem is not None:
            problem = result.problem
            failed = AiinfnError(problem.reason, problem.message, problem.hint, field=problem.field)
            if output != "json":
                tell_error(failed, about=f"{result.id}: " if len(results) > 1 else "", of_job=True)
        elif quiet:
            click.echo(result.id)
    good = sum(result.problem is None for result in results)
    if output == "json" and not quiet:
        echo_json(results)
    elif good and not quiet:
        note(done(good))
    if failed is not None:
        raise click.exceptions.Exit(exit_of(failed))
