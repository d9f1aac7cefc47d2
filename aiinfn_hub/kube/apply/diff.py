"""What differs between two versions of an object, as paths and values for people."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

Json = dict[str, Any]

_SERVERS_OWN: Final = {"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp"}
_ABSENT: Final = object()
_LONGEST: Final = 120


@dataclass(frozen=True, slots=True)
class Field:
    """One value that is another afterwards; None for one that is not there."""

    path: str
    old: str | None
    new: str | None


def fields(before: Json, after: Json) -> tuple[Field, ...]:
    """Compare two versions of an object, without what the API server writes into it itself."""
    return tuple(_compare("", _plain(before), _plain(after)))


def _plain(found: Json) -> Json:
    kept = {key: value for key, value in found.items() if key != "status"}
    kept["metadata"] = {
        key: value for key, value in found.get("metadata", {}).items() if key not in _SERVERS_OWN
    }
    return kept


def _compare(path: str, before: Any, after: Any) -> Iterator[Field]:
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(key for key in after if key not in before)]:
            yield from _compare(_join(path, key), before.get(key, _ABSENT), after.get(key, _ABSENT))
    elif (names := _named(before)) is not None and (others := _named(after)) is not None:
        for name in [*names, *(name for name in others if name not in names)]:
            yield from _compare(f"{path}[{name}]", names.get(name, _ABSENT), others.get(name, _ABSENT))
        if list(names) != list(others) and set(names) == set(others):
            yield Field(f"{path} (order)", ", ".join(names), ", ".join(others))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _compare(f"{path}[{index}]", one, other)
    else:
        yield Field(path, _text(before), _text(after))


def _join(path: str, key: str) -> str:
    return (
        f"{path}.{key}" if path and "." not in key and "/" not in key else f"{path}[{key}]" if path else key
    )


def _named(value: Any) -> dict[str, Any] | None:
    """Return a list of named things by name, so that one more at the front does not change all the others."""
    if not isinstance(value, list) or not all(isinstance(item, dict) and "name" in item for item in value):
        return None
    return {item["name"]: item for item in value}


def _text(value: Any) -> str | None:
    if value is _ABSENT:
        return None
    if isinstance(value, str):
        return value
    text = json.dumps(value, ensure_ascii=False, separators=(", ", ": "))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
