"""From a granted job to a Job object, and from objects of the cluster to the facts that are kept."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aiinfn_hub.contract.jobs import RunSpec, Work
from aiinfn_hub.kube import names
from aiinfn_hub.kube.objects import jobs
from aiinfn_hub.platform.model.accelerators import Accelerator
from aiinfn_hub.platform.model.images import Image
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.model.projects import Project, Queue, Size
from aiinfn_hub.platform.model.settings import Limits
from aiinfn_hub.platform.selection import Door, Selection
from aiinfn_hub.vkd.backends.kubernetes import facts, status_text
from aiinfn_hub.vkd.backends.kubernetes.status_text import waiting

T4 = Accelerator.model_validate(
    {"title": "T4", "kind": "gpu", "resource": "nvidia.com/gpu", "node_labels": {"model": "T4"}}
)
PLATFORM = Platform(
    accelerators={"t4": T4},
    images={"standard": Image.model_validate({"title": "Standard", "reference": "example.org/standard:1"})},
    sizes={"small": Size.model_validate({"title": "Small", "cores": 1, "memory": "1Gi"})},
    projects={"flavour": Project(title="Flavour", groups=("org/flavour",))},
    queues={"main": Queue(title="Main")},
    limits=Limits(grace=timedelta(seconds=30)),
)
SELECTION = Selection(
    door=Door.JOB, person="ada@infn.it", project="flavour", image_name="standard", image=PLATFORM.images["standard"],
    size_name="small", size=PLATFORM.sizes["small"], accelerator_name="t4", accelerator=T4, count=1,
    queue_name="main", priority=0, time_limit=timedelta(minutes=90),
)  # fmt: skip
WORK = Work(
    kind="notebook",
    path="a/b.ipynb",
    snapshot=".aiinfn/jobs/x/b.ipynb",
    kernel="python3",
    parameters={"x": 1},
)
LABEL = "ai.infn.it/job"


def test_the_job_is_suspended_bounded_and_survives_evictions() -> None:
    made = jobs.job("abc", SELECTION, WORK, "a/b.abc.ipynb", PLATFORM)
    spec = made["spec"]
    assert made["metadata"]["name"] == "job-abc"
    assert made["metadata"]["labels"][names.QUEUE_LABEL] == names.local_queue("main", "flavour")
    assert made["metadata"]["labels"][names.QUEUE_PRIORITY_LABEL] == names.Instance(
        "aiinfn-system"
    ).queue_priority_class("main")
    assert (spec["suspend"], spec["backoffLimit"], spec["activeDeadlineSeconds"]) == (True, 0, 5400 + 1800)
    assert spec["ttlSecondsAfterFinished"] == 86400
    assert spec["podFailurePolicy"]["rules"][0]["onPodConditions"][0]["type"] == "DisruptionTarget"
    pod = spec["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] == 10  # of the 30 s that the file allows a local job
    assert pod["containers"][0]["command"] == list(jobs.RUNNER)
    json.dumps(made)


def test_the_time_limit_runs_from_the_start_of_the_container() -> None:
    begin = datetime(2026, 11, 24, 12, tzinfo=UTC)
    assert jobs.deadline(SELECTION, begin, begin + timedelta(minutes=7)) == 5400 + 420
    assert jobs.deadline(SELECTION, begin, begin - timedelta(seconds=1)) == 5400


def test_a_job_keeps_off_nodes_beside_what_its_accelerator_requires() -> None:
    def terms(avoid: tuple[str, ...]) -> Any:
        spec = jobs.job("abc", SELECTION, WORK, "out", PLATFORM, avoid=avoid)["spec"]["template"]["spec"]
        return (
            spec.get("affinity", {})
            .get("nodeAffinity", {})
            .get("requiredDuringSchedulingIgnoredDuringExecution")
        )

    usual = terms(())
    (term,) = terms(("n2", "n1", "n1"))["nodeSelectorTerms"]
    assert term["matchFields"] == [
        {"key": "metadata.name", "operator": "NotIn", "values": [node]} for node in ("n1", "n2")
    ]
    assert term.get("matchExpressions") == (
        usual["nodeSelectorTerms"][0]["matchExpressions"] if usual else None
    )


def test_the_runner_reads_everything_from_the_pods_own_annotation() -> None:
    template = jobs.job("abc", SELECTION, WORK, "a/b.abc.ipynb", PLATFORM)["spec"]["template"]
    spec = RunSpec.model_validate_json(template["metadata"]["annotations"]["ai.infn.it/run-spec"])
    assert (spec.job, spec.attempt, spec.work) == ("abc", 0, WORK)
    assert spec.home == template["spec"]["containers"][0]["workingDir"]
    volume = next(v for v in template["spec"]["volumes"] if v["name"] == "run-spec")
    item = volume["downwardAPI"]["items"][0]
    assert item["fieldRef"]["fieldPath"] == "metadata.annotations['ai.infn.it/run-spec']"
    mount = next(m for m in template["spec"]["containers"][0]["volumeMounts"] if m["name"] == "run-spec")
    assert f"{mount['mountPath']}/{item['path']}" == jobs.RUNNER[-1]


def condition(kind: str, status: str = "True", reason: str = "R") -> dict[str, Any]:
    return {"type": kind, "status": status, "reason": reason}


def workload(*conditions: Any, **spec: Any) -> facts.WorkloadFacts | None:
    owner = {"kind": "Job", "name": "job-abc"}
    return facts.read_workload(
        {
            "metadata": {"uid": "w", "name": "job-job-abc-1", "ownerReferences": [owner]},
            "spec": spec,
            "status": {"conditions": list(conditions)},
        }
    )


def test_what_is_read_of_a_workload() -> None:
    assert workload().job_id == "abc"
    assert workload().active
    assert not workload(active=False).active
    assert workload(condition("Evicted", reason="Preempted")).evicted == "Preempted"
    # It turns False after readmission instead of going away.
    assert workload(condition("Evicted", "False", "Preempted")).evicted is None
    assert workload(condition("Admitted")).admitted
    assert workload(condition("QuotaReserved", "False", "WaitingForQuota")).waiting == "WaitingForQuota"
    held = condition("QuotaReserved", "False", "Inadmissible")
    held["message"] = "resources didn't satisfy LimitRange constraints: spec.podSets[0]: Invalid value"
    assert workload(held).waiting == facts.LIMIT_RANGE
    assert "LimitRange" in str(status_text.waiting(facts.LIMIT_RANGE, SELECTION, 1, admitted=False))
    assert facts.read_workload({"metadata": {"uid": "w", "name": "x"}}) is None


def test_what_is_read_of_a_job() -> None:
    item = {"metadata": {"uid": "j", "labels": {LABEL: "abc"}}, "spec": {"suspend": True}}
    assert facts.read_job(item, LABEL).suspended
    assert facts.read_job({"metadata": {"uid": "j"}}, LABEL) is None
    item["status"] = {"conditions": [condition("FailureTarget", reason="DeadlineExceeded")]}
    assert facts.read_job(item, LABEL).failed == "DeadlineExceeded"
    item["status"] = {"conditions": [condition("Complete")]}
    assert facts.read_job(item, LABEL).succeeded


NOON = "2026-11-24T12:00:00Z"
AT = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, {"over": False, "started": None}),
        ({"phase": "Running", "containerStatuses": [{"state": {"running": {"startedAt": NOON}}}]}, {"started": AT, "over": False}),
        ({"phase": "Pending", "containerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull", "message": "no"}}}]}, {"stuck": "ErrImagePull", "stuck_message": "no"}),
        ({"phase": "Failed", "containerStatuses": [{"state": {"terminated": {"exitCode": 137, "reason": "OOMKilled", "startedAt": NOON, "finishedAt": NOON}}}]}, {"over": True, "exit_code": 137, "ended_by": "OOMKilled", "ended": AT}),
        ({"phase": "Failed", "containerStatuses": [{"state": {"terminated": {"exitCode": 128, "reason": "StartError", "startedAt": "1970-01-01T00:00:00Z"}}}]}, {"started": None, "over": True}),
        ({"phase": "Failed", "reason": "OutOfcpu"}, {"refused": "OutOfcpu", "over": True}),
        ({"phase": "Failed", "conditions": [condition("DisruptionTarget", reason="PreemptionByScheduler")]}, {"disrupted": "PreemptionByScheduler"}),
        ({"conditions": [condition("PodScheduled", "False", "Unschedulable")]}, {"unschedulable": True}),
        ({"conditions": [condition("PodScheduled", "False", "SchedulingGated")]}, {"unschedulable": False}),
    ],
)  # fmt: skip
def test_what_is_read_of_a_pod(status: dict[str, Any], expected: dict[str, Any]) -> None:
    item = {"metadata": {"uid": "p", "name": "job-abc-x", "labels": {LABEL: "abc"}}, "status": status}
    pod = facts.read_pod(item, LABEL)
    assert {key: getattr(pod, key) for key in expected} == expected


@pytest.mark.parametrize(
    ("reason", "largest", "admitted", "words"),
    [
        (None, 4, False, None),
        (None, 0, False, "no node has T4 now"),
        ("TopologyPlacementFailed", 0, False, "no node has T4 now"),
        ("TopologyPlacementFailed", 4, False, "all T4 are in use"),
        ("WaitingForQuota", 4, False, "all T4 are in use"),
        ("OnHold", 4, False, "its queue is stopped by the operators"),
        ("ExceedsMaxQuota", 4, False, "it asks for more than batch may ever use"),
        ("Something new", 4, False, "all T4 are in use"),
        ("WaitingForQuota", 4, True, "it is about to start"),
    ],
)
def test_why_a_job_waits_is_said_without_kueues_own_text(
    reason: str | None, largest: int, admitted: bool, words: str | None
) -> None:
    found = waiting(reason, SELECTION, largest, admitted=admitted)
    assert (found and str(found)) == words


def test_a_job_that_asks_for_more_than_any_node_has_says_so() -> None:
    two = SELECTION.model_copy(update={"count": 2})
    assert (
        str(waiting("TopologyPlacementFailed", two, 1, admitted=False)) == "no node has 2 x T4, the most is 1"
    )
