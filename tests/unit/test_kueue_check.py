"""A Kueue that is there already: what is required of it is refused, what is only tuning is told, and nothing is guessed."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from aiinfn_hub.kube.apply import kueue_check
from aiinfn_hub.kube.apply.kueue_check import KueueFacts
from aiinfn_hub.kube.client import KubeError
from tests.unit.test_queues import platform

ROOT = Path(__file__).parents[2]
PLATFORM = platform()
RECOMMENDED = yaml.safe_load((ROOT / "deploy/kueue/controller_manager_config.yaml").read_text())
NAMES = {name: {"kubernetes.io/metadata.name": name} for name in ("aiinfn-sessions", "aiinfn-batch")}
SPACES = NAMES | {"aiinfn-batch": NAMES["aiinfn-batch"] | {"kueue-managed": "true"}}
MANAGED = {"matchLabels": {"kueue-managed": "true"}}
BY_DEFAULT = {
    "matchExpressions": [
        {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system"]}
    ]
}


def facts(version: Any = (0, 19), webhooks: Any = None, **changes: Any) -> KueueFacts:
    settings = {
        key: value for key, value in (copy.deepcopy(RECOMMENDED) | changes).items() if value != "absent"
    }
    gates = settings.get("featureGates") or {}
    return KueueFacts(version, settings, gates, {"mjob.kb.io": MANAGED} if webhooks is None else webhooks)


def obstacles(found: KueueFacts) -> list[str]:
    return list(kueue_check.obstacles(found, PLATFORM, SPACES))


def notes(found: KueueFacts) -> list[str]:
    return list(kueue_check.notes(found, PLATFORM, SPACES))


def test_kueue_as_this_project_deploys_it_is_no_matter() -> None:
    assert (obstacles(facts()), notes(facts())) == ([], [])


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (facts((0, 17)), "Kueue 0.17 is in this cluster, and 0.18 or newer is needed"),
        (facts(featureGates={"TopologyAwareScheduling": False}), "TopologyAwareScheduling is switched off"),
        (facts(featureGates={"TASHandleOverlappingFlavors": False}), "TASHandleOverlappingFlavors is switched off"),
        (facts(integrations={"frameworks": ["ray.io/rayjob"]}), "do not have batch/job"),
        (facts(managedJobsNamespaceSelector={"matchLabels": {"team": "b"}}), "leaves out aiinfn-batch"),
        (facts(manageJobsWithoutQueueName=True, managedJobsNamespaceSelector="absent", integrations={"frameworks": ["batch/job", "pod"]}), "hold up every pod of aiinfn-sessions"),
    ],
)  # fmt: skip
def test_what_is_required_is_refused_where_it_is_not_so(found: KueueFacts, words: str) -> None:
    (said,) = obstacles(found)
    assert words in said


@pytest.mark.parametrize(
    "found",
    [
        facts((0, 18)),
        facts((1, 0)),
        facts(None),  # unknown is not too old
        facts(integrations="absent"),  # Kueue's own default
        facts(featureGates="absent"),
        facts(managedJobsNamespaceSelector=BY_DEFAULT),
        facts(manageJobsWithoutQueueName=True, integrations={"frameworks": ["batch/job", "pod"]}),
        KueueFacts(),
    ],
)
def test_what_serves_or_is_not_known_is_not_refused(found: KueueFacts) -> None:
    assert obstacles(found) == []


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (facts(waitForPodsReady="absent"), "has no waitForPodsReady"),
        (facts(waitForPodsReady={"timeout": "30m", "requeuingStrategy": {"timestamp": "Creation", "backoffBaseSeconds": 1}}), "recoveryTimeout is 30m"),
        (facts(waitForPodsReady={"recoveryTimeout": "5s", "requeuingStrategy": {"backoffBaseSeconds": 1}}), "timestamp is Eviction"),
        (facts(waitForPodsReady={"recoveryTimeout": "5s", "requeuingStrategy": {"timestamp": "Creation"}}), "backoffBaseSeconds is 60"),
        (facts(admissionFairSharing="absent"), "has no admissionFairSharing"),
        (facts(admissionFairSharing={"usageHalfLifeTime": "24h"}), "usageHalfLifeTime is 1d, and limits.usage_half_life in the file 7d"),
        (facts(featureGates={"UnadmittedWorkloadsObservability": True}), "UnadmittedWorkloadsExplicitStatus is off"),
        (facts(webhooks={"mjob.kb.io": {"matchLabels": {"team": "b"}}}), "is not asked about aiinfn-batch"),
        (facts(webhooks={"mpod.kb.io": BY_DEFAULT, "vpod.kb.io": BY_DEFAULT}), "While Kueue is down no session can start: its webhooks mpod.kb.io, vpod.kb.io"),
        (KueueFacts(unread=("its version: none", "its settings: none")), "Of Kueue cannot be read its version: none; its settings: none."),
    ],
)  # fmt: skip
def test_what_is_only_tuning_or_not_readable_is_told(found: KueueFacts, words: str) -> None:
    (said,) = notes(found)
    assert words in said


@pytest.mark.parametrize("odd", [{"waitForPodsReady": ["x"]}, {"integrations": "x"}, {"featureGates": 3}, {"admissionFairSharing": {"usageHalfLifeTime": {}}}, {"waitForPodsReady": {"recoveryTimeout": [], "requeuingStrategy": {"backoffBaseSeconds": "x"}}}])  # fmt: skip
def test_settings_that_are_not_as_expected_break_nothing(odd: dict[str, Any]) -> None:
    found = KueueFacts((0, 19), RECOMMENDED | odd, {}, {})
    assert obstacles(found) == []
    assert notes(found)


def deployment(image: str, labels: Any = None, args: Any = ()) -> dict[str, Any]:
    return {
        "metadata": {"name": "kueue-controller-manager", "namespace": "kueue-system", "labels": labels},
        "spec": {
            "template": {
                "spec": {
                    "containers": [{"name": "manager", "image": image, "args": list(args)}],
                    "volumes": [
                        {"name": "cert", "secret": {}},
                        {"configMap": {"name": "kueue-manager-config"}},
                    ],
                }
            }
        },
    }


@pytest.mark.parametrize(
    ("image", "labels", "expected"),
    [
        ("registry.k8s.io/kueue/kueue:v0.19.2", None, (0, 19)),
        ("harbor.example.org:5000/kueue:0.17.0-rc.1@sha256:abc", None, (0, 17)),
        ("harbor.example.org:5000/kueue", None, None),
        ("kueue:main", {"app.kubernetes.io/version": "v0.18.1"}, (0, 18)),
        ("kueue@sha256:abc", {}, None),
    ],
)
def test_the_version_is_the_image_s_or_the_chart_s(image: str, labels: Any, expected: Any) -> None:
    assert kueue_check.version_of(deployment(image, labels)) == expected


class Answers:
    """An API server that shows what it is given: a body, or a status for a refusal."""

    def __init__(self, **paths: Any) -> None:
        self.paths = paths

    async def get(self, path: str, **_query: Any) -> Any:
        answer = self.paths.get(path.rpartition("/")[2], {"items": []})
        if isinstance(answer, int):
            raise KubeError(answer, "Forbidden", "no")
        return answer

    async def find(self, path: str, **query: Any) -> Any:
        name = path.rpartition("/")[2].replace("-", "_")
        return await self.get(f"/{name}", **query) if name in self.paths else None


def hooks(*names: str) -> dict[str, Any]:
    found = [{"name": name, "rules": [{"resources": [name[1:4] + "s"]}]} for name in names]
    return {"items": [{"metadata": {"labels": {"app.kubernetes.io/name": "kueue"}}, "webhooks": found}]}


async def test_everything_is_read_from_the_deployment_its_config_map_and_the_webhooks() -> None:
    data = {"controller_manager_config.yaml": yaml.safe_dump(RECOMMENDED)}
    found = await kueue_check.read(
        Answers(  # type: ignore[arg-type]
            deployments={"items": [deployment("kueue:v0.19.2", args=["--feature-gates=A=true,B=false"])]},
            kueue_manager_config={"data": data},
            mutatingwebhookconfigurations=hooks("mjob.kb.io", "mpod.kb.io"),
        )
    )
    assert (found.version, found.settings, found.unread) == ((0, 19), RECOMMENDED, ())
    assert found.gates["B"] is False
    assert found.gates["UnadmittedWorkloadsObservability"] is True
    assert set(found.webhooks or ()) == {"mjob.kb.io", "mpod.kb.io"}


@pytest.mark.parametrize(
    ("answers", "unread"),
    [
        ({"deployments": 403}, "its version and settings: this account may not list Deployments"),
        ({}, "its version and settings: no Deployment with the label"),
        ({"deployments": {"items": [deployment("kueue:v0.19.2")]}, "kueue_manager_config": 403}, "its settings: this account may not read the ConfigMap kueue-system/kueue-manager-config"),
        ({"deployments": {"items": [deployment("kueue:v0.19.2")]}, "kueue_manager_config": {"data": {"controller_manager_config.yaml": "a: ["}}}, "is no YAML"),
        ({"deployments": {"items": [deployment("kueue:v0.19.2")]}}, "its settings: no ConfigMap of its Deployment"),
        ({"mutatingwebhookconfigurations": 403}, "which namespaces it is asked about: this account may not list"),
    ],
)  # fmt: skip
async def test_what_cannot_be_read_is_said_with_the_reason(answers: Any, unread: str) -> None:
    found = await kueue_check.read(Answers(**answers))  # type: ignore[arg-type]
    assert any(unread in each for each in found.unread)
    assert list(kueue_check.obstacles(found, PLATFORM, SPACES)) == []
