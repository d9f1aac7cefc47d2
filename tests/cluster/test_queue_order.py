"""Kueue with the queues of the platform file: who goes first, what waits, what comes back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from aiinfn_hub.kube import names
from tests.cluster import workloads
from tests.cluster.harness import Cluster, has_condition, wait_for
from tests.cluster.site import INSTANCE, Site
from tests.cluster.workbench import BACKGROUND, is_running
from tests.cluster.workloads import OBEDIENT, T4

BATCH, SESSIONS = "aiinfn-batch", "aiinfn-sessions"
JOBS = f"/apis/batch/v1/namespaces/{BATCH}/jobs"
WORKLOADS = f"/apis/kueue.x-k8s.io/v1beta2/namespaces/{BATCH}/workloads"
PODS = f"/api/v1/namespaces/{BATCH}/pods"
SESSION_PODS = f"/api/v1/namespaces/{SESSIONS}/pods"
MODEL = "nvidia.com/gpu.product"


def affinity(labels: dict[str, str]) -> dict[str, Any]:
    """The accelerator's model is required, as in every pod of the platform."""
    terms = [{"key": key, "operator": "In", "values": [value]} for key, value in labels.items()]
    required = {"nodeSelectorTerms": [{"matchExpressions": terms}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


class Queues:
    """Jobs in the platform's queues."""

    def __init__(self, cluster: Cluster) -> None:
        self.api = cluster.api

    def submit(
        self,
        name: str,
        project: Any,
        queue: str = "opportunistic",
        devices: Any = T4,
        seconds: float | None = None,
        labels: dict[str, str] | None = None,
        **more: Any,
    ) -> None:
        command = OBEDIENT if seconds is None else ("sleep", str(seconds))
        job = workloads.job(name, devices, command, **more)
        job["metadata"]["labels"] = {
            names.QUEUE_LABEL: names.local_queue(queue, project),
            names.QUEUE_PRIORITY_LABEL: INSTANCE.queue_priority_class(queue),
        }
        pod = job["spec"]["template"]["spec"]
        pod["priorityClassName"] = INSTANCE.batch_priority_class
        model = {MODEL: "Tesla-T4"} if devices == T4 else {}
        if wanted := {**model, **(labels or {})}:
            pod["affinity"] = affinity(wanted)
        self.api.post(JOBS, job)

    def workload(self, job: str) -> dict[str, Any]:
        for item in self.api.get(WORKLOADS)["items"]:
            if any(owner["name"] == job for owner in item["metadata"].get("ownerReferences", [])):
                return item
        return {}

    def admitted(self, *jobs: Any) -> list[str]:
        return [job for job in jobs if has_condition(self.workload(job), "Admitted")]

    def flavors(self, job: str) -> set[str]:
        sets = self.workload(job)["status"]["admission"]["podSetAssignments"]
        return {flavor for each in sets for flavor in each["flavors"].values()}

    def running(self, job: str) -> bool:
        pods = self.api.get(f"{PODS}?labelSelector=batch.kubernetes.io/job-name%3D{job}")["items"]
        return any(map(is_running, pods))

    def wait_running(self, *jobs: Any) -> None:
        for job in jobs:
            wait_for(f"{job} to run", lambda j=job: self.running(j))  # type: ignore[misc]

    def reason(self, job: str) -> str:
        conditions = self.workload(job).get("status", {}).get("conditions", [])
        return next(
            (c["reason"] for c in conditions if c["type"] == "QuotaReserved" and c["status"] == "False"), ""
        )

    def order_of_start(self, jobs: list[str]) -> list[str]:
        """The jobs in the order in which they were admitted, once all were."""
        wait_for("all to be done", lambda: len([j for j in jobs if self.done(j)]) == len(jobs), 120, 0.2)
        starts = {job: self.api.get(f"{JOBS}/{job}")["status"]["startTime"] for job in jobs}
        return sorted(jobs, key=lambda job: starts[job])

    def done(self, job: str) -> bool:
        return bool(self.api.get(f"{JOBS}/{job}").get("status", {}).get("succeeded"))

    def session(self, name: str, devices: Any = T4) -> None:
        pod = workloads.session(name, devices)
        pod["spec"]["priorityClassName"] = INSTANCE.session_priority_class
        self.api.post(SESSION_PODS, pod)
        wait_for(f"session {name}", lambda: is_running(self.api.get(f"{SESSION_PODS}/{name}")))

    def clear(self) -> None:
        for path in (SESSION_PODS, JOBS):
            for item in self.api.get(path)["items"]:
                self.api.delete(f"{path}/{item['metadata']['name']}", BACKGROUND)
        for path in (SESSION_PODS, PODS, WORKLOADS):
            wait_for("all to go", lambda p=path: not self.api.get(p)["items"])  # type: ignore[misc]


@pytest.fixture
def queues(cluster: Cluster, site: Site) -> Iterator[Queues]:
    made = Queues(cluster)
    made.clear()
    yield made
    made.clear()


def test_each_accelerator_gets_its_own_flavor_and_cpu_jobs_get_none(queues: Any) -> None:
    queues.submit("t4", "flavour")
    queues.submit("slice", "flavour", devices={"nvidia.com/mig-1g.5gb": 1})
    queues.submit(
        "v70",
        "medphys",
        devices={"amd.com/xilinx_v70_gen5x8_qdma_base_2-0": 1},
        labels={"accelerator": "v70"},
    )
    queues.submit("cpu", "medphys", devices={})
    for job in ("t4", "slice", "v70", "cpu"):
        wait_for(f"{job} to be admitted", lambda j=job: queues.admitted(j))  # type: ignore[misc]
    found = {job: queues.flavors(job) for job in ("t4", "slice", "v70", "cpu")}
    assert found == {
        "t4": {INSTANCE.flavor("t4")},
        "slice": {INSTANCE.flavor("slice")},
        "v70": {INSTANCE.flavor("v70")},
        "cpu": {INSTANCE.flavor("none")},
    }
    queues.wait_running("t4", "slice", "v70", "cpu")


def test_a_project_that_used_less_goes_first_however_many_jobs_the_other_submitted_before(
    queues: Any,
) -> None:
    """Two GPUs; flavour fills the line with six jobs before medphys submits its two."""
    first = [f"flavour-{n}" for n in range(6)]
    second = [f"medphys-{n}" for n in range(2)]
    for name in first:
        queues.submit(name, "flavour", seconds=2)
    wait_for("the first two", lambda: len(queues.admitted(*first)) == 2)
    for name in second:
        queues.submit(name, "medphys", seconds=2)
    order = queues.order_of_start(first + second)
    # As they came, medphys would be the last two.
    assert order.index("medphys-0") <= 4, order
    assert max(order.index(name) for name in second) <= 5, order


def test_a_queue_of_higher_priority_goes_first(queues: Any) -> None:
    queues.submit("running-0", "medphys", seconds=6)
    queues.submit("running-1", "medphys", seconds=6)
    wait_for("both", lambda: len(queues.admitted("running-0", "running-1")) == 2)
    for number in range(3):
        queues.submit(f"late-{number}", "medphys", seconds=2)
    queues.submit("urgent", "flavour", queue="short", seconds=2)
    order = queues.order_of_start(["urgent", "late-0", "late-1", "late-2"])
    assert order.index("urgent") <= 1, order


def test_a_job_behind_a_session_says_so_holds_up_nobody_and_starts_when_it_ends(
    queues: Any, figure: Any
) -> None:
    queues.session("one", {"nvidia.com/gpu": 2})
    queues.submit("first", "flavour")
    wait_for("a reason", lambda: queues.reason("first"))
    queues.submit("other", "flavour", devices={"nvidia.com/mig-1g.5gb": 1})
    queues.wait_running("other")
    # Of the flavor that the job wants, and not of one that was merely tried last.
    assert queues.reason("first") == "TopologyPlacementFailed"

    begin = time.monotonic()
    queues.api.delete(f"{SESSION_PODS}/one")
    queues.wait_running("first")
    figure("job behind a session: session deleted to running, s", time.monotonic() - begin)
    queues.submit("second", "flavour")
    queues.submit("third", "flavour")
    wait_for("the second GPU", lambda: len(queues.admitted("second", "third")) == 1)
    (waiting,) = {"second", "third"} - set(queues.admitted("second", "third"))
    wait_for("a reason", lambda: queues.reason(waiting) == "WaitingForQuota")


def test_batch_never_evicts_batch(queues: Any) -> None:
    queues.submit("running-0", "medphys")
    queues.submit("running-1", "medphys")
    queues.wait_running("running-0", "running-1")
    queues.submit("urgent", "flavour", queue="short")
    wait_for("a reason", lambda: queues.reason("urgent") not in ("", "Pending"))
    time.sleep(3)
    assert queues.admitted("running-0", "running-1", "urgent") == ["running-0", "running-1"]


def test_what_was_evicted_keeps_its_place(queues: Any) -> None:
    queues.submit("running-0", "flavour")
    queues.submit("running-1", "flavour")
    queues.wait_running("running-0", "running-1")
    time.sleep(1.1)
    queues.submit("later", "flavour")
    queues.session("one")  # its victim is one of the two, by kube-scheduler
    wait_for("a victim", lambda: len(queues.admitted("running-0", "running-1")) == 1, 90)
    (victim,) = {"running-0", "running-1"} - set(queues.admitted("running-0", "running-1"))
    path = f"/apis/visibility.kueue.x-k8s.io/v1beta2/namespaces/{BATCH}/localqueues/{names.local_queue('opportunistic', 'flavour')}/pendingworkloads"

    def line() -> list[Any]:
        items = sorted(queues.api.get(path)["items"], key=lambda item: item["positionInLocalQueue"])
        return [item["metadata"]["ownerReferences"][0]["name"] for item in items]

    wait_for("the line", lambda: line() == [victim, "later"], 60)
