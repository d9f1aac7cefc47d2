"""Which characters names may have: those of people, groups, jobs and labels. Pure functions on text.

A character that is not seen, or that changes the order in which others are seen, makes two different names look alike.
"""

from __future__ import annotations

import unicodedata
from typing import Final

_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""General categories of Unicode: controls (NUL among them), formats (bidirectional controls, zero-width characters, tags),
surrogates, and line and paragraph separators."""
_BLANK: Final = frozenset(
    "\N{COMBINING GRAPHEME JOINER}\N{HANGUL CHOSEONG FILLER}\N{HANGUL JUNGSEONG FILLER}\N{HANGUL FILLER}"
    "\N{HALFWIDTH HANGUL FILLER}\N{KHMER VOWEL INHERENT AQ}\N{KHMER VOWEL INHERENT AA}\N{BRAILLE PATTERN BLANK}"
    "\N{MONGOLIAN FREE VARIATION SELECTOR ONE}\N{MONGOLIAN FREE VARIATION SELECTOR TWO}"
    "\N{MONGOLIAN FREE VARIATION SELECTOR THREE}\u180f"
)
"""Nothing is seen of these either, although Unicode counts them as letters, marks or symbols."""
_SELECTORS: Final = ((0xFE00, 0xFE0F), (0xE0100, 0xE01EF))
"""First and last of the variation selectors."""


def forbidden(text: str) -> str:
    """Return the first character of a text that no name may have; empty if there is none."""
    return next((character for character in text if _is_forbidden(character)), "")


def spelled(character: str) -> str:
    """Return how a character that is not seen is named in a sentence, such as ``U+200B ZERO WIDTH SPACE``."""
    name = unicodedata.name(character, "")
    return f"U+{ord(character):04X}{' ' if name else ''}{name}"


def shown(text: str, length: int = 60) -> str:
    """Return a text as it can stand in a sentence or in a log: what must not be in a name is a question mark."""
    return "".join("?" if _is_forbidden(character) else character for character in text[:length])


def compared(name: str) -> str:
    """Return the form in which two names are compared: they are taken for each other if it is the same.

    It is Unicode's compatibility form without letter case (NFKC and casefold), so that the Kelvin sign is a ``k``, a full-width
    letter the plain one, and ``ß`` two letters ``s``. Each step can make work for the other one: both are repeated until nothing
    changes.
    """
    before, after = "", name
    while before != after:
        before, after = after, unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", after).casefold())
    return after


def _is_forbidden(character: str) -> bool:
    return (
        unicodedata.category(character) in _INVISIBLE
        or character in _BLANK
        or any(first <= ord(character) <= last for first, last in _SELECTORS)
    )
