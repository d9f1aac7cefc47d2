"""From what the cluster shows of a job to what is told of it, as tables."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aiinfn_hub.contract.jobs import Work
from aiinfn_hub.contract.states import TRANSITIONS, Cause, JobState
from aiinfn_hub.platform.model.accelerators import Accelerator
from aiinfn_hub.platform.model.images import Image
from aiinfn_hub.platform.model.projects import Size
from aiinfn_hub.platform.selection import Door, Selection
from aiinfn_hub.vkd.backends.kubernetes.facts import (
    JobFacts,
    JobPodFacts,
    Seen,
    WorkloadFacts,
)
from aiinfn_hub.vkd.backends.kubernetes.lifecycle import Known, advance
from aiinfn_hub.vkd.backends.kubernetes.updates import update_of
from aiinfn_hub.vkd.domain.backend import BackendJob

Q, S, R = JobState.QUEUED, JobState.STARTING, JobState.RUNNING
OK, BAD, OFF = JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED
AT = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SELECTION = Selection(
    door=Door.JOB, person="ada", project="flavour",
    image_name="standard", image=Image.model_validate({"title": "Standard", "reference": "example.org/standard:1"}),
    size_name="small", size=Size.model_validate({"title": "Small", "cores": 1, "memory": "2Gi"}),
    accelerator_name="t4", accelerator=Accelerator.model_validate({"title": "NVIDIA T4", "kind": "gpu", "resource": "nvidia.com/gpu"}),
    count=1, queue_name="main", priority=0, time_limit=timedelta(hours=1),
)  # fmt: skip

WORK = Work(kind="script", path="run.py", snapshot=".aiinfn/jobs/x/run.py")
RUNS = JobFacts("j", "a", suspended=False, started=AT)
HELD = replace(RUNS, suspended=True)
DONE = replace(RUNS, succeeded=True, completed=AT)
LATE = replace(RUNS, failed="DeadlineExceeded")
BROKE = replace(RUNS, failed="BackoffLimitExceeded")
GOING = replace(RUNS, ending=True)
ADMITTED = WorkloadFacts("w", "job-a-1", "a", admitted=True)


def pod(uid: str = "p1", **facts: Any) -> JobPodFacts:
    return JobPodFacts(uid, f"job-a-{uid}", "a", facts.pop("created", "2026-11-24T12:00:00Z"), **facts)


GATED = pod()
PLACED = pod(node="n")
UP = replace(PLACED, phase="Running", started=AT)
FINISHED = replace(UP, phase="Succeeded", over=True, exit_code=0, ended=AT)
FAILED = replace(UP, phase="Failed", over=True, exit_code=1, ended=AT)
KILLED = replace(FAILED, exit_code=75, ending=True)
EVICTED = replace(KILLED, disrupted="PreemptionByScheduler")


def seen(job: Any = RUNS, workload: WorkloadFacts | None = ADMITTED, *pods: Any) -> Seen:
    return Seen(job, workload, {each.uid: each for each in pods})


def kueue_evicts(reason: str) -> Any:
    return replace(ADMITTED, evicted=reason)


NEW, LAST = Known(Q), Known(Q, ("p1",), appeared=True)
STARTING, RUNNING = Known(S, ("p1",), appeared=True), Known(R, ("p1",), appeared=True)

YIELDED = replace(RUNNING, yielded=frozenset({"p1"}))


def cancelling(known: Known) -> Any:
    return replace(known, cancelling=True)


@pytest.mark.parametrize(
    ("known", "shown", "told"),
    [
        # An attempt begins when its pod has a node, not before: nothing is shown running that does not run.
        (NEW, seen(HELD, None), []),
        (NEW, seen(RUNS, ADMITTED), []),
        (NEW, seen(RUNS, ADMITTED, GATED), []),
        (NEW, seen(RUNS, ADMITTED, replace(GATED, unschedulable=True)), []),
        (NEW, seen(RUNS, ADMITTED, PLACED), [(S, Cause.PLACED)]),
        (STARTING, seen(RUNS, ADMITTED, PLACED), []),
        (STARTING, seen(RUNS, ADMITTED, UP), [(R, Cause.STARTED)]),
        (RUNNING, seen(RUNS, ADMITTED, UP), []),
        # What was missed is filled in.
        (NEW, seen(RUNS, ADMITTED, UP), [(S, Cause.PLACED), (R, Cause.STARTED)]),
        (NEW, seen(DONE, None, FINISHED), [(S, Cause.PLACED), (R, Cause.STARTED), (OK, Cause.COMPLETED)]),
        (NEW, seen(DONE, None), [(S, Cause.PLACED), (R, Cause.STARTED), (OK, Cause.COMPLETED)]),
        (STARTING, seen(DONE, None), [(R, Cause.STARTED), (OK, Cause.COMPLETED)]),
        (RUNNING, seen(RUNS, ADMITTED, FINISHED), [(OK, Cause.COMPLETED)]),
        (RUNNING, seen(DONE, None), [(OK, Cause.COMPLETED)]),
        # Its own end.
        (RUNNING, seen(RUNS, ADMITTED, FAILED), [(BAD, Cause.ERROR)]),
        (RUNNING, seen(BROKE, ADMITTED, FAILED), [(BAD, Cause.ERROR)]),
        (RUNNING, seen(RUNS, ADMITTED, replace(FAILED, ended_by="OOMKilled")), [(BAD, Cause.ERROR)]),
        (RUNNING, seen(RUNS, ADMITTED, replace(FAILED, ended_by="ContainerStatusUnknown")), [(Q, Cause.LOST)]),
        (RUNNING, seen(BROKE, ADMITTED, replace(FAILED, ended_by="Unknown", exit_code=255)), [(Q, Cause.LOST)]),
        (RUNNING, seen(BROKE, ADMITTED, replace(FAILED, exit_code=255)), [(BAD, Cause.ERROR)]),
        (replace(RUNNING, rebooted=True), seen(BROKE, ADMITTED, replace(FAILED, exit_code=255)), [(Q, Cause.LOST)]),
        (replace(RUNNING, rebooted=True), seen(BROKE, ADMITTED, FAILED), [(BAD, Cause.ERROR)]),
        (replace(RUNNING, restarts=3), seen(RUNS, ADMITTED, replace(FAILED, ended_by="ContainerStatusUnknown")), [(BAD, Cause.LOST)]),
        (cancelling(RUNNING), seen(RUNS, ADMITTED, replace(FAILED, ended_by="ContainerStatusUnknown")), [(OFF, Cause.CANCELLED)]),
        (STARTING, seen(RUNS, ADMITTED, replace(FAILED, started=None, exit_code=None, refused="OutOfcpu")), [(Q, Cause.START_FAILED)]),
        (STARTING, seen(BROKE, ADMITTED, replace(FAILED, started=None, exit_code=None, refused="UnexpectedAdmissionError")), [(Q, Cause.START_FAILED)]),
        (STARTING, seen(RUNS, ADMITTED, replace(FAILED, started=None, exit_code=None, refused="Evicted")), [(BAD, Cause.LOST)]),
        (RUNNING, seen(RUNS, ADMITTED, replace(FAILED, exit_code=None, refused="Shutdown")), [(Q, Cause.INTERRUPTED)]),
        # Its Job is being made anew.
        (replace(LAST, remaking=True), seen(BROKE, ADMITTED), []),
        (replace(LAST, remaking=True, appeared=False), seen(None, None), []),
        (replace(STARTING, remaking=True), seen(None, None), [(Q, Cause.LOST)]),
        (cancelling(replace(LAST, remaking=True)), seen(None, None), [(OFF, Cause.CANCELLED)]),
        (RUNNING, seen(BROKE, ADMITTED), [(BAD, Cause.LOST)]),
        # Ended by the platform: it waits again, with the reason.
        (RUNNING, seen(RUNS, ADMITTED, replace(UP, ending=True, disrupted="PreemptionByScheduler")), []),
        (RUNNING, seen(RUNS, ADMITTED, EVICTED), [(Q, Cause.PREEMPTED)]),
        (RUNNING, seen(HELD, ADMITTED, KILLED), [(Q, Cause.INTERRUPTED)]),
        (YIELDED, seen(HELD, ADMITTED, KILLED), [(Q, Cause.PREEMPTED)]),
        (YIELDED, seen(HELD, None), [(Q, Cause.PREEMPTED)]),
        (YIELDED, seen(HELD, ADMITTED, EVICTED), [(Q, Cause.PREEMPTED)]),
        # What failed, or reached its limit, just before it was to make room: its Job never runs again.
        (YIELDED, seen(RUNS, ADMITTED, FAILED), [(BAD, Cause.ERROR)]),
        (YIELDED, seen(BROKE, ADMITTED, FAILED), [(BAD, Cause.ERROR)]),
        (YIELDED, seen(HELD, ADMITTED, replace(FAILED, exit_code=137, ended_by="OOMKilled")), [(BAD, Cause.ERROR)]),
        (YIELDED, seen(BROKE, None), [(BAD, Cause.LOST)]),
        (YIELDED, seen(LATE, ADMITTED, KILLED), [(BAD, Cause.TIME_LIMIT)]),
        (YIELDED, seen(LATE, None), [(BAD, Cause.TIME_LIMIT)]),
        (YIELDED, seen(DONE, None), [(OK, Cause.COMPLETED)]),
        (STARTING, seen(HELD, kueue_evicts("PodsReadyTimeout")), [(Q, Cause.START_FAILED)]),
        (RUNNING, seen(HELD, kueue_evicts("PodsReadyTimeout")), [(Q, Cause.LOST)]),
        (RUNNING, seen(HELD, kueue_evicts("Deactivated"), KILLED), [(Q, Cause.INTERRUPTED)]),
        (RUNNING, seen(HELD, kueue_evicts("NodeFailures"), KILLED), [(Q, Cause.LOST)]),
        (RUNNING, seen(RUNS, ADMITTED, replace(EVICTED, disrupted="EvictionByEvictionAPI")), [(Q, Cause.INTERRUPTED)]),
        (RUNNING, seen(RUNS, ADMITTED, replace(UP, ending=True, disrupted="DeletionByTaintManager")), [(Q, Cause.LOST)]),
        # The time limit, in whichever order it is seen.
        (RUNNING, seen(LATE, ADMITTED, KILLED), [(BAD, Cause.TIME_LIMIT)]),
        (RUNNING, seen(LATE, ADMITTED), [(BAD, Cause.TIME_LIMIT)]),
        (NEW, seen(LATE, ADMITTED), [(BAD, Cause.TIME_LIMIT)]),
        (RUNNING, seen(RUNS, ADMITTED, KILLED), []),
        # Cancelling: success is success, everything else is cancelled.
        (cancelling(NEW), seen(RUNS, ADMITTED), []),
        (cancelling(NEW), seen(None, None), [(OFF, Cause.CANCELLED)]),
        (cancelling(NEW), seen(None, None, GATED), []),
        (cancelling(RUNNING), seen(GOING, ADMITTED, UP), []),
        (cancelling(RUNNING), seen(None, None, KILLED), [(OFF, Cause.CANCELLED)]),
        (cancelling(RUNNING), seen(None, None), [(OFF, Cause.CANCELLED)]),
        (cancelling(RUNNING), seen(None, None, FINISHED), [(OK, Cause.COMPLETED)]),
        (cancelling(YIELDED), seen(None, None), [(OFF, Cause.CANCELLED)]),
        (cancelling(RUNNING), seen(LATE, ADMITTED, KILLED), [(OFF, Cause.CANCELLED)]),
        (cancelling(RUNNING), seen(LATE, None), [(OFF, Cause.CANCELLED)]),
        (cancelling(RUNNING), seen(BROKE, None), [(OFF, Cause.CANCELLED)]),
        (cancelling(RUNNING), seen(BROKE, ADMITTED, FAILED), [(OFF, Cause.CANCELLED)]),
        # A Job that somebody deleted.
        (LAST, seen(None, None), [(OFF, Cause.CANCELLED)]),
        (NEW, seen(None, None), []),
        # A second attempt.
        (LAST, seen(RUNS, ADMITTED, pod("p2", node="n")), [(S, Cause.PLACED)]),
        (RUNNING, seen(RUNS, ADMITTED, EVICTED, pod("p2", node="n", created="2026-11-24T13:00:00Z")), [(Q, Cause.PREEMPTED), (S, Cause.PLACED)]),
        (LAST, seen(RUNS, ADMITTED, EVICTED), []),
    ],
)  # fmt: skip
def test_what_is_told(known: Known, shown: Seen, told: list[tuple[JobState, Cause]]) -> None:
    advice = advance(known, shown, SELECTION)
    assert [(step.state, step.cause) for step in advice.steps] == told
    before = known.state
    for step in advice.steps:
        assert step.state in TRANSITIONS[before]
        assert step.message or step.own
        before = step.state


@pytest.mark.parametrize(
    ("shown", "told"),
    [
        (seen(RUNS, ADMITTED, KILLED), (Q, Cause.LOST)),
        (seen(RUNS, ADMITTED), (Q, Cause.LOST)),
        (seen(None, None), (OFF, Cause.CANCELLED)),
        (seen(None, None, KILLED), (OFF, Cause.CANCELLED)),
    ],
)
def test_where_two_watches_may_disagree_it_is_told_only_after_a_while(
    shown: Seen, told: tuple[JobState, Cause]
) -> None:
    doubt = advance(RUNNING, shown, SELECTION).doubt
    assert doubt is not None
    assert advance(RUNNING, shown, SELECTION, (doubt.key, doubt.seconds / 2)).steps == ()
    (step,) = advance(RUNNING, shown, SELECTION, (doubt.key, doubt.seconds)).steps
    assert (step.state, step.cause) == told
    assert advance(RUNNING, shown, SELECTION, ("something else", 99)).steps == ()


@pytest.mark.parametrize(
    ("reason", "message", "at_once", "words"),
    [
        ("ContainerCreating", "", None, ""),
        ("ErrImageNeverPull", "", True, "not on the node"),
        ("InvalidImageName", "", True, "no valid name"),
        ("ErrImagePull", "example.org/standard:1: not found", True, "does not exist"),
        ("ImagePullBackOff", "Back-off: manifest unknown", True, "does not exist"),
        ("ErrImagePull", "pull access denied", True, "does not give"),
        ("ImagePullBackOff", "dial tcp: i/o timeout", False, "two minutes"),
        ("CreateContainerConfigError", "", False, "could not be made"),
    ],
)
def test_a_job_that_cannot_start_ends_early_and_says_what_to_do(
    reason: str, message: str, at_once: bool | None, words: str
) -> None:
    shown = seen(RUNS, ADMITTED, replace(PLACED, stuck=reason, stuck_message=message))
    advice = advance(STARTING, shown, SELECTION)
    if at_once is None:
        assert advice.steps == ()
        assert advice.doubt is None
        return
    if not at_once:
        assert advice.steps == ()
        advice = advance(STARTING, shown, SELECTION, (advice.doubt.key, 999))
    (step,) = advice.steps
    assert (step.state, step.cause, step.remove) == (BAD, Cause.START_FAILED, True)
    assert words in str(step.message)
    assert message == "" or message not in str(step.message)


def test_a_refusal_by_a_node_says_which_and_has_the_job_made_anew() -> None:
    shown = seen(
        BROKE, ADMITTED, replace(FAILED, started=None, exit_code=None, refused="OutOfnvidia.com/gpu")
    )
    (step,) = advance(STARTING, shown, SELECTION).steps
    assert (step.remake, step.refused_by, step.refused) == (True, "n", "OutOfnvidia.com/gpu")
    assert str(step.message) == "Its node n did not take it in (OutOfnvidia.com/gpu); waiting again."
    shown = seen(BROKE, ADMITTED, replace(FAILED, ended_by="Unknown", exit_code=255))
    (step,) = advance(RUNNING, shown, SELECTION).steps
    assert (step.remake, step.refused_by) == (True, "")
    # A disruption is no failure of the Job, which goes on by itself.
    shown = seen(RUNS, ADMITTED, replace(EVICTED, refused="Terminated", disrupted="TerminationByKubelet"))
    (step,) = advance(RUNNING, shown, SELECTION).steps
    assert (step.state, step.remake) == (Q, False)


def test_attempts_count_pods_and_each_step_says_which() -> None:
    shown = seen(RUNS, ADMITTED, EVICTED, pod("p2", node="n", created="2026-11-24T13:00:00Z"))
    steps = advance(RUNNING, shown, SELECTION).steps
    assert [(step.attempt, step.pod) for step in steps] == [(1, "p1"), (2, "p2")]
    steps = advance(NEW, seen(DONE, None), SELECTION).steps
    assert [(step.attempt, step.pod) for step in steps] == [(1, "job j")] * 3
    assert (steps[-1].started, steps[-1].ended) == (AT, AT)


def test_the_end_of_a_job_that_never_started_is_about_no_attempt() -> None:
    (step,) = advance(cancelling(NEW), seen(None, None), SELECTION).steps
    assert (step.attempt, step.pod) == (0, "")


ERROR = {"error": {"type": "error", "error": {"name": "ValueError", "message": "no data", "cell": 3}}}


@pytest.mark.parametrize(
    ("facts", "records", "cause", "message"),
    [
        ({"exit_code": 1}, ERROR, Cause.ERROR, "Failed in cell 3: ValueError: no data"),
        ({"exit_code": 3}, {}, Cause.ERROR, "Failed: its process ended with exit code 3."),
        ({"exit_code": 137}, {}, Cause.ERROR, "Failed: its process was killed (SIGKILL), as happens when it uses more than the 2\N{NO-BREAK SPACE}GiB of memory of its size Small. Choose a larger size, or load less at once."),
        ({"exit_code": 137, "ended_by": "OOMKilled"}, ERROR, Cause.ERROR, "Failed: it needed more than the 2\N{NO-BREAK SPACE}GiB of memory of its size Small. Choose a larger size."),
        ({"exit_code": 128, "ended_by": "StartError"}, {}, Cause.START_FAILED, "The image Standard has no Python that starts the job. Choose another image."),
    ],
)  # fmt: skip
def test_the_end_of_a_job_in_words(
    facts: dict[str, Any], records: dict[str, Any], cause: Cause, message: str
) -> None:
    advice = advance(RUNNING, seen(RUNS, ADMITTED, replace(FAILED, **facts)), SELECTION)
    job = BackendJob("a", SELECTION, WORK, "run.a.log", AT)
    update = update_of(job, advice.steps[-1], records, AT)
    assert (update.state, update.cause, str(update.message)) == (BAD, cause, message)
    assert (update.error is not None) == bool(records)
    assert (update.started, update.ended, update.exit_code) == (AT, AT, facts["exit_code"])
