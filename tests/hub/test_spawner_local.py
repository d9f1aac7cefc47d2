"""Local sessions on a real hub with a real proxy, while vkd is down: CPU sessions do not need it."""

import asyncio
import json
import os
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from tests.hub.realhub import RealHub, pause, processes_of, real_hub, server_path, session_process, xsrf

SECRETS = {
    "JUPYTERHUB_CRYPT_KEY": "c" * 64,
    "AIINFN_TICKET_KEY": "ticket-key-of-the-hub",
    "AIINFN_IAM_CLIENT_SECRET": "secret-of-the-client",
    "OAUTH_CLIENT_SECRET": "another-secret",
    "AIINFN_VKD_DATABASE": "postgresql://vkd:password@db/vkd",
}


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="aiinfn-examples-")) / "examples"
    folder.mkdir()
    (folder / "first.ipynb").write_text("{}")
    (folder / "deeper").mkdir()
    (folder / "deeper/data.csv").write_text("1,2")
    folder.parent.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def hub(examples: Path) -> Iterator[RealHub]:
    os.environ.update(SECRETS)
    try:
        with real_hub(vkd=False, skeleton=str(examples)) as running:
            yield running
    finally:
        for name in SECRETS:
            del os.environ[name]


async def test_a_session_runs_as_its_person_and_knows_nothing_of_the_hubs_secrets(hub: RealHub) -> None:
    status, answer = await hub.begin("ada", {"time_limit": "2h"})
    assert status in {201, 202}, answer
    await hub.ready("ada")
    home = hub.data / "homes/ada"
    process = session_process(home)
    environment = process.environ()
    values = " ".join(environment.values())
    for name, value in SECRETS.items():
        assert name not in environment
        assert value not in values
    for token in (hub.settings["admin_token"], hub.settings["vkd_token"], hub.settings["ticket_key"]):
        assert token not in values
    assert environment["AIINFN_ACCELERATOR"] == "none"
    assert environment["AIINFN_PROJECT"] == "flavour"
    assert environment["AIINFN_COUNT"] == "0"
    assert environment["AIINFN_IMAGE"] == "standard"
    assert environment["AIINFN_SIZE"] == "small"
    assert environment["CUDA_VISIBLE_DEVICES"] == ""
    assert environment["AIINFN_VKD_URL"].endswith("/services/vkd")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", environment["AIINFN_SESSION_END"])
    assert process.cwd() == str(home)
    assert home.stat().st_mode & 0o777 == 0o700
    status_file = await asyncio.to_thread(Path(f"/proc/{process.pid}/status").read_text)
    assert "NoNewPrivs:\t1" in status_file
    if os.geteuid() == 0:
        assert process.uids().real >= 60000
        assert home.stat().st_uid == process.uids().real
        assert re.search(r"Groups:\t *\n", status_file), "no supplementary group"
    # The examples came as the person's own files.
    assert (home / "examples/deeper/data.csv").read_text() == "1,2"
    assert (home / "examples/first.ipynb").stat().st_uid == home.stat().st_uid
    (home / "examples/first.ipynb").write_text("mine")
    (home / "examples/deeper/data.csv").unlink()

    await hub.end_session("ada")
    assert not processes_of(home)

    await hub.begin("ada", {})
    await hub.ready("ada")
    assert (home / "examples/first.ipynb").read_text() == "mine", "never overwritten"
    assert not (home / "examples/deeper/data.csv").exists(), "what was deleted stays deleted"
    await hub.end_session("ada")


async def test_no_kernel_and_no_app_is_left_after_a_stop_and_none_after_the_server_was_killed(
    hub: RealHub,
) -> None:
    home = hub.data / "homes/ben"
    for how in ("stop", "killed"):
        await hub.begin("ben", {})
        await hub.ready("ben")
        headers = {"Authorization": f"token {hub.settings['admin_token']}"}
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.post(f"{hub.url}/user/ben/api/kernels", json={"name": "python3"}) as answer,
        ):
            assert answer.status == 201, await answer.text()
            async with http.get(f"{hub.url}/user/ben/apps/hello/told") as app:
                assert app.status == 200, await app.text()
                told = await app.json()
        process = psutil.Process(told["pid"])
        family = [process, *process.children()]
        assert len(family) == 2
        assert {each.uids() for each in family} == {session_process(home).uids()}
        socket = Path(process.cmdline()[2])
        assert socket.parent.parent == Path(session_process(home).environ()["XDG_RUNTIME_DIR"])
        deadline = time.monotonic() + 20
        while not any("ipykernel" in " ".join(each.cmdline()) for each in processes_of(home)):
            assert time.monotonic() < deadline, "the kernel did not start"
            await pause()
        if how == "stop":
            await hub.end_session("ben")
        else:
            session_process(home).kill()
        deadline = time.monotonic() + 20
        while processes_of(home) or (await hub.server("ben"))["ready"]:  # type: ignore[index]
            assert time.monotonic() < deadline, processes_of(home)
            await pause()
        assert not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in family)
        assert not socket.parent.parent.exists()


async def test_an_accelerator_session_is_refused_quickly_and_in_words_while_vkd_is_down(hub: RealHub) -> None:
    began = time.monotonic()
    status, answer = await hub.begin("ada", {"accelerator": "t4"})
    assert time.monotonic() - began < 20
    assert status == 503
    assert (
        "Accelerators cannot be handed out now because the delegation service does not answer"
        in answer["message"]
    )
    assert "Start a CPU session or try again in a minute." in answer["message"]
    _, metrics = await hub.api("GET", "/../metrics")
    assert 'reason="unavailable",status="failure"' in metrics


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        ({"accelerator": "h200"}, 422, "There is no accelerator"),
        ({"accelerator": "v70"}, 403, "may not use AMD Alveo V70"),
        ({"project": "medphys"}, 403, "not a member"),
        ({"accelerator": "t4", "count": 0}, 422, "count of 0"),
        ({"accelerator": "t4", "count": "-1"}, 400, "count of -1"),
        ({"accelerator": "t4", "count": 10**30}, 422, "out of range"),
        ({"size": "large"}, 403, "not available"),
        ({"image": "gone"}, 422, "There is no image"),
        ({"time_limit": "90d"}, 422, "longer than"),
        ({"profile": "gpu"}, 400, "no choice of a session"),
        ({"accelerator": ["t4", "slice"]}, 400, "by name"),
    ],
)
async def test_a_rest_start_never_skips_the_gate(
    hub: RealHub, options: dict[str, Any], status: int, words: str
) -> None:
    answered, answer = await hub.begin("ada", options)
    assert answered == status, answer
    assert words in answer["message"]
    server = await hub.server("ada")
    assert server["stopped"]  # type: ignore[index]
    assert not server["pending"]  # type: ignore[index]


async def test_a_refusal_leaves_no_traceback_and_no_secret_in_the_log(hub: RealHub) -> None:
    await hub.begin("ada", {"accelerator": "h200"})
    async with hub.browser("ada") as http:
        await http.get(f"{hub.url}/hub/spawn")
        async with http.post(f"{hub.url}/hub/spawn/ada?_xsrf={xsrf(http)}", data={"size": "large"}) as page:
            assert page.status == 403
    assert "Traceback" not in hub.log
    assert "is not available for this project" in hub.log


async def test_somebody_without_a_project_reads_what_to_do_and_cannot_start_anything(hub: RealHub) -> None:
    async with hub.browser("nora") as http, http.get(f"{hub.url}/hub/spawn") as page:
        text = await page.text()
    assert "You do not belong to a project yet" in text
    assert 'id="start"' not in text
    status, answer = await hub.begin("nora", {})
    assert status == 403
    assert "do not belong to any project" in answer["message"]


async def saved(hub: RealHub, user: str, server: str = "") -> dict[str, Any] | None:
    """Give the options that the hub has saved for a server."""
    model = await hub.server(user, server)
    return model["user_options"] if model else None


@pytest.mark.parametrize("server", ["", "second"])
async def test_what_was_refused_is_never_saved(hub: RealHub, server: str) -> None:
    good = {"project": "flavour", "size": "small", "time_limit": "2h"}
    status, _ = await hub.begin("cleo", good, server)
    assert status in {201, 202}
    await hub.ready("cleo", server)
    await hub.end_session("cleo", server)
    assert await saved(hub, "cleo", server) == good
    for bad in (
        {"accelerator": "k80", "size": "small"},
        {"size": "large"},
        {"x": "y"},
        {"accelerator": "t4"},
    ):
        status, _ = await hub.begin("cleo", bad, server)
        assert status >= 400  # the last one by vkd, which is down, and not by the gate
        assert await saved(hub, "cleo", server) == good
    async with hub.browser("cleo") as http:
        await http.get(f"{hub.url}/hub/spawn")
        path = f"/hub/spawn/cleo/{server}".rstrip("/")
        async with http.post(f"{hub.url}{path}?_xsrf={xsrf(http)}", data={"size": "large"}) as page:
            assert page.status == 403
        assert await saved(hub, "cleo", server) == good
        async with http.get(f"{hub.url}{path}") as page:
            text = await page.text()
    assert "Your last choice" not in text
    assert '<option value="2h" selected>' in text


@pytest.mark.parametrize(("server", "body"), [("", None), ("", b"{}"), ("third", None), ("third", b"{}")])
async def test_a_start_without_a_choice_starts_what_the_form_has_selected(
    hub: RealHub, server: str, body: bytes | None
) -> None:
    await hub.begin("ben", {"project": "medphys", "size": "large", "time_limit": "3h"}, server)
    await hub.ready("ben", server)
    await hub.end_session("ben", server)
    # Of that, three hours are not among the times of the form, which says so and selects the usual one.
    async with hub.browser("ben") as http, http.get(f"{hub.url}/hub/spawn/ben/{server}".rstrip("/")) as page:
        text = await page.text()
    assert '<option value="medphys" selected>' in text
    assert "Your last choice “3h” is not offered any more" in text
    status, answer = await hub.api("POST", server_path("ben", server), data=body)
    assert status in {201, 202}, answer
    await hub.ready("ben", server)
    chosen = {"accelerator": "none", "project": "medphys", "image": "standard", "size": "large"}
    assert await saved(hub, "ben", server) == chosen
    environment = session_process(hub.data / "homes/ben").environ()
    assert (environment["AIINFN_PROJECT"], environment["AIINFN_SIZE"]) == ("medphys", "large")
    await hub.end_session("ben", server)


async def test_options_that_a_server_was_made_with_are_judged_at_its_start(hub: RealHub) -> None:
    await hub.know("ada")
    path = server_path("ada", "made")
    status, _ = await hub.api("PUT", path, json={"user_options": {"accelerator": "k80"}})
    assert status == 201
    status, answer = await hub.api("POST", path)
    assert status == 422
    assert "There is no accelerator “k80” (any more)." in answer["message"]
    assert await saved(hub, "ada", "made") == {}
    status, _ = await hub.api(
        "PATCH", path, json={"user_options": {"project": "flavour", "time_limit": "1h"}}
    )
    assert status == 200
    status, answer = await hub.api("POST", path)
    assert status in {201, 202}, answer
    await hub.ready("ada", "made")
    assert await saved(hub, "ada", "made") == {"project": "flavour", "time_limit": "1h"}
    await hub.end_session("ada", "made")


async def test_a_refused_form_comes_back_with_its_choices_and_the_sentence_at_the_field(hub: RealHub) -> None:
    async with hub.browser("ben") as http:
        await http.get(f"{hub.url}/hub/spawn")
        choices = {"accelerator": "v70", "project": "flavour", "time_limit": "4h"}
        async with http.post(f"{hub.url}/hub/spawn/ben?_xsrf={xsrf(http)}", data=choices) as page:
            text = await page.text()
            assert page.status == 403
        assert 'id="problem-accelerator"' in text
        assert "may not use AMD Alveo V70" in text
        assert re.search(r'value="v70" id="accelerator-v70"[^>]* checked', text)
        assert '<option value="flavour" selected>' in text
        assert '<option value="4h" selected>' in text
        # It is told once.
        async with http.get(f"{hub.url}/hub/spawn") as page:
            assert 'id="refusal"' not in await page.text()


async def test_nothing_of_a_start_sticks_to_the_next_one(hub: RealHub) -> None:
    status, _ = await hub.begin("ben", {"project": "medphys", "size": "large", "time_limit": "1h"})
    assert status in {201, 202}
    await hub.ready("ben")
    await hub.end_session("ben")
    await hub.begin("ben", {})
    await hub.ready("ben")
    environment = session_process(hub.data / "homes/ben").environ()
    assert (environment["AIINFN_PROJECT"], environment["AIINFN_SIZE"]) == ("flavour", "small")
    await hub.end_session("ben")


async def test_a_session_ends_at_its_time_limit(hub: RealHub) -> None:
    # On a busy machine most of it is the start.
    await hub.begin("ada", {"time_limit": "45s"})
    await hub.ready("ada")
    deadline = time.monotonic() + 75
    while (await hub.server("ada"))["ready"]:  # type: ignore[index]
        assert time.monotonic() < deadline, "it went on"
        await pause()
    assert not processes_of(hub.data / "homes/ada")
    assert "reached its time limit" in hub.log


async def test_stop_during_a_start_ends_that_named_server_and_not_the_default_one(hub: RealHub) -> None:
    await hub.begin("ada", {})
    await hub.ready("ada")
    starting = asyncio.create_task(hub.begin("ada", {}, server="second"))
    deadline = time.monotonic() + 20
    while not (model := await hub.server("ada", "second")) or model["pending"] != "spawn":
        assert time.monotonic() < deadline
        await pause()
    async with hub.browser("ada") as http:
        async with http.get(f"{hub.url}/hub/spawn-pending/ada/second") as page:
            text = await page.text()
        assert 'data-server="/hub/api/users/ada/servers/second"' in text
        async with http.delete(
            f"{hub.url}/hub/api{server_path('ada', 'second')}", headers={"X-XSRFToken": xsrf(http)}
        ) as answer:
            assert answer.status in {202, 204}
    await asyncio.wait([starting])
    deadline = time.monotonic() + 20
    while (model := await hub.server("ada", "second")) and (model["pending"] or model["ready"]):
        assert time.monotonic() < deadline, model
        await pause()
    assert (await hub.server("ada"))["ready"]  # type: ignore[index]
    assert (
        len(
            [
                each
                for each in processes_of(hub.data / "homes/ada")
                if "singleuser" in " ".join(each.cmdline())
            ]
        )
        == 1
    )
    await hub.end_session("ada")


async def test_progress_names_the_steps_in_order(hub: RealHub) -> None:
    starting = asyncio.create_task(hub.begin("ada", {}))
    seen: list[Any] = []
    headers = {"Authorization": f"token {hub.settings['admin_token']}"}
    async with aiohttp.ClientSession(headers=headers) as http:
        deadline = time.monotonic() + 20
        while not seen:
            assert time.monotonic() < deadline
            async with http.get(f"{hub.url}/hub/api/users/ada/server/progress") as stream:
                if stream.status != 200:
                    await pause()
                    continue
                seen = [json.loads(line[5:]) async for line in stream.content if line.startswith(b"data:")]
    await starting
    steps = [event["step"] for event in seen if "step" in event]
    assert [step for place, step in enumerate(steps) if step not in steps[:place]] == [
        "asked",
        "placed",
        "starting",
    ]
    assert seen[-1]["ready"]
    await hub.end_session("ada")


@pytest.fixture
def shares(hub: RealHub) -> Iterator[Path]:
    """Give a folder of this machine that the platform file names as a share, beside one that is not here and scratch space."""
    path, share = Path(hub.settings["platform"]), hub.data / "shared"
    share.mkdir()
    (share / "events.txt").write_text("42")
    before = path.read_text()
    path.write_text(
        f"{before}storage:\n  data: {{title: Data, use: share, mount: /data, local: {{kind: folder, path: {share}}}}}\n"
        "  away: {title: Far away, use: share, mount: /away}\n"
        "  scratch: {title: Scratch, use: scratch, mount: /scratch}\n"
    )
    yield share
    path.write_text(before)


async def test_a_session_has_links_to_shares_and_scratch_and_the_form_says_what_is_not_here(
    hub: RealHub, shares: Path
) -> None:
    deadline = time.monotonic() + 30
    async with hub.browser("ada") as http:
        text = ""
        while "Far away is not on this machine." not in text:  # until the file is read again
            assert time.monotonic() < deadline, text
            await pause()
            async with http.get(f"{hub.url}/hub/spawn") as page:
                text = await page.text()
    await hub.begin("ada", {})
    await hub.ready("ada")
    home = hub.data / "homes/ada"
    assert (home / "data/events.txt").read_text() == "42"
    assert (home / "scratch").resolve() == (hub.data / "scratch/ada").resolve()
    assert (home / "scratch").stat().st_uid == home.stat().st_uid
    assert not (home / "away").exists()
    assert "storage away is not there on one machine" in hub.log
    await hub.end_session("ada")
