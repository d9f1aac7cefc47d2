"""Header comments that say what a job needs: ``# AIINFN accelerator=t4 time=2h``.

They stand in the comments at the head of a script (Python, shell, R), or of a notebook's first code cell: lines before
the first line of code. Values with blanks are quoted as in a shell. They are defaults: what is said at submission wins.
"""

from __future__ import annotations

import json
import re
import shlex
from typing import Any, Final

from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_lab.i18n.language import gettext as _
from aiinfn_lab.paths import HomeDocument, is_printable, show

from .inspection import LANGUAGES

KEYS: Final = {
    "accelerator": "accelerator",
    "count": "count",
    "size": "size",
    "image": "image",
    "project": "project",
    "queue": "queue",
    "time": "time_limit",
    "time_limit": "time_limit",
    "name": "name",
    "label": "labels",
    "labels": "labels",
}
"""What may be said, and the key of a submission that it sets."""
_LINE: Final = re.compile(r"\s*#+\s*AIINFN(?:\s+(.*))?$")
_KEY: Final = re.compile(r"[a-z_]+")


def read(source: str, shown: str) -> dict[str, str]:
    """Read the header comments of a source text.

    Parameters
    ----------
    source
        Text of a script, or of a notebook's first code cell. Only the lines before the first line of code are read.
    shown
        Name of the file, as it is shown in a refusal.

    Returns
    -------
    dict
        Keys of a submission with the values as written; the platform's gate judges them.

    Raises
    ------
    Refusal
        If a header comment cannot be understood; a typing error must not send a job without its accelerator.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(source.split("\n"), 1):
        text = line.strip().removeprefix("\N{BYTE ORDER MARK}")
        if text and not text.startswith(("#", "%")):
            break
        if match := _LINE.match(text):
            _read_line(match[1] or "", number, shown, found)
    return found


def of_document(document: HomeDocument) -> dict[str, str]:
    """Read the header comments of a file that was found to be a notebook or a script.

    Raises
    ------
    Refusal
        As `read` does.
    """
    if not document.name.endswith(tuple(LANGUAGES)):
        return read(_first_cell(document.data), show(document.name))
    return read(document.data.decode("utf-8", "replace"), show(document.name))


def write(values: dict[str, str]) -> str:
    """Write a header comment that `read` reads as these values."""
    names = {key: name for name, key in reversed(KEYS.items())}
    return "# AIINFN " + " ".join(f"{names[key]}={shlex.quote(value)}" for key, value in values.items())


def _read_line(text: str, number: int, shown: str, found: dict[str, str]) -> None:
    where = {"line": number, "file": shown}
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise _refuse(_("Line {line} of {file} has a quote that is not closed.").format(**where)) from error
    for word in words:
        name, sign, value = word.partition("=")
        if not sign or not _KEY.fullmatch(name):
            raise _refuse(
                _("Line {line} of {file} has {word}, which is no NAME=VALUE.").format(
                    **where, word=show(word)
                )
            )
        if name not in KEYS:
            raise _refuse(
                _("Line {line} of {file} has {name}, which is nothing that a job has.").format(
                    **where, name=show(name)
                )
            )
        if not value or not is_printable(value):
            raise _refuse(
                _("Line {line} of {file} gives no usable value to {name}.").format(**where, name=show(name))
            )
        key = KEYS[name]
        if key == "labels":
            found[key] = ",".join(part for part in (found.get(key), value) if part)
            continue
        if found.setdefault(key, value) != value:
            raise _refuse(
                _("Line {line} of {file} gives {name} a second value.").format(**where, name=show(name))
            )


def _first_cell(data: bytes) -> str:
    cells: Any = json.loads(data)["cells"]
    for cell in cells:
        if cell["cell_type"] == "code":
            source = cell["source"]
            return source if isinstance(source, str) else "".join(source)
    return ""


def _refuse(message: str) -> Refusal:
    usual = ", ".join(name for name in KEYS if name not in {"time_limit", "labels"})
    return Refusal(
        Reason.INVALID,
        message,
        _("Write for example: # AIINFN accelerator=t4 time=2h. There are {usual}.").format(usual=usual),
        field="path",
    )
