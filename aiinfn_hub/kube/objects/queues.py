"""Namespaces, priorities and queues of the platform file as objects for Kubernetes and Kueue.

How Kueue is made to serve opportunistic batch (each point was measured, see tests/cluster):

- Every flavor names a topology that goes down to the node. Only then does Kueue subtract what it does not manage, the
  sessions, from what a node has; otherwise it admits jobs onto nothing.
- The quota lies in one cohort, and every queue borrows all it uses. Where the file states no quota, the number is larger
  than any cluster: the nodes themselves are the limit, so that they may come and go without an edit.
- All flavors are in one resource group, because a pod with a topology must get everything from one flavor. So
  ``batch_cores`` and ``batch_memory`` bound each flavor.
- Batch never evicts batch. Within a queue, the project with the least decayed use goes first; between queues, the
  priority of the queue decides, then age.

Everything here is pure: the same file gives the same objects, in the order in which they must be created.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from aiinfn_hub.contract.units import format_quantity
from aiinfn_hub.kube import names
from aiinfn_hub.platform.model.accelerators import Accelerator
from aiinfn_hub.platform.model.fields import CPU_ONLY
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.model.projects import Queue

Json = dict[str, Any]

KUEUE: Final = "kueue.x-k8s.io/v1beta2"
UNLIMITED: Final = 1_000_000
"""Devices of one kind where the file states no quota."""
NODE_LABELS: Final = {"kubernetes.io/os": "linux"}
"""On every flavor: Kueue wants one label at least, and a virtual node has another value."""

MOST_FLAVORS: Final = 64
MOST_OF_EACH: Final = 8
"""Node labels and tolerations of one flavor."""


class UnusableNameError(Exception):
    """The platform file is in order, but Kubernetes or Kueue cannot express it; the message says why."""


def objects(platform: Platform) -> list[Json]:
    """Make the namespaces, priority classes and Kueue objects of a platform, in the order of their creation.

    Raises
    ------
    UnusableNameError
        If Kueue's limits are exceeded, or sessions and jobs share a namespace.
    """
    _check(platform)
    instance = names.Instance.of(platform)
    found = [
        *_namespaces(platform),
        *_priority_classes(platform),
        _object(KUEUE, "Topology", instance.topology, {"levels": [{"nodeLabel": names.HOSTNAME_LABEL}]}),
        *_flavors(platform),
        *_workload_priorities(platform),
        _object(
            KUEUE,
            "Cohort",
            instance.cohort,
            {"resourceGroups": [_resource_group(platform, _flavor_names(platform))]},
        ),
        *(_cluster_queue(platform, name, queue) for name, queue in platform.queues.items()),
        *_local_queues(platform),
    ]
    managed = names.Labels(platform.label_prefix).managed
    for each in found:
        each["metadata"].setdefault("labels", {})[managed] = instance.name
    return found


def queue_projects(platform: Platform, queue: Queue) -> list[str]:
    """Return the projects whose jobs may wait in a queue, in the order of the file."""
    return [name for name in platform.projects if queue.projects is None or name in queue.projects]


def queue_accelerators(platform: Platform, queue: Queue) -> list[str]:
    """Return what a queue serves, CPU only first: Kueue tries the flavors in this order."""
    return [
        name for name in _flavor_names(platform) if queue.accelerators is None or name in queue.accelerators
    ]


def _check(platform: Platform) -> None:
    settings = platform.kubernetes
    spaces = (settings.sessions_namespace, settings.batch_namespace, settings.system_namespace)
    if len(set(spaces)) < len(spaces):
        raise UnusableNameError(
            "kubernetes: sessions_namespace, batch_namespace and system_namespace must be three different "
            "namespaces, because each has rules of its own."
        )
    if dotted := next((name for name in spaces if "." in name), None):
        raise UnusableNameError(f"kubernetes: a namespace has no dot in its name, and {dotted} has one.")
    if len(_flavor_names(platform)) > MOST_FLAVORS:
        raise UnusableNameError(f"accelerators: Kueue takes {MOST_FLAVORS - 1} at most.")
    for name, device in platform.accelerators.items():
        if len(_node_labels(device)) > MOST_OF_EACH:
            raise UnusableNameError(
                f"accelerators.{name}.kubernetes.node_labels: Kueue takes {MOST_OF_EACH - len(NODE_LABELS)} at most."
            )
        if len(device.kubernetes.tolerations) > MOST_OF_EACH:
            raise UnusableNameError(
                f"accelerators.{name}.kubernetes.tolerations: Kueue takes {MOST_OF_EACH} at most."
            )


def _namespaces(platform: Platform) -> Iterator[Json]:
    restricted = {"pod-security.kubernetes.io/enforce": "restricted"}
    settings = platform.kubernetes
    yield _object("v1", "Namespace", settings.system_namespace)
    yield _object("v1", "Namespace", settings.sessions_namespace, labels=restricted)
    managed = {names.MANAGED_NAMESPACE_LABEL: "true"}
    yield _object("v1", "Namespace", settings.batch_namespace, labels=restricted | managed)


def _priority_classes(platform: Platform) -> Iterator[Json]:
    """Make the classes by which kube-scheduler decides who is evicted for whom."""
    settings, instance = platform.kubernetes, names.Instance.of(platform)
    common: Json = {"globalDefault": False}
    yield (
        _object("scheduling.k8s.io/v1", "PriorityClass", instance.session_priority_class)
        | common
        | {
            "value": settings.session_priority,
            "preemptionPolicy": "PreemptLowerPriority",
            "description": "Interactive sessions: they evict batch where no other place is left.",
        }
    )
    yield (
        _object("scheduling.k8s.io/v1", "PriorityClass", instance.batch_priority_class)
        | common
        | {
            "value": settings.batch_priority,
            "preemptionPolicy": "Never",
            "description": "Opportunistic jobs: they evict nothing and yield to everything.",
        }
    )


def _workload_priorities(platform: Platform) -> Iterator[Json]:
    """Make the classes by which Kueue orders the jobs of different queues; kube-scheduler knows nothing of them."""
    instance = names.Instance.of(platform)
    for name, queue in platform.queues.items():
        yield _object(KUEUE, "WorkloadPriorityClass", instance.queue_priority_class(name)) | {
            "value": queue.priority,
            "description": f"Jobs in the queue {name}.",
        }


def _flavor_names(platform: Platform) -> list[str]:
    return [CPU_ONLY, *platform.accelerators]


def _node_labels(device: Accelerator | None) -> dict[str, str]:
    return NODE_LABELS | (device.kubernetes.node_labels if device else {})


def _flavors(platform: Platform) -> Iterator[Json]:
    instance = names.Instance.of(platform)
    for name in _flavor_names(platform):
        device = platform.accelerators.get(name)
        spec: Json = {"topologyName": instance.topology, "nodeLabels": _node_labels(device)}
        if device and device.kubernetes.tolerations:
            spec["tolerations"] = [dict(each) for each in device.kubernetes.tolerations]
        yield _object(KUEUE, "ResourceFlavor", instance.flavor(name), spec)


def _resource_group(platform: Platform, flavors: list[str], *, quota: bool = True) -> Json:
    """Make the quota of some flavors: what the file says, or 0 of everything.

    Each flavor must list every resource of the group, in the same order.
    """
    devices = {name: platform.accelerators[name] for name in flavors if name != CPU_ONLY}
    resources = ["cpu", "memory", *dict.fromkeys(device.kubernetes.resource for device in devices.values())]
    settings = platform.kubernetes
    instance = names.Instance.of(platform)
    amounts = {"cpu": _cores(settings.batch_cores), "memory": format_quantity(settings.batch_memory)}

    def amount(flavor: str, resource: str) -> str:
        if not quota:
            return "0"
        device = devices.get(flavor)
        if device is not None and resource == device.kubernetes.resource:
            return str(UNLIMITED if device.kubernetes.quota is None else device.kubernetes.quota)
        return amounts.get(resource, "0")

    return {
        "coveredResources": resources,
        "flavors": [
            {
                "name": instance.flavor(flavor),
                "resources": [
                    {"name": resource, "nominalQuota": amount(flavor, resource)} for resource in resources
                ],
            }
            for flavor in flavors
        ],
    }


def _cluster_queue(platform: Platform, name: str, queue: Queue) -> Json:
    flavors, instance = queue_accelerators(platform, queue), names.Instance.of(platform)
    spec: Json = {
        "cohortName": instance.cohort,
        "namespaceSelector": {
            "matchLabels": {"kubernetes.io/metadata.name": platform.kubernetes.batch_namespace}
        },
        # A job for an accelerator that is taken holds up no job behind it that wants another one.
        "queueingStrategy": "BestEffortFIFO",
        # All flavors are looked at in one cycle, and the first that fits is taken. With MayStopSearch, Kueue goes on with the
        # next flavor in the next cycle when the nodes of the first are taken, and then says ExceedsMaxQuota of that one.
        "flavorFungibility": {"whenCanBorrow": "TryNextFlavor", "whenCanPreempt": "TryNextFlavor"},
        "preemption": {
            "withinClusterQueue": "Never",
            "reclaimWithinCohort": "Never",
            "borrowWithinCohort": {"policy": "Never"},
        },
        "admissionScope": {"admissionMode": "UsageBasedAdmissionFairSharing"},
    }
    if flavors:
        spec["resourceGroups"] = [_resource_group(platform, flavors, quota=False)]
    return _object(KUEUE, "ClusterQueue", instance.cluster_queue(name), spec)


def _local_queues(platform: Platform) -> Iterator[Json]:
    """Make the queues that jobs name: one for each project in each queue, so that use is counted by project."""
    labels, instance = names.Labels(platform.label_prefix), names.Instance.of(platform)
    for name, queue in platform.queues.items():
        for project in queue_projects(platform, queue):
            yield _object(
                KUEUE,
                "LocalQueue",
                names.local_queue(name, project),
                {"clusterQueue": instance.cluster_queue(name)},
                namespace=platform.kubernetes.batch_namespace,
                labels={labels.project: names.slug(project)},
                annotations={labels.project: project},
            )


def _cores(number: float) -> str:
    return str(int(number)) if number == int(number) else f"{round(number * 1000)}m"


def _object(
    version: str, kind: str, name: str, spec: Json | None = None, *, namespace: str = "", **metadata: Json
) -> Json:
    found: Json = {"apiVersion": version, "kind": kind, "metadata": {"name": name}}
    if namespace:
        found["metadata"]["namespace"] = namespace
    found["metadata"] |= {key: dict(value) for key, value in metadata.items()}
    if spec is not None:
        found["spec"] = spec
    return found
