"""Addresses that nobody should send: every one has an answer that is no fault, and none leads to another host."""

from typing import Any
from urllib.parse import urlsplit

import pytest
from yarl import URL

from aiinfn_hub.web.request_checks import leads_astray
from tests.hub.stack import Hub, browser

PLACES = [
    *("/%ff", "/hub/%ff", "/hub/user/%ff", "/user/%ff", "/services/%ff", "/services/vkd/%ff", "/hub/static/%ff"),
    *("/hub/spawn/%ff", "/hub/spawn/dora/%ff", "/hub/spawn-pending/dora/%ff", "/hub/user-redirect/%ff", "/hub/error/%ff"),
    *("/hub/api/users/%ff", "/hub/api/users/dora/servers/%ff", "/hub/api/aiinfn/session-time/dora/%ff"),
    *("/hub/api/aiinfn/project-sessions/%ff/%ff", "/hub/api/aiinfn/project-sessions/a%0a/b", "/hub/project-sessions?%ff"),
    *("/hub/api/users/a%0d%0ab", "/hub/api/aiinfn/session-time/a%0ab/%0a", "/hub/api/oauth2/authorize?client_id=%ff"),
    *("/a%0d%0ab", "/hub/a%0d%0ab", "/user/a%0d%0ab", "/user/dora/%0d%0ax", "/services/a%0d%0ab", "/hub/user-redirect/a%0d%0ab"),
    *("/hub/%00", "/hub/user/%00", "/hub/spawn?opt-accelerator=%ff", "/hub/token?%ff", "/hub/oauth_callback?code=%ff&state=%ff"),
    *("///evil.example", "/hub///evil.example", "/hub/user-redirect///evil.example", "/services/vkd///evil.example"),
]  # fmt: skip
NEXT = [
    *("///evil.example", "////evil.example/x", "//evil.example", "/%5cevil.example", "%5c%5cevil.example", "https://evil.example/"),
    *("%ff", "%00", "/hub/home%0d%0aX-Injected:1", "%0d%0aX-Injected:1", "/hub/%250d%250a", "/%09/evil.example", "/hub/home%0a"),
]  # fmt: skip


def harmless(answer: Any) -> None:
    assert answer.status < 500, answer.url
    assert "X-Injected" not in answer.headers
    target = answer.headers.get("Location", "")
    assert not leads_astray(target), target
    assert "evil" not in (urlsplit(target).hostname or "")
    if "json" in answer.headers.get("Content-Type", ""):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("signed_in", [False, True])
async def test_every_address_has_an_answer_and_none_leads_to_another_host(hub: Hub, signed_in: bool) -> None:
    async with browser(hub) as client:
        if signed_in:
            await client.sign_in("dora")
        places = [*PLACES]
        for page in ("/hub/login", "/hub/", "/hub/home", "/hub/spawn", "/hub/logout"):
            places += [f"{page}?next={address}" for address in NEXT]
        for place in places:
            # Behind the proxy, and where pods reach the hub.
            for root in (hub.url, f"http://127.0.0.1:{hub.hub_port}"):
                if root != hub.url and "/hub" not in place:
                    continue
                address = URL(root + place, encoded=True)
                for accept in ("text/html", "application/json"):
                    async with client._session.get(
                        address, allow_redirects=False, headers={"Accept": accept}
                    ) as answer:
                        await answer.read()
                        harmless(answer)
    assert "Traceback" not in hub.log


@pytest.mark.parametrize("address", NEXT)
async def test_a_sign_in_that_was_begun_with_an_odd_address_ends_at_this_hub(hub: Hub, address: str) -> None:
    async with browser(hub) as client:
        async with client._session.get(
            URL(f"{hub.url}/hub/oauth_login?next={address}", encoded=True), allow_redirects=False
        ) as answer:
            harmless_or_iam = answer.status
        if harmless_or_iam == 400:
            return
        back = await client.choose("ada", f"/hub/oauth_login?next={address}")
        async with client._session.get(URL(back, encoded=True), allow_redirects=False) as answer:
            assert answer.status == 302
            harmless(answer)


@pytest.mark.parametrize(
    "address", ["///hub/", "////hub/home", "//hub/", "/hub/\\evil.example", "https://evil.example/hub/"]
)
async def test_choosing_a_language_leads_back_to_this_hub(hub: Hub, address: str) -> None:
    async with browser(hub) as client:
        await client.get("/hub/login")
        token = next(each.value for each in client._session.cookie_jar if each.key == "_xsrf")
        form = {"language": "it", "next": address, "_xsrf": token}
        assert await client.redirect_of("/hub/language", "POST", data=form) == "/hub/home"
