"""What a job is searched by: its name, its path, its labels, its id and its error, as one text. Pure functions.

A search finds parts of words, in any letter case and without accents: ``cifar`` finds ``Train-CIFAR10``. Several words
must all be there.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Final

MOST_WORDS: Final = 8
LONGEST: Final = 200
"""Characters of a search."""
_ERROR_CHARACTERS: Final = 400


def fold(text: str) -> str:
    """Return the form in which a text is compared: small letters, no accents, single spaces.

    Each step may make work for the one before it: U+1D54A, a mathematical S, is small only once it is a plain S (Unicode
    Standard, 3.13, compatibility caseless match). So the steps are repeated until nothing changes, which makes folding
    idempotent: what is kept and what is typed meet in one form.
    """
    while (folded := _fold_once(text)) != text:
        text = folded
    return text


def _fold_once(text: str) -> str:
    # Capital letters first instead of `str.casefold`, which JavaScript has not: the labextension (job-search.ts) does the same.
    apart = unicodedata.normalize(
        "NFKD",
        text.upper().lower().replace("\N{GREEK SMALL LETTER FINAL SIGMA}", "\N{GREEK SMALL LETTER SIGMA}"),
    )
    plain = "".join(character for character in apart if not unicodedata.category(character).startswith("M"))
    return " ".join(plain.split())


def words(search: str) -> tuple[str, ...]:
    """Return the words of a search, folded, each once."""
    return tuple(dict.fromkeys(fold(search).split()))


def text_of(
    job_id: str, name: str, path: str, labels: Iterable[str] = (), error: tuple[str, str] | None = None
) -> str:
    """Return the text that a job is searched by.

    Parameters
    ----------
    error
        Name and message of the error that stopped it.
    """
    parts = [job_id, name, path, *labels]
    if error is not None:
        parts.append(f"{error[0]} {error[1][:_ERROR_CHARACTERS]}")
    # One line each: no word is found across two of them.
    return "\n".join(fold(part) for part in parts)
