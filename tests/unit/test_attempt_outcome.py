"""Why an attempt on one machine ended: what happened first counts, whatever else happened just then."""

from __future__ import annotations

import os
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from aiinfn_hub.contract.states import Cause, JobState
from aiinfn_hub.i18n.messages import Message
from aiinfn_hub.platform.model.accelerators import Accelerator
from aiinfn_hub.platform.model.images import Image
from aiinfn_hub.platform.model.projects import Size
from aiinfn_hub.platform.selection import Door, Selection
from aiinfn_hub.vkd.backends.common import system
from aiinfn_hub.vkd.backends.common.attempt_files import ExitFacts, Intent, IntentKind
from aiinfn_hub.vkd.backends.common.exit_outcome import Outcome, judge, unless_cancelled
from aiinfn_hub.vkd.backends.local.supervisor import main

SELECTION = Selection(
    door=Door.JOB, person="alice", project="flavour",
    image_name="standard", image=Image.model_validate({"title": "Standard", "reference": "example.org/standard:1"}),
    size_name="small", size=Size.model_validate({"title": "Small", "cores": 1, "memory": "1Gi"}),
    accelerator_name="t4", accelerator=Accelerator.model_validate({"title": "Tesla T4", "kind": "gpu", "resource": "nvidia.com/gpu"}), count=1,
    queue_name="main", priority=0, time_limit=timedelta(hours=1),
)  # fmt: skip
ERROR = {"error": {"type": "error", "error": {"name": "ValueError", "message": "no data", "cell": 3}}}

ENDS: dict[str, dict[str, Any]] = {
    "success": {"exit_code": 0},
    "success at the limit": {"exit_code": 0, "why": "time_limit"},
    "success, its guard killed": {"exit_code": 0, "why": "supervisor_killed"},
    "error": {"exit_code": 1},
    "SIGSEGV": {"signal": 11},
    "SIGTERM": {"signal": 15},
    "SIGKILL": {"signal": 9},
    "no memory": {"signal": 9, "out_of_memory": True},
    "runner stopped": {"exit_code": 75},
    "shell stopped": {"exit_code": 143},
    "stopped": {"exit_code": 75, "why": "stopped"},
    "stopped with an error": {"exit_code": 1, "why": "stopped"},
    "limit": {"exit_code": 75, "why": "time_limit"},
    "not started": {"why": "start_failed", "message": "No such file"},
    "supervisor killed": {"why": "supervisor_killed", "message": "SIGKILL"},
    "supervisor failed": {"why": "supervisor_failed", "message": "TypeError: x"},
    "all killed": {"why": "lost"},
}
# What vkd had ordered:      nothing         cancel       preempt      interrupt      hold    device lost
TABLE = """
success                      completed       completed    completed    completed      completed    completed
success at the limit         completed       completed    completed    completed      completed    completed
success, its guard killed    completed       completed    completed    completed      completed    completed
error                        error           cancelled    error        error          error        device_lost
SIGSEGV                      error           cancelled    error        error          error        device_lost
SIGTERM                      error           cancelled    preempted    interrupted    held         device_lost
SIGKILL                      error           cancelled    preempted    interrupted    held         device_lost
no memory                    error           cancelled    error        error          error        device_lost
runner stopped               error           cancelled    preempted    interrupted    held         device_lost
shell stopped                error           cancelled    preempted    interrupted    held         device_lost
stopped                      interrupted     cancelled    preempted    interrupted    held         device_lost
stopped with an error        interrupted     cancelled    preempted    interrupted    held         device_lost
limit                        time_limit      cancelled    time_limit   time_limit     time_limit   time_limit
not started                  start_failed    cancelled    start_failed start_failed   start_failed start_failed
supervisor killed            lost            cancelled    preempted    interrupted    held         device_lost
supervisor failed            lost            cancelled    preempted    interrupted    held         device_lost
all killed                   lost            cancelled    preempted    interrupted    held         device_lost
"""
ORDERS = (
    None,
    IntentKind.CANCEL,
    IntentKind.PREEMPT,
    IntentKind.INTERRUPT,
    IntentKind.HOLD,
    IntentKind.DEVICE_LOST,
)
STATES = {
    "completed": JobState.SUCCEEDED,
    "cancelled": JobState.CANCELLED,
    "preempted": JobState.QUEUED,
    "interrupted": JobState.QUEUED,
    "held": JobState.QUEUED,
    "device_lost": JobState.QUEUED,
}


def cells() -> list[Any]:
    found = []
    for line in TABLE.strip().splitlines():
        words = line.split()
        end, causes = " ".join(words[:-6]), words[-6:]
        found += [
            pytest.param(end, order, cause, id=f"{end}-{order}")
            for order, cause in zip(ORDERS, causes, strict=True)
        ]
    return found


def facts(**more: Any) -> ExitFacts:
    return ExitFacts(
        **{"exit_code": None, "signal": None, "started": 1.0, "ended": 2.0, "why": "exited"} | more
    )


@pytest.mark.parametrize(("end", "order", "cause"), cells())
def test_the_reason_of_an_end_is_what_happened_first(end: str, order: IntentKind | None, cause: str) -> None:
    intent = None if order is None else Intent(order, 1.5)
    outcome = judge(facts(**ENDS[end]), intent, {}, SELECTION, rebooted=False)
    assert (outcome.cause, outcome.state) == (Cause(cause), STATES.get(cause, JobState.FAILED))
    assert outcome.exit_code == ENDS[end].get("exit_code")


def test_an_error_that_came_just_before_a_session_wanted_the_device_is_told() -> None:
    outcome = judge(facts(exit_code=1), Intent(IntentKind.PREEMPT, 1.5), ERROR, SELECTION, rebooted=False)
    assert str(outcome.message) == "Failed in cell 3: ValueError: no data"


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.FAILED, JobState.CANCELLED, JobState.SUCCEEDED])
@pytest.mark.parametrize("order", ORDERS)
def test_an_order_to_cancel_that_comes_while_the_end_is_being_judged_is_kept(
    state: JobState, order: IntentKind | None
) -> None:
    """It comes when the reason was found and not told yet, so a job that would wait again does not."""
    found = Outcome(state, Cause.PREEMPTED, Message("history.finished"), 75)
    outcome = unless_cancelled(found, None if order is None else Intent(order, 1.5), SELECTION)
    if order is IntentKind.CANCEL and state is not JobState.SUCCEEDED:
        assert (outcome.state, outcome.cause, outcome.exit_code) == (JobState.CANCELLED, Cause.CANCELLED, 75)
    else:
        assert outcome is found


@pytest.fixture
def supervisor(tmp_path: Path) -> main.Supervisor:
    return main.Supervisor(str(tmp_path), {"log_limit": 1000, "grace": 1.0, "uid": None}, -1, os.getpid())


@pytest.mark.parametrize(
    ("code", "guard_killed", "asked", "why"),
    [
        (0, True, True, "exited"),
        (1, True, True, "exited"),
        (-11, True, True, "exited"),
        (-9, False, False, "exited"),
        (-9, True, False, "supervisor_killed"),
        (-9, True, True, "supervisor_killed"),
        (-15, False, False, "exited"),
        (-15, False, True, "stopped"),
        (75, False, True, "stopped"),
        (143, False, True, "stopped"),
        (75, False, False, "exited"),
    ],
)
def test_a_job_that_was_killed_or_stopped_with_all_above_it_is_told_so_in_any_order(
    supervisor: main.Supervisor, code: int, guard_killed: bool, asked: bool, why: str
) -> None:
    """The guard's death may be noticed after that of the job though it was killed before it."""
    with subprocess.Popen(["sleep", "60"]) as guard:
        if guard_killed:
            guard.kill()
            os.waitid(os.P_PID, guard.pid, os.WEXITED | os.WNOWAIT)
        supervisor._guard, supervisor.asked_to_stop = guard.pid, asked
        try:
            assert supervisor._why_by_itself(code) == why
        finally:
            guard.kill()


@pytest.mark.parametrize(
    ("state", "flags", "pending", "ends"),
    [
        (b"S", 0x400000, 0, False),
        (b"T", 0x400000, 1 << 14, False),  # SIGTERM, which it may take or not
        (b"T", 0x400000, 1 << 8, True),
        (b"R", 0x400400, 0, True),
        (b"D", 0x40040C, 0, True),
        (b"Z", 0, 0, True),
    ],
)
def test_a_process_is_known_to_end_from_when_it_was_killed(
    monkeypatch: pytest.MonkeyPatch, state: bytes, flags: int, pending: int, ends: bool
) -> None:
    fields = [state, *[b"0"] * 40]
    fields[6], fields[28] = b"%d" % flags, b"%d" % pending
    monkeypatch.setattr(system, "stat_fields", lambda _: fields)
    assert system.is_terminating(1) is ends


def test_a_living_process_does_not_end_and_one_that_was_killed_does() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        assert not system.is_terminating(process.pid)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert system.is_terminating(process.pid)
    assert system.is_terminating(process.pid)


@pytest.mark.parametrize("status", [None, 0, 256], ids=["runs", "succeeded", "failed"])
@pytest.mark.parametrize("why", ["", "stopped", "time_limit"])
def test_a_guard_that_is_killed_at_last_is_not_why_a_job_ended_before(
    supervisor: main.Supervisor, status: int | None, why: str
) -> None:
    supervisor._status, supervisor._why, supervisor.guard_is_gone = status, why, True
    supervisor._heed(float("inf"))
    assert supervisor._kill_at is not None
    assert supervisor._why == (why or ("supervisor_killed" if status is None else ""))
    first = supervisor._kill_at
    supervisor._heed(float("inf"))
    assert supervisor._kill_at == first


def test_only_a_lack_of_memory_of_the_last_seconds_can_be_why_a_job_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kills, now = [7], [100.0]
    monkeypatch.setattr(system, "oom_kills", lambda _: kills[0])
    monkeypatch.setattr(system.time, "monotonic", lambda: now[0])  # type: ignore[attr-defined]
    recent = system.RecentOomKills()
    assert not recent.any()
    kills[0] += 1
    assert recent.any()
    for _ in range(9):  # it lives on after that
        now[0] += 1.0
        recent.look(now[0])
    assert recent.any()
    now[0] += 1.0
    recent.look(now[0])
    assert not recent.any()
    kills[0] += 1
    assert recent.any()


def test_of_a_job_with_a_cgroup_that_counts_only_its_own_lack_of_memory_counts(tmp_path: Path) -> None:
    assert system.oom_kills(str(tmp_path)) == system.oom_kills()
    (tmp_path / "memory.events").write_text("low 0\nhigh 0\nmax 4\noom 3\noom_kill 2\noom_group_kill 0\n")
    assert system.oom_kills(str(tmp_path)) == 2
