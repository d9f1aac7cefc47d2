"""The configured hub at work: rights of tokens, secrets on disk, and parts that die and come back."""

import contextlib
import json
import os
import signal
import stat
import time
import urllib.request
from collections.abc import Iterator

import psutil
import pytest
from jupyterhub.services.auth import HubAuth

from tests.hub.stack import Hub, Iam, browser, wait_for

SECRETS = (
    "accounts.token",
    "auth-state.key",
    "cookie.secret",
    "hub-service.token",
    "proxy.token",
    "ticket.key",
)


def vkd_of(hub: Hub) -> psutil.Process | None:
    """Find the vkd that serves this hub's data folder."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.cmdline()[-2:] == ["-m", "aiinfn_hub.vkd"] and process.environ().get(
                "AIINFN_DATA"
            ) == str(hub.data):
                return process
    return None


def session_of(hub: Hub, who: str) -> psutil.Process | None:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            environment = process.environ()
            if environment.get("JUPYTERHUB_USER") == who and environment.get(
                "JUPYTERHUB_API_URL", ""
            ).startswith(f"http://127.0.0.1:{hub.hub_port}/"):
                return process
    return None


async def started(hub: Hub, who: str) -> psutil.Process:
    """Sign in, start a session, and give its process."""
    async with browser(hub) as client:
        assert (await client.sign_in(who)).status == 200
    status, answer = hub.api(f"/users/{who}/server", "POST", {"user_options": {"accelerator": "none"}})
    assert status in {201, 202}, answer
    known_to_run(hub, who)
    process = session_of(hub, who)
    assert process is not None
    return process


def known_to_run(hub: Hub, who: str) -> None:
    """Wait until the hub knows that the session runs; after a restart it looks a moment later."""
    wait_for("the session runs", lambda: hub.api(f"/users/{who}")[1]["servers"].get("", {}).get("ready"), 90)


@pytest.fixture
def kill_leftovers(hub: Hub) -> Iterator[None]:
    yield
    # A hub that runs would start vkd again at once, and ends both by itself.
    if hub.process is None or hub.process.poll() is not None:
        for process in (vkd_of(hub), session_of(hub, "ada")):
            if process is not None:
                process.kill()


def test_secrets_can_be_read_by_the_hub_only(hub: Hub) -> None:
    folder = hub.data / "hub"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for folder in (hub.data / "hub", hub.data / "vkd"):
        for path in (folder, *folder.iterdir()):
            assert not path.stat().st_mode & 0o077, path
    assert (
        not (hub.data / "accounts.lock").exists() or not (hub.data / "accounts.lock").stat().st_mode & 0o077
    )
    assert hub.data.stat().st_mode & 0o066 == 0
    folder = hub.data / "hub"
    kept = b"".join(path.read_bytes() for path in folder.glob("jupyterhub.sqlite*"))
    for name in SECRETS:
        assert (folder / name).read_text().strip().encode() not in kept, name
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600, name
        assert (folder / name).read_text().strip() not in hub.log


async def test_a_sessions_token_may_use_vkd_and_tell_who_it_is_and_nothing_else(hub: Hub) -> None:
    process = await started(hub, "dora")
    token = process.environ()["JUPYTERHUB_API_TOKEN"]
    status, model = hub.api("/user", token=token)
    assert status == 200
    assert set(model["scopes"]) == {
        "access:services!service=vkd",
        "access:servers!server=dora/",
        "users:activity!user=dora",
        # What these imply about the owner alone.
        "read:users:activity!user=dora",
        "read:users:groups!user=dora",
        "read:users:name!user=dora",
    }
    assert sorted(model["groups"]) == ["ai-infn/flavour", "ai-infn/operators"]
    assert model["admin"] is True
    for path in ("/users", "/services", "/groups", "/proxy", "/users/ada"):
        assert hub.api(path, token=token)[0] in {403, 404}, path
    assert {"servers", "auth_state", "roles"}.isdisjoint(hub.api("/users/dora", token=token)[1])
    assert hub.api("/users/dora/server", "DELETE", token=token)[0] in {403, 404}
    assert hub.api("/users/dora/tokens", "POST", {}, token=token)[0] in {403, 404}

    platform = urllib.request.Request(
        f"{hub.vkd_url}/api/v1/platform", headers={"Authorization": f"token {token}"}
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(platform, timeout=20) as answer:
        seen = json.load(answer)
    assert (seen["user"], seen["admin"]) == ("dora", True)

    # As vkd asks: with the caller's token only, no right of its own.
    auth = HubAuth(api_url=f"http://127.0.0.1:{hub.hub_port}/hub/api", api_token="none", cache_max_age=0)
    identified = await auth.user_for_token(token, sync=False)
    assert identified["name"] == "dora"
    assert identified["groups"] == model["groups"]
    assert identified["admin"] is True

    secrets = {(hub.data / "hub" / name).read_text().strip() for name in SECRETS}
    assert not secrets & set(process.environ().values())


def test_the_hubs_own_service_may_use_vkd_and_nothing_else(hub: Hub) -> None:
    token = (hub.data / "hub" / "hub-service.token").read_text().strip()
    status, model = hub.api("/user", token=token)
    assert status == 200
    assert model["kind"] == "service"
    assert model["name"] == "aiinfn-hub"
    assert set(model["scopes"]) == {"access:services!service=vkd"}
    assert hub.api("/users", token=token)[0] == 403


def test_vkds_own_token_has_no_right(hub: Hub) -> None:
    process = vkd_of(hub)
    assert process is not None
    status, model = hub.api("/user", token=process.environ()["JUPYTERHUB_API_TOKEN"])
    assert status == 200
    assert model["name"] == "vkd"
    assert model["scopes"] == []


def test_a_vkd_that_is_killed_is_started_again_within_seconds(hub: Hub) -> None:
    before = vkd_of(hub)
    assert before is not None
    before.kill()
    died = time.monotonic()
    wait_for("another vkd process", lambda: (now := vkd_of(hub)) and now.pid != before.pid, 10, 0.02)
    assert time.monotonic() - died < 4


@pytest.mark.usefixtures("kill_leftovers")
async def test_a_hub_that_is_killed_finds_session_and_vkds_place_again(hub: Hub, iam: Iam) -> None:
    session = await started(hub, "ada")
    vkd = vkd_of(hub)
    assert hub.process is not None
    assert vkd is not None
    os.kill(hub.process.pid, signal.SIGKILL)
    hub.process.wait(10)
    assert vkd.is_running()

    hub.start(iam, AIINFN_KEEP_SERVERS="1")
    assert not vkd.is_running() or vkd.status() == psutil.STATUS_ZOMBIE
    assert session.is_running()
    known_to_run(hub, "ada")

    # Stopped on purpose with this setting, it leaves sessions alone too.
    assert hub.stop() == 0
    assert session.is_running()
    hub.start(iam)
    known_to_run(hub, "ada")

    # And without it, no session is left.
    hub.stop()
    wait_for(
        "the session ended", lambda: not session.is_running() or session.status() == psutil.STATUS_ZOMBIE, 20
    )
    hub.start(iam)
