"""Batch through Kueue, and sessions that take what they need from it."""

import time
from datetime import UTC, datetime
from typing import Any

from tests.cluster import workloads
from tests.cluster.harness import wait_for
from tests.cluster.workbench import is_running
from tests.cluster.workloads import STUBBORN, T4, T4_LABEL

# Longer than Kueue's recoveryTimeout and its back-off together: a wrong admission would come in this time.
PHANTOM_WATCH = 12


def fill(workbench: Any, *names: Any, **keywords: Any) -> None:
    """Take every GPU of the node with jobs, and wait until Kueue has seen them ready."""
    for name in names:
        workbench.submit(name, T4, labels=T4_LABEL, **keywords)
    for name in names:
        workbench.wait_running(name)
    workbench.wait_steady(*names)


def test_a_job_is_admitted_runs_and_completes(workbench: Any, figure: Any) -> None:
    begin = time.monotonic()
    workbench.submit("short", T4, ("sh", "-c", "echo done"), T4_LABEL)
    wait_for("admission", lambda: workbench.workload_is("short", "Admitted"), interval=0.02)
    figure("job: creation to admitted, s", time.monotonic() - begin)
    wait_for("its end", lambda: workbench.job("short")["status"].get("succeeded") == 1)
    figure("job: creation to succeeded, s", time.monotonic() - begin)

    wait_for("Kueue to notice", lambda: workbench.workload_is("short", "Finished"))
    flavors = workbench.workload("short")["status"]["admission"]["podSetAssignments"][0]["flavors"]
    assert flavors["nvidia.com/gpu"] == "t4"


def test_waiting_jobs_have_a_place_in_the_queue_and_a_reason(workbench: Any) -> None:
    fill(workbench, "first", "second")
    workbench.submit("third", T4, labels=T4_LABEL)
    wait_for("third to wait", lambda: "third" in workbench.positions())
    # Creation times have whole seconds: of two jobs of the same second, either may be first.
    second = workbench.workload("third")["metadata"]["creationTimestamp"]
    wait_for("the next second", lambda: f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}" > second)
    workbench.submit("fourth", T4, labels=T4_LABEL)
    wait_for("fourth to wait", lambda: "fourth" in workbench.positions())

    assert workbench.positions() == {"third": 0, "fourth": 1}
    reserved = next(
        c for c in workbench.workload("third")["status"]["conditions"] if c["type"] == "QuotaReserved"
    )
    assert reserved["status"] == "False"
    assert reserved["reason"] in ("WaitingForQuota", "TopologyPlacementFailed"), reserved

    workbench.remove_job("first")
    workbench.wait_running("third")
    wait_for("the queue to move", lambda: workbench.positions() == {"fourth": 0})


def test_a_session_evicts_batch_and_the_victim_waits_honestly_and_comes_back(
    workbench: Any, figure: Any
) -> None:
    fill(workbench, "one", "two")

    took = workbench.start_session("urgent", T4, labels=T4_LABEL)
    figure("session, every GPU taken by batch: creation to running, s", took)
    # The victim ends at SIGTERM: the session does not even wait for its grace period of 5 s, of the bound grace + 2 s.
    assert took < 7

    begin = time.monotonic()
    victim = wait_for("an evicted workload", lambda: workbench.evicted("one", "two"))
    survivor = {"one": "two", "two": "one"}[victim]
    figure("victim: called evicted after, s", time.monotonic() - begin)
    # Kueue says first that it evicts, and releases the quota when the pods are gone.
    wait_for(
        "the victim to give back its quota",
        lambda: not workbench.workload_is(victim, "Admitted") and not workbench.pods_of(victim),
    )
    end = time.monotonic() + PHANTOM_WATCH
    while time.monotonic() < end:
        assert not workbench.workload_is(victim, "Admitted"), "admitted onto nothing"
        assert not workbench.pods_of(victim)
        time.sleep(0.5)
    assert list(workbench.positions()) == [victim]
    assert any(map(is_running, workbench.pods_of(survivor)))

    workbench.end_session("urgent")
    figure("victim: session deleted to running again, s", workbench.wait_running(victim))
    assert not workbench.workload_is(victim, "Evicted")


def test_a_session_starts_while_kueue_is_dead_and_kueue_puts_it_right_afterwards(
    cluster: Any, workbench: Any, figure: Any
) -> None:
    fill(workbench, "one", "two")

    cluster.kill("kueue")
    try:
        took = workbench.start_session("urgent", T4, labels=T4_LABEL)
    finally:
        cluster.start("kueue")

    figure("the same while Kueue is dead, s", took)
    assert took < 7
    victim = wait_for("Kueue to notice", lambda: workbench.evicted("one", "two"))
    workbench.end_session("urgent")
    workbench.wait_running(victim)


def test_a_job_that_ignores_sigterm_costs_the_session_its_grace_period_and_no_more(
    workbench: Any, figure: Any
) -> None:
    fill(workbench, "one", "two", command=STUBBORN, grace=4)

    took = workbench.start_session("patient", T4, labels=T4_LABEL)

    figure("victim ignores SIGTERM, grace 4 s: creation to running, s", took)
    assert 4 <= took < 4 + 5


def test_what_kueue_evicts_is_back_at_once_each_time(workbench: Any, figure: Any) -> None:
    """Unlike what kube-scheduler evicts: for that the Job controller waits 10, 20, 40 s ... before the next pod."""
    workbench.submit("often", {"nvidia.com/gpu": 2}, labels=T4_LABEL)
    for number in range(1, 4):
        workbench.wait_running("often")
        workbench.wait_steady("often")
        workbench.set_active("often", False)
        wait_for("its pods to go", lambda: not workbench.pods_of("often"))
        workbench.set_active("often", True)
        took = workbench.wait_running("often")
        figure(f"evicted by Kueue, time {number}: back after, s", took)
        assert took < 8  # the Job controller's back-off would be 10 s at least, and 40 s the third time


def test_a_job_below_the_restricted_standard_never_gets_a_pod(cluster: Any, workbench: Any) -> None:
    work = workloads.job("bad")
    work["spec"]["template"]["spec"]["hostPID"] = True
    cluster.api.post("/apis/batch/v1/namespaces/batch/jobs", work)

    def refusals() -> list[Any]:
        events = cluster.api.get("/api/v1/namespaces/batch/events?fieldSelector=reason%3DFailedCreate")[
            "items"
        ]
        return [e["message"] for e in events if e["involvedObject"]["name"] == "bad"]

    assert "violates PodSecurity" in wait_for("the refusal", refusals)[0]
    assert workbench.pods_of("bad") == []
