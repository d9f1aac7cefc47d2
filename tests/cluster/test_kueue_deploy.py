"""deploy/kueue: what a site applies, with this cluster's Kueue in the place of the download."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.harness import Cluster, binaries, wait_for
from tests.cluster.test_queue_order import Queues

DEPLOY = Path(__file__).parents[2] / "deploy" / "kueue"
CONFIG = "controller_manager_config.yaml"
MANAGED = {"matchLabels": {"kueue-managed": "true"}}


@pytest.fixture(scope="module")
def manifests(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    folder = tmp_path_factory.mktemp("kueue")
    shutil.copytree(DEPLOY, folder, dirs_exist_ok=True)
    shutil.copy(cluster.bin_dir / binaries.KUEUE_MANIFESTS, folder / "manifests.yaml")
    lines = (folder / "kustomization.yaml").read_text().splitlines()
    here = ["- manifests.yaml" if line.startswith("- https://") else line for line in lines]
    assert here != lines
    (folder / "kustomization.yaml").write_text("\n".join(here))
    return [document for document in yaml.safe_load_all(cluster.kubectl("kustomize", folder)) if document]


def test_kueue_is_asked_about_batch_namespaces_only(manifests: Any) -> None:
    webhooks = [
        hook
        for each in manifests
        if each["kind"].endswith("WebhookConfiguration")
        for hook in each["webhooks"]
    ]
    kinds = {
        hook["name"]: {kind for rule in hook["rules"] for kind in rule["resources"]} for hook in webhooks
    }
    asked = {
        name
        for name, resources in kinds.items()
        if resources & {"pods", "jobs", "deployments", "statefulsets"}
    }
    assert {"mpod.kb.io", "vpod.kb.io", "mjob.kb.io", "vjob.kb.io"} <= asked
    assert all(hook["namespaceSelector"] == MANAGED for hook in webhooks if hook["name"] in asked)
    # Those without a selector are about Kueue's own objects.
    own = {
        "workloads",
        "workloads/status",
        "clusterqueues",
        "localqueues",
        "cohorts",
        "resourceflavors",
        "topologies",
    }
    assert all(
        kinds[hook["name"]] <= own | {"admissionchecks"}
        for hook in webhooks
        if "namespaceSelector" not in hook
    )
    assert not any(each["metadata"]["name"] == "batch-namespaces" for each in manifests)


def test_the_manager_gets_our_policy_and_starts_with_it(manifests: Any, cluster: Any, site: Any) -> None:
    (found,) = [
        e for e in manifests if e["kind"] == "ConfigMap" and e["metadata"]["name"] == "kueue-manager-config"
    ]
    policy = yaml.safe_load(found["data"][CONFIG])
    assert policy == yaml.safe_load((DEPLOY / CONFIG).read_text())
    (manager,) = [e for e in manifests if e["kind"] == "Deployment"]
    volumes = manager["spec"]["template"]["spec"]["volumes"]
    assert {"name": "manager-config", "configMap": {"name": "kueue-manager-config"}} in volumes

    # In this cluster addresses and certificates are others, and nobody else wants to be leader.
    path = cluster.root / "kueue" / "config.yaml"
    before = path.read_text()
    places = {
        key: yaml.safe_load(before)[key]
        for key in ("health", "webhook", "visibilityServer", "internalCertManagement")
    }
    places["metrics"] = policy["metrics"] | {"bindAddress": yaml.safe_load(before)["metrics"]["bindAddress"]}
    cluster.stop("kueue")
    path.write_text(
        yaml.safe_dump(
            policy | places | {"namespace": "kueue-system", "leaderElection": {"leaderElect": False}}
        )
    )
    try:
        cluster.start("kueue")
        queues = Queues(cluster)
        queues.clear()
        queues.submit("with-our-policy", "flavour", seconds=0)
        wait_for("the job", lambda: queues.done("with-our-policy"))
        queues.clear()
    finally:
        cluster.stop("kueue")
        path.write_text(before)
        cluster.start("kueue")


def test_the_tests_run_the_policy_of_a_site_with_shorter_times(cluster: Any) -> None:
    ours = yaml.safe_load((DEPLOY / CONFIG).read_text())
    tests = yaml.safe_load((Path(__file__).parent / "kueue" / "config.yaml").read_text())
    same = ("managedJobsNamespaceSelector", "featureGates", "clientConnection")
    assert {key: ours[key] for key in same} == {key: tests[key] for key in same}
    assert ours["admissionFairSharing"]["resourceWeights"] == tests["admissionFairSharing"]["resourceWeights"]
    ready, quick = ours["waitForPodsReady"], tests["waitForPodsReady"]
    assert ready["recoveryTimeout"] == quick["recoveryTimeout"]
    assert ready["requeuingStrategy"]["timestamp"] == quick["requeuingStrategy"]["timestamp"] == "Creation"
