"""vkd works with the parts of a back end, whoever they belong to, and without one that has devices for sessions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.model.settings import BackendKind
from aiinfn_hub.vkd.backends import registry
from aiinfn_hub.vkd.backends.common.no_session_devices import NoSessionDevices
from aiinfn_hub.vkd.domain.backend import Backends
from tests.vkd.memory_backend import MemoryBackend, MemoryBatch
from tests.vkd.world import notebook, platform, reaches, vkd


def without_devices(what: Platform) -> Backends:
    """Make a batch system that hands out no devices to sessions."""
    return Backends.batch(MemoryBatch(what), devices=NoSessionDevices(what))


def claim(accelerator: str) -> dict[str, Any]:
    until = datetime.now(UTC) + timedelta(hours=8)
    return {
        "owner": "anna",
        "project": "flavour",
        "accelerator": accelerator,
        "count": 1,
        "until": until.isoformat(),
    }


@pytest.fixture
async def batch_only(tmp_path: Path) -> Any:
    async with vkd(tmp_path, without_devices) as world:
        yield world


async def test_a_session_is_told_that_it_can_have_no_device_there(batch_only: Any) -> None:
    hub = batch_only.as_("hub")
    _, body = await hub.ask("PUT", "/claims/anna", status=422, json=claim("t4"))
    assert body["reason"] == "impossible"
    assert body["message"] == "Sessions cannot have a T4 here: the batch system gives devices to jobs only."
    assert body["hint"] == "Start a CPU session, and submit what needs the device as a job."
    assert body["field"] == "accelerator"
    await hub.ask("GET", "/claims/anna", status=404)
    await hub.ask("DELETE", "/claims/anna", status=204)
    _, body = await hub.ask("PUT", "/claims/anna", status=422, json=claim("h200"))
    assert body["reason"] == "unknown"


async def test_jobs_are_as_everywhere_where_sessions_have_no_devices(batch_only: Any) -> None:
    anna = batch_only.as_("anna")
    body = {**notebook(), "accelerator": "t4", "count": 2}
    checks = (await anna.post("/jobs?dry_run=1", body, status=200))["checks"]
    assert [check["what"] for check in checks if check["verdict"] == "problem"] == []
    job = (await anna.post("/jobs", body))["id"]
    batch_only.backend.run(job)
    await reaches(anna, job, "running")
    assert [found["id"] for found in (await anna.get("/jobs"))["jobs"]] == [job]
    shown = (await anna.get("/platform"))["accelerators"]
    assert {each["name"]: each["availability"]["total"] for each in shown}["t4"] == 2


class Broker(NoSessionDevices):
    """Notes what it is told."""

    def __init__(self, what: Platform) -> None:
        super().__init__(what)
        self.told: list[Any] = []

    async def adopt(self, platform: Platform) -> None:
        self.told.append(platform)

    async def stop(self) -> None:
        self.told.append("stop")


async def test_parts_go_over_to_a_changed_file_and_stop_each_once() -> None:
    what, changed = platform(), platform(title="Changed")
    jobs, devices = MemoryBackend(what), Broker(what)
    for parts in (Backends.complete(jobs), Backends.batch(jobs, devices=devices)):
        await parts.adopt(changed)
        await parts.stop()
    assert jobs.platform is changed
    assert devices.told == [changed, "stop"]


async def test_devices_of_sessions_are_let_go_also_when_jobs_cannot_be() -> None:
    class Failing(MemoryBatch):
        async def stop(self) -> None:
            raise OSError("no space left")

    what = platform()
    devices = Broker(what)
    with pytest.raises(OSError, match="no space"):
        await Backends.batch(Failing(what), devices=devices).stop()
    assert devices.told == ["stop"]


def test_every_back_end_of_the_platform_file_is_in_the_table() -> None:
    assert set(registry.FACTORIES) == set(BackendKind)
