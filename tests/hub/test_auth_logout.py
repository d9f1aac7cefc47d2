"""Signing out: here, at IAM too, by IAM, and what becomes of the refresh token."""

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from aiinfn_hub.auth.logout import SeenTokens
from tests.hub.stack import Client, Hub, Iam, browser
from tests.hub.test_auth_session import hub_token
from tests.hub.test_auth_signin import eventually, signed_in
from tests.hub.test_config_hub import started

BACKCHANNEL = "/hub/backchannel-logout"
EVENT = "http://schemas.openid.net/event/backchannel-logout"


@pytest.fixture(scope="module")
def hub_and_iam(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Hub, Iam]]:
    folder = tmp_path_factory.mktemp("logout")
    hub = Hub(folder)
    iam = Iam(folder, hub.callback, 2)
    try:
        iam.start()
        hub.start(iam)
        yield hub, iam
    finally:
        hub.stop()
        iam.stop()


async def tell(hub: Hub, token: str | None) -> tuple[int, dict[str, Any]]:
    async with (
        aiohttp.ClientSession() as http,
        http.post(hub.url + BACKCHANNEL, data={} if token is None else {"logout_token": token}) as answer,
    ):
        assert answer.headers["Cache-Control"] == "no-store"
        return answer.status, await answer.json()


async def test_it_asks_and_signs_out_here_only_unless_told_otherwise(
    hub: Hub, iam: Iam, client: Client
) -> None:
    await client.sign_in("ada")
    page = await client.get("/hub/logout")
    assert "Sign out here only" in page.text
    assert "Sign out here and at IAM" in page.text
    # To look at the page is not to sign out, so no other page can do that by a link.
    assert await signed_in(client)
    page = await client.sign_out()
    assert page.status == 200
    assert "You are signed out" in page.text
    assert not await signed_in(client)
    assert "/logout" not in iam.log
    # Nothing needs the refresh token any more.
    await eventually(lambda: "The refresh token of ada, who signed out, is revoked" in hub.log)
    assert "POST /revoke" in iam.log
    assert (await client.sign_in("ada")).status == 200
    assert await signed_in(client)


async def test_it_goes_on_to_iam_and_comes_back(hub: Hub, iam: Iam, client: Client) -> None:
    await client.sign_in("ada")
    page = await client.sign_out("iam", follow=False)
    assert page.status == 302
    asked = {key: value for key, (value,) in parse_qs(urlsplit(page.url).query).items()}
    assert page.url.startswith(f"{iam.issuer}/logout?")
    assert asked.keys() == {"client_id", "post_logout_redirect_uri", "id_token_hint"}
    assert asked["post_logout_redirect_uri"] == f"{hub.url}/hub/login"
    # The provider checks that the id token is its own, and that it may go back there.
    page = await client.get(page.url)
    assert page.url == f"{hub.url}/hub/login"
    assert "Sign in with IAM" in page.text
    assert not await signed_in(client)
    assert asked["id_token_hint"] not in hub.log


async def test_a_request_without_the_pages_own_token_signs_nobody_out(hub: Hub, client: Client) -> None:
    await client.sign_in("ada")
    async with client._session.post(f"{hub.url}/hub/logout", data={"where": "here"}) as answer:
        assert answer.status == 403
    assert await signed_in(client)


async def test_a_refresh_token_that_a_session_needs_is_revoked_when_that_has_ended(
    hub: Hub, iam: Iam
) -> None:
    process = await started(hub, "bruno")
    async with browser(hub) as client:
        await client.sign_in("bruno")
        await client.sign_out()
    token = hub_token(process)
    # Access tokens last two seconds: that the session is still let in shows that the refresh token works.
    until = time.monotonic() + 5
    while time.monotonic() < until:
        assert hub.api("/user", token=token)[0] == 200
    assert "The refresh token of bruno" not in hub.log
    hub.api("/users/bruno/server", "DELETE")
    await eventually(lambda: "The refresh token of bruno, who signed out, is revoked" in hub.log, 30)


async def test_iam_signs_somebody_out_in_all_browsers_and_the_session_goes_on(hub: Hub, iam: Iam) -> None:
    process = await started(hub, "carla")
    async with browser(hub) as one, browser(hub) as two:
        for each in (one, two):
            await each.sign_in("carla")
            assert (await each.get("/user/carla/api/status")).status == 200
        async with browser(hub) as other:
            await other.sign_in("dora")
            token = iam.admin("POST", "accounts/carla/logout-token", {})
            assert await tell(hub, token) == (200, {})
            assert await signed_in(other)
        for each in (one, two):
            assert not await signed_in(each)
        assert process.is_running()
        assert hub.api("/users/carla")[1]["servers"][""]["ready"]
        status, answer = await tell(hub, token)
        assert (status, answer["error_description"]) == (400, "this logout token was used before")


async def test_a_session_of_iam_is_enough(hub: Hub, iam: Iam, client: Client) -> None:
    await client.sign_in("ada")
    token = iam.admin("POST", "accounts/ada/logout-token", {"sub": None, "sid": "of-nobody"})
    assert (await tell(hub, token))[0] == 200
    assert await signed_in(client)


# Times are seconds from now: what a test is called must not change from one second to the next.
@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example.org"},
        {"aud": "another-client"},
        {"iat": -3600, "exp": -3000},
        {"iat": 3600},
        {"iat": None},
        {"jti": None},
        {"jti": 7},
        {"events": None},
        {"events": {}},
        {"events": {EVENT: "x"}},
        {"nonce": "n"},
        {"sub": None},
        {"sub": 7},
    ],
    ids=str,
)
async def test_a_logout_token_that_is_wrong_in_any_way_signs_nobody_out(
    hub: Hub, iam: Iam, client: Client, changes: dict[str, Any]
) -> None:
    await client.sign_in("ada")
    now = int(time.time())
    times = {
        name: now + value for name, value in changes.items() if name in {"iat", "exp"} and value is not None
    }
    status, answer = await tell(hub, iam.admin("POST", "accounts/ada/logout-token", {**changes, **times}))
    assert (status, answer["error"]) == (400, "invalid_request")
    assert await signed_in(client)


async def test_a_logout_token_with_another_signature_or_none_signs_nobody_out(
    hub: Hub, iam: Iam, client: Client
) -> None:
    await client.sign_in("ada")
    iam.fault(forged=True)
    try:
        forged = iam.admin("POST", "accounts/ada/logout-token", {})
    finally:
        iam.fault()
    unsigned = "eyJhbGciOiJub25lIn0." + forged.split(".")[1] + "."
    for token in (forged, unsigned, "x", "a.b.c", "", None, "x" * 20_000):
        status, answer = await tell(hub, token)
        assert (status, answer["error"]) == (400, "invalid_request")
    assert await signed_in(client)
    assert "Traceback" not in hub.log


def test_an_id_counts_once_and_what_is_remembered_is_bounded() -> None:
    seen = SeenTokens()
    assert seen.take("a", time.time() + 60)
    assert not seen.take("a", time.time() + 60)
    assert seen.take("old", time.time() - 1)
    for number in range(10_001):
        seen.take(f"{number}", time.time() - 1)
    assert not seen.take("a", time.time() + 60)
    assert len(seen._until) <= 10_000
