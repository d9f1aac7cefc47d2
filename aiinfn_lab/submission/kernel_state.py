"""What a submission that goes on from a running kernel asks for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_lab.i18n.language import gettext as _
from aiinfn_lab.paths import HomeDocument

from .inspection import Inspection

_FILE: Final = "variables.state"
_KEYS: Final = frozenset({"kernel", "cell", "leave_out"})
_SKIP_TAG: Final = "skip-execution"
_MOST_NAMES: Final = 10_000


@dataclass(frozen=True)
class FromHere:
    """Go on from a kernel.

    Attributes
    ----------
    kernel
        Id of the running kernel. Whether it is one is found out when it is asked.
    cell
        Index, from 0, of the first cell that the job executes.
    leave_out
        Names that are not carried.
    code
        What the job executes: the text of each cell.
    cells
        All cells of the notebook.
    """

    kernel: object
    cell: int
    leave_out: list[str]
    code: list[str]
    cells: int


def read(body: Mapping[str, Any], document: HomeDocument, inspection: Inspection) -> FromHere | None:
    """Read the key ``from_here`` of a body; None if it has none.

    Raises
    ------
    Refusal
        If the notebook cannot go on from there.
    """
    value = body.get("from_here")
    if value is None:
        return None
    if not isinstance(value, dict) or not value.keys() <= _KEYS:
        raise _refuse(
            _("What to go on from must be a kernel and a cell."), _("Reload the page and try again.")
        )
    if inspection.kind != "notebook":
        raise _refuse(_("Only a notebook can go on from a kernel."), _("Submit the whole script."))
    for key, message in (
        (
            "parameters",
            _("A job that goes on from a session takes no parameters: the cell that sets them has run."),
        ),
        ("sweep", _("A job that goes on from a session takes no sweep.")),
    ):
        if body.get(key):
            raise Refusal(
                Reason.INVALID,
                message,
                _("Submit the whole notebook for that."),
                field=key,
            )
    names = value.get("leave_out") or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names[:_MOST_NAMES]):
        raise _refuse(
            _("The names to leave out must be a list of texts."), _("Reload the page and try again.")
        )
    cells = json.loads(document.data)["cells"]
    cell = value.get("cell")
    if not isinstance(cell, int) or isinstance(cell, bool) or not 0 <= cell < len(cells):
        raise _refuse(
            _("The notebook has no such cell."), _("Save it, choose the cell to begin with, then try again.")
        )
    code = [source for each in cells[cell:] if (source := _code(each))]
    if not code:
        raise _refuse(
            _("There is no code to run from this cell on."),
            _("Choose a cell that is higher up in the notebook."),
        )
    return FromHere(value.get("kernel"), cell, names[:_MOST_NAMES], code, len(cells))


def add(work: dict[str, Any], wanted: FromHere) -> None:
    """Add it to a job's work."""
    work["start_cell"] = wanted.cell
    work["state"] = str(PurePosixPath(work["snapshot"]).with_name(_FILE))


def _code(cell: dict[str, Any]) -> str:
    """Return the text of a cell that is executed, else nothing."""
    source = cell["source"]
    text = source if isinstance(source, str) else "".join(source)
    tags = cell.get("metadata", {}).get("tags", [])
    return text if cell["cell_type"] == "code" and text.strip() and _SKIP_TAG not in tags else ""


def _refuse(message: str, hint: str) -> Refusal:
    return Refusal(Reason.INVALID, message, hint, field="from_here")
