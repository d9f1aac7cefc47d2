"""Nodes whose kubelet turns pods away."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from aiinfn_hub.i18n.messages import Message
from aiinfn_hub.kube.inventory import NodeWarning
from aiinfn_hub.kube.node_notices import sentence
from aiinfn_hub.vkd.backends.kubernetes.node_refusals import (
    AVOID,
    LONGEST,
    MOST_NODES,
    TELL,
    WINDOW,
    NodeRefusals,
)
from tests.vkd.world import platform

PLATFORM = platform()


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 29, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def test_a_node_is_avoided_for_a_while_and_longer_each_time() -> None:
    clock = Clock()
    nodes = NodeRefusals(clock)
    nodes.note("n1", "t4", "UnexpectedAdmissionError")
    assert nodes.avoided("t4") == ["n1"]
    assert nodes.avoided("a100") == []  # other devices of it may be well
    assert nodes.next_end("t4") == AVOID.total_seconds()
    clock.now += AVOID
    assert nodes.avoided("t4") == []
    assert nodes.next_end("t4") is None
    nodes.note("n1", "t4", "UnexpectedAdmissionError")
    clock.now += AVOID
    assert nodes.avoided("t4") == ["n1"]
    for _ in range(10):
        nodes.note("n1", "t4", "UnexpectedAdmissionError")
    assert nodes.next_end("t4") == LONGEST.total_seconds()


def test_operators_are_told_of_a_node_that_does_it_again_and_again() -> None:
    clock = Clock()
    nodes = NodeRefusals(clock)
    for reason in ("OutOfcpu", "UnexpectedAdmissionError", "OutOfcpu"):
        assert nodes.repeated() == []
        nodes.note("n1", "t4", reason)
    nodes.note("n2", "t4", "NodeAffinity")
    (told,) = nodes.repeated()
    assert (told.node, told.accelerator, told.number) == ("n1", "t4", TELL)
    assert told.reasons == ("OutOfcpu", "UnexpectedAdmissionError")
    clock.now += WINDOW
    assert nodes.repeated() == []


def test_what_is_kept_is_bounded() -> None:
    clock = Clock()
    nodes = NodeRefusals(clock)
    for number in range(2 * MOST_NODES):
        clock.now += timedelta(milliseconds=1)
        nodes.note(f"n{number:03}", "t4", "OutOfcpu")
    assert len(nodes.avoided("t4")) == MOST_NODES
    assert "n000" not in nodes.avoided("t4")


def test_operators_read_which_node_refuses_and_what_the_cluster_refused() -> None:
    node = NodeWarning("refuses", "t4", ("n1",), 3, found=("OutOfcpu", "UnexpectedAdmissionError"))
    assert sentence(node, PLATFORM) == (
        "The node n1 turned 3 pods away in the last ten minutes (OutOfcpu, UnexpectedAdmissionError). Jobs avoid it for a while; "
        "look at its device plugin and its kubelet."
    )
    told = Message("pod.quota_demands", quota="few", missing="limits.cpu", what=Message("noun.job"))
    refused = NodeWarning("pod_refused", "", number=2, found=(told.as_text(),))
    assert sentence(refused, PLATFORM) == (
        "In the last ten minutes the cluster refused the pods of 2 jobs: The quota few of the namespace demands limits.cpu of "
        "every job, which this platform does not set."
    )
