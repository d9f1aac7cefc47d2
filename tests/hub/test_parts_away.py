"""Parts of the platform that are killed, slow or away: what others make of it, and what programs are told."""

import asyncio
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import psutil
import pytest

from tests.hub.stack import Hub, Iam, answers, browser, clean_environment, wait_for
from tests.hub.test_config_hub import SECRETS, session_of, started, vkd_of

JSON = {"Accept": "application/json"}
PAGE = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.fixture
def own(tmp_path: Path) -> Iterator[tuple[Hub, Iam]]:
    """A hub that a test may break."""
    hub = Hub(tmp_path)
    iam = Iam(tmp_path, hub.callback)
    try:
        iam.start()
        yield hub, iam
    finally:
        if hub.process is not None and hub.process.poll() is None:
            hub.stop()
        for process in (vkd_of(hub), session_of(hub, "ada"), proxy_of(hub)):
            if process is not None:
                process.kill()
        iam.stop()


def proxy_of(hub: Hub) -> Any:
    number = hub.data / "hub/proxy.pid"
    return psutil.Process(int(number.read_text())) if number.exists() else None


async def ask(url: str, method: str = "GET", **options: Any) -> tuple[Any, Any, Any]:
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, url, allow_redirects=False, **options) as answer,
    ):
        return answer.status, answer.headers, await answer.text()


def is_away(answer: tuple[Any, Any, Any]) -> None:
    status, headers, text = answer
    assert status == 503
    assert headers["Content-Type"] == "application/json"
    assert int(headers["Retry-After"]) > 0
    assert headers["X-Content-Type-Options"] == "nosniff"
    problem = json.loads(text)
    assert problem["reason"] == "unavailable"
    assert problem["message"].endswith(".")
    assert problem["hint"].endswith(".")


def test_vkd_that_is_killed_while_the_hub_starts_does_not_end_the_hub(own: tuple[Hub, Iam]) -> None:
    hub, iam = own
    hub.launch(
        [sys.executable, "-m", "jupyterhub", "-f", str(Path(__file__).with_name("hub_config.py"))],
        hub.environment(iam),
        hub.data.parent,
    )
    killed = set()
    for _ in range(2):

        def another() -> psutil.Process | None:
            hub.alive()
            found = vkd_of(hub)
            return found if found is not None and found.pid not in killed else None

        vkd = wait_for("the hub starts vkd", another, 90, 0.02)
        killed.add(vkd.pid)
        vkd.kill()
    hub_answers(hub)
    assert vkd_of(hub).pid not in killed


def hub_answers(hub: Hub) -> None:
    wait_for("vkd answers", lambda: hub.alive() or answers(f"{hub.vkd_url}/health"), 120)  # type: ignore[func-returns-value]
    wait_for("the hub answers", lambda: hub.alive() or answers(f"{hub.url}/hub/login"))  # type: ignore[func-returns-value]


async def test_while_vkd_or_the_hub_is_away_programs_read_json_and_people_a_page(
    own: tuple[Hub, Iam],
) -> None:
    hub, iam = own
    hub.start(iam)
    vkd = vkd_of(hub)
    vkd.kill()
    vkd.wait(10)
    is_away(await ask(f"{hub.url}/services/vkd/api/v1/jobs"))
    is_away(await ask(f"{hub.url}/services/vkd/health", headers=JSON))
    status, headers, _ = await ask(f"{hub.url}/services/vkd/health", headers=PAGE)
    assert (status, headers["Content-Type"].partition(";")[0]) == (503, "text/html")
    hub_answers(hub)

    os.kill(hub.process.pid, signal.SIGKILL)
    hub.process.wait(10)
    is_away(await ask(f"{hub.url}/hub/api/users"))
    is_away(await ask(f"{hub.url}/hub/api/users", "POST", data=b"{}", headers=PAGE | JSON))
    is_away(await ask(f"{hub.url}/hub/home", headers=JSON))
    status, headers, _ = await ask(f"{hub.url}/hub/home", headers=PAGE)
    assert status == 503
    assert "json" not in headers.get("Content-Type", "")
    assert int(headers["Retry-After"]) > 0

    # The command line says what is the matter, in a sentence.
    vkd = vkd_of(hub)
    vkd.kill()
    vkd.wait(10)
    listed = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "aiinfn_lab.cli", "list"],
        env=clean_environment() | {"AIINFN_URL": hub.url, "AIINFN_TOKEN": "x"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "This part of the platform does not answer now." in listed.stderr
    assert "Traceback" not in listed.stderr
    assert listed.returncode != 0


async def test_the_proxy_without_a_hub_says_that_it_starts_and_not_that_there_is_nothing(
    own: tuple[Hub, Iam],
) -> None:
    hub, iam = own
    hub.start(iam)
    token = (hub.data / "hub/proxy.token").read_text().strip()
    # As a proxy is that was just started: it has no routes yet.
    os.kill(hub.process.pid, signal.SIGSTOP)
    headers = {"Authorization": f"token {token}"}
    for route in ("services/vkd", ""):
        status, _, _ = await ask(
            f"http://127.0.0.1:{hub.proxy_port}/api/routes/{route}", "DELETE", headers=headers
        )
        assert status == 204
    is_away(await ask(f"{hub.url}/services/vkd/api/v1/jobs"))
    os.kill(hub.process.pid, signal.SIGCONT)


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_that_is_too_large_is_refused_in_words_through_the_proxy(
    hub: Hub, announced: bool
) -> None:
    token = await asyncio.to_thread(token_of, hub)
    url = f"{hub.url}/services/vkd/api/v1/jobs"
    status, text = await asyncio.to_thread(upload, url, token, 80, announced=announced)
    assert status == 413
    # vkd's own words, or the proxy's, if vkd had closed the connection before they were read.
    own, proxys = "The request is larger than 1024 KiB.", "The request is too large for this service."
    assert json.loads(text)["message"] in {own, proxys}


def read_answer(connection: Any) -> tuple[Any, str]:
    with http.client.HTTPResponse(connection, method="POST") as response:
        response.begin()
        return response.status, response.read().decode()


def upload(url: str, token: Any, pieces: Any, *, announced: bool) -> Any:
    """Send pieces of 64 KiB; give the answer that comes meanwhile.

    Neither aiohttp's client nor asyncio's streams close their socket cleanly when they are answered while they still write.
    """
    address = urlsplit(url)
    length = f"Content-Length: {pieces * 2**16}" if announced else "Transfer-Encoding: chunked"
    head = [f"POST {address.path} HTTP/1.1", f"Host: {address.netloc}", f"Authorization: token {token}"]
    head += ["Content-Type: application/json", "Connection: close", length]
    piece = b" " * 2**16
    with (
        socket.create_connection((address.hostname, address.port), timeout=30) as connection,
        ThreadPoolExecutor(1) as beside,
    ):
        answer = beside.submit(read_answer, connection)
        connection.sendall("\r\n".join([*head, "", ""]).encode())
        with contextlib.suppress(OSError):
            for _ in range(pieces):
                if answer.done():
                    break
                connection.sendall(piece if announced else b"10000\r\n" + piece + b"\r\n")
        return answer.result(30)


def token_of(hub: Hub, who: str = "ada", **options: Any) -> Any:
    status, model = hub.api(f"/users/{who}", "POST")
    assert status in {201, 409}
    status, model = hub.api(f"/users/{who}/tokens", "POST", options)
    assert status == 201, model
    return model["token"]


def platform_status(hub: Hub, token: Any) -> Any:
    async def ask_vkd() -> tuple[Any, Any, Any]:
        return await ask(f"{hub.vkd_url}/api/v1/platform", headers={"Authorization": f"token {token}"})

    return asyncio.run(ask_vkd())[0]


async def in_thread(function: Any, *arguments: Any, **options: Any) -> Any:
    return await asyncio.to_thread(function, *arguments, **options)


async def ends(hub: Hub, token: Any) -> None:
    """Wait until a token that vkd knows is not good any more: sooner than vkd would ask again by itself."""
    await in_thread(
        wait_for, "the token is not good any more", lambda: platform_status(hub, token) == 401, 10
    )


async def test_the_token_of_a_session_ends_with_it(hub: Hub) -> None:
    session = await started(hub, "bruno")
    token = session.environ()["JUPYTERHUB_API_TOKEN"]
    assert await in_thread(platform_status, hub, token) == 200
    assert hub.api("/users/bruno/server", "DELETE")[0] in {202, 204}
    await ends(hub, token)


async def test_a_token_that_is_revoked_or_whose_owner_is_deleted_ends_at_once(hub: Hub) -> None:
    async with browser(hub) as client:
        await client.sign_in("carla")
    token = await in_thread(token_of, hub, "carla")
    other = await in_thread(token_of, hub, "carla")
    for good in (token, other):
        assert await in_thread(platform_status, hub, good) == 200
    token_id = hub.api("/user", token=token)[1]["token_id"]
    assert hub.api(f"/users/carla/tokens/{token_id}", "DELETE")[0] == 204
    await ends(hub, token)
    assert await in_thread(platform_status, hub, other) == 200
    assert hub.api("/users/carla", "DELETE")[0] == 204
    await ends(hub, other)


async def test_a_token_ends_at_its_second(hub: Hub) -> None:
    async with browser(hub) as client:
        await client.sign_in("ada")
    token = await in_thread(token_of, hub, "ada", expires_in=3)
    assert await in_thread(platform_status, hub, token) == 200
    await ends(hub, token)


async def test_nothing_secret_is_in_the_environment_of_a_process_that_does_not_need_it(
    hub: Hub, iam: Iam
) -> None:
    await started(hub, "ada")
    secrets = {name: (hub.data / "hub" / name).read_text().strip() for name in [*SECRETS, "metrics.token"]}
    secrets["client secret"] = iam.client_secret
    known_to = {"vkd": {"ticket.key"}, "proxy": {"proxy.token"}}
    named = {vkd_of(hub).pid: "vkd", proxy_of(hub).pid: "proxy"}
    hub_process = psutil.Process(hub.process.pid)
    children = hub_process.children(recursive=True)
    assert {vkd_of(hub).pid, proxy_of(hub).pid, session_of(hub, "ada").pid} <= {
        child.pid for child in children
    }
    for child in children:
        environment = (Path("/proc") / str(child.pid) / "environ").read_bytes()
        seen = {name for name, secret in secrets.items() if secret.encode() in environment}
        assert seen <= known_to.get(named.get(child.pid, ""), set()), (child.cmdline(), seen)
        assert hub.probe_token.encode() not in environment, child.cmdline()


@pytest.mark.parametrize("place", ["/hub/metrics", "/services/vkd/metrics"])
async def test_figures_need_a_token_of_the_service_for_them(hub: Hub, place: str) -> None:
    assert (await ask(hub.url + place, headers=JSON))[0] in {401, 403}
    token = await in_thread(token_of, hub)
    assert (await ask(hub.url + place, headers={"Authorization": f"token {token}"}))[0] == 403
    token = (hub.data / "hub/metrics.token").read_text().strip()
    assert (await ask(hub.url + place, headers={"Authorization": f"Bearer {token}"}))[0] == 200
