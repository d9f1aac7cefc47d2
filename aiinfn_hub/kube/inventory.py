"""What there is of each accelerator, and who has it: kept up to date by changes of nodes and pods.

A change costs the same however many nodes and pods there are, and a reading is a look at ready sums. Everything here is
pure; `aiinfn_hub.kube.watch` brings the changes.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from aiinfn_hub.platform.model.accelerators import Accelerator
from aiinfn_hub.platform.model.platform import Platform

from . import names

Json = Mapping[str, Any]

_SHOWN: Final = 5
"""Nodes or values that a notice names."""


@dataclass(frozen=True, slots=True)
class NodeDevices:
    """The devices of one accelerator on a node.

    Attributes
    ----------
    capacity, healthy
        What the node has, and how many of them its device plugin calls healthy.
    """

    accelerator: str
    resource: str
    capacity: int
    healthy: int
    usable: bool


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What is kept of a node.

    Attributes
    ----------
    devices
        By accelerator; empty if it has a resource of the platform, but the labels of no accelerator.
    resources
        The resources of the platform that it has.
    labels
        Its values of the labels that accelerators require.
    shared
        The resources of which it hands one device out several times.
    """

    name: str
    devices: tuple[NodeDevices, ...]
    resources: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    shared: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NodeWarning:
    """Something about the cluster that an operator should know.

    Attributes
    ----------
    code
        ``no_resource``: no node has the resource of the accelerator; ``no_labels``: some have it, but none has the labels;
        ``shared``: a node hands one device out several times; ``credentials_refused``: the API server refuses the credentials
        of vkd; ``rights_missing``: vkd may not read what it has to follow; ``refuses``: a kubelet turns pods away;
        ``pod_refused``: the API server does.
    accelerator
        Empty if it is about none.
    nodes
        The first of them by name.
    number
        How many nodes, pods or jobs it is about.
    label, found
        Of ``no_labels``: a required label that does not fit, and the values that nodes with the resource have of it.
        ``found`` of ``rights_missing``: the kinds of objects; of ``refuses``: the kubelet's reasons; of ``pod_refused``: a
        message as JSON.
    """

    code: str
    accelerator: str
    nodes: tuple[str, ...] = ()
    number: int = 0
    label: str = ""
    found: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DevicePodFacts:
    """What is kept of a pod that holds devices or waits for some.

    Attributes
    ----------
    node
        Empty until it is bound.
    devices
        Amounts by resource name.
    job
        Id of the batch job; empty for everything else.
    session
        Slug of the session's id; empty for everything else.
    foreign
        Whether it is neither a session nor a job of this platform.
    accelerator
        Its name in the platform file, as the label says; empty for what is not ours.
    until
        When the session ends at the latest.
    """

    uid: str
    node: str
    devices: tuple[tuple[str, int], ...]
    job: str = ""
    session: str = ""
    foreign: bool = False
    accelerator: str = ""
    until: datetime | None = None
    priority: int = 0
    started: str = ""
    ending: bool = False


@dataclass(slots=True)
class NodeCounts:
    """Devices of one accelerator; ``total = free + sessions + batch + others + offline``.

    Attributes
    ----------
    others
        Held by pods that are no sessions and no jobs of this platform.
    """

    total: int = 0
    free: int = 0
    sessions: int = 0
    batch: int = 0
    others: int = 0
    offline: int = 0

    def add(self, other: NodeCounts, sign: int = 1) -> None:
        """Add another count, or take it away."""
        self.total += sign * other.total
        self.free += sign * other.free
        self.sessions += sign * other.sessions
        self.batch += sign * other.batch
        self.others += sign * other.others
        self.offline += sign * other.offline


@dataclass(frozen=True, slots=True)
class DevicePlace:
    """A usable node for an accelerator: what is free there, and who holds the rest."""

    node: str
    healthy: int
    free: int
    pods: tuple[DevicePodFacts, ...]


class InventoryReader:
    """Takes from nodes and pods what the inventory needs: the ``keep`` functions of its watches."""

    def __init__(self, platform: Platform) -> None:
        self._accelerators = platform.accelerators
        self._resources = {device.kubernetes.resource for device in platform.accelerators.values()}
        self._required = sorted(
            {key for device in platform.accelerators.values() for key in device.kubernetes.node_labels}
        )
        self._by_slug = {names.slug(name): name for name in platform.accelerators}
        self._labels = names.Labels(platform.label_prefix)
        self._batch = platform.kubernetes.batch_namespace
        self._sessions = platform.kubernetes.sessions_namespace
        self._instance = names.Instance.of(platform).name

    def node(self, item: Json) -> NodeFacts | None:
        """Read a node; None if it has no resource of the platform, or stands for a remote site."""
        metadata, spec, status = item["metadata"], item.get("spec") or {}, item.get("status") or {}
        labels = metadata.get("labels") or {}
        if any(labels.get(key) == value for key, value in names.VIRTUAL_NODE_LABELS.items()):
            return None
        capacity, healthy = status.get("capacity") or {}, status.get("allocatable") or {}
        ready = any(
            condition.get("type") == "Ready" and condition.get("status") == "True"
            for condition in status.get("conditions") or ()
        )
        serves = ready and not spec.get("unschedulable") and not metadata.get("deletionTimestamp")
        devices = []
        for name, accelerator in self._accelerators.items():
            there = _number(capacity.get(accelerator.kubernetes.resource))
            if there and all(
                labels.get(key) == value for key, value in accelerator.kubernetes.node_labels.items()
            ):
                devices.append(
                    NodeDevices(
                        name,
                        accelerator.kubernetes.resource,
                        there,
                        min(there, _number(healthy.get(accelerator.kubernetes.resource))),
                        serves and _tolerated(spec.get("taints") or (), accelerator),
                    )
                )
        has = tuple(sorted(each for each in self._resources if _number(capacity.get(each))))
        if not has:
            return None
        return NodeFacts(
            metadata["name"],
            tuple(devices),
            has,
            tuple((key, labels[key]) for key in self._required if key in labels),
            tuple(each for each in has if _is_shared(labels, each)),
        )

    def pod(self, item: Json) -> DevicePodFacts | None:
        """Read a pod that has not finished; None if it has nothing to do with accelerators."""
        metadata, spec, status = item["metadata"], item.get("spec") or {}, item.get("status") or {}
        if status.get("phase") in {"Succeeded", "Failed"}:
            return None
        devices = self._devices(spec)
        if not devices:
            return None
        labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
        kind = labels.get(self._labels.kind)
        # Labels can be set by anybody who may make a pod, a namespace cannot: nothing else passes for ours.
        job = kind == "job" and metadata.get("namespace") == self._batch
        session = (
            kind == "session"
            and metadata.get("namespace") == self._sessions
            and labels.get(self._labels.managed) == self._instance
        )
        return DevicePodFacts(
            uid=metadata["uid"],
            node=spec.get("nodeName") or "",
            devices=devices,
            job=labels.get(self._labels.job, "") if job else "",
            session=labels.get(self._labels.session, "") if session else "",
            foreign=not job and not session,
            accelerator=self._by_slug.get(labels.get(self._labels.accelerator, ""), "") if session else "",
            until=_moment(annotations.get(self._labels.until)) if session else None,
            priority=int(spec.get("priority") or 0),
            started=status.get("startTime") or metadata.get("creationTimestamp") or "",
            ending=bool(metadata.get("deletionTimestamp")),
        )

    def _devices(self, spec: Json) -> tuple[tuple[str, int], ...]:
        """Sum the devices of a pod as kube-scheduler does: containers together, or one init container if it wants more."""
        together: Counter[str] = Counter()
        most: Counter[str] = Counter()
        for container in spec.get("containers") or ():
            together.update(self._wanted(container))
        for container in spec.get("initContainers") or ():
            if container.get("restartPolicy") == "Always":
                together.update(self._wanted(container))
            else:
                most |= Counter(self._wanted(container))
        return tuple(sorted((together | most).items()))

    def _wanted(self, container: Json) -> dict[str, int]:
        resources = container.get("resources") or {}
        wanted = {**(resources.get("requests") or {}), **(resources.get("limits") or {})}
        return {
            name: number for name in wanted if name in self._resources and (number := _number(wanted[name]))
        }


@dataclass(slots=True)
class _Node:
    facts: NodeFacts | None = None
    pods: dict[str, DevicePodFacts] = field(default_factory=dict)
    sums: dict[str, NodeCounts] = field(default_factory=dict)


class ClusterInventory:
    """Sums per accelerator."""

    def __init__(self, platform: Platform) -> None:
        self._sums = {name: NodeCounts() for name in platform.accelerators}
        self._nodes: dict[str, _Node] = {}
        self._with: dict[str, dict[str, None]] = {name: {} for name in platform.accelerators}
        self._sizes: dict[str, Counter[int]] = {name: Counter() for name in platform.accelerators}
        self._waiting: Counter[str] = Counter()
        self._ends: dict[str, list[tuple[datetime, str]]] = {name: [] for name in platform.accelerators}
        self._until: dict[str, datetime] = {}
        self._bound: Counter[str] = Counter()
        self._pending: Counter[str] = Counter()
        self._accelerators = platform.accelerators
        self._notices: tuple[NodeWarning, ...] | None = None

    # Changes, as a watch tells them

    def see_node(self, before: NodeFacts | None, after: NodeFacts | None) -> None:
        """Take in a change of a node."""
        facts = after or before
        if facts is None:
            return
        node = self._nodes.setdefault(facts.name, _Node())
        if after is None and node.facts != before:
            return  # its name belongs to another node by now
        for devices in node.facts.devices if node.facts else ():
            self._with[devices.accelerator].pop(facts.name, None)
            self._sizes[devices.accelerator].subtract([devices.healthy] if devices.usable else [])
        node.facts = after
        self._notices = None
        for devices in after.devices if after else ():
            self._with[devices.accelerator][facts.name] = None
            self._sizes[devices.accelerator].update([devices.healthy] if devices.usable else [])
        self._count(facts.name, node)

    def see_pod(self, before: DevicePodFacts | None, after: DevicePodFacts | None) -> None:
        """Take in a change of a pod."""
        touched = set()
        if before is not None:
            self._note(before, -1)
            if before.node in self._nodes:
                self._nodes[before.node].pods.pop(before.uid, None)
                touched.add(before.node)
        if after is not None:
            self._note(after, 1)
            if after.node:
                self._nodes.setdefault(after.node, _Node()).pods[after.uid] = after
                touched.add(after.node)
        for name in touched:
            self._count(name, self._nodes[name])

    def _note(self, pod: DevicePodFacts, sign: int) -> None:
        if pod.session and (pod.node or not pod.ending):
            sessions = self._bound if pod.node else self._pending
            sessions[pod.session] += sign
            if sessions[pod.session] <= 0:
                del sessions[pod.session]
        if not pod.accelerator:
            return
        if not pod.node:
            if not pod.ending:
                self._waiting[pod.accelerator] += sign
        elif pod.until is None or sign < 0:
            self._until.pop(pod.uid, None)
        else:
            self._until[pod.uid] = pod.until
            heapq.heappush(self._ends[pod.accelerator], (pod.until, pod.uid))

    def _count(self, name: str, node: _Node) -> None:
        for accelerator, counts in node.sums.items():
            self._sums[accelerator].add(counts, -1)
        node.sums = {
            devices.accelerator: _counts(devices, node.pods.values())
            for devices in (node.facts.devices if node.facts else ())
        }
        for accelerator, counts in node.sums.items():
            self._sums[accelerator].add(counts)
        if node.facts is None and not node.pods:
            del self._nodes[name]

    # Readings

    def counts(self, accelerator: str) -> NodeCounts:
        """Return the sums of an accelerator; they are this object's own."""
        return self._sums[accelerator]

    def waiting_sessions(self, accelerator: str) -> int:
        """Count the sessions whose pods wait for a node with it."""
        return self._waiting[accelerator]

    def next_session_end(self, accelerator: str) -> datetime | None:
        """Return the latest moment at which the first of its sessions ends."""
        ends = self._ends.get(accelerator, [])
        while ends and self._until.get(ends[0][1]) != ends[0][0]:
            heapq.heappop(ends)
        return ends[0][0] if ends else None

    def notices(self) -> tuple[NodeWarning, ...]:
        """Return what an operator should know about the nodes; it is made again only after a node changed."""
        if self._notices is None:
            nodes = [node.facts for node in self._nodes.values() if node.facts]
            self._notices = tuple(
                notice
                for name, device in self._accelerators.items()
                if (notice := _notice(name, device, sorted(nodes, key=lambda each: each.name)))
            )
        return self._notices

    def is_bound(self, session: str) -> bool:
        """Return whether the pod of a session, named by its slug, has its node."""
        return session in self._bound

    def is_pending(self, session: str) -> bool:
        """Return whether the pod of a session, named by its slug, is there and waits for a node."""
        return session in self._pending

    def places(self, accelerator: str) -> Iterator[DevicePlace]:
        """List the nodes that can run something with it."""
        for name in self._with.get(accelerator, ()):
            node = self._nodes[name]
            for devices in node.facts.devices if node.facts else ():
                if devices.accelerator == accelerator and devices.usable:
                    holders = tuple(pod for pod in node.pods.values() if held(pod, devices.resource))
                    yield DevicePlace(name, devices.healthy, node.sums[accelerator].free, holders)

    def largest(self, accelerator: str) -> int:
        """Return the most devices that one pod can have."""
        return max((size for size, nodes in self._sizes.get(accelerator, {}).items() if nodes > 0), default=0)


def _notice(name: str, device: Accelerator, nodes: list[NodeFacts]) -> NodeWarning | None:
    having = [node for node in nodes if device.kubernetes.resource in node.resources]
    if not having:
        return NodeWarning("no_resource", name)
    fitting = [node for node in having if any(each.accelerator == name for each in node.devices)]
    if not fitting:
        for key, value in device.kubernetes.node_labels.items():
            found = sorted({dict(node.labels).get(key, "") for node in having} - {""})
            if value not in found:
                return NodeWarning("no_labels", name, _first(having), len(having), key, tuple(found[:_SHOWN]))
        return NodeWarning("no_labels", name, _first(having), len(having))
    shared = [node for node in fitting if device.kubernetes.resource in node.shared]
    return NodeWarning("shared", name, _first(shared), len(shared)) if shared else None


def _first(nodes: list[NodeFacts]) -> tuple[str, ...]:
    return tuple(node.name for node in nodes[:_SHOWN])


def _is_shared(labels: Mapping[str, str], resource: str) -> bool:
    """Return whether a device plugin of NVIDIA hands one device out several times (time-slicing, MPS), by its labels."""
    base = resource.removesuffix(".shared")
    return (
        _number(labels.get(f"{base}.replicas")) > 1
        or labels.get(f"{base}.sharing-strategy", "none") not in {"", "none"}
        or resource != base
    )


def held(pod: DevicePodFacts, resource: str) -> int:
    """Return how many devices of a resource a pod holds."""
    return next((number for name, number in pod.devices if name == resource), 0)


def _counts(devices: NodeDevices, pods: Any) -> NodeCounts:
    batch = sum(held(pod, devices.resource) for pod in pods if pod.job)
    others = sum(held(pod, devices.resource) for pod in pods if pod.foreign)
    used = sum(held(pod, devices.resource) for pod in pods)
    # More may be in use than there is, for example after a MIG device was configured again under its pods.
    total = max(devices.capacity, used)
    free = max(0, devices.healthy - used) if devices.usable else 0
    return NodeCounts(total, free, used - batch - others, batch, others, total - used - free)


def _tolerated(taints: Any, accelerator: Accelerator) -> bool:
    return all(
        taint.get("effect") == "PreferNoSchedule"
        or any(_matches(toleration, taint) for toleration in accelerator.kubernetes.tolerations)
        for taint in taints
    )


def _matches(toleration: Mapping[str, Any], taint: Json) -> bool:
    """Return whether a toleration covers a taint (https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/)."""
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    key = toleration.get("key")
    if key and key != taint.get("key"):
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return True
    return bool(key) and (toleration.get("value") or "") == (taint.get("value") or "")


def _number(value: Any) -> int:
    """Read an amount of devices: they are whole, and whatever else stands there is none."""
    text = str(value or 0)
    thousands = {"k": 1000, "M": 1_000_000}.get(text[-1:])
    if thousands and text[:-1].isdigit():
        return int(text[:-1]) * thousands
    return int(text) if text.isdigit() else 0


def _moment(text: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo else None
