"""``submit``."""

from __future__ import annotations

import os
import shlex
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from aiinfn_lab.i18n.language import gettext as _
from aiinfn_lab.paths import look

from .common import (
    Word,
    assignments,
    client,
    complete_choices,
    echo_json,
    explained,
    interrupted,
    note,
    output_option,
    plain,
)
from .follow import follow_log, outcome

if TYPE_CHECKING:
    from aiinfn_lab.client import Client, DryRun, Job, Options

_BEHIND: Final = "aiinfn.behind"


class _Submit(click.Command):
    """Keeps what stands behind ``--`` apart: it belongs to the person's own program, whatever it looks like."""

    @cached_property
    def _texts(self) -> list[click.Parameter]:
        """One option for each text that a person says about a job. Pydantic is loaded with it, and by nothing before."""
        from aiinfn_hub.contract.jobs import JobDescription  # noqa: PLC0415

        return [
            click.Option([f"--{name.replace('_', '-')}", name], type=Word(), help=field.description)
            for name, field in JobDescription.model_fields.items()
            if field.annotation == str | None
        ]

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the options, those of a job's description among them."""
        *options, to_help = super().get_params(ctx)
        return [*options, *self._texts, to_help]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Split the line, then read the part before ``--`` as usual."""
        if "--" in args:
            place = args.index("--")
            args, ctx.meta[_BEHIND] = args[:place], args[place + 1 :]
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if ctx.resilient_parsing:
                raise
            raise click.UsageError(
                _(
                    "There is no option {option}. What is meant for your own program comes after --, for "
                    "example: aiinfn submit train.py -- {option}"
                ).format(option=error.option_name),
                ctx=ctx,
            ) from None


@click.command(cls=_Submit, short_help="Submit a notebook, a script or a command.")
@click.argument("file", nargs=-1, type=click.Path(), metavar="[FILE | FOLDER] [-- ARGUMENTS...]")
@click.option(
    "--with-folder",
    is_flag=True,
    help="Copy the whole folder that the file is in; the job runs in a copy of it, beside it.",
)
@click.option(
    "-a",
    "--accelerator",
    type=Word(),
    shell_complete=complete_choices("accelerators"),
    help="By name; none: CPU only.",
)
@click.option("--count", type=int, metavar="NUMBER", help="How many of them.")
@click.option("-t", "--time", "time_limit", type=Word("time"), help="Longest run time, such as 90m or 8h.")
@click.option(
    "--size", type=Word(), shell_complete=complete_choices("sizes"), help="Cores and memory, by name."
)
@click.option("--image", type=Word(), shell_complete=complete_choices("images"), help="Environment, by name.")
@click.option("--project", type=Word(), shell_complete=complete_choices("projects"), help="On whose account.")
@click.option("--queue", type=Word(), shell_complete=complete_choices("queues"), help="Where it waits.")
@click.option(
    "--label", "labels", multiple=True, metavar="LABEL", help="Word to find it by later; may be repeated."
)
@click.option(
    "-p",
    "--parameter",
    "parameters",
    multiple=True,
    metavar="NAME=VALUE",
    help="Value for a name of the notebook's cell tagged parameters; may be repeated.",
)
@click.option(
    "--sweep",
    "grid",
    multiple=True,
    metavar="NAME=VALUES",
    help="Run it once for each value: 0.1,0.2 or 1..10 or lin(0,1,5) or log(1e-4,1e-1,4). Repeated: every combination.",
)
@click.option(
    "--table",
    type=click.Path(),
    help="Run it once for each line of a CSV file; its first line has the names. -: standard input.",
)
@click.option(
    "--parallelism",
    type=click.IntRange(1),
    metavar="NUMBER",
    help="Of a sweep, how many wait or run at a time. Default: 8.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would become of it.")
@click.option(
    "--anyway",
    is_flag=True,
    help="Submit it although something was found that is sure to fail; see --dry-run.",
)
@click.option(
    "-f", "--follow", is_flag=True, help="Print what it prints until it is over; exit with 1 if it fails."
)
@click.option(
    "--key",
    type=Word("key"),
    help="Submitting again with the same key gives the same job, so that a retry makes no second one.",
)
@click.option(
    "--folder",
    type=Word("folder"),
    default="submitted",
    show_default=True,
    help="From outside: folder of your home for the file.",
)
@click.option("--replace", is_flag=True, help="From outside: replace another file of that name there.")
@click.option("--session", type=Word(), help="From outside: name of the running session to go through.")
@output_option(quiet="Only the id.")
@click.pass_context
@explained
def submit(
    ctx: click.Context,
    /,
    *,
    file: tuple[str, ...],
    parameters: tuple[str, ...],
    grid: tuple[str, ...],
    table: str | None,
    parallelism: int | None,
    dry_run: bool,
    follow: bool,
    output: str,
    quiet: bool,
    **options: Any,
) -> None:
    """Submit a notebook, a script (.py, .sh, .R), a folder or a command as a batch job.

    \b
    Examples:
      aiinfn submit train.ipynb -a t4 -t 2h          a notebook on a T4
      aiinfn submit train.ipynb -p epochs=20         with a parameter
      aiinfn submit train.ipynb --sweep lr=0.1,0.2 --sweep seed=1..5
      aiinfn submit fit.py -- --runs 3 data.root     a script with arguments
      aiinfn submit -a t4 -- ./simulate --events 10  a command
      aiinfn submit -- 'cd build; make'              a line of the shell
      aiinfn submit project -- make all              a command in a folder
      aiinfn submit project                          its main.py, or the like
      aiinfn submit project/fit.py --with-folder     a file, with its whole folder
      aiinfn submit home:work/fit.py                 a file of your home

    A copy of the file is queued, so that you can go on editing. It runs in the folder of the original (a command: in
    the present folder), and the result appears beside it. Of a folder a copy is queued; the job runs in another copy
    of it, FOLDER.JOB, and what it writes stays there.

    The file may say itself what it needs, in comments before the first line of code; options win over them:

    \b
      # AIINFN accelerator=t4 time=2h size=large

    From outside of a session the file is put into your home through a session of yours that runs.
    """  # noqa: D301 - click's sign for lines that stay apart
    behind: list[str] | None = ctx.meta.get(_BEHIND)
    path, chosen = _what(ctx, file, behind, options)
    if parameters:
        chosen["parameters"] = _parameters(parameters)
    _sweep(ctx, chosen, grid, table, parallelism)
    with client() as connection:
        if dry_run:
            answer = connection.check(path, **chosen)
            if output == "json":
                echo_json(answer)
            elif not quiet:
                _show_checks(answer)
            return
        job = connection.submit(path, **chosen)
        if quiet:
            click.echo(job.id)
        elif output == "json":
            echo_json(job)
        else:
            click.echo(plain(f"{job.id}  {job.name}: {job.sentence}"))
            if job.work.parameters:
                values = assignments(job.work.parameters)
                click.echo(plain(_("with {values}").format(values=values)))
        if follow:
            _follow(connection, job)
        if not quiet and output == "table":
            note(
                _("Follow it with: aiinfn {command} {job}").format(
                    command="points" if job.sweep else "logs -f", job=job.id
                )
            )


def _show_checks(answer: DryRun) -> None:
    verdicts = {"ok": _("ok"), "notice": _("notice"), "problem": _("problem")}
    click.echo(plain(answer.sentence))
    for check in answer.checks:
        click.echo(f"  {verdicts.get(check.verdict, check.verdict):<8} {plain(check.sentence)}")
        if check.hint and check.verdict != "ok":
            click.echo(f"  {'':<8} {plain(check.hint)}")


def _follow(connection: Client, job: Job) -> NoReturn:
    try:
        if job.sweep is None:
            follow_log(connection, job.id)
        (job,) = connection.wait(job)
    except KeyboardInterrupt:
        raise interrupted(
            _("Not reading any more; the job goes on. To read on: aiinfn {command} {job}").format(
                command="points" if job.sweep else "logs -f", job=job.id
            )
        ) from None
    note(f"{job.id}: {job.sentence}")
    raise click.exceptions.Exit(outcome([job]))


def _what(
    ctx: click.Context, file: tuple[str, ...], behind: list[str] | None, options: dict[str, Any]
) -> tuple[str | None, Options]:
    """Distinguish a file with arguments from a command."""
    chosen: Options = {key: value for key, value in options.items() if value not in {None, ()}}  # type: ignore[assignment]
    if len(file) > 1:
        words = shlex.join(file)
        raise click.UsageError(
            _(
                "Only one file can be submitted. What is meant for your own program comes after --: aiinfn "
                "submit {file} -- {arguments}, or for a command: aiinfn submit -- {words}"
            ).format(file=shlex.quote(file[0]), arguments=shlex.join(file[1:]), words=words),
            ctx=ctx,
        )
    if file and behind and _is_folder(file[0]):
        chosen["command"] = behind
    elif file and behind:
        chosen["arguments"] = behind
    if file:
        if not file[0]:
            raise click.UsageError(
                _("The name of the file is empty. Say which notebook or script to submit."), ctx=ctx
            )
        return file[0], chosen
    if not behind:
        raise click.UsageError(_("Say which notebook or script to submit, or a command after --."), ctx=ctx)
    chosen["command"] = behind
    return None, chosen


def _is_folder(path: str) -> bool:
    """Return whether a folder is meant; of the home, which may be elsewhere, only the name says so."""
    return path.endswith("/") or look(Path(os.path.expanduser(path)), folder=True)[0]  # noqa: PTH111 - "~nobody" is a name


def _sweep(
    ctx: click.Context, chosen: Options, grid: tuple[str, ...], table: str | None, parallelism: int | None
) -> None:
    if grid and table:
        raise click.UsageError(_("Give either --sweep or --table."), ctx=ctx)
    if parallelism is not None:
        if not (grid or table):
            raise click.UsageError(_("--parallelism goes with --sweep or --table."), ctx=ctx)
        chosen["parallelism"] = parallelism
    if grid:
        chosen["sweep"] = {name: str(value) for name, value in _parameters(grid, "--sweep").items()}
    elif table:
        from aiinfn_lab.submission.sweep import from_bytes  # noqa: PLC0415

        try:
            with click.open_file(table, "rb") as file:
                chosen["sweep"] = from_bytes(file.read())
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or _("it is not text in UTF-8")
            raise click.BadParameter(
                _("{table} cannot be read: {reason}.").format(table=table, reason=reason),
                param_hint="--table",
            ) from None


def _parameters(given: tuple[str, ...], option: str = "-p") -> dict[str, Any]:
    from aiinfn_lab.submission.values import Typed  # noqa: PLC0415

    found: dict[str, Any] = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or not name.strip():
            raise click.BadParameter(_("{text} is no NAME=VALUE.").format(text=repr(text)), param_hint=option)
        if name.strip() in found:
            raise click.BadParameter(
                _("{name} is given twice.").format(name=repr(name.strip())), param_hint=option
            )
        found[name.strip()] = Typed(value)
    return found
