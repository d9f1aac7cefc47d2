"""The order in which Jobs reach Kueue, and the seconds between them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiinfn_hub.contract.jobs import Work
from aiinfn_hub.platform.model.accelerators import Accelerator
from aiinfn_hub.platform.model.images import Image
from aiinfn_hub.platform.model.projects import Size
from aiinfn_hub.platform.selection import Door, Selection
from aiinfn_hub.vkd.backends.kubernetes.creation_order import APART, CreationOrder
from aiinfn_hub.vkd.domain.backend import BackendJob

AT = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
T4 = Accelerator.model_validate({"title": "NVIDIA T4", "kind": "gpu", "resource": "nvidia.com/gpu"})
SELECTION = Selection(
    door=Door.JOB, person="ada", project="flavour",
    image_name="standard", image=Image.model_validate({"title": "Standard", "reference": "example.org/standard:1"}),
    size_name="small", size=Size.model_validate({"title": "Small", "cores": 1, "memory": "2Gi"}),
    accelerator_name="t4", accelerator=T4, count=1, queue_name="main", priority=0, time_limit=timedelta(hours=1),
)  # fmt: skip
NONE = SELECTION.model_copy(update={"accelerator_name": "none", "accelerator": None, "count": 0})
WORK = Work(kind="script", path="run.py", snapshot=".aiinfn/jobs/x/run.py")


def point(number: int, selection: Selection = SELECTION) -> BackendJob:
    return BackendJob(f"p{number}", selection, WORK, f"run.{number}.log", AT, number)


class Cluster:
    """Time, and the Workloads that Kueue makes some time after a Job; whole seconds are all that it keeps."""

    def __init__(self) -> None:
        self.now = 0.3
        self.woken: list[str] = []
        self.order = CreationOrder(lambda: self.now, self.woken.append)
        self.seconds: dict[str, int] = {}

    def create(self, job: BackendJob, delay: float = 0.05) -> None:
        assert self.order.pause(job) == 0
        self.order.created(job)
        self.now += delay
        self.seconds[job.id] = int(self.now)
        self.order.seen(job, admitted=False)


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def test_the_next_one_comes_a_second_after_kueue_has_the_one_before(cluster: Cluster) -> None:
    first, second, third = (point(number) for number in (1, 2, 3))
    for job in (first, second, third):
        cluster.order.add(job)
    assert cluster.order.pause(first) == 0
    assert cluster.order.pause(second) is None
    cluster.order.created(first)
    assert cluster.woken[-1] == second.id
    assert (cluster.order.pause(second) or 0) > 0, "it is not known when Kueue makes the first one's Workload"
    cluster.now += 5
    assert (cluster.order.pause(second) or 0) > 0, "Kueue is away"
    cluster.order.seen(first, admitted=True)
    assert cluster.order.pause(second) == APART, "it may be preempted, and is then before the second"
    cluster.now += APART
    assert cluster.order.pause(second) == 0
    assert cluster.order.pause(third) is None


def test_lines_of_other_projects_queues_and_accelerators_go_on(cluster: Cluster) -> None:
    cluster.order.add(point(1))
    cluster.create(point(1))
    others = [{"project": "medphys"}, {"queue_name": "short"}, {"accelerator_name": "slice"}]
    for number, change in enumerate(others, 2):
        other = point(number, SELECTION.model_copy(update=change))
        cluster.order.add(other)
        assert cluster.order.pause(other) == 0


def test_without_an_accelerator_a_job_follows_as_soon_as_the_one_before_has_its_quota(
    cluster: Cluster,
) -> None:
    first, second = point(1, NONE), point(2, NONE)
    cluster.order.add(first)
    cluster.order.add(second)
    cluster.create(first)
    assert (cluster.order.pause(second) or 0) > 0
    cluster.order.seen(first, admitted=True)
    assert cluster.woken[-1] == second.id
    assert cluster.order.pause(second) == 0


@pytest.mark.parametrize("which", ["waits for its turn", "was created last"])
def test_one_that_ended_holds_up_nobody(cluster: Cluster, which: str) -> None:
    first, second, third = (point(number) for number in (1, 2, 3))
    for job in (first, second, third):
        cluster.order.add(job)
    cluster.create(first)
    if which == "was created last":
        cluster.order.over(first)
        assert cluster.order.pause(second) == 0
    else:
        cluster.order.over(second)
        assert cluster.woken[-1] == third.id
        assert cluster.order.pause(third) == APART


def test_a_restarted_vkd_begins_after_the_last_one_in_the_cluster(cluster: Cluster) -> None:
    for number in (2, 1):
        cluster.order.created(point(number))
    cluster.order.add(point(3))
    assert (cluster.order.pause(point(3)) or 0) > 0
    cluster.order.seen(point(1), admitted=True)
    assert (cluster.order.pause(point(3)) or 0) > 0, "the second was the last"
    cluster.order.seen(point(2), admitted=True)
    cluster.now += APART
    assert cluster.order.pause(point(3)) == 0


@given(
    arrive=st.permutations(range(6)),
    delays=st.lists(st.floats(0, 3), min_size=6, max_size=6),
    cancelled=st.sets(st.integers(0, 5)),
)
def test_the_seconds_of_workloads_are_in_the_order_of_submission(
    arrive: list[Any], delays: list[Any], cancelled: set[Any]
) -> None:
    cluster = Cluster()
    jobs = [replace(point(number), queued_at=AT + timedelta(seconds=number // 2)) for number in range(6)]
    for number in arrive:
        cluster.order.add(jobs[number])
    for number in sorted(cancelled):
        cluster.order.over(jobs[number])
    for number in sorted(set(range(6)) - cancelled):
        pause = cluster.order.pause(jobs[number])
        assert pause is not None
        cluster.now += pause
        cluster.create(jobs[number], delays[number])
    made = list(cluster.seconds.values())
    assert made == sorted(set(made))


def test_a_job_that_is_held_keeps_nobody_waiting_and_comes_back_at_its_place(cluster: Cluster) -> None:
    first, second, third = (point(number) for number in (1, 2, 3))
    for job in (first, second, third):
        cluster.order.add(job)
    cluster.order.leave(first)
    cluster.order.leave(first)
    assert cluster.woken[-1] == "p2"
    assert cluster.order.pause(first) is None
    cluster.create(second)
    cluster.order.add(first)
    assert cluster.order.first(third) == "p1"
    cluster.now += APART
    cluster.create(first)
    cluster.now += APART
    cluster.create(third)
