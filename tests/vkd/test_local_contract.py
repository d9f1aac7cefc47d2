"""The local back end keeps what every back end promises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.vkd.backend_contract import BackendContract
from tests.vkd.local_world import World


class TestLocalBackend(BackendContract):
    @pytest.fixture
    async def world(self, tmp_path: Path) -> Any:
        world = World(tmp_path)
        await world.start()
        yield world
        await world.end()

    async def test_a_session_is_given_its_devices_and_keeps_them(self, world: Any) -> None:
        claim = await world.session("bob", "slice")
        assert len(claim.devices) == 1
        assert claim.environment["CUDA_VISIBLE_DEVICES"] == claim.devices[0]
        assert (await world.session("bob", "slice")).devices == claim.devices
        await world.restart()
        assert (await world.backend.claim_state("bob")).devices == claim.devices
