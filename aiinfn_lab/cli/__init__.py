"""``aiinfn``: the scientists' command. What a command needs beyond click is loaded when it runs."""

from __future__ import annotations

import errno
import os
import sys
from typing import Any

import click

from aiinfn_lab.i18n.language import gettext as _
from aiinfn_lab.i18n.language import speaking

from . import terminal
from .account import completion, login, logout
from .common import ExitCode, interrupted, tell
from .follow import logs, wait
from .jobs import cancel, list_jobs, points, rerun, show
from .manage import delete, keep, label
from .submit import submit
from .view import platform, queues, usage

_EXITS = """
\b
Exit status:
  0    done; `wait`: every job succeeded
  1    `wait`, `submit --follow`: a job failed or was cancelled
  2    the command line was not understood
  3    refused: the message says what to change
  4    the platform does not answer, or has a fault: try again later
  5    `wait --timeout`: not over in time
  130  interrupted by Ctrl-C; jobs go on
  141  whoever read the output went away, such as head
"""
_CHANGING = {"submit", "cancel", "rerun", "delete", "label", "keep"}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG}


class _Commands(click.Group):
    """Lists its commands in the order in which one needs them, and ends each with a status that says what happened."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; click alone would end with 1 whatever came between, which here means a failed job."""
        with speaking(terminal.language()):
            return self._invoked(ctx)

    def _invoked(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.Abort:
            raise interrupted(_("Nothing was done.")) from None
        except KeyboardInterrupt:
            changing = ctx.invoked_subcommand in _CHANGING
            raise interrupted(
                _("Interrupted. It may have been done already; to see: aiinfn list")
                if changing
                else _("Interrupted. Jobs are not affected.")
            ) from None
        except BrokenPipeError:
            # What is left to be written goes nowhere, also what Python writes at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise click.exceptions.Exit(ExitCode.CLOSED) from None
        except OSError as error:
            if error.errno not in _FULL:
                raise
            tell(
                _("The output cannot be written: {reason}.").format(reason=error.strerror),
                _("Make room, or write it elsewhere."),
            )
            raise click.exceptions.Exit(ExitCode.REFUSED) from None

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return their names as they were added."""
        return list(self.commands)


@click.group(
    cls=_Commands,
    epilog=_EXITS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="aiinfn")
def main() -> None:
    """Submit notebooks, scripts and commands as batch jobs, and follow them.

    In a session of the platform nothing is to be set up. From elsewhere, sign in once:

    \b
      aiinfn login https://hub.example.org

    Then, for example:

    \b
      aiinfn submit train.ipynb -a t4 -t 2h -p epochs=20
      aiinfn list
      aiinfn logs -f last
    """  # noqa: D301 - click's sign for lines that stay apart


for command in (
    submit, list_jobs, show, points, logs, wait, cancel, rerun, label, keep, delete, platform, queues, usage, login, logout, completion,
):  # fmt: skip
    main.add_command(command)
