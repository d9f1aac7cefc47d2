"""What changes in the cluster shows in vkd within two seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from aiinfn_hub.kube.client import path_of
from tests.cluster import workloads
from tests.cluster.vkd_world import A100, GPU, SLICE
from tests.vkd.local_world import QUICK

WITHIN = 2.0
LABEL = "nvidia.com/gpu.product"


@pytest.fixture
async def node(world: Any) -> AsyncIterator[str]:
    cluster = world.site.cluster
    name = "vkd-a100"
    await asyncio.to_thread(cluster.remove_node, name)
    yield name
    await asyncio.to_thread(cluster.remove_node, name)


async def seen_after(world: Any, accelerator: str, *expected: Any) -> Any:
    """Seconds until free, sessions, batch and offline devices are these."""
    begin = time.monotonic()
    while world.counts(accelerator) != expected:
        assert time.monotonic() - begin < 10, world.counts(accelerator)
        await asyncio.sleep(0.01)
    return time.monotonic() - begin


async def test_a_node_added_cordoned_relabelled_and_removed_shows_at_once(
    world: Any, node: Any, figure: Any
) -> None:
    cluster, path = world.site.cluster, path_of("v1", "nodes", name=node)
    assert world.counts("a100") == (0, 0, 0, 0)
    waiting = await world.submit(QUICK, accelerator="a100")

    await asyncio.to_thread(cluster.add_fake_nodes, [node], {GPU: 4}, {LABEL: A100})
    begin = time.monotonic()
    while sum(world.counts("a100")) != 4:
        assert time.monotonic() - begin < 10, world.counts("a100")
        await asyncio.sleep(0.01)
    took = {"added": time.monotonic() - begin}
    await world.until(waiting, "running")  # the job that waited for such a node
    await seen_after(world, "a100", 3, 0, 1, 0)
    await world.backend.cancel(waiting)
    await world.until(waiting, "cancelled")
    await seen_after(world, "a100", 4, 0, 0, 0)

    await world.admin.patch(path, {"spec": {"unschedulable": True}})
    took["cordoned"] = await seen_after(world, "a100", 0, 0, 0, 4)
    await world.admin.patch(path, {"spec": {"unschedulable": None}})
    took["uncordoned"] = await seen_after(world, "a100", 4, 0, 0, 0)
    await world.admin.patch(path, {"metadata": {"labels": {LABEL: "Something-Else"}}})
    took["relabelled"] = await seen_after(world, "a100", 0, 0, 0, 0)
    await world.admin.patch(path, {"metadata": {"labels": {LABEL: A100}}})
    await seen_after(world, "a100", 4, 0, 0, 0)
    await world.admin.patch(path, {"metadata": {"labels": {"type": "virtual-kubelet"}}})
    took["made a virtual node"] = await seen_after(world, "a100", 0, 0, 0, 0)
    await world.admin.patch(path, {"metadata": {"labels": {"type": "kwok"}}})
    await seen_after(world, "a100", 4, 0, 0, 0)
    await world.admin.delete(path)
    took["removed"] = await seen_after(world, "a100", 0, 0, 0, 0)

    for what, seconds in took.items():
        figure(f"inventory: node {what}, shown after, s", seconds)
        assert seconds < WITHIN


async def test_pods_of_every_namespace_count_and_pending_ones_break_nothing(world: Any) -> None:
    foreign = workloads.session("foreign", {SLICE: 1})
    path = path_of("v1", "pods", namespace="default")
    await world.admin.create(path, foreign)
    try:
        await seen_after(world, "slice", 0, 0, 0, 0)
        assert slices(world).others == 1
        await world.session("pending", "slice", claim=False)
        begin = time.monotonic()
        while (entry := slices(world)).waiting_sessions != 1:
            assert time.monotonic() - begin < 5, entry
            await asyncio.sleep(0.02)
        assert entry.next_session_end is None  # nobody knows when the foreign pod ends
    finally:
        await world.admin.delete(f"{path}/foreign", gracePeriodSeconds=0)
    await world.until_session_runs("pending")
    await seen_after(world, "slice", 0, 1, 0, 0)
    assert slices(world).waiting_sessions == 0
    assert slices(world).next_session_end is not None
    assert slices(world).simulated is None


def slices(world: Any) -> Any:
    return next(entry for entry in world.backend.inventory().accelerators if entry.accelerator == "slice")
