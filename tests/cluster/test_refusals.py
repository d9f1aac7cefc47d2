"""What a shared cluster refuses, and how soon people read it: quotas, limits, policies, webhooks and kubelets, all real.

Each row of `OBSTACLES` is put up in a namespace, met by a job and by a session, and taken away again.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from aiinfn_hub.contract.states import Cause, JobState
from aiinfn_hub.kube.objects import jobs
from aiinfn_hub.vkd.domain.backend import Holds
from tests.cluster.harness import Cluster, has_condition, wait_for
from tests.cluster.harness.api import ApiError
from tests.cluster.hub_world import ClusterHub, cluster_hub
from tests.cluster.site import Site
from tests.cluster.vkd_world import ClusterWorld
from tests.hub.stack import browser
from tests.vkd.local_world import QUICK, SLOW, eventually

Json = dict[str, Any]
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
KYVERNO = (
    "\n\nresource Pod/x/y was blocked due to the following policies \n\nrequire-labels:\n  check-for-labels: 'validation error: label "
    "''team'' is required. rule check-for-labels failed at path /metadata/labels/team/'\n"
)


@dataclass(frozen=True)
class Obstacle:
    """Something that refuses pods.

    Attributes
    ----------
    objects
        Path of the collection and the object, given a namespace.
    says
        What people read of it.
    passes
        Whether it may pass by itself: a job waits.
    job_says
        What the owner of a job reads instead: Kueue looks at most limits of a LimitRange before it lets a job go.
    """

    name: str
    objects: Callable[[str], list[tuple[str, Json]]]
    says: str
    passes: bool = False
    accelerator: str = "none"
    job_says: str = ""
    answer: Json = field(default_factory=dict)


def quota(name: str, says: str, passes: bool = False, **hard: str) -> Obstacle:
    amounts = {key.replace("__", "/").replace("_", "."): value for key, value in hard.items()}

    def objects(namespace: str) -> list[tuple[str, Json]]:
        body = {"metadata": {"name": "few"}, "spec": {"hard": amounts}}
        return [(f"/api/v1/namespaces/{namespace}/resourcequotas", body)]

    accelerator = "t4" if any("gpu" in key for key in amounts) else "none"
    return Obstacle(name, objects, says, passes, accelerator)


def limits(name: str, says: str, kind: str = "Container", **limit: Json) -> Obstacle:
    def objects(namespace: str) -> list[tuple[str, Json]]:
        body = {"metadata": {"name": "range"}, "spec": {"limits": [{"type": kind, **limit}]}}
        return [(f"/api/v1/namespaces/{namespace}/limitranges", body)]

    kueue = "" if "maxLimitRequestRatio" in limit else "a LimitRange of its namespace in the cluster"
    return Obstacle(name, objects, says, job_says=kueue)


def policy(name: str, says: str, **validation: str) -> Obstacle:
    def objects(namespace: str) -> list[tuple[str, Json]]:
        selector = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
        rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
        spec = {
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"expression": "false", **validation}],
        }
        binding = {
            "policyName": "no-pods.example.org",
            "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": selector},
        }
        return [
            (
                f"{ADMISSION}/validatingadmissionpolicies",
                {"metadata": {"name": "no-pods.example.org"}, "spec": spec},
            ),
            (
                f"{ADMISSION}/validatingadmissionpolicybindings",
                {"metadata": {"name": "no-pods"}, "spec": binding},
            ),
        ]

    return Obstacle(name, objects, says)


def webhook(
    name: str, says: str, passes: bool = False, called: str = "w.example.org", **answer: Any
) -> Obstacle:
    """One that answers with this, and one that does not answer at all if it is about ``url``."""
    url = answer.pop("url", None)
    kind = "mutatingwebhookconfigurations" if "patch" in answer else "validatingwebhookconfigurations"

    def objects(namespace: str) -> list[tuple[str, Json]]:
        client = {"url": url or Webhook.url, "caBundle": Webhook.ca}
        rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
        body = {
            "metadata": {"name": "refuses"},
            "webhooks": [
                {
                    "name": called,
                    "clientConfig": client,
                    "rules": [rule],
                    "failurePolicy": "Fail",
                    "sideEffects": "None",
                    "timeoutSeconds": 2,
                    "admissionReviewVersions": ["v1"],
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                }
            ],
        }
        return [(f"{ADMISSION}/{kind}", body)]

    return Obstacle(name, objects, says, passes, answer=answer)


HOST_NETWORK = [{"op": "add", "path": "/spec/hostNetwork", "value": True}]

OBSTACLES = [
    quota("quota: no pods", "The quota few of the namespace is too small", pods="0"),
    quota("quota: cores", "The quota few of the namespace is too small", requests_cpu="50m"),
    quota("quota: memory", "The quota few of the namespace is too small", limits_memory="32Mi"),
    quota("quota: GPUs", "requests.nvidia.com/gpu=1 was asked for", requests_nvidia_com__gpu="0"),
    quota("quota demands a CPU limit", "The quota few of the namespace demands limits.cpu of every", limits_cpu="99"),
    limits("LimitRange: most memory", "allows a {what} at most 32Mi of memory", max={"memory": "32Mi"}),
    limits("LimitRange: most memory of a pod", "allows a {what} at most 32Mi of memory", "Pod", max={"memory": "32Mi"}),
    limits("LimitRange: least memory", "demands at least 4Gi of memory of a {what}", min={"memory": "4Gi"}),
    limits("LimitRange: least cores", "demands at least 3 of processor cores of a {what}", min={"cpu": "3"}),
    limits("LimitRange: default CPU limit", "A LimitRange of the cluster limits", default={"cpu": "50m"}),
    limits("LimitRange: most cores, by default", "A LimitRange of the cluster limits", max={"cpu": "50m"}),
    limits("LimitRange: ratio", "lets a {what} have 2 times what it requests", maxLimitRequestRatio={"cpu": "2"}),
    policy("policy, no reason", "The policy “no-pods.example.org” of the cluster does not allow this {what}: failed expression: false"),
    policy("policy with a message", "does not allow this {what}: not on Sundays", message="not on Sundays."),
    policy("policy: Forbidden", "does not allow this {what}: no", message="no", reason="Forbidden"),
    policy("policy: too large", "does not allow this {what}: no", message="no", reason="RequestEntityTooLarge"),
    webhook("webhook, no code and no word", "The webhook “w.example.org” of the cluster does not allow this {what}, and gives no reason"),
    webhook("webhook, no code", "does not allow this {what}: not here", status={"message": "not here"}),
    webhook("webhook, a reason alone", "does not allow this {what}: Because", status={"reason": "Because"}),
    webhook("webhook: 403", "does not allow this {what}: no", status={"code": 403, "reason": "Forbidden", "message": "no"}),
    webhook("webhook: 404", "does not allow this {what}: no", status={"code": 404, "message": "no"}),
    webhook("webhook: 500", "does not allow this {what}: no", status={"code": 500, "message": "no"}),
    webhook("as Kyverno says it", "The policy “require-labels” of the cluster does not allow this {what}: check-for-labels", called="validate.kyverno.svc-fail", status={"message": KYVERNO}),
    webhook("as Gatekeeper says it", "The policy “must-have” of the cluster does not allow this {what}: labels", called="validation.gatekeeper.sh", status={"code": 403, "message": "[must-have] labels"}),
    webhook("webhook puts a pod on the host's network: Pod Security", "does not keep to the restricted Pod Security Standard", patch=HOST_NETWORK),
    webhook("webhook does not answer", "The webhook “w.example.org”, which the cluster asks about every {what}, does not answer", True, url="https://127.0.0.1:9/"),
]  # fmt: skip


class Webhook(BaseHTTPRequestHandler):
    """An admission webhook that gives one answer to all."""

    url, ca = "", ""
    answer: ClassVar[Json] = {}

    def do_POST(self) -> None:
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = {"allowed": "patch" in self.answer, **self.answer, "uid": review["request"]["uid"]}
        if "patch" in answer:
            answer |= {
                "patchType": "JSONPatch",
                "patch": base64.b64encode(json.dumps(answer["patch"]).encode()).decode(),
            }
        body = json.dumps({**review, "response": answer}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module", autouse=True)
def server(cluster: Cluster) -> Iterator[None]:
    pki = cluster.pki
    pki.certificate("webhook", "webhook", sans=("IP:127.0.0.1",))
    http = ThreadingHTTPServer(("127.0.0.1", 0), Webhook)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(pki["webhook.crt"]), str(pki["webhook.key"]))
    http.socket = context.wrap_socket(http.socket, server_side=True)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    Webhook.url, Webhook.ca = f"https://127.0.0.1:{http.server_port}/", pki.ca_base64
    yield
    http.shutdown()
    http.server_close()
    thread.join()


@contextlib.contextmanager
def put_up(cluster: Cluster, obstacle: Obstacle, namespace: str, pod: Json) -> Iterator[None]:
    """Put an obstacle up, and wait until it refuses a pod."""
    Webhook.answer = obstacle.answer
    made = []
    pods = f"/api/v1/namespaces/{namespace}/pods?dryRun=All"

    def refuses() -> bool:
        try:
            cluster.api.post(pods, pod)
        except ApiError as error:
            return "status unknown for quota" not in str(error)
        return False

    def accepts() -> bool:
        try:
            cluster.api.post(pods, pod)
        except ApiError:
            return False
        return True

    try:
        for path, body in obstacle.objects(namespace):
            cluster.api.post(path, body)
            made.append(f"{path}/{body['metadata']['name']}")
        wait_for(f"{obstacle.name} is in force", refuses, 30, 0.1)
        yield
    finally:
        for path in made:
            cluster.api.delete(path)
        wait_for(f"{obstacle.name} is gone", accepts, 30, 0.1)


def pod_of(world: ClusterWorld, accelerator: str) -> Json:
    job = world.job(QUICK, accelerator=accelerator)
    template = jobs.job(job.id, job.selection, job.work, job.output, world.platform)["spec"]["template"]
    return {"metadata": {"name": "trial", **template["metadata"]}, "spec": template["spec"]}


async def test_who_refuses_a_jobs_pod_is_told_and_quota_and_node_are_given_back(
    world: ClusterWorld, figure: Any
) -> None:
    cluster, namespace = world.site.cluster, world.platform.kubernetes.batch_namespace
    slowest_told = slowest_free = 0.0
    for obstacle in OBSTACLES:
        pod = pod_of(world, obstacle.accelerator)
        with contextlib.ExitStack() as stack:
            await asyncio.to_thread(stack.enter_context, put_up(cluster, obstacle, namespace, pod))
            begin = time.monotonic()
            job = await world.submit(QUICK, accelerator=obstacle.accelerator)
            says = (obstacle.job_says or obstacle.says).format(what="job")
            if obstacle.passes or obstacle.job_says:
                await eventually(lambda j=job, s=says: s in str(world.backend.reason(j)), says, 20)  # type: ignore[misc]
            else:
                end = await world.until(job, "failed", within=20)
                assert end.cause is Cause.START_FAILED
                assert says in str(end.message), (obstacle.name, str(end.message))
                assert world.states(job) == ["failed"]  # it never was an attempt
            told = time.monotonic() - begin
            while has_condition(await world.workload(job), "QuotaReserved"):
                assert time.monotonic() - begin < 30, obstacle.name
                await asyncio.sleep(0.1)
            free = time.monotonic() - begin
            figure(f"refused job ({obstacle.name}): told after, s", told)
            figure(f"refused job ({obstacle.name}): quota free after, s", free)
            slowest_told, slowest_free = max(slowest_told, told), max(slowest_free, free)
            await asyncio.to_thread(stack.close)
        if obstacle.job_says:
            await world.backend.cancel(job)
            await world.until(job, "cancelled")
        if obstacle.passes:
            await world.until(job, "succeeded", within=60)
            assert world.states(job) == ["starting", "running", "succeeded"]
    figure("refused job: told after at most, s", slowest_told)
    figure("refused job: quota free after at most, s", slowest_free)
    codes = [each.code for each in world.backend.inventory().notices]
    assert "pod_refused" in codes


async def test_a_job_waits_for_a_quota_that_others_use_up_and_keeps_its_place(world: ClusterWorld) -> None:
    cluster, namespace = world.site.cluster, world.platform.kubernetes.batch_namespace
    pods, quotas = (f"/api/v1/namespaces/{namespace}/{kind}" for kind in ("pods", "resourcequotas"))
    bystander = pod_of(world, "none")
    bystander["metadata"] = {"name": "bystander"}
    bystander["spec"] |= {
        "nodeSelector": {"no": "node"},
        "volumes": [],
        "containers": [bystander["spec"]["containers"][0] | {"volumeMounts": []}],
    }
    cluster.api.post(pods, bystander)
    body = {"metadata": {"name": "one"}, "spec": {"hard": {"pods": "1"}}}
    cluster.api.post(quotas, body)
    try:
        await eventually(
            lambda: (cluster.api.get(f"{quotas}/one").get("status") or {}).get("used") == {"pods": "1"},
            "the quota is in force",
        )
        job = await world.submit(QUICK)
        await eventually(
            lambda: "All jobs together have used up the quota one" in str(world.backend.reason(job)),
            "the reason is told",
            20,
        )
        made = (await world.workload(job))["metadata"]["uid"]
        begin = time.monotonic()
        while has_condition(await world.workload(job), "QuotaReserved"):
            assert time.monotonic() - begin < 15
            await asyncio.sleep(0.1)
        assert world.states(job) == []
    finally:
        cluster.api.delete(f"{quotas}/one")
        cluster.api.delete(f"{pods}/bystander")
    assert (await world.workload(job))["metadata"]["uid"] == made  # its place in Kueue's order
    await world.until(job, "succeeded", within=60)


async def test_a_time_limit_begins_with_the_container(world: ClusterWorld) -> None:
    job = await world.submit(SLOW)
    assert (await world.until(job, "running")).attempt == 1

    async def seconds() -> int:
        return int((await world.job_object(job))["spec"]["activeDeadlineSeconds"])

    deadline = time.monotonic() + 10
    while not 300 <= await seconds() < 330:
        assert time.monotonic() < deadline, await seconds()
        await asyncio.sleep(0.1)
    # It waits again: the next pull has its time, too.
    await world.backend.hold(Holds({("alice", ""): True}))
    await world.until(job, "queued")
    deadline = time.monotonic() + 10
    while await seconds() != 300 + jobs.LONGEST_START.total_seconds():
        assert time.monotonic() < deadline, await seconds()
        await asyncio.sleep(0.1)
    await world.backend.cancel(job)
    await world.until(job, "cancelled")


async def test_a_job_that_its_node_turned_away_waits_again_and_runs_when_the_node_is_well(
    world: ClusterWorld, figure: Any
) -> None:
    """Its pod is bound while the kubelet is away, which comes back to a node of another model."""
    cluster = world.site.cluster
    node, label = cluster.settings.node_name, "nvidia.com/gpu.product"
    path = f"/api/v1/nodes/{node}"
    model = cluster.api.get(path)["metadata"]["labels"][label]
    await asyncio.to_thread(cluster.stop, "kubelet")
    try:
        job = await world.submit(QUICK, accelerator="t4")
        await world.until(job, "starting")
        cluster.api.patch(path, {"metadata": {"labels": {label: "another"}}})
    finally:
        await asyncio.to_thread(cluster.start, "kubelet")
    begin = time.monotonic()
    try:
        again = await world.until(job, "queued", within=60)
    finally:
        cluster.api.patch(path, {"metadata": {"labels": {label: model}}})
    figure("job turned away by its node: told after the kubelet's return, s", time.monotonic() - begin)
    assert again.cause is Cause.START_FAILED
    assert f"Its node {node} did not take it in (NodeAffinity)" in str(again.message)
    well = time.monotonic()
    await eventually(
        lambda: node in str(world.backend.reason(job)) or world.last(job).state is not JobState.QUEUED,
        "it says that it avoids the node",
        20,
    )
    await world.until(job, "succeeded", within=90)
    figure("job turned away by its node: runs after the node is well, s", time.monotonic() - well)
    assert world.states(job) == ["starting", "queued", "starting", "running", "succeeded"]


# Sessions


@pytest.fixture
def hub(contract_site: Site, tmp_path: Path) -> Iterator[ClusterHub]:
    with cluster_hub(tmp_path / "hub", contract_site) as (made, _iam):
        yield made


async def test_who_refuses_a_sessions_pod_is_told(hub: ClusterHub, figure: Any) -> None:
    site, cluster = hub.site, hub.cluster
    namespace = site.platform.kubernetes.sessions_namespace
    site.home("ada")
    async with browser(hub) as client:
        assert (await client.sign_in("ada")).status == 200
    trial = ClusterWorld(site.folder, site.platform, site=site)
    slowest = 0.0
    for obstacle in OBSTACLES:
        if obstacle.passes:
            continue  # a start waits for it, and says so on its page
        pod = trial.session_pod("trial", obstacle.accelerator, 1)
        with put_up(cluster, obstacle, namespace, pod):
            begin = time.monotonic()
            said = hub.refused("ada", size="small", accelerator=obstacle.accelerator)
            took = time.monotonic() - begin
        assert obstacle.says.format(what="session") in said, (obstacle.name, said)
        assert hub.pods() == []
        figure(f"refused session ({obstacle.name}): told after, s", took)
        slowest = max(slowest, took)
    figure("refused session: told after at most, s", slowest)
