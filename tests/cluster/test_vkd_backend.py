"""vkd's back end on real Kubernetes and real Kueue keeps what every back end promises."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from aiinfn_hub.vkd.contract import JobState
from tests.cluster.site import Site
from tests.cluster.vkd_world import ClusterWorld, as_in_the_contract
from tests.vkd.backend_contract import BackendContract
from tests.vkd.local_world import QUICK, SLOW, eventually

SLICE = "nvidia.com/mig-1g.5gb"


@pytest.fixture(scope="module")
def platform_site(cluster):
    """The platform that the contract speaks of: two T4 and one slice."""
    site = Site(cluster, cluster.root / "site", as_in_the_contract)
    asyncio.run(site.set_up())
    set_slices(cluster, 1)
    yield site
    set_slices(cluster, cluster.settings.resources[SLICE])
    site.write()
    asyncio.run(site.set_up())


def set_slices(cluster, number):
    amounts = {SLICE: str(number)}
    path = f"/api/v1/nodes/{cluster.settings.node_name}/status"
    cluster.api.patch(path, {"status": {"capacity": amounts, "allocatable": amounts}})


class TestKueueBackend(BackendContract):
    @pytest.fixture
    async def world(self, platform_site, tmp_path) -> Any:
        world = await ClusterWorld.on(platform_site, tmp_path)
        yield world
        await world.end()

    async def test_a_job_that_can_never_fit_fails_with_the_reason(self, world):
        """Here it waits: a node that has it may be added at any time."""
        job = await world.submit(QUICK, accelerator="slice", count=2)
        await world.until_positions(job)
        assert world.states(job) == []

    async def test_an_interruption_puts_running_jobs_back(self, world):
        """Here it does not: the cluster does not stop with vkd."""
        job = await world.submit(SLOW, accelerator="slice")
        await world.until(job, "running")
        await world.backend.interrupt()
        await world.restart()
        await eventually(lambda: world.backend.queues()["main"].running == 1, "the job runs on")
        assert world.last(job).state is JobState.RUNNING
