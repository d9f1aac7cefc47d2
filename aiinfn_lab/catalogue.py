"""Texts of settings, menus and toolbars in other languages.

The labextension's catalogues are gettext's ``.po`` files in ``locale/``. JupyterLab's page finds them by the entry point
``jupyterlab.locale``, as JSON, which is made of them when the package is built (``hatch_build.py``). What stands in a
schema, however, its server translates before the page gets it, and looks for that in language packs only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import IO, Any, Final

from jupyterlab_server import translation_utils

DOMAIN: Final = "aiinfn"
"""As in the labextension's ``tokens.ts`` and in its schema."""
FOLDER: Final = Path(__file__).with_name("locale")
CONTEXT: Final = "\x04"
"""Stands between a context and its message, as in gettext's own files."""


def extract_schema(
    source: IO[bytes], keywords: Mapping[str, Any], comment_tags: Any, options: Any
) -> Iterator[tuple[int, str, tuple[str, str], list[str]]]:
    """Yield the texts of a settings schema to Babel: those that JupyterLab's server translates, in its contexts."""
    del keywords, comment_tags, options
    found: list[tuple[str, str]] = []

    class Collector:
        def pgettext(self, context: str, message: str) -> str:
            found.append((context, message))
            return message

    # The server's own walk, so that nothing is forgotten and nothing more is asked for.
    translation_utils.translator._translate_schema_strings(Collector(), json.load(source))  # noqa: SLF001
    for context, message in found:
        yield 1, "pgettext", (context, message), []


class SchemaTranslations(translation_utils.TranslationBundle):
    """Translates texts of the settings schema out of this package's own catalogue."""

    def update_locale(self, locale_: str) -> None:
        """Speak another language."""
        self._locale = locale_
        self._texts = _texts(locale_)

    def pgettext(self, msgctxt: str, msgid: str) -> str:
        """Translate a text in its context; what the catalogue lacks stays English."""
        found = self._texts.get(f"{msgctxt}{CONTEXT}{msgid}")
        return found[0] if found else msgid


def translate_schema() -> None:
    """Let JupyterLab's server translate the settings of this extension."""
    translator = translation_utils.translator
    translator._TRANSLATORS[DOMAIN] = SchemaTranslations(DOMAIN, translator._LOCALE)  # noqa: SLF001


def chosen_locale() -> str:
    """Return what somebody chose in JupyterLab, such as ``it-IT``; without a choice it is that of the server's environment."""
    return str(translation_utils.translator._LOCALE).replace("_", "-")  # noqa: SLF001


@cache
def _texts(locale: str) -> Mapping[str, list[str]]:
    path = FOLDER / locale / "LC_MESSAGES" / f"{DOMAIN}.json"
    # A locale comes from a person's settings.
    if locale not in {each.name for each in FOLDER.iterdir()} or not path.is_file():
        return {}
    texts: dict[str, list[str]] = json.loads(path.read_text(encoding="utf-8"))
    return texts
