"""A session whose node does not answer any more: what is told, and how a new one starts beside it.

When a kubelet is silent for 40 s or so, the node controller sets the condition Ready of the node's pods to False and taints the
node; pods are deleted once their tolerations of these taints are over, and stay "Terminating" until the node is back or an
operator says that it is out of service. Whether their processes still run nobody can know
(https://kubernetes.io/docs/concepts/architecture/nodes/#condition,
https://kubernetes.io/docs/concepts/cluster-administration/node-shutdown/#non-graceful-node-shutdown).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.i18n.language import Sentence, Text
from aiinfn_hub.i18n.language import gettext as _

CONFIRM_AFTER: Final = 2.0
"""Seconds after which starting again means that the warning was read; a request that is repeated at once does not."""
CONFIRM_WITHIN: Final = 900.0
"""Seconds for which it means that."""

Json = Mapping[str, Any]

_warned: dict[str, tuple[str, float]] = {}
"""Whom we warned of a pod, and when: session -> uid of the pod and the time."""


def is_lost(pod: Json) -> bool:
    """Return whether a pod's node does not answer.

    The node controller changes the condition of the pod, and leaves what its kubelet reported last: containers that are ready
    in a pod that is not.
    """
    status = pod.get("status") or {}
    containers = status.get("containerStatuses") or []
    conditions = {each.get("type"): each.get("status") for each in status.get("conditions") or []}
    return (
        status.get("phase") == "Running"
        and conditions.get("Ready") == "False"
        and bool(containers)
        and all(each.get("ready") and "running" in (each.get("state") or {}) for each in containers)
    )


def is_given_up(pod: Json) -> bool:
    """Return whether a pod whose node does not answer is deleted: the node controller's patience is over, or somebody's."""
    return is_lost(pod) and bool((pod.get("metadata") or {}).get("deletionTimestamp"))


def silent(pod: Json) -> Text:
    """Return what is told of a session while its node may still come back."""
    return Sentence(
        "Its node {node} does not answer. If it comes back soon, the session goes on.", node=_node(pod)
    )


def ended(pod: Json) -> Text:
    """Return why a session ended whose node did not come back in time."""
    return Sentence(
        "Its node {node} does not answer any more. What was not saved is lost; what was saved is in your files.",
        node=_node(pod),
    )


def tolerations(seconds: int) -> list[dict[str, Any]]:
    """Return for how long a pod stays on a node that does not answer, in place of Kubernetes' five minutes."""
    return [
        {
            "key": f"node.kubernetes.io/{taint}",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": seconds,
        }
        for taint in ("not-ready", "unreachable")
    ]


def confirm(session: str, pod: Json, now: float | None = None) -> None:
    """Let a session start although an earlier one may still run on a node that does not answer, if its person insists.

    Both would write to the same home. So the first start is refused with a warning, and the next one goes on.

    Raises
    ------
    Refusal
        `Reason.CONFLICT`, for the first start.
    """
    now = time.monotonic() if now is None else now
    uid = str((pod.get("metadata") or {}).get("uid"))
    warned, at = _warned.get(session, ("", 0.0))
    if warned == uid and CONFIRM_AFTER <= now - at <= CONFIRM_WITHIN:
        del _warned[session]
        return
    for old in [each for each, (_uid, then) in _warned.items() if now - then > CONFIRM_WITHIN]:
        del _warned[old]
    if warned != uid or now - at > CONFIRM_WITHIN:
        _warned[session] = uid, now
    raise Refusal(
        Reason.CONFLICT,
        _(
            "Your earlier session is on the node {node}, which does not answer. It may still run there and write to your files."
        ).format(node=_node(pod)),
        _(
            "Start again to start anyway: a file that both write may be damaged. Or wait until the operators say that the node is "
            "back or switched off."
        ),
    )


def _node(pod: Json) -> str:
    return str((pod.get("spec") or {}).get("nodeName") or "?")
