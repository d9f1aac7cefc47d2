"""What ``aiinfn-hub check`` calls in order, the API server takes; what it refuses by Kubernetes' rules, the server refuses too."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings

from aiinfn_hub.platform.loading import kubernetes_rules
from aiinfn_hub.platform.loading.loader import examine
from tests.cluster.harness import ApiError
from tests.unit.test_platform_check import everything, mutated, right

SPACES = {"Pod": "aiinfn-sessions", "Job": "aiinfn-batch", "LocalQueue": "aiinfn-batch"}


def dry_run(api: Any, body: dict[str, Any]) -> str:
    """Ask the API server to create an object, without doing it; return why it would not, or nothing."""
    body = json.loads(json.dumps(body))
    body["metadata"]["name"] = f"{body['metadata']['name'][:60]}-x"
    if "namespace" in body["metadata"] or body["kind"] in SPACES:
        body["metadata"]["namespace"] = SPACES.get(body["kind"], "aiinfn-system")
    path = f"{api._path_of(body)}?fieldManager=tests&force=true&fieldValidation=Strict&dryRun=All"
    try:
        api.request("PATCH", path, body, "application/apply-patch+yaml")
    except ApiError as error:
        return str(error)
    return ""


def test_whatever_check_calls_in_order_the_api_server_takes(
    cluster: Any, site: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("mutated") / "platform.yaml"
    seen: set[str] = set()
    refused: list[str] = []

    @settings(
        max_examples=600,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(mutated())
    def examples(body: dict[str, Any]) -> None:
        path.write_text(yaml.safe_dump(body, sort_keys=False))
        platform = examine(path).platform
        if platform is None or platform.sessions.backend != "kubernetes":
            return
        for each in everything(platform):
            text = json.dumps(each, sort_keys=True)
            if text in seen:
                continue
            seen.add(text)
            right(each)
            if why := dry_run(cluster.api, each):
                refused.append(f"{each['kind']}: {why}\n{text}")

    examples()
    assert not refused, "\n\n".join(refused[:5])
    assert len(seen) > 100, "the files differ enough to say something"


def pod(**spec: Any) -> dict[str, Any]:
    container = {"name": "a", "image": spec.pop("image", "a:1")}
    for key in ("resources", "volumeMounts", "env"):
        if key in spec:
            container[key] = spec.pop(key)
    container["securityContext"] = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    security = {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}}
    metadata = {"name": "a", "labels": spec.pop("labels", {})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": [container], "securityContext": security, **spec},
    }


def volumes(source: dict[str, Any]) -> dict[str, Any]:
    return pod(volumes=[{"name": "v", **source}])


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (pod(labels={"a b": "c"}), kubernetes_rules.qualified_name("a b")),
        (pod(labels={"a": "-c"}), kubernetes_rules.label_value("-c")),
        (pod(labels={"a..b/c": "c"}), kubernetes_rules.qualified_name("a..b/c")),
        (pod(resources={"limits": {"-nvidia..com/gpu-": "1"}}), kubernetes_rules.extended_resource("-nvidia..com/gpu-")),
        (pod(resources={"limits": {"memory": "1GB"}}), kubernetes_rules.quantity("1GB")),
        (pod(tolerations=[{"key": "a", "operator": "Equals"}]), list(kubernetes_rules.toleration({"key": "a", "operator": "Equals"}))),
        (pod(tolerations=[{"operator": "Equal"}]), list(kubernetes_rules.toleration({"operator": "Equal"}))),
        (pod(tolerations=[{"key": "a", "effect": "NoSchedul"}]), list(kubernetes_rules.toleration({"key": "a", "effect": "NoSchedul"}))),
        (pod(tolerations=[{"key": "a", "operator": "Exists", "value": "x"}]), list(kubernetes_rules.toleration({"key": "a", "operator": "Exists", "value": "x"}))),
        (volumes({"persistentVolumeClaim": {"claimName": ""}}), list(kubernetes_rules.volume({"persistentVolumeClaim": {"claimName": ""}}))),
        (volumes({"persistentVolumeClaim": {"claim": "a"}}), list(kubernetes_rules.volume({"persistentVolumeClaim": {"claim": "a"}}))),
        (volumes({"emptyDir": {"sizeLimit": "1:30"}}), list(kubernetes_rules.volume({"emptyDir": {"sizeLimit": "1:30"}}))),
        (volumes({"secret": {"secretName": "s", "defaultMode": 999}}), list(kubernetes_rules.volume({"secret": {"secretName": "s", "defaultMode": 999}}))),
        (volumes({"projected": {"sources": [{"secret": {"name": "a"}, "configMap": {"name": "b"}}]}}), list(kubernetes_rules.volume({"projected": {"sources": [{"secret": {"name": "a"}, "configMap": {"name": "b"}}]}}))),
        (pod(volumes=[{"name": "v", "emptyDir": {}}], volumeMounts=[{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/a"}]), "taken"),
    ],
)  # fmt: skip
def test_what_the_rules_refuse_the_api_server_refuses_too(
    cluster: Any, site: Any, body: Any, problem: Any
) -> None:
    assert problem
    assert dry_run(cluster.api, pod()) == ""
    assert dry_run(cluster.api, body)
