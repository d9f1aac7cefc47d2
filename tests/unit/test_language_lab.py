"""The labextension's sentences: found by the extraction, all of them translated, and none forgotten."""

from __future__ import annotations

import json
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_keywords, parse_mapping_cfg

import hatch_build
from aiinfn_lab import catalogue as lab
from tests import catalogues
from tests.catalogues import forms

ROOT = Path(__file__).parents[2]
LABEXTENSION = ROOT / "labextension"
CODES = sorted(path.name for path in lab.FOLDER.iterdir())
KEYWORDS = parse_keywords(["__", "_n:1,2", "_p:1c,2", "_np:1c,2,3", "pgettext:1c,2"])
"""As in the Makefile."""
Key = tuple[str | None, str | tuple[str, ...]]


@cache
def found() -> list[tuple[str, Key]]:
    """Give all that the code says, each with its file, as `make messages` finds it."""
    with (LABEXTENSION / "babel.cfg").open() as mapping:
        methods, options = parse_mapping_cfg(mapping)
    places = extract_from_dir(LABEXTENSION, methods, options, KEYWORDS)
    return [(path, (context, message)) for path, _line, message, _comments, context in places]


def sentences() -> dict[Key, str]:
    return {key: path for path, key in found()}


def catalogue(code: str) -> Catalog:
    return catalogues.catalogue(lab.FOLDER, lab.DOMAIN, code)


def entries(code: str) -> list[Message]:
    return catalogues.entries(catalogue(code))


def key(message: Message) -> Key:
    return message.context, message.id  # type: ignore[return-value]


def placeholders(text: str) -> set[str]:
    return set(re.findall(r"%\d", text))


def test_there_is_italian() -> None:
    assert "it_IT" in CODES


def test_every_call_in_the_code_is_found() -> None:
    sources = [*LABEXTENSION.glob("src/**/*.ts"), *LABEXTENSION.glob("src/**/*.tsx")]
    calls = {
        str(path.relative_to(LABEXTENSION)): len(re.findall(r"\.(?:__|_n|_p|_np)\(", path.read_text()))
        for path in sources
        if "__tests__" not in path.parts
    }
    said = Counter(path for path, _key in found() if path.startswith("src/"))
    assert {path: count for path, count in calls.items() if count} == said


def test_no_sentence_is_said_both_alone_and_as_a_plural() -> None:
    # JupyterLab keeps them by the singular, and would translate neither.
    alone = {(context, text) for context, text in sentences() if isinstance(text, str)}
    assert not [
        text for context, text in sentences() if not isinstance(text, str) and (context, text[0]) in alone
    ]


@pytest.mark.parametrize("code", CODES)
def test_every_sentence_is_in_the_catalogue(code: str) -> None:
    known = {key(message) for message in entries(code)}
    missing = [f"{place}: {text!r}" for text, place in sentences().items() if text not in known]
    assert not missing, "run `make messages`:\n" + "\n".join(missing)


@pytest.mark.parametrize("code", CODES)
def test_every_sentence_is_translated(code: str) -> None:
    lacking = [
        m.id for m in entries(code) if not all(forms(m.string)) or len(forms(m.string)) != len(forms(m.id))
    ]
    assert not lacking
    assert not [message.id for message in entries(code) if message.fuzzy]


@pytest.mark.parametrize("code", CODES)
def test_the_catalogue_has_nothing_that_is_not_said(code: str) -> None:
    stale = [message.id for message in entries(code) if key(message) not in sentences()]
    assert not stale, "run `make messages`"
    assert not catalogue(code).obsolete


@pytest.mark.parametrize("code", CODES)
def test_a_translation_is_filled_in_with_the_same_facts(code: str) -> None:
    wrong = []
    for message in entries(code):
        # Of a singular with “one” for the number, the plural knows more.
        allowed = set().union(*(placeholders(form) for form in forms(message.id)))
        for english, other in zip(forms(message.id), forms(message.string), strict=True):
            if placeholders(other) - allowed or placeholders(english) - placeholders(other):
                wrong.append(f"{english!r} -> {other!r}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("code", CODES)
def test_a_translation_ends_alike(code: str) -> None:
    for message in entries(code):
        for english, other in zip(forms(message.id), forms(message.string), strict=True):
            for end in ("…", "?", "."):
                assert english.endswith(end) == other.endswith(end), f"{english!r} -> {other!r}"
            assert other == other.strip(), other
            assert "  " not in other, other


@pytest.mark.parametrize("code", CODES)
def test_jupyterlab_gets_the_whole_catalogue(code: str) -> None:
    told = json.loads(hatch_build.to_json(catalogue(code), "1.2.3"))
    about = told.pop("")
    assert about["language"] == code.replace("_", "-")
    assert about["plural_forms"] == "nplurals=2; plural=(n != 1);"
    expected = {
        f"{message.context}\x04{forms(message.id)[0]}" if message.context else forms(message.id)[0]: forms(
            message.string
        )
        for message in entries(code)
    }
    assert told == expected
