"""Signing in: a real provider, a real hub, and a client that follows the redirects as a browser does."""

import asyncio
import re
import time
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest

from aiinfn_hub.demo.identity_provider.people import ACCOUNTS
from tests.hub.stack import Client, Hub, Iam, browser

GROUPS = {account.username: sorted(account.groups) for account in ACCOUNTS}


def known(hub: Hub, who: str) -> dict[str, Any]:
    status, model = hub.api(f"/users/{who}")
    assert status == 200, model
    return model


async def signed_in(client: Client) -> bool:
    """Tell whether the hub still knows this browser."""
    page = await client.get("/hub/home", allow_redirects=False)
    assert page.status in {200, 302}
    return page.status == 200


@pytest.mark.parametrize("who", ["ada", "bruno", "carla", "dora"])
async def test_people_with_a_project_come_in_with_their_groups(hub: Hub, client: Client, who: str) -> None:
    page = await client.sign_in(who)
    assert page.status == 200
    assert page.url.startswith(hub.url + "/hub/spawn")
    model = known(hub, who)
    assert sorted(model["groups"]) == GROUPS[who]
    assert model["admin"] is (who == "dora")


async def test_somebody_without_a_project_is_told_so_and_can_sign_in_as_somebody_else(
    hub: Hub, client: Client
) -> None:
    page = await client.sign_in("nemo")
    assert page.status == 403
    assert "You are signed in to IAM as nemo, but belong to no project of Test platform." in page.text
    assert "Sign in as somebody else" in page.text
    assert hub.api("/users/nemo")[0] == 404
    assert 'href="/hub/oauth_login?other=1"' in page.html
    assert "prompt=login" in await client.redirect_of("/hub/oauth_login?other=1")
    assert (await client.sign_in("ada", "/hub/oauth_login?other=1")).status == 200


async def test_the_sign_in_page_names_the_platform_and_leads_to_iam(client: Client) -> None:
    page = await client.get("/hub/login?next=%2Fhub%2Fhome")
    assert page.status == 200
    assert "Test platform" in page.text
    assert "Sign in with IAM" in page.text
    assert "/hub/oauth_login?next=" in unescape(page.html)
    # IAM would sign the same person in again; this asks it not to.
    other = re.search(r'href="([^"]+other=1)"', page.html)
    assert other
    assert "prompt=login" in await client.redirect_of(unescape(other[1]))


async def test_people_end_up_where_they_wanted_to_go(client: Client) -> None:
    page = await client.sign_in("ada", "/hub/oauth_login?next=%2Fhub%2Ftoken")
    assert page.url.endswith("/hub/token")


async def test_the_request_to_iam_has_pkce_state_and_nonce(client: Client) -> None:
    authorize = await client.redirect_of("/hub/oauth_login")
    for part in ("code_challenge=", "code_challenge_method=S256", "state=", "nonce=", "scope=openid+profile"):
        assert part in authorize


@pytest.mark.parametrize("what", ["another state", "no state", "another browser", "used twice", "no code"])
async def test_a_callback_that_does_not_fit_is_refused_with_a_sentence(
    hub: Hub, client: Client, what: str
) -> None:
    back = await client.choose("ada")
    if what == "another state":
        back = back.partition("&state=")[0] + "&state=eyJzdGF0ZV9pZCI6ICJ4In0="
    elif what == "no state":
        back = back.partition("&state=")[0]
    elif what == "no code":
        back = back.partition("?")[0] + "?" + back.partition("&")[2]
    elif what == "used twice":
        assert (await client.get(back)).status == 200
        await client.sign_out()
    async with browser(hub) as other:
        page = await (other if what == "another browser" else client).get(back)
    assert page.status == 400
    assert "This sign-in cannot be completed" in page.text
    assert "Sign in again" in page.text
    assert not await signed_in(client)


async def test_a_code_of_another_sign_in_is_refused(client: Client) -> None:
    # The attacker's code with the victim's state: PKCE binds a code to the browser that asked for it.
    stolen = (await client.choose("bruno")).partition("code=")[2].partition("&")[0]
    mine = await client.choose("ada")
    page = await client.get(mine.replace(mine.partition("code=")[2].partition("&")[0], stolen))
    assert page.status == 400
    assert not await signed_in(client)


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("error=access_denied", 403, "You did not complete the sign-in at IAM."),
        ("error=invalid_scope", 502, "The platform asks for scopes that IAM does not let it have."),
        ("error=server_error&error_description=Call+0800-EVIL", 502, "IAM refused the sign-in"),
    ],
)
async def test_an_error_from_iam_is_told_in_our_words(
    client: Client, query: str, status: int, words: str
) -> None:
    page = await client.get(f"/hub/oauth_callback?{query}")
    assert page.status == status
    assert words in page.text
    assert "EVIL" not in page.html


@pytest.mark.parametrize(
    ("changes", "groups"),
    [
        ({"groups": "ai-infn/flavour"}, ["ai-infn/flavour"]),
        ({"groups": None, "wlcg.groups": ["/ai-infn/medphys"]}, ["ai-infn/medphys"]),
        ({"groups": ["/ai-infn/flavour", "other/flavour"]}, ["ai-infn/flavour", "other/flavour"]),
    ],
    ids=["string", "wlcg", "slash"],
)
async def test_groups_arrive_whole_in_whichever_shape_iam_sends_them(
    hub: Hub, iam: Iam, client: Client, changes: dict[str, Any], groups: list[str]
) -> None:
    with iam.claims("carla", **changes):
        assert (await client.sign_in("carla")).status == 200
        assert sorted(known(hub, "carla")["groups"]) == groups


async def test_a_group_of_the_same_last_name_opens_nothing(iam: Iam, client: Client) -> None:
    with iam.claims("nemo", groups=["elsewhere/flavour", "flavour", "ai-infn", "ai-infn/flavour/x"]):
        assert (await client.sign_in("nemo")).status == 403


@pytest.mark.parametrize("name", [None, "", ["ada"], "a/b", 7])
async def test_an_account_without_usable_name_gets_a_sentence(iam: Iam, client: Client, name: Any) -> None:
    with iam.claims("ada", preferred_username=name):
        page = await client.sign_in("ada")
    assert page.status == 502
    assert "IAM gives no usable user name" in page.text
    assert "rossi" not in page.html.lower()


async def test_who_loses_the_last_group_is_out_at_the_next_check(iam: Iam, client: Client) -> None:
    await client.sign_in("ada")
    assert await signed_in(client)
    with iam.claims("ada", groups=["somewhere/else"]):
        await eventually(lambda: signed_out(client))
        assert (await client.sign_in("ada")).status == 403
    assert (await client.sign_in("ada")).status == 200


async def test_a_token_of_somebody_who_was_removed_is_refused_too(hub: Hub, iam: Iam, client: Client) -> None:
    await client.sign_in("bruno")
    status, made = hub.api("/users/bruno/tokens", "POST", {})
    assert status in {200, 201}
    assert hub.api("/user", token=made["token"])[0] == 200
    with iam.claims("bruno", groups=[]):
        await eventually(lambda: hub.api("/user", token=made["token"])[0] == 403)


async def test_new_groups_and_rights_arrive_without_signing_in_again(
    hub: Hub, iam: Iam, client: Client
) -> None:
    await client.sign_in("bruno")
    with iam.claims("bruno", groups=["ai-infn/flavour", "ai-infn/operators"]):

        async def arrived() -> bool:
            assert await signed_in(client)
            model = known(hub, "bruno")
            return model["admin"] and sorted(model["groups"]) == ["ai-infn/flavour", "ai-infn/operators"]

        await eventually(arrived)

    async def gone() -> bool:
        assert await signed_in(client)
        return not known(hub, "bruno")["admin"]

    await eventually(gone)


async def test_an_account_that_became_another_person_has_to_sign_in_again(iam: Iam, client: Client) -> None:
    await client.sign_in("carla")
    with iam.claims("carla", sub="somebody-else"):
        await eventually(lambda: signed_out(client))


async def test_changed_signing_keys_are_found(iam: Iam, client: Client) -> None:
    await client.sign_in("ada")
    iam.admin("POST", "keys")

    async def works() -> bool:
        return (await client.sign_in("ada")).status == 200

    await eventually(works, 20)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"claims": {"iss": "https://evil.example.org"}}, "did not pass the checks"),
        ({"claims": {"aud": "another-client"}}, "did not pass the checks"),
        ({"claims": {"azp": "another-client"}}, "was made for another client"),
        ({"claims": {"nonce": "of-another-sign-in"}}, "belongs to another sign-in"),
        ({"claims": {"nonce": None}}, "belongs to another sign-in"),
        ({"forged": True}, "did not pass the checks"),
        ({"clock": 300}, "The clocks of IAM and of this platform differ by about 5 minutes."),
        ({"clock": -3600}, "The clocks of IAM and of this platform differ by about 60 minutes."),
        ({"claims": {"nbf": int(time.time()) + 7200}}, "The clocks of IAM and of this platform differ"),
    ],
    ids=["issuer", "audience", "party", "nonce", "no nonce", "signature", "ahead", "behind", "not before"],
)
async def test_an_id_token_that_is_wrong_in_any_way_lets_nobody_in(
    hub: Hub, iam: Iam, client: Client, fault: dict[str, Any], words: str
) -> None:
    iam.fault(**fault)
    try:
        page = await client.sign_in("ada")
    finally:
        iam.fault()
    assert page.status == 502
    assert words in page.text
    assert "Please tell the people who run this platform." in page.text
    assert not await signed_in(client)
    if "clock" in fault:
        assert "Check both (NTP)" in hub.log


@pytest.mark.parametrize("seconds", [-30, 30])
async def test_clocks_may_differ_a_little(iam: Iam, client: Client, seconds: int) -> None:
    iam.fault(clock=seconds)
    try:
        assert (await client.sign_in("ada")).status == 200
    finally:
        iam.fault()


async def test_the_log_holds_no_code_and_no_secret(hub: Hub, iam: Iam, client: Client) -> None:
    await client.sign_in("dora")
    await client.sign_in("nemo")
    await client.get((await client.choose("ada")).replace("state=", "state=x"))
    for _ in range(3):
        await client.get("/hub/home")
    log = hub.log + iam.log
    assert len(client.codes) == 3
    for secret in (*client.codes, iam.client_secret, hub.probe_token):
        assert secret not in log
    assert "Traceback" not in hub.log


async def signed_out(client: Client) -> bool:
    return not await signed_in(client)


async def eventually(check: Callable[..., Any], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while True:
        found = check()
        if await found if asyncio.iscoroutine(found) else found:
            return
        assert time.monotonic() < deadline, f"not within {seconds} s"
        await asyncio.sleep(0.2)
