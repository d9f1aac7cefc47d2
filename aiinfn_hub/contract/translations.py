"""Catalogues of sentences, and the language of the person who is answered: English, or one of a catalogue.

A sentence is written in English where it arises and looked up at that moment: the language belongs to the request, so nothing
is translated at import time. Catalogues are gettext's ``.po`` files, read when they are first needed; there is nothing to
compile. A sentence that a catalogue lacks stays English.
"""

from __future__ import annotations

import gettext as _gettext
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Final

from .languages import ENGLISH, LANGUAGES

DOMAIN: Final = "aiinfn"

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


def marked(message: str) -> str:
    """Mark a sentence of a table, which stays English there: it goes through `gettext` where it is said."""
    return message


class Translations:
    """The sentences of one half of the suite.

    Parameters
    ----------
    folder
        Has ``LANGUAGE/LC_MESSAGES/aiinfn.po`` for each language but English.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def gettext(self, message: str) -> str:
        """Return a sentence in the language that is spoken now."""
        # The empty message is the catalogue's own header.
        return _catalogue(self.folder, current()).gettext(message) if message else ""

    def ngettext(self, singular: str, plural: str, number: int) -> str:
        """Return the sentence for a number of things."""
        return _catalogue(self.folder, current()).ngettext(singular, plural, number)


@cache
def _catalogue(folder: Path, language: str) -> _gettext.NullTranslations:
    if language == ENGLISH:
        return _gettext.NullTranslations()
    # Loaded only here: a session's server and a command in English do without.
    from babel.messages.mofile import write_mo  # noqa: PLC0415
    from babel.messages.pofile import read_po  # noqa: PLC0415

    with (folder / language / "LC_MESSAGES" / f"{DOMAIN}.po").open("rb") as source:
        catalogue = read_po(source, locale=language)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return _gettext.GNUTranslations(compiled)
