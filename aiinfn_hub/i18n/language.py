"""The language of the person who is answered by the hub or vkd, and their sentences; see `aiinfn_hub.contract.translations`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiinfn_hub.contract.translations import DOMAIN, Translations, current, marked, speaking, use

__all__ = [
    "COOKIE", "DOMAIN", "FOLDER", "TRANSLATIONS", "Sentence", "Text", "current", "gettext", "marked", "ngettext", "speaking", "use",
]  # fmt: skip

FOLDER: Final = Path(__file__).with_name("locale")
TRANSLATIONS: Final = Translations(FOLDER)
COOKIE: Final = "aiinfn-language"
"""Holds what somebody chose on a page; it goes before what the browser asks for."""

gettext = TRANSLATIONS.gettext
ngettext = TRANSLATIONS.ngettext


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
