"""Sessions on the real cluster: a real hub, real JupyterLab in real containers, with the rights that the platform gives."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
import urllib.request
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import psutil
import pytest

from tests.cluster.harness import images, wait_for
from tests.cluster.hub_world import ClusterHub, Lab, cluster_hub, notebook_of, post_form
from tests.cluster.site import INSTANCE, Site
from tests.hub.stack import Client, Iam, browser
from tests.hub.terminals import Terminal
from tests.hub.test_config_hub import vkd_of

GPU = "nvidia.com/gpu"
PREFIX = "ai.infn.it"
PEOPLE = ("ada", "bruno", "dora")


@pytest.fixture(scope="module")
def world(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ClusterHub, Iam]]:
    with cluster_hub(tmp_path_factory.mktemp("hub"), site) as both:
        yield both


@pytest.fixture(scope="module", autouse=True)
def known(world: Any, site: Site) -> None:
    """Everybody signed in once, so that the hub knows their groups."""
    hub, _ = world

    async def sign_in() -> None:
        for who in PEOPLE:
            site.home(who)
            async with browser(hub) as client:
                assert (await client.sign_in(who)).status == 200

    asyncio.run(sign_in())


@pytest.fixture
def hub(world: tuple[ClusterHub, Iam]) -> Iterator[ClusterHub]:
    hub = world[0]
    yield hub
    hub.alive()
    hub.clear()
    assert "Traceback" not in hub.told()


def container(pod: Any) -> Any:
    (only,) = pod["spec"]["containers"]
    return only


def environment(pod: Any) -> dict[str, Any]:
    return {each["name"]: each.get("value") for each in container(pod)["env"]}


async def test_from_sign_in_to_jupyterlab_in_a_container(hub: Any, figure: Any) -> None:
    begin = time.monotonic()
    async with browser(hub) as client:
        await client.sign_in("ada")
        form = await client.get("/hub/spawn")
        assert "NVIDIA T4" in form.text
        figure("hub: sign-in to form, s", time.monotonic() - begin)
        posted = time.monotonic()
        fields = {
            "accelerator": "t4",
            "count": "1",
            "image": "standard",
            "size": "large",
            "project": "flavour",
        }
        page = await post_form(client, fields)
        assert page.status == 200
        hub.until_ready("ada")
        figure("hub: form sent to ready, s", time.monotonic() - posted)
        lab = Lab(client, "ada")
        assert "JupyterLab" in await lab.open()
        figure("hub: form sent to JupyterLab's page, s", time.monotonic() - posted)
        session = (await lab.ask("aiinfn-lab/status"))["session"]
        assert (session["project"], session["accelerator"]) == ("flavour", "t4")
        begin = time.monotonic()
        hub.end_session("ada")
        figure("hub: session ended, s", time.monotonic() - begin)


def test_the_pod_is_what_was_granted_and_holds_to_the_security_floor(hub: Any, site: Any) -> None:
    before = datetime.now().astimezone()
    hub.start_session("bruno", accelerator="t4", count="2", size="large", project="medphys", time_limit="2h")
    pod = hub.pod("bruno")
    about, spec = pod["metadata"], pod["spec"]
    mine = {key: value for key, value in about["labels"].items() if key.startswith(PREFIX)}
    assert mine == {
        f"{PREFIX}/{key}": value
        for key, value in {
            "kind": "session",
            "user": "bruno",
            "project": "medphys",
            "accelerator": "t4",
            "count": "2",
            "session": "bruno",
            "managed": INSTANCE.name,
        }.items()
    }
    # kubespawner's own are beside them.
    assert about["labels"]["hub.jupyter.org/username"] == "bruno"
    assert about["name"] == "jupyter-bruno"
    until = datetime.fromisoformat(about["annotations"][f"{PREFIX}/until"])
    assert timedelta(hours=2) <= until - before < timedelta(hours=2, seconds=60)
    assert container(pod)["resources"] == {
        "requests": {"cpu": "1", "memory": "1536Mi", GPU: "2"},
        "limits": {"memory": "1536Mi", GPU: "2"},
    }
    terms = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
        "nodeSelectorTerms"
    ]
    assert [(each["key"], each["values"]) for term in terms for each in term["matchExpressions"]] == [
        ("nvidia.com/gpu.product", ["Tesla-T4"])
    ]
    assert spec["priorityClassName"] == INSTANCE.session_priority_class
    assert spec["automountServiceAccountToken"] is False
    assert spec["restartPolicy"] == "Never"
    assert "kube-api-access" not in json.dumps(spec["volumes"])
    # The namespace enforces the restricted standard, so the pod passed it.
    namespace = hub.cluster.api.get(f"/api/v1/namespaces/{site.platform.kubernetes.sessions_namespace}")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    env = environment(pod)
    assert env["HOME"] == env["JUPYTERHUB_ROOT_DIR"] == "/home/user"
    assert env["AIINFN_VKD_URL"] == hub.vkd_url
    assert env["AIINFN_PORT_PROXY"] == "open"
    assert env["AIINFN_SESSION_END"].startswith(until.strftime("%Y-%m-%dT%H:%M:%S"))
    assert env["MEM_LIMIT"] == str(1536 * 2**20)
    token = env.pop("JUPYTERHUB_API_TOKEN")
    assert env.pop("JPY_API_TOKEN") == token  # its name of old
    # The token that JupyterHub gives each server is the only secret, and it is in no log.
    assert not [key for key in env if any(word in key for word in ("SECRET", "TOKEN", "PASSWORD", "KEY"))]
    assert token not in hub.log
    assert hub.pods_path.endswith(site.platform.kubernetes.sessions_namespace + "/pods")


@pytest.mark.parametrize(
    ("options", "status", "says"),
    [
        ({"accelerator": "h100"}, 422, "no accelerator"),
        ({"project": "medphys"}, 403, "not a member"),
        ({"image": "root/evil:latest"}, 422, "There is no image"),
        ({"accelerator": "t4", "count": 3}, 422, "at most 2"),
        ({"kubespawner_override": {"image": "evil"}}, 400, "no choice of a session"),
        ({"profile": "h100"}, 422, "no accelerator"),
        ({"profile": "t4", "image": "root/evil:latest"}, 422, "There is no image"),
        ({"profile": "t4", "image--unlisted-choice": "evil"}, 400, "no choice of a session"),
    ],
    ids=str,
)
def test_what_is_not_offered_never_becomes_a_pod(hub: Any, options: Any, status: Any, says: Any) -> None:
    answered, answer = hub.ask("ada", **options)
    assert answered == status, answer
    assert says in answer["message"]
    assert hub.pods() == []


def test_nothing_of_one_start_is_left_in_the_next(hub: Any) -> None:
    hub.start_session("ada", accelerator="t4", count=2, size="large")
    assert container(hub.pod("ada"))["resources"]["limits"][GPU] == "2"
    hub.end_session("ada")
    # A start that failed is where the hub keeps the same object.
    assert "not on the node" in hub.refused("ada", accelerator="v70", image="missing")
    hub.start_session("ada", accelerator="none", size="small")
    pod = hub.pod("ada")
    assert container(pod)["resources"] == {
        "requests": {"cpu": "200m", "memory": "384Mi"},
        "limits": {"memory": "384Mi"},
    }
    assert container(pod)["image"] == "localhost/hostfs:1"
    assert "affinity" not in pod["spec"]
    assert environment(pod)["AIINFN_ACCELERATOR"] == "none"


async def test_kubespawners_profiles_are_the_form_in_other_words(hub: Any) -> None:
    hub.start_session("ada", profile="t4", image="standard", size="small")
    assert container(hub.pod("ada"))["resources"]["limits"][GPU] == "1"


def test_somebody_has_several_sessions(hub: Any) -> None:
    hub.start_session("ada", accelerator="slice", size="small")
    hub.start_session("ada", "second", accelerator="t4", size="small")
    first, second = hub.pod("ada"), hub.pod("ada", "second")
    assert first["metadata"]["name"] == "jupyter-ada"
    assert second["metadata"]["name"] == "jupyter-ada--second"
    assert second["metadata"]["annotations"][f"{PREFIX}/session"] == "ada/second"
    hub.end_session("ada", "second")
    assert hub.model("ada")["ready"]
    assert hub.pod("ada")["metadata"]["uid"] == first["metadata"]["uid"]


def test_a_hub_that_comes_back_finds_the_sessions_that_run(world: Any, hub: Any) -> None:
    _, iam = world
    hub.start_session("ada", accelerator="t4", size="small")
    uid = hub.pod("ada")["metadata"]["uid"]
    hub.stop()
    time.sleep(1)
    assert hub.pod("ada")["metadata"]["uid"] == uid
    hub.start(iam)
    hub.until_ready("ada")
    assert hub.pod("ada")["metadata"]["uid"] == uid
    state = hub.api("/users/ada?include_stopped_servers=1")[1]["servers"][""]
    assert state["user_options"] == {"accelerator": "t4", "size": "small"}
    hub.end_session("ada")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            {"image": "missing"},
            "“Image that does not exist” is not on the node, and this platform fetches no images.",
        ),
        ({"size": "huge"}, "No node of the cluster could hold 512 cores and 8 TiB, not even an empty one."),
    ],
    ids=["image", "size"],
)
async def test_a_start_that_cannot_succeed_ends_early_and_says_what_to_do(
    hub: Any, figure: Any, options: Any, says: Any
) -> None:
    async with browser(hub) as client:
        await client.sign_in("ada")
        begin = time.monotonic()
        await post_form(client, {"accelerator": "none", "size": "small", "image": "standard"} | options)
        wait_for("the end of the start", lambda: not hub.model("ada"), 30, 0.05)
        figure(f"hub: hopeless start ({next(iter(options))}) told, s", time.monotonic() - begin)
        page = await client.get("/hub/spawn-pending/ada")
    assert says in page.text.replace("\N{NO-BREAK SPACE}", " ")
    assert "Choose" in page.text
    assert hub.pods() == []


def test_a_model_that_no_node_has_is_told_at_once(hub: Any) -> None:
    hub.cluster.kubectl("label", "node", hub.cluster.settings.node_name, "nvidia.com/gpu.product-")
    try:
        begin = time.monotonic()
        said = hub.refused("ada", accelerator="t4", size="small")
        assert "No node of the cluster has the model NVIDIA T4 now. Choose another accelerator" in said
        assert time.monotonic() - begin < 15
    finally:
        hub.cluster.kubectl(
            "label", "node", hub.cluster.settings.node_name, "nvidia.com/gpu.product=Tesla-T4"
        )


def test_a_quota_of_the_namespace_is_told(hub: Any, site: Any) -> None:
    quotas = f"/api/v1/namespaces/{site.platform.kubernetes.sessions_namespace}/resourcequotas"
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "few"},
        "spec": {"hard": {"pods": "0"}},
    }
    hub.cluster.api.post(quotas, quota)
    try:
        time.sleep(1)
        said = hub.refused("ada", size="small")
        assert "The quota few of the namespace is too small for this session: pods=1 was asked for" in said
    finally:
        hub.cluster.api.delete(f"{quotas}/few")


async def test_a_session_whose_pod_ends_says_why(hub: Any) -> None:
    hub.start_session("ada", size="small")
    hub.cluster.api.delete(f"{hub.pods_path}/jupyter-ada")
    wait_for("the end of the session", lambda: not hub.model("ada"), 40)
    async with browser(hub) as client:
        await client.sign_in("ada")
        page = await client.get("/hub/user/ada/lab")
        assert "It was ended from outside the hub." in page.text

        hub.start_session("ada", size="small")
        # JupyterLab ends at once: its pod is gone before the hub looks at it again.
        about = {"name": "jupyter-ada"}
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": about}
        hub.cluster.api.post(f"{hub.pods_path}/jupyter-ada/eviction", eviction)
        wait_for("the end of the session", lambda: not hub.model("ada"), 60)
        page = await client.get("/hub/user/ada/lab")
        assert "The session was ended because the operators are emptying its node." in page.text


async def test_a_session_ends_at_its_time_limit_and_says_so(hub: Any) -> None:
    hub.start_session("ada", size="small", time_limit="20s")
    wait_for("the end of the session", lambda: not hub.model("ada"), 60)
    assert hub.pods() == []
    async with browser(hub) as client:
        await client.sign_in("ada")
        assert "It reached its time limit." in (await client.get("/hub/user/ada/lab")).text
    # A new one is not told about the old one.
    hub.start_session("ada", size="small")
    hub.end_session("ada")
    async with browser(hub) as client:
        await client.sign_in("ada")
        assert "time limit" not in (await client.get("/hub/user/ada/lab")).text


async def test_why_a_session_waits_is_told_and_it_starts_when_it_can(hub: Any) -> None:
    hub.start_session("bruno", accelerator="t4", count=2, size="small", project="flavour")
    async with browser(hub) as client:
        await client.sign_in("ada")
        page = await post_form(client, {"accelerator": "t4", "count": "1", "size": "small"})
        wait_for("the pod", lambda: hub.pod("ada"))
        await asyncio.sleep(1)
        page = await client.get("/hub/spawn-pending/ada")
        assert "Asked for 1 NVIDIA T4" in page.text
        assert "No node has 1 NVIDIA T4 free now; the session waits for the next." in page.text
        await asyncio.to_thread(hub.end_session, "bruno")
        await asyncio.to_thread(hub.until_ready, "ada")
        assert await events_of(client, "ada")


async def events_of(client: Client, who: str) -> list[Any]:
    """What the hub's own progress says of a session that runs."""
    async with client._session.get(f"{client.hub.url}/hub/api/users/{who}/server/progress") as answer:
        return [line async for line in answer.content if line.startswith(b"data:")]


async def test_the_terminal_of_a_pod_knows_the_commands_and_the_person(hub: Any) -> None:
    async with browser(hub) as client:
        await client.sign_in("ada")
        await asyncio.to_thread(hub.start_session, "ada", size="small")
        lab = Lab(client, "ada")
        await lab.open()
        name = (await lab.ask("api/terminals", "POST"))["name"]
        url = f"{hub.url}{lab.base}/terminals/websocket/{name}"
        async with client._session.ws_connect(url, headers={"Sec-Fetch-Mode": "websocket"}) as socket:
            terminal = Terminal(socket)
            for shell in ("", "bash -c ", "bash -lc ", "sh -lc "):
                for command in ("aiinfn", "python", "jupyter"):
                    asked = f"command -v {command}"
                    found = await terminal.type(f"{shell}'{asked}'" if shell else asked)
                    assert found.endswith(f"/bin/{command}"), (shell, found)
            assert await terminal.type("whoami") == "ada"
            assert await terminal.type("id -un; id -gn") == "ada\nada"
            asked = "import getpass, os, pwd; print(pwd.getpwuid(os.getuid()).pw_name, getpass.getuser())"
            assert await terminal.type(f"python -c '{asked}'") == "ada ada"
            assert await terminal.type("echo ~ada") == await terminal.type("echo $HOME")
            assert "Usage: aiinfn" in await terminal.type("aiinfn --help")


async def test_a_session_starts_in_a_pod_whatever_is_in_the_home(hub: Any, site: Any) -> None:
    home = site.home("bruno")
    spoiled = [
        home / f"{name}.py" for name in ("random", "json", "logging", "types", "jupyter_server", "tornado")
    ]
    config = home / ".jupyter/jupyter_server_config.py"
    config.parent.mkdir(exist_ok=True)
    os.chown(config.parent, images.UID, images.UID)
    try:
        for path in (*spoiled, config):
            path.write_text("raise SystemExit('of the home')\n")
            os.chown(path, images.UID, images.UID)
        async with browser(hub) as client:
            await client.sign_in("bruno")
            await asyncio.to_thread(hub.start_session, "bruno", size="small")
            lab = Lab(client, "bruno")
            assert "JupyterLab" in await lab.open()
            await lab.write("a.ipynb", notebook_of("print(1)"))
            kernel = await lab.start_kernel("a.ipynb")
            assert "42" in await lab.run(kernel, "import random; print(6 * 7)")
    finally:
        for path in (*spoiled, config):
            path.unlink(missing_ok=True)


def test_a_server_that_is_killed_is_told(hub: Any) -> None:
    hub.start_session("ada", size="small")
    # As the kernel does when a container is over its limit.
    os.kill(server_of(hub, "ada"), signal.SIGKILL)
    wait_for("the end of the session", lambda: not hub.model("ada"), 40)
    assert "The session ada has ended: The session was killed (exit status 137), as happens" in hub.told()


def server_of(hub: Any, who: str) -> Any:
    """The process of this machine that is the server in somebody's container; other hubs on it may have an "ada", too."""
    token = environment(hub.pod(who))["JUPYTERHUB_API_TOKEN"]
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            mine = process.environ().get("JUPYTERHUB_API_TOKEN") == token
            if mine and "aiinfn_lab.singleuser" in process.cmdline():
                return process.pid
    raise AssertionError(f"no server of {who} runs")


def test_a_session_starts_while_vkd_is_dead(hub: Any, figure: Any) -> None:
    vkd = vkd_of(hub)
    assert vkd is not None
    vkd.send_signal(signal.SIGSTOP)  # worse than dead: it takes connections and never answers
    try:
        figure(
            "hub: session with accelerator, vkd hangs: ready, s",
            hub.start_session("ada", accelerator="t4", size="small"),
        )
        hub.end_session("ada")
    finally:
        vkd.send_signal(signal.SIGKILL)
    figure(
        "hub: session with accelerator, vkd killed: ready, s",
        hub.start_session("ada", accelerator="t4", size="small"),
    )
    wait_for("vkd to come back", lambda: (found := vkd_of(hub)) and found.pid != vkd.pid, 30)


def test_a_session_starts_while_kueue_is_dead(hub: Any, figure: Any) -> None:
    hub.cluster.kill("kueue")
    try:
        figure(
            "hub: session with accelerator, Kueue killed: ready, s",
            hub.start_session("ada", accelerator="t4", size="small"),
        )
    finally:
        hub.cluster.start("kueue")


def test_the_api_server_restarts_in_the_middle_of_a_start(hub: Any, figure: Any) -> None:
    hub.start_session("bruno", size="small")
    kept = hub.pod("bruno")["metadata"]["uid"]
    hub.cluster.stop("kube-apiserver")
    begin = time.monotonic()
    status, answer = hub.ask("ada", accelerator="t4", size="small")
    assert status in {201, 202}, answer
    time.sleep(6)
    assert hub.model("bruno")["ready"], "a session is not given up because the cluster does not answer"
    hub.cluster.start("kube-apiserver")
    figure("hub: API server away in the middle of a start, s", time.monotonic() - begin)
    begin = time.monotonic()
    hub.cluster.restart_clients()
    hub.until_ready("ada")
    figure("hub: the same start, from the return of the API server to ready, s", time.monotonic() - begin)
    assert hub.pod("bruno")["metadata"]["uid"] == kept
    assert hub.model("bruno")["ready"]


def test_more_time_moves_the_end_that_the_pod_bears_and_vkd_reads(hub: Any, figure: Any) -> None:
    hub.start_session("ada", accelerator="t4", size="small", time_limit="40m")
    first = end_on_pod(hub, "ada")
    token = environment(hub.pod("ada"))["JUPYTERHUB_API_TOKEN"]
    begin = time.monotonic()
    status, answer = hub.api("/aiinfn/session-time/ada", "POST", token=token)
    assert status == 200, answer
    end = datetime.fromisoformat(answer["end"])
    assert end == first + timedelta(hours=1) == end_on_pod(hub, "ada")
    read = wait_for("vkd to read it", lambda: next_end(hub) == end, 10, 0.05)
    figure("hub: session extended to read by vkd, s", time.monotonic() - begin)
    assert read
    # An end that was not written, because the API server was away, is written at a later look.
    mark = {"metadata": {"annotations": {f"{PREFIX}/until": first.isoformat()}}}
    hub.cluster.api.patch(f"{hub.pods_path}/jupyter-ada", mark)
    wait_for("the pod to bear its end again", lambda: end_on_pod(hub, "ada") == end, 20)
    hub.end_session("ada")


def end_on_pod(hub: Any, who: str) -> Any:
    return datetime.fromisoformat(hub.pod(who)["metadata"]["annotations"][f"{PREFIX}/until"])


def next_end(hub: Any) -> Any:
    """When the first T4 becomes free at the latest, as everybody reads it on the form."""
    token = (hub.data / "hub/hub-service.token").read_text().strip()
    headers = {"Authorization": f"Bearer {token}"}
    request = urllib.request.Request(f"{hub.vkd_url}/api/v1/availability", headers=headers)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=5) as reply:
        found = {each["accelerator"]: each for each in json.load(reply)["accelerators"]}
    said = found["t4"]["next_session_end"]
    return said and datetime.fromisoformat(said)
