"""What was found, as a code and facts, and the sentence that its reader makes of it.

What a check, a kernel or an app has to say is a `Message`: a code of the one table in :mod:`.message_catalogue` and the facts that its
sentence needs. It becomes a sentence where it is shown, and code and facts go over the wire beside it.

Facts are JSON values or other messages. How one is written stands in the sentence: ``{size:bytes}``, ``{files:number}``,
``{names:names}`` for a list of which the first few are shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiinfn_hub.contract.templates import NOTHING

from .formats import bytes_in_words, names_in_words, number
from .language import TRANSLATIONS
from .message_catalogue import CATALOGUE


@dataclass(frozen=True, slots=True, init=False)
class Message:
    """A code and its facts. ``str()`` is its sentence, in the language of whoever reads it now.

    Raises
    ------
    ValueError
        If there is no such code, or it needs other facts: a slip of ours. `Message.read` takes everything.
    """

    code: str
    facts: Mapping[str, Any]

    def __init__(self, code: str, /, **facts: Any) -> None:
        known = CATALOGUE.get(code)
        if known is None or known.facts.keys() != facts.keys():
            asked = "none: it is not in the table" if known is None else sorted(known.facts)
            raise ValueError(f"the message {code} has the facts {sorted(facts)}, and needs {asked}")
        object.__setattr__(self, "code", code)
        object.__setattr__(self, "facts", facts)

    @classmethod
    def read(cls, value: Any) -> Message:
        """Read a message from JSON. An unknown one is taken as it is, and anything else as text."""
        if not isinstance(value, dict) or not isinstance(value.get("code"), str):
            return cls("text", text=str(value))
        facts = value.get("facts")
        message = cls.__new__(cls)
        object.__setattr__(message, "code", value["code"])
        object.__setattr__(
            message,
            "facts",
            {name: _read(fact) for name, fact in (facts.items() if isinstance(facts, dict) else ())},
        )
        return message

    def plain_facts(self) -> dict[str, Any]:
        """Return the facts as JSON values."""
        return {name: _as_json(fact) for name, fact in self.facts.items()}

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"code": self.code, "facts": self.plain_facts()}

    def __bool__(self) -> bool:
        return self.code != NOTHING

    def __str__(self) -> str:
        known = CATALOGUE.get(self.code)
        if known is not None:
            try:
                shown = {
                    name: _Shown(WAYS[way](value) if (way := known.facts[name]) else value)
                    for name, value in self.facts.items()
                }
                return known.spoken(self.facts, TRANSLATIONS).format_map(shown)
            except (KeyError, ValueError, TypeError, IndexError):
                pass  # of another version, whose sentence has other facts
        facts = ", ".join(f"{name}={value}" for name, value in self.facts.items())
        return f"{self.code} ({facts})" if facts else self.code

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)


def _as_json(fact: Any) -> Any:
    if isinstance(fact, list):
        return [_as_json(each) for each in fact]
    return fact.as_json() if isinstance(fact, Message) else fact


def _read(fact: Any) -> Any:
    if isinstance(fact, list):
        return [_read(each) for each in fact]
    return Message.read(fact) if isinstance(fact, dict) else fact


class _Shown:
    """A fact that is written already."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __format__(self, spec: str) -> str:
        return str(self._value)


WAYS: Final[Mapping[str, Callable[[Any], str]]] = {
    "bytes": bytes_in_words,
    "number": number,
    "names": names_in_words,
}
"""How a fact can be written, by the word behind its name in a sentence."""
