"""Providers that are not INDIGO IAM: one whose secret changes, one that ignores scopes, one that rotates refresh tokens."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub.stack import Iam, browser
from tests.hub.test_auth_session import SCOPES, TOKEN, Place, hub_token, inside
from tests.hub.test_auth_signin import eventually, known, signed_in
from tests.hub.test_config_hub import started


class Short(Place):
    """Access tokens last two seconds, each renewal replaces the refresh token, and nobody can sign out there."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.iam = Iam(folder, self.hub.callback, 2, "--rotate", "--no-logout")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    yield from Short(tmp_path_factory.mktemp("providers")).running()


@pytest.fixture(autouse=True)
def in_order(place: Place) -> Iterator[None]:
    yield
    place.iam.fault()
    place.iam.admin("PUT", "client-secret", place.iam.client_secret)


async def test_a_secret_that_is_refused_at_a_refresh_locks_nobody_out(place: Place) -> None:
    hub, iam = place.hub, place.iam
    async with browser(hub) as client:
        await client.sign_in("ada")
        iam.admin("PUT", "client-secret", "changed-by-somebody")
        before = hub.log.count("invalid_client")

        async def refused_twice() -> bool:
            assert await signed_in(client)
            return hub.log.count("IAM refused a refresh token (HTTP status 401, invalid_client") >= before + 2

        await eventually(refused_twice, 30)
        async with browser(hub) as other:
            page = await other.sign_in("bruno")
        assert page.status == 502
        assert "IAM does not accept this platform as a client." in page.text
        assert "too long ago" not in page.text
        assert await signed_in(client)
        assert "ada has to sign in again" not in hub.log

        iam.admin("PUT", "client-secret", iam.client_secret)
        with iam.claims("ada", groups=["ai-infn/medphys"]):

            async def told() -> bool:
                assert await signed_in(client)
                return known(hub, "ada")["groups"] == ["ai-infn/medphys"]

            await eventually(told)
    assert iam.client_secret not in hub.log


async def test_a_refresh_token_that_was_just_replaced_is_kept_though_what_comes_next_fails(
    place: Place,
) -> None:
    """The provider takes an old refresh token for theft and ends everything."""
    hub, iam = place.hub, place.iam
    async with browser(hub) as client:
        await client.sign_in("ada")
        before = hub.log.count("The groups of ada could not be checked")
        iam.fault(userinfo_down=True)

        async def failed() -> bool:
            assert await signed_in(client)
            return hub.log.count("The groups of ada could not be checked") >= before + 3

        await eventually(failed, 30)
        iam.fault()
        with iam.claims("ada", groups=["ai-infn/medphys"]):

            async def told() -> bool:
                assert await signed_in(client)
                return known(hub, "ada")["groups"] == ["ai-infn/medphys"]

            await eventually(told)
    assert "ada has to sign in again" not in hub.log


async def test_a_provider_that_ignores_the_scope_of_a_renewal_exchanges_tokens(place: Place) -> None:
    hub, iam = place.hub, place.iam
    token = hub_token(await started(hub, "ada"))
    iam.fault(ignores_scope=True)
    status, answer = hub.api(
        TOKEN, "POST", {"scope": "storage.read:/", "audience": "https://a.example"}, token
    )
    assert status == 200, answer
    claims = inside(answer["access_token"])
    assert (claims["scope"], claims["aud"]) == ("storage.read:/", "https://a.example")

    iam.fault(ignores_scope=True, exchange="none")
    status, answer = hub.api(TOKEN, "POST", {"scope": "compute.read"}, token)
    assert status == 502
    assert "no tokens for sessions" in answer["message"]
    assert "IAM refused a token exchange (HTTP status 400, unauthorized_client, Client not allowed" in hub.log

    # As many failures as a person may have tokens in a minute, and more.
    iam.fault(ignores_scope=True, exchange="wide")
    for number in range(32):
        status, answer = hub.api(TOKEN, "POST", {"audience": f"https://{number}.example"}, token)
        assert status == 502
    assert "it has the scopes email profile, which were not asked for" in hub.log
    iam.fault(ignores_scope=True)
    status, answer = hub.api(TOKEN, "POST", {"audience": "https://good.example"}, token)
    assert status == 200, answer
    # The hub's own sign-in went on through all of it.
    assert hub.api("/user", token=token)[0] == 200
    assert "Traceback" not in hub.log


async def test_the_refresh_token_is_revoked_also_where_there_is_no_choice_of_where_to_sign_out(
    place: Place,
) -> None:
    hub, iam = place.hub, place.iam
    async with browser(hub) as client:
        await client.sign_in("bruno")
        page = await client.get("/hub/logout")
        assert "Sign out here only" not in page.text
        assert not await signed_in(client)
        await eventually(lambda: "The refresh token of bruno, who signed out, is revoked" in hub.log)
    assert "POST /revoke" in iam.log


async def test_a_client_of_its_own_makes_the_tokens_where_the_hubs_own_are_always_wide(
    tmp_path: Path,
) -> None:
    place = Place(tmp_path)
    hub, iam = place.hub, place.iam
    try:
        iam.start()
        iam.fault(ignores_scope=True, exchange="wide")
        hub.start(
            iam,
            AIINFN_PLATFORM=str(place.file),
            AIINFN_IAM_TOKEN_CLIENT_ID="aiinfn-tokens",
            AIINFN_IAM_TOKEN_CLIENT_SECRET=iam.token_client_secret,
        )
        process = await started(hub, "ada")
        status, answer = await asyncio.to_thread(hub.api, TOKEN, "POST", {}, hub_token(process))
        assert status == 200, answer
        claims = inside(answer["access_token"])
        assert claims["scope"].split() == SCOPES
        assert claims["client_id"] == "aiinfn-tokens"
        assert iam.token_client_secret.encode() not in b"".join(map(str.encode, process.environ().values()))
    finally:
        hub.stop()
        iam.stop()
