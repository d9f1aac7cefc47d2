"""The order in which jobs start."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from aiinfn_hub.vkd.backends.local.scheduler import Fit, Line, UsageMeter, WaitingJob, weight_of

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)


def job(
    name: str,
    *,
    project: str = "flavour",
    lane: str = "t4",
    priority: int = 0,
    age: Any = 0.0,
    queue: str = "main",
    count: int = 1,
    number: int = 0,
) -> WaitingJob:
    at = BEGIN - timedelta(seconds=age)
    return WaitingJob(name, queue, project, lane, priority, at, count, 1, 1, number)


def line_of(*jobs: Any) -> Line:
    line = Line()
    for waiting in jobs:
        line.add(waiting)
    return line


def drain(
    line: Line,
    use: dict[str, Any] | None = None,
    fit: Callable[..., Any] = lambda _: Fit.YES,
    blocked: Any = (),
) -> Any:
    blocked, order = set(blocked), []
    while waiting := line.next(lambda project: (use or {}).get(project, 0.0), fit, blocked):
        order.append(waiting.id)
    return order


def test_priority_comes_first_then_the_project_that_used_least_then_age() -> None:
    line = line_of(
        job("old", age=100),
        job("older", age=200),
        job("rich", project="medphys", age=900),
        job("urgent", project="medphys", priority=10),
    )
    use = {"flavour": 5.0, "medphys": 50.0}
    assert line.positions(use.__getitem__) == {"urgent": 1, "older": 2, "old": 3, "rich": 4}
    assert drain(line, use) == ["urgent", "older", "old", "rich"]


def test_projects_of_equal_use_are_served_by_age() -> None:
    line = line_of(job("b", project="medphys", age=2), job("a", age=3), job("c", age=1))
    assert line.positions(lambda _: 0.0) == {"a": 1, "b": 2, "c": 3}
    assert drain(line) == ["a", "b", "c"]


def test_places_are_counted_per_queue_and_follow_a_change_of_use() -> None:
    line = line_of(job("a", age=3), job("b", project="medphys", age=2), job("x", queue="short", priority=5))
    use = {"flavour": 0.0, "medphys": 1.0}
    assert line.positions(use.__getitem__) == {"a": 1, "b": 2, "x": 1}
    use["flavour"] = 2.0
    assert line.positions(use.__getitem__) == {"b": 1, "a": 2, "x": 1}
    line.remove("b")
    assert line.positions(use.__getitem__) == {"a": 1, "x": 1}


def test_nobody_overtakes_in_a_lane_and_other_lanes_go_on() -> None:
    line = line_of(
        job("two", count=2, age=9),
        job("one", age=8),
        job("slice", lane="slice", age=7),
        job("cpu", lane="none", count=0),
    )
    fit = lambda w: Fit.NO_DEVICE if w.lane == "t4" and w.count == 2 else Fit.YES  # noqa: E731
    assert drain(line, fit=fit) == ["slice", "cpu"]
    assert len(line) == 2


def test_a_job_that_has_its_device_but_no_cores_is_not_starved_by_small_cpu_jobs() -> None:
    line = line_of(job("gpu", age=9), job("cpu", lane="none", count=0, age=1), job("slice", lane="slice"))
    fit = lambda w: Fit.NO_ROOM if w.lane == "t4" else Fit.YES  # noqa: E731
    assert drain(line, fit=fit) == ["slice"]
    line = line_of(job("cpu", lane="none", count=0, age=9), job("gpu", age=1))
    fit = lambda w: Fit.NO_ROOM if w.lane == "none" else Fit.YES  # noqa: E731
    assert drain(line, fit=fit) == ["gpu"]


def test_blocked_lanes_stand_still() -> None:
    assert drain(line_of(job("a"), job("b", lane="slice")), blocked={"t4"}) == ["b"]


def test_a_job_that_returns_is_back_in_its_place() -> None:
    first, second = job("first", age=2), job("second", age=1)
    line = line_of(first, second)
    assert line.next(lambda _: 0.0, lambda _: Fit.YES, set()) is first
    line.add(first)
    line.add(first)
    assert line.positions(lambda _: 0.0) == {"first": 1, "second": 2}


@given(st.permutations(range(8)), st.permutations(range(8)))
def test_the_points_of_a_sweep_are_in_order_whichever_return_and_when(
    arrive: list[Any], gone: list[Any]
) -> None:
    """They were submitted at one moment, so their numbers decide."""
    points = [job(f"p{number}", number=number) for number in range(8)]
    line = line_of(*(points[number] for number in arrive))
    for number in gone[:4]:
        line.remove(f"p{number}")
    for number in gone[:4]:
        line.add(points[number])
    assert line.positions(lambda _: 0.0) == {f"p{number}": number + 1 for number in range(8)}
    assert drain(line) == [f"p{number}" for number in range(8)]


def test_use_decays_by_half_in_its_half_life_and_running_jobs_count() -> None:
    meter = UsageMeter(timedelta(days=7))
    meter.seed({"flavour": 1000.0}, BEGIN)
    assert meter.value("flavour", BEGIN + timedelta(days=7)) == 500
    meter.begin("a", "medphys", 2.0, BEGIN)
    assert meter.value("medphys", BEGIN) == 120, "a job that just began counts a minute"
    assert meter.value("medphys", BEGIN + timedelta(minutes=10)) == 1200
    meter.end("a", "medphys", BEGIN + timedelta(minutes=10))
    meter.end("a", "medphys", BEGIN + timedelta(minutes=99))
    assert meter.value("medphys", BEGIN + timedelta(minutes=10)) == 1200
    assert weight_of(0, 20) == weight_of(1, 64) == 1


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["flavour", "medphys"]),
            st.sampled_from(["t4", "none"]),
            st.integers(0, 2),
            st.integers(0, 5),
        )
    ),
    st.sets(st.integers(0, 20)),
)
@settings(deadline=None, database=None)
def test_the_order_of_starting_is_the_order_of_the_places(specs: list[Any], removed: set[Any]) -> None:
    jobs = [
        job(f"j{i}", project=project, lane=lane, priority=priority, age=age)
        for i, (project, lane, priority, age) in enumerate(specs)
    ]
    line = line_of(*jobs)
    for index in removed:
        line.remove(f"j{index}")
    use = {"flavour": 1.0, "medphys": 2.0}
    left = [waiting for i, waiting in enumerate(jobs) if i not in removed]
    expected = [
        w.id
        for _, w in sorted(
            enumerate(left), key=lambda e: (-e[1].priority, use[e[1].project], e[1].queued_at, e[0])
        )
    ]
    places = line.positions(use.__getitem__)
    assert sorted(places, key=places.__getitem__) == expected
    assert drain(line, use) == expected
    assert line.in_lane("t4") == line.in_queue("main") == len(line) == 0


def test_ten_thousand_waiting_jobs_cost_little() -> None:
    chance = random.Random(1)
    line = Line()
    for n in range(10_000):
        line.add(
            job(
                f"j{n}",
                project=f"p{n % 20}",
                lane=chance.choice(["t4", "slice", "v70", "none"]),
                priority=n % 3,
                age=chance.random() * 1e6,
                queue=f"q{n % 3}",
            )
        )
    use = defaultdict(float, {f"p{n}": float(n) for n in range(20)})

    def best(action: Callable[..., Any], times: int = 5) -> Any:
        """Of the processor, not of a clock on a wall: that of a busy machine goes on meanwhile."""
        taken = []
        for _ in range(times):
            begun = time.thread_time()
            action()
            taken.append(time.thread_time() - begun)
        return min(taken) * 1000

    def places_anew() -> None:
        line.add(job(f"another {len(line)}"))
        line.positions(use.__getitem__)

    stuck = best(lambda: drain(line, use, fit=lambda _: Fit.NO_DEVICE))
    several = iter(range(10))
    starts = best(
        lambda: drain(line, use, fit=lambda _: Fit.YES if next(several, None) is not None else Fit.NO_DEVICE),
        1,
    )
    places = best(places_anew)
    again = best(lambda: line.positions(use.__getitem__))
    print(f"stuck {stuck:.2f} ms, ten starts {starts:.2f} ms, places {places:.2f} ms, again {again:.3f} ms")
    assert stuck < 50
    assert starts < 50
    assert places < 250
    assert again < 5
