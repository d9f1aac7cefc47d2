"""What every back end does, whatever it runs on. A test module of a back end subclasses `BackendContract`.

The subclass provides the fixture ``world``, which offers what `tests.vkd.local_world.World` does: ``backend``,
``submit``, ``session``, ``end_session``, ``until`` and its sisters, ``states``, ``last``, ``counts``, ``log`` and
``restart``. It runs jobs by the names of `local_world` (QUICK, SLOW, STUBBORN, FAILING) and has two devices ``t4`` and one ``slice``.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from aiinfn_hub.contract.constants import MOST_RESOURCE_POINTS
from aiinfn_hub.contract.problem import Refusal
from aiinfn_hub.contract.sessions import ClaimState
from aiinfn_hub.contract.states import (
    FINAL,
    TRANSITIONS,
    Cause,
    JobState,
)
from aiinfn_hub.i18n.message_catalogue import CATALOGUE
from aiinfn_hub.vkd.domain.backend import Holds
from tests.vkd.local_world import FAILING, QUICK, SLOW, STUBBORN, claim_request, eventually


class BackendContract:
    """The tests of every back end.

    Attributes
    ----------
    grace_seconds
        The time between asking and killing that the world is set to.
    most_attempts
        Of a job that made room once.
    """

    grace_seconds = 1.0
    most_attempts = 2

    @pytest.fixture
    async def world(self) -> Any:
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    async def only_allowed_transitions(self, world: Any) -> Any:
        yield
        known: dict[str, JobState] = {}
        for update in world.told:
            if update.state is not None:
                before = known.get(update.job_id, JobState.QUEUED)
                assert update.state in TRANSITIONS[before], f"{before} -> {update.state}: {update}"
                known[update.job_id] = update.state
            # What is kept is a code with facts, and no finished sentence.
            for message in (update.message, *(event.message for event in update.startup)):
                assert message.code in CATALOGUE, message
                assert message.code != "text", message

    async def test_a_job_is_queued_started_and_succeeds(self, world: Any) -> None:
        job = await world.submit(QUICK)
        end = await world.until(job, "succeeded")
        assert world.states(job) == ["starting", "running", "succeeded"]
        assert (end.attempt, end.exit_code, end.cause) == (1, 0, Cause.COMPLETED)
        assert end.started <= end.ended
        chunk = await world.backend.read_log(job, 1, 0, 1000)
        assert (chunk.data, chunk.complete) == (b"hello\n", True)

    async def test_a_failure_says_what_and_where(self, world: Any) -> None:
        job = await world.submit(FAILING)
        end = await world.until(job, "failed")
        assert (end.cause, end.exit_code, end.error.cell) == (Cause.ERROR, 1, 13)
        assert str(end.message) == "Failed in cell 13: ValueError: no data"

    async def test_what_happens_while_a_job_starts_is_told(self, world: Any) -> None:
        job = await world.submit(SLOW, accelerator="slice")
        await world.until(job, "running")

        def said() -> set[str]:
            return {
                str(step.message) for update in world.told if update.job_id == job for step in update.startup
            }

        await eventually(lambda: len(said()) >= 2, "two messages of its start")
        assert all(message.endswith(".") for message in said())
        assert {update.attempt for update in world.told if update.job_id == job and update.startup} == {1}
        await world.backend.cancel(job)

    async def test_what_a_job_uses_is_kept_and_stays_out_of_its_log(self, world: Any) -> None:
        many = "[record(type='resources', resources=dict(time=n + 1.0, cores=0.5, memory=1000 + n)) for n in range(600)]"
        job = await world.submit(f"say('one'); {many}; say('two')")
        await world.until(job, "succeeded")
        points = await world.backend.read_resources(job, 1)
        assert 0 < len(points) <= MOST_RESOURCE_POINTS
        assert (points[-1].time, points[-1].cores, points[-1].memory) == (600, 0.5, 1599)
        assert (await world.backend.read_log(job, 1, 0, 1000)).data == b"one\ntwo\n"
        assert await world.backend.read_resources(job, 2) == []

    async def test_submitting_twice_runs_once(self, world: Any) -> None:
        job = world.job(QUICK)
        world.jobs[job.id] = job
        await world.backend.submit(job)
        await world.backend.submit(job)
        await world.until(job.id, "succeeded")
        await world.backend.submit(job)
        await world.until(await world.submit(QUICK), "succeeded")
        assert world.states(job.id) == ["starting", "running", "succeeded"]

    async def test_what_does_not_fit_waits_in_its_place(self, world: Any) -> None:
        running = await world.submit(SLOW, accelerator="slice")
        await world.until(running, "running")
        first = await world.submit(QUICK, accelerator="slice")
        second = await world.submit(QUICK, accelerator="slice")
        await world.until_positions(first, second)
        assert (world.backend.queues()["main"].waiting, world.backend.queues()["main"].running) == (2, 1)
        entry = next(e for e in world.backend.inventory().accelerators if e.accelerator == "slice")
        assert (entry.queued, entry.free, entry.batch) == (2, 0, 1)
        assert world.backend.largest("slice") == 1
        await world.backend.cancel(running)
        await world.until(second, "succeeded")
        assert world.started() == [running, first, second]

    async def test_a_changed_platform_file_hurts_nothing_that_runs(self, world: Any) -> None:
        job = await world.submit(SLOW, accelerator="slice")
        await world.until(job, "running")
        await world.session("s", "t4")
        there = world.platform.accelerators
        new = there["slice"].model_copy(update={"title": "New"})
        await world.backend.adopt(world.platform.model_copy(update={"accelerators": {"new": new}}))
        shown = world.backend.inventory().accelerators
        assert [(entry.accelerator, entry.total) for entry in shown] == [("new", 1)]
        with pytest.raises(Refusal, match="There is no accelerator t4"):
            await world.backend.claim("late", claim_request("t4"))
        assert there["t4"].title in (await world.backend.claim_state("s")).sentence
        await world.backend.adopt(world.platform)
        await world.until_counts("slice", 0, 0, 1, 0)
        await world.until_counts("t4", 1, 1, 0, 0)
        assert world.states(job) == ["starting", "running"]
        await world.end_session("s")
        await world.backend.cancel(job)
        await world.until(job, "cancelled")
        await world.until(await world.submit(QUICK, accelerator="slice"), "succeeded")

    async def test_a_stuck_lane_does_not_hold_up_another(self, world: Any) -> None:
        await world.until(await world.submit(SLOW, accelerator="slice"), "running")
        stuck = await world.submit(QUICK, accelerator="slice")
        await world.until(await world.submit(QUICK, accelerator="t4"), "succeeded")
        await world.until(await world.submit(QUICK), "succeeded")
        assert world.states(stuck) == []

    async def test_cancelling_works_in_every_state(self, world: Any) -> None:
        running = await world.submit(SLOW, accelerator="slice")
        waiting = await world.submit(QUICK, accelerator="slice")
        await world.backend.cancel(waiting)
        assert (await world.until(waiting, "cancelled")).attempt == 0
        await world.until(running, "running")
        await world.backend.cancel(running)
        assert (await world.until(running, "cancelled")).cause is Cause.CANCELLED
        early = await world.submit(SLOW, accelerator="slice")
        await world.backend.cancel(early)
        await world.until(early, "cancelled")
        done = await world.submit(QUICK)
        await world.until(done, "succeeded")
        await world.backend.cancel(done)
        await world.backend.cancel("nobody")
        await world.until(await world.submit(QUICK), "succeeded")
        assert world.last(done).state is JobState.SUCCEEDED
        await world.until_counts("slice", 1, 0, 0, 0)

    async def test_jobs_of_who_lost_the_access_are_held_and_go_on_when_it_is_back(self, world: Any) -> None:
        running = await world.submit(SLOW, accelerator="slice")
        await world.until(running, "running")
        waiting = await world.submit(QUICK, accelerator="slice")
        await world.backend.hold(Holds({("alice", "flavour"): False}))
        later = await world.submit(QUICK)
        other = await world.submit(QUICK, person="bob")
        await world.until(other, "succeeded")
        # What runs goes on until the hub says otherwise, and so does what is in another project.
        assert (world.states(running), world.states(later)) == (["starting", "running"], [])
        await world.until(await world.submit(QUICK, project="medphys"), "succeeded")

        await world.backend.hold(Holds({("alice", ""): True}))
        stopped = await world.until(running, "queued")
        assert stopped.cause is Cause.HELD
        await world.until_counts("slice", 1, 0, 0, 0)
        await world.until(await world.submit(QUICK, person="bob", accelerator="slice"), "succeeded")
        assert [world.states(job) for job in (waiting, later)] == [[], []]
        # One that is held can be cancelled.
        await world.backend.cancel(later)
        assert (await world.until(later, "cancelled")).attempt == 0

        await world.backend.hold(Holds())
        await world.until(running, "running")
        await world.backend.cancel(running)
        await world.until(waiting, "succeeded")
        assert world.last(waiting).attempt == 1

    async def test_a_job_that_can_never_fit_fails_with_the_reason(self, world: Any) -> None:
        job = await world.submit(QUICK, accelerator="slice", count=2)
        end = await world.until(job, "failed")
        assert end.cause is Cause.NEVER_FITS
        assert "2 x A100 slice" in str(end.message)

    async def test_a_time_limit_ends_the_job(self, world: Any) -> None:
        job = await world.submit(SLOW, time_limit=1)
        end = await world.until(job, "failed")
        assert end.cause is Cause.TIME_LIMIT
        assert "time limit" in str(end.message)

    async def test_a_session_gets_a_free_device_at_once(self, world: Any) -> None:
        claim = await world.session("bob", "slice")
        assert claim.state is ClaimState.GRANTED
        await world.until_counts("slice", 0, 1, 0, 0)
        again = await world.backend.claim("bob", claim_request("slice"))
        assert again.state is ClaimState.GRANTED
        await world.end_session("bob")
        await world.backend.release("bob")
        assert await world.backend.claim_state("bob") is None
        await world.until_counts("slice", 1, 0, 0, 0)

    @pytest.mark.parametrize("code", [SLOW, STUBBORN], ids=["kind", "stubborn"])
    async def test_a_session_evicts_a_job_within_the_grace_period_and_the_job_comes_back(
        self, world: Any, code: str
    ) -> None:
        job = await world.submit(code, accelerator="slice")
        await world.until_log(job, b"waiting")
        claim = await world.session("bob", "slice")
        assert claim.state is ClaimState.MAKING_ROOM
        assert "making room" in claim.sentence

        async def granted() -> bool:
            return (await world.backend.claim_state("bob")).state is ClaimState.GRANTED

        begun = time.monotonic()
        while not await granted():
            # Some seconds for a busy machine; what does not end in its grace period takes 15 more.
            assert time.monotonic() - begun < self.grace_seconds + 10
            await asyncio.sleep(0.02)
        end = await world.until(job, "queued")
        assert end.cause is Cause.PREEMPTED
        assert "A100 slice" in str(end.message)
        assert "bob" not in str(end.message)
        await world.until_positions(job)
        await world.end_session("bob")
        again = await world.until(job, "running")
        assert 2 <= again.attempt <= self.most_attempts

    async def test_sessions_wait_for_sessions_in_their_order_and_before_jobs(self, world: Any) -> None:
        await world.session("first", "slice")
        await world.until_counts("slice", 0, 1, 0, 0)
        job = await world.submit(QUICK, accelerator="slice")
        second = await world.session("second", "slice")
        third = await world.session("third", "slice")
        assert (second.state, second.position, third.position) == (ClaimState.WAITING, 1, 2)
        await world.end_session("first")
        await world.until_claim("second", ClaimState.GRANTED)
        assert (await world.backend.claim_state("third")).position == 1
        await world.end_session("third")
        assert world.states(job) == []
        await world.end_session("second")
        await world.until(job, "succeeded")

    async def test_a_claim_on_more_than_there_is_is_refused(self, world: Any) -> None:
        with pytest.raises(Refusal, match="2 x A100 slice"):
            await world.backend.claim("bob", claim_request("slice", count=2))
        with pytest.raises(Refusal, match="no accelerator"):
            await world.backend.claim("bob", claim_request("h200"))

    async def test_after_a_restart_what_runs_is_followed_and_the_rest_keeps_its_order(
        self, world: Any
    ) -> None:
        running = await world.submit(SLOW, accelerator="slice")
        waiting = [await world.submit(QUICK, accelerator="slice") for _ in range(3)]
        await world.until(running, "running")
        await world.session("bob", "t4")
        await world.until_counts("t4", 1, 1, 0, 0)
        await world.restart()
        assert world.states(running) == ["starting", "running"]
        await world.until_positions(*waiting)
        await world.until_counts("t4", 1, 1, 0, 0)
        await world.until_counts("slice", 0, 0, 1, 0)
        await world.backend.cancel(running)
        await world.until(waiting[-1], "succeeded")
        assert world.started() == [running, *waiting]
        assert all(world.states(job) == ["starting", "running", "succeeded"] for job in waiting)

    async def test_an_interruption_puts_running_jobs_back(self, world: Any) -> None:
        job = await world.submit(SLOW, accelerator="slice")
        await world.until(job, "running")
        await world.backend.interrupt()
        assert (await world.until(job, "queued")).cause is Cause.INTERRUPTED
        await world.restart()
        await world.until(job, "running", attempt=2)

    async def test_a_log_is_read_in_pieces_and_from_the_end(self, world: Any) -> None:
        job = await world.submit(QUICK)
        await world.until(job, "succeeded")
        first = await world.backend.read_log(job, 1, 0, 2)
        assert (first.data, first.complete, first.offset) == (b"he", False, 0)
        assert (await world.backend.read_log(job, 1, 2, 100)).data == b"llo\n"
        end = await world.backend.read_log(job, 1, -3, 100)
        assert (end.data, end.offset, end.complete) == (b"lo\n", 3, True)
        assert (await world.backend.read_log(job, 1, -100, 100)).data == b"hello\n"
        beyond = await world.backend.read_log(job, 1, 100, 100)
        assert (beyond.data, beyond.complete) == (b"", True)

    async def test_forgetting_deletes_the_log_of_a_final_job_only(self, world: Any) -> None:
        job = await world.submit(SLOW)
        await world.until_log(job, b"waiting")
        await world.backend.forget(job)
        assert await world.log(job) == b"waiting\n"
        await world.backend.cancel(job)
        await world.until(job, "cancelled")
        await world.backend.forget(job)
        assert await world.log(job) == b""
        assert world.last(job).state in FINAL
