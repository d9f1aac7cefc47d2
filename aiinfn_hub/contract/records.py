"""What a job may tell about itself. Everything in a record was written by the job, so it is checked as a request is.

`check` decides about one record, `Kept` about all of an attempt: types, finite numbers, text that can be stored and sent,
their number and their size. Both back ends and the service use this code: what the supervisor took is checked again when
vkd reads it from disk. Standard library only.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Final

RESOURCES: Final = "resources"
"""The type of records that are gathered in a file of their own: see `resources.Series`."""
RECORD_TYPES: Final = ("progress", "error", "values", RESOURCES)
MOST_VALUES: Final = 100
"""Recorded values that are kept of one job."""
LONGEST_NAME: Final = 100
LONGEST_TEXT: Final = 500
LARGEST_NUMBER: Final = 2**53
"""Whole numbers beyond it are not the same in every program that reads JSON."""
MOST_CELLS: Final = 1_000_000
VALUES_BYTES: Final = 32 * 1024
"""Bytes of JSON that the recorded values of one job take together."""
ERROR_BYTES: Final = 24 * 1024
"""Bytes of JSON of an error. With the values and the progress it makes less than 64 kB a job."""
_ERROR_NAME: Final = 200
_ERROR_MESSAGE: Final = 2000
_TRACEBACK: Final = 20_000
_LARGEST_FIGURE: Final = 2.0**63


class RecordRefusedError(Exception):
    """A record that is not taken; its text says why, to the person whose job it is."""


def check(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record with what is known of its type, and nothing else.

    What a newer runner adds is left out rather than refused, so that images and hub may be of different age.

    Raises
    ------
    RecordRefusedError
        If it is not one that a runner would write.
    """
    kind = record.get("type")
    if kind not in RECORD_TYPES:
        raise RecordRefusedError("its type is not known")
    content = record.get(kind)
    if not isinstance(content, dict):
        raise RecordRefusedError(f"it has no {kind}")
    if kind == "progress":
        return {"type": kind, kind: _progress(content)}
    if kind == "error":
        return {"type": kind, kind: _error(content)}
    if kind == RESOURCES:
        return {"type": kind, kind: check_point(content)}
    return {"type": kind, kind: check_values(content)}


def check_values(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return recorded values.

    Raises
    ------
    RecordRefusedError
        If one of them, or its name, cannot be taken.
    """
    return {
        _text(name, "a name", LONGEST_NAME, least=1): _value(name, value) for name, value in content.items()
    }


def check_point(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return one stretch of resource use.

    Raises
    ------
    RecordRefusedError
        If a figure is not finite, or negative, or no number.
    """
    point: dict[str, Any] = {name: _figure(content.get(name), name) for name in ("time", "cores")}
    point["memory"] = int(_figure(content.get("memory"), "memory"))
    if content.get("busy") is not None:
        point["busy"] = _figure(content["busy"], "busy")
    if content.get("accelerator_memory") is not None:
        point["accelerator_memory"] = int(_figure(content["accelerator_memory"], "accelerator_memory"))
    return point


def merge_values(known: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Add recorded values to those of before; later ones replace earlier ones of the same name.

    Returns
    -------
    tuple
        What is kept, and the names of those for which there is no room.
    """
    if not known and len(new) <= MOST_VALUES and size(new) + 2 * len(new) <= VALUES_BYTES:
        return dict(
            new
        ), []  # as nearly always when a row is read: one look, where below there is one for each value
    kept, left = dict(known), []
    room = VALUES_BYTES - size(kept)
    for name, value in new.items():
        more = size({name: value}) - (size({name: kept[name]}) if name in kept else 0)
        if (name not in kept and len(kept) >= MOST_VALUES) or more > room:
            left.append(name)
            continue
        room -= more
        kept[name] = value
    return kept, left


class Kept:
    """What is kept of the records of one attempt: the last progress and error, and all recorded values.

    Attributes
    ----------
    records
        By type, with ``serial``, which counts changes.
    """

    def __init__(self, records: Mapping[str, Any] | None = None) -> None:
        self.records: dict[str, Any] = {"serial": 0, "progress": None, "error": None}
        for record in (records or {}).values():
            if isinstance(record, dict):
                try:
                    self.add(check(record))
                except RecordRefusedError:
                    continue

    def add(self, record: dict[str, Any]) -> None:
        """Take in a record that `check` returned.

        Raises
        ------
        RecordRefusedError
            If there is no room for it, or for a part of it; the rest of it was taken then.
        """
        self.records["serial"] += 1
        kind = record["type"]
        if kind != "values":
            self.records[kind] = record
            return
        known = (self.records.get("values") or {}).get("values", {})
        values, left = merge_values(known, record["values"])
        self.records["values"] = {"type": "values", "values": values}
        if left:
            names = ", ".join(left[:3]) + (", ..." if len(left) > 3 else "")
            raise RecordRefusedError(
                f"a job keeps {MOST_VALUES} values of {VALUES_BYTES // 1024} kB together; no room for {names}"
            )


def size(value: Any) -> int:
    """Return the bytes that a value takes as JSON."""
    return len(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"))


def _progress(content: Mapping[str, Any]) -> dict[str, int]:
    cell, cells = (_count(content.get(name), name, MOST_CELLS) for name in ("cell", "cells"))
    return {"cell": cell, "cells": cells}


def _error(content: Mapping[str, Any]) -> dict[str, Any]:
    cell = content.get("cell")
    error: dict[str, Any] = {
        "name": _text(content.get("name"), "the error's name", _ERROR_NAME),
        "message": _text(content.get("message", ""), "the error's message", _ERROR_MESSAGE),
        "cell": None if cell is None else _count(cell, "cell", MOST_CELLS),
        "traceback": "",
    }
    traceback = _text(content.get("traceback", ""), "the traceback", None)[-_TRACEBACK:]
    # The end of a traceback is where the error is. Halving ends after a few rounds, however it is written in JSON.
    while size(error | {"traceback": traceback}) > ERROR_BYTES:
        traceback = traceback[len(traceback) // 2 + 1 :]
        if not traceback:
            break
    if size(error) > ERROR_BYTES:
        raise RecordRefusedError("its message is too long")
    return error | {"traceback": traceback}


def _value(name: str, value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, f"the text of {shown(name)}", LONGEST_TEXT)
    if isinstance(value, int):
        if abs(value) > LARGEST_NUMBER:
            raise RecordRefusedError(f"the number {shown(name)} is too large")
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise RecordRefusedError(f"{shown(name)} is not a finite number")
        return value
    raise RecordRefusedError(f"{shown(name)} is no number, text or boolean")


def _figure(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise RecordRefusedError(f"{name} is no number")
    # Compared before it is converted: an integer can be larger than any float.
    if not 0 <= value <= _LARGEST_FIGURE:
        raise RecordRefusedError(f"{name} is negative, not finite, or too large")
    return value


def _count(value: Any, name: str, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise RecordRefusedError(f"{name} is no whole number")
    if not 0 <= value <= most:
        raise RecordRefusedError(f"{name} is negative or too large")
    return value


def _text(value: Any, what: str, longest: int | None, *, least: int = 0) -> str:
    if not isinstance(value, str):
        raise RecordRefusedError(f"{what} is no text")
    if len(value) < least:
        raise RecordRefusedError(f"{what} is empty")
    if longest is not None and len(value) > longest:
        raise RecordRefusedError(f"{what} is longer than {longest} characters")
    if "\0" in value:
        raise RecordRefusedError(f"{what} has a NUL character")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise RecordRefusedError(f"{what} has a character that cannot be written as UTF-8") from None
    return value


def shown(name: str) -> str:
    """Write a name from a job so that it can be printed in one short line."""
    plain = "".join(character if character.isprintable() else "?" for character in name[:40])
    return plain.encode("utf-8", "replace").decode()
