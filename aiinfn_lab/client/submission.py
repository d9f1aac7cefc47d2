"""Submitting a file or a command: in a session from the home itself, from outside through a running session."""

from __future__ import annotations

import base64
import contextlib
import os
import shlex
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, Final

from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_lab.i18n.language import gettext as _
from aiinfn_lab.paths import HomeDocument, Places, clean, look, show
from aiinfn_lab.session.environment import Session
from aiinfn_lab.submission import (
    directives,
    folder,
    job_request,
    sweep,
    target,
    values,
)
from aiinfn_lab.submission.inspection import LANGUAGES, Inspection, inspect
from aiinfn_lab.submission.target import Target

from .errors import AiinfnError

IN_HOME: Final = "home:"
"""Before the path of a file that is in the person's home on the platform already."""
LARGEST: Final = 50 * 2**20
"""Bytes that an input may have, as in JupyterLab."""
_COMMAND: Final = b"""#!/bin/bash
# Runs the command that is given as arguments, in the folder it was submitted from; a single one is a line of the shell.
# Python would keep back what it prints, and the log would come late.
export PYTHONUNBUFFERED=1
if [ $# -eq 1 ]; then exec bash -o pipefail -c "$1"; fi
exec "$@"
"""


@dataclass(frozen=True)
class Submission:
    """What is to be submitted.

    Attributes
    ----------
    path
        Of a notebook or script, or of a folder that is submitted as a whole; None for a command in the present folder.
    command
        Program and arguments; a single one is a line of the shell. With a folder as the path it runs in a copy of that.
    with_folder
        Whether the folder that the file is in goes along.
    choices
        What the platform is asked for, and what is said about the job: keys of `aiinfn_hub.contract.jobs.JobRequest`.
    sweep
        Values for each name of a grid, the points themselves, or a table as CSV; None: no sweep.
    parallelism
        Points of the sweep that wait or run at a time.
    anyway
        Submit it although something was found that is sure to fail.
    folder, replace, session
        From outside: where in the home the file is put, whether over another one, and through which session.
    """

    path: str | None = None
    command: tuple[str, ...] | None = None
    with_folder: bool = False
    arguments: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    choices: Mapping[str, Any] = field(default_factory=dict)
    sweep: Mapping[str, str | Sequence[Any]] | Sequence[Mapping[str, Any]] | str | None = None
    parallelism: int | None = None
    folder: str = "submitted"
    replace: bool = False
    session: str | None = None
    anyway: bool = False
    key: str = field(default_factory=lambda: str(uuid.uuid4()))

    def __post_init__(self) -> None:
        if self.path is None and not self.command:
            raise AiinfnError(
                Reason.INVALID,
                _("A file, a folder or a command is submitted."),
                _("Give the path of a notebook or script, or a command with its arguments."),
                field="path",
            )
        if self.command and self.sweep is not None:
            raise AiinfnError(
                Reason.INVALID,
                _("A command cannot be swept."),
                _("Put it into a script, which gets each point's values as arguments."),
                field="sweep",
            )
        if self.command and (self.arguments or self.parameters):
            raise AiinfnError(
                Reason.INVALID,
                _("A command has its arguments in itself, and no parameters."),
                _("Write all of it as the command."),
                field="arguments" if self.arguments else "parameters",
            )

    @property
    def in_home(self) -> str | None:
        """Path of a file that is in the home already and named so; None otherwise."""
        path = self.path or ""
        return path.removeprefix(IN_HOME).lstrip("/") if path.startswith(IN_HOME) else None

    def body(self, document: HomeDocument, inspection: Inspection) -> dict[str, Any]:
        """Make the body of a submission as the server extension takes it, without the path.

        Raises
        ------
        Refusal
            If a header comment or a parameter cannot be read.
        """
        body: dict[str, Any] = {} if self.command else dict(directives.of_document(document))
        body |= {key: value for key, value in self.choices.items() if value is not None}
        if isinstance(body.get("labels"), tuple):
            body["labels"] = list(body["labels"])
        if inspection.kind == "command":
            return body
        if self.command:
            body.setdefault("name", job_request.title(" ".join(self.command)))
            body["arguments"] = list(self.command)
        elif self.arguments:
            body["arguments"] = list(self.arguments)
        if self.parameters:
            body["parameters"] = values.read_all(self.parameters, inspection.parameters)
        if self.sweep is not None:
            body["sweep"] = {"points": self._points(inspection)}
            if self.parallelism is not None:
                body["sweep"]["parallelism"] = self.parallelism
        return body

    def _points(self, inspection: Inspection) -> list[dict[str, Any]]:
        if isinstance(self.sweep, str):
            return sweep.table(self.sweep, inspection.parameters)
        if isinstance(self.sweep, Mapping):
            return sweep.grid(self.sweep, inspection.parameters)
        return sweep.points(self.sweep)


@dataclass(frozen=True)
class Prepared:
    """A submission from within the home: what it is about as it is now, and the body of vkd's ``POST jobs``."""

    places: Places
    target: Target
    request: dict[str, Any]


def prepare(what: Submission, environment: Mapping[str, str] | None = None) -> Prepared:
    """Look at what is submitted and make the request, as the server extension does. Blocks.

    Raises
    ------
    Refusal
        If it cannot be submitted.
    """
    home = Path.home().resolve()
    target = _target(Places(home, home), what)
    inspection = target.inspection
    body = what.body(target.document, inspection)
    session = Session.from_environment(os.environ if environment is None else environment)
    if inspection.kind == "notebook" and body.get("image") in {None, session.image}:
        # In another image there may be other kernels; the runner tells.
        available = inspection.kernel is not None and _has_kernel(inspection.kernel)
        if refusal := job_request.check_kernel(inspection, available=available):
            raise refusal
    request = job_request.build(body, target, session, what.key)
    return Prepared(Places(home, home), target, request)


def read_local(path: str) -> HomeDocument:
    """Read a file of this machine that is to be put into the home elsewhere. Blocks.

    Raises
    ------
    Refusal
        If it is not a regular, readable file.
    """
    full = Path(path).expanduser().absolute()
    # The root of the file system: here, nothing says what may be submitted but the person.
    document = Places(Path("/"), Path("/")).read(str(full), LARGEST)
    return HomeDocument(
        document.name, document.name, document.folder, document.name, document.data, document.modified
    )


def remote_document(path: str, data: bytes) -> HomeDocument:
    """Make a document of a file that was read from the home elsewhere, or will be put there."""
    name = PurePosixPath(path).name
    return HomeDocument(path, path, Path("/"), name, data, datetime.now(UTC))


def command_name(command: tuple[str, ...]) -> str:
    """Name the script that runs a command, after what the command runs: its log is named after it."""
    if len(command) == 1:
        with contextlib.suppress(ValueError):
            command = tuple(shlex.split(command[0])) or command
    stems = [PurePosixPath(word).name for word in command if word and not word.startswith("-")]
    # `python train.py --epochs 3` is rather train than python.
    files = [stem for stem in stems[:4] if LANGUAGES.keys() & {PurePosixPath(stem).suffix}]
    stem = PurePosixPath(files[0]).stem if files else (stems[0] if stems else "")
    safe = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in stem)
    return f"{safe.strip('.')[:60] or 'job'}.command.sh"


def command_data() -> bytes:
    """Return the text of the script that runs a command."""
    return _COMMAND


def encoded(data: bytes) -> str:
    """Write bytes as Jupyter's contents API takes them."""
    return base64.b64encode(data).decode("ascii")


def decoded(text: str) -> bytes:
    """Read bytes as Jupyter's contents API gives them."""
    return base64.b64decode(text)


def _target(places: Places, what: Submission) -> Target:
    """Find what is submitted; of a folder without more, the file in it that is meant."""
    if what.path is None:
        document = _command_document(places.home, what.command or ())
        return Target(document, inspect(document))
    path = _in_home(places.home, what)
    # Of a folder that cannot be looked at, the attempt to read it as a file says why.
    if not look(Path(places.root, path), folder=True)[0]:
        return target.find(places, keys_of_file(what, path), LARGEST)
    if what.command:
        return target.find(places, {"folder": path, "command": command_line(what.command)}, LARGEST)
    plan = folder.plan(*places.folder(path))
    return target.find(places, {"folder": path, "path": f"{path}/{meant(plan.as_json())}"}, LARGEST)


def keys_of_file(what: Submission, path: str) -> dict[str, str]:
    """Return the keys of a request that say which file runs, and whether its folder goes along.

    Raises
    ------
    Refusal
        If a command is given too, which needs a folder.
    """
    if what.command:
        raise Refusal(
            Reason.INVALID,
            _("A command runs in a folder, and {path} is none.").format(path=show(path)),
            _("Give a folder, or leave out the command."),
            field="path",
        )
    return {"path": path, "folder": path.rpartition("/")[0] or "."} if what.with_folder else {"path": path}


def meant(found: Mapping[str, Any]) -> str:
    """Return the file of a folder that is meant to run, of what ``GET folder`` says.

    Raises
    ------
    Refusal
        If none is likelier than others.
    """
    if program := found.get("program"):
        return str(program)
    programs = [str(name) for name in found.get("programs", ())]
    name = show(str(found.get("name", "")))
    hint = (
        _("Say it behind the folder: aiinfn submit {name} -- COMMAND. There are: {programs}.")
        if programs
        else _("Say it behind the folder: aiinfn submit {name} -- COMMAND.")
    )
    shown = ", ".join(show(each)[1:-1] for each in programs[:5])
    raise Refusal(
        Reason.INVALID,
        _("It is not clear what is to run in {name}.").format(name=name),
        hint.format(name=name, programs=shown),
        field="path",
    )


def command_line(command: Sequence[str]) -> str:
    """Write a command as a line for the shell. A single word is such a line already: ``'make | tee log'``."""
    return command[0] if len(command) == 1 else shlex.join(command)


def _in_home(home: Path, what: Submission) -> str:
    """Return the path of what is submitted relative to the home."""
    inside = what.in_home
    full = home / inside if inside is not None else Path(str(what.path)).expanduser().absolute()
    # Folders that are links are followed, so that a home that is reached through one is still the home.
    place = full.parent.resolve() / full.name
    if not place.is_relative_to(home):
        raise Refusal(
            Reason.FORBIDDEN,
            _("{path} is outside of your home folder.").format(path=show(str(what.path))),
            _("Copy it into your home: a job sees only that."),
        )
    return os.path.relpath(place, home)


def _command_document(home: Path, command: tuple[str, ...]) -> HomeDocument:
    folder = Path.cwd().resolve()
    if not folder.is_relative_to(home):
        raise Refusal(
            Reason.FORBIDDEN,
            _("The present folder {path} is outside of your home folder.").format(path=show(str(folder))),
            _("Change into a folder of your home: a job sees only that."),
            field="path",
        )
    name = clean(command_name(command))
    path = (folder / name).relative_to(home).as_posix()
    return HomeDocument(path, path, folder, name, _COMMAND, datetime.now(UTC))


def _has_kernel(name: str) -> bool:
    # Jupyter is loaded for notebooks only; without it, the runner will tell.
    try:
        from jupyter_client.kernelspec import KernelSpecManager  # noqa: PLC0415
    except ImportError:
        return True
    try:
        KernelSpecManager().get_kernel_spec(name)
    except (KeyError, OSError, ValueError):
        return False
    return True
