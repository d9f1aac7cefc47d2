"""What a person should know of a file before submitting it, in sentences; docs/lab-api.md names the kinds."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Final, Literal

from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.contract.values import as_python
from aiinfn_lab.paths import HomeDocument, show
from aiinfn_lab.session.environment import Session
from aiinfn_lab.submission import parameters
from aiinfn_lab.submission.folder import IGNORE_FILE, CopyPlan, bytes_in_words
from aiinfn_lab.submission.inspection import PROGRAMS, Inspection
from aiinfn_lab.submission.target import Target

from .dependency_scan import Mentions, read
from .packages import Interpreter, how_to_install

_LONGEST: Final = 300
"""Characters of values that one sentence shows."""
_SHOWN: Final = 5
"""Names that one sentence lists."""
_MOST_PATHS: Final = 200
"""Paths that are looked for; each is a trip to a file system that may be far."""
_ROOM: Final = 50 * 2**20
"""Bytes that should be free for a result."""
_OWN_TO_SESSION: Final = ("/tmp/", "/var/tmp/", "/dev/shm/")  # noqa: S108 - it is looked for, not used


@dataclass(frozen=True)
class PrecheckFinding:
    """A `Check` of the contract, which is not imported here: pydantic is too large for a session's server."""

    what: Literal["allowed", "kernel", "code", "packages", "files", "output"]
    verdict: Literal["ok", "notice", "problem"]
    sentence: str
    hint: str = ""
    field: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as it is sent."""
        return asdict(self)


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
    def noun(self) -> str:
        """What to call it."""
        return self.inspection.kind

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
            "The job gets another environment than this session, so kernel and packages cannot be looked at from here.",
            "Choose this session's image, or start a session with the other one to see.",
            "image",
        )
    if inspection.kind == "command":
        if shutil.which("bash") is None:
            return PrecheckFinding("kernel", "problem", "This environment has no bash, which runs the command.", "Choose an image that has it.", "command")  # fmt: skip
        return PrecheckFinding("kernel", "ok", "This environment has bash, which runs the command.")
    if not subject.notebook:
        program = PROGRAMS.get(inspection.language, "Python")
        if program in PROGRAMS.values() and shutil.which(program) is None:
            return PrecheckFinding("kernel", "problem", f"This environment has no {program}, which runs the script.", "Choose an image that has it.", "path")  # fmt: skip
        return PrecheckFinding("kernel", "ok", f"This environment has {program}, which runs the script.")
    if inspection.kernel is None:
        return PrecheckFinding("kernel", "problem", "The notebook has no kernel.", "Open it, choose a kernel at the top right, and save it.", "path")  # fmt: skip
    if subject.kernel is None:
        return PrecheckFinding(
            "kernel",
            "problem",
            f"This environment has no kernel {show(inspection.kernel)}, which the notebook asks for.",
            "Open the notebook, choose another kernel at the top right, and save it.",
            "path",
        )
    return PrecheckFinding("kernel", "ok", f"This environment has its kernel, {subject.kernel.title}.")


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
    others = (
        f" So {'is' if more == 1 else 'are'} {more} other thing{'s' if more > 1 else ''}; see the checks."
        if more
        else ""
    )
    hint = f"{first.hint} Or submit it anyway (aiinfn submit --anyway)."
    raise Refusal(Reason.INVALID, f"{first.sentence}{others}", hint.strip(), field=first.field or "path")


def _values(subject: Subject) -> Iterator[PrecheckFinding]:
    """Return what the notebook's names will be, and which others do not follow them."""
    if not subject.notebook:
        return
    if subject.values:
        shown = _cut(", ".join(f"{name} = {as_python(value)}" for name, value in subject.values.items()))
        yield PrecheckFinding("code", "ok", f"The notebook gets {shown}.")
    given = {*subject.values, *(subject.swept or ())}
    for name, source in parameters.derived(subject.inspection.parameters, given)[:_SHOWN]:
        yield PrecheckFinding(
            "code",
            "notice",
            f"{name} is computed from {source} in the cell with the parameters, before the {source} that you give is set: "
            "it keeps its value.",
            f"Compute {name} in a later cell, or give it a value, too.",
        )


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _lines(subject: Subject) -> Iterator[PrecheckFinding]:
    """Return what stands against a script before its code is read at all."""
    name, data = show(subject.document.name), subject.document.data
    if subject.inspection.language == "shell" and b"\r\n" in data:
        yield PrecheckFinding(
            "code",
            "problem",
            f"{name} has Windows line ends, with which bash fails.",
            f"Save it with line ends of Unix (LF): sed -i 's/\\r$//' {shlex.quote(subject.document.name)}",
        )
    if subject.python:
        try:
            importlib.util.decode_source(data)
        except (SyntaxError, UnicodeDecodeError, LookupError):
            yield PrecheckFinding(
                "code",
                "problem",
                f"{name} is not in UTF-8 and does not say what it is in, so Python cannot read it.",
                "Save it as UTF-8, or write for example # -*- coding: latin-1 -*- into its first line.",
            )


_ASKED: Final = {
    "input": "asks for input, which nobody gives to a job",
    "getpass": "asks for a password, which nobody gives to a job",
    "get_ipython": "calls get_ipython, which there is in notebooks only",
}
_INSTEAD: Final = {
    "input": "Make it a parameter or an argument.",
    "getpass": "Read it from a file of your home that only you can read.",
    "get_ipython": "Leave the line out, or submit the notebook itself.",
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
        where = (
            f"Cell {each.cell}" if subject.notebook else f"Line {each.line} of {show(subject.document.name)}"
        )
        sure = each.sure and each.cell not in subject.inspection.may_fail
        yield PrecheckFinding(
            "code", "problem" if sure else "notice", f"{where} {_ASKED[each.name]}.", _INSTEAD[each.name]
        )


def _code(subject: Subject, mentions: Mentions) -> Iterator[PrecheckFinding]:
    hint = f"Mend it, save the {subject.noun}, and look again."
    if mentions.errors:
        cell, line = mentions.errors[0]
        more = f", nor can {len(mentions.errors) - 1} more" if len(mentions.errors) > 1 else ""
        if subject.notebook:
            # It may be a magic that only its kernel knows.
            yield PrecheckFinding(
                "code", "notice", f"Cell {cell} cannot be read as Python (line {line}){more}.", hint
            )
        else:
            yield PrecheckFinding(
                "code", "problem", f"Line {line} of {show(subject.document.name)} is not Python.", hint
            )
    if mentions.partial:
        yield PrecheckFinding(
            "code", "notice", f"The {subject.noun} is so long that not all of it was looked at."
        )


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
        sentence = f"Whether the packages that it imports are there could not be found out: {_list(names)}."
        yield PrecheckFinding("packages", "notice", sentence)
        return
    # It is coped with elsewhere, comes by itself, or may be found in a folder that is computed.
    doubtful = mentions.installs or None in mentions.search
    sure = [name for name in missing if mentions.imports[name] and not doubtful]
    unsure = [name for name in missing if name not in sure]
    hint = how_to_install(missing, notebook=subject.notebook)
    if sure:
        sentence = f"This environment has no {_packages_called(sure)}, which the {subject.noun} imports."
        yield PrecheckFinding("packages", "problem", sentence, hint)
    if unsure:
        sentence = (
            f"This environment has no {_packages_called(unsure)}, which a part of the {subject.noun} imports."
        )
        if mentions.installs:
            sentence = f"This environment has no {_packages_called(unsure)} now; the {subject.noun} installs packages itself."
            hint = "Installing them before spares the job the time, and keeps other jobs from changing them."
        yield PrecheckFinding("packages", "notice", sentence, hint)
    if not missing:
        count = len(names)
        yield PrecheckFinding("packages", "ok", f"{'The package' if count == 1 else f'All {count} packages'} that it imports {'is' if count == 1 else 'are'} there.")  # fmt: skip


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
        verb = "is" if len(missing) == 1 else "are"
        yield PrecheckFinding(
            "files",
            "notice",
            f"It mentions {_list(missing)}, which {verb} not there now.{' Not all names were looked for.' if many else ''}",
            f"Relative names count from the folder of the {subject.noun}; the files must be there when the job starts.",
        )
    if lost:
        verb = "is" if len(lost) == 1 else "are"
        yield PrecheckFinding("files", "notice", f"It mentions {_list(lost)}, which {verb} left out of the copy.", f"Take it back in a file {IGNORE_FILE}, by a line with a ! before it.")  # fmt: skip
    if own:
        verb = "belongs" if len(own) == 1 else "belong"
        yield PrecheckFinding(
            "files",
            "notice",
            f"It reads {_list(own)}, which {verb} to this session alone; a job may not see it.",
            "Put it into your home.",
        )
    if there and not (missing or lost or own or many):
        yield PrecheckFinding("files", "ok", f"{'The file' if there == 1 else f'All {there} files'} that it reads by name {'is' if there == 1 else 'are'} there.")  # fmt: skip


def _copied(subject: Subject) -> Iterator[PrecheckFinding]:
    """Return what of a folder the job gets."""
    plan = subject.plan
    if plan is None:
        return
    copied, linked = plan.sentences()
    yield PrecheckFinding("files", "ok", copied)
    if linked:
        yield PrecheckFinding("files", "notice", linked, "Leave it as it is until the job is over. What the job writes there, it writes into the original.")  # fmt: skip
    if plan.unreadable:
        yield PrecheckFinding("files", "notice", f"{_list(plan.unreadable)} cannot be read and is left out.", "Give yourself the right to read it (chmod u+r).")  # fmt: skip


def _output(subject: Subject, mentions: Mentions) -> Iterator[PrecheckFinding]:
    document, plan = subject.document, subject.plan
    place = document.folder if plan is None else plan.place.parent
    if not os.access(place, os.W_OK | os.X_OK):
        folder = show(PurePosixPath(document.home_path if plan is None else plan.home_path).parent.as_posix())
        yield PrecheckFinding("output", "problem", f"The folder {folder} cannot be written, so the result has no place.", "Give yourself the right to write it (chmod u+w), or copy the file elsewhere.", "path")  # fmt: skip
        return
    if plan is not None:
        yield PrecheckFinding("output", "ok", _in_copy(plan, subject.swept is not None))
        # One copy is kept to be run again, the others are what the job or its points run in.
        needed = plan.size * (subject.points + 1)
    else:
        stem = document.name.rpartition(".")[0] or document.name
        ending = ".ipynb" if subject.notebook else ".log"
        result = f"{stem}.ID/" if subject.swept is not None else f"{stem}.ID{ending}"
        yield PrecheckFinding(
            "output",
            "ok",
            f"The result appears beside it as {result}, with the job's ID. Nothing is overwritten.",
        )
        needed = len(document.data)
    free = _free(place)
    if free is not None and plan is not None and free < needed:
        yield PrecheckFinding("output", "problem", f"The copies of the folder need {bytes_in_words(needed)}, and {bytes_in_words(free)} are free.", "Delete something before you submit.")  # fmt: skip
    elif free is not None and free < _ROOM + needed:
        yield PrecheckFinding("output", "notice", f"Only {free // 2**20} MiB are free where the result is to appear.", "Delete something before you submit.")  # fmt: skip
    written = list(dict.fromkeys(mentions.writes))
    if subject.swept is not None and written and plan is None:
        yield PrecheckFinding(
            "output",
            "notice",
            f"Every point of the sweep writes {_list(written)}, one over the other.",
            "Make the point's values a part of the name.",
        )


def _is_left_out(subject: Subject, path: str) -> bool:
    plan = subject.plan
    return plan is not None and not plan.has(str(subject.document.folder.relative_to(plan.place) / path))


def _in_copy(plan: CopyPlan, swept: bool) -> str:
    if swept:
        return (
            f"Each point runs in a copy of its own, {plan.name}.ID/0001/ and so on, beside the folder. "
            "What it writes stays there; nothing is overwritten."
        )
    return (
        f"The job runs in the copy {plan.name}.ID/, with its ID, beside the folder. "
        "What it writes stays there; nothing is overwritten."
    )


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


def _packages_called(names: Sequence[str]) -> str:
    return f"package {_list(names)}" if len(names) == 1 else f"packages {_list(names)}"


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(show(name)[1:-1] for name in names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"
