"""Sentences in the code, as `make messages` finds them, and their catalogues."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po

ROOT = Path(__file__).parents[1]
KEYWORDS = DEFAULT_KEYWORDS | {"marked": None, "Sentence": None, "template": (2,), "counted": (2, 3)}
"""As in the Makefile, of both halves in Python."""


@cache
def sentences(folder: Path) -> dict[str | tuple[str, ...], str]:
    """Return all that the Python code below a folder says, each with a place."""
    with (ROOT / "babel.cfg").open() as mapping:
        methods, options = parse_mapping_cfg(mapping)
    found = extract_from_dir(folder, methods, options, KEYWORDS)
    return {message: f"{path}:{line}" for path, line, message, _comments, _context in found if message}


@cache
def catalogue(folder: Path, domain: str, code: str) -> Catalog:
    """Return the catalogue of a language."""
    with (folder / code / "LC_MESSAGES" / f"{domain}.po").open("rb") as source:
        return read_po(source, locale=code)


def entries(found: Catalog) -> list[Message]:
    """Return the entries of a catalogue, without its header."""
    return [message for message in found if message.id]


def forms(text: Any) -> list[str]:
    """Return a sentence, or those for one and for several."""
    return [text] if isinstance(text, str) else list(text)
