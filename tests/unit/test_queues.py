"""From the platform file to objects of Kueue and rights; what differs; which jobs a change would hurt."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from aiinfn_hub.kube import names
from aiinfn_hub.kube.apply import apply, diff, usage_check
from aiinfn_hub.kube.objects import queues, rbac
from aiinfn_hub.platform.model.platform import Platform

FILE: dict[str, Any] = {
    "sessions": {"backend": "kubernetes"},
    "accelerators": {
        "t4": {
            "title": "T4",
            "kind": "gpu",
            "resource": "nvidia.com/gpu",
            "node_labels": {"nvidia.com/gpu.product": "Tesla-T4"},
            "tolerations": [{"key": "gpu", "operator": "Exists"}],
        },
        "rtx": {
            "title": "RTX",
            "kind": "gpu",
            "resource": "nvidia.com/gpu",
            "node_labels": {"nvidia.com/gpu.product": "Quadro-RTX-5000"},
            "quota": 3,
        },
        "slice": {"title": "Slice", "kind": "mig", "resource": "nvidia.com/mig-1g.5gb", "quota": 0},
    },
    "images": {"standard": {"title": "S", "reference": "s:1"}},
    "sizes": {"small": {"title": "S", "cores": 1, "memory": "1Gi"}},
    "projects": {
        "flavour": {"title": "F", "groups": ["f"]},
        "medphys": {"title": "M", "groups": ["m"]},
    },
    "queues": {
        "opportunistic": {"title": "O"},
        "short": {"title": "S", "projects": ["medphys"], "accelerators": ["rtx", "none"], "priority": 10},
        "nothing": {"title": "N", "accelerators": []},
    },
    "kubernetes": {"batch_cores": 1.5, "batch_memory": "64Gi"},
}


def platform(**changes: Any) -> Platform:
    return Platform.model_validate(copy.deepcopy(FILE) | changes)


def named(kind: str, where: Any = None) -> dict[str, Any]:
    found = queues.objects(where or platform())
    return {each["metadata"]["name"]: each for each in found if each["kind"] == kind}


def quota(group: Any) -> dict[str, Any]:
    return {
        flavor["name"]: {each["name"]: each["nominalQuota"] for each in flavor["resources"]}
        for flavor in group["flavors"]
    }


def test_the_cohort_holds_the_whole_quota_and_what_is_not_stated_is_no_limit() -> None:
    (group,) = named("Cohort")["aiinfn-system"]["spec"]["resourceGroups"]
    assert group["coveredResources"] == ["cpu", "memory", "nvidia.com/gpu", "nvidia.com/mig-1g.5gb"]
    plain = {"cpu": "1500m", "memory": "64Gi", "nvidia.com/gpu": "0", "nvidia.com/mig-1g.5gb": "0"}
    assert quota(group) == {
        "aiinfn-system-none": plain,
        "aiinfn-system-t4": plain | {"nvidia.com/gpu": "1000000"},
        "aiinfn-system-rtx": plain | {"nvidia.com/gpu": "3"},
        "aiinfn-system-slice": plain,
    }


def test_a_queue_owns_nothing_and_offers_its_accelerators_only() -> None:
    short = named("ClusterQueue")["aiinfn-system-short"]["spec"]
    assert short["cohortName"] == "aiinfn-system"
    assert short["preemption"]["withinClusterQueue"] == "Never"
    (group,) = short["resourceGroups"]
    # CPU only comes first, whatever the order in the file.
    nothing = {"cpu": "0", "memory": "0", "nvidia.com/gpu": "0"}
    assert quota(group) == {"aiinfn-system-none": nothing, "aiinfn-system-rtx": nothing}
    assert list(quota(group)) == ["aiinfn-system-none", "aiinfn-system-rtx"]
    assert "resourceGroups" not in named("ClusterQueue")["aiinfn-system-nothing"]["spec"]


def test_every_flavor_has_the_topology_a_label_and_the_tolerations_of_its_nodes() -> None:
    flavors = {name: each["spec"] for name, each in named("ResourceFlavor").items()}
    assert all(spec["topologyName"] == "aiinfn-system" for spec in flavors.values())
    assert flavors["aiinfn-system-none"]["nodeLabels"] == {"kubernetes.io/os": "linux"}
    assert flavors["aiinfn-system-slice"]["nodeLabels"] == {"kubernetes.io/os": "linux"}
    assert flavors["aiinfn-system-t4"]["nodeLabels"]["nvidia.com/gpu.product"] == "Tesla-T4"
    assert flavors["aiinfn-system-t4"]["tolerations"] == [{"key": "gpu", "operator": "Exists"}]


def test_projects_have_a_local_queue_in_each_queue_that_is_open_to_them() -> None:
    local = {
        (each["spec"]["clusterQueue"], each["metadata"]["annotations"]["ai.infn.it/project"])
        for each in named("LocalQueue").values()
    }
    assert local == {
        ("aiinfn-system-opportunistic", "flavour"),
        ("aiinfn-system-opportunistic", "medphys"),
        ("aiinfn-system-short", "medphys"),
        ("aiinfn-system-nothing", "flavour"),
        ("aiinfn-system-nothing", "medphys"),
    }
    assert names.local_queue("short", "medphys") in named("LocalQueue")


def test_kueue_sees_the_batch_namespace_only_and_people_s_pods_are_restricted() -> None:
    labels = {name: each["metadata"].get("labels", {}) for name, each in named("Namespace").items()}
    enforce = "pod-security.kubernetes.io/enforce"
    assert labels["aiinfn-batch"]["kueue-managed"] == "true"
    assert "kueue-managed" not in labels["aiinfn-sessions"]
    assert labels["aiinfn-batch"][enforce] == labels["aiinfn-sessions"][enforce] == "restricted"


def test_batch_pods_yield_and_the_order_of_queues_is_another_number() -> None:
    classes = named("PriorityClass")
    assert classes["aiinfn-system-batch"]["value"] < 0 < classes["aiinfn-system-session"]["value"]
    assert classes["aiinfn-system-batch"]["preemptionPolicy"] == "Never"
    assert named("WorkloadPriorityClass")["aiinfn-system-short"]["value"] == 10


def test_everything_is_marked_as_ours_is_named_once_and_comes_after_what_it_needs() -> None:
    wanted = apply.wanted(platform(label_prefix="example.org"))
    assert all(each["metadata"]["labels"]["example.org/managed"] == "aiinfn-system" for each in wanted)
    keys = [(e["kind"], e["metadata"].get("namespace"), e["metadata"]["name"]) for e in wanted]
    assert len(set(keys)) == len(keys)
    order = [kind for kind, _, _ in keys]
    for first, then in [
        ("Namespace", "ServiceAccount"),
        ("Role", "RoleBinding"),
        ("ResourceFlavor", "Cohort"),
        ("Cohort", "ClusterQueue"),
        ("ClusterQueue", "LocalQueue"),
    ]:
        assert max(i for i, k in enumerate(order) if k == first) < order.index(then)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sessions": {"backend": "local"}}, "sessions: {backend: kubernetes}"),
        ({"kubernetes": {"batch_namespace": "a", "sessions_namespace": "a"}}, "three different namespaces"),
        ({"kubernetes": {"batch_namespace": "a.b"}}, "no dot"),
        ({"accelerators": {f"a{n}": FILE["accelerators"]["slice"] for n in range(64)}, "queues": {}}, "63 at most"),
        ({"accelerators": {"t4": FILE["accelerators"]["t4"] | {"node_labels": {f"l{n}": "x" for n in range(8)}}}, "queues": {}}, "accelerators.t4.kubernetes.node_labels"),
        ({"accelerators": {"t4": FILE["accelerators"]["t4"] | {"tolerations": [{"key": str(n)} for n in range(9)]}}, "queues": {}}, "accelerators.t4.kubernetes.tolerations"),
    ],
)  # fmt: skip
def test_what_kueue_cannot_express_is_said_before_the_cluster_is_asked(
    changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(apply.ApplyError, match=words):
        apply.wanted(platform(**changes))


def test_long_names_and_many_queues_stay_within_kubernetes_limits() -> None:
    long = "q" * 63
    many = {f"queue-{n}": {"title": "Q"} for n in range(100)} | {long: {"title": "Q"}}
    projects = {"p" * 63: FILE["projects"]["flavour"], "p" * 62: FILE["projects"]["medphys"]}
    found = apply.wanted(platform(queues=many, projects=projects))
    assert all(len(each["metadata"]["name"]) <= 63 for each in found)
    assert len({each["metadata"]["name"] for each in found if each["kind"] == "LocalQueue"}) == 202


def test_nobody_gets_a_right_on_secrets_or_on_rights() -> None:
    rules = [rule for each in rbac.objects(platform()) for rule in each.get("rules", [])]
    resources = {resource for rule in rules for resource in rule["resources"]}
    assert not resources & {"secrets", "pods/exec", "serviceaccounts", "roles", "rolebindings", "*"}
    assert not any("*" in rule["verbs"] or "*" in rule["apiGroups"] for rule in rules)
    everywhere = [each for each in rbac.objects(platform()) if each["kind"] == "ClusterRole"]
    assert [rule for each in everywhere for rule in each["rules"]] == [
        {"apiGroups": [""], "resources": ["nodes", "pods"], "verbs": ["get", "list", "watch"]}
    ]


# What differs


def changed(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[Any, Any, Any]]:
    return [(f.path, f.old, f.new) for f in diff.fields(before, after)]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"spec": {"a": 1}}, {"spec": {"a": 1}}, []),
        ({"spec": {"a": 1}}, {"spec": {"a": 2, "b": "x"}}, [("spec.a", "1", "2"), ("spec.b", None, "x")]),
        ({"spec": {"a": [1]}}, {"spec": {}}, [("spec.a", "[1]", None)]),
        ({"l": [{"name": "a", "n": 1}, {"name": "b", "n": 1}]}, {"l": [{"name": "b", "n": 2}]}, [("l[a]", '{"name": "a", "n": 1}', None), ("l[b].n", "1", "2")]),
        ({"l": [{"name": "a"}, {"name": "b"}]}, {"l": [{"name": "b"}, {"name": "a"}]}, [("l (order)", "a, b", "b, a")]),
        ({"l": [{"x": 1}, {"x": 2}]}, {"l": [{"x": 1}, {"x": 3}]}, [("l[1].x", "2", "3")]),
        ({"metadata": {"labels": {"a.b/c": "1"}}}, {"metadata": {"labels": {"a.b/c": "2"}}}, [("metadata.labels[a.b/c]", "1", "2")]),
        ({"metadata": {"resourceVersion": "1", "managedFields": [1]}, "status": {"x": 1}}, {"metadata": {"resourceVersion": "2"}}, []),
    ],
)  # fmt: skip
def test_a_difference_is_told_by_path_with_old_and_new(
    before: dict[str, Any], after: dict[str, Any], expected: list[Any]
) -> None:
    assert changed(before, after) == expected


# Whom a change would hurt

LABELS, INSTANCE = names.Labels(), names.Instance("aiinfn-system")


def queue_objects(
    flavors: Sequence[str] = ("aiinfn-system-none", "aiinfn-system-t4"), local: Sequence[str] = ("o-f", "o-m")
) -> Iterator[dict[str, Any]]:
    groups = [{"flavors": [{"name": name} for name in flavors]}]
    yield {"kind": "ClusterQueue", "metadata": {"name": "o"}, "spec": {"resourceGroups": groups}}
    for name in local:
        yield {
            "kind": "LocalQueue",
            "metadata": {"name": name, "namespace": "b"},
            "spec": {"clusterQueue": "o"},
        }


def workload(
    job: str,
    queue: str = "o-f",
    accelerator: str = "t4",
    user: str = "ada",
    *,
    has: str | None = None,
    finished: bool = False,
    namespace: str = "b",
) -> dict[str, Any]:
    template = {"annotations": {LABELS.accelerator: accelerator, LABELS.user: user}}
    found = {
        "metadata": {"name": f"w-{job}", "namespace": namespace, "ownerReferences": [{"name": job}]},
        "spec": {"queueName": queue, "podSets": [{"template": {"metadata": template}}]},
        "status": {"conditions": [{"type": "Finished", "status": str(finished)}]},
    }
    if has:
        found["status"]["admission"] = {"podSetAssignments": [{"flavors": {"cpu": has}}]}  # type: ignore[index]
    return found


BEFORE = usage_check.Queues.of(queue_objects())


@pytest.mark.parametrize(
    ("after", "workloads", "expected"),
    [
        (queue_objects(), [workload("j")], []),
        (queue_objects(local=["o-m"]), [], []),
        (queue_objects(local=["o-m"]), [workload("j", "o-m"), workload("k", finished=True)], []),
        (queue_objects(local=["o-m"]), [workload("j", namespace="elsewhere"), workload("k", "another")], []),
        (queue_objects(local=["o-m"]), [workload("j", has="aiinfn-system-t4"), workload("k", user="ben")], ["LocalQueue b/o-f (of ClusterQueue o) cannot be removed: 2 jobs need it: j of ada (running), k of ben (waiting). Let them end or cancel them first."]),
        (queue_objects(["aiinfn-system-none"]), [workload("c", accelerator="none"), workload("j")], ["ClusterQueue o cannot lose the flavor aiinfn-system-t4: 1 job needs it: j of ada (waiting). Let them end or cancel them first."]),
        (queue_objects(["aiinfn-system-none"]), [workload("j", accelerator="none", has="aiinfn-system-t4")], ["ClusterQueue o cannot lose the flavor aiinfn-system-t4: 1 job needs it: j of ada (running). Let them end or cancel them first."]),
        ([], [workload("j")], ["LocalQueue b/o-f (of ClusterQueue o) cannot be removed: 1 job needs it: j of ada (waiting). Let them end or cancel them first."]),
    ],
)  # fmt: skip
def test_unfinished_jobs_keep_their_queue_and_their_accelerator(
    after: Iterator[Any] | list[Any], workloads: list[dict[str, Any]], expected: list[str]
) -> None:
    assert (
        list(usage_check.obstacles(BEFORE, usage_check.Queues.of(after), workloads, LABELS, INSTANCE))
        == expected
    )


def test_of_many_jobs_some_are_named_and_the_rest_is_counted() -> None:
    jobs = [workload(f"j{n}") for n in range(25)]
    (sentence,) = usage_check.obstacles(BEFORE, usage_check.Queues(), jobs, LABELS, INSTANCE)
    assert "25 jobs" in sentence
    assert "j19 of ada" in sentence
    assert sentence.partition(" and ")[2].startswith("5 more")


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (queue_objects(), False),
        (queue_objects(["aiinfn-system-none"]), True),
        (queue_objects(local=["o-f"]), True),
    ],
)
def test_jobs_are_only_looked_at_where_something_goes(after: Iterator[Any], expected: bool) -> None:
    assert BEFORE.lost(usage_check.Queues.of(after)) is expected
