"""What is wrong with a platform file, in words: file, line, key, and what was probably meant."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from aiinfn_hub.platform.model.cross_checks import meant, unknown_names
from aiinfn_hub.platform.model.fields import FindingError, FindingsError
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.model.storage_kinds.table import STORAGE_KINDS

from .yaml_reader import Key, quoted, truth


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something stands.

    Attributes
    ----------
    layer
        Number of the file, in the order in which files are merged.
    line
        From 1; 0 if the file as a whole is meant.
    text
        What is written there, of a number, a truth value or nothing; empty for text and for what has parts.
    written_as
        The key under which the file has it, where that is an older one; see `aiinfn_hub.platform.model.moved_keys`.
    """

    layer: int
    line: int
    path: Path
    text: str = ""
    written_as: Key = ()


class PlatformError(Exception):
    """The platform file cannot be used.

    Attributes
    ----------
    path, line, key
        Where: the file, the line from 1 (None if the file as a whole is meant), and the key as a dotted path.
    message
        One sentence: what is wrong there.
    at
        The key in parts.
    """

    def __init__(self, path: Path, line: int | None, key: str, message: str, *, at: Key = ()) -> None:
        message = printable(message)
        place = str(path) + (f", line {line}" if line else "") + (f", {key}" if key else "")
        super().__init__(f"{printable(place)}: {message}")
        self.path = path
        self.line = line
        self.key = key
        self.message = message
        self.at = at


def printable(text: str) -> str:
    """Return a text that a terminal and a log show as it is, on one line."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def explain(
    error: ValidationError, data: Any, places: Mapping[Key, Place], top: Place
) -> list[PlatformError]:
    """Turn pydantic's findings into sentences, in the order of the files and lines.

    Names that nothing has are looked for in the plain data too: pydantic comes to them only when all else is right.

    Parameters
    ----------
    top
        The file that was asked for, for what stands nowhere.
    """
    found: dict[Key, str] = {}
    for key, message in (*_findings(error, places), *((each.key, str(each)) for each in unknown_names(data))):
        found.setdefault(key, message)
    return placed(found, places, top)


def placed(found: Mapping[Key, str], places: Mapping[Key, Place], top: Place) -> list[PlatformError]:
    """Return where findings stand, in the order of the files and lines."""
    ordered = sorted(
        ((_place_of(places, key) or top, _written(places, key), message) for key, message in found.items()),
        key=_order,
    )
    return [
        PlatformError(place.path, place.line or None, dotted(key), message, at=key)
        for place, key, message in ordered
    ]


def dotted(key: Key) -> str:
    """Write a key as people read it: ``accelerators.t4.kind``."""
    return ".".join(str(part) for part in key)


def _order(finding: tuple[Place, Key, str]) -> tuple[bool, int, int]:
    place = finding[0]
    return not place.line, place.layer, place.line


def _findings(error: ValidationError, located: Mapping[Key, Place]) -> Iterator[tuple[Key, str]]:
    details = error.errors(include_url=False)
    places = [detail["loc"] for detail in details]
    for detail in details:
        where = detail["loc"]
        if detail["type"] == "too_short" and any(
            each[: len(where)] == where != each for each in places
        ):  # only because what is wrong in it was left out
            continue
        cause = detail.get("ctx", {}).get("error")
        if isinstance(cause, FindingsError):
            yield from ((each.key, str(each)) for each in cause.findings)
        elif isinstance(cause, FindingError):
            yield cause.key, str(cause)
        else:
            key = _key(detail)
            place = located.get(key)
            yield key, _sentence(detail, key, cause, place.text if place else "")


def _key(detail: Any) -> Key:
    """Return the key in the file: without the marks that pydantic puts there for a key itself and for a kind of storage."""
    key: Key = tuple(part for part in detail["loc"] if part != "[key]")
    if key[:1] == ("storage",) and len(key) > 3 and key[2] in _BACK_ENDS and key[3] in STORAGE_KINDS:
        key = (*key[:3], *key[4:])
    return (*key, "kind") if detail["type"] in _NO_KIND else key


def _written(places: Mapping[Key, Place], key: Key) -> Key:
    """Return a key as the file has it, which may be of the older form."""
    for length in range(len(key), 0, -1):
        place = places.get(key[:length])
        if place is not None:
            return (*place.written_as, *key[length:]) if place.written_as else key
    return key


def _place_of(places: Mapping[Key, Place], key: Key) -> Place | None:
    """Return the place of a key, or of what should hold it when it is missing."""
    while key and key not in places:
        key = key[:-1]
    return places.get(key)


def _sentence(detail: Any, key: Key, cause: Any, written: str) -> str:
    kind, given = detail["type"], detail["input"]
    if kind == "extra_forbidden":
        return "this key is unknown" + meant(str(key[-1]), _keys_at(key[:-1]))
    if kind == "missing":
        return "this key is missing"
    if kind in _NO_KIND:
        said = given.get("kind") if isinstance(given, dict) else None
        return f"this must be {_or(list(STORAGE_KINDS))}" + meant(str(said), list(STORAGE_KINDS))
    if kind in {"enum", "literal_error"}:
        expected = detail["ctx"]["expected"]
        return f"this must be {expected}{meant(str(given), _QUOTED.findall(expected))}"
    if kind == "string_pattern_mismatch":
        pattern = detail["ctx"]["pattern"]
        return f"{str(given)[:60]!r} has a form that is not allowed here (it must match {pattern}){_repaired(given, pattern)}"
    if kind in {"model_type", "dict_type"}:
        return "a mapping of keys and values is expected here"
    if kind == "tuple_type":
        single = f"; is [{given}] meant?" if isinstance(given, str) and len(given) <= 60 else ""
        return f"a list is expected here{single}"
    if cause is not None:
        return str(cause)
    if of_type := _type_sentence(kind, given, written):
        return of_type
    message = str(detail["msg"])
    return message[:1].lower() + message[1:]


def _type_sentence(kind: str, given: Any, written: str) -> str | None:
    """Return what type of value is expected; None if that is not the matter."""
    if kind == "string_type":
        if given is None:
            return "text is expected here, and this is empty"
        if isinstance(given, (dict, list)):
            return "text is expected here"
        text = written or str(given)
        read_as = truth(text) if isinstance(given, bool) else "a number"
        return f"text is expected here, and YAML reads {text[:40]} as {read_as}; put it in quotes: {quoted(text)}"
    if kind in _NUMBERS:
        return f"{_NUMBERS[kind]} is expected here, not {_shown(given, written)}{_number_meant(given)}"
    if kind in {"bool_type", "bool_parsing"}:
        return f"true or false is expected here, not {_shown(given, written)}"
    return None


_BACK_ENDS: Final = ("kubernetes", "local")
_NO_KIND: Final = ("union_tag_invalid", "union_tag_not_found")


def _or(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


_NUMBERS: Final = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a number",
}
_MILLI: Final = re.compile(r"(\d{1,9})m\Z")
_COMMA: Final = re.compile(r"(\d{1,9}),(\d{1,9})\Z")
_LEADING: Final = re.compile(r"\s*(\d{1,9}(?:\.\d{1,9})?)\s*[A-Za-z,;]")


def _number_meant(given: Any) -> str:
    """Guess a number that was written in another way, such as the thousandths of a core of Kubernetes."""
    text = str(given)[:40] if isinstance(given, str) else ""
    if milli := _MILLI.match(text):
        return f"; is {int(milli[1]) / 1000:g} meant?"
    if comma := _COMMA.match(text):
        return f"; is {comma[1]}.{comma[2]} meant?"
    if leading := _LEADING.match(text):
        return f"; is {leading[1]} meant?"
    return ""


def _shown(given: Any, written: str) -> str:
    if given is None:
        return "nothing"
    if isinstance(given, (dict, list)):
        return "a mapping" if isinstance(given, dict) else "a list"
    return (written or quoted(str(given)))[:64]


_QUOTED: Final = re.compile("'([^']*)'")
_SEPARATORS: Final = re.compile(r"[^a-z0-9.]+")


def _repaired(given: Any, pattern: str) -> str:
    """Guess a name that would be allowed."""
    candidate = _SEPARATORS.sub("-", str(given).lower()).strip("-.")
    return f"; is {candidate} meant?" if candidate and re.search(pattern, candidate) else ""


def _keys_at(key: Key) -> list[str]:
    """Return the keys that the model has at a place; of every kind where there are several."""
    found: list[Any] = [Platform]
    for part in key:
        below: list[Any] = []
        for each in found:
            if isinstance(each, type) and issubclass(each, BaseModel):
                field = each.model_fields.get(str(part))
                below += _alternatives(field.annotation) if field else []
            elif (
                getattr(each, "__origin__", None) is dict
            ):  # dict[Name, Section]: any name leads to the section
                below.append(each.__args__[1])
        found = below
    models = [each for each in found if isinstance(each, type) and issubclass(each, BaseModel)]
    keys = [field.alias or name for model in models for name, field in model.model_fields.items()]
    return keys if models != [Platform] else ["extends", *keys]


def _alternatives(annotation: Any) -> list[Any]:
    """Return the types that a value may have: those of a union, through what is said about each."""
    if getattr(annotation, "__origin__", None) is dict:
        return [annotation]
    if hasattr(annotation, "__metadata__"):
        return _alternatives(annotation.__origin__)
    parts = getattr(annotation, "__args__", ())
    return [each for part in parts for each in _alternatives(part)] if parts else [annotation]
