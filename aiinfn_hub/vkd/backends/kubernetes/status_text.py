"""What happens to jobs in words, out of Kubernetes' and Kueue's reasons. One table for each; easy to extend."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from aiinfn_hub.contract.states import Cause
from aiinfn_hub.contract.units import format_duration, format_quantity
from aiinfn_hub.i18n.messages import Message
from aiinfn_hub.platform.selection import Selection
from aiinfn_hub.vkd.backends.common.exit_outcome import clock_time, plural

DEADLINE: Final = "DeadlineExceeded"
"""Kubernetes' reason where a Job reached its activeDeadlineSeconds."""

RUNNING: Final = "Running."
FINISHED: Final = "Finished."
CANCELLED: Final = "Cancelled."
CANCELLED_WAITING: Final = "Cancelled while it waited."
DELETED: Final = "Its Job was deleted in the cluster by an operator."
LOST: Final = "Its process disappeared without a word, perhaps with its node. Run it again."


@dataclass(frozen=True, slots=True)
class Again:
    """Why a job waits again. ``{devices}`` stands for what it had, ``{time}`` for now."""

    cause: Cause
    text: str

    def sentence(self, selection: Selection) -> str:
        """Write it out."""
        return self.text.format(devices=devices(selection), time=clock_time(datetime.now(UTC)))


PREEMPTED: Final = Again(Cause.PREEMPTED, "Gave its {devices} to a session at {time}; waiting again.")
HELD: Final = Again(Cause.HELD, "Stopped, because its owner lost the access; it waits.")
SUSPENDED: Final = Again(Cause.INTERRUPTED, "The platform stopped it; waiting again.")
VANISHED: Final = Again(Cause.LOST, "Its pod disappeared; waiting again.")

DISRUPTED: Final = {
    "PreemptionByScheduler": PREEMPTED,
    "EvictionByEvictionAPI": Again(Cause.INTERRUPTED, "Its node is being emptied; waiting again."),
    "DeletionByTaintManager": Again(Cause.LOST, "Its node does not answer any more; waiting again."),
    "DeletionByPodGC": Again(Cause.LOST, "Its node is gone; waiting again."),
    "TerminationByKubelet": Again(
        Cause.INTERRUPTED, "Its node was shut down or ran out of room; waiting again."
    ),
}
"""By the reason of a pod's condition DisruptionTarget (https://kubernetes.io/docs/concepts/workloads/pods/disruptions/)."""

EVICTED: Final = {
    "Preempted": Again(Cause.INTERRUPTED, "Its place went to another job; waiting again."),
    "PodsReadyTimeout": Again(Cause.START_FAILED, "It was not ready in time; waiting again."),
    "Deactivated": Again(Cause.INTERRUPTED, "An operator stopped it; waiting again."),
    "ClusterQueueStopped": Again(Cause.INTERRUPTED, "An operator stopped its queue; waiting again."),
    "LocalQueueStopped": Again(Cause.INTERRUPTED, "An operator stopped its queue; waiting again."),
    "NodeFailures": Again(Cause.LOST, "Its node failed; waiting again."),
}
"""By the reason of a Workload's condition Evicted."""

_REFUSED: Final = {
    "Evicted": (Cause.LOST, "Failed: its node ran out of memory or disk and ended it. Run it again."),
    "NodeLost": (Cause.LOST, LOST),
    "Shutdown": (Cause.LOST, "Failed: its node was shut down under it. Run it again."),
    "Terminated": (Cause.LOST, "Failed: its node was shut down under it. Run it again."),
}
"""By the reason of a pod that the kubelet ended, or never ran."""


@dataclass(frozen=True, slots=True)
class Stuck:
    """Why a container does not start.

    Attributes
    ----------
    patience
        Seconds that it may stay so; 0: it will never start.
    text
        ``{image}`` stands for the image's title and reference.
    """

    key: str
    reasons: frozenset[str]
    pattern: re.Pattern[str] | None
    patience: float
    text: str

    def sentence(self, selection: Selection) -> str:
        """Write it out."""
        image = f"{selection.image.title} ({selection.image.kubernetes.reference})"
        return self.text.format(image=image)


_PULL: Final = frozenset({"ErrImagePull", "ImagePullBackOff"})
_STUCK: Final = (
    Stuck(
        "image-name",
        frozenset({"InvalidImageName"}),
        None,
        0,
        "The image {image} has no valid name. Choose another image, and tell the operators.",
    ),
    Stuck(
        "image-absent",
        frozenset({"ErrImageNeverPull"}),
        None,
        0,
        "The image {image} is not on the node, which may not fetch it. Choose another image, and tell the operators.",
    ),
    Stuck(
        "image-missing",
        _PULL,
        re.compile(
            r"not found|manifest unknown|does not exist|name unknown|invalid reference", re.IGNORECASE
        ),
        0,
        "The image {image} does not exist. Choose another image, and tell the operators.",
    ),
    Stuck(
        "image-denied",
        _PULL,
        re.compile(r"unauthorized|denied|forbidden|authentication required", re.IGNORECASE),
        0,
        "The registry does not give the image {image} to the platform. Choose another image, and tell the operators.",
    ),
    Stuck(
        "image-registry",
        _PULL,
        None,
        120,
        "The image {image} could not be fetched for two minutes. Run it again later.",
    ),
    Stuck(
        "container",
        frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}),
        None,
        15,
        "Its container could not be made from the image {image}. Tell the operators.",
    ),
)

Words = tuple[Cause, str]


def _no_memory(selection: Selection) -> Words:
    size = f"{format_quantity(selection.size.memory)} of memory of its size {selection.size.title}"
    return Cause.ERROR, f"Failed: it needed more than the {size}. Choose a larger size."


def _no_python(selection: Selection) -> Words:
    text = f"The image {selection.image.title} has no Python that starts the job. Choose another image."
    return Cause.START_FAILED, text


_FAILED: Final[dict[str, Callable[[Selection], Words]]] = {
    "OOMKilled": _no_memory,
    "StartError": _no_python,
    "ContainerCannotRun": _no_python,
    "ContainerStatusUnknown": lambda _: (Cause.LOST, LOST),
}
"""By the reason with which a container ended."""


def devices(selection: Selection) -> str:
    """Write what a job holds."""
    return plural(selection.count, selection.accelerator.title) if selection.accelerator else "place"


def starting(selection: Selection, node: str) -> str:
    """Return the sentence for a job that got what it asked for."""
    what = f" with {devices(selection)}" if selection.accelerator else ""
    return f"Starting{f' on {node}' if node else ''}{what}."


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


def refused(reason: str) -> Words:
    """Explain why a kubelet ended a pod, or never ran it."""
    default = (Cause.START_FAILED, "Failed: its node refused it at the last moment. Run it again.")
    return _REFUSED.get(reason, default)


def failed(reason: str, selection: Selection) -> Words:
    """Explain why a container failed, where that is not the job's own story."""
    rule = _FAILED.get(reason)
    return rule(selection) if rule else (Cause.ERROR, "")


def time_limit(selection: Selection) -> str:
    """Return the sentence for a job that reached its time limit."""
    return f"Stopped: it reached its time limit of {format_duration(selection.time_limit)}."


_STOPPED: Final = Message("reason.queue_stopped")
_NOT_SET_UP: Final = Message("reason.queue_missing")
_WAITING: Final = {
    "OnHold": _STOPPED,
    "Stopped": _STOPPED,
    "Inadmissible": _NOT_SET_UP,
    "Misconfigured": _NOT_SET_UP,
    "ExceedsMaxQuota": Message("reason.quota"),
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
