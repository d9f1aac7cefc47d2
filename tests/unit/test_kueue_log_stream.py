"""What is read of the log of a pod, whatever its node answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio.client import Configuration

from aiinfn_hub.kube.client import KubeClient
from aiinfn_hub.vkd.backends.common.attempt_files import AttemptFolder
from aiinfn_hub.vkd.backends.kubernetes.archive import LogArchive
from aiinfn_hub.vkd.backends.kubernetes.facts import JobPodFacts
from aiinfn_hub.vkd.backends.kubernetes.log_stream import LogFollower

POD = JobPodFacts("u1", "job-1", "j1", "2026-11-28T19:00:00Z", started=datetime(2026, 11, 28, 19, tzinfo=UTC))
LINES = "".join(f"2026-11-28T19:00:0{n}.000000000Z line {n}\n" for n in range(3))


@pytest.fixture
async def node() -> AsyncIterator[tuple[KubeClient, list[Any]]]:
    """A cluster that gives the answers of a test to whoever asks for a log, and the last one again and again."""
    answers: list[Any] = []

    async def log(_request: Any) -> web.Response:
        status, text = answers.pop(0) if len(answers) > 1 else answers[0]
        return web.Response(status=status, text=text)

    app = web.Application()
    app.router.add_get("/log", log)
    server = TestServer(app)
    await server.start_server()
    client = KubeClient(Configuration(host=str(server.make_url("")).rstrip("/")))
    yield client, answers
    await client.close()
    await server.close()


async def followed(client: Any, folder: Path, pods: Callable[..., Any]) -> str:
    """Follow a log to its end, and return it."""
    archive = LogArchive(AttemptFolder(folder / "1"), "u1", 10_000)
    follower = LogFollower(client, "/log", archive, pods, lambda _told: None)
    async with asyncio.timeout(20):
        await follower.done.wait()
    log = AttemptFolder(folder / "1").log
    return log.read_text() if log.exists() else ""


async def test_a_node_that_does_not_know_its_pod_yet_is_asked_again(
    node: tuple[KubeClient, list[Any]], tmp_path: Path
) -> None:
    """A kubelet that was started a moment ago says that there is no such pod."""
    client, answers = node
    answers += [(404, 'pod "job-1" does not exist'), (404, "once more"), (200, LINES)]

    def pod() -> Any:
        return replace(POD, over=len(answers) == 1)

    assert "line 2" in await followed(client, tmp_path, pod)


async def test_the_log_of_a_pod_that_is_gone_ends(node: tuple[KubeClient, list[Any]], tmp_path: Path) -> None:
    client, answers = node
    answers += [(404, "there is no such pod")]
    assert "line" not in await followed(client, tmp_path, lambda: None)
