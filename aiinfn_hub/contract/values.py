"""Values of parameters on the wire: JSON, and tags for what JSON or a browser cannot hold. Needs nothing but Python.

A value is null, true, false, text, a number, a list, or an object with text as names. Beside these there are objects with one
name, which begins with a dollar sign:

=====================================  ==============================================================================
``{"$float": "inf"}``                  ``inf``, ``-inf`` or ``nan``, which JSON has no number for
``{"$int": "9007199254740993"}``       a whole number of 2**53 or more, which a browser would round
``{"$tuple": [3, 4]}``                 a tuple
=====================================  ==============================================================================

An object with such a name that holds anything else is an object like others.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final

FLOAT: Final = "$float"
INT: Final = "$int"
TUPLE: Final = "$tuple"
TAGS: Final = frozenset({FLOAT, INT, TUPLE})
SAFE_INTEGER: Final = 2**53
"""Whole numbers from here on are not exact in a browser."""
_DIGITS: Final = re.compile(r"-?\d{1,1000}", re.ASCII)
_FLOATS: Final = ("inf", "-inf", "nan")


def tag_of(value: object) -> str | None:
    """Return the tag of a tagged value; None of any other."""
    if not isinstance(value, dict) or len(value) != 1:
        return None
    ((name, inner),) = value.items()
    if name == FLOAT:
        return FLOAT if isinstance(inner, str) and inner in _FLOATS else None
    if name == INT:
        return INT if isinstance(inner, str) and _DIGITS.fullmatch(inner) else None
    return TUPLE if name == TUPLE and isinstance(inner, list) else None


def decode(value: Any) -> Any:
    """Return the Python value that a value on the wire stands for."""
    tag = tag_of(value)
    if tag == FLOAT:
        return float(value[FLOAT])
    if tag == INT:
        return int(value[INT])
    if tag == TUPLE:
        return tuple(decode(item) for item in value[TUPLE])
    if isinstance(value, list):
        return [decode(item) for item in value]
    if isinstance(value, dict):
        return {name: decode(item) for name, item in value.items()}
    return value


def as_python(value: Any) -> str:
    """Write a value on the wire as Python will have it, for people to read: ``None``, ``0.5``, ``'text'``, ``inf``."""
    return repr(decode(value))


def as_text(value: Any) -> Any:
    """Return a value on the wire as a cell of a table shows it: text as it is, numbers as numbers, the rest in Python."""
    if isinstance(value, (dict, list)):
        return as_python(value)
    return value


def as_argument(value: Any) -> str:
    """Write a value on the wire as an argument of a script."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(decode(value))


def encode_float(number: float) -> Any:
    """Return a float as it is sent."""
    return number if math.isfinite(number) else {FLOAT: str(number)}


def encode_int(number: int) -> Any:
    """Return a whole number as it is sent.

    Raises
    ------
    ValueError
        If it has more than 1000 digits.
    """
    if abs(number) < SAFE_INTEGER:
        return number
    if number.bit_length() > 3322:  # 1000 digits
        raise ValueError("the number has more than 1000 digits")
    return {INT: str(number)}
