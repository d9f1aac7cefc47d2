"""What keeps a namespace from being removed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio.client import Configuration

from aiinfn_hub.kube.apply import namespace_contents
from aiinfn_hub.kube.client import KubeClient

OURS = 700
"""More than one page of a list."""


@pytest.fixture
async def client() -> AsyncIterator[KubeClient]:
    """A cluster with a namespace of many pods of ours and, behind them, one of somebody else."""
    pods = [{"metadata": {"name": f"ours-{number:03}"}} for number in range(OURS)]
    pods.append({"metadata": {"name": "theirs"}})

    async def kinds(_: web.Request) -> web.Response:
        return web.json_response(
            {"resources": [{"name": "pods", "kind": "Pod", "namespaced": True, "verbs": ["list"]}]}
        )

    async def listed(request: web.Request) -> web.Response:
        begin, most = int(request.query.get("continue", 0)), int(request.query["limit"])
        following = {"continue": str(begin + most)} if begin + most < len(pods) else {}
        return web.json_response({"metadata": following, "items": pods[begin : begin + most]})

    async def groups(_: web.Request) -> web.Response:
        return web.json_response({"groups": []})

    app = web.Application()
    app.router.add_get("/apis", groups)
    app.router.add_get("/api/v1", kinds)
    app.router.add_get("/api/v1/namespaces/n/pods", listed)
    server = TestServer(app)
    await server.start_server()
    client = KubeClient(Configuration(host=str(server.make_url("")).rstrip("/")))
    yield client
    await client.close()
    await server.close()


async def test_what_is_not_ours_counts_on_every_page_of_a_list(client: KubeClient) -> None:
    def goes(_kind: str, body: dict[str, Any]) -> bool:
        return bool(body["metadata"]["name"].startswith("ours"))

    assert await namespace_contents.told(client, "n", goes) == "it holds Pod theirs"
    told = await namespace_contents.told(client, "n", lambda *_: False)
    assert told == f"it holds Pod ours-000, ours-001, ours-002, ours-003, ours-004 and {OURS - 4} more"
