"""The language of each page and answer: what was chosen on a page, else what the browser asks for."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import jupyterhub
import pytest

from aiinfn_hub.i18n import language
from tests.hub.realhub import RealHub, real_hub, xsrf

ITALIAN = {"Accept-Language": "it-IT,it;q=0.9,en;q=0.5"}


@pytest.fixture(scope="module")
def hub() -> Iterator[RealHub]:
    with real_hub(vkd=False) as running:
        yield running


async def read(http: aiohttp.ClientSession, hub: RealHub, path: str, **options: Any) -> tuple[int, str]:
    async with http.get(f"{hub.url}/hub/{path}", **options) as answer:
        return answer.status, await answer.text()


def spoken(page: str) -> str:
    return re.search(r'<html lang="(\w+)"', page)[1]  # type: ignore[index]


async def choose(
    http: aiohttp.ClientSession, hub: RealHub, code: str, back: str = ""
) -> aiohttp.ClientResponse:
    form = {"language": code, "next": back, "_xsrf": xsrf(http)}
    async with http.post(f"{hub.url}/hub/language", data=form, allow_redirects=False) as answer:
        return answer


@pytest.mark.parametrize(
    "path", ["login", "home", "spawn", "token", "no-such-page", "user/ben/", "spawn/nobody", "oauth_callback"]
)
async def test_every_page_speaks_as_the_browser_asks(hub: RealHub, path: str) -> None:
    async with hub.browser("ada") as http:
        _, english = await read(http, hub, path)
        _, italian = await read(http, hub, path, headers=ITALIAN)
    assert spoken(english) == "en"
    assert spoken(italian) == "it"


async def test_what_was_chosen_on_a_page_goes_before_the_browser(hub: RealHub) -> None:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        _, page = await read(http, hub, "login?next=/hub/spawn")
        assert re.search(r'name="next" value="([^"]*)"', page)[1] == "/hub/login?next=/hub/spawn"  # type: ignore[index]
        answer = await choose(http, hub, "it", "/hub/login?next=/hub/spawn")
        assert (answer.status, answer.headers["Location"]) == (303, "/hub/login?next=/hub/spawn")
        cookie = answer.cookies[language.COOKIE]
        assert (cookie["path"], cookie["httponly"], cookie["samesite"]) == ("/", True, "Lax")
        assert spoken((await read(http, hub, "login"))[1]) == "it"
        assert spoken((await read(http, hub, "login", headers={"Accept-Language": "en"}))[1]) == "it"
        await choose(http, hub, "en")
        assert spoken((await read(http, hub, "login", headers=ITALIAN))[1]) == "en"


@pytest.mark.parametrize(
    "back",
    [
        "https://evil.example/",
        "//evil.example/hub/",
        "/\\evil.example",
        "/user/ada/",
        "javascript:alert(1)",
        "/hub/\nx",
    ],
)
async def test_the_way_back_stays_in_the_hub(hub: RealHub, back: str) -> None:
    async with hub.browser("ada") as http:
        answer = await choose(http, hub, "it", back)
    assert answer.headers["Location"] == "/hub/home"


async def test_only_a_page_of_the_hub_changes_the_language(hub: RealHub) -> None:
    async with hub.browser("ada") as http:
        async with http.post(
            f"{hub.url}/hub/language", data={"language": "it"}, allow_redirects=False
        ) as answer:
            assert answer.status == 403
        assert (await choose(http, hub, "tlh")).status == 400
        assert (await choose(http, hub, "../../etc")).status == 400
    assert "Traceback" not in hub.told


async def test_requests_at_the_same_time_each_have_their_own(hub: RealHub) -> None:
    async with hub.browser("ada") as http:
        asked = [ITALIAN if number % 2 else {"Accept-Language": "en"} for number in range(20)]
        pages = await asyncio.gather(*(read(http, hub, "home", headers=headers) for headers in asked))
    assert [spoken(page) for _, page in pages] == ["en", "it"] * 10


async def test_a_refused_start_is_told_in_the_language_of_who_asks(hub: RealHub) -> None:
    """Over REST too, where JupyterHub's own handler answers with our sentence."""
    for headers, sentence in (
        (ITALIAN, "Il progetto Flavour physics non può usare AMD Alveo V70."),
        ({}, "The project Flavour physics may not use AMD Alveo V70."),
    ):
        async with hub.browser("cleo") as http:
            own = {**headers, "X-XSRFToken": xsrf(http), "Referer": f"{hub.url}/hub/home"}
            options = {"user_options": {"accelerator": "v70", "project": "flavour"}}
            async with http.post(f"{hub.url}/hub/api/users/cleo/server", json=options, headers=own) as answer:
                assert answer.status == 403
                assert (await answer.json())["message"].startswith(sentence)


async def progress(http: aiohttp.ClientSession, hub: RealHub, headers: dict[str, str]) -> list[str]:
    """Read along with a start from its beginning."""
    own = {**headers, "Referer": f"{hub.url}/hub/home", "X-XSRFToken": xsrf(http)}
    for _ in range(100):
        async with http.get(f"{hub.url}/hub/api/users/ada/server/progress", headers=own) as events:
            if events.status == 200:
                lines = (await events.text()).splitlines()
                return [json.loads(line[6:])["message"] for line in lines if line.startswith("data: ")]
        await asyncio.sleep(0.02)
    raise AssertionError("nothing starts")


async def test_a_start_is_told_to_each_reader_in_their_own_language(hub: RealHub) -> None:
    await hub.know("ada")
    async with hub.browser("ada") as http:
        start = asyncio.create_task(hub.begin("ada", {"accelerator": "none"}))
        italian, english = await asyncio.gather(progress(http, hub, ITALIAN), progress(http, hub, {}))
        await start
    assert "Chiesta una sessione senza acceleratore (1 core, 2\N{NO-BREAK SPACE}GiB)" in italian
    assert "Asked for a session without an accelerator (1 core, 2\N{NO-BREAK SPACE}GiB)" in english
    assert "Avvio con “Standard Python”" in italian
    await hub.end_session("ada")


async def test_what_jupyterhub_says_itself_is_told_in_our_words(hub: RealHub) -> None:
    async with hub.browser("ada") as http:
        own = {"X-XSRFToken": xsrf(http), "Referer": f"{hub.url}/hub/home"}
        url = f"{hub.url}/hub/api/users/ada/servers/twice"
        for headers, status, sentence in (
            (own, 201, None),
            (own, 409, "There is a session twice already. Choose another name."),
            ({**own, **ITALIAN}, 409, "C'è già una sessione twice. Scegli un altro nome."),
            (ITALIAN, 403, "La pagina che ha inviato questa richiesta"),
        ):
            async with http.put(url, json={}, headers=headers) as answer:
                assert answer.status == status
                if sentence:
                    assert (await answer.json())["message"].startswith(sentence)
        status, page = await read(http, hub, "spawn/nobody", headers=ITALIAN)
        assert status == 404
        assert "Non esiste, o non hai accesso." in page


def test_jupyterhub_still_says_what_we_say_otherwise() -> None:
    """The sentences are in its own source, so that a new version that words them anew is noticed."""
    source = "".join(path.read_text() for path in Path(jupyterhub.__file__).parent.rglob("*.py"))
    for words in (
        "already has server {",
        "already has the maximum of {",
        "is already running",
        "is pending {",
        "No such user: {",
        "has no such server {",
        "auth has expired for %s",
        "No access to resources or resources not found",
        "Action is not authorized with current scopes",
        "XSRF cookie",
        "Spawner failed to start [status=",
        "Too many users trying to log in right now",
    ):
        assert words in source, words
