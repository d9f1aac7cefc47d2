"""What a file is, as far as a submission needs to know: read from its text, never by executing it."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final, Literal

from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_lab.i18n.language import gettext as _
from aiinfn_lab.paths import HomeDocument, show

from . import parameters

_SKIP_TAG: Final = "skip-execution"
_RAISES_TAG: Final = "raises-exception"
LANGUAGES: Final = {".py": "python", ".sh": "shell", ".R": "r", ".r": "r"}
"""Scripts that the runner can execute, by the ending of their name."""
PROGRAMS: Final = {"shell": "bash", "r": "Rscript"}
"""What executes them, where it is not the Python that the runner itself runs in."""


@dataclass(frozen=True)
class Inspection:
    """A file that can be submitted.

    Attributes
    ----------
    kernel
        Notebooks: name of the kernelspec, or None if the notebook names none.
    kernel_title
        Name of the kernel as the notebook shows it.
    cells, code_cells
        Notebooks: all cells, and those with code, which are the ones that progress counts.
    note
        Why there are no parameters, or fewer than one might expect; may be empty.
    code
        What is executed: the text of each cell that runs, in their order, or of the script.
    may_fail
        Numbers, from 1, of those cells after whose error the next one runs all the same.
    """

    kind: Literal["notebook", "script", "command"]
    language: str
    kernel: str | None = None
    kernel_title: str = ""
    cells: int | None = None
    code_cells: int | None = None
    parameters: list[parameters.Parameter] = field(default_factory=list)
    note: str = ""
    code: list[str] = field(default_factory=list, repr=False, compare=False)
    may_fail: frozenset[int] = field(default=frozenset(), repr=False, compare=False)


def inspect(document: HomeDocument) -> Inspection:
    """Return what a file is. May take some 100 ms for a large notebook; call it in a thread.

    Raises
    ------
    Refusal
        If it is neither a notebook nor a script that can be run.
    """
    ending = PurePosixPath(document.name).suffix
    if ending == ".ipynb":
        return _notebook(document)
    if language := LANGUAGES.get(ending):
        text = read_script(document.data, language)
        note = _("Scripts have no parameters; give them arguments.")
        return Inspection("script", language, note=note, code=[text])
    raise _refuse(
        _("{name} is neither a notebook nor a script.").format(name=show(document.name)),
        _("Choose a file ending in .ipynb, {endings}.").format(endings=", ".join(LANGUAGES)),
    )


def read_script(data: bytes, language: str) -> str:
    """Return the text of a script; Python's in the encoding that it declares (PEP 263)."""
    if language == "python":
        try:
            return importlib.util.decode_source(data).removeprefix("\N{BYTE ORDER MARK}")
        except (SyntaxError, UnicodeDecodeError, LookupError):
            pass  # What is wrong is told by the check, which parses it.
    return data.decode("utf-8", "replace").removeprefix("\N{BYTE ORDER MARK}")


def read_notebook(data: bytes, name: str) -> dict[str, Any]:
    """Return the content of a notebook: what submission, check and runner take for one.

    It is UTF-8, or UTF-16 or UTF-32 with a byte order mark; what may be missing in it is there afterwards.

    Raises
    ------
    Refusal
        If it is no notebook that can be run.
    """
    shown = show(name)
    if not data.strip():
        raise _refuse(
            _("{shown} is empty.").format(shown=shown),
            _("Open it in JupyterLab, write something, and save it."),
        )
    try:
        content = json.loads(data.decode(json.detect_encoding(data)))
    except json.JSONDecodeError as error:
        raise _refuse(
            _("{shown} is not a notebook: its text is not valid JSON (line {line}).").format(
                shown=shown, line=error.lineno
            ),
            _("Open it in JupyterLab and save it again."),
        ) from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, too
        raise _refuse(
            _("{shown} is not a notebook: its text cannot be read as JSON.").format(shown=shown),
            _("Open it in JupyterLab and save it again."),
        ) from error
    _cells(content, shown)
    return _completed(content)


def _completed(complete: dict[str, Any]) -> dict[str, Any]:
    """Add what may be missing in a notebook that can be run all the same, and leave out what is of no use in its shape."""
    for key, default in (("metadata", dict), ("nbformat_minor", int)):
        if not isinstance(complete.get(key), default):
            complete[key] = default()
    for key in ("kernelspec", "language_info", "papermill"):
        _leave_out(complete["metadata"], key, dict)
    for cell in complete["cells"]:
        if not isinstance(cell.get("metadata"), dict):
            cell["metadata"] = {}
        _leave_out(cell["metadata"], "tags", list)
        _leave_out(cell["metadata"], "papermill", dict)
        _leave_out(cell, "id", str)
        _leave_out(cell, "attachments", dict)
        if not all(isinstance(each, dict) for each in cell.get("attachments", {}).values()):
            del cell["attachments"]
        if cell["cell_type"] == "code":
            outputs = cell.get("outputs")
            cell["outputs"] = [
                each
                for each in (outputs if isinstance(outputs, list) else [])
                if isinstance(each, dict) and isinstance(each.get("output_type"), str)
            ]
            cell.setdefault("execution_count", None)
    return complete


def _leave_out(holder: dict[str, Any], key: str, kind: type) -> None:
    if key in holder and not isinstance(holder[key], kind):
        del holder[key]


def _notebook(document: HomeDocument) -> Inspection:
    shown = show(document.name)
    content = read_notebook(document.data, document.name)
    cells = _cells(content, shown)
    metadata = content["metadata"]
    spec, info = _table(metadata, "kernelspec"), _table(metadata, "language_info")
    kernel = _text(spec, "name") or None
    language = (_text(info, "name") or _text(spec, "language")).lower()
    found, note = _parameters(cells, language)
    run = [cell for cell in cells if cell[0] == "code" and cell[2].strip() and _SKIP_TAG not in cell[1]]
    return Inspection(
        "notebook",
        language,
        kernel,
        _text(spec, "display_name") or kernel or "",
        len(cells),
        sum(1 for kind, _tags, source in cells if kind == "code" and source.strip()),
        found,
        note,
        [source for _kind, _tags, source in run],
        frozenset(number for number, (_kind, tags, _source) in enumerate(run, 1) if _RAISES_TAG in tags),
    )


def _cells(content: Any, shown: str) -> list[tuple[str, list[Any], str]]:
    """Type, tags and source of each cell."""
    if not isinstance(content, dict) or "nbformat" not in content:
        raise _refuse(
            _("{shown} is not a notebook.").format(shown=shown),
            _("Choose a file that JupyterLab opens as a notebook."),
        )
    if content["nbformat"] != 4:
        raise _refuse(
            _("{shown} has notebook format {format}; only format 4 can be run.").format(
                shown=shown, format=str(content["nbformat"])[:20]
            ),
            _("Open it in JupyterLab and save it: that converts it."),
        )
    cells = content.get("cells")
    found = []
    for number, cell in enumerate(cells if isinstance(cells, list) else [None], 1):
        source = cell.get("source") if isinstance(cell, dict) else None
        if isinstance(source, list) and all(isinstance(line, str) for line in source):
            source = "".join(source)
        if not isinstance(source, str) or not isinstance(cell.get("cell_type"), str):
            raise _refuse(
                _("{shown} is damaged at cell {number}.").format(shown=shown, number=number),
                _("Open it in JupyterLab and save it again."),
            )
        tags = _table(cell, "metadata").get("tags")
        found.append((cell["cell_type"], tags if isinstance(tags, list) else [], source))
    return found


def _parameters(
    cells: list[tuple[str, list[Any], str]], language: str
) -> tuple[list[parameters.Parameter], str]:
    own = _tagged(cells, parameters.TAG)
    injected = _tagged(cells, parameters.INJECTED_TAG)
    if own is None and injected is None:
        return [], _("No cell has the tag '{tag}'; add it to the cell that sets the values to vary.").format(
            tag=parameters.TAG
        )
    if language not in {"", "python"}:
        return [], _("Parameters can be read from Python notebooks only; this one is in {language}.").format(
            language=language[:40]
        )
    found, note = parameters.read(own or "")
    if injected is not None:
        # The values of an earlier run are set after the cell, so they are what counts.
        set_before, note_too = parameters.read(injected)
        found, note = parameters.override(found, set_before), note or note_too
    return found, note


def _tagged(cells: list[tuple[str, list[Any], str]], tag: str) -> str | None:
    return next((source for kind, tags, source in cells if kind == "code" and tag in tags), None)


def _table(holder: Any, key: str) -> dict[str, Any]:
    value = holder.get(key) if isinstance(holder, dict) else None
    return value if isinstance(value, dict) else {}


def _text(holder: dict[str, Any], key: str) -> str:
    value = holder.get(key)
    return value if isinstance(value, str) else ""


def _refuse(message: str, hint: str) -> Refusal:
    return Refusal(Reason.INVALID, message, hint, field="path")
