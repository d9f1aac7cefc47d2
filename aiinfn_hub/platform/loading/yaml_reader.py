"""One YAML file as plain data, with the line of every key and what is written there.

YAML 1.1 reads some plain words as something that nobody meant by them: ``12:30`` is 750, ``0755`` is 493, ``no`` is false.
Where two readings are possible, the file is refused with what to write instead; keys are always text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

Key = tuple[str | int, ...]

_DEEPEST: Final = 30
_MOST_KEYS: Final = 200_000
"""Bounds that no real file reaches, for one that refers to itself or grows by aliases."""
_TAG: Final = "tag:yaml.org,2002:"
_CLOCK: Final = re.compile(r"[-+]?(\d+):(\d+)(?::(\d+))?(\.\d*)?\Z")
_OCTAL: Final = re.compile(r"[-+]?0[0-7_]+\Z")
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cs"})
_JOINERS: Final = "\u200c\u200d"
"""Zero-width joiners, without which some scripts and emoji cannot be written."""


class UnreadableError(Exception):
    """The file as a whole cannot be used; the message is a sentence."""

    def __init__(self, line: int | None, message: str) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong at one key."""

    key: Key
    line: int
    message: str


@dataclass(frozen=True, slots=True)
class Written:
    """Where a key or a list item stands, and what is written there, of a value that is no text.

    ``written_as`` is the key of an older form under which the file has it; empty for others.
    """

    line: int
    text: str = ""
    written_as: Key = ()


@dataclass
class Document:
    """What a file says.

    Attributes
    ----------
    data
        As plain data; all keys are text.
    places
        Where each key and list item stands.
    findings
        What is wrong whatever the values are for.
    """

    data: Any = None
    places: dict[Key, Written] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


class _Loader(yaml.SafeLoader):
    """Leaves dates as text: the model reads them, and says what is wrong with one at its own place."""


_Loader.yaml_implicit_resolvers = {
    start: [(tag, form) for tag, form in resolvers if tag != f"{_TAG}timestamp"]
    for start, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def parse(text: str) -> Document:
    """Parse the text of a file.

    Raises
    ------
    UnreadableError
        If it is not YAML, or of a kind that no platform file is.
    """
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1 if isinstance(error.position, int) else None
        code = error.character if isinstance(error.character, int) else ord(str(error.character)[:1] or "?")
        raise UnreadableError(
            line, f"it holds the character U+{code:04X}, which YAML does not allow"
        ) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        hint = "" if isinstance(error, yaml.composer.ComposerError) else " (is the indentation right?)"
        problem = error.problem or "it is not YAML"
        if not hint and error.context:
            # The one is no sentence without the other: "but found another document".
            problem = f"{error.context}, {problem}"
        raise UnreadableError(mark.line + 1 if mark else None, f"{problem}{hint}") from None
    except (yaml.YAMLError, ValueError, OverflowError):
        raise UnreadableError(None, "it is not YAML (is the indentation right?)") from None
    except RecursionError:
        raise UnreadableError(None, "this is nested too deeply, or refers to itself") from None
    if node is None:
        raise UnreadableError(None, "the file is empty")
    return _Builder(node).document


class _Builder:
    """Builds plain data out of YAML's nodes."""

    def __init__(self, node: yaml.Node) -> None:
        self.document = Document()
        self._constructor = yaml.constructor.SafeConstructor()
        self._keys = 0
        self.document.data = self._value(node, ())

    def _find(self, key: Key, node: yaml.Node, message: str) -> None:
        self.document.findings.append(Finding(key, node.start_mark.line + 1, message))

    def _value(self, node: yaml.Node, key: Key) -> Any:
        if len(key) > _DEEPEST:
            raise UnreadableError(node.start_mark.line + 1, "this is nested too deeply, or refers to itself")
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
            return self._mapping(node, key)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
            found = []
            for index, each in enumerate(node.value):
                inner = (*key, index)
                self._count(each)
                self.document.places[inner] = Written(each.start_mark.line + 1)
                found.append(self._value(each, inner))
            return found
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, key)
        self._find(key, node, f"the tag {node.tag.removeprefix(_TAG)} has no meaning in a platform file")
        return None

    def _count(self, node: yaml.Node) -> None:
        self._keys += 1
        if self._keys > _MOST_KEYS:
            raise UnreadableError(node.start_mark.line + 1, "this is nested too deeply, or refers to itself")

    def _mapping(self, node: yaml.MappingNode, key: Key) -> dict[str, Any]:
        found: dict[str, Any] = {}
        merged: list[yaml.Node] = []
        own: dict[str, int] = {}
        for name, value in node.value:
            self._count(name)
            if name.tag == f"{_TAG}merge":
                merged += value.value if isinstance(value, yaml.SequenceNode) else [value]
                continue
            if not isinstance(name, yaml.ScalarNode):
                self._find(key, name, "a key must be text")
                continue
            text = self._visible(str(name.value), key, name)
            inner = (*key, text)
            line = name.start_mark.line + 1
            if text in own:
                self._find(inner, name, f"this key stands twice; first on line {own[text]}")
            elif name.tag != f"{_TAG}str":
                self._find(inner, name, _no_name(name))
            own[text] = line
            self.document.places[inner] = Written(line)
            found[text] = self._value(value, inner)
        for each in merged:
            self._merge(each, key, found)
        return found

    def _merge(self, node: yaml.Node, key: Key, found: dict[str, Any]) -> None:
        """Add what ``<<`` names, below what is there already."""
        if not isinstance(node, yaml.MappingNode):
            self._find((*key, "<<"), node, "a mapping, or a list of mappings, is expected after <<")
            return
        if len(key) > _DEEPEST:
            raise UnreadableError(node.start_mark.line + 1, "this is nested too deeply, or refers to itself")
        whole, self.document = self.document, Document()
        try:
            base = self._mapping(node, (*key, "<<"))
        finally:
            part, self.document = self.document, whole
        depth = len(key)

        def moved(inner: Key) -> Key:
            return (*key, *inner[depth + 1 :])

        fresh = {name for name in base if name not in found}
        found.update({name: base[name] for name in fresh})
        self.document.places.update(
            {moved(each): place for each, place in part.places.items() if each[depth + 1] in fresh}
        )
        # What is wrong below an anchor is found where the anchor stands, except in a key that is used nowhere else.
        self.document.findings += [
            Finding(moved(each.key), each.line, each.message)
            for each in part.findings
            if len(each.key) > depth + 1 and each.key[depth + 1] in fresh
        ]

    def _scalar(self, node: yaml.ScalarNode, key: Key) -> Any:
        text = self._visible(str(node.value), key, node)
        kind = node.tag.removeprefix(_TAG)
        if kind == "str":
            return text
        if key in self.document.places:
            self.document.places[key] = Written(self.document.places[key].line, text)
        if kind in {"int", "float"} and (message := _two_readings(text)):
            self._find(key, node, message)
            return text
        make: Callable[[Any], Any] | None = {
            "int": self._constructor.construct_yaml_int,
            "float": self._constructor.construct_yaml_float,
            "bool": self._constructor.construct_yaml_bool,
            "null": self._constructor.construct_yaml_null,
            "timestamp": lambda node: text,
        }.get(kind)
        if make is None:
            self._find(key, node, f"the tag {node.tag.removeprefix(_TAG)} has no meaning in a platform file")
            return text
        try:
            return make(node)
        except (ValueError, OverflowError, KeyError, IndexError, yaml.YAMLError):
            self._find(key, node, f"{text[:40]} cannot be read as a value")
            return text

    def _visible(self, text: str, key: Key, node: yaml.Node) -> str:
        """Return a text without what cannot be seen or encoded, and report the first of it."""
        hidden = [each for each in text if _is_hidden(each)]
        if hidden:
            self._find(key, node, f"it holds U+{ord(hidden[0]):04X}, which cannot be seen; write it without")
        return "".join(each for each in text if not _is_hidden(each)) if hidden else text


def _is_hidden(character: str) -> bool:
    return (
        character not in "\n\t"
        and character not in _JOINERS
        and unicodedata.category(character) in _INVISIBLE
    )


def quoted(text: str) -> str:
    """Write a text in quotes as in YAML, shortened."""
    inner = text[:60].replace("\\", "\\\\").replace('"', '\\"')
    return f'"{inner}"'


def _no_name(node: yaml.ScalarNode) -> str:
    text, tag = str(node.value), node.tag.removeprefix(_TAG)
    kind = {"int": "a number", "float": "a number", "bool": truth(text), "null": "nothing"}.get(
        tag, "no text"
    )
    return (
        f"YAML reads {text[:60] or 'this'} as {kind}; where a name is meant, put it in quotes: {quoted(text)}"
    )


def truth(text: str) -> str:
    """Return how YAML 1.1 reads a truth value."""
    return "true" if text.lower() in {"true", "yes", "on"} else "false"


def _two_readings(text: str) -> str | None:
    """Return what to write instead of a numeral that people read in another way than YAML 1.1."""
    if clock := _CLOCK.match(text):
        first, second, third = clock[1].lstrip("0") or "0", clock[2].lstrip("0") or "0", clock[3]
        parts = [(first, "h"), (second, "m"), ((third or "0").lstrip("0") or "0", "s")]
        meant = "".join(f"{number}{unit}" for number, unit in parts if number != "0") or "0s"
        return (
            f"YAML reads {text[:40]} as a number to the base of 60; write {meant} if a time is meant, "
            f"or put it in quotes if it is text: {quoted(text)}"
        )
    if ":" in text:
        return f"YAML reads {text[:40]} as a number to the base of 60; put it in quotes if it is text: {quoted(text)}"
    if _OCTAL.match(text):
        plain = text.lstrip("+-").replace("_", "").lstrip("0") or "0"
        return (
            f"YAML reads {text[:40]} as a number to the base of 8; write {plain[:40]} if that is meant, "
            f"{int(plain[:40], 8)} if base 8 is, or put it in quotes if it is text: {quoted(text)}"
        )
    return None
