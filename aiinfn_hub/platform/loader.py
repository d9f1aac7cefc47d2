"""Read the platform file; every error names file, line and key."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from .model import BadName, Platform

Key = tuple[str | int, ...]


class PlatformError(Exception):
    """The platform file cannot be used.

    Attributes
    ----------
    path, line, key
        Where: the file, the line from 1 (None if the file as a whole is meant), and the key as a dotted path.
    message
        One sentence: what is wrong there.
    """

    def __init__(self, path: Path, line: int | None, key: str, message: str) -> None:
        place = str(path) + (f", line {line}" if line else "") + (f", {key}" if key else "")
        super().__init__(f"{place}: {message}")
        self.path = path
        self.line = line
        self.key = key
        self.message = message


def default_path() -> Path:
    """Give the platform file in use: ``AIINFN_PLATFORM``, else ``platform.yaml`` in the working directory."""
    return Path(os.environ.get("AIINFN_PLATFORM") or "platform.yaml").absolute()


def load(path: Path) -> Platform:
    """Read and check a platform file.

    Raises
    ------
    PlatformError
        For the first thing that is wrong, in the order of the file.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise PlatformError(
            path, None, "", "there is no such file; set AIINFN_PLATFORM to the platform file"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise PlatformError(path, None, "", f"it cannot be read ({_reason(error)})") from None
    lines: dict[Key, int] = {}
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is None:
            raise PlatformError(path, None, "", "the file is empty")
        for key, line in _lines(node, ()):
            if key in lines:
                raise PlatformError(
                    path, line, _dotted(key), f"this key stands twice; first on line {lines[key]}"
                )
            lines[key] = line
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "it is no YAML"
        raise PlatformError(
            path, mark.line + 1 if mark else None, "", f"{problem} (is the indentation right?)"
        ) from None
    if not isinstance(data, dict):
        raise PlatformError(path, 1, "", "a mapping with keys such as projects and images is expected")
    try:
        return Platform.model_validate(data)
    except ValidationError as error:
        raise _first(path, lines, error) from None


def _lines(node: yaml.Node, key: Key) -> Iterator[tuple[Key, int]]:
    """Give the line of every key and list item; a key that stands twice comes twice."""
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            inner = (*key, str(name.value))
            yield inner, name.start_mark.line + 1
            yield from _lines(value, inner)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield (*key, index), value.start_mark.line + 1
            yield from _lines(value, (*key, index))


def _first(path: Path, lines: dict[Key, int], error: ValidationError) -> PlatformError:
    """Turn pydantic's findings into the one that comes first in the file."""
    findings = []
    for detail in error.errors(include_url=False):
        cause = detail.get("ctx", {}).get("error")
        key: Key = tuple(part for part in detail["loc"] if part != "[key]")
        if isinstance(cause, BadName):
            key = cause.key
        findings.append((_line_of(lines, key), key, _sentence(detail, key, cause)))
    line, key, message = min(findings, key=lambda finding: (finding[0] is None, finding[0] or 0))
    return PlatformError(path, line, _dotted(key), message)


def _line_of(lines: dict[Key, int], key: Key) -> int | None:
    """Give the line of a key, or of what should hold it when it is missing."""
    while key and key not in lines:
        key = key[:-1]
    return lines.get(key)


def _dotted(key: Key) -> str:
    return ".".join(str(part) for part in key)


def _sentence(detail: Any, key: Key, cause: Any) -> str:
    kind = detail["type"]
    if kind == "extra_forbidden":
        close = difflib.get_close_matches(str(key[-1]), _fields_at(key[:-1]), n=1)
        return "this key is unknown" + (f"; is {close[0]} meant?" if close else "")
    if kind == "missing":
        return "this key is missing"
    if kind in {"enum", "literal_error"}:
        return f"this must be {detail['ctx']['expected']}"
    if kind == "string_pattern_mismatch":
        return f"{str(detail['input'])[:60]!r} has a form that is not allowed here (it must match {detail['ctx']['pattern']})"
    if kind in {"model_type", "dict_type"}:
        return "a mapping of keys and values is expected here"
    if kind == "tuple_type":
        return "a list is expected here"
    if cause is not None:
        return str(cause)
    message = str(detail["msg"])
    return message[:1].lower() + message[1:]


def _fields_at(key: Key) -> list[str]:
    """Give the keys that the model has at a place, to guess what was meant."""
    model: Any = Platform
    for part in key:
        if isinstance(model, type) and issubclass(model, BaseModel):
            field = model.model_fields.get(str(part))
            model = field.annotation if field else None
        else:  # dict[Name, Section]: any name leads to the section
            model = model.__args__[1] if getattr(model, "__origin__", None) is dict else None
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []


def _reason(error: Exception) -> str:
    return error.strerror or "" if isinstance(error, OSError) else "it is not UTF-8 text"
