"""``aiinfn-hub kueue diff`` and ``apply`` as an operator runs them, on the real cluster."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from aiinfn_hub.kube import names
from aiinfn_hub.kube.apply import kinds
from tests.cluster import workloads
from tests.cluster.harness import ApiError, Cluster, wait_for
from tests.cluster.site import INSTANCE, Site
from tests.cluster.test_queue_order import BATCH, JOBS, Queues
from tests.cluster.workbench import BACKGROUND

KUEUE = "/apis/kueue.x-k8s.io/v1beta2"
LABELS = names.Labels()
QUOTA = f"spec.resourceGroups[0].flavors[{INSTANCE.flavor('t4')}].resources[nvidia.com/gpu].nominalQuota"

NIGHT, V70 = INSTANCE.cluster_queue("night"), INSTANCE.flavor("v70")

UNREAD = (
    "Of Kueue cannot be read its version and settings: no Deployment with the label app.kubernetes.io/name=kueue is in this cluster. "
    "docs/kubernetes.md says what is required of it.\n"
)
"""Kueue is a process of this machine here."""


@dataclass
class Operator:
    """Runs the command on the test platform, with changes to its file."""

    site: Site
    kubeconfig: Path

    def write(self, change: Any) -> None:
        self.site.write(change)

    def run(self, *words: str, kubeconfig: Path | None = None) -> tuple[int, str]:
        """Status and everything printed; a traceback is an error in every case."""
        command = [sys.executable, "-W", "error", "-m", "aiinfn_hub.cli", "kueue", *words]
        done = subprocess.run(
            [*command, f"--kubeconfig={kubeconfig or self.kubeconfig}", str(self.site.path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stdout, done.stdout
        return done.returncode, done.stdout

    def diff(self, *words: str, **options: Any) -> tuple[int, str]:
        return self.run("diff", *words, **options)

    def apply(self, *words: str, **options: Any) -> tuple[int, str]:
        return self.run("apply", "--yes", *words, **options)


@pytest.fixture
def operator(cluster: Cluster, site: Site) -> Iterator[Operator]:
    made = Operator(site, cluster.kubeconfig)
    yield made
    Queues(cluster).clear()
    site.write()
    assert made.apply("--force")[0] == 0


def one_t4(data: Any) -> None:
    data["accelerators"]["t4"]["kubernetes"]["quota"] = 1


def with_night(data: Any) -> None:
    data["queues"]["night"] = {"title": "Night", "priority": -5}


def versions(api: Any) -> dict[str, str]:
    """Every object of ours with what tells one version from another; Kueue writes into the status of queues all the time."""
    found = {}
    for kind in kinds.ALL:
        for item in api.get(f"{kind.collection()}?labelSelector={LABELS.managed}%3D{INSTANCE.name}")["items"]:
            meta = item["metadata"]
            applied = [each["time"] for each in meta["managedFields"] if each["operation"] == "Apply"]
            version = str((meta["generation"], applied)) if "generation" in meta else meta["resourceVersion"]
            found[f"{kind.name} {meta.get('namespace', '')}/{meta['name']}"] = version
    return found


def exists(api: Any, path: str) -> bool:
    try:
        api.get(path)
    except ApiError as error:
        if error.status != 404:
            raise
        return False
    return True


def test_a_cluster_in_line_with_the_file_shows_no_difference_and_a_second_apply_changes_nothing(
    operator: Any, cluster: Any
) -> None:
    before = versions(cluster.api)
    assert len(before) == 26
    assert operator.diff() == (0, f"{UNREAD}26 objects are as they should be.\n")
    assert operator.apply() == (0, f"{UNREAD}26 objects are as they should be.\n")
    assert versions(cluster.api) == before


def test_a_quota_is_shown_with_old_and_new_and_applied_without_touching_the_rest(
    operator: Any, cluster: Any
) -> None:
    before = versions(cluster.api)
    operator.write(one_t4)
    status, said = operator.diff()
    assert status == 1
    assert (
        said
        == f"~ change Cohort {INSTANCE.cohort}\n    {QUOTA}: 1000000 -> 1\n{UNREAD}25 objects are as they should be.\n"
    )

    assert operator.run("apply", "--dry-run")[0] == 0
    assert operator.run("apply")[0] == 2  # there is no terminal to ask on
    assert versions(cluster.api) == before

    status, said = operator.apply()
    assert (status, said.splitlines()[-1]) == (0, "Done.")
    after = versions(cluster.api)
    assert {name for name in after if after[name] != before[name]} == {f"Cohort /{INSTANCE.cohort}"}
    assert operator.diff()[0] == 0


def test_a_queue_comes_and_goes(operator: Any, cluster: Any) -> None:
    operator.write(with_night)
    status, said = operator.diff()
    assert status == 1
    created = [line for line in said.splitlines() if line.startswith("+ create ")]
    assert [line.split()[2:] for line in created] == [
        ["WorkloadPriorityClass", NIGHT],
        ["ClusterQueue", NIGHT],
        ["LocalQueue", f"{BATCH}/{names.local_queue('night', 'flavour')}"],
        ["LocalQueue", f"{BATCH}/{names.local_queue('night', 'medphys')}"],
    ]
    assert operator.apply()[0] == 0
    assert cluster.api.get(f"{KUEUE}/workloadpriorityclasses/{NIGHT}")["value"] == -5
    queues = Queues(cluster)
    queues.submit("tonight", "medphys", queue="night", seconds=0)
    wait_for("the job", lambda: queues.done("tonight"))

    operator.write(None)
    status, said = operator.diff()
    assert status == 1
    assert said.count("- remove ") == 4
    assert operator.apply()[0] == 0
    for path in (f"{KUEUE}/clusterqueues/{NIGHT}", f"{KUEUE}/workloadpriorityclasses/{NIGHT}"):
        wait_for("it to go", lambda p=path: not exists(cluster.api, p))  # type: ignore[misc]
    assert operator.diff()[0] == 0


def test_what_others_made_stays_whatever_it_is_called(operator: Any, cluster: Any) -> None:
    api = cluster.api
    spec = {"namespaceSelector": {}}  # type: ignore[var-annotated]
    mark = {LABELS.managed: INSTANCE.name}
    foreign = {
        "aiinfn-system-foreign": {},  # named like ours
        "aiinfn-system-labelled": mark,  # with our label, but applied by another manager
    }
    for name, labels in foreign.items():
        api.apply(
            {
                "apiVersion": kinds.KUEUE,  # type: ignore[attr-defined]
                "kind": "ClusterQueue",
                "metadata": {"name": name, "labels": labels},
                "spec": spec,
            }
        )
    local = f"{KUEUE}/namespaces/{BATCH}/localqueues/opportunistic-somebody"
    meta = {"name": "opportunistic-somebody", "namespace": BATCH}
    api.apply(
        {
            "apiVersion": kinds.KUEUE,  # type: ignore[attr-defined]
            "kind": "LocalQueue",
            "metadata": meta,
            "spec": {"clusterQueue": "aiinfn-system-foreign"},
        }
    )
    # Applied by us, but without the label: somebody took it out to keep the object.
    kept = {
        "apiVersion": kinds.KUEUE,  # type: ignore[attr-defined]
        "kind": "WorkloadPriorityClass",
        "metadata": {"name": "aiinfn-system-kept"},
        "value": 1,
    }
    api.request(
        "PATCH",
        f"{KUEUE}/workloadpriorityclasses/aiinfn-system-kept?fieldManager={INSTANCE.field_manager}",
        kept,
        "application/apply-patch+yaml",
    )
    paths = [
        *(f"{KUEUE}/clusterqueues/{name}" for name in foreign),
        local,
        f"{KUEUE}/workloadpriorityclasses/aiinfn-system-kept",
    ]
    before = [api.get(path)["metadata"]["generation"] for path in paths]
    try:
        operator.write(one_t4)
        assert operator.apply()[0] == 0
        operator.write(None)
        assert operator.apply()[0] == 0
        assert [api.get(path)["metadata"]["generation"] for path in paths] == before
        assert not any("deletionTimestamp" in api.get(path)["metadata"] for path in paths)
    finally:
        for path in reversed(paths):
            api.delete(path)


def test_a_queue_or_an_accelerator_with_jobs_in_it_stays_and_nothing_at_all_is_changed(
    operator: Any, cluster: Any
) -> None:
    queues, api = Queues(cluster), cluster.api

    def submit(name: str, project: str, owner: str, queue: str = "opportunistic") -> None:
        job = workloads.job(name, workloads.T4)
        job["metadata"]["labels"] = {
            names.QUEUE_LABEL: names.local_queue(queue, project),
            names.QUEUE_PRIORITY_LABEL: INSTANCE.queue_priority_class(queue),
        }
        template = job["spec"]["template"]
        template["metadata"]["annotations"] = {LABELS.user: owner, LABELS.accelerator: "t4"}
        template["spec"]["priorityClassName"] = INSTANCE.batch_priority_class
        api.post(JOBS, job)

    submit("job-one", "flavour", "ada")
    submit("job-two", "flavour", "ben")
    queues.wait_running("job-one", "job-two")
    submit("job-waits", "medphys", "eve<b>")
    wait_for("the third to wait", lambda: queues.reason("job-waits"))

    def without_the_queue(data: Any) -> None:
        one_t4(data)
        del data["queues"]["opportunistic"]

    def without_medphys(data: Any) -> None:
        one_t4(data)
        data["queues"]["opportunistic"]["projects"] = ["flavour"]

    def without_t4(data: Any) -> None:
        del data["accelerators"]["t4"]
        data["queues"]["short"]["accelerators"] = ["none"]

    before = versions(api)
    for change, hurt, spared in [
        (
            without_the_queue,
            ["job-one of ada (running)", "job-two of ben (running)", "job-waits of eve<b> (waiting)"],
            [],
        ),
        (without_medphys, ["job-waits of eve<b> (waiting)"], ["job-one", "job-two"]),
        (
            without_t4,
            ["job-one of ada (running)", "job-two of ben (running)", "job-waits of eve<b> (waiting)"],
            [],
        ),
    ]:
        operator.write(change)
        for command in (operator.diff, operator.apply):
            status, said = command()
            assert status == 2
            refusal = said[said.index("Error: ") :]
            assert all(words in refusal for words in hurt), refusal
            assert not any(words in refusal for words in spared), refusal
        assert refusal.startswith("Error: Nothing was changed.\n")
        assert versions(api) == before

    api.delete(f"{JOBS}/job-waits", BACKGROUND)
    wait_for("its workload to go", lambda: not queues.workload("job-waits"))
    operator.write(without_medphys)
    assert operator.apply()[0] == 0
    assert queues.running("job-one")


def test_a_field_that_cannot_change_is_refused_with_what_to_do(operator: Any, cluster: Any) -> None:
    def more(data: Any) -> None:
        one_t4(data)
        data["kubernetes"]["session_priority"] = 5000
        data["accelerators"]["v70"]["kubernetes"]["node_labels"] = {"accelerator": "v71"}

    before = versions(cluster.api)
    operator.write(more)
    status, said = operator.apply()
    assert status == 2
    assert f"PriorityClass {INSTANCE.session_priority_class} cannot be changed like that" in said
    assert "pods that exist keep the number" in said
    assert f"ResourceFlavor {V70} cannot be changed like that" in said
    assert "Give the accelerator another name" in said
    assert versions(cluster.api) == before

    # What the sentence says to do works.
    operator.write(lambda data: [data["accelerators"].pop("v70"), data["images"].pop("fpga-tools")])
    assert operator.apply()[0] == 0
    wait_for("the flavor to go", lambda: not exists(cluster.api, f"{KUEUE}/resourceflavors/{V70}"))
    operator.write(
        lambda data: data["accelerators"]["v70"]["kubernetes"].update(node_labels={"accelerator": "v71"})
    )
    assert operator.apply()[0] == 0
    operator.write(lambda data: [data["accelerators"].pop("v70"), data["images"].pop("fpga-tools")])
    assert operator.apply()[0] == 0


def test_what_does_not_fit_the_nodes_is_told(operator: Any, cluster: Any) -> None:
    node = cluster.settings.node_name
    operator.write(
        lambda data: data["accelerators"]["slice"]["kubernetes"].update(node_labels={"rack": "seven"})
    )
    assert "A100 slice 1g.5gb (slice): no node with nvidia.com/mig-1g.5gb" in operator.diff()[1]
    operator.write(None)
    assert operator.diff()[1].endswith("26 objects are as they should be.\n")
    cluster.kubectl("label", "node", node, "nvidia.com/gpu.replicas=4")
    try:
        said = operator.diff()
        assert said[0] == 0
        assert f"NVIDIA T4 (t4): the node {node} hands one device out several times" in said[1]
    finally:
        cluster.kubectl("label", "node", node, "nvidia.com/gpu.replicas-")


def test_what_another_manager_holds_is_left_to_it_until_forced(operator: Any, cluster: Any) -> None:
    cohort = cluster.api.get(f"{KUEUE}/cohorts/{INSTANCE.cohort}")
    spec = cohort["spec"]
    t4 = next(each for each in spec["resourceGroups"][0]["flavors"] if each["name"] == INSTANCE.flavor("t4"))
    next(each for each in t4["resources"] if each["name"] == "nvidia.com/gpu")["nominalQuota"] = "7"
    cluster.apply(
        [{"apiVersion": kinds.KUEUE, "kind": "Cohort", "metadata": {"name": INSTANCE.cohort}, "spec": spec}]  # type: ignore[attr-defined]
    )
    for command in (operator.diff, operator.apply):
        status, said = command()
        assert status == 2
        assert f"Cohort {INSTANCE.cohort}: .spec.resourceGroups is managed by tests." in said
        assert "--force" in said
    status, said = operator.diff("--force")
    assert status == 1
    assert f"{QUOTA}: 7 -> 1000000" in said
    assert operator.apply("--force")[0] == 0
    assert operator.diff()[0] == 0


def test_somebody_else_s_object_of_our_name_is_not_taken_over(operator: Any, cluster: Any) -> None:
    meta = {"name": NIGHT}
    cluster.apply(
        [{"apiVersion": kinds.KUEUE, "kind": "WorkloadPriorityClass", "metadata": meta, "value": 3}]  # type: ignore[attr-defined]
    )
    operator.write(with_night)
    status, said = operator.apply()
    assert status == 2
    assert (
        f"WorkloadPriorityClass {NIGHT} is there already and was not made by this command (but by tests)"
        in said
    )
    assert not exists(cluster.api, f"{KUEUE}/clusterqueues/{NIGHT}")
    assert cluster.api.get(f"{KUEUE}/workloadpriorityclasses/{NIGHT}")["value"] == 3
    assert operator.apply("--force")[0] == 0
    assert cluster.api.get(f"{KUEUE}/workloadpriorityclasses/{NIGHT}")["value"] == -5


def test_a_namespace_that_left_the_file_stays_with_all_that_is_in_it(operator: Any, cluster: Any) -> None:
    operator.write(lambda data: data["kubernetes"].update(sessions_namespace="aiinfn-other"))
    status, said = operator.apply()
    assert status == 0
    assert "Namespace aiinfn-sessions is no longer in the file; it stays" in said
    namespace = cluster.api.get("/api/v1/namespaces/aiinfn-sessions")
    assert namespace["status"]["phase"] == "Active"
    # The hub's rights moved with the setting.
    roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles/aiinfn-hub"
    assert exists(cluster.api, roles.format("aiinfn-other"))
    assert not exists(cluster.api, roles.format("aiinfn-sessions"))
    operator.write(None)
    assert operator.apply()[0] == 0
    cluster.api.delete("/api/v1/namespaces/aiinfn-other")


def test_without_rights_one_sentence_says_so(operator: Any, site: Any) -> None:
    status, said = operator.diff(kubeconfig=site.vkd_kubeconfig)
    assert status == 2
    assert said.startswith("Error: This account may not do that: ")
    assert said.count("\n") == 1


def test_without_an_api_server_one_sentence_says_so(operator: Any, cluster: Any, tmp_path: Path) -> None:
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    away = tmp_path / "away.conf"
    away.write_text(yaml.safe_dump(config))
    status, said = operator.diff(kubeconfig=away)
    assert (status, said.count("\n")) == (2, 1)
    assert "does not answer" in said


def test_while_kueue_is_dead_one_sentence_says_so(operator: Any, cluster: Any) -> None:
    operator.write(with_night)
    cluster.kill("kueue")
    try:
        status, said = operator.apply()
    finally:
        cluster.start("kueue")
    assert status == 2
    assert said.startswith("Error: Kueue's manager does not answer the API server")
    assert said.count("\n") == 1
    assert operator.apply()[0] == 0


def test_a_kueue_that_serves_others_is_asked_what_it_is_and_stays_as_it_is(
    operator: Any, cluster: Any
) -> None:
    api = cluster.api
    labels = {"app.kubernetes.io/name": "kueue"}
    image = "registry.example.org/kueue:v0.17.3"
    pod = {
        "metadata": {"labels": labels},
        "spec": {
            "containers": [{"name": "manager", "image": image}],
            "volumes": [{"name": "manager-config", "configMap": {"name": "kueue-manager-config"}}],
        },
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "kueue-controller-manager", "namespace": "kueue-system", "labels": labels},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": pod},
    }
    cluster.apply([deployment])
    config = "/api/v1/namespaces/kueue-system/configmaps/kueue-manager-config"
    try:
        before = api.get(config)
        status, said = operator.diff()
        assert status == 2
        assert "Kueue 0.17 is in this cluster, and 0.18 or newer is needed" in said
        assert "Kueue has no waitForPodsReady" in said  # what the release comes with
        assert operator.apply()[0] == 2
        status, said = operator.diff("--force")
        assert status == 0
        assert "Kueue 0.17 is in this cluster" in said
        assert api.get(config) == before
    finally:
        api.delete("/apis/apps/v1/namespaces/kueue-system/deployments/kueue-controller-manager")


def test_a_cluster_without_kueue_is_told_what_to_install(operator: Any, cache: Any) -> None:
    from tests.cluster.harness import Cluster, Settings, binaries

    bare = Cluster(cache / "bare", binaries.programs(), Settings.free(kueue=False))
    bare.down()
    try:
        bare.up(objects=None)
        status, said = operator.apply(kubeconfig=bare.kubeconfig)
        spaces = {item["metadata"]["name"] for item in bare.api.get("/api/v1/namespaces")["items"]}
    finally:
        bare.down()
    assert status == 2
    assert "install Kueue 0.19 or newer first" in said
    assert "aiinfn-batch" not in spaces
