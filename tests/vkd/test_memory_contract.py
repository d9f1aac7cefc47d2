"""The back end of the other tests keeps what every back end promises, so that they say something of the real ones."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aiinfn_hub.contract.problem import Refusal
from tests.vkd.backend_contract import BackendContract
from tests.vkd.local_world import SLOW, claim_request
from tests.vkd.memory_world import MemoryWorld


class TestMemoryBackend(BackendContract):
    @pytest.fixture
    async def world(self, tmp_path: Path) -> AsyncIterator[MemoryWorld]:
        world = MemoryWorld(tmp_path)
        await world.start()
        yield world
        await world.end()

    async def test_a_claim_on_several_devices_gets_as_many_and_nobody_else_has_them(
        self, world: MemoryWorld
    ) -> None:
        both = await world.session("bob", "t4", 2)
        assert len(set(both.devices)) == 2
        assert world.counts("t4") == (0, 2, 0, 0)
        with pytest.raises(Refusal, match="no accelerator"):
            await world.backend.claim("eve", claim_request("nothing"))

    async def test_a_job_that_is_not_over_is_not_forgotten(self, world: MemoryWorld) -> None:
        running = await world.submit(SLOW, accelerator="slice")
        await world.until(running, "running")
        waiting = await world.submit(SLOW, accelerator="slice")
        assert not await world.backend.forget(running)
        assert not await world.backend.forget(waiting)
        await world.backend.cancel(waiting)
        await world.until(waiting, "cancelled")
        assert await world.backend.forget(waiting)
