"""The sentences of the Lab half in the language of the person who is answered; see `aiinfn_hub.contract.translations`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from aiinfn_hub.contract.translations import DOMAIN, Translations, current, marked, speaking, use

__all__ = ["DOMAIN", "FOLDER", "TRANSLATIONS", "current", "gettext", "marked", "ngettext", "speaking", "use"]

FOLDER: Final = Path(__file__).with_name("locale")
TRANSLATIONS: Final = Translations(FOLDER)

gettext = TRANSLATIONS.gettext
ngettext = TRANSLATIONS.ngettext
