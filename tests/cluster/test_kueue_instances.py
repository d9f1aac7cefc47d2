"""Several platforms in one cluster: what one does is nothing to the others, and one can be removed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from aiinfn_hub.kube import names
from aiinfn_hub.kube.apply import apply, kinds
from aiinfn_hub.kube.client import KubeClient
from tests.cluster import workloads
from tests.cluster.harness import Cluster, wait_for
from tests.cluster.site import INSTANCE, Site
from tests.cluster.test_kueue_apply import Operator, exists, one_t4
from tests.cluster.test_queue_order import JOBS, SESSION_PODS, Queues
from tests.cluster.workbench import is_running

LABELS = names.Labels()
CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "thesis"},
    "spec": {
        "accessModes": ["ReadWriteMany"],
        "storageClassName": "",
        "resources": {"requests": {"storage": "1Gi"}},
    },
}


def called(name: str) -> Callable[[Any], None]:
    """Change the platform file to that of another platform."""

    def change(data: Any) -> None:
        spaces = {f"{each}_namespace": f"{name}-{each}" for each in ("sessions", "batch", "system")}
        data["kubernetes"] |= spaces

    return change


class Second:
    """Another platform in the cluster of the first."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster, self.name = cluster, name
        self.site = Site(cluster, cluster.root / name, called(name))
        self.operator = Operator(self.site, cluster.kubeconfig)
        self.instance = names.Instance(f"{name}-system")

    def apply(self) -> None:
        """Do as the command does, without the start of a process."""

        async def work() -> None:
            client = await KubeClient.connect(self.cluster.kubeconfig)
            try:
                plan = await apply.make_plan(client, self.site.platform)
                await apply.carry_out(client, self.site.platform, plan)
            finally:
                await client.close()

        asyncio.run(work())

    def remove(self, *words: str) -> tuple[int, str]:
        return self.operator.run("remove", *words)

    def start_job(self, name: str) -> None:
        job = workloads.job(name)
        job["metadata"]["labels"] = {
            names.QUEUE_LABEL: names.local_queue("opportunistic", "flavour"),
            names.QUEUE_PRIORITY_LABEL: self.instance.queue_priority_class("opportunistic"),
            LABELS.kind: "job",
        }
        job["metadata"]["annotations"] = {LABELS.user: "ada"}
        job["spec"]["template"]["spec"]["priorityClassName"] = self.instance.batch_priority_class
        path = f"/apis/batch/v1/namespaces/{self.name}-batch/jobs"
        self.cluster.api.post(path, job)
        wait_for(f"job {name}", lambda: self.cluster.api.get(f"{path}/{name}")["status"].get("ready"))

    def start_session(self, name: str) -> None:
        pod = workloads.session(name)
        pod["metadata"] |= {"labels": {LABELS.kind: "session"}, "annotations": {LABELS.user: "ben"}}
        pod["spec"]["priorityClassName"] = self.instance.session_priority_class
        path = f"/api/v1/namespaces/{self.name}-sessions/pods"
        self.cluster.api.post(path, pod)
        wait_for(f"session {name}", lambda: is_running(self.cluster.api.get(f"{path}/{name}")))


@pytest.fixture
def second(cluster: Cluster, site: Site) -> Iterator[Callable[[str], Second]]:
    made: list[Second] = []

    def make(name: str) -> Second:
        made.append(Second(cluster, name))
        made[-1].apply()
        for space in ("batch", "sessions"):
            path = f"/api/v1/namespaces/{name}-{space}/serviceaccounts/default"
            wait_for("its account", lambda p=path: cluster.api.get(p))  # type: ignore[misc]
        return made[-1]

    yield make
    with ThreadPoolExecutor() as pool:  # each waits for namespaces to go
        removed = [pool.submit(each.remove, "--yes", "--end-running") for each in made]
    assert [each.result()[0] for each in removed] == [0] * len(made), [each.result() for each in removed]
    for each in made:
        for space in ("sessions", "batch", "system"):
            path = f"/api/v1/namespaces/{each.name}-{space}"
            if exists(cluster.api, path):
                cluster.api.delete(path)


@pytest.fixture
def first(cluster: Cluster, site: Site) -> Iterator[Operator]:
    """The first platform, with a session and a job that run; at the end they have noticed nothing."""
    queues, made = Queues(cluster), Operator(site, cluster.kubeconfig)
    queues.clear()
    queues.submit("witness-job", "flavour")
    queues.wait_running("witness-job")
    queues.session("witness-session")

    def lives() -> list[Any]:
        pods = cluster.api.get("/api/v1/namespaces/aiinfn-batch/pods")["items"]
        pods.append(cluster.api.get(f"{SESSION_PODS}/witness-session"))
        return [
            (pod["metadata"]["uid"], is_running(pod), pod["status"]["containerStatuses"][0]["restartCount"])
            for pod in pods
        ]

    before = lives()
    yield made
    assert lives() == before
    assert cluster.api.get(f"{JOBS}/witness-job")["spec"]["suspend"] is False
    queues.clear()
    site.write()
    assert made.apply()[0] == 0


def objects(api: Any, instance: names.Instance) -> dict[str, Any]:
    """Everything of an instance as it is, but for what Kueue counts in the status."""
    found = {}
    for kind in kinds.ALL:
        for item in api.get(f"{kind.collection()}?labelSelector={LABELS.managed}%3D{instance.name}")["items"]:
            meta = item["metadata"]
            meta["managedFields"] = [each for each in meta["managedFields"] if "subresource" not in each]
            item.pop("status", None)
            del meta["resourceVersion"]
            found[f"{kind.name} {meta.get('namespace', '')}/{meta['name']}"] = item
    return found


def test_platforms_come_change_and_go_in_any_order_without_touching_another(
    first: Any, second: Any, cluster: Any
) -> None:
    api = cluster.api
    ours = objects(api, INSTANCE)
    assert len(ours) == 26
    stage = second("stage")
    staged = objects(api, stage.instance)
    assert len(staged) == 26
    assert objects(api, INSTANCE) == ours

    trial = second("trial")
    tried = objects(api, trial.instance)
    stage.start_job("theirs")
    assert stage.operator.diff()[0] == 0
    assert objects(api, stage.instance) == staged

    # The older one goes, with a job in its queue, and comes again after the newer one.
    status, said = stage.remove("--yes", "--end-running")
    assert status == 0, said
    assert objects(api, stage.instance) == {}
    assert (objects(api, INSTANCE), objects(api, trial.instance)) == (ours, tried)
    stage.apply()
    assert (objects(api, INSTANCE), objects(api, trial.instance)) == (ours, tried)
    staged = objects(api, stage.instance)

    def less(data: Any) -> None:
        called("trial")(data)
        one_t4(data)

    trial.site.write(less)
    trial.apply()
    changed = objects(api, trial.instance)
    assert {name for name in tried if changed[name] != tried[name]} == {"Cohort /trial-system"}
    first.write(one_t4)
    assert first.apply()[0] == 0
    assert (objects(api, stage.instance), objects(api, trial.instance)) == (staged, changed)
    assert first.diff()[0] == 0


@pytest.mark.parametrize("shared", ["sessions_namespace", "batch_namespace", "system_namespace"])
def test_what_two_files_name_is_refused_to_the_second_and_not_changed(
    site: Any, cluster: Any, shared: str
) -> None:
    theirs = Site(cluster, cluster.root / "overlap", called("overlap"))
    operator = Operator(theirs, cluster.kubeconfig)

    def overlapping(data: Any) -> None:
        called("overlap")(data)
        data["kubernetes"]["instance"] = "overlap"
        data["kubernetes"][shared] = getattr(site.platform.kubernetes, shared)

    operator.write(overlapping)
    before = objects(cluster.api, INSTANCE)
    status, said = operator.apply("--force")
    assert status == 2
    assert "of another platform in this cluster, aiinfn-system, which is never changed" in said
    assert objects(cluster.api, INSTANCE) == before


def test_what_an_older_version_applied_is_kept_under_its_name(cluster: Any, site: Any) -> None:
    older = Second(cluster, "older")

    def change(data: Any) -> None:
        called("older")(data)
        data["kubernetes"]["instance"] = "aiinfn"

    platform = older.site.write(change)
    for body in apply.wanted(platform):
        body["metadata"]["labels"][LABELS.managed] = "true"
        path = kinds.BY_NAME[body["kind"]].path(body["metadata"])
        cluster.api.request("PATCH", f"{path}?fieldManager=aiinfn", body, "application/apply-patch+yaml")
    try:
        older.site.write(called("older"))
        status, said = older.operator.apply("--force")
        assert status == 2
        assert "made by an older version" in said
        assert "write instance: aiinfn under kubernetes" in said

        older.site.write(change)
        status, said = older.operator.diff()
        assert status == 1
        fields = [line.strip() for line in said.splitlines() if line.startswith("    ")]
        assert set(fields) == {f"metadata.labels[{LABELS.managed}]: true -> aiinfn"}
        assert len(fields) == 26
        older.apply()
        assert len(objects(cluster.api, names.Instance("aiinfn"))) == 26
    finally:
        older.site.write(change)
        assert older.remove("--yes")[0] == 0
    assert older.remove() == (0, "Nothing of aiinfn is in this cluster.\n")


def interrupted(platform: Second, word: str) -> None:
    """Remove a platform, and kill the command when it says a word."""
    command = [sys.executable, "-u", "-m", "aiinfn_hub.cli", "kueue", "remove", "--yes", "--end-running"]
    with subprocess.Popen(
        [*command, f"--kubeconfig={platform.cluster.kubeconfig}", str(platform.site.path)],
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        for line in running.stdout or ():
            if word in line:
                break
        running.kill()


def test_a_platform_is_removed_but_for_namespaces_with_data(second: Any, cluster: Any) -> None:
    api = cluster.api
    stage = second("gone")
    api.post("/api/v1/namespaces/gone-sessions/persistentvolumeclaims", CLAIM)
    stage.start_job("running")
    stage.start_session("open")
    before = objects(api, stage.instance)

    for words in ((), ("--yes",)):
        status, said = stage.remove(*words)
        assert status == 2
        assert "1 session is not over: gone-sessions/open of ben." in said
        assert "1 job is not over: gone-batch/running of ada." in said
    assert objects(api, stage.instance) == before

    status, said = stage.remove("--end-running")
    assert status == 1
    assert "Namespace gone-sessions stays: it holds PersistentVolumeClaim thesis." in said
    assert "- remove ClusterQueue gone-system-opportunistic" in said
    assert objects(api, stage.instance) == before

    # Somebody pulls the plug on the way: it can be taken back, or gone on with.
    interrupted(stage, "RoleBinding")
    queue = f"/apis/kueue.x-k8s.io/v1beta2/clusterqueues/{stage.instance.cluster_queue('opportunistic')}"
    assert api.get(queue)["spec"]["stopPolicy"] == "HoldAndDrain"
    stage.apply()
    assert api.get(queue)["spec"]["stopPolicy"] == "None"
    assert objects(api, stage.instance).keys() == before.keys()
    interrupted(stage, "LocalQueue")
    assert 0 < len(objects(api, stage.instance)) < len(before)

    status, said = stage.remove("--yes", "--end-running")
    assert (status, said.splitlines()[-1]) == (0, "Done.")
    assert "Namespace gone-sessions stays: it holds PersistentVolumeClaim thesis." in said
    assert objects(api, stage.instance) == {}
    assert exists(api, "/api/v1/namespaces/gone-sessions/persistentvolumeclaims/thesis")
    for space in ("batch", "system"):
        assert not exists(api, f"/api/v1/namespaces/gone-{space}")
    assert stage.remove("--yes") == (0, "Nothing of gone-system is in this cluster.\n")


def test_a_flavor_that_somebody_else_s_queue_needs_forbids_the_removal(second: Any, cluster: Any) -> None:
    stage = second("needed")
    spec = {"namespaceSelector": {}, "cohortName": stage.instance.cohort}
    body = {
        "apiVersion": kinds.KUEUE,  # type: ignore[attr-defined]
        "kind": "ClusterQueue",
        "metadata": {"name": "somebody"},
        "spec": spec,
    }
    cluster.apply([body])
    path = "/apis/kueue.x-k8s.io/v1beta2/clusterqueues/somebody"
    try:
        status, said = stage.remove("--yes", "--end-running")
        assert status == 2
        assert "ClusterQueue somebody is not of this platform and needs Cohort needed-system." in said
    finally:
        cluster.api.delete(path)
    wait_for("it to go", lambda: not exists(cluster.api, path))
