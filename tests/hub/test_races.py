"""What people and operators do at the same moment: each gets a sentence, and nothing is left running."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from yarl import URL

from tests.hub.realhub import RealHub, pause, processes_of, real_hub, server_path, xsrf

NONE = {"accelerator": "none"}
ODD = ["a%2Fb", "..%2F..%2Fx", "%2e%2e", "%C3%A9%F0%9F%99%82", "x" * 300, "a%0Ab", "a%00b", "a%ffb", "%3Cb%3E", "a%20b", "-", "A"]  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub() -> AsyncIterator[RealHub]:
    with real_hub(vkd=False, slow_spawn_timeout=30) as running:
        yield running


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def raw(hub: RealHub, method: str, path: str, **options: Any) -> tuple[Any, Any]:
    headers = {"Authorization": f"token {hub.settings['admin_token']}"}
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.request(method, URL(f"{hub.url}/hub/api{path}", encoded=True), **options) as answer,
    ):
        return answer.status, await answer.text()


async def starting(hub: RealHub, who: str, server: str = "") -> Any:
    """Ask for a session and wait until its start is in progress."""
    await hub.know(who)
    asked = asyncio.create_task(hub.begin(who, NONE, server))
    while not (await hub.server(who, server) or {}).get("pending"):
        assert not asked.done(), await asked
        await pause()
    return asked


async def nothing_left(hub: RealHub, who: str) -> None:
    async def left() -> list[Any]:
        return [each.cmdline() for each in processes_of(hub.data / "homes" / who)]

    for _ in range(150):
        if not await left():
            return
        await pause()
    raise AssertionError(await left())


@pytest.mark.parametrize("server", ["", "second"])
async def test_somebody_whose_session_starts_is_deleted_and_nothing_is_left(
    hub: RealHub, server: str
) -> None:
    await hub.know("ben")
    asked = await starting(hub, "ben", server)
    status, text = await raw(hub, "DELETE", "/users/ben")
    assert status == 204, text
    status, answer = await asyncio.wait_for(asked, 60)
    assert status in {404, 409}, answer
    assert (await raw(hub, "GET", "/users/ben"))[0] == 404
    await nothing_left(hub, "ben")


async def test_somebody_with_named_sessions_is_deleted_and_none_is_left(hub: RealHub) -> None:
    await hub.begin("ben", NONE, "one")
    await hub.ready("ben", "one")
    assert (await raw(hub, "DELETE", "/users/ben"))[0] == 204
    await nothing_left(hub, "ben")


async def test_a_start_that_is_stopped_is_an_answer_to_who_waits_for_it(hub: RealHub) -> None:
    asked = await starting(hub, "ada")
    status, text = await raw(hub, "DELETE", server_path("ada"))
    assert status in {202, 204}, text
    status, answer = await asyncio.wait_for(asked, 60)
    assert (status, answer["message"]) == (409, "The start of this session was stopped.")
    await nothing_left(hub, "ada")
    assert not (await raw(hub, "GET", "/users/ada"))[1].count('"pending": "spawn"')


async def test_a_page_that_waits_for_a_start_that_is_stopped_says_so(hub: RealHub) -> None:
    async with hub.browser("ada") as http:

        async def submit() -> tuple[Any, Any]:
            form = {"accelerator": "none", "_xsrf": xsrf(http)}
            async with http.post(f"{hub.url}/hub/spawn", data=form) as answer:
                return answer.status, await answer.text()

        asked = asyncio.create_task(submit())
        while not (await hub.server("ada") or {}).get("pending"):
            await pause()
        assert (await raw(hub, "DELETE", server_path("ada")))[0] in {202, 204}
        status, text = await asyncio.wait_for(asked, 60)
    assert status < 500, text[-2000:]
    await nothing_left(hub, "ada")


@pytest.mark.parametrize("name", ODD)
async def test_a_session_of_an_odd_name_starts_or_is_refused_in_words(hub: RealHub, name: str) -> None:
    await hub.know("ada")
    status, text = await raw(hub, "POST", f"/users/ada/servers/{name}", json={"user_options": NONE})
    assert status < 500, text
    assert "Traceback" not in text
    model = (await hub.api("GET", "/users/ada?include_stopped_servers=1"))[1]
    for server in [name for name in model["servers"] if name]:
        path = URL("").joinpath(server).raw_path if "/" not in server else server.replace("/", "%2F")
        status, text = await raw(hub, "DELETE", f"/users/ada/servers/{path}", json={"remove": True})
        assert status < 500, text
    await hub.end_session("ada")
    await nothing_left(hub, "ada")


async def test_none_of_it_was_a_fault(hub: RealHub) -> None:
    assert "Traceback" not in hub.told
