"""The end of a session on a real hub: when it comes, who may put it off, and that it really ends later."""

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from tests.hub.realhub import RealHub, pause, processes_of, real_hub, session_process, vkd_answers, xsrf
from tests.hub.test_spawner_devices import figures

LIMITS = ", session_extension: 10s, session_extensions: 2, session_warning: 4s"
MORE = timedelta(seconds=10)


@pytest.fixture(scope="module")
def hub() -> Iterator[RealHub]:
    with real_hub(vkd=True, session_start="20s", limits=LIMITS) as running:
        yield running


async def ask(hub: RealHub, method: str, session: str, token: str | None, **headers: str) -> tuple[Any, Any]:
    """Ask as who has a token; None asks without any."""
    sent = headers | ({"Authorization": f"token {token}"} if token else {})
    url = f"{hub.url}/hub/api/aiinfn/session-time/{session}"
    async with aiohttp.ClientSession(headers=sent) as http, http.request(method, url) as answer:
        return answer.status, await answer.json()


def token_of(hub: RealHub, who: str, server: str = "") -> str:
    """The token that a session's server has, out of its environment."""
    home = hub.data / "homes" / who
    found = [each.environ() for each in processes_of(home) if "aiinfn_lab.singleuser" in each.cmdline()]
    return next(each["JUPYTERHUB_API_TOKEN"] for each in found if each["JUPYTERHUB_SERVER_NAME"] == server)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def test_a_session_goes_on_past_its_first_end_and_ends_at_the_next(hub: RealHub) -> None:
    await vkd_answers(hub)
    await hub.begin("ada", {"accelerator": "t4", "time_limit": "30s"})
    await hub.ready("ada")
    environment = session_process(hub.data / "homes/ada").environ()
    token = token_of(hub, "ada")
    status, before = await ask(hub, "GET", "ada", token)
    assert status == 200, before
    first = moment(before["end"])
    assert environment["AIINFN_SESSION_END"] == before["end"]
    assert (
        moment(environment["AIINFN_SESSION_END_CERTAIN_UNTIL"])
        == first - MORE
        == moment(before["extends_at"])
    )
    assert before["warnings"] == [3.0, pytest.approx(1.0)]
    assert abs(moment(before["now"]) - datetime.now(UTC)) < timedelta(seconds=2)
    assert (await figures(hub))["next_session_end"] == before["end"]

    while datetime.now(UTC) < first - MORE:
        await pause()
    status, extended = await ask(hub, "POST", "ada", token)
    assert status == 200, extended
    second = moment(extended["end"])
    assert second == first + MORE
    assert (extended["extensions_left"], extended["extension"]) == (1, None)
    assert extended["refusal"]["message"] == "This session can be extended when less than 10s of it is left."
    # A second click is no second extension.
    status, refused = await ask(hub, "POST", "ada", token)
    assert (status, refused["reason"]) == (409, "conflict")
    # What others read of when the first device becomes free.
    assert (await figures(hub))["next_session_end"] == extended["end"]

    while datetime.now(UTC) < first + timedelta(seconds=2):
        await pause()
    assert (await hub.server("ada"))["ready"], "it lives past its first end"  # type: ignore[index]
    while (await hub.server("ada"))["ready"]:  # type: ignore[index]
        assert datetime.now(UTC) < second + timedelta(seconds=10), "it went on"
        await pause()
    assert datetime.now(UTC) >= second
    assert not processes_of(hub.data / "homes/ada")
    status, gone = await ask(hub, "GET", "ada", hub.settings["admin_token"])
    assert (status, gone["message"]) == (404, "This session does not run.")


async def test_who_may_extend_a_session_and_who_may_not(hub: RealHub) -> None:
    await vkd_answers(hub)
    await asyncio.gather(hub.begin("ben", {"time_limit": "10m"}), hub.begin("cleo", {"time_limit": "10m"}))
    await hub.begin("ben", {"time_limit": "10m"}, server="second")
    for who, server in (("ben", ""), ("ben", "second"), ("cleo", "")):
        await hub.ready(who, server)
    mine, second, foreign = token_of(hub, "ben"), token_of(hub, "ben", "second"), token_of(hub, "cleo")
    admin = hub.settings["admin_token"]
    allowed = {
        ("ben", mine),
        ("ben/second", second),
        ("cleo", foreign),
        ("ben", admin),
        ("ben/second", admin),
    }
    for session in ("ben", "ben/second", "cleo", "nobody", "ben/none"):
        for token in (mine, second, foreign, admin):
            for method in ("GET", "POST"):
                status, answer = await ask(hub, method, session, token)
                if (session, token) in allowed or (session, token) == ("cleo", admin):
                    # There are ten minutes yet, so that nothing is extended here.
                    assert status == (200 if method == "GET" else 409), answer
                else:
                    assert status == 404, (session, answer)
                    assert "end" not in answer
    for method in ("GET", "POST"):
        assert (await ask(hub, method, "ben", None))[0] == 403
        assert (await ask(hub, method, "ben", hub.settings["vkd_token"]))[0] == 404, (
            "a service without rights"
        )

    # With a cookie, as the home page: not without its XSRF token, and not for somebody else.
    url = f"{hub.url}/hub/api/aiinfn/session-time"
    async with hub.browser("ben") as http:
        headers = {"X-XSRFToken": xsrf(http), "Content-Type": "application/json"}
        async with http.post(f"{url}/ben") as answer:
            assert answer.status == 403
        async with http.post(f"{url}/ben", headers=headers) as answer:
            assert answer.status == 409, await answer.text()
        async with http.get(f"{url}/ben/second", headers=headers) as answer:
            assert answer.status == 200
            assert answer.headers["Cache-Control"] == "no-store"
        async with http.post(f"{url}/cleo", headers=headers) as answer:
            assert answer.status == 404
    assert "Traceback" not in hub.log


async def test_nobody_gets_more_time_while_others_wait_for_the_accelerator(hub: RealHub) -> None:
    await vkd_answers(hub)
    await hub.begin("ada", {"accelerator": "t4", "count": 2, "time_limit": "30s"})
    await hub.ready("ada")
    token, end = token_of(hub, "ada"), moment((await ask(hub, "GET", "ada", token_of(hub, "ada")))[1]["end"])
    # A session of one's own that waits stands in nobody's way.
    own = asyncio.create_task(hub.begin("ada", {"accelerator": "t4"}, server="second"))
    await until_wait(hub, 1)
    while datetime.now(UTC) < end - MORE:
        await pause()
    status, view = await ask(hub, "GET", "ada", token)
    assert (status, view["refusal"]) == (200, None)
    assert view["extension"]["seconds"] == 10
    other = asyncio.create_task(hub.begin("ben", {"accelerator": "t4"}, server="third"))
    await until_wait(hub, 2)
    await asyncio.sleep(1.6)  # what the hub knows of others may be that old
    status, refused = await ask(hub, "POST", "ada", token)
    assert (status, refused["reason"]) == (503, "capacity"), refused
    assert refused["message"] == "Another session waits for NVIDIA T4, so this one cannot be extended now."
    # So the devices go to who waits.
    await asyncio.gather(own, other)
    await hub.ready("ben", "third")
    assert "Traceback" not in hub.log


async def until_wait(hub: RealHub, number: int) -> None:
    deadline = time.monotonic() + 8
    while (now := await figures(hub))["waiting_sessions"] != number:
        assert time.monotonic() < deadline, now
        await pause()
