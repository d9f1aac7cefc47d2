"""Why a pod waits, fails or ends, in sentences: one table of rules.

Kubernetes says the same thing in several places: in an event, in the status of a pod, in the answer to a request. Each is
turned into a `Statement`, and `explain` finds the rule for it. A rule matches like those of kubespawner's coming
``RuleEventFormatter`` (reporting component, reason, message, field path), so that they can move over.

To add one: take the text from a real cluster into the table of tests/unit/test_reasons.py, then write the rule. Order
matters, the first that matches speaks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.contract.units import bytes_in_words
from aiinfn_hub.i18n.language import Sentence
from aiinfn_hub.i18n.message_catalogue import CATALOGUE
from aiinfn_hub.i18n.messages import Message
from aiinfn_hub.kube.objects.pods import storage_volume
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.selection import Door, Selection

from .table import RULES, ReasonRule

Json = dict[str, Any]

APISERVER: Final = "kube-apiserver"
SCHEDULER: Final = "default-scheduler"
KUBELET: Final = "kubelet"
NOMINATED: Final = "Nominated"
"""Our word for: kube-scheduler evicts something for this pod, and named the node."""
_NOWHERE: Final = re.compile(
    r"0/(?P<nodes>\d+) nodes .*preemption: 0/(?P=nodes) nodes are available: (?P=nodes) Preemption is not helpful"
)
_ANY_END: Final = frozenset({"Completed", "Error", "ContainerStatusUnknown"})
"""What a container's status says however it came to its end."""
_RESOURCES: Final = {
    "cpu": Message("noun.cores"),
    "ephemeral-storage": Message("noun.disk"),
    "memory": Message("noun.memory"),
    "pods": Message("noun.pods"),
}
_REASONS_OF_STATUS: Final[Mapping[int, str]] = {
    HTTPStatus.BAD_REQUEST: "BadRequest",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Invalid",
}
"""What a refusal without a reason is taken for: an admission webhook that gives no code is answered with 400 and none."""
_FAILED_CREATE: Final = (
    ("is forbidden: ", "Forbidden"),
    ("is invalid: ", "Invalid"),
    ("Internal error occurred", "InternalError"),
)
"""By its words, the reason of a refusal that the Job controller hands on as text alone."""
_DENIED: Final = "pod.denied."
_LONGEST_TEXT: Final = 300
_DOORS: Final = {Door.SESSION: Message("noun.session"), Door.JOB: Message("noun.job")}

Word = str | Message
"""What stands in a sentence for what was granted."""


class Statement(NamedTuple):
    """One thing that a part of Kubernetes says about a pod, in its own words."""

    component: str
    reason: str
    message: str
    field_path: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A statement in words for people.

    Attributes
    ----------
    step
        What it is about: ``placed``, ``image``, ``starting``, or ``ended``.
    told, advice
        What it means and what to do, to be read later; `sentence` and `hint` are the same for now.
    hopeless
        Set if waiting cannot help; why, in the gate's terms.
    field
        The choice it is about, so that a form can show it there.
    """

    step: str
    told: Message
    advice: Sentence
    hopeless: Reason | None = None
    field: str | None = None

    @property
    def denied(self) -> bool:
        """Whether somebody who admits things in the cluster said no: a policy or a webhook."""
        return self.told.code.startswith(_DENIED)

    @property
    def passes(self) -> bool:
        """Whether waiting may help: it may start although nothing of it is changed."""
        return self.hopeless in {None, Reason.CAPACITY}

    @property
    def sentence(self) -> str:
        """What it means, in the language of who reads it now."""
        return str(self.told)

    @property
    def hint(self) -> str:
        """What to do; may be empty."""
        return str(self.advice)

    def refusal(self) -> Refusal:
        """Return it as a refusal, for a start that ends with it."""
        return Refusal(self.hopeless or Reason.UNAVAILABLE, self.sentence, self.hint, field=self.field)


@dataclass(frozen=True, slots=True)
class Words:
    """What the sentences are about; make it with `words_of`.

    Attributes
    ----------
    what
        ``session`` or ``job``.
    devices
        For example ``1 NVIDIA T4``.
    choice
        All that was asked for, for example ``1 NVIDIA T4, 2 cores and 8 GiB``.
    image
        Its title.
    image_size
        Bytes, if it is known.
    volumes
        Name of a volume in the pod -> the title that people know.
    """

    what: Word
    devices: Word
    accelerator: Word
    choice: Word
    size: Word
    memory: Word
    image: Word
    image_size: int | None = None
    volumes: Mapping[str, str] = field(default_factory=dict)


def words_of(selection: Selection, platform: Platform, image_size: int | None = None) -> Words:
    """Name what was granted as people know it."""
    title = selection.accelerator.title if selection.accelerator else ""
    devices = f"{selection.count} {title}" if title else None
    cores = selection.size.cores
    memory = bytes_in_words(selection.size.memory)
    size = Message("size.cores_and_memory", cores=cores, memory=selection.size.memory)
    return Words(
        what=_DOORS[selection.door],
        devices=devices or Message("noun.an_accelerator"),
        accelerator=title or Message("noun.accelerator"),
        choice=Message("size.with_devices", devices=devices, size=size) if devices else size,
        size=selection.size.title,
        memory=memory,
        image=selection.image.title,
        image_size=image_size,
        volumes={storage_volume(name): storage.title for name, storage in platform.storage.items()},
    )


def explain(statement: Statement, words: Words) -> Explanation | None:
    """Put a statement into words; None if it is nothing that people need to know."""
    for rule in RULES:
        found = _match(rule, statement)
        if found is not None:
            said = _said(found, words)
            return Explanation(
                rule.step,
                _message(rule, said),
                Sentence(rule.hint, **said),
                rule.hopeless,
                rule.field,
            )
    return None


def of_event(event: Json) -> Statement:
    """Read an Event of the core API."""
    component = event.get("reportingComponent") or (event.get("source") or {}).get("component") or ""
    path = event.get("involvedObject", {}).get("fieldPath") or ""
    return Statement(component, event.get("reason") or "", event.get("message") or "", path)


def of_refusal(status: int, reason: str, message: str) -> Statement:
    """Read the API server's refusal of a request; status 0 if it did not answer."""
    return Statement(APISERVER, reason or _REASONS_OF_STATUS.get(status, str(status)), message)


def of_failed_create(message: str) -> Statement:
    """Read the Job controller's event ``FailedCreate``: the API server's refusal of a pod, without its status."""
    text = message.removeprefix("(combined from similar events): ").removeprefix("Error creating: ")
    reason = next((reason for words, reason in _FAILED_CREATE if words in text), "FailedCreate")
    return Statement(APISERVER, reason, text)


def of_pod(pod: Json) -> Iterator[Statement]:
    """Read the status of a pod: what matters most comes first.

    A container that ended in a pod which is taken away was ended by that, and its exit code is no reason.
    """
    status = pod.get("status") or {}
    conditions = {each["type"]: each for each in status.get("conditions") or []}
    if status.get("reason"):
        yield Statement(KUBELET, status["reason"], status.get("message") or "")
    containers = [each for one in status.get("containerStatuses") or [] for each in _of_container(one)]
    yield from (each for each in containers if each.reason not in _ANY_END)
    disruption = conditions.get("DisruptionTarget", {})
    if disruption.get("status") == "True":
        yield Statement("", disruption.get("reason") or "", disruption.get("message") or "")
    yield from (each for each in containers if each.reason in _ANY_END)
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "True":
        yield Statement(SCHEDULER, "Scheduled", f"to {(pod.get('spec') or {}).get('nodeName') or 'a node'}")
    elif status.get("nominatedNodeName"):
        yield Statement(SCHEDULER, NOMINATED, status["nominatedNodeName"])
    elif scheduled.get("reason") == "Unschedulable":
        yield Statement(SCHEDULER, "FailedScheduling", scheduled.get("message") or "")


def ending(pod: Json, words: Words) -> Explanation | None:
    """Explain why a pod ends or ended; None if nothing says that it does, or it was only deleted."""
    deleted = bool((pod.get("metadata") or {}).get("deletionTimestamp"))
    for statement in of_pod(pod):
        if deleted and statement.reason in _ANY_END:
            continue
        explanation = explain(statement, words)
        if explanation is not None and explanation.step == "ended":
            return explanation
    return None


def eviction_helps_nowhere(statement: Statement) -> bool:
    """Return whether the scheduler says that no node could take the pod, whatever were evicted there."""
    return statement.reason == "FailedScheduling" and bool(_NOWHERE.match(statement.message))


def image_size(message: str) -> int | None:
    """Read from the kubelet's ``Pulled`` how many bytes an image has."""
    found = re.search(r"Image size: (\d+) bytes", message)
    return int(found[1]) if found else None


def _of_container(container: Json) -> Iterator[Statement]:
    state = container.get("state") or {}
    path = f"spec.containers{{{container.get('name', '')}}}"
    waiting, ended = state.get("waiting"), state.get("terminated")
    if waiting and waiting.get("reason") not in {None, "ContainerCreating", "PodInitializing"}:
        yield Statement(KUBELET, waiting["reason"], waiting.get("message") or "", path)
    if ended:
        message = ended.get("message") or f"exit code {ended.get('exitCode')}"
        yield Statement(KUBELET, ended.get("reason") or "Error", message, path)


def _match(rule: ReasonRule, statement: Statement) -> Mapping[str, str] | None:
    if rule.component and rule.component != statement.component:
        return None
    if not rule.reason.fullmatch(statement.reason):
        return None
    if rule.field_path and not rule.field_path.search(statement.field_path):
        return None
    found = rule.message.search(statement.message)
    if found is None:
        return None
    said = {key: value or "" for key, value in found.groupdict().items()}
    return said if rule.when is None or rule.when(said) else None


def _message(rule: ReasonRule, said: Mapping[str, Any]) -> Message:
    return Message(rule.code, **{name: said[name] for name in CATALOGUE[rule.code].facts})


def _said(found: Mapping[str, str], words: Words) -> dict[str, Any]:
    size = f" ({bytes_in_words(words.image_size)})" if words.image_size else ""
    said: dict[str, Any] = {
        "what": words.what,
        "devices": words.devices,
        "accelerator": words.accelerator,
        "choice": words.choice,
        "size": words.size,
        "memory": words.memory,
        "image": words.image,
        "image_size": size,
        **found,
    }
    if "resource" in found:
        said["resource"] = _RESOURCES.get(found["resource"], found["resource"])
    if "text" in found:
        said["text"] = _one_line(found["text"])
    if "volume" in found:
        said["volume"] = f"“{words.volumes.get(found['volume'], found['volume'])}”"
    return said


def _one_line(text: str) -> str:
    """Return a stranger's text as one short line without its full stop."""
    line = " ".join("".join(each if each.isprintable() else " " for each in text).split()).rstrip(". ")
    return line if len(line) <= _LONGEST_TEXT else f"{line[: _LONGEST_TEXT - 1]}…"
