"""What a person should know of a file before submitting it, in sentences; docs/lab-api.md names the kinds."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Final, Literal

from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.contract.values import as_python
from aiinfn_lab.i18n.formats import SHOWN
from aiinfn_lab.i18n.language import gettext as _
from aiinfn_lab.i18n.language import marked, ngettext
from aiinfn_lab.i18n.messages import Message
from aiinfn_lab.paths import HomeDocument, show
from aiinfn_lab.session.environment import Session
from aiinfn_lab.submission import parameters
from aiinfn_lab.submission.folder import IGNORE_FILE, CopyPlan
from aiinfn_lab.submission.inspection import PROGRAMS, Inspection
from aiinfn_lab.submission.target import Target

from .dependency_scan import Mentions, read
from .packages import Interpreter, how_to_install

_LONGEST: Final = 300
"""Characters of values that one sentence shows."""
_MOST_NAMES: Final = 1000
"""Names that a finding has; a sentence shows the first few."""
_MOST_PATHS: Final = 200
"""Paths that are looked for; each is a trip to a file system that may be far."""
_ROOM: Final = 50 * 2**20
"""Bytes that should be free for a result."""
_OWN_TO_SESSION: Final = ("/tmp/", "/var/tmp/", "/dev/shm/")  # noqa: S108 - it is looked for, not used


@dataclass(frozen=True)
class PrecheckFinding:
    """A `Check` of the contract, which is not imported here: pydantic is too large for a session's server.

    Attributes
    ----------
    hint
        In the language of the reader.
    """

    what: Literal["allowed", "kernel", "code", "packages", "files", "output"]
    verdict: Literal["ok", "notice", "problem"]
    message: Message
    hint: str = ""
    field: str | None = None

    @property
    def sentence(self) -> str:
        """What was found, in the language of the reader."""
        return str(self.message)

    def as_json(self) -> dict[str, Any]:
        """Return it as it is sent."""
        return {
            "what": self.what,
            "verdict": self.verdict,
            "sentence": self.sentence,
            "hint": self.hint,
            "field": self.field,
            "code": self.message.code,
            "facts": self.message.plain_facts(),
        }


@dataclass(frozen=True)
class Kernel:
    """A kernel of this environment: its title, and the Python that it is, if it is one that can be asked."""

    title: str
    interpreter: Interpreter | None

    @classmethod
    def of(cls, spec: Any) -> Kernel:
        """Take what is needed from a `jupyter_client.kernelspec.KernelSpec`. Blocks a little."""
        return cls(str(spec.display_name), Interpreter.of_kernel(spec.argv, spec.env, spec.resource_dir))


@dataclass(frozen=True)
class Subject:
    """What is to be looked at.

    Attributes
    ----------
    kernel
        Of a notebook; None if this environment does not have it.
    other_image
        The job gets another environment than this session.
    values
        Parameters that are given.
    swept
        Names of the parameters that a sweep varies; None if it is no sweep.
    plan
        Of a folder that is submitted as a whole.
    points
        Of a sweep; else 1.
    """

    document: HomeDocument
    inspection: Inspection
    home: Path
    kernel: Kernel | None = None
    other_image: bool = False
    values: Mapping[str, Any] = field(default_factory=dict)
    swept: frozenset[str] | None = None
    plan: CopyPlan | None = None
    points: int = 1

    @classmethod
    def of(
        cls,
        body: Mapping[str, Any],
        target: Target,
        home: Path,
        session: Session,
        kernel: Kernel | None,
    ) -> Subject:
        """Take from the body of a submission, of which nothing else was checked, what is of interest here."""
        values, sweep = body.get("parameters"), body.get("sweep")
        points = sweep.get("points") if isinstance(sweep, dict) else None
        swept = None
        if isinstance(points, list):
            swept = frozenset(name for point in points if isinstance(point, dict) for name in point)
        image = body.get("image")
        return cls(
            target.document,
            target.inspection,
            home,
            kernel,
            other_image=image is not None and image != session.image,
            values=values if isinstance(values, dict) else {},
            swept=swept,
            plan=target.plan,
            points=len(points) if isinstance(points, list) else 1,
        )

    @property
    def notebook(self) -> bool:
        """Whether it is a notebook."""
        return self.inspection.kind == "notebook"

    @property
    def noun(self) -> Message:
        """What to call it."""
        return Message(f"noun.{self.inspection.kind}")

    @property
    def python(self) -> bool:
        """Whether its code is Python. A notebook that names no language is taken for what nearly all are."""
        return self.inspection.language in {"python", ""}


def look(subject: Subject) -> list[PrecheckFinding]:
    """Return all findings. Blocks, for some 10 s at most; call it in a thread."""
    found = [_kernel(subject)]
    mentions = Mentions()
    found += _values(subject)
    if subject.inspection.kind == "script":
        found += _lines(subject)
    if subject.python:
        values = {**subject.values, **dict.fromkeys(subject.swept or ())}
        mentions = read(subject.inspection.code, notebook=subject.notebook, values=values)
        found += [
            *_code(subject, mentions),
            *_asks(subject, mentions),
            *_packages(subject, mentions),
            *_files(subject, mentions),
        ]
    return [*found, *_copied(subject), *_output(subject, mentions)]


def _kernel(subject: Subject) -> PrecheckFinding:
    inspection = subject.inspection
    if subject.other_image:
        return PrecheckFinding(
            "kernel",
            "notice",
            Message("check.kernel.other_image"),
            _("Choose this session's image, or start a session with the other one to see."),
            "image",
        )
    if inspection.kind == "command":
        if shutil.which("bash") is None:
            return PrecheckFinding("kernel", "problem", Message("check.kernel.no_bash"), _("Choose an image that has it."), "command")  # fmt: skip
        return PrecheckFinding("kernel", "ok", Message("check.kernel.bash"))
    if not subject.notebook:
        program = PROGRAMS.get(inspection.language, "Python")
        if program in PROGRAMS.values() and shutil.which(program) is None:
            return PrecheckFinding("kernel", "problem", Message("check.kernel.no_program", program=program), _("Choose an image that has it."), "path")  # fmt: skip
        return PrecheckFinding("kernel", "ok", Message("check.kernel.program", program=program))
    if inspection.kernel is None:
        return PrecheckFinding("kernel", "problem", Message("check.kernel.none"), _("Open it, choose a kernel at the top right, and save it."), "path")  # fmt: skip
    if subject.kernel is None:
        return PrecheckFinding(
            "kernel",
            "problem",
            Message("check.kernel.missing", kernel=show(inspection.kernel)),
            _("Open the notebook, choose another kernel at the top right, and save it."),
            "path",
        )
    return PrecheckFinding("kernel", "ok", Message("check.kernel.there", kernel=subject.kernel.title))


def refuse(found: Sequence[PrecheckFinding]) -> None:
    """Refuse a submission of which something was found that is sure to fail.

    Raises
    ------
    Refusal
        With what was found first, and how to submit it anyway.
    """
    problems = [each for each in found if each.verdict == "problem"]
    if not problems:
        return
    first, more = problems[0], len(problems) - 1
    sentence = first.sentence
    if more:
        sentence = ngettext(
            "{first} So is {number} other thing; see the checks.",
            "{first} So are {number} other things; see the checks.",
            more,
        ).format(first=sentence, number=more)
    anyway = _("{hint} Or submit it anyway (aiinfn submit --anyway).").format(hint=first.hint)
    raise Refusal(Reason.INVALID, sentence, anyway.strip(), field=first.field or "path")


def _values(subject: Subject) -> Iterator[PrecheckFinding]:
    """Return what the notebook's names will be, and which others do not follow them."""
    if not subject.notebook:
        return
    if subject.values:
        shown = _cut(", ".join(f"{name} = {as_python(value)}" for name, value in subject.values.items()))
        yield PrecheckFinding("code", "ok", Message("check.code.values", values=shown))
    given = {*subject.values, *(subject.swept or ())}
    for name, source in parameters.derived(subject.inspection.parameters, given)[:SHOWN]:
        yield PrecheckFinding(
            "code",
            "notice",
            Message("check.code.derived", name=name, source=source),
            _("Compute {name} in a later cell, or give it a value, too.").format(name=name),
        )


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _lines(subject: Subject) -> Iterator[PrecheckFinding]:
    """Return what stands against a script before its code is read at all."""
    name, data = show(subject.document.name), subject.document.data
    if subject.inspection.language == "shell" and b"\r\n" in data:
        command = f"sed -i 's/\\r$//' {shlex.quote(subject.document.name)}"
        yield PrecheckFinding(
            "code",
            "problem",
            Message("check.code.line_ends", file=name),
            _("Save it with line ends of Unix (LF): {command}").format(command=command),
        )
    if subject.python:
        try:
            importlib.util.decode_source(data)
        except (SyntaxError, UnicodeDecodeError, LookupError):
            yield PrecheckFinding(
                "code",
                "problem",
                Message("check.code.encoding", file=name),
                _("Save it as UTF-8, or write for example # -*- coding: latin-1 -*- into its first line."),
            )


_INSTEAD: Final = {
    "input": marked("Make it a parameter or an argument."),
    "getpass": marked("Read it from a file of your home that only you can read."),
    "get_ipython": marked("Leave the line out, or submit the notebook itself."),
}


def _asks(subject: Subject, mentions: Mentions) -> Iterator[PrecheckFinding]:
    """Return which calls cannot succeed in a job."""
    seen = set()
    for each in sorted(mentions.asks, key=lambda ask: not ask.sure):
        if (subject.notebook and each.name == "get_ipython") or each.name in seen:
            continue
        if each.name == "get_ipython" and not each.sure:
            continue  # It was thought of.
        seen.add(each.name)
        message = (
            Message(f"check.code.cell_asks.{each.name}", cell=each.cell)
            if subject.notebook
            else Message(
                f"check.code.line_asks.{each.name}", line=each.line, file=show(subject.document.name)
            )
        )
        sure = each.sure and each.cell not in subject.inspection.may_fail
        yield PrecheckFinding("code", "problem" if sure else "notice", message, _(_INSTEAD[each.name]))


def _code(subject: Subject, mentions: Mentions) -> Iterator[PrecheckFinding]:
    hint = _("Mend it, save the {noun}, and look again.").format(noun=subject.noun)
    if mentions.errors:
        cell, line = mentions.errors[0]
        if subject.notebook:
            # It may be a magic that only its kernel knows.
            more = len(mentions.errors) - 1
            message = (
                Message("check.code.cells_unread", cell=cell, line=line, more=more)
                if more
                else Message("check.code.cell_unread", cell=cell, line=line)
            )
            yield PrecheckFinding("code", "notice", message, hint)
        else:
            message = Message("check.code.not_python", line=line, file=show(subject.document.name))
            yield PrecheckFinding("code", "problem", message, hint)
    if mentions.partial:
        yield PrecheckFinding("code", "notice", Message("check.code.partial", noun=subject.noun))


def _packages(subject: Subject, mentions: Mentions) -> Iterator[PrecheckFinding]:
    """Return which packages are missing where the job will look for them."""
    if subject.other_image or (subject.notebook and subject.kernel is None) or not mentions.imports:
        return
    interpreter = (
        Interpreter.of_server() if not subject.notebook else subject.kernel and subject.kernel.interpreter
    )
    names = list(mentions.imports)
    folders = [str(subject.document.folder)]
    folders += [str(_place(subject, path)) for path in mentions.search if path is not None]
    missing = interpreter.missing(names, folders) if interpreter else None
    if missing is None:
        yield PrecheckFinding("packages", "notice", Message("check.packages.unknown", packages=_list(names)))
        return
    # It is coped with elsewhere, comes by itself, or may be found in a folder that is computed.
    doubtful = mentions.installs or None in mentions.search
    sure = [name for name in missing if mentions.imports[name] and not doubtful]
    unsure = [name for name in missing if name not in sure]
    hint = how_to_install(missing, notebook=subject.notebook)

    def lacking(code: str, packages: list[str]) -> Message:
        return Message(code, packages=_list(packages), number=len(packages), noun=subject.noun)

    if sure:
        yield PrecheckFinding("packages", "problem", lacking("check.packages.missing", sure), hint)
    if unsure:
        message = lacking("check.packages.missing_in_part", unsure)
        if mentions.installs:
            message = lacking("check.packages.installs", unsure)
            hint = _(
                "Installing them before spares the job the time, and keeps other jobs from changing them."
            )
        yield PrecheckFinding("packages", "notice", message, hint)
    if not missing:
        yield PrecheckFinding("packages", "ok", Message("check.packages.there", number=len(names)))


def _files(subject: Subject, mentions: Mentions) -> Iterator[PrecheckFinding]:
    """Return which files are missing; where it is not sure, nothing is said."""
    wanted = mentions.wanted
    many = len(wanted) > _MOST_PATHS
    missing, lost, own, there = [], [], [], 0
    for path in wanted[:_MOST_PATHS]:
        relative = not path.startswith(("/", "~"))
        if relative and mentions.unsure:
            continue
        if path.startswith(_OWN_TO_SESSION):
            own.append(path)
        elif relative and _is_left_out(subject, path):
            lost.append(path)
        elif _exists(_place(subject, path)):
            there += 1
        else:
            missing.append(path)
    if missing:
        code = "check.files.missing_of_many" if many else "check.files.missing"
        yield PrecheckFinding(
            "files",
            "notice",
            _named(code, missing),
            _(
                "Relative names count from the folder of the {noun}; the files must be there when the job starts."
            ).format(noun=subject.noun),
        )
    if lost:
        hint = _("Take it back in a file {name}, by a line with a ! before it.").format(name=IGNORE_FILE)
        yield PrecheckFinding("files", "notice", _named("check.files.left_out", lost), hint)
    if own:
        yield PrecheckFinding("files", "notice", _named("check.files.own", own), _("Put it into your home."))
    if there and not (missing or lost or own or many):
        yield PrecheckFinding("files", "ok", Message("check.files.there", number=there))


def _copied(subject: Subject) -> Iterator[PrecheckFinding]:
    """Return what of a folder the job gets."""
    plan = subject.plan
    if plan is None:
        return
    copied, linked = plan.messages()
    yield PrecheckFinding("files", "ok", copied)
    if linked:
        hint = _(
            "Leave it as it is until the job is over. What the job writes there, it writes into the original."
        )
        yield PrecheckFinding("files", "notice", linked, hint)
    if plan.unreadable:
        message = _named("check.files.unreadable", plan.unreadable)
        yield PrecheckFinding(
            "files", "notice", message, _("Give yourself the right to read it (chmod u+r).")
        )


def _output(subject: Subject, mentions: Mentions) -> Iterator[PrecheckFinding]:
    document, plan = subject.document, subject.plan
    place = document.folder if plan is None else plan.place.parent
    if not os.access(place, os.W_OK | os.X_OK):
        folder = show(PurePosixPath(document.home_path if plan is None else plan.home_path).parent.as_posix())
        yield PrecheckFinding(
            "output",
            "problem",
            Message("check.output.no_place", folder=folder),
            _("Give yourself the right to write it (chmod u+w), or copy the file elsewhere."),
            "path",
        )
        return
    if plan is not None:
        code = "check.output.copy" if subject.swept is None else "check.output.copies"
        yield PrecheckFinding("output", "ok", Message(code, folder=plan.name))
        # One copy is kept to be run again, the others are what the job or its points run in.
        needed = plan.size * (subject.points + 1)
    else:
        stem = document.name.rpartition(".")[0] or document.name
        ending = ".ipynb" if subject.notebook else ".log"
        result = f"{stem}.ID/" if subject.swept is not None else f"{stem}.ID{ending}"
        yield PrecheckFinding("output", "ok", Message("check.output.beside", result=result))
        needed = len(document.data)
    free = _free(place)
    delete = _("Delete something before you submit.")
    if free is not None and plan is not None and free < needed:
        message = Message("check.output.no_room", needed=needed, free=free)
        yield PrecheckFinding("output", "problem", message, delete)
    elif free is not None and free < _ROOM + needed:
        yield PrecheckFinding("output", "notice", Message("check.output.little_room", free=free), delete)
    written = list(dict.fromkeys(mentions.writes))
    if subject.swept is not None and written and plan is None:
        yield PrecheckFinding(
            "output",
            "notice",
            Message("check.output.overwritten", files=_list(written)),
            _("Make the point's values a part of the name."),
        )


def _is_left_out(subject: Subject, path: str) -> bool:
    plan = subject.plan
    return plan is not None and not plan.has(str(subject.document.folder.relative_to(plan.place) / path))


def _place(subject: Subject, path: str) -> Path:
    if path == "~" or path.startswith("~/"):
        return subject.home / path[2:]
    return subject.document.folder / path


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        # What cannot be looked at may well be there.
        return True


def _free(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def _named(code: str, files: Sequence[str]) -> Message:
    return Message(code, files=_list(files), number=len(files))


def _list(names: Sequence[str]) -> list[str]:
    return [show(name)[1:-1] for name in names[:_MOST_NAMES]]
