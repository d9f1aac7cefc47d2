"""What a running session can get from IAM, what its project's managers can do to it, and when access ends with it."""

import asyncio
import base64
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import aiohttp
import psutil
import pytest
import pytest_asyncio
import yaml

from tests.hub.stack import PLATFORM, Hub, Iam, browser, wait_for
from tests.hub.test_auth_signin import eventually
from tests.hub.test_config_hub import session_of, started

SCOPES = ["compute.read", "storage.modify:/", "storage.read:/"]
TOKEN = "/aiinfn/iam-token"
SESSIONS = "/aiinfn/project-sessions"


class Place:
    """The hub, IAM, and the platform file."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "platform.yaml"
        self.hub = Hub(folder)
        self.iam = Iam(folder, self.hub.callback, 6, "--rotate")
        self.iam_section = {"session_token_scopes": SCOPES, "withdrawn_grace": "2s"}
        self.write()

    def write(self, **changes: Any) -> None:
        """Write the platform file; the hub reads it again within a second or two."""
        platform = yaml.safe_load(PLATFORM.read_text()) | {
            "iam": self.iam_section,
            "support": "help@example.org",
        }
        self.file.write_text(yaml.safe_dump(platform | changes))

    def token_requests(self) -> int:
        return self.iam.log.count("POST /token")

    def running(self) -> Iterator[Self]:
        """Run IAM and hub, for a fixture."""
        try:
            self.iam.start()
            self.hub.start(self.iam, AIINFN_PLATFORM=str(self.file))
            yield self
        finally:
            self.hub.stop()
            self.iam.stop()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    yield from Place(tmp_path_factory.mktemp("session")).running()


@pytest.fixture
def hub(place: Place) -> Hub:
    return place.hub


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def session(place: Place) -> psutil.Process:
    """Ada's, in the project Flavour physics."""
    return await started(place.hub, "ada")


def hub_token(process: psutil.Process) -> str:
    return process.environ()["JUPYTERHUB_API_TOKEN"]


def inside(token: str) -> dict[str, Any]:
    """Read a signed token as a storage service would, which checks the signature besides."""
    return json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))


async def test_a_session_gets_a_narrow_token_that_iam_takes_and_nothing_else(
    place: Place, session: psutil.Process
) -> None:
    before = hub_log_of_tokens(place)
    status, answer = place.hub.api(TOKEN, "POST", {}, token=hub_token(session))
    assert status == 200, answer
    assert set(answer) == {"access_token", "token_type", "expires_in", "expires_at", "scope"}
    assert answer["scope"].split() == SCOPES
    assert 0 < answer["expires_in"] <= 6
    claims = inside(answer["access_token"])
    assert claims["scope"].split() == SCOPES
    assert "offline_access" not in claims["scope"]
    assert claims["iss"] == place.iam.issuer
    # It is told, but not shown.
    assert hub_log_of_tokens(place) == before + 1
    assert answer["access_token"] not in place.hub.log


def hub_log_of_tokens(place: Place) -> int:
    return place.hub.log.count("IAM token for the session ada/: scope=")


async def test_a_token_can_be_narrowed_to_one_scope_and_one_audience(
    place: Place, session: psutil.Process
) -> None:
    asked = {"scope": "storage.read:/", "audience": "https://storage.example.org"}
    status, answer = place.hub.api(TOKEN, "POST", asked, token=hub_token(session))
    assert status == 200, answer
    claims = inside(answer["access_token"])
    assert (claims["scope"], claims["aud"]) == ("storage.read:/", "https://storage.example.org")


async def test_many_at_once_make_one_request_and_a_new_one_comes_before_the_old_one_ends(
    place: Place, session: psutil.Process
) -> None:
    token = hub_token(session)
    asked = {"scope": "compute.read"}
    before = place.token_requests()
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: place.hub.api(TOKEN, "POST", asked, token=token), range(40)))
    assert {status for status, _ in answers} == {200}
    assert len({answer["access_token"] for _, answer in answers}) == 1
    # One for them all, and at most one with which the hub renewed its own.
    assert 1 <= place.token_requests() - before <= 2
    first = answers[0][1]["access_token"]

    async def renewed() -> bool:
        status, answer = place.hub.api(TOKEN, "POST", asked, token=token)
        assert status == 200
        assert answer["expires_in"] >= 2
        return answer["access_token"] != first

    await eventually(renewed)


async def test_rotated_refresh_tokens_never_get_lost_between_the_hubs_checks_and_the_sessions(
    place: Place, session: psutil.Process
) -> None:
    # IAM ends everything if an old refresh token comes back, and access tokens live for six seconds.
    token = hub_token(session)
    deadline = time.monotonic() + 8
    with ThreadPoolExecutor(8) as pool:
        number = 0
        while time.monotonic() < deadline:
            calls = [
                pool.submit(
                    place.hub.api, TOKEN, "POST", {"audience": f"https://a{number % 3}.example.org"}, token
                ),
                *(pool.submit(place.hub.api, "/user", token=token) for _ in range(3)),
            ]
            assert {call.result()[0] for call in calls} == {200}
            number += 1
            await asyncio.sleep(0.3)
    assert "has to sign in again" not in place.hub.log


@pytest.mark.parametrize(
    ("asked", "status", "words"),
    [
        ({"scope": "openid"}, 403, "Sessions may have these IAM scopes only: compute.read"),
        ({"scope": "storage.read:/ offline_access"}, 403, "Not: offline_access."),
        ({"scope": ["storage.read:/"]}, 400, "Ask with JSON such as"),
        ({"audience": "two words"}, 400, "one word without spaces"),
        ({"resource": "x"}, 400, "both may be left out"),
        ([], 400, "Ask with JSON such as"),
    ],
)
async def test_what_cannot_be_given_is_refused_in_a_sentence(
    place: Place, session: psutil.Process, asked: Any, status: int, words: str
) -> None:
    answered, answer = place.hub.api(TOKEN, "POST", asked, token=hub_token(session))
    assert answered == status
    assert words in answer["message"]


async def test_a_scope_that_was_not_granted_at_the_sign_in_is_refused_with_what_to_do(
    place: Place, session: psutil.Process
) -> None:
    place.write(iam=place.iam_section | {"session_token_scopes": ["added.later"]})
    try:

        async def told() -> bool:
            status, answer = place.hub.api(TOKEN, "POST", {"scope": "added.later"}, token=hub_token(session))
            assert status == 403
            return "IAM has not granted the scope added.later at your last sign-in." in answer["message"]

        await eventually(told)
        place.write(iam={})
        await eventually(lambda: place.hub.api(TOKEN, "POST", {}, token=hub_token(session))[0] == 404)
        _, answer = place.hub.api(TOKEN, "POST", {}, token=hub_token(session))
        assert answer["message"] == "This platform gives no IAM tokens to sessions."
    finally:
        place.write()
    await eventually(lambda: place.hub.api(TOKEN, "POST", {}, token=hub_token(session))[0] == 200)


async def test_only_the_sessions_own_token_is_good_for_it(place: Place, session: psutil.Process) -> None:
    hub = place.hub
    _, mine = hub.api("/users/ada/tokens", "POST", {})
    for token in (mine["token"], hub.probe_token, "guessed"):
        status, answer = hub.api(TOKEN, "POST", {}, token=token)
        assert status == 403
        assert "token" in answer["message"]
    async with browser(hub) as client:
        await client.sign_in("ada")
        assert (await client.get("/hub/home")).status == 200
        # A browser is signed in, but a page of another server may be behind it.
        async with client._session.post(f"{hub.url}/hub/api{TOKEN}", json={}) as answer:
            assert answer.status == 403


async def test_the_answer_stays_in_no_cache(place: Place, session: psutil.Process) -> None:
    async with (
        browser(place.hub) as client,
        client._session.post(
            f"{place.hub.url}/hub/api{TOKEN}",
            json={},
            headers={"Authorization": f"token {hub_token(session)}"},
        ) as answer,
    ):
        assert answer.status == 200
        assert answer.headers["Cache-Control"] == "no-store"


async def test_the_function_for_notebooks_gives_a_token_from_within_the_session(
    session: psutil.Process,
) -> None:
    program = (
        "import asyncio, aiinfn_lab.iam as iam\n"
        "print(iam.access_token('storage.read:/'))\n"
        "print(asyncio.run(iam.access_token_async('storage.read:/')))\n"
        "try:\n    iam.access_token('admin')\nexcept iam.NoTokenError as error:\n    print(error.status, error)\n"
    )
    run = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", program],
        env=session.environ(),
        capture_output=True,
        text=True,
        check=True,
    )
    first, second, refused = run.stdout.splitlines()
    assert inside(first)["scope"] == inside(second)["scope"] == "storage.read:/"
    assert refused.startswith("403 Sessions may have these IAM scopes only")


async def test_neither_the_sessions_processes_nor_its_files_hold_anything_of_iam(
    place: Place, session: psutil.Process
) -> None:
    """Every process of the session, with the kernel, and every file that was written for it."""
    hub, iam = place.hub, place.iam
    async with browser(hub) as client:
        await client.sign_in("ada")
    status, answer = hub.api(TOKEN, "POST", {}, token=hub_token(session))
    assert status == 200
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"token {hub_token(session)}"}) as http,
        http.post(f"{hub.url}/user/ada/api/kernels", json={"name": "python3"}) as kernel,
    ):
        assert kernel.status == 201, await kernel.text()
    await eventually(lambda: session.children(recursive=True))
    forbidden = {
        "the client secret": iam.client_secret,
        "the client id": "aiinfn-hub",
        "the issuer": iam.issuer,
        "an IAM token": answer["access_token"],
        "a signed token": "eyJ",
        "the word for one": "REFRESH",
    }
    environments = [process.environ() for process in (session, *session.children(recursive=True))]
    raw = [
        await asyncio.to_thread(Path(f"/proc/{process.pid}/environ").read_bytes)
        for process in (session, *session.children(recursive=True))
    ]
    assert all(raw)
    for what, secret in forbidden.items():
        assert not any(secret.encode() in one for one in raw), what
    # All words of secrecy in the environment: JupyterHub's own token (and the same for OAuth with the Lab).
    for environment in environments:
        secret_names = {
            name
            for name in environment
            if any(word in name.upper() for word in ("TOKEN", "SECRET", "PASSWORD", "KEY", "IAM"))
        }
        assert secret_names <= {"JUPYTERHUB_API_TOKEN", "JPY_API_TOKEN"}, secret_names
        assert (
            environment.get("JPY_API_TOKEN", environment["JUPYTERHUB_API_TOKEN"])
            == environment["JUPYTERHUB_API_TOKEN"]
        )
    home = Path(session.environ()["HOME"])
    for path, content in await asyncio.to_thread(contents, home):
        for what in ("the client secret", "an IAM token"):
            assert forbidden[what].encode() not in content, (what, path)


def contents(folder: Path) -> list[tuple[Path, bytes]]:
    files = [file for file in folder.rglob("*") if file.is_file() and file.stat().st_size < 2**20]
    assert files, "a session writes at least what Jupyter keeps about it"
    return [(file, file.read_bytes()) for file in files]


async def test_the_sessions_token_may_do_what_the_session_needs_only(
    place: Place, session: psutil.Process
) -> None:
    status, model = place.hub.api("/user", token=hub_token(session))
    assert status == 200
    assert set(model["scopes"]) == {
        "access:services!service=vkd",
        "access:servers!server=ada/",
        "custom:aiinfn:iam-token!server=ada/",
        "users:activity!user=ada",
        "read:users:activity!user=ada",
        "read:users:groups!user=ada",
        "read:users:name!user=ada",
    }
    assert "auth_state" not in model


async def test_while_iam_is_down_the_session_goes_on_and_gets_a_sentence_instead_of_a_token(
    place: Place, session: psutil.Process
) -> None:
    token = hub_token(session)
    place.iam.fault(down=True)
    try:
        status, answer = await asyncio.to_thread(
            place.hub.api, TOKEN, "POST", {"audience": "https://new.example.org"}, token
        )
        assert status == 503
        assert answer["message"] == "IAM does not answer. Try again in a minute."
        assert place.hub.api("/user", token=token)[0] == 200
        assert session.is_running()
        async with browser(place.hub) as client:
            page = await client.get("/hub/oauth_login")
        assert page.status == 503
        assert "Sessions and jobs that already run go on." in page.text
    finally:
        place.iam.fault()

    async def back() -> bool:
        return place.hub.api(TOKEN, "POST", {"audience": "https://new.example.org"}, token)[0] == 200

    await eventually(back)


async def test_a_manager_sees_and_stops_the_sessions_of_the_own_project_only(
    place: Place, session: psutil.Process
) -> None:
    hub = place.hub
    # Bruno belongs to Carla's project too, but works for another one.
    async with browser(hub) as client:
        await client.sign_in("bruno")
    status, _ = hub.api("/users/bruno/server", "POST", {"user_options": {"project": "medphys"}})
    assert status in {201, 202}
    wait_for("bruno's runs", lambda: hub.api("/users/bruno")[1]["servers"].get("", {}).get("ready"), 90)

    async with browser(hub) as carla:
        await carla.sign_in("carla")
        page = await carla.get("/hub/home")
        assert "My projects" in page.text
        page = await carla.get("/hub/project-sessions")
        assert page.status == 200
        assert "Flavour physics" in page.text
        assert 'data-user="ada"' in page.html
        assert "bruno" not in page.text
    _, made = hub.api("/users/carla/tokens", "POST", {})
    carla = made["token"]
    status, found = hub.api(SESSIONS, token=carla)
    assert status == 200
    assert [(one["user"], one["project"], one["state"]) for one in found["sessions"]] == [
        ("ada", "flavour", "running")
    ]
    status, answer = hub.api(f"{SESSIONS}/bruno/", "DELETE", token=carla)
    assert (status, answer["message"]) == (404, "There is no such session in a project that you manage.")
    # Nothing of JupyterHub's own: no look at people, no start, no way in, no token.
    for method, path in (
        ("GET", "/users"),
        ("GET", "/users/ada"),
        ("DELETE", "/users/ada/server"),
        ("POST", "/users/ada/server"),
        ("POST", "/users/ada/tokens"),
    ):
        assert hub.api(path, method, token=carla)[0] in {403, 404}, path
    async with browser(hub) as client:
        await client.sign_in("carla")
        assert (await client.get("/user/ada/lab")).status in {403, 404}

    # A member is no manager, and neither is who manages nothing.
    _, made = hub.api("/users/bruno/tokens", "POST", {})
    assert hub.api(SESSIONS, token=made["token"]) == (
        403,
        {"status": 403, "message": "You manage no project."},
    )
    assert hub.api(f"{SESSIONS}/ada/", "DELETE", token=made["token"])[0] == 404
    # Nor does the session of a manager have these rights: code that runs there is not its owner at work.
    process = await started(hub, "carla")
    assert hub.api(SESSIONS, token=hub_token(process))[0] == 403
    hub.api("/users/carla/server", "DELETE")

    # Who is no manager any more loses it at the next check.
    with place.iam.claims("carla", groups=["ai-infn/flavour"]):
        await eventually(lambda: hub.api(SESSIONS, token=carla)[0] == 403)
    await eventually(lambda: hub.api(SESSIONS, token=carla)[0] == 200)

    status, _ = hub.api(f"{SESSIONS}/ada/", "DELETE", token=carla)
    assert status in {202, 204}
    wait_for("ada's session ends", lambda: not hub.api("/users/ada")[1]["servers"], 20)
    assert hub.api("/users/bruno")[1]["servers"][""]["ready"]
    async with browser(hub) as client:
        await client.sign_in("ada")
        page = await client.get("/user/ada/lab")
        assert "carla, who manages Flavour physics, stopped it." in page.text


async def test_a_changed_platform_file_changes_who_manages_and_who_gets_in(place: Place) -> None:
    hub = place.hub
    async with browser(hub) as client:
        await client.sign_in("bruno")
    _, made = hub.api("/users/bruno/tokens", "POST", {})
    assert hub.api(SESSIONS, token=made["token"])[0] == 403
    projects = yaml.safe_load(PLATFORM.read_text())["projects"]
    projects["medphys"]["managers"] = ["ai-infn/medphys"]
    place.write(projects=projects)
    try:
        await eventually(lambda: hub.api(SESSIONS, token=made["token"])[0] == 200)
        assert [one["user"] for one in hub.api(SESSIONS, token=made["token"])[1]["sessions"]] == ["bruno"]

        place.write(
            projects=projects, iam=place.iam_section | {"required_groups": ["infn/members", "infn/guests"]}
        )

        async def refused() -> bool:
            async with browser(hub) as other:
                page = await other.sign_in("ada")
            assert page.status in {200, 403}
            if page.status == 200:
                return False
            assert (
                "You are signed in to IAM as ada, but Test platform is for members of one of the groups infn/guests, "
                f"infn/members only. Ask to join one at {place.iam.issuer}, and then sign in again."
                in page.text
            )
            assert "Questions: help@example.org." in page.text
            return True

        await eventually(refused)
        # Operators too, and one of the groups is enough.
        async with browser(hub) as other:
            assert (await other.sign_in("dora")).status == 403
        with place.iam.claims("ada", groups=["ai-infn/flavour", "infn/guests"]):
            async with browser(hub) as other:
                assert (await other.sign_in("ada")).status == 200
        # For who is in already, it counts at the next check.
        await eventually(lambda: hub.api("/user", token=made["token"])[0] == 403)
    finally:
        place.write()
    await eventually(lambda: hub.api("/user", token=made["token"])[0] == 200)


async def test_a_session_of_which_nobody_asks_ends_after_the_access_of_its_owner(place: Place) -> None:
    hub = place.hub
    process = await started(hub, "dora")
    token = hub_token(process)
    # Back in time: it goes on. A wrong answer of IAM must not end anybody's work.
    with place.iam.claims("dora", groups=[]):
        await eventually(lambda: "dora has no access any more; the sessions end in 2 s" in hub.log)
    await eventually(lambda: "The sessions of dora go on" in hub.log)
    assert process.is_running()
    assert hub.api("/user", token=token)[0] == 200

    with place.iam.claims("dora", groups=[]):
        await eventually(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE, 20)
        assert hub.api("/user", token=token)[0] == 403
    assert session_of(hub, "dora") is None
    # The hub looks now and then whether the process that it stops has ended.
    await eventually(lambda: not hub.api("/users/dora")[1]["servers"])
    assert "Traceback" not in hub.log


async def test_groups_count_at_the_next_start_without_a_new_sign_in(place: Place) -> None:
    hub = place.hub
    async with browser(hub) as client:
        await client.sign_in("bruno")
    await asyncio.to_thread(hub.api, "/users/bruno/server", "DELETE")
    wait_for("bruno's ended", lambda: not hub.api("/users/bruno")[1]["servers"], 20)
    options = {"user_options": {"project": "medphys"}}
    with place.iam.claims("bruno", groups=["ai-infn/flavour"]):
        status, answer = hub.api("/users/bruno/server", "POST", options)
        assert status == 403
        assert "not a member" in answer["message"]
    status, answer = hub.api("/users/bruno/server", "POST", options)
    assert status in {201, 202}, answer
