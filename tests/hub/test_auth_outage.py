"""IAM that is down, comes back, or takes tokens away. The hub must go on, and say what is the matter."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub.stack import Client, Hub, Iam, browser
from tests.hub.test_auth_signin import eventually, known, signed_in, signed_out


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("outage")


@pytest.fixture
def own_hub(folder: Path) -> Iterator[Hub]:
    hub = Hub(folder)
    yield hub
    hub.stop()


async def test_a_hub_starts_without_iam_tells_people_so_and_recovers(folder: Path, own_hub: Hub) -> None:
    iam = Iam(folder, own_hub.callback, token_lifetime=2)
    try:
        own_hub.start(iam)
        async with browser(own_hub) as client:
            page = await client.get("/hub/oauth_login")
            assert page.status == 503
            assert "IAM does not answer" in page.text
            assert "Sessions and jobs that already run go on." in page.text

            iam.start()
            await client.sign_in("ada")
            assert await signed_in(client)

            # Access tokens last two seconds here: groups are read with the refresh token from now on.
            iam.admin("PATCH", "accounts/ada", {"groups": ["ai-infn/medphys"]})
            await eventually(
                lambda: known(own_hub, "ada")["groups"] == ["ai-infn/medphys"] or signed_out_never(client)
            )

            iam.stop()
            for _ in range(5):
                assert await signed_in(client)
            await eventually(lambda: "could not be checked" in own_hub.log or signed_out_never(client))
            assert await signed_in(client)
            async with browser(own_hub) as other:

                async def told() -> bool:
                    return (await other.get("/hub/oauth_login", allow_redirects=False)).status == 503

                await eventually(told)

            # It comes back with another memory: the old tokens are worth nothing, so people sign in again.
            iam.start()
            await eventually(lambda: signed_out(client), 40)
            assert (await client.sign_in("ada")).status == 200
        assert "Traceback" not in own_hub.log
        assert own_hub.stop() == 0
    finally:
        iam.stop()


async def signed_out_never(client: Client) -> bool:
    """Look at a page, so that the hub checks again, and see that it still knows this browser."""
    assert await signed_in(client)
    return False


async def test_an_iam_that_is_another_one_gets_nobody_in(folder: Path, own_hub: Hub) -> None:
    iam = Iam(folder, own_hub.callback)
    try:
        iam.start()
        # Reached under another name, the provider does not answer as who the hub expects.
        own_hub.start(iam, AIINFN_IAM_ISSUER=f"{iam.issuer}/realms/other")
        async with browser(own_hub) as client:
            page = await client.get("/hub/oauth_login")
            assert page.status == 502
            assert "IAM gave an answer that cannot be used" in page.text
            assert "tell the people who run this platform" in page.text
        assert "Traceback" not in own_hub.log
    finally:
        iam.stop()


async def test_revoked_tokens_end_access(folder: Path, own_hub: Hub) -> None:
    iam = Iam(folder, own_hub.callback)
    try:
        iam.start()
        own_hub.start(iam)
        async with browser(own_hub) as client:
            await client.sign_in("ada")
            iam.admin("POST", "accounts/ada/revoke")
            await eventually(lambda: signed_out(client))
    finally:
        iam.stop()
