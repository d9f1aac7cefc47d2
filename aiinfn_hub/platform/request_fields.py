"""Reading a request: values of any type, as a form, a program or a stranger sends them."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any, Final

from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.contract.units import parse_duration
from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.i18n.language import marked

_NAMED: Final = 6
"""Choices that one hint names."""
_NOUNS: Final = {
    "accelerator": marked("accelerator"),
    "count": marked("count"),
    "image": marked("image"),
    "size": marked("size"),
    "project": marked("project"),
    "time_limit": marked("time limit"),
    "queue": marked("queue"),
}


def noun(key: str) -> str:
    """Name a choice as people do."""
    return _(_NOUNS[key])


def name_in(request: Mapping[str, Any], key: str) -> str:
    """Read a choice that is made by name; empty if it was not made."""
    value = request.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Refusal(
            Reason.INVALID, _("The {choice} must be given by name.").format(choice=noun(key)), "", field=key
        )
    return value


def integer_in(request: Mapping[str, Any], key: str) -> int | None:
    """Read a whole number; None if it was not given."""
    value = request.get(key)
    if value is None or value == "":
        return None
    number = value if isinstance(value, int) and not isinstance(value, bool) else None
    if isinstance(value, str) and len(value) <= 12:
        digits = value.lstrip("+-")
        if digits.isascii() and digits.isdigit():
            try:
                number = int(value)
            except ValueError:
                number = None
    if number is None:
        message = _("The {choice} {value} is no whole number.")
        raise Refusal(Reason.INVALID, message.format(choice=noun(key), value=shown(value)), "", field=key)
    if abs(number) > 10**9:
        raise Refusal(
            Reason.TOO_LARGE if number > 0 else Reason.INVALID,
            _("The {choice} is out of range.").format(choice=noun(key)),
            "",
            field=key,
        )
    return number


def duration_in(request: Mapping[str, Any], key: str) -> timedelta | None:
    """Read a duration of a second or more; None if it was not given."""
    value = request.get(key)
    if value is None or value == "":
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 12:
        value = int(value)
    try:
        duration = parse_duration(value)
    except ValueError:
        message = _("The {choice} {value} is no duration that can be used.")
        raise Refusal(
            Reason.INVALID,
            message.format(choice=noun(key), value=shown(value)),
            _("Write for example 90m, 8h or 2d."),
            field=key,
        ) from None
    if duration < timedelta(seconds=1):
        message = _("The {choice} has to be at least one second.")
        raise Refusal(Reason.INVALID, message.format(choice=noun(key)), "", field=key)
    return timedelta(seconds=int(duration.total_seconds()))


def instead(choices: Mapping[str, Any]) -> str:
    """Return what could be chosen, by name and title; of many the first ones, and that there are more."""
    names = [
        name if value is None else f"{name} ({value.title})" for name, value in list(choices.items())[:_NAMED]
    ]
    if not names:
        return _("There is nothing of the kind that you may use.")
    if len(names) == 1:
        return _("Choose {name}.").format(name=names[0])
    if len(choices) > len(names):
        message = _("Choose one of {names}, or of {count} more.")
        return message.format(names=", ".join(names), count=len(choices) - len(names))
    return _("Choose one of {names}.").format(names=", ".join(names))


def keys(names: Collection[str]) -> str:
    """Return what the keys of a request are."""
    return _("The choices are {names}.").format(names=", ".join(sorted(names)))


def shown(value: Any) -> str:
    """Quote a foreign value: short, on one line, whatever it holds."""
    text = (
        value
        if isinstance(value, str)
        else str(value)
        if isinstance(value, (int, float)) and abs(value) < 1e15
        else type(value).__name__
    )
    return f"“{_printable(text, 40)}{'…' if len(text) > 40 else ''}”"


def _printable(text: str, length: int) -> str:
    # Blanks that do not break are not printable for Python.
    return "".join(
        character if character.isprintable() or unicodedata.category(character) == "Zs" else "?"
        for character in text[:length]
    )
