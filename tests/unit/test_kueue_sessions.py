"""What sessions are told while their pods wait for a node: pure, without the cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from aiinfn_hub.contract.sessions import Claim, ClaimState
from aiinfn_hub.kube.inventory import ClusterInventory, DevicePodFacts
from aiinfn_hub.vkd.backends.kubernetes.session_claims import SessionClaims
from tests.unit.test_kueue_inventory import MIG, PLATFORM, READER, node, pod
from tests.vkd.local_world import claim_request


class Nodes:
    """One node with some slices, and the pods of sessions on it or waiting for it."""

    def __init__(self, slices: int) -> None:
        self.inventory = ClusterInventory(PLATFORM)
        self.inventory.see_node(None, READER.node(node(amounts={MIG: str(slices)})))
        # No job is there that would have to make room, so neither cluster nor director is asked.
        self.sessions = SessionClaims(PLATFORM, self.inventory, None, None)  # type: ignore[arg-type]
        self.pods: dict[str, DevicePodFacts] = {}

    def pod(self, session: str, where: str | None, count: int = 1) -> None:
        item: dict[str, Any] = pod(where, "session", count, MIG, accelerator="slice")
        item["metadata"]["labels"]["ai.infn.it/session"] = session
        item["metadata"]["uid"] = session
        after = READER.pod(item)
        assert after is not None
        self.inventory.see_pod(self.pods.get(session), after)
        self.pods[session] = after

    def gone(self, session: str) -> None:
        self.inventory.see_pod(self.pods.pop(session), None)
        self.sessions.release(session)

    async def claim(self, session: str, count: int = 1) -> Claim:
        return await self.sessions.claim(session, claim_request("slice", count))

    def shown(self, *sessions: str) -> list[tuple[str, int | None]]:
        claims = [self.sessions.state(session) for session in sessions]
        return [(claim.state.value, claim.position) for claim in claims if claim is not None]  # type: ignore[attr-defined]


@pytest.fixture
async def one() -> AsyncIterator[Nodes]:
    nodes = Nodes(1)
    yield nodes
    await nodes.sessions.close()


async def test_a_device_that_became_free_is_the_first_ones_before_its_pod_has_its_node(one: Nodes) -> None:
    await one.claim("first")
    one.pod("first", "n1")
    assert [(await one.claim(name)).position for name in ("second", "third")] == [1, 2]
    one.pod("second", None)
    one.pod("third", None)
    one.gone("first")
    assert one.shown("second", "third") == [("granted", None), ("waiting", 1)]
    one.pod("second", "n1")
    assert one.shown("second", "third") == [("granted", None), ("waiting", 1)]


async def test_a_session_whose_pod_never_came_is_before_nobody_after_a_while(
    one: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiinfn_hub.vkd.backends.kubernetes.session_claims.HOLD", 0.0)
    assert (await one.claim("lost")).state is ClaimState.GRANTED
    await one.sessions._claims["lost"].task  # type: ignore[misc]
    assert (await one.claim("next")).state is ClaimState.GRANTED


async def test_one_that_fits_passes_one_that_does_not() -> None:
    nodes = Nodes(2)
    await nodes.claim("first")
    nodes.pod("first", "n1")
    assert (await nodes.claim("large", 2)).position == 1
    nodes.pod("large", None, 2)
    assert (await nodes.claim("small")).state is ClaimState.GRANTED
    await nodes.sessions.close()
