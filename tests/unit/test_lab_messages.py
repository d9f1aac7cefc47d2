"""Sentences of the Lab half: all of them translated, none forgotten, and the table of messages in both languages."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from babel.messages.catalog import Message as Entry

from aiinfn_hub.contract.languages import ENGLISH, LANGUAGES
from aiinfn_hub.contract.templates import NOTHING
from aiinfn_lab.i18n import language
from aiinfn_lab.i18n.formats import bytes_in_words, number
from aiinfn_lab.i18n.message_catalogue import CATALOGUE
from aiinfn_lab.i18n.messages import WAYS, Message
from aiinfn_lab.kernel_state.kernel_side import words
from tests import catalogues
from tests.catalogues import forms, sentences

ROOT = Path(__file__).parents[2]
OTHERS = sorted(code for code in LANGUAGES if code != ENGLISH)


def said() -> dict[str | tuple[str, ...], str]:
    return sentences(ROOT / "aiinfn_lab")


def entries(code: str) -> list[Entry]:
    return catalogues.entries(catalogues.catalogue(language.FOLDER, language.DOMAIN, code))


def facts(text: str) -> set[tuple[str, str]]:
    try:
        return {(name, spec or "") for _, name, spec, _ in string.Formatter().parse(text) if name is not None}
    except ValueError:  # a brace that is meant
        return set()


@pytest.mark.parametrize("code", OTHERS)
def test_every_sentence_is_translated_and_none_is_stale(code: str) -> None:
    known = {entry.id: entry for entry in entries(code)}
    missing = [f"{place}: {message!r}" for message, place in said().items() if message not in known]
    assert not missing, "run `make messages`:\n" + "\n".join(missing)
    assert not [message for message in known if message not in said()], "run `make messages`"
    assert not [entry.id for entry in known.values() if not all(forms(entry.string)) or entry.fuzzy]


@pytest.mark.parametrize("code", OTHERS)
def test_a_translation_has_the_same_facts_and_ends_alike(code: str) -> None:
    for entry in entries(code):
        allowed = set().union(*(facts(form) for form in forms(entry.id)))
        for english, other in zip(forms(entry.id), forms(entry.string), strict=True):
            assert facts(other) <= allowed, other
            assert {name for name, _ in facts(english)} <= {name for name, _ in facts(other)}, other
            for end in ("…", "?", "."):
                assert english.endswith(end) == other.endswith(end), f"{english!r} -> {other!r}"


def sample(code: str, count: int) -> Message:
    known = CATALOGUE[code]
    values = {"bytes": 3_250_586, "number": 12_345, "names": ["a", "b"], "": "x"}
    return Message(
        code, **{name: count if name == known.count else values[way] for name, way in known.facts.items()}
    )


@pytest.mark.parametrize("code", sorted(CATALOGUE))
def test_every_message_is_a_sentence_in_every_language(code: str) -> None:
    told = {}
    for spoken in LANGUAGES:
        with language.speaking(spoken):
            told[spoken] = [str(sample(code, count)) for count in (1, 2)]
        assert not any(code in text for text in told[spoken] if code != "text"), told
    same = {NOTHING, "text", "folder.entry.size"}
    assert code in same or told["it"] != told[ENGLISH]


@pytest.mark.parametrize(
    ("message", "italian"),
    [
        (Message("check.kernel.none"), "Il notebook non ha un kernel."),
        (
            Message("check.packages.missing", packages=["torch"], number=1, noun=Message("noun.notebook")),
            "In questo ambiente manca il pacchetto torch, che il notebook importa.",
        ),
        (
            Message("folder.copied", number=12_345, size=3_250_586),
            "Si fa una copia della cartella: 12.345 file, 3,1 MiB.",
        ),
        (
            Message("check.files.missing", files=list("abcdefg"), number=7),
            "Nomina a, b, c, d, e e altri 2, che ora non ci sono.",
        ),
        (Message("variable.is", what=Message("thing.file")), "È un file aperto."),
        (
            Message.read({"code": "variable.holds", "facts": {"what": {"code": "thing.lock", "facts": {}}}}),
            "Contiene un lock di questo processo.",
        ),
        (Message("app.no_answer", title="Board"), "Board non risponde."),
    ],
)
def test_code_and_facts_become_an_italian_sentence(message: Message, italian: str) -> None:
    with language.speaking("it"):
        assert str(message) == italian
        assert str(Message.read(message.as_json())) == italian


def test_what_another_version_says_is_shown_as_it_is() -> None:
    assert str(Message.read({"code": "check.new", "facts": {"a": 1}})) == "check.new (a=1)"
    assert str(Message.read({"code": "app.ended", "facts": {}})) == "app.ended"
    assert str(Message.read("in words")) == "in words"


def test_a_slip_in_a_message_is_found_where_it_is_made() -> None:
    with pytest.raises(ValueError, match="not in the table"):
        Message("check.nothing")
    with pytest.raises(ValueError, match="needs"):
        Message("app.ended", title="Board")


def test_numbers_are_written_as_the_language_does() -> None:
    assert (number(50_000), number(2.5), bytes_in_words(3_250_586)) == ("50,000", "2.5", "3.1 MiB")
    with language.speaking("it"):
        assert (number(50_000), number(2.5), bytes_in_words(3_250_586)) == ("50.000", "2,5", "3,1 MiB")


def test_the_kernels_side_says_what_the_table_says() -> None:
    for code, english in words.ENGLISH.items():
        assert CATALOGUE[code].text == english
        assert set(CATALOGUE[code].facts.values()) <= {""}
    assert {way for known in CATALOGUE.values() for way in known.facts.values()} <= {"", *WAYS}
