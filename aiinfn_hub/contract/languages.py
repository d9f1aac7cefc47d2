"""The languages that the suite speaks, and which of them somebody reads."""

from __future__ import annotations

from typing import Final

ENGLISH: Final = "en"
LANGUAGES: Final = {ENGLISH: "English", "it": "Italiano"}
"""The languages there are, each with its name in itself."""


def preferred(accept: str, chosen: str | None = None) -> str:
    """Return the language to speak to somebody.

    Parameters
    ----------
    accept
        The browser's ``Accept-Language`` header (RFC 9110, 12.5.4); it may hold anything.
    chosen
        What this person chose, if they did.
    """
    if chosen in LANGUAGES:
        return chosen
    from babel.core import negotiate_locale  # noqa: PLC0415 - not needed until somebody is answered

    return negotiate_locale(_ranked(accept), list(LANGUAGES), sep="-") or ENGLISH


def _ranked(accept: str) -> list[str]:
    found: list[tuple[float, str]] = []
    for part in accept.split(","):
        name, _, parameter = part.partition(";")
        _, _, quality = parameter.partition("=")
        try:
            weight = float(quality) if quality else 1.0
        except ValueError:
            continue
        if name.strip() and weight > 0:
            found.append((weight, name.strip().lower()))  # names of languages have no case: RFC 5646, 2.1.1
    # The sort is stable: of two with one weight the first that was named goes first.
    return [name for _, name in sorted(found, key=lambda one: -one[0])]
