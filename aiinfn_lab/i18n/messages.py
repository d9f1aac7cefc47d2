"""What was found, as a code and facts, and the sentence that its reader makes of it.

What a check, a kernel or an app has to say is a `Message`: a code of the one table in :mod:`.message_catalogue` and the facts that its
sentence needs. It becomes a sentence where it is shown, and code and facts go over the wire beside it.

Facts are JSON values or other messages. How one is written stands in the sentence: ``{size:bytes}``, ``{files:number}``,
``{names:names}`` for a list of which the first few are shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from aiinfn_hub.contract.coded_messages import CodedMessage

from .formats import bytes_in_words, names_in_words, number
from .language import TRANSLATIONS
from .message_catalogue import CATALOGUE

WAYS: Final[Mapping[str, Callable[[Any], str]]] = {
    "bytes": bytes_in_words,
    "number": number,
    "names": names_in_words,
}
"""How a fact can be written, by the word behind its name in a sentence."""


class Message(CodedMessage):
    """A code and its facts. ``str()`` is its sentence, in the language of whoever reads it now.

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
        """Read a message from JSON. An unknown one is taken as it is, and anything else as text."""
        if not isinstance(value, dict) or not isinstance(value.get("code"), str):
            return cls("text", text=str(value))
        facts = value.get("facts")
        known = facts.items() if isinstance(facts, dict) else ()
        return cls.of(value["code"], {name: _read(fact) for name, fact in known})


def _read(fact: Any) -> Any:
    if isinstance(fact, list):
        return [_read(each) for each in fact]
    return Message.read(fact) if isinstance(fact, dict) else fact
