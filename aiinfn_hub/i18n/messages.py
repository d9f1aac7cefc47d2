"""What happened, as a code and facts, and the sentence that a reader makes of it.

What is kept (states, reasons, history, what happens at a start) and what is known of a request (checks) is a `Message`: a code
of the one table in :mod:`.message_catalogue` and the facts that its sentence needs. It becomes a sentence where it is shown, in
the reader's language and time zone. The database holds the code and the facts, never the sentence.

Facts are JSON values: text, numbers, moments in ISO 8601, durations in seconds, other messages, lists. How a fact is written
stands in the sentence: ``{at:time}``, ``{limit:duration}``, ``{memory:bytes}``, ``{position:ordinal}``, ``{cores:number}``, and
``{told:phrase}`` for a sentence without its full stop. Several are written with commas between them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo

from aiinfn_hub.contract.coded_messages import CodedMessage
from aiinfn_hub.contract.units import bytes_in_words

from .language import TRANSLATIONS, current, ngettext, speaking
from .message_catalogue import CATALOGUE

_zone: ContextVar[tzinfo] = ContextVar("zone", default=UTC)
_OFFSET: Final = re.compile(r"([+-])(\d{2}):?(\d{2})\Z")
_ZONE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,3}\Z")
_LONGEST_ZONE: Final = 64


# The reader's time zone


def current_zone() -> tzinfo:
    """Return the zone in which moments are written now."""
    return _zone.get()


def use_zone(zone: tzinfo) -> None:
    """Write moments in a zone until the end of this task."""
    _zone.set(zone)


@contextmanager
def reading_in(zone: tzinfo) -> Iterator[None]:
    """Write moments in a zone inside a block."""
    token = _zone.set(zone)
    try:
        yield
    finally:
        _zone.reset(token)


def zone_named(name: str) -> tzinfo:
    """Return the zone of a name such as ``Europe/Rome`` or an offset such as ``+02:00``; UTC if there is none."""
    if found := _OFFSET.match(name):
        offset = timedelta(hours=int(found[2]), minutes=int(found[3]))
        return timezone(-offset if found[1] == "-" else offset) if offset < timedelta(hours=24) else UTC
    if len(name) > _LONGEST_ZONE or not _ZONE.match(name):
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):  # there is no such zone, or its name is one of a folder
        return UTC


def preferred_zone(prefer: str) -> tzinfo:
    """Return the zone that a ``Prefer`` header asks for (RFC 7240): ``Prefer: timezone=Europe/Rome``."""
    for each in prefer.split(","):
        name, _, value = each.partition(";")[0].partition("=")
        if name.strip().lower() == "timezone":
            return zone_named(value.strip().strip('"'))
    return UTC


# Facts


def duration_in_words(seconds: float) -> str:
    """Write a duration to be read: ``1 hour 30 minutes``."""
    left = round(seconds)
    parts = []
    for size, words in (
        (86400, _days),
        (3600, _hours),
        (60, _minutes),
        (1, _seconds),
    ):
        amount, left = divmod(left, size)
        if amount:
            parts.append(words(amount).format(count=amount))
    return " ".join(parts) or _seconds(0).format(count=0)


def _days(count: int) -> str:
    return ngettext("{count} day", "{count} days", count)


def _hours(count: int) -> str:
    return ngettext("{count} hour", "{count} hours", count)


def _minutes(count: int) -> str:
    return ngettext("{count} minute", "{count} minutes", count)


def _seconds(count: int) -> str:
    return ngettext("{count} second", "{count} seconds", count)


def clock_time(at: datetime) -> str:
    """Write a time of day as the reader's clock shows it."""
    return f"{at.astimezone(_zone.get()):%H:%M %Z}"


def ordinal(number: int) -> str:
    """Write a number as 1st, 2nd, 3rd, 4th, 11th, 21st."""
    if current() != "en":
        return f"{number}º"
    suffix = "th" if number % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


WAYS: Final[Mapping[str, Callable[[Any], str]]] = {
    "time": lambda value: clock_time(datetime.fromisoformat(value)),
    "duration": duration_in_words,
    "bytes": bytes_in_words,
    "ordinal": ordinal,
    "number": lambda value: f"{value:g}",
    "phrase": lambda value: str(value).removesuffix("."),
}
"""How a fact can be written, by the word behind its name in a sentence."""


class Message(CodedMessage):
    """A code and its facts. ``str()`` is its sentence, in the language and zone of whoever reads it now.

    Raises
    ------
    ValueError
        If there is no such code, or it needs other facts: a slip of ours. `Message.read` takes everything.
    """

    __slots__ = ()
    catalogue = CATALOGUE
    translations = TRANSLATIONS
    ways = WAYS

    @classmethod
    def read(cls, value: Any) -> Message:
        """Read a message back from JSON. One of a newer platform is taken as it is, and anything else as text."""
        if not _is_message(value):
            return cls(
                "text", text=value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            )
        return cls.of(value["code"], {name: _read_fact(fact) for name, fact in value["facts"].items()})

    @classmethod
    def parse(cls, text: str) -> Message:
        """Read a message from the text of its JSON; see `read`."""
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        return cls.read(value)

    def as_text(self) -> str:
        """Return its JSON as text, the same for the same message."""
        return json.dumps(self.as_json(), sort_keys=True, ensure_ascii=False, separators=(",", ":"))

    def __hash__(self) -> int:
        return hash(self.as_text())


def render(message: Message, language: str | None = None, zone: tzinfo | None = None) -> str:
    """Return the sentence of a message; in the language and the zone of the request, unless others are given."""
    with speaking(language or current()), reading_in(zone or _zone.get()):
        return str(message)


def _read_fact(fact: Any) -> Any:
    if isinstance(fact, list):
        return [_read_fact(each) for each in fact]
    return Message.read(fact) if _is_message(fact) else fact


def _is_message(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() == {"code", "facts"}
        and isinstance(value["code"], str)
        and isinstance(value["facts"], dict)
    )
