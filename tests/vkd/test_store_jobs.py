"""What the store keeps of a job, and what it refuses to believe."""

import asyncio
import logging
import re
import sqlite3
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.contract.runner import JobError, Progress
from aiinfn_hub.contract.states import TRANSITIONS, Cause, JobState
from aiinfn_hub.i18n.messages import Message
from aiinfn_hub.vkd.database.jobs import JobStore
from aiinfn_hub.vkd.domain.records import (
    Applied,
    Filter,
    Notes,
    View,
    new_id,
)
from tests.vkd.jobs import BAD, OFF, OK, START, Q, R, S, a_job, job_in, told

ALL = View("nobody", everything=True)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[JobStore]:
    store = await JobStore.open(f"sqlite+aiosqlite:///{tmp_path / 'vkd.sqlite'}")
    yield store
    await store.close()


@pytest.mark.parametrize("before", list(JobState))
@pytest.mark.parametrize("after", list(JobState))
async def test_only_the_transitions_of_the_contract_are_applied(
    store: JobStore, caplog: pytest.LogCaptureFixture, before: JobState, after: JobState
) -> None:
    job_id = await job_in(store, before)
    was = await store.get(job_id)
    events = await store.events(job_id)
    attempt = was.attempt + 1 if after is S else was.attempt
    applied = await store.apply(told(job_id, after, attempt, minutes=5))
    job = await store.get(job_id)
    if after in TRANSITIONS[before]:
        assert (applied, job.state, job.attempt) == (Applied.CHANGED, after, attempt)
        assert job.change > was.change
        assert len(await store.events(job_id)) == len(events) + 1
    else:
        same = before is after and attempt == was.attempt
        assert applied is (Applied.KNOWN if same else Applied.ILLEGAL)
        assert job == was
        assert await store.events(job_id) == events
        assert ("illegal transition" in caplog.text) is not same


async def test_an_update_of_an_attempt_that_is_over_is_not_believed(
    store: JobStore, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = await job_in(store, R)
    await store.apply(told(job_id, Q, 1))
    await store.apply(told(job_id, S, 2))
    assert await store.apply(told(job_id, R, 1)) is Applied.ILLEGAL
    assert (await store.get(job_id)).state is S


async def test_an_update_of_an_unknown_job_is_told_as_such(store: JobStore) -> None:
    assert await store.apply(told("nosuchjob", S)) is Applied.UNKNOWN_JOB


async def test_a_job_that_made_room_waits_again_with_a_clean_slate(store: JobStore) -> None:
    job_id = await job_in(store, R)
    await store.note(Notes(progress={job_id: Progress(cell=3, cells=9)}))
    assert (await store.get(job_id)).progress == Progress(cell=3, cells=9)
    await store.apply(told(job_id, Q, minutes=3))
    job = await store.get(job_id)
    assert (job.state, job.cause, job.preemptions, job.attempt) == (Q, Cause.PREEMPTED, 1, 1)
    assert (job.progress, job.started, job.ended) == (None, None, None)
    assert job.created == START


async def test_the_end_keeps_the_error_the_exit_code_and_the_last_progress(store: JobStore) -> None:
    job_id = await job_in(store, R)
    error = JobError(name="ValueError", message="bad", cell=4, traceback="…")
    await store.apply(
        told(job_id, BAD, minutes=2, error=error, exit_code=1), progress=Progress(cell=4, cells=9)
    )
    job = await store.get(job_id)
    assert (job.error, job.exit_code, job.progress) == (error, 1, Progress(cell=4, cells=9))
    assert job.ended == START + timedelta(minutes=2)


async def test_history_tells_everything_in_order(store: JobStore) -> None:
    job_id = await job_in(store, R)
    await store.apply(told(job_id, Q, message=Message("again.suspended")))
    await store.apply(told(job_id, S, 2))
    await store.apply(told(job_id, R, 2))
    await store.apply(told(job_id, OK, 2))
    events = await store.events(job_id)
    assert [(event.state, event.attempt) for event in events] == [
        (Q, 0), (S, 1), (R, 1), (Q, 1), (S, 2), (R, 2), (OK, 2),
    ]  # fmt: skip
    assert events[3].message == Message("again.suspended")


async def test_changes_are_numbered_in_their_order_even_when_many_come_at_once(store: JobStore) -> None:
    jobs = await asyncio.gather(*(store.insert(a_job()) for _ in range(20)))
    assert sorted(job.change for job in jobs) == list(range(1, 21))
    assert store.change == 20


async def test_an_idempotency_key_belongs_to_one_request_of_one_person(store: JobStore) -> None:
    job = await store.insert(a_job(key="k", digest="d"))
    assert (await store.replay(a_job(key="k", digest="d"))).id == job.id
    assert await store.replay(a_job(owner="bruno", key="k", digest="d")) is None
    with pytest.raises(Refusal) as refused:
        await store.replay(a_job(key="k", digest="other"))
    assert refused.value.reason is Reason.CONFLICT
    with pytest.raises(sa.exc.IntegrityError):
        await store.insert(a_job(key="k", digest="d"))


async def test_a_job_that_never_started_can_be_taken_back_and_no_other(store: JobStore) -> None:
    waiting, running = await job_in(store, Q), await job_in(store, R)
    assert await store.withdraw(waiting)
    assert not await store.withdraw(running)
    assert await store.get(waiting) is None
    assert await store.events(waiting) == []
    assert (await store.get(running)).state is R


async def test_who_cancelled_first_is_remembered(store: JobStore) -> None:
    job_id = await job_in(store, R)
    await store.cancelling(job_id, "mara")
    assert (await store.cancelling(job_id, "anna")).cancelled_by == "mara"
    over = await job_in(store, OK)
    assert (await store.cancelling(over, "mara")).cancelled_by is None


async def test_unfinished_jobs_come_oldest_first(store: JobStore) -> None:
    wanted = []
    for state in (Q, OK, R, OFF, S, BAD, Q):
        job_id = await job_in(store, state)
        if state in {Q, S, R}:
            wanted.append(job_id)
    assert [job.id for job in await store.unfinished()] == wanted


async def test_what_was_granted_is_kept_whole(store: JobStore) -> None:
    new = a_job(count=2, time_limit="90m")
    job = await store.insert(new)
    assert (await store.get(job.id)).grant() == (new.selection, new.work)


async def test_progress_of_a_job_that_does_not_run_is_dropped(store: JobStore) -> None:
    job_id = await job_in(store, OK)
    await store.note(Notes(progress={job_id: Progress(cell=1, cells=2)}))
    assert (await store.get(job_id)).progress is None


# Use of devices


async def test_use_counts_devices_and_only_while_they_were_held(store: JobStore) -> None:
    job = await store.insert(a_job(count=2))
    for state, attempt, minute in ((S, 1, 0), (R, 1, 1), (Q, 1, 4), (S, 2, 5), (R, 2, 10), (OK, 2, 12)):
        await store.apply(told(job.id, state, attempt, minutes=minute))
    everything = await store.usage(ALL, START - timedelta(days=1), START + timedelta(days=1))
    assert [(u.project, u.user, u.accelerator, u.device_seconds, u.jobs) for u in everything] == [
        ("flavour", "anna", "t4", 2 * (3 + 2) * 60.0, 1)
    ]
    part = await store.usage(ALL, START + timedelta(minutes=11), START + timedelta(minutes=30))
    assert part[0].device_seconds == 2 * 60.0


async def test_use_of_a_running_job_counts_up_to_now(store: JobStore) -> None:
    job = await store.insert(a_job())
    await store.apply(told(job.id, S))
    await store.apply(told(job.id, R))
    (entry,) = await store.usage(ALL, START, START + timedelta(minutes=7))
    assert entry.device_seconds == 7 * 60.0


async def test_use_is_shown_to_whom_it_concerns(store: JobStore) -> None:
    for owner, project in (("anna", "flavour"), ("bruno", "flavour"), ("bruno", "medical")):
        job = await store.insert(a_job(owner, project))
        await store.apply(told(job.id, S))
        await store.apply(told(job.id, R))
    until = START + timedelta(hours=1)

    async def seen(view: View) -> set[Any]:
        return {(u.user, u.project) for u in await store.usage(view, START, until)}

    assert await seen(View("anna")) == {("anna", "flavour")}
    assert await seen(View("mara", frozenset({"flavour"}))) == {("anna", "flavour"), ("bruno", "flavour")}
    assert len(await seen(ALL)) == 3


async def test_past_use_counts_half_after_one_half_life(store: JobStore) -> None:
    half_life = timedelta(days=7)
    job = await store.insert(a_job())
    for state, minute in ((S, 0), (R, 0), (OK, 60)):
        await store.apply(told(job.id, state, minutes=minute))
    soon = (await store.decayed_usage(START + timedelta(hours=1), half_life))["flavour"]
    later = (await store.decayed_usage(START + timedelta(hours=1) + half_life, half_life))["flavour"]
    assert soon == pytest.approx(3600, rel=0.01)
    assert later == pytest.approx(soon / 2)
    assert await store.decayed_usage(START + timedelta(days=200), half_life) == {}


# Trouble


async def fill_the_disk(store: JobStore) -> None:
    """Let SQLite find no room any more, as on a full disk."""
    async with store._database.engine.connect() as connection:
        pages = (await connection.execute(sa.text("PRAGMA page_count"))).scalar()

    @sa.event.listens_for(store._database.engine.sync_engine, "connect")
    def limit(connection: Any, _record: Any) -> None:
        connection.execute(f"PRAGMA max_page_count={pages}")

    await store._database.engine.dispose()


async def test_a_full_disk_is_a_refusal_and_changes_nothing(store: JobStore) -> None:
    first = await store.insert(a_job())
    await fill_the_disk(store)
    refused = None
    while refused is None:
        try:
            first = await store.insert(a_job(time_limit="20m"))
        except Refusal as refusal:
            refused = refusal
    assert (refused.reason, refused.status) == (Reason.STORAGE_FULL, 507)
    assert "nothing was changed" in str(refused)
    page = await store.page(ALL, Filter(limit=1))
    assert page.jobs[0].id == first.id
    assert page.through == store.change == first.change


async def test_another_process_that_writes_for_long_is_a_refusal_that_says_try_again(
    store: JobStore, tmp_path: Path
) -> None:
    @sa.event.listens_for(store._database.engine.sync_engine, "connect")
    def impatient(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA busy_timeout=50")

    await store._database.engine.dispose()
    other = sqlite3.connect(tmp_path / "vkd.sqlite", isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Refusal) as refused:
            await store.insert(a_job())
        other.execute("ROLLBACK")
    finally:
        other.close()
    assert refused.value.reason is Reason.UNAVAILABLE
    assert await store.insert(a_job())


async def test_errors_of_the_database_do_not_show_what_was_submitted(store: JobStore) -> None:
    await store.insert(a_job(key="very-secret", digest="d"))
    with pytest.raises(sa.exc.IntegrityError) as error:
        await store.insert(a_job(key="very-secret", digest="d"))
    assert "very-secret" not in str(error.value)


def test_ids_are_short_unmistakable_and_start_with_a_letter() -> None:
    ids = {new_id() for _ in range(2000)}
    assert len(ids) == 2000
    assert all(re.fullmatch(r"[a-hjkmnp-z][a-hjkmnp-z2-9]{9}", job_id) for job_id in ids)


async def test_seeded_jobs_look_like_lived_ones(store: JobStore, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    new = [a_job(created=START + timedelta(minutes=i)) for i in range(30)]
    updates = [
        told(job.id, state, started=START, ended=START if state is OK else None)
        for job in new
        for state in (S, R, OK)
    ]
    await store.seed(new, updates)
    page = await store.page(View("anna"), Filter())
    assert [job.id for job in page.jobs] == [job.id for job in reversed(new)][:25]
    assert page.jobs[0].state is OK
    assert len(await store.events(new[0].id)) == 4
    assert (await store.insert(a_job())).number > page.jobs[0].change
