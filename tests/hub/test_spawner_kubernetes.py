"""What of the Kubernetes spawner needs no cluster; the rest is proven on a real one."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes_asyncio.client import ApiClient, ApiException, Configuration, CoreV1Api
from kubespawner import KubeSpawner

from aiinfn_hub.contract.problem import Refusal
from aiinfn_hub.kube.reasons import pod_reasons
from aiinfn_hub.platform import gate
from aiinfn_hub.platform.loading import loader
from aiinfn_hub.platform.person import Person
from aiinfn_hub.platform.selection import Door
from aiinfn_hub.spawner import kubernetes, pod_watch
from aiinfn_hub.spawner.profile_list import profile_list, request_of
from aiinfn_hub.spawner.session import NoTraceback
from aiinfn_hub.spawner.spawn_progress import SpawnProgress
from tests.hub.realhub import PEOPLE, ROOT
from tests.vkd.local_world import eventually

PLATFORM = loader.load(ROOT / "platform.yaml")
EVERYBODY = [Person.of(name, groups) for name, groups in PEOPLE.items()]


@pytest.mark.parametrize(
    ("options", "request_"),
    [
        ({"profile": "t4"}, {"accelerator": "t4"}),
        (
            {"profile": "t4", "image": "standard", "count": "1"},
            {"accelerator": "t4", "image": "standard", "count": "1"},
        ),
        (
            {
                "profile": "t4",
                "profile-option-t4--image": "standard",
                "profile-option-none--image": "other",
                "profile-option-t4-x--image": "other",
            },
            {"accelerator": "t4", "image": "standard"},
        ),
        ({"profile": ["t4"]}, {"accelerator": ["t4"]}),
        # Who says both is refused by the gate, which knows no profile.
        ({"profile": "t4", "accelerator": "none"}, {"profile": "t4", "accelerator": "none"}),
        ({"accelerator": "t4"}, {"accelerator": "t4"}),
        ({}, {}),
        ("nonsense", "nonsense"),
    ],
)
def test_choices_of_a_profile_are_a_request_like_any_other(options: Any, request_: Any) -> None:
    assert request_of(options) == request_


@pytest.mark.parametrize("person", EVERYBODY, ids=lambda person: person.name)
def test_a_profile_that_is_listed_can_be_started_and_one_that_is_not_cannot(person: Person) -> None:
    listed = {profile["slug"]: profile for profile in profile_list(PLATFORM, person, None)}
    for name in ("none", *PLATFORM.accelerators):
        asked = request_of({"profile": name})
        if name in listed:
            assert gate.resolve(asked, PLATFORM, person, Door.SESSION).accelerator_name == name
        else:
            with pytest.raises(Refusal):
                gate.resolve(asked, PLATFORM, person, Door.SESSION)


def test_kubespawner_can_read_the_list() -> None:
    person = Person.of("ada", ["ai-infn/flavour"])
    ready = KubeSpawner._get_initialized_profile_list(None, profile_list(PLATFORM, person, None))
    assert [profile["slug"] for profile in ready if profile["default"]] == ["none"]
    for profile in ready:
        assert "kubespawner_override" not in profile
        for option in profile["profile_options"].values():
            assert sum(choice["default"] for choice in option["choices"].values()) == 1


def test_titles_reach_kubespawners_pages_as_text() -> None:
    accelerator = PLATFORM.accelerators["t4"].model_copy(update={"title": "<b>T4</b>"})
    platform = PLATFORM.model_copy(update={"accelerators": PLATFORM.accelerators | {"t4": accelerator}})
    listed = profile_list(platform, Person.of("ada", ["ai-infn/flavour"]), None)
    assert "&lt;b&gt;T4" in next(each["display_name"] for each in listed if each["slug"] == "t4")


@pytest.mark.parametrize("value", ["plain", "{username}", "a{b}c{{d}}", "}{", {"k{": ["{x}", 1]}])
def test_text_of_ours_is_no_template_of_kubespawner(value: Any) -> None:
    def fill(each: Any) -> Any:
        if isinstance(each, str):
            return each.format()
        if isinstance(each, list):
            return [fill(one) for one in each]
        return {key: fill(one) for key, one in each.items()} if isinstance(each, dict) else each

    assert fill(kubernetes._literal(value)) == value


def test_an_answer_of_the_api_server_is_read_and_named_in_one_line() -> None:
    error = ApiException(status=403, reason="Forbidden")
    error.body = '{"reason": "Forbidden", "message": "exceeded quota"}'  # type: ignore[assignment]
    assert kubernetes._answer(error)[:3] == ("kube-apiserver", "Forbidden", "exceeded quota")
    assert kubernetes._words_of(error) == "Forbidden: exceeded quota"
    error.body = "<html>"  # type: ignore[assignment]
    assert kubernetes._answer(error)[:3] == ("kube-apiserver", "403", "Forbidden")
    assert kubernetes._words_of(TimeoutError()) == "TimeoutError"


def test_what_is_no_fault_of_the_hub_is_logged_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("test.no-traceback")
    logger.addFilter(NoTraceback((OSError,), logging.WARNING))
    for error in (ConnectionRefusedError("no answer"), ValueError("a fault")):
        try:
            raise error
        except (OSError, ValueError):
            logger.exception("Watching %s", "pods")
    outage, fault = caplog.records
    assert (outage.levelname, outage.getMessage(), outage.exc_info) == (
        "WARNING",
        "Watching pods: no answer",
        None,
    )
    assert fault.levelname == "ERROR"
    assert fault.exc_info


def test_what_is_said_late_about_a_step_that_is_over_is_dropped() -> None:
    told = SpawnProgress(kubernetes.KubernetesSpawner.steps)
    told.begin()
    told.tell("placed", "On node-0.")
    told.tell("starting", "Starting.")
    told.tell("image", "It is on this node already.")
    assert (told.step, told.last) == ("starting", "Starting.")
    assert [row["state"] for row in told.now()] == ["done", "done", "done", "now", "todo"]


@pytest_asyncio.fixture
async def api_server() -> AsyncIterator[tuple[CoreV1Api, Any, Any]]:
    """An API server that knows nothing but how to take a patch; gives what it was sent, and what it is to answer."""
    sent: list[Any] = []
    answers: list[Any] = []

    async def take(request: Any) -> Any:
        sent.append((request.method, request.path, request.content_type, await request.json()))
        status = answers.pop(0) if answers else 200
        return web.json_response({"kind": "Status", "reason": "Forbidden", "metadata": {}}, status=status)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", take)
    server = TestServer(app)
    await server.start_server()
    async with ApiClient(Configuration(host=str(server.make_url("")).rstrip("/"))) as client:
        yield CoreV1Api(client), sent, answers
    await server.close()


async def test_a_new_end_is_written_on_the_pod_and_nothing_else(
    api_server: tuple[CoreV1Api, Any, Any],
) -> None:
    api, sent, answers = api_server
    end = datetime(2026, 11, 24, 18, 40, tzinfo=UTC)
    spawner = SimpleNamespace(
        api=api, pod_name="jupyter-ada", namespace="sessions", session_id="ada", session_end=end, _unmarked=None,
        log=logging.getLogger("test"), context=SimpleNamespace(platform=PLATFORM),
    )  # fmt: skip
    mark = kubernetes.KubernetesSpawner._mark_end
    annotation = {"ai.infn.it/until": "2026-11-24T18:40:00+00:00"}
    await mark(spawner, {})  # type: ignore[arg-type]
    assert sent == [
        (
            "PATCH",
            "/api/v1/namespaces/sessions/pods/jupyter-ada",
            "application/merge-patch+json",
            {"metadata": {"annotations": annotation}},
        )
    ]
    await mark(spawner, annotation)  # type: ignore[arg-type]
    assert len(sent) == 1, "the pod bears it already"
    # What may pass is tried again at the next look; what the cluster does not allow is not asked for again and again.
    answers += [500, 200, 403]
    for number in (2, 3, 4, 4):
        await mark(spawner, {"ai.infn.it/until": "2026-11-24T17:40:00+00:00"})  # type: ignore[arg-type]
        assert len(sent) == number
    spawner.session_end = end.replace(hour=19)
    await mark(spawner, annotation)  # type: ignore[arg-type]
    assert len(sent) == 5


async def test_an_api_server_that_is_back_is_asked_for_the_pod_within_a_second(
    api_server: tuple[CoreV1Api, Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    api, sent, answers = api_server
    monkeypatch.setattr(kubernetes, "ASK_AGAIN", 0.01)
    heard: list[Any] = []
    spawner = SimpleNamespace(
        api=api, pod_name="jupyter-ada", namespace="sessions", session_id="ada", k8s_api_request_retry_timeout=30,
        log=logging.getLogger("test"), _starting=SimpleNamespace(uid=None, hear=heard.append),
    )  # fmt: skip
    spawner._create_pod = lambda *given: kubernetes.KubernetesSpawner._create_pod(spawner, *given)  # type: ignore[arg-type]
    create = kubernetes.KubernetesSpawner._make_create_pod_request
    answers += [503, 500, 201]
    assert await create(spawner, {}, 3.0)  # type: ignore[arg-type]
    assert [request[:2] for request in sent] == [("POST", "/api/v1/namespaces/sessions/pods")] * 3
    assert len(heard) == 2
    # One that stays away is not asked for ever: kubespawner ends the start.
    spawner.k8s_api_request_retry_timeout = 0
    answers += [503, 503]
    assert not await create(spawner, {}, 3.0)  # type: ignore[arg-type]


def pod(name: str, uid: str = "1", **about: Any) -> dict[str, Any]:
    """A session's pod that runs, and more of its metadata."""
    conditions = about.pop("conditions", [])
    return {
        "kind": "Pod",
        "metadata": {
            "namespace": "sessions",
            "name": f"jupyter-{name}",
            "uid": uid,
            "resourceVersion": "7",
            **about,
        },
        "status": {"phase": "Running", "conditions": conditions},
    }


@pytest_asyncio.fixture
async def pods(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[pod_watch.SessionPods, Any, Any]]:
    """The hub's watch on an API server that lists pods, and tells what a test puts into a queue."""
    listed: list[Any] = []
    events: asyncio.Queue[Any] = asyncio.Queue()

    async def answer(request: Any) -> Any:
        if "watch" not in request.query:
            return web.json_response({"items": listed, "metadata": {"resourceVersion": "7"}})
        response = web.StreamResponse()
        await response.prepare(request)
        while (event := await events.get()) is not None:
            await response.write(json.dumps(event).encode() + b"\n")
        return response

    app = web.Application()
    app.router.add_get("/api/v1/namespaces/sessions/pods", answer)
    server = TestServer(app)
    await server.start_server()
    async with ApiClient(Configuration(host=str(server.make_url("")).rstrip("/"))) as client:
        monkeypatch.setattr("kubespawner.reflector.shared_client", lambda _group: CoreV1Api(client))
        watch = pod_watch.SessionPods(namespace="sessions")
        yield watch, listed, events
        await watch.stop()
        events.put_nowait(None)
    await server.close()


EVICTED = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}


async def test_why_a_pod_ended_is_known_also_when_it_went_between_two_looks(
    pods: tuple[pod_watch.SessionPods, Any, Any],
) -> None:
    watch, listed, events = pods
    listed.append(pod("ada"))
    await watch.start()
    spawner = SimpleNamespace(pod_reflector=watch, namespace="sessions", pod_name="jupyter-ada")
    gone = kubernetes.KubernetesSpawner._gone
    assert gone(spawner) is None  # type: ignore[arg-type]
    ends = pod("ada", deletionTimestamp="2026-11-24T18:40:00Z", conditions=[EVICTED])
    events.put_nowait({"type": "MODIFIED", "object": ends})
    events.put_nowait({"type": "DELETED", "object": ends})
    await eventually(lambda: "sessions/jupyter-ada" not in watch.pods, "the watch to tell it")
    assert gone(spawner) == ends  # type: ignore[arg-type]
    words = pod_reasons.words_of(gate.resolve({}, PLATFORM, EVERYBODY[0], Door.SESSION), PLATFORM)
    assert "the operators are emptying its node" in str(pod_reasons.ending(gone(spawner), words).told)  # type: ignore[arg-type]
    # Another pod of that name has nothing of it.
    events.put_nowait({"type": "ADDED", "object": pod("ada", "2")})
    await eventually(lambda: "sessions/jupyter-ada" in watch.pods, "the watch to tell it")
    assert gone(spawner) is None  # type: ignore[arg-type]


async def test_a_pod_that_went_while_the_watch_began_anew_is_known_as_it_was(
    pods: tuple[pod_watch.SessionPods, Any, Any],
) -> None:
    watch, listed, events = pods
    listed.extend([pod("ada", conditions=[EVICTED]), pod("ben")])
    await watch.start()
    del listed[0]
    events.put_nowait(None)
    await eventually(lambda: "sessions/jupyter-ada" not in watch.pods, "the watch to tell it")
    assert watch.gone == {"sessions/jupyter-ada": pod("ada", conditions=[EVICTED])}
    assert set(watch.pods) == {"sessions/jupyter-ben"}


def test_pods_that_went_are_not_remembered_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pod_watch, "MOST_GONE", 3)
    known = pod_watch.KnownPods({f"sessions/{n}": pod(str(n)) for n in range(5)}, {})
    for number in range(5):
        known.pop(f"sessions/{number}", None)
    assert known.pop("sessions/0", None) is None
    assert list(known.gone) == ["sessions/2", "sessions/3", "sessions/4"]
