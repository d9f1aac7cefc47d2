"""The local back end keeps what every back end promises."""

from __future__ import annotations

from typing import Any

import pytest

from tests.vkd.backend_contract import BackendContract
from tests.vkd.local_world import World


class TestLocalBackend(BackendContract):
    @pytest.fixture
    async def world(self, tmp_path) -> Any:
        world = World(tmp_path)
        await world.start()
        yield world
        await world.end()
