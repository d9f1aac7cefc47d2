"""``aiinfn-hub accounts``: whose the hub's accounts are, a provider with a new issuer, and names to be given free."""

from __future__ import annotations

import csv
import json
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import click

from aiinfn_hub.auth.database.accounts import AccountStore, BoundAccount, StoreError
from aiinfn_hub.auth.database.migrations import SchemaError
from aiinfn_hub.config.environment import accounts_url
from aiinfn_hub.host.accounts import default_data
from aiinfn_hub.platform.characters import shown

_TIMEOUT: Final = 300


@click.group()
def accounts() -> None:
    """Show whose the hub's accounts are, and release names."""


@accounts.command(name="list")
@click.option("--unbound", is_flag=True, help="Only those that belong to nobody yet.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
def list_(unbound: bool, as_json: bool) -> None:
    """List the accounts, each with issuer and subject of the person whose it is.

    One that is not bound yet becomes that of the next person who signs in under its name.
    """
    found = [each for each in _ask(lambda store: store.all()) if not unbound or each.identity is None]
    if as_json:
        click.echo(json.dumps([_model(each) for each in found], indent=1, ensure_ascii=False))
        return
    width = max((len(each.name) for each in found), default=0)
    for each in found:
        click.echo(f"{shown(each.name, 255):<{width}}  {_owner(each)}")
    free = sum(each.identity is None for each in found)
    click.echo(f"{len(found)} accounts, {free} of them not yet bound.", err=True)


@accounts.command()
@click.argument("old")
@click.argument("new")
@click.option(
    "--subjects",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="File with a line `OLD,NEW` for each subject that changes with the provider.",
)
@click.option("--dry-run", is_flag=True, help="Say only what would change.")
def move(old: str, new: str, subjects: Path | None, dry_run: bool) -> None:
    """Let the accounts of the issuer OLD be those of the issuer NEW, all or none.

    For an identity provider that moved. Without --subjects everybody keeps the subject (claim `sub`). It counts from the next
    sign-in on; the hub itself learns its issuer from AIINFN_IAM_ISSUER when it starts.
    """
    mapping = _subjects(subjects) if subjects else None
    try:
        moved = _ask(lambda store: store.move(old, new, mapping, dry_run=dry_run))
    except ValueError as error:
        raise click.ClickException(f"Nothing was changed: {error}.") from None
    if not moved.changes and not moved.unmapped:
        issuers = sorted({each.identity.issuer for each in _ask(lambda store: store.all()) if each.identity})
        raise click.ClickException(
            f"No account belongs to the issuer {old}; there are: {', '.join(issuers) or 'none'}."
        )
    for name, (before, after) in moved.changes.items():
        click.echo(
            f"{shown(name, 255)}  {before.issuer} {before.subject}  ->  {after.issuer} {after.subject}"
        )
    for name in moved.unmapped:
        click.secho(f"{shown(name, 255)}  is not in the file and stays as it is", fg="yellow")
    would = "would be" if dry_run else "were"
    click.echo(f"{len(moved.changes)} accounts {would} moved, {len(moved.unmapped)} stay.", err=True)


@accounts.command()
@click.argument("name")
@click.option("--dry-run", is_flag=True, help="Say only what would be done.")
@click.option(
    "--home-moved", is_flag=True, help="On Kubernetes: the home was moved away in its volume, by an operator."
)
@click.option("--hub", "hub_url", help="Address of the hub itself, if it is not on this machine.")
def release(name: str, dry_run: bool, home_moved: bool, hub_url: str | None) -> None:
    """Release the user NAME, so that another person can have it and finds nothing of the former one.

    The hub must run. Tokens and sign-ins end, the home is archived, and the jobs stay as history under another name. It is
    refused while a session runs or a job is not over.
    """
    done = _call(hub_url, name, {"dry_run": dry_run, "home_moved": home_moved})
    would = "would be" if dry_run else "is"
    click.echo(f"{shown(name, 255)} {would} free for another person.")
    if done["known"]:
        click.echo(f"  Its tokens, sign-ins and settings at the hub {'would end' if dry_run else 'ended'}.")
    click.echo(f"  Jobs kept as those of {done['released_as']}: {done['jobs']}.")
    if done["home"]:
        click.echo(f"  The home {would} at {done['home']}.")


def _ask(ask: Any) -> Any:
    store = AccountStore(accounts_url(os.environ, default_data()))
    try:
        return ask(store)
    except (StoreError, SchemaError, OSError) as error:
        raise click.ClickException(f"The accounts cannot be read: {error}") from None
    finally:
        store.close()


def _call(hub_url: str | None, name: str, body: dict[str, bool]) -> dict[str, Any]:
    place = (
        hub_url
        or f"http://{os.environ.get('AIINFN_HUB_BIND_IP') or '127.0.0.1'}:{os.environ.get('AIINFN_HUB_PORT') or 8081}"
    )
    file = default_data() / "hub" / "accounts.token"
    try:
        token = file.read_text("ascii").strip()
    except OSError as error:
        raise click.ClickException(
            f"{file} cannot be read ({error.strerror}). Run this as the hub's own account, with its AIINFN_DATA."
        ) from None
    request = urllib.request.Request(  # noqa: S310 - the operator's own hub
        f"{place.rstrip('/')}/hub/api/aiinfn/accounts/{quote(name, safe='')}/release",
        method="POST",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"token {token}", "Content-Type": "application/json"},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_TIMEOUT) as response:
            answer: dict[str, Any] = json.load(response)
            return answer
    except urllib.error.HTTPError as error:
        with error:
            try:
                message = json.load(error)["message"]
            except (ValueError, KeyError, TypeError):
                message = f"The hub answers with status {error.code}."
        raise click.ClickException(str(message)) from None
    except (OSError, ValueError) as error:
        raise click.ClickException(
            f"The hub does not answer at {place} ({getattr(error, 'reason', error)}). It has to run for this; --hub says where."
        ) from None


def _subjects(path: Path) -> dict[str, str]:
    """Read the new subject of each old one."""
    found: dict[str, str] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            for number, row in enumerate(csv.reader(stream), 1):
                cells = [cell.strip() for cell in row]
                if not any(cells) or cells[0].startswith("#"):
                    continue
                if len(cells) != 2 or not all(cells):
                    raise click.ClickException(f"{path}, line {number}: write OLD,NEW, two subjects.")
                if cells[0] in found:
                    raise click.ClickException(f"{path}, line {number}: {cells[0]} is there twice.")
                found[cells[0]] = cells[1]
    except (OSError, UnicodeError, csv.Error) as error:
        raise click.ClickException(f"{path} cannot be read: {error}") from None
    return found


def _owner(account: BoundAccount) -> str:
    if account.identity is None or account.bound is None:
        return "not yet bound"
    return f"{account.identity.issuer} {account.identity.subject} since {account.bound:%Y-%m-%d %H:%M} UTC"


def _model(account: BoundAccount) -> dict[str, Any]:
    identity = account.identity
    return {
        "name": account.name,
        "issuer": identity.issuer if identity else None,
        "sub": identity.subject if identity else None,
        "bound": account.bound.isoformat() if account.bound else None,
    }
