"""The hub's client of vkd against a real server: short waits, one request for many forms, and words for failures."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web

from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.contract.sessions import ClaimRequest
from aiinfn_hub.vkd.client import VkdClient, VkdUnavailableError, session_id
from tests.hub.realhub import free_port

REQUEST = ClaimRequest(
    owner="ada", project="flavour", accelerator="t4", count=1, until=datetime(2030, 1, 1, tzinfo=UTC)
)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[VkdClient]:
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(application)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    client = VkdClient(f"http://127.0.0.1:{port}/services/vkd", "the-token")
    try:
        yield client
    finally:
        await client.close()
        await runner.cleanup()


def reading(age: float = 0.5) -> web.Response:
    return web.json_response({"accelerators": [], "read_at": "2030-01-01T00:00:00Z", "age": age})


async def test_many_forms_cost_one_request_and_the_age_goes_on() -> None:
    requests = []

    async def answer(request: web.Request) -> web.Response:
        requests.append((request.path, request.headers["Authorization"]))
        await asyncio.sleep(0.05)
        return reading()

    async with serving(answer) as client:
        answers = await asyncio.gather(*(client.availability() for _ in range(50)))
        assert all(answer is not None for answer in answers)
        later = await client.availability()
        assert later is not None
        assert later.age > 0.5
    assert requests == [("/services/vkd/api/v1/availability", "Bearer the-token")]


async def test_a_form_never_waits_long_for_a_vkd_that_hangs_and_others_do_not_wait_again() -> None:
    hung, over = [], asyncio.Event()

    async def hang(request: web.Request) -> web.Response:
        hung.append(request.path)
        await over.wait()
        return reading()

    async with serving(hang) as client:
        async with asyncio.timeout(20):
            assert await client.availability() is None
            assert await client.availability() is None
        over.set()
    assert len(hung) <= 1, "that it hangs is remembered for a moment"


async def test_a_form_that_is_given_up_does_not_take_the_answer_away_from_the_others() -> None:
    async def answer(_: web.Request) -> web.Response:
        await asyncio.sleep(0.2)
        return reading()

    async with serving(answer) as client:
        first = asyncio.create_task(client.availability())
        second = asyncio.create_task(client.availability())
        await asyncio.sleep(0.05)
        first.cancel()
        assert await second is not None


async def test_a_vkd_that_is_not_there_or_answers_nonsense_is_unavailable() -> None:
    nowhere = VkdClient(f"http://127.0.0.1:{free_port()}", "x")
    assert await nowhere.availability() is None
    with pytest.raises(VkdUnavailableError):
        await nowhere.claim("ada", REQUEST)
    await nowhere.close()
    for body, status in (
        ("<html>", 502),
        ('{"reason": "internal", "message": "m"}', 500),
        ("[]", 200),
        ("{", 200),
    ):

        async def answer(_: web.Request, body: Any = body, status: int = status) -> web.Response:
            return web.Response(text=body, status=status, content_type="application/json")

        async with serving(answer) as client:
            assert await client.availability() is None
            with pytest.raises(VkdUnavailableError):
                await client.claim("ada", REQUEST)


async def test_refusals_of_vkd_keep_their_words_and_names_cannot_leave_their_place_in_the_path() -> None:
    paths = []

    async def answer(request: web.Request) -> web.Response:
        paths.append(request.raw_path)
        status = 404 if request.method != "PUT" else 503
        reason = "not_found" if status == 404 else "capacity"
        return web.json_response({"reason": reason, "message": "No.", "hint": "Wait."}, status=status)

    async with serving(answer) as client:
        with pytest.raises(Refusal) as refused:
            await client.claim(session_id("a/../b?c", "x y"), REQUEST)
        assert refused.value.reason is Reason.CAPACITY
        assert str(refused.value) == "No. Wait."
        assert await client.claim_state("ada") is None
        await client.release("ada")
    assert paths[0] == "/services/vkd/api/v1/claims/a%2F..%2Fb%3Fc%2Fx%20y"
