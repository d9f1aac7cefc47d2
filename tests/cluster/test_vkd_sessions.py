"""Sessions before batch, with vkd's help and without it; and the victim is back at once each time."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import pytest

from aiinfn_hub.contract.sessions import ClaimState
from aiinfn_hub.contract.states import Cause
from tests.cluster.vkd_world import GRACE, patient_kueue
from tests.vkd.local_world import QUICK, SLOW, STUBBORN

PATIENCE = 20
"""Seconds that a busy machine may take to make a container on a node that is free; nothing of it is batch's doing."""


@dataclass(frozen=True)
class Start:
    """Seconds from the creation of a session's pod until it had its node, and until it ran."""

    bound: float
    running: float


async def run_session(
    world: Any, name: str, accelerator: str = "t4", count: int = 1, *, claim: bool = True
) -> Start:
    """Start a session as the hub does. Batch may cost it the grace period and a moment, in whichever state it is."""
    await world.session(name, accelerator, count, claim=claim)
    begin = time.monotonic()
    await world.until_session(name, lambda pod: pod["spec"].get("nodeName"))
    bound = time.monotonic() - begin
    await world.until_session_runs(name)
    start = Start(bound, time.monotonic() - begin)
    assert start.bound < GRACE + 2
    assert start.running < GRACE + 2 + PATIENCE
    return start


def note(figure: Any, what: str, start: Start) -> None:
    figure(f"{what}: pod made to its node, s", start.bound)
    figure(f"{what}: pod made to running, s", start.running)


async def steady(world: Any, *jobs: Any) -> None:
    """Wait until jobs print something, and Kueue has seen them ready."""
    for job in jobs:
        await world.until_log(job, b"waiting", attempt=world.last(job).attempt if world.states(job) else 1)
        await world.until_condition(job, "PodsReady")


async def test_a_job_that_is_evicted_three_times_in_a_row_is_back_at_once_each_time(
    world: Any, figure: Any
) -> None:
    job = await world.submit(SLOW, accelerator="slice")
    for number in (1, 2, 3):
        await world.until(job, "running", attempt=number)
        await steady(world, job)
        start = await run_session(world, f"s{number}", "slice")
        note(figure, f"session, its device taken by batch, time {number}", start)
        end = await world.until(job, "queued")
        assert end.cause is Cause.PREEMPTED
        await world.until_positions(job)
        await asyncio.sleep(2)  # nothing runs that has no device
        assert world.states(job)[-1] == "queued"
        assert (await world.workload(job))["spec"]["active"] is True
        await world.end_session(f"s{number}")
        begin = time.monotonic()
        await world.until(job, "running", attempt=number + 1)
        back = time.monotonic() - begin
        figure(f"evicted for a session, time {number}: device free to running again, s", back)
        assert back < 9  # kube-scheduler's own eviction costs a job 10, 20, 40 s in the Job controller
    await world.backend.cancel(job)
    await world.until(job, "cancelled")
    causes = [update.cause for update in world.told if update.job_id == job and update.state == "queued"]
    assert causes == [Cause.PREEMPTED] * 3


async def test_the_victim_is_the_one_that_started_last_and_the_other_runs_on(world: Any) -> None:
    first = await world.submit(SLOW, accelerator="t4")
    await world.until(first, "running")
    second = await world.submit(SLOW, accelerator="t4")
    await world.until(second, "running")
    await steady(world, first, second)
    await run_session(world, "s")
    assert (await world.until(second, "queued")).cause is Cause.PREEMPTED
    await asyncio.sleep(2)
    assert world.states(first) == ["starting", "running"]


async def test_a_session_with_two_devices_has_both_jobs_make_room(world: Any) -> None:
    jobs = [await world.submit(SLOW, accelerator="t4") for _ in range(2)]
    for job in jobs:
        await world.until(job, "running")
    await steady(world, *jobs)
    await run_session(world, "s", count=2)
    for job in jobs:
        assert (await world.until(job, "queued")).cause is Cause.PREEMPTED


async def test_a_job_that_ignores_sigterm_costs_the_session_its_grace_period_and_no_more(
    world: Any, figure: Any
) -> None:
    job = await world.submit(STUBBORN, accelerator="slice")
    await world.until(job, "running")
    await steady(world, job)
    note(
        figure,
        f"session, the victim ignores SIGTERM, grace {GRACE:.0f} s",
        await run_session(world, "s", "slice"),
    )
    assert (await world.until(job, "queued")).cause is Cause.PREEMPTED


async def test_where_no_session_comes_the_job_is_let_back(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiinfn_hub.vkd.backends.kubernetes.session_claims.HOLD", 2.0)
    job = await world.submit(SLOW, accelerator="slice")
    await world.until(job, "running")
    await steady(world, job)
    claim = await world.backend.claim("nobody", world.claim_request("slice"))
    assert claim.state is ClaimState.MAKING_ROOM
    await world.until(job, "queued")
    await world.until(job, "running", attempt=2)


async def test_a_claim_is_answered_within_a_second_and_costs_no_job_where_sessions_have_everything(
    world: Any,
) -> None:
    await run_session(world, "first", "slice")
    job = await world.submit(SLOW, accelerator="t4")
    await world.until(job, "running")
    begin = time.monotonic()
    claim = await world.backend.claim("second", world.claim_request("slice"))
    assert time.monotonic() - begin < 1
    assert claim.state is ClaimState.WAITING
    assert "at the latest" in claim.sentence
    assert world.states(job) == ["starting", "running"]


async def test_a_job_whose_device_a_session_took_in_the_last_moment_goes_back_to_its_queue(
    world: Any,
) -> None:
    cluster = world.site.cluster
    async with patient_kueue(cluster):  # which would take it back in five minutes
        await asyncio.to_thread(cluster.stop, "kube-scheduler")
        try:
            job = await world.submit(QUICK, accelerator="slice")
            await world.until_condition(job, "Admitted")
            await world.session("s", "slice", claim=False)
            await asyncio.sleep(2)
        finally:
            await asyncio.to_thread(cluster.start, "kube-scheduler")
        await world.until_session_runs("s")
        assert world.backend.positions() == {}  # Kueue believes that it runs; we do not say so
        assert world.states(job) == []
        await world.until_positions(job, within=60)
        conditions = (await world.workload(job))["status"]["conditions"]
        evicted = next(each for each in conditions if each["type"] == "Evicted")
        assert "Deactivated" in evicted["reason"] + evicted["message"], evicted
        await world.end_session("s")
        await world.until(job, "succeeded")
        assert world.states(job) == ["starting", "running", "succeeded"]


@pytest.mark.parametrize("dead", ["kueue", "vkd"])
async def test_a_session_starts_while_a_part_is_dead(world: Any, figure: Any, dead: Any) -> None:
    cluster = world.site.cluster
    job = await world.submit(SLOW, accelerator="slice")
    await world.until(job, "running")
    await steady(world, job)
    if dead == "vkd":
        await world.stop()
    else:
        await asyncio.to_thread(cluster.kill, "kueue")
    try:
        start = await run_session(world, "s", "slice", claim=dead != "vkd")
        note(figure, f"session, its device taken by batch, {dead} dead", start)
    finally:
        if dead == "vkd":
            await world.start()
        else:
            await asyncio.to_thread(cluster.start, "kueue")
    assert (await world.until(job, "queued")).cause is Cause.PREEMPTED
    await world.end_session("s")
    # kube-scheduler evicted it, so the Job controller makes it wait.
    await world.until(job, "running", attempt=2, within=60)
