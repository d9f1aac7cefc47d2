"""``aiinfn-hub``: the operators' command."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from aiinfn_hub.platform.loading import loader

from .accounts import accounts
from .kueue import kueue
from .platform import COMMANDS


@click.group()
@click.version_option(package_name="aiinfn")
def main() -> None:
    """Run and check a platform of shared accelerators."""


@main.command()
@click.option(
    "--port", type=click.IntRange(1, 65535), default=8000, show_default=True, help="Where people open it."
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=".demo",
    show_default=True,
    help="Folder for homes, jobs, databases and logs. Delete it to start afresh.",
)
@click.option(
    "--platform",
    "platform_file",
    type=click.Path(path_type=Path),
    help="Platform file; default: AIINFN_PLATFORM, else platform.yaml here.",
)
@click.option("--no-browser-hint", is_flag=True, help="Leave the line that says what to do next out.")
def demo(port: int, data: Path, platform_file: Path | None, no_browser_hint: bool) -> None:
    """Run everything on this machine, with made-up people who sign in without a password.

    Nothing outside this machine can reach it, and Ctrl-C ends all of it.
    """
    from aiinfn_hub.demo.launcher import Demo, DemoError  # noqa: PLC0415 - the other commands start without JupyterHub

    try:
        sys.exit(Demo(port, data, platform_file or loader.default_path()).run(hint=not no_browser_hint))
    except DemoError as error:
        raise click.ClickException(str(error)) from None


for command in (*COMMANDS, kueue, accounts):
    main.add_command(command)
