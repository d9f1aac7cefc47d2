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
    """Bring a text into the form in which it is compared: small letters, no accents, single spaces."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(character for character in apart if not unicodedata.combining(character))
    return " ".join(plain.split())


def words(search: str) -> tuple[str, ...]:
    """Give the words of a search, folded, each once."""
    return tuple(dict.fromkeys(fold(search).split()))


def text_of(
    job_id: str, name: str, path: str, labels: Iterable[str] = (), error: tuple[str, str] | None = None
) -> str:
    """Give the text that a job is searched by.

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
