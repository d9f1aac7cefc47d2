"""What happens to jobs in words, out of Kubernetes' and Kueue's reasons. One table for each; easy to extend."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from aiinfn_hub.contract.problem import Reason
from aiinfn_hub.contract.states import Cause
from aiinfn_hub.i18n.messages import Message
from aiinfn_hub.kube.reasons.pod_reasons import Explanation
from aiinfn_hub.platform.selection import Selection
from aiinfn_hub.vkd.backends.common.exit_outcome import gave_way, plural
from aiinfn_hub.vkd.domain.backend import NO_MESSAGE

from .facts import LIMIT_RANGE

DEADLINE: Final = "DeadlineExceeded"
"""Kubernetes' reason where a Job reached its activeDeadlineSeconds."""

RUNNING: Final = Message("history.running")
FINISHED: Final = Message("history.finished")
CANCELLED: Final = Message("history.cancelled")
CANCELLED_WAITING: Final = Message("history.cancelled.waiting")
DELETED: Final = Message("history.deleted")
LOST: Final = Message("failed.lost")


@dataclass(frozen=True, slots=True)
class Again:
    """Why a job waits again; None: it made room for a session."""

    cause: Cause
    known: Message | None

    def message(self, selection: Selection) -> Message:
        """Report it of a job, now."""
        return self.known or gave_way(selection, datetime.now(UTC))


PREEMPTED: Final = Again(Cause.PREEMPTED, None)
HELD: Final = Again(Cause.HELD, Message("again.withheld"))
SUSPENDED: Final = Again(Cause.INTERRUPTED, Message("again.suspended"))
VANISHED: Final = Again(Cause.LOST, Message("again.pod_gone"))

DISRUPTED: Final = {
    "PreemptionByScheduler": PREEMPTED,
    "EvictionByEvictionAPI": Again(Cause.INTERRUPTED, Message("again.node_emptied")),
    "DeletionByTaintManager": Again(Cause.LOST, Message("again.node_silent")),
    "DeletionByPodGC": Again(Cause.LOST, Message("again.node_gone")),
    "TerminationByKubelet": Again(Cause.INTERRUPTED, Message("again.node_shut_down")),
}
"""By the reason of a pod's condition DisruptionTarget (https://kubernetes.io/docs/concepts/workloads/pods/disruptions/)."""

EVICTED: Final = {
    "Preempted": Again(Cause.INTERRUPTED, Message("again.place_taken")),
    "PodsReadyTimeout": Again(Cause.START_FAILED, Message("again.not_ready")),
    "Deactivated": Again(Cause.INTERRUPTED, Message("again.operator")),
    "ClusterQueueStopped": Again(Cause.INTERRUPTED, Message("again.queue_stopped")),
    "LocalQueueStopped": Again(Cause.INTERRUPTED, Message("again.queue_stopped")),
    "NodeFailures": Again(Cause.LOST, Message("again.node_failed")),
}
"""By the reason of a Workload's condition Evicted."""

_ENDED_BY_NODE: Final = {
    "Evicted": (Cause.LOST, Message("failed.node_room")),
}
"""By the reason of a pod that the kubelet ended, and which is the job's own doing."""
_NODE_WENT: Final = {
    "NodeLost": Again(Cause.LOST, Message("again.node_gone")),
    "Shutdown": Again(Cause.INTERRUPTED, Message("again.node_shut_down")),
    "Terminated": Again(Cause.INTERRUPTED, Message("again.node_shut_down")),
}
"""By the reason of a pod whose node went while it ran."""
_LOST_BY_NODE: Final = frozenset({"ContainerStatusUnknown", "Unknown"})
"""What the kubelet and containerd say of a container that was gone when the node came back."""
_UNKNOWN_EXIT: Final = 255
"""The exit status that container runtimes give such a container; a program may end with it, too."""
MOST_RESTARTS: Final = 3
"""How often a job waits again because its node was restarted: it may be what brings nodes down."""


@dataclass(frozen=True, slots=True)
class Stuck:
    """Why a container does not start.

    Attributes
    ----------
    patience
        Seconds that it may stay so; 0: it will never start.
    code
        Of its message.
    """

    key: str
    reasons: frozenset[str]
    pattern: re.Pattern[str] | None
    patience: float
    code: str

    def message(self, selection: Selection) -> Message:
        """Report it of a job."""
        return Message(self.code, image=f"{selection.image.title} ({selection.image.kubernetes.reference})")


_PULL: Final = frozenset({"ErrImagePull", "ImagePullBackOff"})
_STUCK: Final = (
    Stuck(
        "image-name",
        frozenset({"InvalidImageName"}),
        None,
        0,
        "failed.image.name",
    ),
    Stuck(
        "image-absent",
        frozenset({"ErrImageNeverPull"}),
        None,
        0,
        "failed.image.absent",
    ),
    Stuck(
        "image-missing",
        _PULL,
        re.compile(
            r"not found|manifest unknown|does not exist|name unknown|invalid reference", re.IGNORECASE
        ),
        0,
        "failed.image.missing",
    ),
    Stuck(
        "image-denied",
        _PULL,
        re.compile(r"unauthorized|denied|forbidden|authentication required", re.IGNORECASE),
        0,
        "failed.image.denied",
    ),
    Stuck(
        "image-registry",
        _PULL,
        None,
        120,
        "failed.image.registry",
    ),
    Stuck(
        "container",
        frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}),
        None,
        15,
        "failed.image.container",
    ),
)

Told = tuple[Cause, Message]


def _no_memory(selection: Selection) -> Told:
    size = selection.size
    return Cause.ERROR, Message("failed.memory", memory=size.memory, size=size.title)


def _no_python(selection: Selection) -> Told:
    return Cause.START_FAILED, Message("failed.image.python", image=selection.image.title)


_FAILED: Final[dict[str, Callable[[Selection], Told]]] = {
    "OOMKilled": _no_memory,
    "StartError": _no_python,
    "ContainerCannotRun": _no_python,
}
"""By the reason with which a container ended."""


def devices(selection: Selection) -> str:
    """Write what a job holds."""
    return plural(selection.count, selection.accelerator.title) if selection.accelerator else ""


def starting(selection: Selection, node: str) -> Message:
    """Report that a job got what it asked for."""
    held = devices(selection)
    if node:
        return (
            Message("history.starting.on_with", place=node, devices=held)
            if held
            else Message("history.starting.on", place=node)
        )
    return Message("history.starting.with", devices=held) if held else Message("history.starting")


def stuck(reason: str, message: str) -> Stuck | None:
    """Find the rule for a container that waits; None if that is nothing to worry about."""
    for rule in _STUCK:
        if reason in rule.reasons and (rule.pattern is None or rule.pattern.search(message)):
            return rule
    return None


def disrupted(reason: str) -> Again:
    """Explain why the cluster ended a pod."""
    return DISRUPTED.get(reason, SUSPENDED)


def evicted(reason: str, *, ran: bool) -> Again:
    """Explain why Kueue took a job back; ``ran``: it was up, so it is not that it could not start."""
    if reason == "PodsReadyTimeout" and ran:
        return VANISHED
    return EVICTED.get(reason, SUSPENDED)


def ended_by_node(reason: str) -> Told | None:
    """Explain why a kubelet ended a pod for good; None if the job waits again."""
    return _ENDED_BY_NODE.get(reason)


def node_refused(node: str, reason: str) -> Again:
    """Explain that a node did not take a pod in, or went with it."""
    told = Message("again.node_refused", node=node, why=reason)
    return _NODE_WENT.get(reason) or Again(Cause.START_FAILED, told)


def is_refusal(reason: str) -> bool:
    """Return whether a node turned a pod away before it ran."""
    return reason not in _NODE_WENT and reason not in _ENDED_BY_NODE


def lost_by_node(ended_by: str, exit_code: int | None, *, rebooted: bool) -> bool:
    """Return whether a container ended because its node was restarted.

    Parameters
    ----------
    rebooted
        The node has another boot id than when the pod came to it.
    """
    return ended_by in _LOST_BY_NODE or (rebooted and exit_code == _UNKNOWN_EXIT)


def node_restarted(node: str) -> Again:
    """Explain that a node was restarted under a job."""
    return Again(Cause.LOST, Message("again.node_restarted", node=node))


def pod_refused(explanation: Explanation) -> Message:
    """Report that the API server will never take a job's pod."""
    code = "failed.pod_too_large" if explanation.hopeless is Reason.TOO_LARGE else "failed.pod_refused"
    return Message(code, told=explanation.told)


def killed(selection: Selection) -> Message:
    """Report that something killed a job, of which Kubernetes does not say what it was."""
    return Message("failed.killed", memory=selection.size.memory, size=selection.size.title)


def failed(reason: str, selection: Selection) -> Told:
    """Explain why a container failed, where that is not the job's own story."""
    rule = _FAILED.get(reason)
    return rule(selection) if rule else (Cause.ERROR, NO_MESSAGE)


def time_limit(selection: Selection) -> Message:
    """Report that a job reached its time limit."""
    return Message("history.time_limit", limit=selection.time_limit)


_STOPPED: Final = Message("reason.queue_stopped")
_NOT_SET_UP: Final = Message("reason.queue_missing")
_WAITING: Final = {
    "OnHold": _STOPPED,
    "Stopped": _STOPPED,
    "Inadmissible": _NOT_SET_UP,
    "Misconfigured": _NOT_SET_UP,
    "ExceedsMaxQuota": Message("reason.quota"),
    LIMIT_RANGE: Message("reason.limit_range"),
}
"""By the reason of a Workload without quota. What is not here follows from the inventory: of several flavors, Kueue's
own text may speak of the wrong one."""


def waiting(reason: str | None, selection: Selection, largest: int, *, admitted: bool) -> Message | None:
    """Explain why a job waits, as the end of a sentence.

    Parameters
    ----------
    reason
        Kueue's, if it has one.
    largest
        The most of its accelerator that one node has.
    admitted
        Kueue let it go: it waits for its node.
    """
    if admitted:
        return Message("reason.admitted")
    if reason in _WAITING:
        return _WAITING[reason]
    if selection.accelerator is not None and largest < selection.count:
        title = selection.accelerator.title
        if largest == 0:
            return Message("reason.no_node", accelerator=title)
        return Message("reason.no_node_enough", devices=devices(selection), largest=largest)
    if reason is None:
        return None
    if selection.accelerator is None:
        return Message("reason.nodes_busy")
    return Message("reason.in_use", accelerator=selection.accelerator.title)
