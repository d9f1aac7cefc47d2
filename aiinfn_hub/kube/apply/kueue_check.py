"""Whether the Kueue that is in a cluster serves this platform: what is required of it, and what is only tuning.

Kueue may be there for others, so nothing of it is ever changed. What is read may be kept from this account; then that is said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final

import yaml

from aiinfn_hub.contract.units import format_duration, parse_duration
from aiinfn_hub.kube.client import KubeClient, KubeError, path_of
from aiinfn_hub.platform.model.platform import Platform

Json = Mapping[str, Any]
Version = tuple[int, int]

OLDEST: Final[Version] = (0, 18)
"""Before it, a node that is in several flavors is given to each of them."""
REQUIRED_GATES: Final = {
    "TopologyAwareScheduling": "jobs are admitted onto devices that sessions hold",
    "TASHandleOverlappingFlavors": "a node that serves several accelerators is given to each of them",
}
TUNING_GATES: Final = {
    "AdmissionFairSharing": "the jobs of a project that has used much do not go behind those of others",
    "UnadmittedWorkloadsObservability": "people read less about why their job waits",
    "UnadmittedWorkloadsExplicitStatus": "people read less about why their job waits",
}
OFF_BY_DEFAULT: Final = {"UnadmittedWorkloadsObservability", "UnadmittedWorkloadsExplicitStatus"}
_SELECTOR: Final = "app.kubernetes.io/name=kueue"
_CONFIG_FILE: Final = "controller_manager_config.yaml"
_VERSION: Final = re.compile(r"v?(\d+)\.(\d+)(\.\d+)?([-+.].*)?\Z")
_LONGEST_RECOVERY: Final = timedelta(seconds=30)
_LONGEST_BACKOFF: Final = 5


@dataclass(frozen=True)
class KueueFacts:
    """What could be read of the Kueue in a cluster.

    Attributes
    ----------
    version, settings, webhooks
        None where it could not be read.
    unread
        What could not be read and why, as parts of a sentence.
    gates
        Feature gates that its command line or its settings name.
    webhooks
        Name of each webhook of it about pods and Jobs -> its selector of namespaces.
    """

    version: Version | None = None
    settings: Json | None = None
    gates: Mapping[str, bool] = field(default_factory=dict)
    webhooks: Mapping[str, Json] | None = None
    unread: tuple[str, ...] = ()


async def read(client: KubeClient) -> KueueFacts:
    """Read version, settings and webhooks of the Kueue in a cluster.

    Raises
    ------
    KubeError
        If the cluster does not answer; what it does not show is no error.
    """
    unread: list[str] = []
    deployment = await _deployment(client, unread)
    version, settings, gates = None, None, {}
    if deployment is not None:
        version = version_of(deployment)
        if version is None:
            unread.append("its version: neither the tag of its image nor a label says it")
        settings = await _settings(client, deployment, unread)
        gates = _gates_of_command(deployment)
    if settings is not None:
        gates = {**gates, **{name: bool(on) for name, on in _section(settings, "featureGates").items()}}
    return KueueFacts(version, settings, gates, await _webhooks(client, unread), tuple(unread))


async def _deployment(client: KubeClient, unread: list[str]) -> Json | None:
    try:
        found = await client.get(path_of("apps/v1", "deployments"), labelSelector=_SELECTOR)
    except KubeError as error:
        if error.status != HTTPStatus.FORBIDDEN:
            raise
        unread.append("its version and settings: this account may not list Deployments")
        return None
    managers = [each for each in found["items"] if "controller-manager" in each["metadata"]["name"]]
    if not managers:
        unread.append(
            f"its version and settings: no Deployment with the label {_SELECTOR} is in this cluster"
        )
        return None
    return dict(managers[0])


def version_of(deployment: Json) -> Version | None:
    """Return the version of Kueue's manager: the tag of its image, else the label of its chart."""
    image = _container(deployment).get("image", "").partition("@")[0]
    tag = image.rpartition(":")[2] if ":" in image.rpartition("/")[2] else ""
    label = (deployment["metadata"].get("labels") or {}).get("app.kubernetes.io/version", "")
    for said in (tag, label):
        if found := _VERSION.match(said):
            return int(found[1]), int(found[2])
    return None


def _container(deployment: Json) -> Json:
    containers = deployment["spec"]["template"]["spec"]["containers"]
    return next((each for each in containers if each["name"] == "manager"), containers[0])


def _gates_of_command(deployment: Json) -> dict[str, bool]:
    container = _container(deployment)
    words = " ".join([*(container.get("command") or ()), *(container.get("args") or ())])
    found = re.search(r"--feature-gates[= ](\S+)", words)
    pairs = (each.partition("=") for each in found[1].split(",")) if found else ()
    return {name: value.lower() == "true" for name, _, value in pairs}


async def _settings(client: KubeClient, deployment: Json, unread: list[str]) -> Json | None:
    volumes = deployment["spec"]["template"]["spec"].get("volumes") or ()
    sources = [each["configMap"]["name"] for each in volumes if each.get("configMap")]
    namespace = deployment["metadata"]["namespace"]
    for name in sources:
        try:
            found = await client.find(path_of("v1", "configmaps", namespace=namespace, name=name))
        except KubeError as error:
            if error.status != HTTPStatus.FORBIDDEN:
                raise
            unread.append(f"its settings: this account may not read the ConfigMap {namespace}/{name}")
            return None
        if found and _CONFIG_FILE in (found.get("data") or {}):
            try:
                settings = yaml.safe_load(found["data"][_CONFIG_FILE])
            except yaml.YAMLError:
                settings = None
            if isinstance(settings, dict):
                return settings
            unread.append(f"its settings: {_CONFIG_FILE} in the ConfigMap {namespace}/{name} is no YAML")
            return None
    unread.append(f"its settings: no ConfigMap of its Deployment holds {_CONFIG_FILE}")
    return None


async def _webhooks(client: KubeClient, unread: list[str]) -> dict[str, Json] | None:
    version = "admissionregistration.k8s.io/v1"
    found: dict[str, Json] = {}
    try:
        for plural in ("mutatingwebhookconfigurations", "validatingwebhookconfigurations"):
            for each in (await client.get(path_of(version, plural)))["items"]:
                labels = each["metadata"].get("labels") or {}
                if labels.get("app.kubernetes.io/name") != "kueue":
                    continue
                for hook in each.get("webhooks") or ():
                    asked = {name for rule in hook.get("rules") or () for name in rule.get("resources") or ()}
                    if asked & {"pods", "jobs"} and hook.get("failurePolicy", "Fail") == "Fail":
                        found[hook["name"]] = hook.get("namespaceSelector") or {}
    except KubeError as error:
        if error.status != HTTPStatus.FORBIDDEN:
            raise
        unread.append("which namespaces it is asked about: this account may not list webhook configurations")
        return None
    return found


# What is to be said of it


def obstacles(
    facts: KueueFacts, platform: Platform, labels: Mapping[str, Mapping[str, str]]
) -> Iterator[str]:
    """Return what is required of Kueue and is not so.

    Parameters
    ----------
    labels
        Of each namespace of the platform, by its name, as they will be.
    """
    spaces = platform.kubernetes
    if facts.version is not None and facts.version < OLDEST:
        yield (
            f"Kueue {_dotted(facts.version)} is in this cluster, and {_dotted(OLDEST)} or newer is needed: before, a node that serves "
            "several accelerators is given to each of them. Upgrade it."
        )
    for gate, harm in REQUIRED_GATES.items():
        if facts.gates.get(gate) is False:
            yield f"Kueue's feature gate {gate} is switched off: {harm}. Leave it at its default, which is on."
    if facts.settings is None:
        return
    frameworks = _frameworks(facts.settings)
    if "batch/job" not in frameworks:
        yield "Kueue's integrations.frameworks do not have batch/job: no job would ever start. Add it to them."
    managed = _section(facts.settings, "managedJobsNamespaceSelector")
    batch, sessions = spaces.batch_namespace, spaces.sessions_namespace
    if managed and not selects(managed, labels[batch]):
        yield (
            f"Kueue's managedJobsNamespaceSelector leaves out {batch}: no job would ever start. The namespace has "
            f"{_pairs(labels[batch])}; select one of these."
        )
    everything = facts.settings.get("manageJobsWithoutQueueName")
    if everything and "pod" in frameworks and selects(managed or _USUAL, labels[sessions]):
        yield (
            f"Kueue's manageJobsWithoutQueueName and the framework pod hold up every pod of {sessions}: no session would start. "
            "Leave the namespace out of its managedJobsNamespaceSelector."
        )


_USUAL: Final[Json] = {
    "matchExpressions": [
        {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system", "kueue-system"]}
    ]
}
"""Kueue's own default."""


def notes(facts: KueueFacts, platform: Platform, labels: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """Return what is not as in deploy/kueue and does less well, and what could not be read."""
    if facts.unread:
        yield f"Of Kueue cannot be read {'; '.join(facts.unread)}. docs/kubernetes.md says what is required of it."
    yield from _asked(facts, platform, labels)
    if facts.settings is None:
        return
    for gate, harm in TUNING_GATES.items():
        if not facts.gates.get(gate, gate not in OFF_BY_DEFAULT):
            yield f"Kueue's feature gate {gate} is off: {harm}."
    yield from _patience(facts.settings)
    yield from _fairness(facts.settings, platform)


def _asked(facts: KueueFacts, platform: Platform, labels: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    batch, sessions = platform.kubernetes.batch_namespace, platform.kubernetes.sessions_namespace
    hooks = facts.webhooks or {}
    if "mjob.kb.io" in hooks and not selects(hooks["mjob.kb.io"], labels[batch]):
        yield (
            f"Kueue's webhook mjob.kb.io is not asked about {batch}: a Job that somebody makes there by hand may run beside the "
            "queues."
        )
    about = sorted(name for name, each in hooks.items() if "pod" in name and selects(each, labels[sessions]))
    if about:
        yield f"While Kueue is down no session can start: its webhooks {', '.join(about)} are asked about {sessions}, too."


def _fairness(settings: Json, platform: Platform) -> Iterator[str]:
    fair = _section(settings, "admissionFairSharing")
    if not fair:
        yield "Kueue has no admissionFairSharing: jobs go by age alone, whatever their project has used."
        return
    half, wanted = _time(fair.get("usageHalfLifeTime")), platform.limits.usage_half_life
    if half != wanted:
        said = "not set" if half is None else format_duration(half)
        yield (
            f"Kueue's admissionFairSharing.usageHalfLifeTime is {said}, and limits.usage_half_life in the file "
            f"{format_duration(wanted)}."
        )


def _patience(settings: Json) -> Iterator[str]:
    ready = _section(settings, "waitForPodsReady")
    if not ready or ready.get("enable") is False:
        yield "Kueue has no waitForPodsReady: a job that lost its device, or never got it, keeps its quota for ever."
        return
    recovery = _time(ready.get("recoveryTimeout") or ready.get("timeout") or "5m")
    if recovery is None or recovery > _LONGEST_RECOVERY:
        said = "unreadable" if recovery is None else format_duration(recovery)
        yield f"Kueue's waitForPodsReady.recoveryTimeout is {said}: a job that made room for a session is shown as running so long."
    again = _section(ready, "requeuingStrategy")
    if again.get("timestamp", "Eviction") != "Creation":
        yield "Kueue's requeuingStrategy.timestamp is Eviction: a job that made room for a session loses its place."
    seconds = again.get("backoffBaseSeconds", 60)
    if isinstance(seconds, int) and seconds > _LONGEST_BACKOFF:
        yield f"Kueue's requeuingStrategy.backoffBaseSeconds is {seconds}: so many seconds pass before a job that made room may start again."


def _frameworks(settings: Json) -> list[str]:
    found = _section(settings, "integrations").get("frameworks")
    return found if isinstance(found, list) and found else ["batch/job"]


def _section(settings: Json, name: str) -> Json:
    found = settings.get(name)
    return found if isinstance(found, dict) else {}


def _time(said: Any) -> timedelta | None:
    try:
        return parse_duration(str(said))
    except ValueError:
        return None


def selects(selector: Json, labels: Mapping[str, str]) -> bool:
    """Return whether a label selector of Kubernetes matches; an empty one matches everything."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for each in selector.get("matchExpressions") or ():
        there, value = each["key"] in labels, labels.get(each["key"])
        fits = {
            "In": value in (each.get("values") or ()),
            "NotIn": value not in (each.get("values") or ()),
            "Exists": there,
            "DoesNotExist": not there,
        }
        if not fits.get(each["operator"], False):
            return False
    return True


def _pairs(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in labels.items())


def _dotted(version: Version) -> str:
    return ".".join(map(str, version))
