"""The points of a sweep, out of what people type: a grid of values, or a table.

A value of a grid is a list such as ``0.1, 0.2, 0.5``, a range of whole numbers such as ``1..10`` or ``0..100..10`` (start, end,
step; the end is included), or numbers at equal distances: ``lin(0, 1, 5)``, and of equal ratios: ``log(1e-4, 1e-1, 4)``.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
import re
from collections.abc import Iterable, Iterator, KeysView, Mapping, Sequence, ValuesView
from typing import Any, Final, TypeGuard

from aiinfn_hub.contract.constants import MOST_POINTS
from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.contract.values import TUPLE, tag_of
from aiinfn_lab.i18n.formats import number
from aiinfn_lab.i18n.language import gettext as _
from aiinfn_lab.paths import show

from . import literals, values
from .parameters import Parameter

_NUMBER: Final = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?"
_RANGE: Final = re.compile(r"([+-]?\d{1,15})\.\.([+-]?\d{1,15})(?:\.\.(\d{1,15}))?", re.ASCII)
_SPACE: Final = re.compile(rf"(lin|log)\(\s*({_NUMBER})\s*,\s*({_NUMBER})\s*,\s*(\d{{1,6}})\s*\)", re.ASCII)
_COMMA: Final = re.compile(r"[+-]?\d+,\d+(?:[eE][+-]?\d{1,4})?", re.ASCII)
_SEPARATOR: Final = re.compile(r'("?sep=([,;\t|])"?)(?=[\r\n])', re.IGNORECASE)
"""First line by which spreadsheets are told what stands between the values."""
_DIGITS: Final = 12
"""Digits of a computed number: more would be the noise of binary fractions."""


def grid(typed: Mapping[str, str | Sequence[Any]], known: Sequence[Parameter]) -> list[dict[str, Any]]:
    """Return every combination of some values, the last name varying fastest.

    Parameters
    ----------
    typed
        For each name what was typed, see the module, or the values themselves.
    known
        The notebook's parameters: what they are decides how a value is read.

    Raises
    ------
    Refusal
        Naming the parameter, or because there are too many points.
    """
    by_name = {parameter.name: parameter for parameter in known}
    axes = {name: _axis(name, text, by_name.get(name)) for name, text in typed.items()}
    if not axes:
        raise _invalid(
            _("A sweep needs at least one parameter with several values."), _("Choose a parameter.")
        )
    _bound(math.prod(len(axis) for axis in axes.values()))
    return [dict(zip(axes, values_, strict=True)) for values_ in itertools.product(*axes.values())]


def table(text: str, known: Sequence[Parameter]) -> list[dict[str, Any]]:
    """Return the points of a table in CSV: names in the first line, a point in each further line.

    A cell that is empty leaves the point with the parameter's own value. Between semicolons, as spreadsheets write them where
    numbers have a comma, ``0,25`` is a number.

    Raises
    ------
    Refusal
        Naming the line.
    """
    by_name = {parameter.name: parameter for parameter in known}
    text = text.removeprefix("\N{BYTE ORDER MARK}")
    said = _SEPARATOR.match(text)
    # The line stays, so that lines are counted as in the file.
    text = text[said.end(1) :] if said else text
    separator = said[2] if said else _separator(text)
    try:
        read = list(
            itertools.islice(csv.reader(io.StringIO(text, newline=""), delimiter=separator), 2 * MOST_POINTS)
        )
    except csv.Error as error:
        raise _invalid(
            _("The table cannot be read."), _("It must be CSV ({error}).").format(error=error)
        ) from None
    rows = [(place, row) for place, row in enumerate(read, 1) if any(cell.strip() for cell in row)]
    if len(rows) < 2:
        raise _invalid(
            _("The table has no points."),
            _("Write the names in the first line and a point in each further line."),
        )
    (_first, head), *lines = rows
    names = [name.strip() for name in head]
    if not all(names) or len(set(names)) < len(names):
        raise _invalid(
            _("The first line of the table must have a different name in each column."), _("Name them.")
        )
    _bound(len(lines))
    points = []
    for line, row in lines:
        if len(row) != len(names):
            raise _invalid(
                _("Line {line} of the table has {values} values for {names} names.").format(
                    line=line, values=len(row), names=len(names)
                ),
                _("Give each point a value in every column, or leave its cell empty."),
            )
        try:
            points.append(
                {
                    name: _read(name, cell.strip(), by_name.get(name), comma=separator == ";")
                    for name, cell in zip(names, row, strict=True)
                    if cell.strip()
                }
            )
        except Refusal as refusal:
            raise Refusal(
                refusal.reason,
                _("Line {line} of the table: {message}").format(line=line, message=refusal.message),
                refusal.hint,
                field="sweep",
            ) from None
    return points


def points(given: object) -> list[dict[str, Any]]:
    """Return points that Python code passes: names with values for each, or a table of pandas.

    Raises
    ------
    Refusal
        If they are something else, or a value cannot be passed on.
    """
    rows = getattr(given, "to_dict", None)
    if callable(rows) and hasattr(given, "columns"):
        given = rows("records")
    found: list[dict[str, Any]] = []
    for point in itertools.islice(given, MOST_POINTS + 1) if isinstance(given, Iterable) else ():
        if not isinstance(point, Mapping) or not all(isinstance(name, str) for name in point):
            raise _invalid(
                _("The points of a sweep must be names with values."),
                _("Give for example [{'lr': 0.1}, {'lr': 0.2}]."),
            )
        place = _("{name} in point {number}")
        found.append(
            {
                name: literals.encode(value, place.format(name=name[:60], number=len(found) + 1), "sweep")
                for name, value in point.items()
            }
        )
    if not found:
        raise _invalid(_("The sweep has no points."), _("Give for example [{'lr': 0.1}, {'lr': 0.2}]."))
    _bound(len(found))
    return found


def _separator(text: str) -> str:
    """Return what stands between the names in the first line that is not blank."""
    head = next((line for line in text.splitlines() if line.strip()), "")
    head = re.sub(r'"[^"]*"', "", head)
    return max("\t;,", key=head.count) if any(mark in head for mark in "\t;") else ","


def from_bytes(data: bytes) -> str:
    """Return the text of a table as spreadsheets write it: UTF-8 or UTF-16, with or without a byte order mark.

    Raises
    ------
    UnicodeDecodeError
        If it is neither.
    """
    return data.decode("utf-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig")


def _axis(name: str, text: str | Sequence[Any], parameter: Parameter | None) -> list[Any]:
    found: list[Any] = [] if isinstance(text, str) else _given(name, text)
    for part in _parts(text) if isinstance(text, str) else ():
        if match := _RANGE.fullmatch(part):
            first, last, step = int(match[1]), int(match[2]), int(match[3] or 1)
            if step == 0:
                raise _invalid(
                    _("The range {part} has no step.").format(part=show(part)),
                    _("Write for example 0..100..10."),
                    name,
                )
            _bound(abs(last - first) // step + 1)
            found += range(first, last + 1, step) if first <= last else range(first, last - 1, -step)
        elif match := _SPACE.fullmatch(part):
            found += _space(match, name)
        else:
            found.append(_read(name, part, parameter))
        _bound(len(found))
    if not found:
        raise _invalid(
            _("{name} has no values.").format(name=show(name)),
            _("Write for example 0.1, 0.2, 0.5 or 1..10."),
            name,
        )
    return list({json.dumps(one, sort_keys=True): one for one in found}.values())


def _given(name: str, found: object) -> list[Any]:
    """Return values that Python code passes: of any kind that can be gone through, numpy's and pandas' included."""
    shown = show(name)[1:-1]
    wire = literals.encode(
        list(itertools.islice(found, MOST_POINTS + 1)) if _is_lazy(found) else found, shown, f"sweep.{shown}"
    )
    if isinstance(wire, dict) and tag_of(wire) == TUPLE:
        wire = wire[TUPLE]
    if not isinstance(wire, list):
        raise _invalid(
            _("The values of {name} are not a list.").format(name=show(name)),
            _("Give a list, or text such as 1..10."),
            name,
        )
    _bound(len(wire))
    return wire


def _is_lazy(found: object) -> TypeGuard[Iterable[Any]]:
    """Return whether values come one by one, as those of ``map`` and of generators do."""
    return isinstance(found, (Iterator, KeysView, ValuesView))


def _parts(text: str) -> Iterable[str]:
    """Split at commas that are not inside brackets or quotes."""
    part, depth, quote, escaped = "", 0, "", False
    for character in text:
        if quote:
            quote = "" if character == quote and not escaped else quote
            escaped = character == "\\" and not escaped
        elif character in "\"'" and (depth > 0 or not part.strip()):
            quote, escaped = character, False
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        if character == "," and depth <= 0 and not quote:
            if part.strip():
                yield part.strip()
            part = ""
        else:
            part += character
    if part.strip():
        yield part.strip()


def _space(match: re.Match[str], name: str) -> list[float]:
    kind, first, last, number = match[1], float(match[2]), float(match[3]), int(match[4])
    _bound(number)
    if number < 1 or not (math.isfinite(first) and math.isfinite(last)):
        raise _invalid(
            _("{values} gives no values.").format(values=show(match[0])),
            _("Write for example lin(0, 1, 5)."),
            name,
        )
    if kind == "log" and (first <= 0 or last <= 0):
        raise _invalid(
            _("{values}: ratios need numbers above 0.").format(values=show(match[0])),
            _("Write for example log(1e-4, 1e-1, 4)."),
            name,
        )
    if number == 1:
        return [first]
    steps = [index / (number - 1) for index in range(number)]
    if kind == "lin":
        # Not by the difference, which can be larger than any float.
        found = [first * (1 - step) + last * step for step in steps]
    else:
        found = [math.exp(math.log(first) + (math.log(last) - math.log(first)) * step) for step in steps]
    return [float(f"{one:.{_DIGITS}g}") for one in found]


def _read(name: str, text: str, parameter: Parameter | None, *, comma: bool = False) -> Any:
    parameter = parameter or Parameter(name, "unknown", None, "", "")
    if comma and parameter.type in {"int", "float", "none", "unknown"} and _COMMA.fullmatch(text):
        text = text.replace(",", ".")
    return values.read(parameter, text)


def _bound(count: int) -> None:
    if count > MOST_POINTS:
        raise Refusal(
            Reason.TOO_LARGE,
            _("That makes {number} points; a sweep has at most {most}.").format(
                number=number(count), most=number(MOST_POINTS)
            ),
            _("Take fewer values, or submit several sweeps."),
            field="sweep",
        )


def _invalid(message: str, hint: str, name: str | None = None) -> Refusal:
    return Refusal(Reason.INVALID, message, hint, field=f"sweep.{name}" if name else "sweep")
