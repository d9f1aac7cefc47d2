"""The cluster is a real one: real components, in the versions that are pinned, that survive being killed."""

import json
from typing import Any

import pytest

from tests.cluster.harness import ApiError, is_ready, wait_for
from tests.cluster.workbench import is_running


def test_every_component_runs_and_the_node_is_ready(cluster: Any) -> None:
    status = cluster.status()

    components = {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet"}
    assert components | {"containerd", "kueue"} <= set(status)
    assert status.pop("node node-0") == "ready"
    assert all(state.startswith("running") for state in status.values()), status
    assert cluster.is_up


def test_server_and_kubectl_have_the_pinned_version(cluster: Any) -> None:
    versions = json.loads(cluster.kubectl("version", "--output=json"))

    assert versions["serverVersion"]["gitVersion"] == versions["clientVersion"]["gitVersion"] == "v1.36.3"


def test_the_node_offers_the_pretended_accelerators(cluster: Any) -> None:
    node = cluster.api.get("/api/v1/nodes/node-0")

    for name, amount in cluster.settings.resources.items():
        assert node["status"]["allocatable"][name] == str(amount)
    for label, value in cluster.settings.labels.items():
        assert node["metadata"]["labels"][label] == value


def test_a_killed_api_server_comes_back_with_everything_it_knew(cluster: Any, workbench: Any) -> None:
    workbench.start_session("survivor")
    before = workbench.session("survivor")

    cluster.kill("kube-apiserver")
    assert not cluster.is_up
    cluster.start("kube-apiserver")
    cluster.restart_clients()

    after = workbench.session("survivor")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert is_running(after)
    assert after["status"]["containerStatuses"][0]["restartCount"] == 0
    wait_for("node to be ready", lambda: is_ready(cluster.api.get("/api/v1/nodes/node-0")))


def test_a_service_account_may_do_only_what_its_role_says(cluster: Any) -> None:
    api = cluster.api.with_token(cluster.token("sessions", "default"))

    with pytest.raises(ApiError, match="system:serviceaccount:sessions:default") as refused:
        api.get("/api/v1/namespaces/sessions/pods")
    assert refused.value.status == 403
