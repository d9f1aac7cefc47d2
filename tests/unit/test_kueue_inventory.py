"""The inventory: from nodes and pods as Kubernetes shows them to free and used devices."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aiinfn_hub.kube.inventory import ClusterInventory, InventoryReader
from aiinfn_hub.kube.node_notices import sentence
from aiinfn_hub.platform.model.accelerators import Accelerator
from aiinfn_hub.platform.model.images import Image
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.model.projects import Project, Size

GPU, MIG, MODEL = "nvidia.com/gpu", "nvidia.com/mig-1g.5gb", "nvidia.com/gpu.product"
PLATFORM = Platform(
    accelerators={
        "t4": Accelerator.model_validate({"title": "T4", "kind": "gpu", "resource": GPU, "node_labels": {MODEL: "Tesla-T4"}}),
        "a100": Accelerator.model_validate({"title": "A100", "kind": "gpu", "resource": GPU, "node_labels": {MODEL: "A100"}, "tolerations": ({"key": "reserved", "operator": "Exists", "effect": "NoSchedule"},)}),
        "slice": Accelerator.model_validate({"title": "Slice", "kind": "mig", "resource": MIG}),
    },
    images={"standard": Image.model_validate({"title": "Standard", "reference": "example.org/standard:1"})},
    sizes={"small": Size.model_validate({"title": "Small", "cores": 1, "memory": "1Gi"})},
    projects={"flavour": Project(title="Flavour", groups=("org/flavour",))},
)  # fmt: skip
READER = InventoryReader(PLATFORM)
UNTIL = datetime(2026, 11, 24, 18, tzinfo=UTC)
numbers = itertools.count()


def node(
    name: str = "n1",
    model: str = "Tesla-T4",
    amounts: dict[str, Any] | None = None,
    *,
    ready: bool = True,
    cordoned: bool = False,
    taints: Sequence[dict[str, Any]] = (),
    healthy: dict[str, Any] | None = None,
    **labels: Any,
) -> dict[str, Any]:
    amounts = {GPU: "4"} if amounts is None else amounts
    return {
        "metadata": {"name": name, "uid": f"node-{name}", "labels": {MODEL: model, **labels}},
        "spec": {"unschedulable": cordoned, "taints": list(taints)},
        "status": {
            "capacity": amounts,
            "allocatable": healthy or amounts,
            "conditions": [{"type": "Ready", "status": "True" if ready else "Unknown"}],
        },
    }  # fmt: skip


def pod(
    node: Any = "n1",
    kind: str | None = None,
    count: int = 1,
    resource: str = GPU,
    *,
    phase: str = "Running",
    accelerator: str = "t4",
    until: Any = None,
    namespace: str | None = None,
    instance: str = "aiinfn-system",
    **more: Any,
) -> dict[str, Any]:
    labels = {
        "ai.infn.it/kind": kind,
        "ai.infn.it/accelerator": accelerator,
        "ai.infn.it/job": "j1",
        "ai.infn.it/session": "s1",
        "ai.infn.it/managed": instance,
    }
    usual = {"job": "aiinfn-batch", "session": "aiinfn-sessions"}.get(kind or "", "x")
    container = {"resources": {"limits": {resource: str(count), "memory": "1Gi"}}}
    return {
        "metadata": {
            "uid": f"pod-{next(numbers)}", "namespace": namespace or usual,
            "labels": labels if kind else None,
            "annotations": {"ai.infn.it/until": until.isoformat()} if until else None, **more,
        },
        "spec": {"nodeName": node, "containers": [container]} if node else {"containers": [container]},
        "status": {"phase": phase},
    }  # fmt: skip


def read(nodes: Sequence[dict[str, Any]] = (), pods: Sequence[dict[str, Any]] = ()) -> ClusterInventory:
    inventory = ClusterInventory(PLATFORM)
    for each in nodes:
        if facts := READER.node(each):
            inventory.see_node(None, facts)
    for each in pods:
        if facts := READER.pod(each):  # type: ignore[assignment]
            inventory.see_pod(None, facts)
    return inventory


def counts(inventory: ClusterInventory, accelerator: str = "t4") -> tuple[Any, Any, Any, Any]:
    found = inventory.counts(accelerator)
    assert found.total == found.free + found.sessions + found.batch + found.others + found.offline
    return found.free, found.sessions, found.batch, found.offline


@pytest.mark.parametrize(
    ("nodes", "pods", "expected"),
    [
        ([], [], (0, 0, 0, 0)),
        ([node()], [], (4, 0, 0, 0)),
        ([node(), node("n2")], [pod(kind="session"), pod("n2", kind="job", count=2)], (5, 1, 2, 0)),
        # Pods of every namespace count, and what is neither our session nor our job is somebody else's.
        ([node()], [pod(), pod(namespace="kube-system")], (2, 0, 0, 0)),
        # What is finished, waits, or was never placed takes nothing.
        ([node()], [pod(phase="Succeeded"), pod(phase="Failed"), pod(node=None, phase="Pending")], (4, 0, 0, 0)),
        ([node()], [pod(kind="session", phase="Pending")], (3, 1, 0, 0)),
        # Other models, sizes of zero, no labels, no accelerator.
        ([node(model="A100")], [], (0, 0, 0, 0)),
        ([node(amounts={GPU: "0"}), node("n2", amounts={"cpu": "4"})], [], (0, 0, 0, 0)),
        ([node(), {"metadata": {"name": "bare", "uid": "u"}}], [pod(resource="memory")], (4, 0, 0, 0)),
        # Out of service: what runs there still counts, what is free does not.
        ([node(cordoned=True)], [pod(kind="session")], (0, 1, 0, 3)),
        ([node(ready=False)], [], (0, 0, 0, 4)),
        ([node(taints=[{"key": "x", "effect": "NoExecute"}])], [], (0, 0, 0, 4)),
        ([node(taints=[{"key": "x", "effect": "PreferNoSchedule"}])], [], (4, 0, 0, 0)),
        ([node(healthy={GPU: "3"})], [pod(kind="job")], (2, 0, 1, 1)),
        ([node(healthy={GPU: "0"})], [pod(kind="job")], (0, 0, 1, 3)),
        # Remote sites behind a virtual node are none of ours.
        ([node(type="virtual-kubelet"), node("n2", **{"virtual-node.interlink/type": "virtual-kubelet"})], [], (0, 0, 0, 0)),  # type: ignore[arg-type]
        # More in use than there is.
        ([node(amounts={GPU: "1"})], [pod(kind="session", count=3)], (0, 3, 0, 0)),
        # A pod on a node that nobody has seen yet.
        ([], [pod("elsewhere")], (0, 0, 0, 0)),
    ],
)  # fmt: skip
def test_what_there_is(
    nodes: list[dict[str, Any]], pods: list[dict[str, Any]], expected: tuple[int, ...]
) -> None:
    assert counts(read(nodes, pods)) == expected


def test_tolerated_taints_and_several_kinds_on_one_node() -> None:
    reserved = {"key": "reserved", "value": "medphys", "effect": "NoSchedule"}
    inventory = read(
        [node(model="A100", amounts={GPU: "2", MIG: "7"}, taints=[reserved])],
        [pod(kind="session", resource=MIG, count=3)],
    )
    assert counts(inventory, "a100") == (2, 0, 0, 0)
    assert counts(inventory, "slice") == (0, 3, 0, 4)  # the slices' own pods do not tolerate it


def test_a_label_alone_does_not_make_a_pod_batch() -> None:
    impostor = pod(kind="job", namespace="aiinfn-sessions")
    inventory = read([node()], [impostor])
    assert counts(inventory) == (3, 0, 0, 0)
    assert inventory.counts("t4").others == 1


@pytest.mark.parametrize(
    "theirs",
    [
        {"namespace": "stage-sessions", "instance": "stage-system"},  # another platform's, of the same name
        {"namespace": "stage-sessions"},
        {"namespace": "aiinfn-batch"},
        {"instance": "stage-system"},
        {"instance": "true"},
    ],
)
def test_a_session_of_somebody_else_is_none_of_ours_and_binds_nothing(theirs: dict[str, Any]) -> None:
    waiting = pod(node=None, kind="session", phase="Pending", **theirs)
    inventory = read([node()], [pod(kind="session", count=2, until=UNTIL, **theirs), waiting])
    assert counts(inventory) == (2, 0, 0, 0)
    assert inventory.counts("t4").others == 2
    assert not inventory.is_bound("s1")
    assert not inventory.is_pending("s1")
    assert inventory.waiting_sessions("t4") == 0
    assert inventory.next_session_end("t4") is None
    inventory.see_pod(None, READER.pod(pod(kind="session")))
    assert counts(inventory) == (1, 1, 0, 0)
    assert inventory.is_bound("s1")


def test_init_containers_count_as_kube_scheduler_counts_them() -> None:
    def with_init(*inits: Any) -> Any:
        item = pod(kind="session")
        item["spec"]["initContainers"] = [
            {"resources": {"requests": {GPU: str(n)}}, "restartPolicy": policy} for n, policy in inits
        ]
        return counts(read([node()], [item]))[1]

    assert with_init((1, None)) == 1
    assert with_init((3, None), (2, None)) == 3
    assert with_init((1, "Always")) == 2


def test_sessions_that_wait_and_the_first_end() -> None:
    inventory = read([node()])
    waiting = READER.pod(pod(node=None, kind="session", phase="Pending", until=UNTIL))
    later = READER.pod(pod(kind="session", until=UNTIL + timedelta(hours=1)))
    inventory.see_pod(None, waiting)
    inventory.see_pod(None, later)
    assert inventory.waiting_sessions("t4") == 1
    assert inventory.next_session_end("t4") == UNTIL + timedelta(hours=1)
    assert inventory.is_bound("s1")
    bound = READER.pod(pod(kind="session", until=UNTIL))
    inventory.see_pod(waiting, None)
    inventory.see_pod(None, bound)
    assert inventory.waiting_sessions("t4") == 0
    assert inventory.next_session_end("t4") == UNTIL
    inventory.see_pod(bound, None)
    assert inventory.next_session_end("t4") == UNTIL + timedelta(hours=1)
    inventory.see_pod(later, None)
    assert inventory.next_session_end("t4") is None
    assert not inventory.is_bound("s1")


def test_a_name_that_went_to_another_node_keeps_its_new_devices() -> None:
    inventory = read([node()])
    old, new = READER.node(node()), READER.node(node(amounts={GPU: "2"}))
    inventory.see_node(None, new)
    inventory.see_node(old, None)
    assert counts(inventory) == (2, 0, 0, 0)
    inventory.see_node(new, None)
    assert counts(inventory) == (0, 0, 0, 0)


def test_any_order_of_changes_gives_what_a_fresh_count_gives() -> None:
    rng = random.Random(4)
    for _ in range(30):
        nodes = [READER.node(node(f"n{i}", cordoned=rng.random() < 0.3)) for i in range(4)]
        pods = [
            READER.pod(pod(f"n{rng.randrange(5)}", kind=rng.choice(["job", "session", None])))
            for _ in range(12)
        ]
        inventory = ClusterInventory(PLATFORM)
        there: set[int] = set()
        everything = [("node", each) for each in nodes] + [("pod", each) for each in pods]
        for _ in range(120):
            number = rng.randrange(len(everything))
            kind, facts = everything[number]
            see = inventory.see_node if kind == "node" else inventory.see_pod
            see(facts, None) if number in there else see(None, facts)  # type: ignore[arg-type]
            there ^= {number}
        fresh = ClusterInventory(PLATFORM)
        for number in there:
            kind, facts = everything[number]
            (fresh.see_node if kind == "node" else fresh.see_pod)(None, facts)  # type: ignore[arg-type]
        assert counts(inventory) == counts(fresh)
        assert inventory.largest("t4") == fresh.largest("t4")
        assert sorted(p.node for p in inventory.places("t4")) == sorted(p.node for p in fresh.places("t4"))


# --- what operators are told ---------------------------------------------------------------------------------------------


def told(*nodes: Any) -> dict[str, Any]:
    return {each.accelerator: each for each in read(nodes).notices()}


def test_nodes_that_fit_are_no_notice() -> None:
    assert told(node(), node("n2", "A100"), node("n3", amounts={MIG: "7"})) == {}


def test_labels_that_fit_no_node_are_told_with_what_nodes_have() -> None:
    found = told(node(model="Tesla-T4-SHARED"), node("n2", "A100"), node("n3", amounts={MIG: "7"}))
    notice = found.pop("t4")
    assert (notice.code, notice.label, notice.found) == ("no_labels", MODEL, ("A100", "Tesla-T4-SHARED"))
    assert not found
    text = sentence(notice, PLATFORM)
    assert "no node with nvidia.com/gpu has the label nvidia.com/gpu.product=Tesla-T4" in text
    assert "what nodes have is A100, Tesla-T4-SHARED" in text


def test_a_resource_that_no_node_has_is_told() -> None:
    assert told(node(), node("n2", "A100"))["slice"].code == "no_resource"
    assert set(told()) == {"t4", "a100", "slice"}
    assert "no node has nvidia.com/mig-1g.5gb" in sentence(told()["slice"], PLATFORM)


@pytest.mark.parametrize(
    "labels",
    [
        {"nvidia.com/gpu.replicas": "4"},
        {"nvidia.com/gpu.sharing-strategy": "time-slicing"},
        {"nvidia.com/gpu.sharing-strategy": "mps", "nvidia.com/gpu.replicas": "1"},
    ],
)
def test_a_node_that_hands_one_device_out_several_times_is_told(labels: dict[str, Any]) -> None:
    found = told(node(**labels), node("n2", "A100"), node("n3", amounts={MIG: "7"}))
    assert {name: (each.code, each.nodes) for name, each in found.items()} == {"t4": ("shared", ("n1",))}
    assert "the node n1 hands one device out several times" in sentence(found["t4"], PLATFORM)


@pytest.mark.parametrize(
    "labels",
    [
        {"nvidia.com/gpu.replicas": "1"},
        {"nvidia.com/gpu.sharing-strategy": "none"},
        {"nvidia.com/gpu.replicas": "x"},
    ],
)
def test_a_node_that_shares_nothing_is_no_notice(labels: dict[str, Any]) -> None:
    assert told(node(**labels), node("n2", "A100"), node("n3", amounts={MIG: "7"})) == {}


def test_notices_follow_the_nodes() -> None:
    inventory = read([node(model="other"), node("n2", "A100"), node("n3", amounts={MIG: "7"})])
    before = READER.node(node(model="other"))
    assert [each.accelerator for each in inventory.notices()] == ["t4"]
    assert inventory.notices() is inventory.notices()
    inventory.see_node(before, READER.node(node()))
    assert inventory.notices() == ()
    inventory.see_node(READER.node(node()), None)
    assert [each.code for each in inventory.notices()] == ["no_labels"]
