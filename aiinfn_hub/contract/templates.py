"""The sentence of a code, as the table of messages writes it down; in the hub half and in the Lab half."""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from .translations import Translations

NOTHING: Final = "nothing"
"""The code of what needs no sentence."""


@dataclass(frozen=True, slots=True)
class Template:
    """The English sentence of a code.

    Attributes
    ----------
    plural, count
        The sentence for several, and the fact that says how many.
    """

    code: str
    text: str
    plural: str = ""
    count: str = ""

    @property
    def facts(self) -> Mapping[str, str]:
        """The facts that it needs, each with how it is written."""
        return _facts_of(self)

    def spoken(self, facts: Mapping[str, Any], catalogue: Translations) -> str:
        """Return the sentence in the language that is spoken now, its facts not filled in."""
        if not self.plural:
            return catalogue.gettext(self.text)
        number = facts[self.count]
        return catalogue.ngettext(self.text, self.plural, int(number) if number == int(number) else 2)


def template(code: str, text: str) -> Template:
    """Define the sentence of a code."""
    return Template(code, text)


def counted(code: str, text: str, plural: str, *, count: str) -> Template:
    """Define the sentences of a code for one and for several; ``count`` is the fact that says how many."""
    return Template(code, text, plural, count)


def table(*groups: Iterable[Template]) -> Mapping[str, Template]:
    """Join groups of sentences to the one table.

    Raises
    ------
    ValueError
        If a code is there twice.
    """
    found: dict[str, Template] = {}
    for each in (each for group in groups for each in group):
        if each.code in found:
            raise ValueError(f"the code {each.code} is there twice")
        found[each.code] = each
    return found


@cache
def _facts_of(each: Template) -> Mapping[str, str]:
    parsed = (
        (name, spec or "")
        for text in (each.text, each.plural)
        for _, name, spec, _ in string.Formatter().parse(text)
    )
    found = {name: spec for name, spec in parsed if name is not None}
    return found | ({each.count: found.get(each.count, "")} if each.count else {})
