"""Values of parameters as people type them, read by one rule: in the dialog, on the command line, in sweeps and in tables.

What is typed is a literal of Python, or of JSON: ``None``, ``True``, ``2_000_000``, ``1e-3``, ``-inf``, ``nan``, ``'text'``,
``[1, 2]``, ``{'a': 1}``. A parameter that is text takes what is typed as it is, without quotes around all of it. Where the notebook
does not say what it takes, what is no literal is text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.contract.values import (
    FLOAT,
    INT,
    TUPLE,
    tag_of,
)
from aiinfn_lab.i18n.language import gettext as _

from . import literals
from .literals import NotALiteralError
from .parameters import MUST_BE, Parameter


class Typed(str):
    """A value as it was typed: what it means follows from the parameter that it is for."""

    __slots__ = ()


def read_all(values: Mapping[str, Any], known: Iterable[Parameter]) -> dict[str, Any]:
    """Return values as they are sent: those that were typed are read, others are objects of Python.

    Raises
    ------
    Refusal
        If a value does not fit its parameter, or cannot be passed on. Names are not judged here.
    """
    by_name = {parameter.name: parameter for parameter in known}
    found = {}
    for name, value in values.items():
        if isinstance(value, Typed):
            found[name] = read(by_name.get(name) or Parameter(name, "unknown", None, "", ""), value)
        else:
            found[name] = literals.encode(value, str(name)[:60], f"parameters.{name}"[:200])
    return found


def read(parameter: Parameter, text: str) -> Any:
    """Read what was typed for one parameter.

    Raises
    ------
    Refusal
        If it is no value of the parameter's type.
    """
    stripped = text.strip()
    if parameter.type == "str":
        if parameter.nullable and stripped == "None":
            return None
        unquoted = literals.unquote(text)
        return str(text) if unquoted is None else unquoted
    try:
        value = literals.parse(_lowered(stripped) if parameter.type == "bool" else stripped)
    except NotALiteralError as error:
        if not error.why and parameter.type not in _KINDS and stripped[:1] not in _BEGINNINGS:
            return str(text)
        raise _refuse(parameter, error.why) from None
    fits = (
        parameter.nullable
        if value is None
        else parameter.type not in _KINDS or _KINDS[parameter.type][0](value)
    )
    if parameter.type in _KINDS and not fits:
        raise _refuse(parameter, "")
    return value


_BEGINNINGS: Final = frozenset("\"'[{(")
"""What begins so is meant as a value, not as text."""


def _lowered(text: str) -> str:
    return text.lower() if text.lower() in {"true", "false"} else text


def _refuse(parameter: Parameter, why: str) -> Refusal:
    name = parameter.name[:60]
    if parameter.type in _KINDS:
        kind, example = _KINDS[parameter.type][1:]
        must = _(MUST_BE[kind])
    else:
        must = _(
            "The parameter '{name}' must be a number, True, False, None, a list, or a text, in quotes if need be."
        )
        example = _("'a text'")
    message = must.format(name=name)
    if why:
        message = _("{first} {second}").format(first=message, second=why)
    hint = (
        _("Write for example {name}={example}; in the notebook it is {source}.")
        if parameter.source
        else _("Write for example {name}={example}.")
    )
    return Refusal(
        Reason.INVALID,
        message,
        hint.format(name=name, example=example, source=parameter.source[:80]),
        field=f"parameters.{name}",
    )


def _is_number(value: Any) -> bool:
    return (isinstance(value, (int, float)) and not isinstance(value, bool)) or tag_of(value) in {FLOAT, INT}


def _is_list(value: Any) -> bool:
    return isinstance(value, list) or tag_of(value) == TUPLE


_KINDS: Final[dict[str, tuple[Callable[[Any], bool], str, str]]] = {
    "bool": (lambda value: isinstance(value, bool), "bool", "True"),
    "int": (_is_number, "int", "20"),
    "float": (_is_number, "float", "1e-3"),
    "list": (_is_list, "list", "[1, 2, 3]"),
    "dict": (lambda value: isinstance(value, dict) and tag_of(value) is None, "dict", "{'depth': 3}"),
}
