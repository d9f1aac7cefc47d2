"""Logs over HTTP: in pieces, as they come, and again from where a stream broke."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from aiinfn_hub.contract.states import Cause, JobState
from tests.vkd.memory_backend import MemoryBackend
from tests.vkd.world import World, notebook, silent_job, until, vkd


@pytest.fixture
async def v(tmp_path: Path) -> AsyncIterator[World]:
    async with vkd(tmp_path, MemoryBackend) as running:
        yield running


@pytest.fixture
async def job(v: World) -> str:
    return await silent_job(v)


def meta(answer: Any) -> dict[str, Any]:
    return {
        key[6:].lower(): int(value)
        for key, value in answer.headers.items()
        if key.lower().startswith("x-log-")
    }


@pytest.mark.parametrize(
    ("query", "data", "offset"),
    [
        ("", b"0123456789", 0),
        ("?offset=4", b"456789", 4),
        ("?offset=4&limit=2", b"45", 4),
        ("?offset=-3", b"789", 7),
        ("?offset=-3&limit=1", b"7", 7),
        ("?offset=-99", b"0123456789", 0),
        ("?offset=10", b"", 10),
        ("?attempt=1", b"0123456789", 0),
    ],
)
async def test_part_of_a_log(v: World, job: str, query: str, data: bytes, offset: int) -> None:
    async with v.as_("anna").stream(f"/jobs/{job}/logs{query}") as answer:
        assert await answer.read() == data
        assert meta(answer) == {"attempt": 1, "offset": offset, "complete": 0}
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


async def test_a_log_that_is_over_says_so(v: World, job: str) -> None:
    await v.backend.print(job, b"end", over=True)
    async with v.as_("anna").stream(f"/jobs/{job}/logs?offset=10") as answer:
        assert (await answer.read(), meta(answer)["complete"]) == (b"end", 1)


async def test_a_job_that_has_not_started_has_an_empty_log(v: World) -> None:
    job_id = (await v.as_("anna").post("/jobs", notebook()))["id"]
    async with v.as_("anna").stream(f"/jobs/{job_id}/logs") as answer:
        assert (await answer.read(), meta(answer)) == (b"", {"attempt": 0, "offset": 0, "complete": 0})


async def test_following_gives_what_comes_when_it_comes_and_ends_with_the_attempt(v: World, job: str) -> None:
    async with v.as_("anna").stream(f"/jobs/{job}/logs?follow=1&offset=-2") as answer:
        assert meta(answer) == {"attempt": 1, "offset": 8}
        assert await answer.content.readexactly(2) == b"89"
        for text in (b"one\n", b"two\n"):
            await v.backend.print(job, text)
            assert await asyncio.wait_for(answer.content.readline(), 10) == text
        await v.backend.print(job, b"last", over=True)
        assert await asyncio.wait_for(answer.read(), 10) == b"last"


async def test_a_job_is_followed_before_it_starts(v: World) -> None:
    job_id = (await v.as_("anna").post("/jobs", notebook()))["id"]
    async with v.as_("anna").stream(f"/jobs/{job_id}/logs?follow=1") as answer:
        assert meta(answer) == {"attempt": 1, "offset": 0}
        v.backend.run(job_id)
        await v.backend.print(job_id, b"hello", over=True)
        assert await asyncio.wait_for(answer.read(), 20) == b"hello"


async def test_following_a_job_that_is_cancelled_before_it_starts_ends(v: World) -> None:
    job_id = (await v.as_("anna").post("/jobs", notebook()))["id"]
    async with v.as_("anna").stream(f"/jobs/{job_id}/logs?follow=1") as answer:
        v.backend.tell(job_id, JobState.CANCELLED, Cause.CANCELLED, attempt=0)
        assert await asyncio.wait_for(answer.read(), 10) == b""


async def test_an_attempt_of_the_past_keeps_its_log(v: World, job: str) -> None:
    await v.backend.print(job, b"", over=True)
    v.backend.tell(job, JobState.QUEUED, Cause.PREEMPTED)
    v.backend.run(job, attempt=2)
    await v.backend.print(job, b"again", attempt=2)

    async def second() -> bool:
        async with v.as_("anna").stream(f"/jobs/{job}/logs") as answer:
            return await answer.read() == b"again"

    await until(second, "the second attempt's log is shown")
    async with v.as_("anna").stream(f"/jobs/{job}/logs?attempt=1&follow=1") as answer:
        assert await asyncio.wait_for(answer.read(), 10) == b"0123456789"
    body = await v.as_("anna").get(f"/jobs/{job}/logs?attempt=3", status=404)
    assert body["message"] == "This job has no attempt 3."


async def test_a_reader_that_leaves_is_noticed(v: World, job: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from aiinfn_hub.vkd.services import event_recorder

    monkeypatch.setattr(event_recorder, "_LOOK_UP_SECONDS", 0.1)
    waiting = 0
    wait_log = v.backend.wait_log

    async def counted(*arguments: Any) -> None:
        nonlocal waiting
        waiting += 1
        await wait_log(*arguments)

    v.backend.wait_log = counted
    async with v.as_("anna").stream(f"/jobs/{job}/logs?follow=1") as answer:
        await answer.content.readexactly(10)
        answer.close()

    async def quiet() -> bool:
        before = waiting
        await asyncio.sleep(0.5)
        return waiting == before

    await until(quiet, "nobody waits for the log any more")


async def test_a_stream_ends_when_vkd_stops_and_goes_on_where_it_was(tmp_path: Path) -> None:
    async with vkd(tmp_path, MemoryBackend) as v:
        job_id = (await v.as_("anna").post("/jobs", notebook()))["id"]
        v.backend.run(job_id)
        await v.backend.print(job_id, b"part")
        async with v.as_("anna").stream(f"/jobs/{job_id}/logs?follow=1") as answer:
            assert await answer.content.readexactly(4) == b"part"
            v.service.recorder.end_streams()
            assert await asyncio.wait_for(answer.read(), 5) == b""
