"""Credentials that expire, and are renewed in their file while the program runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes_asyncio import config as kube_config
from kubernetes_asyncio.client import ApiClient, ApiException, Configuration, CoreV1Api

from aiinfn_hub.kube import client as kube_client
from aiinfn_hub.kube.client import KubeClient, KubeError
from aiinfn_hub.kube.credentials import KubeConfigurationError
from aiinfn_hub.spawner import cluster_login
from aiinfn_hub.spawner.cluster_login import renewing_hook


@dataclass
class ApiServer:
    """An API server that takes one token."""

    url: str = ""
    token: str = "old"
    asked: list[str] = field(default_factory=list)


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    api = ApiServer()

    async def answer(request: web.Request) -> web.Response:
        api.asked.append(request.headers.get("Authorization", ""))
        if api.asked[-1].lower() != f"bearer {api.token}":
            return web.json_response({"reason": "Unauthorized", "message": "Unauthorized"}, status=401)
        return web.json_response({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": []})

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    running = TestServer(app)
    await running.start_server()
    api.url = str(running.make_url("")).rstrip("/")
    yield api
    await running.close()


def kubeconfig(file: Path, server: str, **user: Any) -> Path:
    """Write a kubeconfig, and return its path."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "it",
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "clusters": [{"name": "it", "cluster": {"server": server}}],
        "users": [{"name": "it", "user": user}],
    }
    file.write_text(yaml.safe_dump(config))
    return file


@pytest.mark.parametrize("where", ["kubeconfig", "token file"])
async def test_a_token_that_was_renewed_in_its_file_is_taken_at_the_first_refusal(
    server: ApiServer, tmp_path: Path, where: str
) -> None:
    token = tmp_path / "token"
    token.write_text("old")
    user = {"token": "old"} if where == "kubeconfig" else {"tokenFile": str(token)}
    file = kubeconfig(tmp_path / "config", server.url, **user)
    client = await KubeClient.connect(file)
    try:
        await client.get("/api")
        server.token = "new"
        token.write_text("new")
        if where == "kubeconfig":
            kubeconfig(file, server.url, token="new")
        await client.get("/api")
        assert client.refused_since is None
        async with client.stream("/api") as stream:
            await stream.read()
    finally:
        await client.close()
    assert server.asked == ["Bearer old", "Bearer old", "Bearer new", "Bearer new"]


async def test_a_token_that_nobody_renewed_is_refused_and_its_file_read_only_now_and_then(
    server: ApiServer, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = kubeconfig(tmp_path / "config", server.url, token="old")
    client = await KubeClient.connect(file)
    server.token = "new"
    try:
        for _ in range(3):
            with pytest.raises(KubeError) as caught:
                await client.get("/api")
            assert caught.value.status == 401
        assert client.refused_since is not None
        assert len(server.asked) == 3
        refusals = [each for each in caplog.messages if "refuses the credentials" in each]
        assert len(refusals) == 1
        assert "old" not in refusals[0]
        # It was read a moment ago: many requests that are refused at a time read it once.
        kubeconfig(file, server.url, token="new")
        with pytest.raises(KubeError):
            await client.get("/api")
        monkeypatch.setattr(kube_client, "RENEW_PAUSE", 0.0)
        await client.get("/api")
        assert client.refused_since is None
    finally:
        await client.close()


async def test_a_kubeconfig_that_is_being_written_leaves_the_old_credentials(
    server: ApiServer, tmp_path: Path
) -> None:
    file = kubeconfig(tmp_path / "config", server.url, token="old")
    client = await KubeClient.connect(file)
    server.token = "new"
    file.write_text("")
    try:
        with pytest.raises(KubeError):
            await client.get("/api")
        server.token = "old"
        await client.get("/api")
    finally:
        await client.close()


async def test_a_kubeconfig_that_names_another_server_leads_there(server: ApiServer, tmp_path: Path) -> None:
    other = TestServer(web.Application())
    other.app.router.add_get("/api", _refuse)
    await other.start_server()
    file = kubeconfig(tmp_path / "config", str(other.make_url("")).rstrip("/"), token="old")
    client = await KubeClient.connect(file)
    try:
        kubeconfig(file, server.url, token="old")
        await client.get("/api")
    finally:
        await client.close()
        await other.close()
    assert server.asked == ["Bearer old"]


async def _refuse(_request: web.Request) -> web.Response:
    return web.json_response({"reason": "Unauthorized"}, status=401)


@pytest.mark.parametrize("text", ["", "[]", "a: [", "users: 3"])
async def test_a_file_that_is_no_kubeconfig_is_told_as_one(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config"
    file.write_text(text)
    with pytest.raises(KubeConfigurationError, match="no way to log in"):
        await KubeClient.connect(file)


async def test_the_hubs_sessions_log_in_with_the_token_that_the_kubeconfig_has_now(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = kubeconfig(tmp_path / "config", server.url, token="old")
    monkeypatch.setattr(kube_config.kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(file))
    configuration = Configuration()
    await kube_config.load_kube_config(client_configuration=configuration)
    now = 0.0
    configuration.refresh_api_key_hook = renewing_hook(cluster_login._read_kubeconfig, lambda: now)
    async with ApiClient(configuration) as client:
        api = CoreV1Api(client)
        await api.list_namespaced_pod("n")
        server.token = "new"
        kubeconfig(file, server.url, token="new")
        with pytest.raises(ApiException):
            await api.list_namespaced_pod("n")
        now = cluster_login.RENEW_SECONDS
        await api.list_namespaced_pod("n")
        now *= 2
        file.write_text(": [")
        await api.list_namespaced_pod("n")
    assert server.asked == ["Bearer old", "Bearer old", "Bearer new", "Bearer new"]
