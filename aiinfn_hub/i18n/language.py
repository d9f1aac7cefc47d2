"""The language of the person who is answered: English, or one of the catalogues in ``locale/``.

A sentence is written in English where it arises, through :func:`gettext`, and looked up at that moment: the language
belongs to the request, so nothing is translated at import time. Catalogues are gettext's ``.po`` files, read when
they are first needed; there is nothing to compile. A sentence that a catalogue lacks stays English.
"""

from __future__ import annotations

import gettext as _gettext
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from aiinfn_hub.contract.languages import ENGLISH, LANGUAGES

DOMAIN: Final = "aiinfn"
FOLDER: Final = Path(__file__).with_name("locale")
COOKIE: Final = "aiinfn-language"
"""Holds what somebody chose on a page; it goes before what the browser asks for."""

_language: ContextVar[str] = ContextVar("language", default=ENGLISH)


def current() -> str:
    """Return the code of the language that is spoken now."""
    return _language.get()


def use(language: str) -> None:
    """Speak a language until the end of this task; an unknown one is English."""
    _language.set(language if language in LANGUAGES else ENGLISH)


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Speak a language inside a block."""
    token = _language.set(language if language in LANGUAGES else ENGLISH)
    try:
        yield
    finally:
        _language.reset(token)


def gettext(message: str) -> str:
    """Return a sentence in the language that is spoken now."""
    # The empty message is the catalogue's own header.
    return _catalogue(current()).gettext(message) if message else ""


def ngettext(singular: str, plural: str, number: int) -> str:
    """Return the sentence for a number of things."""
    return _catalogue(current()).ngettext(singular, plural, number)


def marked(message: str) -> str:
    """Mark a sentence of a table, which stays English there: it goes through `gettext` where it is said."""
    return message


@dataclass(frozen=True, slots=True, init=False)
class Sentence:
    """A sentence that is kept, and read by somebody else: ``str()`` looks it up in the reader's language.

    Attributes
    ----------
    message
        In English, with placeholders.
    facts
        What fills them; sentences among them are looked up with it.
    """

    message: str
    facts: Mapping[str, Any]

    def __init__(self, message: str, /, **facts: Any) -> None:
        object.__setattr__(self, "message", message)
        object.__setattr__(self, "facts", facts)

    def __str__(self) -> str:
        return gettext(self.message).format_map(self.facts) if self.message else ""

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)


Text = str | Sentence
"""What people read, perhaps later."""


@cache
def _catalogue(language: str) -> _gettext.NullTranslations:
    if language == ENGLISH:
        return _gettext.NullTranslations()
    with (FOLDER / language / "LC_MESSAGES" / f"{DOMAIN}.po").open("rb") as source:
        catalogue = read_po(source, locale=language)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return _gettext.GNUTranslations(compiled)
