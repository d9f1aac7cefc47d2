"""Language and time zone of the terminal, in which the platform's sentences are shown."""

from __future__ import annotations

import os
from datetime import datetime
from typing import TypedDict
from zoneinfo import ZoneInfo

from aiinfn_hub.contract.languages import ENGLISH, preferred


class Reader(TypedDict):
    """What `Client` takes of whoever reads."""

    language: str
    zone: str


def language() -> str:
    """Return the language of the suite's own that the terminal asks for."""
    words = next(filter(None, map(os.environ.get, ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"))), "")
    # English, in which most do, needs no look at locales.
    if words.partition(".")[0].partition("_")[0] in {"", "C", "POSIX", ENGLISH}:
        return ENGLISH
    return preferred(reader()["language"])


def reader() -> Reader:
    """Return them as the environment says: ``LANGUAGE``, ``LC_ALL``, ``LC_MESSAGES`` or ``LANG``, and ``TZ`` or the machine's zone."""
    from babel.core import default_locale  # noqa: PLC0415 - completion and help do without
    from babel.localtime import get_localzone  # noqa: PLC0415

    language = (default_locale("LC_MESSAGES") or "").partition("_POSIX")[0].replace("_", "-")
    try:
        zone = get_localzone()
    except (LookupError, OSError, ValueError):  # no zone of that name
        return Reader(language=language, zone="")
    # A zone without a name has the offset of now.
    named = zone.key if isinstance(zone, ZoneInfo) else datetime.now(zone).strftime("%z")
    return Reader(language=language, zone=named)
