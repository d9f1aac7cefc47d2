"""Which devices there are, and what becomes of the jobs on those that vanish."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aiinfn_hub.contract.problem import Refusal
from aiinfn_hub.contract.sessions import ClaimState
from aiinfn_hub.contract.states import Cause
from aiinfn_hub.platform.model.accelerators import Accelerator
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.vkd.backends.local import devices
from aiinfn_hub.vkd.backends.local.devices import DeviceTable, RealDevice, assign, discover_nvml
from tests.vkd.local_world import QUICK, SLOW, World, claim_request, eventually, make_platform

T4 = [RealDevice(f"GPU-{n}", "Tesla T4") for n in range(2)]
NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
async def world(tmp_path: Path) -> Any:
    world = World(tmp_path)
    yield world
    await world.end()


def take_out(world: World, *ids: Any) -> None:
    (world.data / "vkd" / "local" / "offline.json").write_text(json.dumps(ids))


def with_products(**products: Any) -> Platform:
    platform = make_platform(use_real_devices=True)
    accelerators = {
        name: accelerator.model_copy(
            update={"local": accelerator.local.model_copy(update={"product": products.get(name)})}
        )
        for name, accelerator in platform.accelerators.items()
    }
    return platform.model_copy(update={"accelerators": accelerators})


def test_a_real_device_goes_to_the_accelerator_of_its_product_and_any_other_to_the_star() -> None:
    platform = with_products(t4="Tesla-T4", slice="*", v70="*")
    found = [*T4, RealDevice("GPU-x", "NVIDIA H200"), RealDevice("MIG-1", "NVIDIA A30 MIG 1g.6gb")]
    assert assign(platform, found) == {"t4": ("GPU-0", "GPU-1"), "slice": ("GPU-x", "MIG-1")}
    assert assign(with_products(t4="Tesla T4"), T4) == {"t4": ("GPU-0", "GPU-1")}
    assert assign(with_products(slice="H100"), T4) == {}


def test_real_devices_replace_the_simulated_ones_of_their_accelerator_only() -> None:
    table = DeviceTable(with_products(t4="Tesla-T4"), timedelta(0))
    table.read(T4[:1], NOW)
    inventory = table.inventory(frozenset(), NOW)
    assert inventory.devices == {"t4": ("GPU-0",), "slice": ("SIM-slice-0",), "v70": ("SIM-v70-0",)}
    assert inventory.simulated == {"slice", "v70"}


def test_real_devices_are_left_alone_where_the_platform_says_so() -> None:
    table = DeviceTable(make_platform(use_real_devices=False), timedelta(0))
    table.read(T4, NOW)
    assert table.inventory(frozenset(), NOW).devices["t4"] == ("SIM-t4-0", "SIM-t4-1")


def test_a_device_has_vanished_after_two_readings_without_it_and_is_gone_after_a_while() -> None:
    table = DeviceTable(with_products(t4="Tesla-T4"), timedelta(minutes=10))
    table.read(T4, NOW)
    table.read(T4[:1], NOW)
    table.read(None, NOW)
    assert table.inventory(frozenset(), NOW).offline == frozenset()
    table.read(T4[:1], NOW)
    later = table.inventory(frozenset(), NOW + timedelta(minutes=9))
    assert (later.offline, later.gone) == ({"GPU-1"}, frozenset())  # type: ignore[comparison-overlap]
    assert table.inventory(frozenset(), NOW + timedelta(minutes=10)).gone == {"GPU-1"}
    table.read(T4, NOW)
    assert table.inventory(frozenset({"GPU-0", "unknown"}), NOW).offline == {"GPU-0"}


def test_a_real_device_that_appears_late_does_not_turn_a_simulated_accelerator_real() -> None:
    table = DeviceTable(with_products(t4="Tesla-T4"), timedelta(0))
    table.read([], NOW)
    table.read(T4, NOW)
    assert table.inventory(frozenset(), NOW).devices["t4"] == ("SIM-t4-0", "SIM-t4-1")


def test_a_driver_that_is_loaded_late_makes_jobs_wait_and_not_fail() -> None:
    platform = with_products(t4="Tesla-T4")
    real = Accelerator.model_validate(
        {"title": "T4", "kind": "gpu", "resource": "nvidia.com/gpu", "product": "Tesla-T4"}
    )
    platform = platform.model_copy(update={"accelerators": {"t4": real}})
    table = DeviceTable(platform, timedelta(minutes=10))
    table.read([], NOW)
    assert table.inventory(frozenset(), NOW).pending == {"t4"}
    assert table.inventory(frozenset(), NOW + timedelta(minutes=10)).pending == frozenset()
    table.read(T4, NOW)
    assert table.inventory(frozenset(), NOW).pending == frozenset()
    assert table.inventory(frozenset(), NOW).devices["t4"] == ("GPU-0", "GPU-1")


def test_a_host_without_a_driver_has_no_real_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    import pynvml

    def no_driver() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", no_driver)
    assert discover_nvml() == []

    def broken() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_UNKNOWN)

    monkeypatch.setattr(pynvml, "nvmlInit", broken)
    assert discover_nvml() is None


def test_a_gpu_that_is_cut_into_slices_is_offered_as_its_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    import pynvml

    names = {"a100": b"NVIDIA A100-PCIE-40GB", "mig": "NVIDIA A100-PCIE-40GB MIG 1g.5gb", "t4": "Tesla T4"}

    def mode(gpu: Any) -> list[Any]:
        if gpu == "t4":
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return [pynvml.NVML_DEVICE_MIG_ENABLE, pynvml.NVML_DEVICE_MIG_ENABLE]

    def slice_of(_gpu: Any, index: Any) -> str:
        if index == 1:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return "mig"

    for name, function in {
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetCount": lambda: 2,
        "nvmlDeviceGetHandleByIndex": ["a100", "t4"].__getitem__,
        "nvmlDeviceGetMigMode": mode,
        "nvmlDeviceGetMaxMigDeviceCount": lambda _: 2,
        "nvmlDeviceGetMigDeviceHandleByIndex": slice_of,
        "nvmlDeviceGetUUID": lambda handle: f"UUID-{handle}".encode(),
        "nvmlDeviceGetName": names.__getitem__,
    }.items():
        assert hasattr(pynvml, name)
        monkeypatch.setattr(pynvml, name, function)
    assert discover_nvml() == [
        RealDevice("UUID-mig", "NVIDIA A100-PCIE-40GB MIG 1g.5gb"),
        RealDevice("UUID-t4", "Tesla T4"),
    ]


async def test_a_driver_that_hangs_does_not_keep_vkd_from_starting(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    monkeypatch.setattr(devices, "_FIRST_READING", 0.2)
    world.platform = with_products(t4="Tesla-T4")
    never = threading.Event()
    try:
        await world.start(discover=lambda: never.wait(60) and [])
        await world.until(await world.submit(QUICK, accelerator="t4"), "succeeded")
    finally:
        never.set()


async def test_a_job_gets_a_real_device_by_its_uuid(world: Any) -> None:
    world.platform = with_products(t4="Tesla-T4")
    await world.start(discover=lambda: T4)
    job = await world.submit("say(environ['CUDA_VISIBLE_DEVICES'])", accelerator="t4", count=2)
    await world.until(job, "succeeded")
    assert await world.log(job) == b"GPU-0,GPU-1\n"
    simulated = {entry.accelerator: entry.simulated for entry in world.backend.inventory().accelerators}
    assert simulated == {"t4": False, "slice": True, "v70": True}


async def test_a_job_on_a_real_device_that_vanished_goes_back_and_fails_only_if_it_stays_away(
    world: Any,
) -> None:
    there = list(T4)
    world.platform = with_products(t4="Tesla-T4")
    await world.start(discover=lambda: list(there), device_interval=0.05, gone_after=timedelta(seconds=2))
    job = await world.submit(SLOW, accelerator="t4", count=2)
    await world.until(job, "running")
    del there[1]
    assert (await world.until(job, "queued")).cause is Cause.DEVICE_LOST
    assert world.counts("t4") == (1, 0, 0, 1)
    assert world.backend.positions() == {job: 1}
    end = await world.until(job, "failed")
    assert end.cause is Cause.NEVER_FITS
    assert "there are 1 here" in str(end.message)


async def test_a_device_taken_out_by_hand_stops_its_job_which_waits_until_it_is_back(world: Any) -> None:
    await world.start()
    job = await world.submit(SLOW, accelerator="slice")
    await world.until(job, "running")
    take_out(world, "SIM-slice-0")
    assert (await world.until(job, "queued")).cause is Cause.DEVICE_LOST
    assert world.counts("slice") == (0, 0, 0, 1)
    with pytest.raises(Refusal, match="none of 1 can be used now"):
        await world.backend.claim("bob", claim_request("slice"))
    take_out(world)
    await world.until(job, "running", attempt=2)


async def test_a_session_keeps_a_device_that_is_taken_out_and_leaves_it_offline(world: Any) -> None:
    await world.start()
    await world.backend.claim("bob", claim_request("slice"))
    take_out(world, "SIM-slice-0")
    await eventually(lambda: world.counts("slice") == (0, 0, 0, 1), "it is offline")
    assert (await world.backend.claim_state("bob")).state is ClaimState.GRANTED
    await world.backend.release("bob")
    assert world.counts("slice") == (0, 0, 0, 1)


async def test_a_damaged_list_of_devices_taken_out_changes_nothing_and_is_said_once(
    world: Any, caplog: pytest.LogCaptureFixture
) -> None:
    await world.start()
    path = world.data / "vkd" / "local" / "offline.json"
    for content in ("{", '"t4"', "[1]"):
        path.write_text(content)
        before = world.backend.inventory().read_at
        await eventually(lambda b=before: world.backend.inventory().read_at > b, "it looks again")  # type: ignore[misc]
        assert world.counts("slice") == (1, 0, 0, 0)
    assert 1 <= len([r for r in caplog.records if "offline.json is ignored" in r.getMessage()]) <= 3


async def test_the_reading_is_young(world: Any) -> None:
    await world.start()
    reading = world.backend.inventory()
    assert [entry.accelerator for entry in reading.accelerators] == ["t4", "slice", "v70"]
    await eventually(lambda: world.backend.inventory().read_at > reading.read_at, "it is confirmed")
    assert world.backend.inventory().age < 2
