"""Durations and memory quantities as people write them in the platform file."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, PlainSerializer, ValidationInfo, WithJsonSchema

FROM_FILE: Final = {"source": "platform file"}
"""Context of a validation: values are written by a person in the file, and what is surely a slip is refused.

What was granted earlier, and is read back from the database, has passed other rules and stays readable.
"""


def is_from_file(info: ValidationInfo) -> bool:
    """Return whether a value is read from the platform file itself."""
    return info.context is FROM_FILE


_DURATION: Final = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?\Z")
_QUANTITY: Final = re.compile(r"(\d+(?:\.\d+)?)(Ki|Mi|Gi|Ti|k|M|G|T)?\Z")
_CLOCK: Final = re.compile(r"(\d{1,4}):([0-5]?\d)(?::([0-5]?\d))?\Z")
_BARE: Final = re.compile(r"[-+]?\d+(\.\d*)?\Z")
_LOOSE: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*([kmgtKMGT])i?[bB]?\Z")
LONGEST: Final = timedelta(days=10_000)
"""Of any duration in the file: Kubernetes counts in 32-bit seconds, and sums of times must stay within the calendar."""
SMALLEST: Final = 2**20
LARGEST: Final = 2**50
"""Of any memory in the file."""
_FACTOR: Final = {
    "": 1,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
}


def parse_duration(value: Any) -> timedelta:
    """Read a duration such as ``90m``, ``1h30m`` or ``2d``, or a number of seconds.

    Parameters
    ----------
    value
        Text in days, hours, minutes and seconds, in this order; a number of seconds; or a `timedelta`.

    Raises
    ------
    ValueError
        If the text has another form, or the duration is not positive.
    """
    if isinstance(value, timedelta):
        duration = value
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            duration = timedelta(seconds=value)
        except (OverflowError, ValueError) as error:
            raise ValueError(f"{value} seconds is no usable duration") from error
    elif isinstance(value, str) and value and (match := _DURATION.match(value)) and len(value) <= 20:
        days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
        try:
            duration = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        except OverflowError as error:
            raise ValueError(f"'{value}' is too long a duration") from error
    else:
        raise ValueError(
            f"'{str(value)[:40]}' is no duration; write for example 90m, 8h or 2d{_duration_meant(value)}"
        )
    if duration <= timedelta(0):
        raise ValueError("a duration must be longer than zero")
    return duration


def _duration_meant(value: Any) -> str:
    match = _CLOCK.match(value) if isinstance(value, str) else None
    if not match:
        return ""
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return f"; is {format_duration(timedelta(hours=hours, minutes=minutes, seconds=seconds))} meant?"


def _duration_of(value: Any, info: ValidationInfo) -> timedelta:
    if not is_from_file(info):
        return parse_duration(value)
    if isinstance(value, bool):
        raise ValueError("a duration is expected; write for example 90m, 8h or 2d")  # noqa: TRY004 - pydantic wants ValueError
    if isinstance(value, (int, float)) or (isinstance(value, str) and _BARE.match(value.strip())):
        number = str(value).strip()[:20]
        raise ValueError(
            f"{number} has no unit; write {number}h for hours, or {number}m, {number}s or {number}d"
        )
    duration = parse_duration(value)
    if duration > LONGEST:
        raise ValueError(f"{value} is longer than the {LONGEST.days}d that the suite can count with")
    return duration


def format_duration(value: timedelta) -> str:
    """Write a duration the way `parse_duration` reads it, for example ``1h30m``."""
    seconds = int(value.total_seconds())
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        amount, seconds = divmod(seconds, size)
        if amount:
            parts.append(f"{amount}{unit}")
    return "".join(parts) or "0s"


def parse_quantity(value: Any) -> int:
    """Read a Kubernetes memory quantity such as ``16Gi`` as a number of bytes.

    Raises
    ------
    ValueError
        If the value is not a positive quantity.

    Notes
    -----
    The suffixes are those of Kubernetes' resource quantities, without the exponents and fractions of a byte.
    """
    if isinstance(value, bool):
        raise ValueError("a memory size is expected, for example 16Gi")  # noqa: TRY004 - pydantic wants ValueError
    match = _QUANTITY.match(str(value))
    if not match or len(str(value)) > 20:
        text = str(value)[:40]
        guess = f"; is {text[:-1]} meant?" if _QUANTITY.match(text[:-1]) and text[-1] in "Bb" else ""
        raise ValueError(
            f"'{text}' is no memory size; write for example 16Gi or 500M{guess or _memory_meant(text)}"
        )
    try:
        size = int(Decimal(match[1]) * _FACTOR[match[2] or ""])
    except InvalidOperation as error:
        raise ValueError(f"'{value}' is no memory size") from error
    if size <= 0:
        raise ValueError("a memory size must be larger than zero")
    return size


def _memory_meant(text: str) -> str:
    if match := _LOOSE.match(text):
        unit = f"{match[2].upper()}i"
        return f"; is {match[1]}{unit} meant?"
    return ""


def _memory_of(value: Any, info: ValidationInfo) -> int:
    size = parse_quantity(value)
    if not is_from_file(info):
        return size
    if size < SMALLEST:
        text = str(value)
        if _BARE.match(text):
            raise ValueError(f"{text} without a unit means {text} bytes; is {text}Gi meant?")
        raise ValueError(f"{text} is less than the 1Mi with which anything could run")
    if size > LARGEST:
        raise ValueError(f"{str(value)[:40]} is more than any machine has; write for example 16Gi")
    return size


def format_quantity(size: int) -> str:
    """Write a number of bytes as the largest binary quantity that divides it, for example ``16Gi``."""
    for suffix in ("Ti", "Gi", "Mi", "Ki"):
        if size % _FACTOR[suffix] == 0:
            return f"{size // _FACTOR[suffix]}{suffix}"
    return str(size)


def bytes_in_words(size: int) -> str:
    """Write a number of bytes with at most one decimal, to be read: ``16 GiB``, ``4.2 GiB``."""
    for power, unit in ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size >= 2**power:
            return f"{size / 2**power:.1f}".removesuffix(".0") + f"\N{NO-BREAK SPACE}{unit}"
    return f"{size} bytes"


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration_of),
    PlainSerializer(format_duration, when_used="json"),
    WithJsonSchema({"type": "string", "title": "duration", "examples": ["90m", "8h", "2d"]}),
]
"""A positive duration, in files and in JSON written as ``8h``."""

Memory = Annotated[
    int,
    BeforeValidator(_memory_of),
    PlainSerializer(format_quantity, when_used="json"),
    WithJsonSchema({"type": ["string", "integer"], "title": "memory size", "examples": ["16Gi", "500M"]}),
]
"""Bytes, in files and in JSON written as a Kubernetes quantity such as ``16Gi``."""
