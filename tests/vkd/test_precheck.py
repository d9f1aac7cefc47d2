"""What a dry run tells: tables of what is known and what is said, and the same over HTTP."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiinfn_hub.contract.jobs import CheckSubject
from aiinfn_hub.contract.platform import Availability
from aiinfn_hub.contract.states import JobState
from aiinfn_hub.contract.sweeps import SweepRequest
from aiinfn_hub.platform import gate
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.person import Person
from aiinfn_hub.platform.selection import Door
from aiinfn_hub.vkd.domain.backend import QueueLength
from aiinfn_hub.vkd.services import precheck
from tests.vkd.memory_backend import MemoryBackend
from tests.vkd.world import PLATFORM, World, notebook, platform, vkd

ANNA = Person(name="anna", groups=frozenset({"ai-infn/flavour"}))
ORDER = list(get_args(CheckSubject))


def there(total: int = 8, free: int = 8, offline: int = 0) -> Availability:
    return Availability(accelerator="t4", total=total, free=free, sessions=0, batch=total - free - offline, offline=offline, queued=0)  # fmt: skip


def facts(
    *,
    count: int = 1,
    quota: int | None = None,
    available: Availability | None = None,
    largest: int = 8,
    waiting: int = 0,
    sweep: dict[str, Any] | None = None,
    what: Platform | None = None,
    **more: Any,
) -> precheck.Facts:
    what = what or platform(
        sessions={"backend": "kubernetes" if quota is not None else "local"},
        accelerators={**PLATFORM["accelerators"], "t4": {**PLATFORM["accelerators"]["t4"], "max_per_job": 16, "quota": quota}},
    )  # fmt: skip
    choices = {"accelerator": "t4", "count": count} if count else {}
    return precheck.Facts(
        selection=gate.resolve(choices, what, ANNA, Door.JOB),
        platform=what,
        length=QueueLength(waiting=waiting),
        there=available or (there() if count else None),
        largest=largest,
        sweep=SweepRequest.model_validate(sweep) if sweep else None,
        **more,
    )


def said(known: precheck.Facts, what: str) -> list[tuple[Any, Any]]:
    return [(check.verdict, check.sentence) for check in precheck.look(known) if check.what == what]


@pytest.mark.parametrize(
    ("known", "verdict", "sentence"),
    [
        ({"count": 0}, "ok", "It needs no accelerator."),
        ({}, "ok", "It asks for T4, and there are 8 in all."),
        ({"available": there(1, 0), "largest": 1}, "ok", "It asks for T4, and there is 1 in all."),
        ({"count": 4, "quota": 4}, "ok", "It asks for 4 x T4, and there are 8 in all."),
        ({"count": 4, "quota": 3}, "problem", "It can never start: batch may use 3 T4 in all."),
        ({"quota": 0}, "problem", "It can never start: batch may use 0 T4 in all."),
        ({"available": there(0, 0)}, "problem", "It cannot start now: the platform has no T4 at the moment."),
        ({"count": 9}, "problem", "It cannot start: it asks for 9 x T4, and there are 8 in all."),
        (
            {"count": 3, "largest": 2},
            "problem",
            "It cannot start: it asks for 3 x T4 on one node, and the most is 2.",
        ),
        (
            {"available": there(2, 0, 2), "largest": 0},
            "notice",
            "It cannot start now: 2 of 2 T4 are out of service.",
        ),
    ],
)
def test_whether_it_will_ever_fit(known: dict[str, Any], verdict: str, sentence: str) -> None:
    assert said(facts(**known), "fits") == [(verdict, sentence)]


def test_a_device_that_the_back_end_does_not_know_does_not_fit() -> None:
    assert said(replace(facts(), there=None), "fits")[0][0] == "problem"


def test_the_quota_of_batch_is_of_kubernetes() -> None:
    known = facts(count=4, quota=3)
    local = platform(accelerators={name: device.model_dump() for name, device in known.platform.accelerators.items()})  # fmt: skip
    assert said(replace(known, platform=local), "fits")[0][0] == "ok"


@pytest.mark.parametrize(
    ("known", "verdict", "sentence"),
    [
        ({}, "ok", "Nothing waits in Opportunistic. Of 8 T4, 8 are free now."),
        (
            {"available": there(8, 0)},
            "notice",
            "Nothing waits in Opportunistic. Of 8 T4, 0 are free now.",
        ),
        (
            {"waiting": 2, "available": there(8, 3)},
            "notice",
            "It would be number 3 in line in Opportunistic. Of 8 T4, 3 are free now.",
        ),
        ({"count": 0}, "ok", "Nothing waits in Opportunistic."),
        ({"count": 0, "waiting": 1}, "notice", "It would be number 2 in line in Opportunistic."),
    ],
)
def test_where_in_line_it_would_be_and_what_is_free(
    known: dict[str, Any], verdict: str, sentence: str
) -> None:
    assert said(facts(**known), "queue") == [(verdict, sentence)]


@pytest.mark.parametrize(
    ("jobs", "verdict", "sentence"),
    [
        (0, "ok", "No other job of yours waits."),
        (1, "ok", "1 other job of yours waits; 50 may."),
        (48, "ok", "48 other jobs of yours wait; 50 may."),
        (49, "notice", "49 other jobs of yours wait; 50 may."),
    ],
)
def test_what_else_of_the_person_waits(jobs: int, verdict: str, sentence: str) -> None:
    assert said(facts(mine=precheck.QueueAhead(jobs)), "limit") == [(verdict, sentence)]


def test_the_time_limit_beside_what_the_queue_allows() -> None:
    assert said(facts(), "time") == [("ok", "It is ended after 10m; Opportunistic allows up to 2d.")]
    default = said(facts(time_given=False), "time")
    assert default == [
        ("ok", "It is ended after 10m, since nothing else was said; Opportunistic allows up to 2d.")
    ]
    short = platform(queues={"opportunistic": {"title": "Short", "max_time": "1h"}})
    assert said(facts(what=short), "time") == [("ok", "It is ended after 10m; Short allows up to 1h.")]


def points(number: int, parallelism: int = 8) -> dict[str, Any]:
    return {"points": [{"lr": n / 10} for n in range(number)], "parallelism": parallelism}


ENOUGH, FEW = "It has 100 points; at most 8 run at a time.", "Of its 100 points 8 may run at a time, but the T4 that there are are enough for {}."  # fmt: skip


@pytest.mark.parametrize(
    ("known", "told"),
    [
        ({}, [("ok", ENOUGH), ("ok", "If every point needs all its time, it takes 2h10m of running.")]),
        ({"count": 0}, [("ok", ENOUGH), ("ok", "If every point needs all its time, it takes 2h10m of running.")]),
        (
            {"available": there(8, 0, 4)},
            [
                ("notice", FEW.format(4)),
                ("ok", "If every point needs all its time, it takes 4h10m of running."),
            ],
        ),
        (
            {"count": 2, "quota": 4},
            [
                ("notice", FEW.format(2)),
                ("ok", "If every point needs all its time, it takes 8h20m of running."),
            ],
        ),
        ({"available": there(0, 0)}, [("notice", FEW.format(0))]),
    ],
)  # fmt: skip
def test_how_many_points_of_a_sweep_run_at_a_time(known: dict[str, Any], told: list[tuple[str, ...]]) -> None:
    assert said(facts(sweep=points(100), **known), "sweep") == told


def test_a_sweep_of_one_point_and_points_that_are_the_same() -> None:
    assert said(facts(sweep=points(1)), "sweep") == [("ok", "It has 1 point.")]
    twice = {"points": [{"a": 1, "b": 2}, {"a": 2}, {"b": 2, "a": 1}], "parallelism": 3}
    assert ("notice", "The points 1 and 3 are the same.") in said(facts(sweep=twice), "sweep")
    waiting = said(facts(sweep=points(5), mine=precheck.QueueAhead(1, 20)), "limit")
    assert waiting == [("ok", "With these, 25 points of your sweeps wait; 5000 may.")]


@given(
    count=st.integers(0, 16),
    total=st.integers(0, 20),
    free=st.integers(0, 20),
    offline=st.integers(0, 20),
    largest=st.none() | st.integers(0, 20),
    quota=st.none() | st.integers(0, 20),
    sweep=st.none() | st.integers(1, 30),
)
def test_whatever_is_known_something_is_said_and_nothing_contradicts(
    count: int, total: int, free: int, offline: int, largest: Any, quota: Any, sweep: Any
) -> None:
    free, offline = min(free, total), min(offline, total - min(free, total))
    known = facts(count=count, quota=quota, available=there(total, free, offline), largest=largest, sweep=points(sweep) if sweep else None)  # fmt: skip
    found = precheck.look(known)
    assert [check.what for check in found] == sorted((check.what for check in found), key=ORDER.index)
    assert all(check.sentence and "{" not in check.sentence for check in found)
    # What is ready for it at this moment can start.
    if (
        count
        and count <= free
        and (largest is None or count <= largest)
        and (quota is None or count <= quota)
    ):
        assert next(check for check in found if check.what == "fits").verdict == "ok"


# Over HTTP


@pytest.fixture
async def v(tmp_path: Path) -> AsyncIterator[World]:
    limits = {**PLATFORM["limits"], "jobs_waiting_per_person": 2, "sweep_points_per_person": 5}
    async with vkd(tmp_path, MemoryBackend, limits=limits) as running:
        yield running


async def test_a_dry_run_answers_with_checks_and_keeps_nothing(v: World) -> None:
    anna = v.as_("anna")
    await anna.post("/jobs", notebook())
    told = await anna.post("/jobs?dry_run=1", notebook(accelerator="t4", sweep=points(3)), status=200)
    assert [check["what"] for check in told["checks"]] == ["allowed", "fits", "limit", "queue", "time", "sweep", "sweep"]  # fmt: skip
    by_name = {check["what"]: check for check in reversed(told["checks"])}
    assert by_name["allowed"] == {
        "what": "allowed",
        "verdict": "ok",
        "sentence": "Flavour physics may submit it to Opportunistic.",
        "hint": "",
        "field": None,
        "code": "",
        "facts": {},
    }
    assert by_name["limit"]["sentence"] == "1 other job of yours waits; 2 may."
    assert by_name["sweep"]["verdict"] == "notice"
    assert len((await anna.get("/jobs"))["jobs"]) == 1


async def test_a_dry_run_is_refused_where_a_submission_would_be(v: World) -> None:
    anna, bruno = v.as_("anna"), v.as_("bruno")
    for _ in range(2):
        await anna.post("/jobs", notebook())
    for path in ("/jobs?dry_run=1", "/jobs"):
        refused = await anna.post(path, notebook(), status=429)
        assert refused["message"] == "2 of your jobs are waiting already."
        refused = await bruno.post(path, notebook(sweep=points(6)), status=429)
        assert (refused["field"], refused["reason"]) == ("sweep", "too_many")
    assert (await bruno.post("/jobs?dry_run=1", notebook(), status=200))["ahead"] == 2
    assert v.backend.all[next(iter(v.backend.all))].state is JobState.QUEUED


async def test_what_can_never_start_is_the_first_thing_that_is_said(v: World) -> None:
    v.backend.platform = platform(accelerators={**PLATFORM["accelerators"], "t4": {**PLATFORM["accelerators"]["t4"], "simulated": 1}})  # fmt: skip
    told = await v.as_("anna").post("/jobs?dry_run=1", notebook(accelerator="t4", count=2), status=200)
    assert told["sentence"] == "It cannot start: it asks for 2 x T4, and there is 1 in all."
