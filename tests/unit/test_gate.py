"""The gate as a table: what is granted, what is refused, and why."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiinfn_hub.contract.problem import STATUS, Reason, Refusal
from aiinfn_hub.platform import request_fields
from aiinfn_hub.platform.gate import JOB_KEYS, offer, resolve
from aiinfn_hub.platform.loading.loader import load
from aiinfn_hub.platform.model.fields import CPU_ONLY
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.person import Person
from aiinfn_hub.platform.selection import Door, Selection

DEMO = load(Path(__file__).parents[2] / "platform.yaml")
ADA = Person.of("ada", ["/ai-infn/flavour"])
BRUNO = Person.of("bruno", ["ai-infn/flavour", "ai-infn/medphys"])
CARLA = Person.of("carla", ["ai-infn/flavour/managers"])
DORA = Person.of("dora", ["ai-infn/operators"], admin=True)
NEMO = Person.of("nemo", [])

PLATFORM = Platform.model_validate(
    {
        "accelerators": {
            "t4": {
                "title": "T4",
                "kind": "gpu",
                "resource": "nvidia.com/gpu",
                "max_per_session": 2,
                "max_per_job": 4,
            },
            "slice": {
                "title": "Slice",
                "kind": "mig",
                "resource": "nvidia.com/mig-1g.5gb",
                "session_time": "2h",
            },
            "v70": {"title": "V70", "kind": "fpga", "resource": "amd.com/v70"},
        },
        "images": {
            "base": {"title": "Base", "reference": "base:1"},
            "fpga": {"title": "FPGA tools", "reference": "fpga:1", "accelerators": ["v70"]},
            "secret": {"title": "Licensed", "reference": "secret:1"},
        },
        "sizes": {
            "s": {"title": "S", "cores": 1, "memory": "1Gi"},
            "xl": {"title": "XL", "cores": 64, "memory": "512Gi"},
        },
        "projects": {
            "alpha": {"title": "Alpha", "groups": ["a/x"], "sizes": ["s"], "images": ["base", "fpga"]},
            "beta": {
                "title": "Beta",
                "groups": ["b/x"],
                "managers": ["b/x/managers"],
                "accelerators": ["t4"],
            },
        },
        "queues": {
            "any": {"title": "Any"},
            "gpu": {"title": "GPU", "accelerators": ["t4"], "max_time": "1h", "priority": 5},
            "beta": {"title": "Beta only", "projects": ["beta"], "accelerators": ["none", "t4"]},
        },
        "limits": {"job_default": "30m", "job_max": "4h", "session_default": "4h", "session_max": "8h"},
    }
)
ALPHA = Person.of("alice", ["/a/x"])
BETA = Person.of("bob", ["b/x"])
BOTH = Person.of("both", ["a/x", "b/x"])


@pytest.mark.parametrize(
    ("person", "door", "request_", "expected"),
    [
        (ALPHA, "session", {}, {"project": "alpha", "accelerator_name": "none", "count": 0, "size_name": "s", "image_name": "base"}),
        (ALPHA, "session", {"accelerator": "none", "count": 0}, {"count": 0}),
        (ALPHA, "session", {"accelerator": "none", "count": ""}, {"count": 0}),
        (ALPHA, "session", {"accelerator": "t4"}, {"count": 1, "time_limit": timedelta(hours=4), "queue_name": None}),
        (ALPHA, "session", {"accelerator": "t4", "count": "2"}, {"count": 2}),
        (ALPHA, "session", {"accelerator": "slice"}, {"time_limit": timedelta(hours=2)}),
        (ALPHA, "session", {"accelerator": "v70", "image": "fpga"}, {"image_name": "fpga"}),
        (ALPHA, "session", {"time_limit": "3600"}, {"time_limit": timedelta(hours=1)}),
        (ALPHA, "session", {"time_limit": "8h"}, {"time_limit": timedelta(hours=8)}),
        (ALPHA, "session", {"project": None, "image": "", "size": None}, {"project": "alpha"}),
        (BETA, "session", {"size": "xl", "image": "secret"}, {"size_name": "xl", "image_name": "secret"}),
        (BOTH, "session", {"accelerator": "slice"}, {"project": "alpha"}),
        (BOTH, "session", {"project": "beta"}, {"project": "beta"}),
        (Person.of("m", ["b/x/managers"]), "session", {}, {"project": "beta"}),
        (ALPHA, "job", {}, {"queue_name": "any", "time_limit": timedelta(minutes=30), "priority": 0}),
        (ALPHA, "job", {"accelerator": "t4", "queue": "gpu"}, {"queue_name": "gpu", "priority": 5}),
        (ALPHA, "job", {"accelerator": "t4", "queue": "gpu", "time_limit": "1h"}, {"time_limit": timedelta(hours=1)}),
        (ALPHA, "job", {"accelerator": "t4", "count": 4}, {"count": 4}),
        (BETA, "job", {"queue": "beta"}, {"queue_name": "beta"}),
    ],
)  # fmt: skip
def test_what_is_allowed_is_granted(
    person: Person, door: Door, request_: dict[str, Any], expected: dict[str, Any]
) -> None:
    granted = resolve(request_, PLATFORM, person, Door(door))
    assert {key: getattr(granted, key) for key in expected} == expected
    assert granted.person == person.name


@pytest.mark.parametrize(
    ("person", "door", "request_", "reason", "field"),
    [
        # unknown, and no longer existing, names
        (ALPHA, "session", {"accelerator": "h100"}, "unknown", "accelerator"),
        (ALPHA, "session", {"image": "nope"}, "unknown", "image"),
        (ALPHA, "session", {"size": "nope"}, "unknown", "size"),
        (ALPHA, "session", {"project": "nope"}, "unknown", "project"),
        (ALPHA, "job", {"queue": "nope"}, "unknown", "queue"),
        # foreign
        (ALPHA, "session", {"project": "beta"}, "forbidden", "project"),
        (ALPHA, "job", {"queue": "beta"}, "forbidden", "queue"),
        (BETA, "session", {"accelerator": "v70"}, "forbidden", "accelerator"),
        (BOTH, "session", {"accelerator": "v70", "project": "beta"}, "forbidden", "accelerator"),
        (ALPHA, "session", {"size": "xl"}, "forbidden", "size"),
        (ALPHA, "session", {"image": "secret"}, "forbidden", "image"),
        (Person.of("n", []), "session", {}, "forbidden", "project"),
        (Person.of("n", ["x", "a", "a/x/y", "x/a"]), "session", {}, "forbidden", "project"),
        (Person.of("n", ["ai-infn/operators"], admin=True), "session", {}, "forbidden", "project"),
        # pairs
        (ALPHA, "session", {"image": "fpga"}, "impossible", "image"),
        (ALPHA, "session", {"image": "fpga", "accelerator": "t4"}, "impossible", "image"),
        (ALPHA, "job", {"queue": "gpu", "accelerator": "v70"}, "impossible", "queue"),
        (ALPHA, "job", {"queue": "gpu"}, "impossible", "queue"),
        (ALPHA, "session", {"accelerator": "t4", "count": 0}, "impossible", "count"),
        (ALPHA, "session", {"accelerator": "t4", "count": "0"}, "impossible", "count"),
        (ALPHA, "session", {"count": 1}, "impossible", "count"),
        (ALPHA, "session", {"accelerator": "none", "count": 2}, "impossible", "count"),
        # numbers
        (ALPHA, "session", {"accelerator": "t4", "count": -1}, "invalid", "count"),
        (ALPHA, "session", {"accelerator": "t4", "count": 3}, "too_large", "count"),
        (ALPHA, "session", {"accelerator": "t4", "count": 10**30}, "too_large", "count"),
        (ALPHA, "session", {"accelerator": "t4", "count": -(10**30)}, "invalid", "count"),
        (ALPHA, "session", {"accelerator": "t4", "count": "9" * 400}, "invalid", "count"),
        (ALPHA, "session", {"accelerator": "t4", "count": 1.5}, "invalid", "count"),
        (ALPHA, "session", {"accelerator": "t4", "count": True}, "invalid", "count"),
        (ALPHA, "session", {"accelerator": "t4", "count": "one"}, "invalid", "count"),
        (ALPHA, "session", {"accelerator": "t4", "count": "+-1"}, "invalid", "count"),
        (ALPHA, "session", {"accelerator": "t4", "count": [1]}, "invalid", "count"),
        (ALPHA, "session", {"time_limit": "9h"}, "too_large", "time_limit"),
        (ALPHA, "session", {"accelerator": "slice", "time_limit": "3h"}, "too_large", "time_limit"),
        (ALPHA, "session", {"time_limit": 0}, "invalid", "time_limit"),
        (ALPHA, "session", {"time_limit": -3600}, "invalid", "time_limit"),
        (ALPHA, "session", {"time_limit": 1e300}, "invalid", "time_limit"),
        (ALPHA, "session", {"time_limit": float("nan")}, "invalid", "time_limit"),
        (ALPHA, "session", {"time_limit": 0.001}, "invalid", "time_limit"),
        (ALPHA, "session", {"time_limit": "soon"}, "invalid", "time_limit"),
        (ALPHA, "session", {"time_limit": True}, "invalid", "time_limit"),
        (ALPHA, "session", {"time_limit": {}}, "invalid", "time_limit"),
        (ALPHA, "job", {"time_limit": "5h"}, "too_large", "time_limit"),
        (ALPHA, "job", {"accelerator": "t4", "queue": "gpu", "time_limit": "2h"}, "too_large", "time_limit"),
        # keys and types
        (ALPHA, "session", {"queue": "any"}, "invalid", "queue"),
        (ALPHA, "session", {"profile": "gpu"}, "invalid", "profile"),
        (ALPHA, "session", {"": 1}, "invalid", ""),
        (ALPHA, "session", {"accelerator": ["t4"]}, "invalid", "accelerator"),
        (ALPHA, "session", {"accelerator": {"name": "t4"}}, "invalid", "accelerator"),
        (ALPHA, "session", {"accelerator": 4}, "invalid", "accelerator"),
        (ALPHA, "session", {"project": b"alpha"}, "invalid", "project"),
        (ALPHA, "session", {"image": "base\n"}, "unknown", "image"),
        (ALPHA, "session", {"image": "' OR 1=1 --"}, "unknown", "image"),
        (ALPHA, "session", {"image": "<script>alert(1)</script>"}, "unknown", "image"),
        (ALPHA, "session", {"size": "s" * 10_000}, "unknown", "size"),
        (ALPHA, "session", [], "invalid", None),
        (ALPHA, "job", "t4", "invalid", None),
        (ALPHA, "job", None, "invalid", None),
    ],
)
def test_what_is_not_allowed_is_refused_with_its_reason(
    person: Person, door: Door, request_: Any, reason: str, field: str | None
) -> None:
    with pytest.raises(Refusal) as refused:
        resolve(request_, PLATFORM, person, Door(door))
    assert (refused.value.reason, refused.value.field) == (reason, field)
    assert refused.value.message.endswith(".")
    assert refused.value.message.isprintable()
    assert len(refused.value.message) < 200
    assert refused.value.hint.isprintable() or not refused.value.hint


@pytest.mark.parametrize(
    ("person", "accelerators", "queues"),
    [
        (ADA, ["t4", "a100-1g.5gb"], ["opportunistic", "short"]),
        (BRUNO, ["t4", "a100-1g.5gb", "v70"], ["opportunistic", "short"]),
        (CARLA, ["t4", "a100-1g.5gb"], ["opportunistic", "short"]),
        (DORA, [], []),
        (NEMO, [], []),
    ],
)
def test_the_demonstration_offers_each_person_what_their_projects_may_use(
    person: Person, accelerators: list[str], queues: list[str]
) -> None:
    may = offer(DEMO, person)
    assert list(may.accelerators) == accelerators
    assert [name for name in may.queues if may.projects] == queues


def test_every_reason_has_a_status() -> None:
    assert set(STATUS) == set(Reason)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(["t4", "none", "v70", "alpha", "beta", "base", "fpga", "s", "xl", "any", "gpu", "1h", "1", "0"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip
people = st.sampled_from([ALPHA, BETA, BOTH, Person.of("n", [])])
requests = st.dictionaries(st.sampled_from(sorted(JOB_KEYS)) | st.text(max_size=5), anything, max_size=7)


@settings(max_examples=400)
@given(requests, people, st.sampled_from(Door))
def test_whatever_is_asked_the_gate_grants_within_the_offer_or_refuses(
    request_: dict[str, Any], person: Person, door: Any
) -> None:
    try:
        granted = resolve(request_, PLATFORM, person, door)
    except Refusal:
        return
    may = offer(PLATFORM, person)
    assert isinstance(granted, Selection)
    assert granted.project in may.projects
    assert granted.accelerator_name == CPU_ONLY or granted.accelerator_name in may.accelerators_of(
        granted.project
    )
    assert granted.size_name in may.sizes_of(granted.project)
    assert granted.image_name in may.images_of(granted.project, granted.accelerator_name)
    assert (granted.count == 0) == (granted.accelerator is None)
    if door is Door.JOB:
        assert granted.queue_name in may.queues_of(granted.project, granted.accelerator_name)


@given(people, st.data())
def test_whatever_is_offered_is_granted(person: Person, data: st.DataObject) -> None:
    may = offer(PLATFORM, person)
    if not may.projects:
        return
    project = data.draw(st.sampled_from(list(may.projects)))
    accelerator = data.draw(st.sampled_from([CPU_ONLY, *may.accelerators_of(project)]))
    request = {
        "project": project,
        "accelerator": accelerator,
        "size": data.draw(st.sampled_from(list(may.sizes_of(project)))),
        "image": data.draw(st.sampled_from(list(may.images_of(project, accelerator)))),
    }
    limit = data.draw(st.sampled_from(may.session_times(accelerator)))
    granted = resolve(request | {"time_limit": limit.total_seconds()}, PLATFORM, person, Door.SESSION)
    assert granted.time_limit == limit
    queue = data.draw(st.sampled_from([*may.queues_of(project, accelerator)]))
    assert resolve(request | {"queue": queue}, PLATFORM, person, Door.JOB).queue_name == queue


def test_a_selection_survives_json() -> None:
    granted = resolve({"accelerator": "t4"}, PLATFORM, ALPHA, Door.SESSION)
    assert Selection.model_validate_json(granted.model_dump_json()) == granted


@pytest.mark.parametrize(
    ("person", "request_", "named", "not_named"),
    [
        (BETA, {"accelerator": "h100"}, "t4", "v70"),
        (ALPHA, {"image": "nope"}, "base", "secret"),
        (ALPHA, {"size": "nope"}, "s (S)", "xl"),
        (ALPHA, {"project": "nope"}, "alpha", "beta"),
    ],
)
def test_a_hint_names_what_the_person_may_use_and_nothing_else(
    person: Person, request_: dict[str, Any], named: str, not_named: str
) -> None:
    with pytest.raises(Refusal) as refused:
        resolve(request_, PLATFORM, person, Door.SESSION)
    assert named in refused.value.hint
    assert not_named not in refused.value.hint


def test_a_hint_says_that_there_is_more_than_it_names() -> None:
    choices = {f"c{number}": None for number in range(9)}
    assert request_fields.instead(choices) == "Choose one of c0, c1, c2, c3, c4, c5, or of 3 more."
    assert request_fields.instead(dict.fromkeys(["a", "b"])) == "Choose one of a, b."


def test_blanks_that_do_not_break_are_shown_as_they_are() -> None:
    with pytest.raises(Refusal) as refused:
        resolve({"image": "a\u00a0b\u202fc\x1b"}, PLATFORM, ALPHA, Door.SESSION)
    assert "“a\u00a0b\u202fc?”" in refused.value.message
