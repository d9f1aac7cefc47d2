"""Requests that are slow, endless or too many: each ends with a sentence, and holds nothing up."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from aiinfn_hub.vkd.api import errors, http_protocol, logs
from tests.vkd.memory_backend import MemoryBackend
from tests.vkd.world import API, Client, World, silent_job, until, vkd


@pytest.fixture
async def v(tmp_path: Path) -> AsyncIterator[World]:
    async with vkd(tmp_path, MemoryBackend) as running:
        yield running


@pytest.fixture
async def job(v: World) -> str:
    return await silent_job(v)


@contextlib.asynccontextmanager
async def connection(v: World, text: str) -> AsyncIterator[tuple[Any, Any]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", v.port)
    writer.write(text.encode())
    try:
        yield reader, writer
    finally:
        writer.close()


def post(more: str) -> str:
    return (
        f"POST {API}/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: token token-anna\r\n"
        f"Content-Type: application/json\r\n{more}\r\n"
    )


async def test_a_body_that_does_not_come_is_refused_in_words_and_the_connection_ends(
    v: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errors, "BODY_SECONDS", 0.3)
    async with connection(v, post("Content-Length: 5000\r\n") + '{"work": ') as (reader, _):
        answer = await asyncio.wait_for(reader.read(), 20)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert json.loads(body)["message"].startswith("The request did not arrive within")


async def test_a_body_that_drips_has_no_more_time_than_one_that_does_not_come(
    v: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errors, "BODY_SECONDS", 0.5)
    async with connection(v, post("Content-Length: 5000\r\n")) as (reader, writer):

        async def drip() -> None:
            with contextlib.suppress(ConnectionError):
                while True:
                    writer.write(b" ")
                    await writer.drain()
                    await asyncio.sleep(0.05)

        dripping = asyncio.create_task(drip())
        line = await asyncio.wait_for(reader.readline(), 20)
        dripping.cancel()
    assert line.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("text", ["", "GET / HT", f"GET {API}/jobs HTTP/1.1\r\nHost: x\r\nX-A: "])
async def test_headers_that_do_not_end_close_the_connection(
    v: World, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr(http_protocol, "HEADER_SECONDS", 0.3)
    async with connection(v, text) as (reader, _):
        assert await asyncio.wait_for(reader.read(), 20) == b""


async def test_slow_headers_of_a_second_request_close_the_connection_too(
    v: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "HEADER_SECONDS", 0.3)
    request = "GET /services/vkd/health HTTP/1.1\r\nHost: x\r\n\r\n"
    async with connection(v, request) as (reader, writer):
        await reader.readuntil(b"}")
        # Between two requests the connection is kept.
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 1)
        writer.write(request[:20].encode())
        assert await asyncio.wait_for(reader.read(), 20) == b""


async def test_a_body_that_is_too_large_is_answered_while_it_is_sent_and_then_cut(
    v: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "REST_SECONDS", 0.3)
    async with connection(v, post(f"Content-Length: {2**30}\r\n") + " " * 1000) as (reader, _):
        answer = await asyncio.wait_for(reader.read(), 20)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413 ")
    assert json.loads(body)["message"] == "The request is larger than 1024 KiB."


async def test_one_person_follows_so_many_logs_and_no_more(
    v: World, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "MOST_FOLLOWED", 3)
    anna = v.as_("anna")
    follow = f"/jobs/{job}/logs?follow=1"
    async with contextlib.AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(anna.stream(follow)) for _ in range(3)]
        assert [stream.status for stream in streams] == [200, 200, 200]
        _, body = await anna.ask("GET", follow, status=429)
        assert body["message"] == "You follow 3 logs at the same time already."
        await anna.ask("GET", f"/jobs/{job}/logs", status=200)
        # Somebody else is not concerned.
        async with v.as_("oscar").stream(follow) as other:
            assert other.status == 200

    # Who leaves makes room.
    async def room() -> bool:
        return not v.service.followed

    await until(room, "they were counted off", seconds=20)
    async with anna.stream(follow) as again:
        assert again.status == 200


async def test_a_log_is_not_followed_any_longer_than_its_readers_token_is_good(v: World, job: str) -> None:
    async with v.as_("anna").stream(f"/jobs/{job}/logs?follow=1") as stream:
        assert await stream.content.readexactly(10) == b"0123456789"
        del v.hub.people["token-anna"]
        await Client(v.http, v.root, "token-hub").ask(
            "POST", "/token-revocations", status=204, json={"token_ids": ["a27"]}
        )
        # Not a regular end: its reader would take the job for ended.
        with pytest.raises(aiohttp.ClientPayloadError):
            await asyncio.wait_for(stream.read(), 20)
    assert not v.service.followed


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/jobs"), ("GET", "/nosuch"), ("POST", "/jobs"), ("PUT", "/jobs"), ("GET", "/jobs/%ff"), ("GET", "/jobs/a%0d%0ab"), ("GET", "/jobs/%00/logs")]
)  # fmt: skip
async def test_every_answer_is_json_that_no_browser_takes_for_a_page(
    v: World, method: str, path: str
) -> None:
    async with v.http.request(
        method, URL(v.root + API + path, encoded=True), headers=v.as_("anna").headers
    ) as answer:
        assert answer.status < 500
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert isinstance(await answer.json(), dict)
