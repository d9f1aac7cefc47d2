"""A node that dies with a session on it: what its person reads, and how a new session starts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest

from aiinfn_hub.spawner import lost_node
from tests.cluster.harness import wait_for
from tests.cluster.hub_world import ClusterHub, cluster_hub
from tests.cluster.site import Site
from tests.hub.stack import browser

PATIENCE = 5


@pytest.fixture
def others(cluster: Any) -> Iterator[None]:
    """Other nodes that live: where all are away, Kubernetes takes it for its own fault, and gives no pod up."""
    names = ["other-1", "other-2"]
    cluster.add_fake_nodes(names, {}, {})
    for name in names:
        cluster.api.patch(f"/api/v1/nodes/{name}", {"spec": {"unschedulable": True}})
    yield
    for name in names:
        cluster.remove_node(name)


@pytest.fixture
def hub(site: Site, tmp_path: Any) -> Iterator[ClusterHub]:
    with cluster_hub(tmp_path / "hub", site, patience=PATIENCE) as (hub, _):
        yield hub
        assert "Traceback" not in hub.told()


async def test_a_session_on_a_dead_node_is_told_ends_and_is_never_doubled_unasked(
    hub: ClusterHub, others: None, cluster: Any, site: Site, figure: Any
) -> None:
    site.home("ada")
    async with browser(hub) as client:
        await client.sign_in("ada")
        await asyncio.to_thread(hub.start_session, "ada")
        pod = hub.pod("ada")
        assert pod is not None
        stopped = time.monotonic()
        await asyncio.to_thread(cluster.kill, "kubelet")
        try:
            while "does not answer. If it comes back soon" not in (await client.get("/hub/home")).text:
                assert time.monotonic() - stopped < 90
                await asyncio.sleep(1)
            figure("dead node: its session told on the home page after, s", time.monotonic() - stopped)
            # Kubernetes gives it up after the node's patience, and so does the hub, without waiting for the node.
            await asyncio.to_thread(
                wait_for, "the session to end", lambda: not hub.model("ada"), 60 + PATIENCE
            )
            figure("dead node: its session given up after, s", time.monotonic() - stopped)
            page = await client.get("/hub/spawn/ada")
            assert "does not answer any more. What was not saved is lost" in page.text or (
                "does not answer any more" in (await client.get("/user/ada/lab")).text
            )

            # The pod is still there, and may write: nothing is started beside it unasked, and nothing takes it away.
            told = await asyncio.to_thread(hub.refused, "ada")
            assert "Your earlier session is on the node" in told
            left = hub.pod("ada")
            assert left is not None
            assert left["metadata"]["uid"] == pod["metadata"]["uid"]
            await asyncio.sleep(lost_node.CONFIRM_AFTER)
            status, _ = await asyncio.to_thread(hub.ask, "ada")
            assert status in {201, 202}

            def replaced() -> bool:
                new = hub.pod("ada")
                return new is not None and new["metadata"]["uid"] != pod["metadata"]["uid"]

            await asyncio.to_thread(wait_for, "the new pod", replaced, 30)
        finally:
            back = time.monotonic()
            await asyncio.to_thread(cluster.start, "kubelet")
        # Here the new pod waits for the same node.
        await asyncio.to_thread(hub.until_ready, "ada")
        figure("dead node: back to the new session ready, s", time.monotonic() - back)
