"""What a file is, as far as a submission needs to know: read from its text, never by executing it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final, Literal

from aiinfn_hub.platform.refusal import Reason, Refusal

from . import parameters
from .paths import Document, show

_SKIP_TAG: Final = "skip-execution"
LANGUAGES: Final = {".py": "python", ".sh": "shell", ".R": "r", ".r": "r"}
"""Scripts that the runner can execute, by the ending of their name."""


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


def inspect(document: Document) -> Inspection:
    """Tell what a file is. May take some 100 ms for a large notebook; call it in a thread.

    Raises
    ------
    Refusal
        If it is neither a notebook nor a script that can be run.
    """
    ending = PurePosixPath(document.name).suffix
    if ending == ".ipynb":
        return _notebook(document)
    if language := LANGUAGES.get(ending):
        text = document.data.decode("utf-8", "replace").removeprefix("\N{BYTE ORDER MARK}")
        note = "Scripts have no parameters; give them arguments."
        return Inspection("script", language, note=note, code=[text])
    raise _refuse(
        f"{show(document.name)} is neither a notebook nor a script.",
        f"Choose a file ending in .ipynb, {', '.join(LANGUAGES)}.",
    )


def _notebook(document: Document) -> Inspection:
    shown = show(document.name)
    if not document.data.strip():
        raise _refuse(f"{shown} is empty.", "Open it in JupyterLab, write something, and save it.")
    try:
        content = json.loads(document.data)
    except json.JSONDecodeError as error:
        raise _refuse(
            f"{shown} is not a notebook: its text is not valid JSON (line {error.lineno}).",
            "Open it in JupyterLab and save it again.",
        ) from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise _refuse(
            f"{shown} is not a notebook: its text cannot be read as JSON.",
            "Open it in JupyterLab and save it again.",
        ) from error
    cells = _cells(content, shown)
    metadata = content.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    spec, info = _table(metadata, "kernelspec"), _table(metadata, "language_info")
    kernel = _text(spec, "name") or None
    language = (_text(info, "name") or _text(spec, "language")).lower()
    found, note = _parameters(cells, language)
    return Inspection(
        "notebook",
        language,
        kernel,
        _text(spec, "display_name") or kernel or "",
        len(cells),
        sum(1 for kind, _, source in cells if kind == "code" and source.strip()),
        found,
        note,
        [
            source
            for kind, tags, source in cells
            if kind == "code" and source.strip() and _SKIP_TAG not in tags
        ],
    )


def _cells(content: Any, shown: str) -> list[tuple[str, list[Any], str]]:
    """Type, tags and source of each cell."""
    if not isinstance(content, dict) or "nbformat" not in content:
        raise _refuse(f"{shown} is not a notebook.", "Choose a file that JupyterLab opens as a notebook.")
    if content["nbformat"] != 4:
        raise _refuse(
            f"{shown} has notebook format {str(content['nbformat'])[:20]}; only format 4 can be run.",
            "Open it in JupyterLab and save it: that converts it.",
        )
    cells = content.get("cells")
    found = []
    for number, cell in enumerate(cells if isinstance(cells, list) else [None], 1):
        source = cell.get("source") if isinstance(cell, dict) else None
        if isinstance(source, list) and all(isinstance(line, str) for line in source):
            source = "".join(source)
        if not isinstance(source, str) or not isinstance(cell.get("cell_type"), str):
            raise _refuse(f"{shown} is damaged at cell {number}.", "Open it in JupyterLab and save it again.")
        tags = _table(cell, "metadata").get("tags")
        found.append((cell["cell_type"], tags if isinstance(tags, list) else [], source))
    return found


def _parameters(
    cells: list[tuple[str, list[Any], str]], language: str
) -> tuple[list[parameters.Parameter], str]:
    for kind, tags, source in cells:
        if kind == "code" and parameters.TAG in tags:
            if language not in {"", "python"}:
                return (
                    [],
                    f"Parameters can be read from Python notebooks only; this one is in {language[:40]}.",
                )
            return parameters.read(source)
    return [], f"No cell has the tag '{parameters.TAG}'; add it to the cell that sets the values to vary."


def _table(holder: Any, key: str) -> dict[str, Any]:
    value = holder.get(key) if isinstance(holder, dict) else None
    return value if isinstance(value, dict) else {}


def _text(holder: dict[str, Any], key: str) -> str:
    value = holder.get(key)
    return value if isinstance(value, str) else ""


def _refuse(message: str, hint: str) -> Refusal:
    return Refusal(Reason.INVALID, message, hint, field="path")
