"""What a job used: the bounded list of points, and the words for it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiinfn_hub.contract import constants
from aiinfn_hub.contract.runner import ResourcePoint, Resources
from aiinfn_hub.platform.model.projects import Size
from aiinfn_hub.vkd.backends.common.resource_series import MOST_POINTS, Series
from aiinfn_hub.vkd.presentation import resource_summary

GIB = 2**30


def record(time: int, cores: float = 1.0, memory: Any = GIB, **more: Any) -> dict[str, Any]:
    return {"type": "resources", "resources": {"time": time, "cores": cores, "memory": memory, **more}}


def test_the_supervisor_keeps_as_many_points_as_the_contract_says() -> None:
    assert MOST_POINTS == constants.MOST_RESOURCE_POINTS


@given(
    st.lists(
        st.tuples(st.floats(0.1, 50), st.floats(0, 64), st.integers(0, 2**40)), min_size=1, max_size=1500
    )
)
def test_however_long_a_job_runs_its_points_are_few_and_say_the_same(stretches: list[Any]) -> None:
    series = Series()
    time, seconds, used = 0.0, 0.0, 0.0
    for length, cores, memory in stretches:
        time += length
        assert series.add(record(time, cores, memory)["resources"])
        seconds += length
        used += cores * length
    points = [ResourcePoint.model_validate(point) for point in series.points]
    assert 0 < len(points) <= MOST_POINTS
    assert points[-1].time == time
    assert [point.time for point in points] == sorted({point.time for point in points})
    assert max(point.memory for point in points) == max(memory for _, _, memory in stretches)
    assert resource_summary.average(points, "cores") == pytest.approx(used / seconds, abs=0.01)


def test_what_is_told_twice_or_is_no_point_is_left_out() -> None:
    series = Series()
    assert series.add(record(2)["resources"])
    assert not series.add(record(2)["resources"])
    assert not series.add(record(1)["resources"])
    assert Series([{}, {"time": "x"}, *series.points]).points == series.points
    assert len(series.points) == 1


def used(*points: Any, cores: Any = 4.0, memory: Any = 8 * GIB, **more: Any) -> Resources:
    named = {"accelerator": "none", "accelerator_title": "", "count": 0, **more}
    return Resources(attempt=1, final=True, cores=cores, memory=memory, points=list(points), **named)


def point(time: Any = 120.0, cores: float = 2.0, gib: float = 2.0, **more: Any) -> ResourcePoint:
    return ResourcePoint(time=time, cores=cores, memory=round(gib * GIB), **more)


T4: dict[str, Any] = {
    "accelerator": "t4",
    "accelerator_title": "NVIDIA T4",
    "count": 1,
    "accelerator_memory": 16 * GIB,
}


@pytest.mark.parametrize(
    ("shown", "sentences"),
    [
        (
            used(point(60, 1.8, 3.1), point(120, 2.0, 1.0)),
            ["Peak memory 3.1 of 8\N{NO-BREAK SPACE}GiB.", "CPU 1.9 of 4 cores on average."],
        ),
        (
            used(point(gib=0.25), cores=1, memory=GIB // 2),
            ["Peak memory 256 of 512\N{NO-BREAK SPACE}MiB.", "CPU 2.0 of 1 core on average."],
        ),
        (
            used(point(gib=0.125, cores=0.04)),
            ["Peak memory 128\N{NO-BREAK SPACE}MiB of 8\N{NO-BREAK SPACE}GiB.", "CPU 0.04 of 4 cores on average."],
        ),
        (used(point(), **T4, simulated=True), [..., ..., "NVIDIA T4 is simulated here and has no figures."]),
        (used(point(), **T4), [..., ..., "There are no figures of NVIDIA T4."]),
        (
            used(point(busy=87.4, accelerator_memory=4 * GIB), **T4),
            [..., ..., "NVIDIA T4 busy 87 % of the time.", "Peak memory of NVIDIA T4: 4 of 16\N{NO-BREAK SPACE}GiB."],
        ),
        (
            used(point(accelerator_memory=3 * GIB // 2), **{**T4, "accelerator_memory": None}),
            [..., ..., "Peak memory of NVIDIA T4: 1.5\N{NO-BREAK SPACE}GiB."],
        ),
    ],
)  # fmt: skip
def test_figures_in_words(shown: Resources, sentences: list[Any]) -> None:
    said = resource_summary._sentences(shown)
    assert len(said) == len(sentences)
    assert all(wanted in (..., found) for found, wanted in zip(said, sentences, strict=True))


SIZES = {
    "small": Size(title="Small", cores=1, memory=2 * GIB),
    "medium": Size(title="Medium", cores=2, memory=4 * GIB),
    "large": Size(title="Large", cores=4, memory=8 * GIB),
}


@pytest.mark.parametrize(
    ("shown", "advice"),
    [
        (used(point(gib=7.84)), "It reached 98 % of its memory: choose a larger size, or load less at once."),
        (
            used(point(gib=0.6, cores=0.5)),
            "It used at most 0.6 of 8\N{NO-BREAK SPACE}GiB: a smaller size starts sooner, for example Small.",
        ),
        (
            used(point(gib=0.6, cores=1.5)),
            "It used at most 0.6 of 8\N{NO-BREAK SPACE}GiB: a smaller size starts sooner, for example Medium.",
        ),
        (used(point(gib=0.6, cores=3.9)), None),
        (used(point(gib=5.0)), None),
        (used(point(time=10, gib=0.6, cores=0.5)), None),
        (used(point(gib=0.6, cores=0.5), cores=1, memory=2 * GIB), None),
        (
            used(point(gib=5, busy=0.0), **T4),
            "It never used NVIDIA T4: without an accelerator it starts sooner.",
        ),
        (used(point(gib=5, busy=40.0), **T4), None),
        (used(point(gib=5), **T4), None),
    ],
)
def test_advice_only_where_the_size_is_clearly_wrong(shown: Resources, advice: str | None) -> None:
    name = "small" if shown.memory == 2 * GIB else "large"
    assert resource_summary._advice(shown, name, SIZES) == ([advice] if advice else [])
