"""``aiinfn-hub check``, ``explain``, ``schema`` and ``docs``: operate the platform file."""

from __future__ import annotations

import asyncio
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

import click

from aiinfn_hub.platform.access import explain as explaining
from aiinfn_hub.platform.access.offer import offer
from aiinfn_hub.platform.loading import loader, schema
from aiinfn_hub.platform.model.fields import parse_moment, show_moment
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.model.settings import BackendKind
from aiinfn_hub.platform.model.storage import StorageUse
from aiinfn_hub.platform.model.storage_kinds.base import PERSON
from aiinfn_hub.platform.person import Person
from aiinfn_hub.storage import local_mounts

_LONGEST_TOKEN: Final = 100_000
_FILE = click.argument("file", type=click.Path(path_type=Path), required=False)


class _Moment(click.ParamType):  # type: ignore[type-arg] # generic since click 8.5 only
    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read a date or a time as in the platform file."""
        try:
            return parse_moment(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command()
@_FILE
@click.option(
    "--iam", "try_iam", is_flag=True, help="Try IAM and the hub's client there too; AIINFN_IAM_* say which."
)
@click.option(
    "--token-file",
    type=click.File("r"),
    help="With --iam: an access token of a person, for the shape of the group claims; - for standard input.",
)
def check(file: Path | None, try_iam: bool, token_file: IO[str] | None) -> None:
    """Check a platform FILE and say what it declares (default: AIINFN_PLATFORM, else platform.yaml here).

    Everything that is wrong is listed with file, line and key. The status is 0 if nothing is.
    """
    path = file or loader.default_path()
    examined = loader.examine(path)
    if examined.platform is None:
        *most, last = map(str, examined.problems)
        for problem in most:
            click.echo(f"Error: {problem}", err=True)
        raise click.ClickException(last)
    platform = examined.platform
    click.echo(f"{path} is in order: {platform.title}, back end {platform.sessions.backend}.")
    if len(examined.files) > 1:
        click.echo(f"  {'files':<13} {', '.join(each.name for each in examined.files)}")
    for part in (
        "accelerators",
        "images",
        "sizes",
        "projects",
        "queues",
        "storage",
        "reservations",
        "grants",
        "presets",
    ):
        names = ", ".join(getattr(platform, part)) or "none"
        click.echo(f"  {part:<13} {names}")
    for hint in examined.hints:
        click.secho(f"Older form: {hint}", fg="yellow")
    for note in (*_over(platform, datetime.now(UTC)), *_storage(platform)):
        click.secho(note, fg="yellow")
    if try_iam:
        _check_iam(platform, token_file.read(_LONGEST_TOKEN).strip() if token_file else "")


def _check_iam(platform: Platform, access_token: str) -> None:
    """Print what was found about IAM; the status is 1 if something is wrong."""
    # The other commands start without JupyterHub.
    from aiinfn_hub.auth import check as examination  # noqa: PLC0415
    from aiinfn_hub.config.environment import ConfigurationError, required, url  # noqa: PLC0415

    environment = os.environ
    try:
        client = examination.CheckedClient(
            issuer=url(environment, "AIINFN_IAM_ISSUER")
            or required(environment, "AIINFN_IAM_ISSUER", "the issuer URL of IAM"),
            client_id=environment.get("AIINFN_IAM_CLIENT_ID") or "aiinfn-hub",
            secret=required(
                environment, "AIINFN_IAM_CLIENT_SECRET", "the secret of this hub as a client of IAM"
            ),
            public_url=url(environment, "AIINFN_PUBLIC_URL"),
            token_client_id=environment.get("AIINFN_IAM_TOKEN_CLIENT_ID", ""),
            token_client_secret=environment.get("AIINFN_IAM_TOKEN_CLIENT_SECRET", ""),
        )
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from None
    if not access_token.isascii() or len(access_token.split()) > 1:
        raise click.ClickException("The file of --token-file has to hold one access token and nothing else.")
    found = asyncio.run(examination.examine(client, platform, access_token))
    colours = {examination.CheckVerdict.BAD: "red", examination.CheckVerdict.NOTE: "yellow"}
    for each in found:
        click.secho(f"  {each.what:<13} {each.sentence}", fg=colours.get(each.verdict))
    if bad := sum(each.verdict is examination.CheckVerdict.BAD for each in found):
        raise click.ClickException(f"IAM: {bad} of {len(found)} checks failed.")


@click.command()
@_FILE
@click.option(
    "--groups", default="", help="IAM groups of the person, separated by commas, e.g. ai-infn/flavour."
)
@click.option("--name", default="somebody", show_default=True, help="Name of the person, for grants.")
@click.option("--admin", is_flag=True, help="The person operates the platform.")
@click.option(
    "--at", "moment", type=_Moment(), help="Date or time, e.g. 2026-12-01T09:00+01:00. Default: now."
)
def explain(file: Path | None, groups: str, name: str, admin: bool, moment: datetime | None) -> None:
    """Explain what a person would see with a platform FILE, and why not the rest.

    The reasons are those with which the gate would refuse it. Whether a device is free plays no part.
    """
    try:
        platform = loader.load(file or loader.default_path())
    except loader.PlatformError as error:
        raise click.ClickException(str(error)) from None
    person = Person.of(name, [each.strip() for each in groups.split(",")], admin=admin)
    click.echo(explaining.both(offer(platform, person, now=moment)), nl=False)


@click.command(name="schema")
@click.option("--overlay", is_flag=True, help='Of a file with "extends", or of one that others extend.')
def schema_(overlay: bool) -> None:
    """Print the JSON Schema of the platform file, for editors."""
    click.echo(json.dumps(schema.json_schema(overlay=overlay), indent=2))


@click.command()
def docs() -> None:
    """Print the documentation of every key of the platform file, in Markdown."""
    click.echo(schema.markdown(), nl=False)


def _storage(platform: Platform) -> list[str]:
    """Explain where what people write is not kept, or is kept in another way than the file says."""
    if platform.sessions.backend is BackendKind.LOCAL:
        return list(local_mounts.notes(platform))
    found = []
    homeless = [
        name
        for name in platform.projects
        if not any(
            each.use is StorageUse.HOME and (each.projects is None or name in each.projects)
            for each in platform.storage.values()
        )
    ]
    if homeless:
        found.append(
            f"storage: there is no home for {', '.join(homeless)}; what people write there is gone with the session."
        )
    found += [
        f'storage.{name}: it does not name {{person}}, so that everybody has the same home; write for example sub_path: "{{person}}".'
        for name, each in platform.storage.items()
        if each.use is StorageUse.HOME and each.kubernetes and not each.kubernetes.is_one_for_each(PERSON)
    ]
    return found


def _over(platform: Platform, now: datetime) -> list[str]:
    """Name what has ended, so that somebody removes it."""
    ends = {
        **{f"The reservation {name}": each.end for name, each in platform.reservations.items()},
        **{f"The grant {name}": each.until for name, each in platform.grants.items()},
    }
    return [
        f"{what} ended at {show_moment(end)}; it can be removed." for what, end in ends.items() if end <= now
    ]


COMMANDS = (check, explain, schema_, docs)
