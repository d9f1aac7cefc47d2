"""Pods whose node does not answer, and starts beside them."""

from __future__ import annotations

from typing import Any

import pytest

from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.spawner import lost_node


def pod(*, ready: str = "False", deleted: bool = False, uid: str = "u1", **container: Any) -> dict[str, Any]:
    """Return a pod as the API server has it; by default one whose node does not answer."""
    metadata = {"uid": uid} | ({"deletionTimestamp": "2026-11-29T05:00:00Z"} if deleted else {})
    state = {"name": "notebook", "ready": True, "state": {"running": {}}} | container
    return {
        "metadata": metadata,
        "spec": {"nodeName": "n1"},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": ready}],
            "containerStatuses": [state],
        },
    }


@pytest.mark.parametrize(
    ("one", "lost"),
    [
        (pod(), True),
        (pod(deleted=True), True),
        (pod(ready="True"), False),
        (pod(ready="True", deleted=True), False),
        # Its own container is not ready, or has ended: the kubelet says so itself.
        (
            pod()
            | {
                "status": {
                    **pod()["status"],
                    "containerStatuses": [{"ready": False, "state": {"running": {}}}],
                }
            },
            False,
        ),
        (pod(state={"terminated": {"exitCode": 1}}), False),
        (pod(state={"waiting": {"reason": "ContainerCreating"}}), False),
        ({}, False),
        ({"status": None}, False),
        ({"status": {"phase": "Pending"}}, False),
    ],
)
def test_a_pod_that_is_not_ready_with_ready_containers_is_on_a_node_that_does_not_answer(
    one: dict[str, Any], lost: bool
) -> None:
    assert lost_node.is_lost(one) is lost
    assert lost_node.is_given_up(one) is (lost and "deletionTimestamp" in one["metadata"])


def start(session: str, one: dict[str, Any], now: float) -> Refusal | None:
    try:
        lost_node.confirm(session, one, now)
    except Refusal as refusal:
        return refusal
    return None


def test_a_start_beside_a_session_that_may_still_write_is_asked_for_twice() -> None:
    refusal = start("ada/", pod(), 100)
    assert refusal is not None
    assert refusal.reason is Reason.CONFLICT
    assert "on the node n1, which does not answer" in str(refusal)
    # A request that a program repeats at once has not read it.
    assert start("ada/", pod(), 100.5) is not None
    assert start("bruno/", pod(uid="u9"), 101) is not None
    assert start("ada/", pod(), 103) is None
    # Each pod is asked for anew, and so is one of which the warning is old.
    assert start("ada/", pod(), 110) is not None
    assert start("ada/", pod(uid="u2"), 115) is not None
    assert start("ada/", pod(uid="u2"), 115 + lost_node.CONFIRM_WITHIN + 1) is not None
    assert start("ada/", pod(uid="u2"), 115 + lost_node.CONFIRM_WITHIN + 10) is None


def test_tolerations_replace_the_five_minutes_of_kubernetes() -> None:
    assert {each["key"]: each["tolerationSeconds"] for each in lost_node.tolerations(60)} == {
        "node.kubernetes.io/not-ready": 60,
        "node.kubernetes.io/unreachable": 60,
    }
