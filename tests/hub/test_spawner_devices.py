"""Sessions with accelerators on a real hub with the real vkd: devices are held exactly as long as they are used."""

import asyncio
import time
from collections.abc import Iterator

import aiohttp
import pytest

from tests.hub.realhub import RealHub, pause, real_hub, server_path, session_process, vkd_answers


@pytest.fixture(scope="module")
def hub() -> Iterator[RealHub]:
    with real_hub(vkd=True, session_start="6s") as running:
        yield running


async def figures(hub: RealHub, accelerator: str = "t4") -> dict[str, int]:
    url = f"http://127.0.0.1:{hub.settings['vkd_port']}/services/vkd/api/v1/availability"
    headers = {"Authorization": f"Bearer {hub.settings['vkd_token']}"}
    async with aiohttp.ClientSession(headers=headers) as http, http.get(url) as answer:
        assert answer.status == 200, await answer.text()
        reading = await answer.json()
    return next(entry for entry in reading["accelerators"] if entry["accelerator"] == accelerator)


async def until_free(hub: RealHub, free: int, seconds: float = 20, accelerator: str = "t4") -> None:
    deadline = time.monotonic() + seconds
    while (now := await figures(hub, accelerator))["free"] != free or now["waiting_sessions"]:
        assert time.monotonic() < deadline, now
        await pause()


async def test_a_session_has_its_device_while_it_runs_and_not_longer(hub: RealHub) -> None:
    await vkd_answers(hub)
    status, answer = await hub.begin("ada", {"accelerator": "t4", "count": "1", "time_limit": "1h"})
    assert status in {201, 202}, answer
    await hub.ready("ada")
    environment = session_process(hub.data / "homes/ada").environ()
    assert environment["AIINFN_ACCELERATOR"] == "t4"
    assert environment["AIINFN_COUNT"] == "1"
    assert "CUDA_VISIBLE_DEVICES" in environment
    now = await figures(hub)
    assert (now["free"], now["sessions"]) == (1, 1)
    assert now["next_session_end"] is not None
    await hub.end_session("ada")
    await until_free(hub, 2)


async def test_a_session_that_dies_by_itself_gives_its_device_back(hub: RealHub) -> None:
    await vkd_answers(hub)
    await hub.begin("ada", {"accelerator": "t4"})
    await hub.ready("ada")
    session_process(hub.data / "homes/ada").kill()
    await until_free(hub, 2)
    deadline = time.monotonic() + 20
    while (await hub.server("ada"))["ready"]:  # type: ignore[index]
        assert time.monotonic() < deadline
        await pause()


async def test_two_sessions_of_one_person_hold_a_device_each(hub: RealHub) -> None:
    await vkd_answers(hub)
    await asyncio.gather(
        hub.begin("ada", {"accelerator": "t4"}), hub.begin("ada", {"accelerator": "t4"}, server="second")
    )
    await hub.ready("ada")
    await hub.ready("ada", "second")
    assert (await figures(hub))["sessions"] == 2
    await hub.end_session("ada", "second")
    await until_free(hub, 1)
    await hub.end_session("ada")
    await until_free(hub, 2)


async def test_nobody_holds_more_at_once_than_the_platform_allows(hub: RealHub) -> None:
    await vkd_answers(hub)
    # At the same time: the second is judged by what the first was granted, not by what it has by then.
    answers = await asyncio.gather(
        hub.begin("ben", {"accelerator": "v70"}), hub.begin("ben", {"accelerator": "v70"}, server="second")
    )
    status, answer = max(answers, key=lambda each: each[0])
    assert status == 429, answers
    assert "Your sessions hold 1 AMD Alveo V70 already, of at most 1 at once." in answer["message"]
    first, second = ("", "second") if answers[0][0] < 400 else ("second", "")
    await hub.ready("ben", first)
    await hub.end_session("ben", first)
    await until_free(hub, 1, accelerator="v70")
    status, answer = await hub.begin("ben", {"accelerator": "v70"}, server=second)
    assert status in {201, 202}, answer
    await hub.ready("ben", second)
    await hub.end_session("ben", second)
    await until_free(hub, 1, accelerator="v70")


async def test_a_session_gives_up_when_nothing_becomes_free_and_says_so(hub: RealHub) -> None:
    await vkd_answers(hub)
    await hub.begin("cleo", {"accelerator": "t4", "count": 2})
    await hub.ready("cleo")
    began = time.monotonic()
    status, answer = await hub.begin("ada", {"accelerator": "t4"})
    assert status == 503, answer
    assert time.monotonic() - began < 30
    assert answer["message"] == (
        "No NVIDIA T4 became free within 6 s. "
        "Try again later, choose another accelerator, or start a CPU session."
    )
    assert (await figures(hub))["waiting_sessions"] == 0
    async with hub.browser("ada") as http, http.get(f"{hub.url}/hub/spawn-pending/ada") as page:
        text = await page.text()
        assert page.status == 503
    assert "No NVIDIA T4 became free within 6 s." in text
    assert "Change the choice or try again" in text
    # A start that failed does not stand in the way of the next one.
    status, _ = await hub.begin("ada", {})
    assert status in {201, 202}
    await hub.ready("ada")
    await hub.end_session("ada")
    await hub.end_session("cleo")
    await until_free(hub, 2)


async def test_a_start_that_is_stopped_while_it_waits_leaves_the_line(hub: RealHub) -> None:
    await vkd_answers(hub)
    await hub.begin("cleo", {"accelerator": "t4", "count": 2})
    await hub.ready("cleo")
    waits = asyncio.create_task(hub.begin("ada", {"accelerator": "t4"}))
    deadline = time.monotonic() + 10
    while not (await figures(hub))["waiting_sessions"]:
        assert time.monotonic() < deadline
        await pause()
    await hub.api("DELETE", server_path("ada"))
    await asyncio.wait([waits])
    deadline = time.monotonic() + 10
    while (await figures(hub))["waiting_sessions"]:
        assert time.monotonic() < deadline
        await pause()
    await hub.end_session("cleo")
    await until_free(hub, 2)


async def test_more_devices_than_there_are_working_is_refused_by_the_gate_or_by_vkd(hub: RealHub) -> None:
    await vkd_answers(hub)
    status, answer = await hub.begin("ada", {"accelerator": "t4", "count": 3})
    assert status == 422, answer
    assert "at most 2 NVIDIA T4" in answer["message"]


def test_no_traceback_was_logged(hub: RealHub) -> None:
    # JupyterHub itself logs one where a REST call still waits for the start that another call stopped.
    assert hub.log.count("Traceback") == hub.log.count("asyncio.exceptions.CancelledError")
