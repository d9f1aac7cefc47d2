"""What all commands share: the client, how errors are shown, the usual options."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
from click.shell_completion import CompletionItem

from aiinfn_lab.i18n.language import gettext as _
from aiinfn_lab.paths import printable

from . import terminal

if TYPE_CHECKING:
    from aiinfn_lab.client import AiinfnError, Client, Job

LAST: Final = "last"
"""Stands for the id of the newest job of one's own."""
_COMPLETION_SECONDS: Final = 1.5

Command = TypeVar("Command", bound=Callable[..., Any])


class ExitCode(IntEnum):
    """Exit status; the help of ``aiinfn`` lists them."""

    OK = 0
    JOB_FAILED = 1
    USAGE = 2
    REFUSED = 3
    UNAVAILABLE = 4
    TIMEOUT = 5
    INTERRUPTED = 130
    CLOSED = 141


def exit_of(error: AiinfnError) -> ExitCode:
    """Return the exit status that goes with an error."""
    if error.reason == "timeout":
        return ExitCode.TIMEOUT
    return ExitCode.UNAVAILABLE if error.reason in {"unavailable", "internal"} else ExitCode.REFUSED


class Word(click.ParamType[str]):
    """Text with something in it: an unset variable of a shell does not quietly mean the default."""

    def __init__(self, name: str = "name") -> None:
        self.name = name

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text as it is."""
        if not value.strip():
            self.fail(_("it is empty. Leave the option out for the default."), param, ctx)
        return value


def tell_error(error: AiinfnError, *, as_json: bool = False, about: str = "", of_job: bool = False) -> None:
    """Write an error to stderr.

    Parameters
    ----------
    of_job
        Whether the command was given a job, so that one that is not found is a wrong id.
    """
    if as_json:
        keys = ("reason", "message", "hint", "status", "field")
        click.echo(json.dumps({key: getattr(error, key) for key in keys}), err=True)
        return
    hint = error.hint or _("Run the command again; if that does not help, ask the operators of the platform.")
    if of_job and error.reason == "not_found":
        hint = _("{hint} What there is: aiinfn list").format(hint=hint)
    tell(f"{about}{error.message}", hint)


def tell(message: str, hint: str) -> None:
    """Write what went wrong, and what to do, to stderr."""
    note(_("Error: {message}").format(message=message))
    note(_("What to do: {hint}").format(hint=hint))


def note(text: str) -> None:
    """Write something beside the result, which alone goes to stdout."""
    click.echo(plain(text), err=True)


def assignments(values: Mapping[str, Any]) -> str:
    """Write values of parameters as Python will have them."""
    from aiinfn_hub.contract.values import as_python  # noqa: PLC0415

    return ", ".join(f"{name}={as_python(value)}" for name, value in values.items())


def plain(text: str) -> str:
    """Take out what would command the terminal: names and errors may come from other people's jobs."""
    return printable(text, keep="\n\t")


def explained(function: Command) -> Command:
    """Report errors as sentences, with the exit status that goes with them."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        from aiinfn_lab.client import AiinfnError  # noqa: PLC0415 - it loads httpx and pydantic

        try:
            return function(*args, **kwargs)
        except AiinfnError as error:
            of_job = not kwargs.keys().isdisjoint({"job", "jobs"})
            tell_error(error, as_json=kwargs.get("output") == "json", of_job=of_job)
            raise click.exceptions.Exit(exit_of(error)) from None

    return wrapped  # type: ignore[return-value]


def client(*, timeout: float | None = None) -> Client:
    """Make the client. Raises `AiinfnError` if nobody signed in."""
    from aiinfn_lab.client import Client  # noqa: PLC0415

    reader = terminal.reader()
    return Client(**reader) if timeout is None else Client(timeout=timeout, **reader)


def job_id(connection: Client, given: str) -> str:
    """Return the id that was meant."""
    from aiinfn_lab.client import AiinfnError  # noqa: PLC0415

    if given != LAST:
        return given
    for job in connection.jobs(owner=connection.platform().user, limit=1):
        return job.id
    raise AiinfnError("not_found", _("You have no jobs yet."), _("Submit one: aiinfn submit --help"))


def output_option(*, quiet: str = "Only ids.") -> Callable[[Command], Command]:
    """Add ``-o`` and ``-q``."""

    def add(function: Command) -> Command:
        function = click.option("-q", "--quiet", is_flag=True, help=quiet)(function)
        return click.option(
            "-o",
            "--output",
            type=click.Choice(["table", "json"]),
            default="table",
            help="What to write; json is what the API says. Default: table.",
        )(function)

    return add


def echo_json(value: Any) -> None:
    """Write models of the contract, or plain values, as JSON."""
    click.echo(json.dumps(_dumped(value), indent=2, ensure_ascii=not _is_utf8()))


def interrupted(message: str) -> click.exceptions.Exit:
    """Report what Ctrl-C did not do, and end."""
    note(f"\n{message}")
    return click.exceptions.Exit(ExitCode.INTERRUPTED)


def complete_jobs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the newest jobs."""

    def look(connection: Client) -> list[CompletionItem]:
        return [CompletionItem(job.id, help=_about(job)) for job in connection.jobs(limit=50)]

    items = [CompletionItem(LAST, help=_("your newest job")), *_looked_up(look)]
    return [item for item in items if item.value.startswith(incomplete)]


def complete_choices(kind: str) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """Offer the names of what the person may use: ``accelerators``, ``queues`` and so on."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        def look(connection: Client) -> list[CompletionItem]:
            found = getattr(connection.platform(), kind)
            return [CompletionItem(choice.name, help=choice.title) for choice in found]

        return [item for item in _looked_up(look) if item.value.startswith(incomplete)]

    return complete


def _looked_up(look: Callable[[Client], list[CompletionItem]]) -> list[CompletionItem]:
    # A shell that completes must not hang or print.
    from aiinfn_lab.client import AiinfnError  # noqa: PLC0415

    try:
        with client(timeout=_COMPLETION_SECONDS) as connection:
            return look(connection)
    except AiinfnError:
        return []


def _about(job: Job) -> str:
    return plain(f"{job.name}, {job.state}")


def _dumped(value: Any) -> Any:
    if isinstance(value, list):
        return [_dumped(item) for item in value]
    if isinstance(value, dict):
        return {key: _dumped(item) for key, item in value.items()}
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else value


def _is_utf8() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
