"""``login``, ``logout``, ``completion``."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

import click

from aiinfn_lab.i18n.language import gettext as _

from . import terminal
from .common import explained, note, plain

if TYPE_CHECKING:
    from aiinfn_lab.client import PlatformView

_SHELLS: Final = ("bash", "zsh", "fish")
_FILES: Final = {
    "bash": "~/.bashrc",
    "zsh": "~/.zshrc",
    "fish": "~/.config/fish/completions/aiinfn.fish",
}


@click.command(short_help="Sign in from outside of a session.")
@click.argument("url", required=False)
@click.option(
    "--token-stdin", is_flag=True, help="Read the token from standard input instead of asking for it."
)
@explained
def login(url: str | None, token_stdin: bool) -> None:
    """Sign in from outside of a session, with a token of the hub at URL.

    The token is asked for without showing it, checked, and kept in a file that only you can read. Get one on the
    hub's token page. On the hub you can delete it at any time.
    """
    from aiinfn_lab.client import AiinfnError, Client, access, identity  # noqa: PLC0415

    address = access.platform_url(_address(url))
    if token_stdin:
        token = sys.stdin.readline(4096).strip()
    else:
        note(
            _(
                "Get a token at {address}/hub/token: what it may do is written in the field Permissions; left "
                "empty, all that you may."
            ).format(address=address)
        )
        token = click.prompt(_("Token"), hide_input=True, err=True).strip()
    entry = access.PlatformAccess.outside(address, token)
    who = identity.token_owner(entry)
    with Client(address, token, **terminal.reader()) as connection:
        view = connection.platform()
    if view.user != who.name:
        raise AiinfnError(
            "internal",
            _("The hub and the batch service do not agree on who you are."),
            _("Tell the operators."),
        )
    path = access.save(entry)
    click.echo(plain(_("You are {user} on {title}.").format(user=view.user, title=view.title)))
    _tell_rights(view)
    if not who.may_use_sessions:
        note(
            _(
                "This token may follow and cancel jobs, but not submit files from here: for that it needs "
                "access:servers!user as well."
            )
        )
    note(_("The token is kept in {path}; aiinfn logout removes it.").format(path=path))
    if os.environ.get("AIINFN_TOKEN") or (
        os.environ.get("JUPYTERHUB_API_TOKEN") and os.environ.get("AIINFN_VKD_URL")
    ):
        note(_("Here it is not used: this session's own access, or AIINFN_TOKEN, comes first."))


@click.command()
@explained
def logout() -> None:
    """Forget the token that login kept."""
    from aiinfn_lab.client import AiinfnError, access  # noqa: PLC0415

    try:
        kept = access.load()
    except AiinfnError:
        kept = None
    if not access.forget():
        note(_("Nobody was signed in here."))
        return
    if kept is None:
        note(_("The token is forgotten here. It stays valid until you delete it on the hub's token page."))
        return
    note(
        _("The token is forgotten here. It stays valid until you delete it at {hub}/hub/token.").format(
            hub=kept.hub
        )
    )


@click.command(short_help="Print the script for a shell's completion.")
@click.argument("shell", type=click.Choice(_SHELLS), required=False)
def completion(shell: str | None) -> None:
    """Print the script that completes commands, options, jobs and names in SHELL.

    \b
    To switch it on, once:
      bash:  aiinfn completion bash >> ~/.bashrc
      zsh:   aiinfn completion zsh >> ~/.zshrc
      fish:  aiinfn completion fish > ~/.config/fish/completions/aiinfn.fish
    """  # noqa: D301 - click's sign for lines that stay apart
    from click.shell_completion import get_completion_class  # noqa: PLC0415

    from . import main  # noqa: PLC0415

    name = shell or os.path.basename(os.environ.get("SHELL", ""))  # noqa: PTH119 - a variable, not a file
    found = get_completion_class(name) if name in _SHELLS else None
    if found is None:
        raise click.UsageError(_("Say for which shell: {shells}.").format(shells=", ".join(_SHELLS)))
    click.echo(found(main, {}, "aiinfn", "_AIINFN_COMPLETE").source())
    if sys.stdout.isatty():
        note(_("Write this to {file} to switch completion on.").format(file=_FILES[name]))


def _address(url: str | None) -> str:
    from aiinfn_lab.client import AiinfnError, access  # noqa: PLC0415

    if url or (url := os.environ.get("AIINFN_URL")):
        return url
    try:
        kept = access.load()
    except AiinfnError:
        kept = None
    if kept is None or kept.hub is None:
        raise click.UsageError(_("Say where the hub is, for example: aiinfn login https://hub.example.org"))
    return kept.hub


def _tell_rights(view: PlatformView) -> None:
    for what, choices in (
        (_("projects"), view.projects),
        (_("queues"), view.queues),
        (_("accelerators"), view.accelerators),
    ):
        names = ", ".join(choice.name for choice in choices)
        click.echo(plain(f"  {what}: {names or _('none')}"))
    if not view.projects:
        note(
            _(
                "You are in no project of this platform, so you cannot submit. Ask the operators to add you to "
                "one."
            )
        )
