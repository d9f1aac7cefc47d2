"""``aiinfn-hub kueue``: bring a cluster's queues, namespaces and rights in line with the platform file, and remove them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import click

from aiinfn_hub.kube.apply import apply, kinds, removal
from aiinfn_hub.kube.apply.apply import ApplyError, Plan, Verb
from aiinfn_hub.kube.client import KubeClient
from aiinfn_hub.kube.credentials import KubeConfigurationError
from aiinfn_hub.platform.loading import loader
from aiinfn_hub.platform.model.platform import Platform

T = TypeVar("T")

_MARKS = {Verb.CREATE: ("+", "green"), Verb.CHANGE: ("~", "yellow"), Verb.REMOVE: ("-", "red")}
_NOTHING = "(nothing)"


class Failed(click.ClickException):
    """Ends the command with status 2: 1 is what ``diff`` says of a difference."""

    exit_code = 2


@click.group()
def kueue() -> None:
    """Bring a cluster's queues, namespaces and rights in line with the platform file."""


def _options(command: Callable[..., None]) -> Callable[..., None]:
    force = click.option(
        "--force", is_flag=True, help="Take over objects and fields that others made or manage."
    )
    return force(_connection(command))


def _connection(command: Callable[..., None]) -> Callable[..., None]:
    for decorate in (
        click.option(
            "--kubeconfig",
            type=click.Path(path_type=Path, dir_okay=False),
            help="An administrator's; default: KUBECONFIG, else the pod's own service account.",
        ),
        click.argument("file", type=click.Path(path_type=Path), required=False),
    ):
        command = decorate(command)
    return command


@kueue.command()
@_options
def diff(file: Path | None, kubeconfig: Path | None, force: bool) -> None:
    """Show what `apply` would change for a platform FILE (default: AIINFN_PLATFORM, else platform.yaml here).

    The status is 0 if the cluster is in line with the file, 1 if something would change, 2 if that cannot be told or
    would be refused.
    """

    async def work(client: KubeClient, platform: Platform) -> Plan:
        return await apply.make_plan(client, platform, force=force)

    plan = _run(file, kubeconfig, work)
    _show(plan)
    if plan.obstacles:
        raise Failed("\n".join(["This would be refused.", *plan.obstacles]))
    sys.exit(1 if plan.pending else 0)


@kueue.command(name="apply")
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@click.option("--yes", is_flag=True, help="Do not ask before changing something.")
@_options
def apply_(file: Path | None, kubeconfig: Path | None, force: bool, dry_run: bool, yes: bool) -> None:
    """Bring the cluster in line with a platform FILE (default: AIINFN_PLATFORM, else platform.yaml here).

    Nothing is changed at all where unfinished jobs would be hurt, or where somebody else's objects are in the way.
    """

    async def work(client: KubeClient, platform: Platform) -> None:
        plan = await apply.make_plan(client, platform, force=force)
        _show(plan)
        if plan.obstacles or not plan.pending or dry_run:
            if plan.obstacles:
                raise ApplyError("\n".join(["Nothing was changed.", *plan.obstacles]))
            return
        if not yes:
            await asyncio.to_thread(_ask)
        await apply.carry_out(client, platform, plan, force=force)
        click.echo("Done.")
        for sentence in await apply.inactive_queues(client, platform):
            click.secho(sentence, fg="yellow")

    _run(file, kubeconfig, work)


@kueue.command()
@click.option("--yes", is_flag=True, help="Do it; without this it is only shown.")
@click.option(
    "--end-running",
    is_flag=True,
    help="End the sessions and jobs that are not over; what they have not saved is lost.",
)
@click.option(
    "--timeout",
    type=click.IntRange(min=1),
    default=int(removal.SECONDS),
    show_default=True,
    help="Seconds that the whole may take.",
)
@_connection
def remove(file: Path | None, kubeconfig: Path | None, yes: bool, end_running: bool, timeout: int) -> None:
    """Remove from the cluster what `apply` made of a platform FILE (default: AIINFN_PLATFORM, else platform.yaml here).

    Stop hub and vkd first. Namespaces with anything in them stay, with all of it. Nothing is forced; run again, it goes on where it
    stopped.

    The status is 0 if nothing of the platform is left, 1 if something would be removed, 2 if that cannot be told or is refused.
    """

    async def work(client: KubeClient, platform: Platform) -> bool:
        plan = await removal.plan_removal(client, platform, end_running=end_running)
        if not plan.pending:
            click.echo(f"Nothing of {platform.kubernetes.instance_name} is in this cluster.")
        elif yes:
            await removal.carry_out(client, platform, plan, click.echo, seconds=timeout)
            click.echo("Done.")
        else:
            _show_removal(plan)
            return True
        return False

    sys.exit(1 if _run(file, kubeconfig, work) else 0)


def _show_removal(plan: removal.Removal) -> None:
    """Print what would go and what would stay."""
    for words in (*plan.sessions, *plan.jobs):
        click.secho(f"- end {words}", fg="red")
    for each in plan.objects:
        click.secho(f"- remove {apply.title(kinds.BY_NAME[each['kind']], each)}", fg="red")
    for each in plan.namespaces:
        name = each["metadata"]["name"]
        if why := plan.keeping.get(name):
            click.echo(f"Namespace {name} stays: {why}.")
        else:
            click.secho(f"- remove Namespace {name}", fg="red")
    if plan.obstacles:
        raise ApplyError("\n".join(["This would be refused.", *plan.obstacles]))
    click.echo("Stop hub and vkd, then say --yes.")


def _ask() -> None:
    if not sys.stdin.isatty():
        raise ApplyError("Nothing was changed. Without a terminal to ask on, say --yes.")
    click.confirm("Do this?", abort=True)


def _run(
    file: Path | None, kubeconfig: Path | None, work: Callable[[KubeClient, Platform], Coroutine[Any, Any, T]]
) -> T:
    async def connected(platform: Platform) -> T:
        client = await KubeClient.connect(kubeconfig)
        try:
            return await work(client, platform)
        finally:
            await client.close()

    try:
        platform = loader.load(file or loader.default_path())
        apply.wanted(platform)  # what is wrong with the file is said before the cluster is asked
        return asyncio.run(connected(platform))
    except (loader.PlatformError, KubeConfigurationError, ApplyError) as error:
        raise Failed(str(error)) from None


def _show(plan: Plan) -> None:
    """Print a plan: a line for each object, and below it what of it changes."""
    for change in plan.pending:
        mark, colour = _MARKS[change.verb]
        click.secho(f"{mark} {change.verb} {change.title}", fg=colour)
        for field in change.fields:
            old, new = (_NOTHING if value is None else value for value in (field.old, field.new))
            click.echo(f"    {field.path}: {old} -> {new}")
    for note in plan.notes:
        click.echo(note)
    if kept := len(plan.changes) - len(plan.pending):
        click.echo(f"{kept} objects are as they should be.")
