"""Values of parameters as people type them, read by the same rules as in JupyterLab's form."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from aiinfn_hub.platform.refusal import Reason, Refusal

from .parameters import Parameter

_WHOLE: Final = re.compile(r"[+-]?\d+", re.ASCII)
_DECIMAL: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)
_LARGEST: Final = 2**53


class Typed(str):
    """A value as it was typed: what it means follows from the parameter that it is for."""

    __slots__ = ()


def read_all(values: Mapping[str, Any], known: Iterable[Parameter]) -> dict[str, Any]:
    """Read those of some parameters' values that were typed; others stay as they are.

    Raises
    ------
    Refusal
        If a value does not fit its parameter. Names are not judged here.
    """
    by_name = {parameter.name: parameter for parameter in known}
    return {
        name: read(by_name[name], value) if isinstance(value, Typed) and name in by_name else value
        for name, value in values.items()
    }


def read(parameter: Parameter, text: str) -> Any:
    """Read what was typed for one parameter.

    Raises
    ------
    Refusal
        If it is no value of the parameter's type.
    """
    if parameter.type == "str":
        return str(text)
    if parameter.type not in _READERS:
        # The notebook does not say what it takes. JupyterLab's form wants quotes around text; a shell has its own.
        value = _json(text.strip())
        return str(text) if value is _NONSENSE else value
    reader, what, example = _READERS[parameter.type]
    value = reader(text.strip())
    if value is _NONSENSE:
        raise Refusal(
            Reason.INVALID,
            f"The parameter '{parameter.name}' must be {what}.",
            f"Write for example {parameter.name}={example}; in the notebook it is {parameter.source[:80]}.",
            field=f"parameters.{parameter.name}",
        )
    return value


class _Nonsense:
    pass


_NONSENSE: Final = _Nonsense()


def _json(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return _NONSENSE


def _boolean(text: str) -> Any:
    return {"true": True, "false": False}.get(text.lower(), _NONSENSE)


def _whole(text: str) -> Any:
    if not _WHOLE.fullmatch(text) or len(text) > 20 or abs(int(text)) >= _LARGEST:
        return _NONSENSE
    return int(text)


def _number(text: str) -> Any:
    if (whole := _whole(text)) is not _NONSENSE:
        return whole
    if not _DECIMAL.fullmatch(text):
        return _NONSENSE
    number = float(text)
    return number if math.isfinite(number) else _NONSENSE


def _list(text: str) -> Any:
    value = _json(text)
    return value if isinstance(value, list) else _NONSENSE


def _pairs(text: str) -> Any:
    value = _json(text)
    return value if isinstance(value, dict) else _NONSENSE


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


_READERS: Final[dict[str, tuple[Callable[[str], Any], str, str]]] = {
    "bool": (_boolean, "true or false", "true"),
    "int": (_whole, "a whole number", "20"),
    "float": (_number, "a number", "0.001 or 1e-3"),
    "list": (_list, "a list", "[1, 2, 3]"),
    "dict": (_pairs, "pairs", '{"depth": 3}'),
}
