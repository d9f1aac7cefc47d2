"""``platform``, ``queues``, ``usage``: what there is."""

from __future__ import annotations

import click

from aiinfn_lab.i18n.language import gettext as _

from .common import (
    client,
    echo_json,
    explained,
    note,
    output_option,
    plain,
)


@click.command()
@output_option(quiet="Only the names of the accelerators.")
@explained
def platform(output: str, quiet: bool) -> None:
    """Show what you may use, and what is free of it."""
    with client() as connection:
        view = connection.platform()
    if quiet:
        for entry in view.accelerators:
            click.echo(entry.name)
        return
    if output == "json":
        echo_json(view)
        return
    from . import tables  # noqa: PLC0415 - it loads rich

    click.echo(
        plain(
            (_("{title}: {user}, operator") if view.admin else "{title}: {user}").format(
                title=view.title, user=view.user
            )
        )
    )
    click.echo()
    tables.columns(
        ("ACCELERATOR", "FREE", "WAITING", "AT MOST", "TITLE"),
        [
            (
                entry.name,
                _("{free} of {total}").format(free=entry.availability.free, total=entry.availability.total),
                str(entry.availability.queued),
                _("{number} per job").format(number=entry.max_per_job),
                " ".join(
                    part
                    for part in (
                        entry.title,
                        f"({entry.memory})" if entry.memory else "",
                        _("simulated") if entry.simulated else "",
                    )
                    if part
                ),
            )
            for entry in view.accelerators
        ],
        wide=("TITLE",),
    )
    click.echo()
    tables.columns(
        ("SIZE", "CORES", "MEMORY", "TITLE"),
        [(size.name, f"{size.cores:g}", size.memory, size.title) for size in view.sizes],
        wide=("TITLE",),
    )
    for heading, choices in (("IMAGE", view.images), ("PROJECT", view.projects), ("QUEUE", view.queues)):
        click.echo()
        tables.columns(
            (heading, "TITLE"), [(choice.name, choice.title) for choice in choices], wide=("TITLE",)
        )
    if view.keep_jobs:
        click.echo()
        kept = tables.span(view.keep_jobs)
        click.echo(_("Jobs are kept for {time} after their end.").format(time=kept))
    if view.age > 60:
        note(_("What is free was read {age} ago.").format(age=tables.span(view.age)))


@click.command()
@output_option(quiet="Only the names.")
@explained
def queues(output: str, quiet: bool) -> None:
    """Show the queues you may use, with their lengths."""
    with client() as connection:
        found = connection.queues()
    if quiet:
        for queue in found:
            click.echo(queue.name)
    elif output == "json":
        echo_json(found)
    else:
        from . import tables  # noqa: PLC0415

        tables.columns(
            ("QUEUE", "WAITING", "RUNNING", "LONGEST RUN", "ACCELERATORS", "TITLE"),
            [
                (
                    queue.name,
                    str(queue.queued),
                    str(queue.running),
                    tables.span(queue.max_time),
                    ", ".join(queue.accelerators),
                    queue.title,
                )
                for queue in found
            ],
            wide=("TITLE",),
        )


@click.command()
@click.option(
    "--days",
    type=click.IntRange(1, 3660),
    metavar="NUMBER",
    default=30,
    show_default=True,
    help="Back from now.",
)
@output_option(quiet="Only the sum, in device-hours.")
@explained
def usage(days: int, output: str, quiet: bool) -> None:
    """Show the accelerator time that batch jobs used."""
    from datetime import UTC, datetime, timedelta  # noqa: PLC0415

    with client() as connection:
        found = connection.usage(datetime.now(UTC) - timedelta(days=days))
    if quiet:
        click.echo(f"{sum(entry.device_seconds for entry in found.entries) / 3600:.2f}")
    elif output == "json":
        echo_json(found)
    elif not found.entries:
        note(_("No accelerator time was used in the last {days} days.").format(days=days))
    else:
        from . import tables  # noqa: PLC0415

        tables.columns(
            ("PROJECT", "PERSON", "ACCELERATOR", "HOURS", "JOBS"),
            [
                (
                    entry.project,
                    entry.user,
                    entry.accelerator,
                    f"{entry.device_seconds / 3600:.2f}",
                    str(entry.jobs),
                )
                for entry in found.entries
            ],
        )
