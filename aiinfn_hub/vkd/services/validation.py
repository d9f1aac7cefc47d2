"""What the gate does not check of a job's request: the paths, names and values of its work. Pure functions."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable
from typing import Any, Final

from aiinfn_hub.contract.constants import MOST_LABELS, SNAPSHOT_ROOT
from aiinfn_hub.contract.jobs import JobDescription, Work, WorkRequest
from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.contract.sweeps import SweepRequest
from aiinfn_hub.contract.values import TUPLE, tag_of
from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.platform import characters

SCRIPT_SUFFIXES: Final = (".py", ".sh", ".R", ".r")
PARAMETER_BYTES: Final = 256 * 1024
SWEEP_BYTES: Final = 512 * 1024
LONGEST_TEXT: Final = 200
_DEPTH: Final = 32
LABEL: Final = re.compile(r"[^\W_][\w.:+/-]{0,39}")
_NAME_BYTES: Final = 255
"""What Linux file systems take for one name."""


def printable(text: str) -> bool:
    """Return whether a text has no control characters and can be written as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in text)


def check_work(asked: WorkRequest) -> Work:
    """Check a job's work and normalise its paths.

    Raises
    ------
    Refusal
        With the field it is about.
    """
    work = Work.model_validate(dict(asked))
    path = relative_path(work.path, "work.path")
    snapshot = relative_path(work.snapshot, "work.snapshot")
    if not snapshot.startswith(f"{SNAPSHOT_ROOT}/"):
        raise _invalid(
            _("The copy to execute must be below {folder}.").format(folder=SNAPSHOT_ROOT),
            _("JupyterLab makes it there when you submit."),
            "work.snapshot",
        )
    folder = None if work.folder is None else relative_path(work.folder, "work.folder")
    _check_folder(work, path, snapshot, folder)
    if work.kind == "notebook":
        _check_notebook(work, path)
    elif work.kind == "script":
        _check_script(work, path)
    else:
        _check_command(work)
    _check_parameters(work.parameters)
    state = _check_state(work, snapshot)
    return work.model_copy(update={"path": path, "snapshot": snapshot, "folder": folder, "state": state})


def _check_state(work: Work, snapshot: str) -> str | None:
    """Check what a job that goes on from a session's kernel adds, and normalise the path of the state."""
    if work.state is None and work.start_cell is None:
        return None
    if work.state is None or work.start_cell is None:
        raise _invalid(
            _("To go on from a session, a job needs both the variables and the cell to begin with."),
            _("Submit it from JupyterLab."),
            "work.state",
        )
    state = relative_path(work.state, "work.state")
    folder = snapshot.rpartition("/")[0]
    # It is kept and deleted together with the copy.
    if state.rpartition("/")[0] != folder or state == snapshot or folder == SNAPSHOT_ROOT:
        raise _invalid(
            _("The variables must be in a file beside the copy to execute."),
            _("JupyterLab makes it there when you submit."),
            "work.state",
        )
    if work.kind != "notebook":
        raise _invalid(_("Only a notebook goes on from a session's variables."), "", "work.state")
    if work.parameters:
        raise _invalid(
            _("A job that goes on from a session takes no parameters: the cell that sets them has run."),
            _("Set the values in the session, or submit the whole notebook."),
            "work.parameters",
        )
    return state


def _check_folder(work: Work, path: str, snapshot: str, folder: str | None) -> None:
    """Check that a submitted folder, its copy, and the file in it that runs, go together."""
    if folder is None:
        if work.kind == "command":
            raise _invalid(_("A command needs a folder to run in."), _("Submit a folder."), "work.folder")
        return
    inner = path.removeprefix(folder)
    if (path != folder) if work.kind == "command" else (not inner.startswith("/") or inner == path):
        raise _invalid(
            _("The file to run is not in the folder."), _("Choose a file of the folder."), "work.path"
        )
    if not snapshot.endswith(inner) or not snapshot.removesuffix(inner).startswith(f"{SNAPSHOT_ROOT}/"):
        raise _invalid(
            _("The copy to execute is not in a copy of the folder."),
            _("JupyterLab makes it there when you submit."),
            "work.snapshot",
        )


def _check_command(work: Work) -> None:
    if not work.command or not work.command.strip():
        raise _invalid(_("The command is empty."), _("Write what the shell is to run."), "work.command")
    if not printable(work.command):
        raise _invalid(
            _("The command must be one line without control characters."),
            _("Put more than one line into a script of the folder."),
            "work.command",
        )
    if work.parameters or work.arguments:
        raise _invalid(
            _("A command has its arguments in itself."), _("Write all of it as the command."), "work.command"
        )


def _no_command(work: Work) -> None:
    if work.command is not None:
        raise _invalid(
            _("A job runs either a file or a command."), _("Leave out one of them."), "work.command"
        )


def _check_notebook(work: Work, path: str) -> None:
    _no_command(work)
    if not path.endswith(".ipynb"):
        raise _invalid(
            _("A notebook's name must end with .ipynb."), _("Submit another file as a script."), "work.path"
        )
    if not work.kernel:
        raise _invalid(
            _("The notebook names no kernel."),
            _("Open it, choose a kernel, save it, and submit it again."),
            "work.kernel",
        )
    if not printable(work.kernel):
        raise _invalid(_("The kernel's name holds characters that cannot be used."), "", "work.kernel")
    if work.arguments:
        raise _invalid(_("A notebook takes parameters, not arguments."), "", "work.arguments")


def _check_script(work: Work, path: str) -> None:
    _no_command(work)
    if not path.endswith(SCRIPT_SUFFIXES):
        raise _invalid(
            _("Only scripts in Python, shell and R can be submitted."),
            _("Their names end with {suffixes}.").format(suffixes=", ".join(SCRIPT_SUFFIXES[:3])),
            "work.path",
        )
    if work.parameters:
        raise _invalid(_("A script takes arguments, not parameters."), "", "work.parameters")
    for argument in work.arguments:
        if "\0" in argument or not _encodable(argument):
            raise _invalid(_("An argument holds characters that cannot be used."), "", "work.arguments")


def relative_path(path: str, field: str) -> str:
    """Normalise a path below the home; see `check_work` for what is refused."""
    if path.startswith(("/", "~")):
        raise _invalid(_("The path must be relative to your home."), _("Leave out the leading part."), field)
    if not printable(path):
        raise _invalid(
            _("The path holds control characters, which cannot be used."),
            _("Rename the file or its folder."),
            field,
        )
    parts = [part for part in path.split("/") if part not in {"", "."}]
    if ".." in parts or not parts:
        raise _invalid(_("The path leaves your home."), _("Submit a file below your home."), field)
    for part in parts:
        if len(part.encode()) > _NAME_BYTES:
            raise Refusal(
                Reason.TOO_LARGE,
                _("A name in the path is longer than {bytes} bytes.").format(bytes=_NAME_BYTES),
                _("Rename the file or its folder."),
                field=field,
            )
    return "/".join(parts)


def check_sweep(work: Work, sweep: SweepRequest) -> None:
    """Check the points of a sweep.

    Raises
    ------
    Refusal
        Naming the point, from 1; or because a command has no parameters to vary.
    """
    if work.state is not None:
        raise _invalid(
            _("A job that goes on from a session takes no parameters: the cell that sets them has run."),
            _("Submit the whole notebook as a sweep."),
            "sweep",
        )
    if work.kind == "command":
        raise _invalid(
            _("A command cannot be swept."),
            _("Put it into a script, which gets each point's values as arguments."),
            "sweep",
        )
    size = 0
    for number, values in enumerate(sweep.points, 1):
        if not values:
            raise _invalid(
                _("Point {number} has no values.").format(number=number),
                _("Give each point at least one."),
                "sweep.points",
            )
        try:
            _check_parameters({**work.parameters, **values}, script=work.kind == "script")
        except Refusal as refusal:
            raise Refusal(
                refusal.reason,
                _("Point {number}: {message}").format(number=number, message=refusal.message),
                refusal.hint,
                field="sweep.points",
            ) from None
        if work.kind != "notebook" and any(
            isinstance(value, (dict, list)) and tag_of(value) in {None, TUPLE} for value in values.values()
        ):
            raise _invalid(
                _("Point {number}: a script takes plain numbers and texts.").format(number=number),
                _("Lists and objects work for notebooks only."),
                "sweep.points",
            )
        size += len(json.dumps(values))
    if size > SWEEP_BYTES:
        raise Refusal(
            Reason.TOO_LARGE,
            _("The points are larger than {size} KiB together.").format(size=SWEEP_BYTES // 1024),
            _("Put large values into files, and sweep over their names."),
            field="sweep.points",
        )


def job_name(name: str | None, path: str) -> str:
    """Return the name a job is shown with: the one asked for, else its file's, of which nothing invisible is shown.

    Raises
    ------
    Refusal
        If the name that was asked for holds a character that is not seen.
    """
    if name is None or not name.strip():
        file = path.rpartition("/")[2]
        return characters.shown(file, len(file))
    if wrong := characters.forbidden(name.strip()):
        raise _invalid(
            _("The job's name holds a character that cannot be seen: {character}.").format(
                character=characters.spelled(wrong)
            ),
            _("Use letters, digits and spaces."),
            "name",
        )
    return name.strip()


def check_description(asked: JobDescription) -> dict[str, Any]:
    """Check what a person says about a job beside its name, and return what is kept of it.

    Raises
    ------
    Refusal
        With the field it is about.
    """
    said = set(JobDescription.model_fields) - {"name"}
    found = asked.model_dump(include=said, exclude_defaults=True)
    for field, value in found.items():
        found[field] = check_labels(value) if field == "labels" else _check_text(value, field)
    return {field: value for field, value in found.items() if value}


def _check_text(text: str, field: str) -> str:
    text = text.strip()
    if len(text) > LONGEST_TEXT:
        raise Refusal(
            Reason.TOO_LARGE,
            _("The text of {field} is longer than {most} characters.").format(field=field, most=LONGEST_TEXT),
            _("Shorten it."),
            field=field,
        )
    if wrong := characters.forbidden(text):
        raise _invalid(
            _("The text of {field} holds a character that cannot be seen: {character}.").format(
                field=field, character=characters.spelled(wrong)
            ),
            _("Use letters, digits and spaces."),
            field,
        )
    return text


def label(text: str, field: str = "labels") -> str:
    """Return a label as it is kept: in small letters, so that Paper and paper are one.

    Raises
    ------
    Refusal
        If it is not one short word.
    """
    found = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).strip().lower())
    if not LABEL.fullmatch(found) or characters.forbidden(found):
        raise _invalid(
            _("{label} cannot be a label.").format(label=repr(characters.shown(text, 40))),
            _(
                "A label is one word of at most 40 letters, digits and - _ . : / +, "
                "and begins with a letter or digit."
            ),
            field,
        )
    return found


def check_labels(labels: Iterable[str], field: str = "labels") -> list[str]:
    """Check the labels of a job, and give each once, in their order.

    Raises
    ------
    Refusal
        See `label`; or because they are too many.
    """
    found = list(dict.fromkeys(label(text, field) for text in labels))
    if len(found) > MOST_LABELS:
        raise Refusal(
            Reason.TOO_LARGE,
            _("A job has at most {most} labels.").format(most=MOST_LABELS),
            _("Leave some out."),
            field=field,
        )
    return found


def idempotency_key(key: str | None) -> str | None:
    """Check an ``Idempotency-Key`` header."""
    if key is None or not key.strip():
        return None
    key = key.strip()
    if len(key) > 200 or not (key.isascii() and key.isprintable()):
        raise _invalid(_("The Idempotency-Key must be at most 200 plain characters."), "", "Idempotency-Key")
    return key


def _check_parameters(parameters: dict[str, Any], *, script: bool = False) -> None:
    if _deeper(parameters, _DEPTH):
        raise Refusal(
            Reason.TOO_LARGE,
            _("The parameters are nested too deeply."),
            _("Put structured values into a file."),
            field="work.parameters",
        )
    try:
        text = json.dumps(parameters, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError, UnicodeError):
        raise _invalid(
            _("The parameters cannot be written as JSON."),
            _("Use plain numbers, texts and lists."),
            "work.parameters",
        ) from None
    if len(text) > PARAMETER_BYTES:
        raise Refusal(
            Reason.TOO_LARGE,
            _("The parameters are larger than {size} KiB.").format(size=PARAMETER_BYTES // 1024),
            _("Put large values into a file."),
            field="work.parameters",
        )
    for name in parameters:
        # They become assignments in a cell of the notebook, in whatever language its kernel speaks; R has dots.
        word = name.replace(".", "_")
        if script:
            # They become --name=value, of which argparse and others usually have dashes.
            if name[:1] in {"-", "."} or not f"x{word.replace('-', '_')}".isidentifier() or not name:
                raise _invalid(
                    _("The name of an argument must be one word of letters, digits, dashes and underscores."),
                    _("Write it without the dashes before it, for example learning-rate."),
                    "work.parameters",
                )
        elif not word.isidentifier():
            raise _invalid(
                _("A parameter's name must be one word of letters, digits and underscores."),
                _("Write it as in the notebook's cell."),
                "work.parameters",
            )


def _deeper(value: Any, levels: int) -> bool:
    """Return whether lists and objects are nested in more than some levels."""
    layer = [value]
    for _level in range(levels + 1):
        layer = [
            inner
            for outer in layer
            if isinstance(outer, (dict, list))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not layer:
            return False
    return True


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _invalid(message: str, hint: str, field: str) -> Refusal:
    return Refusal(Reason.INVALID, message, hint, field=field)
