"""Messages: codes and facts that become sentences where they are shown."""

import ast
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiinfn_hub.contract.languages import ENGLISH, LANGUAGES
from aiinfn_hub.contract.templates import counted, table, template
from aiinfn_hub.i18n import language, messages
from aiinfn_hub.i18n.message_catalogue import CATALOGUE
from aiinfn_hub.i18n.messages import WAYS, Message, render

HUB = Path(__file__).parents[2] / "aiinfn_hub"
ROME = ZoneInfo("Europe/Rome")
SAMPLES = {
    "time": "2026-07-01T10:05:00+00:00",
    "duration": 5400.0,
    "bytes": 2**31,
    "ordinal": 2,
    "number": 2.5,
}
SAME = {"nothing", "text", "and", "size.with_devices", "state.again", "state.again.place", "state.because", "state.failed.as_told"} | {
    "sweep.again",
    "noun.job",
}  # fmt: skip
"""What joins others, and what is called the same in all languages."""


def sample(code: str, count: int = 2) -> Message:
    """Give a message of a code with facts of the right kinds."""
    known = CATALOGUE[code]
    facts = {name: SAMPLES.get(spec, "x") for name, spec in known.facts.items()}
    if known.count:
        facts[known.count] = count
    return Message(code, **facts)


# The table


@pytest.mark.parametrize("code", sorted(CATALOGUE))
@pytest.mark.parametrize("spoken", sorted(LANGUAGES))
def test_every_message_is_a_sentence_in_every_language(code: str, spoken: str) -> None:
    english = [render(sample(code, count), ENGLISH) for count in (1, 2)]
    told = [render(sample(code, count), spoken) for count in (1, 2)]
    for text in told:
        assert "{" not in text
        assert code not in text
    if spoken != ENGLISH and code not in SAME:
        assert told[0] != english[0]
        assert told[1] != english[1]


def test_a_code_that_is_there_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="one is there twice"):
        table([template("one", "One")], [template("one", "Another")])


def test_the_ways_of_writing_a_fact_are_known() -> None:
    assert {spec for each in CATALOGUE.values() for spec in each.facts.values() if spec} <= set(WAYS)


@pytest.mark.parametrize(
    ("code", "facts"),
    [("history.submitted", {}), ("history.submitted", {"queue": "q", "more": 1}), ("no.such", {})],
)
def test_a_message_without_its_facts_is_a_slip(code: str, facts: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=code):
        Message(code, **facts)


def used() -> Iterator[tuple[Any, ...]]:
    """Find the messages that the code makes, with the facts where they stand there, and every code it names."""
    for path in sorted(HUB.rglob("*.py")):
        if path.name == "message_catalogue.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            place = f"{path.relative_to(HUB)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Message" and node.args:
                whole = all(keyword.arg for keyword in node.keywords)
                codes = [each for each in ast.walk(node.args[0]) if isinstance(each, ast.Constant)]
                for each in codes:
                    if isinstance(each.value, str) and each.value in CATALOGUE:
                        yield each.value, {keyword.arg for keyword in node.keywords} if whole else None, place
                    elif isinstance(each.value, str) and isinstance(node.args[0], ast.Constant):
                        yield each.value, None, place
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in CATALOGUE:
                yield node.value, None, place


def test_the_code_makes_messages_of_the_table_with_their_facts() -> None:
    wrong = [
        f"{place}: {code}"
        for code, facts, place in used()
        if code not in CATALOGUE or (facts is not None and facts != set(CATALOGUE[code].facts))
    ]
    assert not wrong


# Reading and writing


def test_a_message_is_read_back_as_it_was_kept() -> None:
    size = Message("size.cores_and_memory", cores=2, memory=2**30)
    message = Message("state.because", state=size, reason=[Message("reason.turn"), "x"])
    again = Message.parse(message.as_text())
    assert again == message
    assert hash(again) == hash(message)
    assert len({again, message}) == 1
    assert str(again) == "2 cores and 1\N{NO-BREAK SPACE}GiB; it comes when others of its sweep have ended, x"


def test_moments_and_durations_are_kept_as_json() -> None:
    at = datetime(2026, 7, 1, 12, 5, tzinfo=ROME)
    assert Message("again.gave.place", at=at).as_json() == {
        "code": "again.gave.place",
        "facts": {"at": "2026-07-01T10:05:00+00:00"},
    }
    assert Message("history.time_limit", limit=timedelta(hours=2)).plain_facts() == {"limit": 7200.0}


@pytest.mark.parametrize(
    ("kept", "shown"),
    [
        ('{"code": "from.later", "facts": {"node": "n1"}}', "from.later (node=n1)"),
        ('{"code": "from.later", "facts": {}}', "from.later"),
        ('{"code": "again.gave.place", "facts": {"at": "yesterday"}}', "again.gave.place (at=yesterday)"),
        ('{"code": "again.gave.place", "facts": {}}', "again.gave.place"),
        ('{"code": "dry_run.behind", "facts": {"ahead": "x", "queue": "q"}}', "dry_run.behind (ahead=x, queue=q)"),
        ("What was kept before there were codes.", "What was kept before there were codes."),
        ('{"code": 3}', '{"code": 3}'),
        ("", ""),
    ],
)  # fmt: skip
def test_what_another_version_kept_is_shown_as_it_is(kept: str, shown: str) -> None:
    assert str(Message.parse(kept)) == shown


@given(st.text(max_size=60))
def test_any_text_is_read(text: str) -> None:
    assert isinstance(str(Message.parse(text)), str)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.sampled_from(sorted(CATALOGUE)),
    st.dictionaries(st.sampled_from(["at", "queue", "count", "cores", "limit", "done"]), JSON),
)
def test_any_facts_are_shown(code: Any, facts: dict[str, Any]) -> None:
    assert isinstance(str(Message.read({"code": code, "facts": facts})), str)


# The reader's time


@pytest.mark.parametrize(
    ("zone", "spoken", "text"),
    [
        ("Europe/Rome", "it", "Ha ceduto il posto a una sessione alle 12:05 CEST; di nuovo in attesa."),
        ("Europe/Rome", "en", "Gave its place to a session at 12:05 CEST; waiting again."),
        ("+02:00", "en", "Gave its place to a session at 12:05 UTC+02:00; waiting again."),
        ("-0330", "en", "Gave its place to a session at 06:35 UTC-03:30; waiting again."),
        ("UTC", "en", "Gave its place to a session at 10:05 UTC; waiting again."),
        ("../../etc/passwd", "en", "Gave its place to a session at 10:05 UTC; waiting again."),
        ("No/Such", "en", "Gave its place to a session at 10:05 UTC; waiting again."),
        ("+99:00", "en", "Gave its place to a session at 10:05 UTC; waiting again."),
    ],
)
def test_a_moment_is_told_in_the_readers_zone(zone: str, spoken: str, text: str) -> None:
    message = Message("again.gave.place", at=datetime(2026, 7, 1, 10, 5, tzinfo=UTC))
    assert render(message, spoken, messages.zone_named(zone)) == text


@pytest.mark.parametrize(
    ("header", "zone"),
    [
        ("timezone=Europe/Rome", "Europe/Rome"),
        ('respond-async, timezone="Europe/Rome"; strict, wait=3', "Europe/Rome"),
        ("TimeZone = Europe/Rome", "Europe/Rome"),
        ("", "UTC"),
        ("timezone", "UTC"),
        ("timezone=" + "A" * 200, "UTC"),
    ],
)
def test_the_zone_comes_with_the_request(header: str, zone: str) -> None:
    assert str(messages.preferred_zone(header)) == zone


@given(st.text(max_size=80))
def test_whatever_a_request_asks_there_is_a_zone(name: str) -> None:
    at = datetime(2026, 7, 1, 10, 5, tzinfo=UTC)
    assert at.astimezone(messages.preferred_zone(f"timezone={name}"))


@pytest.mark.parametrize(
    ("seconds", "english", "italian"),
    [
        (0, "0 seconds", "0 secondi"),
        (1, "1 second", "1 secondo"),
        (5400, "1 hour 30 minutes", "1 ora 30 minuti"),
        (2 * 86400 + 60, "2 days 1 minute", "2 giorni 1 minuto"),
    ],
)
def test_a_duration_is_told_in_words(seconds: int, english: str, italian: str) -> None:
    assert messages.duration_in_words(seconds) == english
    with language.speaking("it"):
        assert messages.duration_in_words(seconds) == italian


def test_a_count_takes_the_right_form() -> None:
    several = counted("c", "{n} point", "{n} points", count="n")
    assert [several.spoken({"n": n}, language.TRANSLATIONS) for n in (0, 1, 2)] == [
        "{n} points",
        "{n} point",
        "{n} points",
    ]
    assert [str(Message("sweep.part.failed", number=n)) for n in (1, 2)] == ["1 failed", "2 failed"]
    with language.speaking("it"):
        assert [str(Message("sweep.part.failed", number=n)) for n in (1, 2)] == ["1 fallito", "2 falliti"]
        assert str(Message("place.nth", position=2, queue="Q")) == "2º della fila in Q"
