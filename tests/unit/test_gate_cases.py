"""The gate as a table that an operator can read: gate_cases.yaml."""

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.contract.units import format_duration
from aiinfn_hub.platform.access.denials import WORDS, Rule
from aiinfn_hub.platform.access.limits import QuotaUse
from aiinfn_hub.platform.gate import offer, resolve
from aiinfn_hub.platform.model.fields import parse_moment
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.person import Person
from aiinfn_hub.platform.selection import Door

TABLE = yaml.safe_load(Path(__file__).with_name("gate_cases.yaml").read_text())
PLATFORM = Platform.model_validate(TABLE["platform"])
PEOPLE = {name: Person.of(name, groups, admin=name == "op") for name, groups in TABLE["people"].items()}
CASES: list[Any] = [
    pytest.param(case, id=f"{title}-{number}")
    for title, cases in TABLE["cases"].items()
    for number, case in enumerate(cases, 1)
]


def ask(case: Any) -> Any:
    return resolve(
        case["ask"],
        PLATFORM,
        PEOPLE[case["who"]],
        Door(case.get("door", "session")),
        now=parse_moment(case.get("at", TABLE["now"])),
        usage=QuotaUse(**case["holds"]) if "holds" in case else None,
    )


def plain(value: Any) -> Any:
    if isinstance(value, timedelta):
        return format_duration(value)
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize("case", CASES)
def test_the_gate_answers_as_the_table_says(case: dict[str, Any]) -> None:
    assert case.keys() <= {"who", "door", "at", "ask", "holds", "gets", "refused"}
    assert ("gets" in case) != ("refused" in case)
    if "gets" in case:
        granted = ask(case)
        assert {key: plain(getattr(granted, key)) for key in case["gets"]} == case["gets"]
        return
    reason, field, rule, words = case["refused"]
    with pytest.raises(Refusal) as refused:
        ask(case)
    refusal = refused.value
    assert (refusal.reason, refusal.field) == (reason, field), str(refusal)
    assert words in refusal.message
    assert refusal.message.endswith(".")
    assert refusal.message.isprintable()
    assert not refusal.hint or (refusal.hint.isprintable() and refusal.hint.endswith("."))
    if rule:
        assert WORDS[Rule(rule)].reason is refusal.reason


def test_the_table_is_large_and_knows_every_rule() -> None:
    assert len(CASES) >= 200
    answers = Counter("refused" if "refused" in case.values[0] else "gets" for case in CASES)
    assert min(answers.values()) >= 90
    told = {case.values[0]["refused"][2] for case in CASES if "refused" in case.values[0]}
    only_explained = {Rule.STORAGE_PROJECT, Rule.QUEUE_NEEDS, Rule.PERSON_MOST}
    assert {rule for rule in Rule if rule not in only_explained} <= told


def test_reasons_are_the_closed_set() -> None:
    assert {words.reason for words in WORDS.values()} <= set(Reason)
    assert set(WORDS) == set(Rule)


def test_what_is_refused_says_what_to_choose_instead() -> None:
    """The hint names only things that are offered, so that following it works."""
    for case in (each.values[0] for each in CASES):
        if "refused" not in case or case["refused"][1] not in {
            "size",
            "image",
            "queue",
            "accelerator",
            "project",
        }:
            continue
        with pytest.raises(Refusal) as refused:
            ask(case)
        if not refused.value.hint.startswith("Choose ") or case["refused"][0] == "unknown":
            continue
        first = refused.value.hint.removeprefix("Choose one of ").removeprefix("Choose ").split(" ")[0]
        first = first.rstrip(",.")
        may = offer(
            PLATFORM,
            PEOPLE[case["who"]],
            now=parse_moment(case.get("at", TABLE["now"])),
            usage=QuotaUse(**case["holds"]) if "holds" in case else None,
            door=Door(case.get("door", "session")),
        )
        kind = {"size": may.sizes, "image": may.images, "queue": may.queues, "project": may.projects}
        known = kind.get(case["refused"][1], {**may.accelerators, "none": None})
        assert first in {*known, "another"}, refused.value.hint  # type: ignore[misc]
