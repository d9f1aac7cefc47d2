"""Several platforms in one cluster: no name is shared, and whose an object is can be told."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from pydantic import ValidationError

from aiinfn_hub.kube import names
from aiinfn_hub.kube.apply import apply, kinds, ownership, removal
from aiinfn_hub.platform.model.platform import Platform
from tests.unit.test_queues import FILE

LABELS = names.Labels()
OURS = names.Instance("aiinfn-system")
STAGE = {
    "sessions_namespace": "stage-sessions",
    "batch_namespace": "stage-batch",
    "system_namespace": "stage-system",
}


def platform(**settings: Any) -> Platform:
    data = copy.deepcopy(FILE)
    data["kubernetes"] |= settings
    return Platform.model_validate(data)


def identities(where: Platform) -> set[tuple[str, str, str]]:
    return {
        (each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"])
        for each in apply.wanted(where)
    }


def test_two_platforms_with_namespaces_of_their_own_share_no_object_at_all() -> None:
    one, other = identities(platform()), identities(platform(**STAGE))
    assert len(one) == len(other) > 20
    assert not one & other


def test_two_instances_on_the_same_namespaces_share_only_what_lies_in_them() -> None:
    shared = identities(platform()) & identities(platform(instance="stage"))
    assert shared
    assert all(kinds.BY_NAME[kind].namespaced or kind == "Namespace" for kind, _, _ in shared)


def test_every_object_is_marked_with_the_instance_and_refers_to_its_own_only() -> None:
    found = apply.wanted(platform(**STAGE))
    assert {each["metadata"]["labels"][LABELS.managed] for each in found} == {"stage-system"}
    by_kind: dict[str, set[str]] = {}
    for each in found:
        by_kind.setdefault(each["kind"], set()).add(each["metadata"]["name"])
    for each in found:
        spec = each.get("spec", {})
        assert {spec.get("cohortName")} <= by_kind["Cohort"] | {None}
        assert {spec.get("topologyName")} <= by_kind["Topology"] | {None}
        assert {spec.get("clusterQueue")} <= by_kind["ClusterQueue"] | {None}
        flavors = {f["name"] for group in spec.get("resourceGroups", []) for f in group["flavors"]}
        assert flavors <= by_kind["ResourceFlavor"]
        role = each.get("roleRef", {})
        assert not role or role["name"] in by_kind[role["kind"]]


def test_the_first_instance_is_named_as_older_versions_named_everything() -> None:
    first = names.Instance("aiinfn")
    assert first.field_manager == "aiinfn"
    assert first.marks == ("aiinfn", "true")
    assert first.cluster_queue("opportunistic") == "aiinfn-opportunistic"
    assert (first.session_priority_class, first.topology, first.cohort) == (
        "aiinfn-session",
        "aiinfn",
        "aiinfn",
    )
    assert first.cluster_role("vkd") == "aiinfn-vkd"
    assert OURS.marks == ("aiinfn-system",)


@pytest.mark.parametrize("name", ["aiinfn", "stage", "a" * 40])
def test_a_field_manager_leads_back_to_its_instance(name: str) -> None:
    manager = names.Instance(name).field_manager
    assert names.instance_of_manager(manager) == name
    assert len(manager) <= 128
    assert names.instance_of_manager("kubectl") is None
    assert names.instance_of_manager("aiinfns") is None


@pytest.mark.parametrize("name", ["", "A", "1st", "-a", "a-", "a.b", "a_b", "a" * 41, "a/b", True])
def test_what_no_object_can_be_called_is_no_instance(name: Any) -> None:
    with pytest.raises(ValidationError):
        platform(instance=name)


def test_names_of_a_long_instance_stay_within_what_a_label_may_hold() -> None:
    long = "i" * 40
    found = apply.wanted(platform(instance=long))
    assert all(len(each["metadata"]["name"]) <= 63 for each in found)
    deep = names.Instance(long)
    assert len({deep.cluster_queue("q" * 62), deep.cluster_queue("q" * 63)}) == 2


def live(*managers: tuple[str, str], mark: str = "") -> dict[str, Any]:
    fields = [{"manager": name, "operation": operation} for name, operation in managers]
    return {"metadata": {"managedFields": fields, "labels": {LABELS.managed: mark} if mark else {}}}


@pytest.mark.parametrize(
    ("body", "ours", "owner"),
    [
        (live(("aiinfn-aiinfn-system", "Apply"), mark="aiinfn-system"), True, None),
        (live(("aiinfn-aiinfn-system", "Apply"), ("kueue", "Update")), True, None),
        (live(("aiinfn-stage", "Apply"), mark="stage"), False, "stage"),
        (live(("aiinfn-stage", "Apply")), False, "stage"),  # whatever its labels say
        (live(("aiinfn-stage", "Apply"), ("aiinfn-aiinfn-system", "Apply")), True, "stage"),
        (live(("aiinfn", "Apply"), mark="true"), False, "aiinfn"),
        (live(("aiinfn-stage", "Update")), False, None),
        (live(("kubectl", "Apply"), mark="aiinfn-system"), False, None),
        ({"metadata": {}}, False, None),
    ],
)
def test_whose_an_object_is_says_who_applied_it(body: Any, ours: bool, owner: str | None) -> None:
    assert ownership.is_ours(body, OURS) is ours
    found = ownership.foreign(body, "Cohort x", OURS, LABELS)
    assert (found.owner if found else None) == owner


def test_what_is_in_the_way_is_told_once_for_each_other_platform() -> None:
    theirs = [
        ownership.foreign(live(("aiinfn-stage", "Apply"), mark="stage"), f"Role r{n}", OURS, LABELS)
        for n in range(10)
    ]
    (told,) = ownership.sentences(each for each in theirs if each)
    assert told.startswith("Role r0, Role r1")
    assert "and 2 more: of another platform in this cluster, stage, which is never changed" in told


def test_what_an_older_version_made_is_told_with_how_to_keep_it() -> None:
    found = ownership.foreign(live(("aiinfn", "Apply"), mark="true"), "Namespace n", OURS, LABELS)
    assert found is not None
    (told,) = ownership.sentences([found])
    assert "made by an older version" in told
    assert "write instance: aiinfn under kubernetes" in told
    assert "aiinfn-hub kueue remove" in told


def test_whatever_an_object_of_kueue_names_is_found_before_it_is_removed() -> None:
    found = apply.wanted(platform())
    made = {(each["kind"], each["metadata"]["name"]) for each in found}
    needed: dict[str, set[str]] = {}
    for each in found:
        for what, which in removal.named_by(each["kind"], each.get("spec", {})):
            if which:
                assert (what, which) in made
                needed.setdefault(each["kind"], set()).add(what)
                # Who names something goes before it.
                assert kinds.BY_NAME[each["kind"]].stage > kinds.BY_NAME[what].stage
    assert needed == {
        "ResourceFlavor": {"Topology"},
        "Cohort": {"ResourceFlavor"},
        "ClusterQueue": {"Cohort", "ResourceFlavor"},
        "LocalQueue": {"ClusterQueue"},
    }
