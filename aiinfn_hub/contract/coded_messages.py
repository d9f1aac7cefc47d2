"""What happened or was found, as a code and facts. Each half of the suite has a class of its own on this, with its sentences."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Self

from .templates import NOTHING, Template
from .translations import Translations


@dataclass(frozen=True, slots=True, init=False)
class CodedMessage:
    """A code and its facts. ``str()`` is its sentence, in the language of whoever reads it now.

    Facts are JSON values or other messages. A sentence says behind the name of a fact how it is written, if not as it is.

    Attributes
    ----------
    catalogue
        The sentence of each code.
    translations
        The sentences in other languages.
    ways
        How a fact can be written, by the word behind its name in a sentence.

    Raises
    ------
    ValueError
        If there is no such code, or it needs other facts: a slip of ours. `of` takes everything.
    """

    catalogue: ClassVar[Mapping[str, Template]]
    translations: ClassVar[Translations]
    ways: ClassVar[Mapping[str, Callable[[Any], str]]]

    code: str
    facts: Mapping[str, Any]

    def __init__(self, code: str, /, **facts: Any) -> None:
        known = self.catalogue.get(code)
        if known is None or known.facts.keys() != facts.keys():
            asked = "none: it is not in the table" if known is None else sorted(known.facts)
            raise ValueError(f"the message {code} has the facts {sorted(facts)}, and needs {asked}")
        _fill(self, code, {name: _kept(value) for name, value in facts.items()})

    @classmethod
    def of(cls, code: str, facts: Mapping[str, Any]) -> Self:
        """Return a message that may be of another version: its code and its facts are taken as they are."""
        message = cls.__new__(cls)
        _fill(message, code, facts)
        return message

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"code": self.code, "facts": self.plain_facts()}

    def plain_facts(self) -> dict[str, Any]:
        """Return the facts as JSON values."""
        return {name: _json_fact(fact) for name, fact in self.facts.items()}

    def __bool__(self) -> bool:
        return self.code != NOTHING

    def __str__(self) -> str:
        known = self.catalogue.get(self.code)
        if known is None:
            return self._unknown()
        try:
            shown = {
                name: _Fact(value, self.ways, way) if (way := known.facts.get(name)) else _shown(value)
                for name, value in self.facts.items()
            }
            return known.spoken(self.facts, self.translations).format_map(shown)
        except (KeyError, ValueError, TypeError, IndexError):
            # Kept by another version, whose sentence has other facts.
            return self._unknown()

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def _unknown(self) -> str:
        facts = ", ".join(f"{name}={_shown(value)}" for name, value in self.facts.items())
        return f"{self.code} ({facts})" if facts else self.code


def _fill(message: CodedMessage, code: str, facts: Mapping[str, Any]) -> None:
    object.__setattr__(message, "code", code)
    object.__setattr__(message, "facts", facts)


class _Fact:
    """A fact that a sentence writes in a way of its own."""

    def __init__(self, value: Any, ways: Mapping[str, Callable[[Any], str]], way: str) -> None:
        self._value, self._ways, self._way = value, ways, way

    def __format__(self, spec: str) -> str:
        return self._ways[spec or self._way](self._value)


def _shown(value: Any) -> str:
    return ", ".join(_shown(each) for each in value) if isinstance(value, list) else str(value)


def _kept(value: Any) -> Any:
    """Return a fact as a JSON value or a message."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    return list(value) if isinstance(value, tuple) else value


def _json_fact(fact: Any) -> Any:
    if isinstance(fact, list):
        return [_json_fact(each) for each in fact]
    return fact.as_json() if isinstance(fact, CodedMessage) else fact
