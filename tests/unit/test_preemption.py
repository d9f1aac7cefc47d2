"""Who makes room for a session: the one whom kube-scheduler would choose."""

from __future__ import annotations

from typing import Any

import pytest

from aiinfn_hub.kube.inventory import DevicePlace, DevicePodFacts
from aiinfn_hub.vkd.backends.kubernetes.preemption import Relief, choose

GPU = "nvidia.com/gpu"


def job(
    name: str, count: int = 1, minute: int = 0, *, ending: bool = False, priority: Any = -1000
) -> DevicePodFacts:
    started = f"2026-11-24T12:{minute:02}:00Z"
    return DevicePodFacts(
        name, "n", ((GPU, count),), job=name, priority=priority, started=started, ending=ending
    )


def session(count: int = 1, *, ending: bool = False) -> DevicePodFacts:
    return DevicePodFacts("s", "n", ((GPU, count),), session="s", priority=1000, ending=ending)


def place(name: str, free: int, *pods: Any, healthy: int = 4) -> DevicePlace:
    return DevicePlace(name, healthy, free, pods)


@pytest.mark.parametrize(
    ("places", "count", "promised", "expected"),
    [
        ([], 1, {}, (Relief.NONE, "", [])),
        ([place("a", 0, session())], 1, {}, (Relief.NONE, "", [])),
        ([place("a", 1)], 1, {}, (Relief.FREE, "a", [])),
        ([place("a", 0, job("x")), place("b", 1)], 1, {}, (Relief.FREE, "b", [])),
        # A session needs all its devices on one node.
        ([place("a", 1), place("b", 1)], 2, {}, (Relief.NONE, "", [])),
        ([place("a", 1, job("x")), place("b", 1)], 2, {}, (Relief.BY_EVICTION, "a", ["x"])),
        # What ends already is waited for, and nobody else is stopped.
        ([place("a", 0, job("x", ending=True), job("y"))], 1, {}, (Relief.COMING, "a", [])),
        ([place("a", 0, session(ending=True), job("y"))], 1, {}, (Relief.COMING, "a", [])),
        ([place("a", 0, job("x", ending=True), job("y"))], 2, {}, (Relief.BY_EVICTION, "a", ["y"])),
        # The last to start is the first to go; whoever can be spared is.
        ([place("a", 0, job("old", minute=1), job("new", minute=9))], 1, {}, (Relief.BY_EVICTION, "a", ["new"])),
        ([place("a", 0, job("old", 2, 1), job("new", 1, 9))], 2, {}, (Relief.BY_EVICTION, "a", ["old"])),
        ([place("a", 0, job("old", 1, 1), job("new", 3, 9))], 1, {}, (Relief.BY_EVICTION, "a", ["new"])),
        ([place("a", 0, job("low", minute=1, priority=-2000), job("high", minute=9))], 1, {}, (Relief.BY_EVICTION, "a", ["low"])),
        # Between nodes: fewest victims, then the youngest.
        ([place("a", 0, job("x"), job("y")), place("b", 0, job("z", 2))], 2, {}, (Relief.BY_EVICTION, "b", ["z"])),
        ([place("a", 0, job("x", minute=1)), place("b", 0, job("z", minute=2))], 1, {}, (Relief.BY_EVICTION, "b", ["z"])),
        # Devices that are for a session whose pod is on its way are not given twice.
        ([place("a", 1)], 1, {"a": 1}, (Relief.NONE, "", [])),
        ([place("a", 1, job("x"))], 1, {"a": 1}, (Relief.BY_EVICTION, "a", ["x"])),
        ([place("a", 0, job("x", ending=True), job("y"))], 1, {"a": 1}, (Relief.BY_EVICTION, "a", ["y"])),
    ],
)  # fmt: skip
def test_the_choice(
    places: list[DevicePlace], count: int, promised: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    choice = choose(places, GPU, count, promised)
    assert (choice.room, choice.node, [pod.uid for pod in choice.victims]) == expected
