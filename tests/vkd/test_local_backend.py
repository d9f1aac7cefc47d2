"""What is particular about the local back end: who makes room, fairness, the host's room, accounts."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import signal
import tempfile
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aiinfn_hub.contract.sessions import ClaimState
from aiinfn_hub.contract.states import Cause, JobState
from aiinfn_hub.host.accounts import Accounts
from aiinfn_hub.platform.model.storage import Storage, StorageUse
from aiinfn_hub.platform.model.storage_kinds.folder import FolderStorage
from aiinfn_hub.vkd.backends.local import dispatcher, launch, process
from aiinfn_hub.vkd.backends.local.attempt import Attempt
from aiinfn_hub.vkd.backends.local.claim_store import (
    ClaimRecord,
    Victim,
    choose_victims,
    decide,
)
from aiinfn_hub.vkd.backends.local.supervisor.marks import Marks
from tests.vkd.local_world import (
    QUICK,
    SLOW,
    STUBBORN,
    World,
    claim_request,
    eventually,
    make_platform,
    running,
)

NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
async def world(tmp_path: Path) -> Any:
    world = World(tmp_path)
    await world.start()
    yield world
    await world.end()


def victim(name: str, devices: int = 1, priority: int = 0, minutes: int = 0) -> Victim:
    return Victim(name, devices, priority, NOW + timedelta(minutes=minutes))


def held(name: str, order: int, count: int = 1) -> ClaimRecord:
    return ClaimRecord(id=name, request=claim_request("t4", count), order=order, asked_at=NOW)


@pytest.mark.parametrize(
    ("candidates", "needed", "chosen"),
    [
        ([victim("old"), victim("new", minutes=5)], 1, ["new"]),
        ([victim("low", priority=0), victim("high", priority=5, minutes=5)], 1, ["low"]),
        ([victim("a"), victim("b"), victim("two", devices=2, priority=5)], 2, ["two"]),
        (
            [victim("two", devices=2), victim("one", minutes=-5), victim("high", priority=1)],
            3,
            ["two", "one"],
        ),
        ([victim("a"), victim("b", minutes=1)], 2, ["b", "a"]),
        ([victim("a")], 2, ["a"]),
        ([victim("a")], 0, []),
    ],
)
def test_few_jobs_make_room_of_low_priority_and_started_last(
    candidates: list[Victim], needed: int, chosen: list[str]
) -> None:
    assert [v.job_id for v in choose_victims(candidates, needed)] == chosen


def test_no_job_is_stopped_in_vain_and_nobody_is_stopped_for_what_comes_free_anyway() -> None:
    jobs = [victim("a"), victim("b", minutes=1)]
    assert decide([held("s", 1, count=3)], 0, 0, jobs).evict == ()
    assert decide([held("s", 1, count=3)], 1, 0, jobs).evict == ("b", "a")
    assert decide([held("s", 1)], 0, 1, jobs).evict == ()
    assert decide([held("s", 1), held("t", 2)], 0, 1, jobs).evict == ("b",)
    decision = decide([held("s", 1, count=2), held("t", 2)], 1, 0, [])
    assert decision.grant == ()
    assert dict(decision.states) == {"s": ClaimState.WAITING, "t": ClaimState.WAITING}
    decision = decide([held("s", 1), held("t", 2)], 1, 0, jobs)
    assert (decision.grant, decision.evict) == (("s",), ("b",))


async def test_of_two_idle_projects_each_gets_one_of_two_devices(world: Any) -> None:
    block = await world.submit(SLOW, accelerator="t4", count=2)
    await world.until(block, "running")
    many = [await world.submit(SLOW, accelerator="t4", age=90 - n) for n in range(5)]
    one = await world.submit(SLOW, accelerator="t4", project="medphys")
    await world.backend.cancel(block)
    await world.until(one, "running")
    await eventually(lambda: len(world.started()) == 3, "both devices are in use")
    assert set(world.started()[1:]) == {many[0], one}


async def test_a_queue_of_higher_priority_is_served_first(world: Any) -> None:
    block = await world.submit(SLOW, accelerator="slice")
    await world.until(block, "running")
    later = await world.submit(QUICK, accelerator="slice", age=100)
    sooner = await world.submit(QUICK, accelerator="slice", queue="short")
    assert world.backend.positions() == {later: 1, sooner: 1}
    assert world.backend.queues()["short"].waiting == 1
    await world.backend.cancel(block)
    await world.until(later, "succeeded")
    assert world.started() == [block, sooner, later]


async def test_only_as_many_jobs_run_as_the_host_has_cores_for(world: Any) -> None:
    await world.restart(cores=2)
    jobs = [await world.submit(SLOW) for _ in range(4)]
    await world.until(jobs[1], "running")
    assert world.started() == jobs[:2]
    await world.backend.cancel(jobs[0])
    await world.until(jobs[2], "running")
    assert world.states(jobs[3]) == []


async def test_the_job_that_started_last_makes_room_and_a_second_session_takes_the_other(world: Any) -> None:
    old = await world.submit(SLOW, accelerator="t4")
    await world.until_log(old, b"waiting")
    new = await world.submit(SLOW, accelerator="t4")
    await world.until_log(new, b"waiting")
    await world.backend.claim("bob", claim_request("t4"))
    assert (await world.until(new, "queued")).cause is Cause.PREEMPTED
    assert world.last(old).state is JobState.RUNNING
    await world.backend.claim("eve", claim_request("t4"))
    await world.until(old, "queued")
    entry = world.backend.inventory().accelerators[0]
    assert (entry.sessions, entry.queued, entry.waiting_sessions) == (2, 2, 0)
    assert entry.next_session_end is not None
    waiting = await world.backend.claim("zoe", claim_request("t4"))
    assert "all are in use by sessions. The first ends at" in waiting.sentence
    assert world.backend.inventory().accelerators[0].waiting_sessions == 1


async def test_a_job_that_is_only_being_started_makes_room_as_well(world: Any) -> None:
    job = await world.submit(SLOW, accelerator="slice")
    claim = await world.backend.claim("bob", claim_request("slice"))
    assert claim.state is ClaimState.MAKING_ROOM
    await world.until(job, "queued")
    assert world.states(job)[:1] == ["starting"]
    assert (await world.backend.claim_state("bob")).state is ClaimState.GRANTED


async def test_cancelling_an_evicted_job_wins(world: Any) -> None:
    job = await world.submit(STUBBORN, accelerator="slice")
    await world.until_log(job, b"waiting")
    await world.backend.claim("bob", claim_request("slice"))
    await world.backend.cancel(job)
    assert (await world.until(job, "cancelled")).cause is Cause.CANCELLED
    assert world.backend.positions() == {}


async def test_cancelling_a_job_whose_end_is_just_being_judged_wins(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files are read in a thread meanwhile. That it gave way was found; it must not wait again."""
    judged, cancelled, conclude = threading.Event(), threading.Event(), Attempt.conclude

    def slow(run: Attempt) -> Any:
        conclusion = conclude(run)
        judged.set()
        cancelled.wait(20)
        return conclusion

    monkeypatch.setattr(Attempt, "conclude", slow)
    job = await world.submit(SLOW, accelerator="slice")
    await world.until_log(job, b"waiting")
    await world.backend.claim("bob", claim_request("slice"))
    assert await asyncio.to_thread(judged.wait, 20)
    await world.backend.cancel(job)
    cancelled.set()
    assert (await world.until(job, "cancelled")).cause is Cause.CANCELLED
    assert world.states(job) == ["starting", "running", "cancelled"]
    assert world.backend.positions() == {}


async def test_cancelling_a_job_that_could_not_be_started_just_then_wins(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried, cancelled = threading.Event(), threading.Event()

    def spawn(_: Path) -> tuple[int, int]:
        tried.set()
        cancelled.wait(20)
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(process, "spawn", spawn)
    job = await world.submit(accelerator="slice")
    assert await asyncio.to_thread(tried.wait, 20)
    await world.backend.cancel(job)
    cancelled.set()
    await world.until(job, "cancelled")
    assert world.states(job) == ["starting", "cancelled"]
    assert world.backend.positions() == {}


async def test_a_job_at_its_time_limit_has_reached_it_though_a_session_wants_its_device_meanwhile(
    world: Any,
) -> None:
    """It would run its whole time once more, and as often as somebody comes in its last seconds."""
    code = "signal.signal(signal.SIGTERM, lambda *_: say('limit')); say('waiting')\nwhile True: sleep(.1)"
    job = await world.submit(code, accelerator="slice", time_limit=0.5)
    await world.until_log(job, b"limit")
    await world.backend.claim("bob", claim_request("slice"))
    assert (await world.until(job, "failed")).cause is Cause.TIME_LIMIT
    assert (await world.backend.claim_state("bob")).state is ClaimState.GRANTED


async def test_a_claim_that_is_given_up_lets_the_job_come_back(world: Any) -> None:
    job = await world.submit(STUBBORN, accelerator="slice")
    await world.until_log(job, b"waiting")
    await world.backend.claim("bob", claim_request("slice"))
    await world.backend.release("bob")
    await world.until(job, "running", attempt=2)


async def test_a_session_that_asks_for_something_else_gives_back_what_it_had(world: Any) -> None:
    await world.backend.claim("bob", claim_request("slice"))
    claim = await world.backend.claim("bob", claim_request("t4", count=2))
    assert claim.devices == ["SIM-t4-0", "SIM-t4-1"]
    assert claim.environment == {
        "CUDA_VISIBLE_DEVICES": "SIM-t4-0,SIM-t4-1",
        "AIINFN_DEVICES": "SIM-t4-0,SIM-t4-1",
    }
    assert world.counts("slice") == (1, 0, 0, 0)
    fpga = await world.backend.claim("eve", claim_request("v70"))
    assert fpga.environment == {"CUDA_VISIBLE_DEVICES": "", "AIINFN_DEVICES": "SIM-v70-0"}


async def test_the_queue_goes_on_as_soon_as_a_full_disk_has_room_again(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "_HOLD_BACK", 3600.0)
    monkeypatch.setattr(dispatcher, "_LOOK_FOR_ROOM", 0.05)
    full = [True]
    monkeypatch.setattr(launch.Launcher, "has_room", lambda _launcher: not full)
    folder = type(world.backend._files.attempt("j0001", 1))
    prepare = folder.prepare

    def on_a_full_disk(self: Any, spec: Any) -> None:
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        prepare(self, spec)

    monkeypatch.setattr(folder, "prepare", on_a_full_disk)
    job = await world.submit(QUICK, accelerator="slice")
    await world.until(job, "queued")
    full.clear()
    await world.until(job, "succeeded")


async def test_while_the_disk_is_full_the_queue_waits_instead_of_failing_job_by_job(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "_HOLD_BACK", 0.5)
    folder = world.backend._files.attempt("j0001", 1)
    prepare, full = type(folder).prepare, [True]

    def on_a_full_disk(self: Any, spec: Any) -> None:
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        prepare(self, spec)

    monkeypatch.setattr(type(folder), "prepare", on_a_full_disk)
    first, second = (
        await world.submit(QUICK, accelerator="slice"),
        await world.submit(QUICK, accelerator="slice"),
    )
    told = await world.until(first, "queued")
    assert (
        str(told.message) == "Could not start because no space is left on the platform's disk; waiting again."
    )
    assert world.backend.positions() == {first: 1, second: 2}
    full.clear()
    await world.until(second, "succeeded")
    await world.until(first, "succeeded")


async def test_a_fault_of_the_platform_fails_the_job_and_frees_its_device(
    world: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(launch, "attempt_spec", broken)
    end = await world.until(await world.submit(QUICK, accelerator="slice"), "failed")
    assert str(end.message).startswith("The platform made a mistake")
    assert world.counts("slice") == (1, 0, 0, 0)
    assert "cannot be followed" in caplog.text


@pytest.mark.parametrize("bad", ["../x", "a/b", "", ".", "x" * 200, "a\n"])
async def test_an_id_that_could_leave_the_folder_is_not_accepted(world: Any, bad: str) -> None:
    job = replace(world.job(), id=bad)
    with pytest.raises(ValueError, match="is no job id"):
        await world.backend.submit(job)
    with pytest.raises(ValueError, match="is no job id"):
        await world.backend.read_log(bad, 1, 0, 1)


async def test_a_thousand_submissions_keep_the_loop_free(world: Any) -> None:
    await world.until(await world.submit(SLOW, accelerator="slice"), "running")
    worst, done = 0.0, asyncio.Event()

    async def watch() -> None:
        nonlocal worst
        while not done.is_set():
            begun = time.perf_counter()
            await asyncio.sleep(0.005)
            worst = max(worst, time.perf_counter() - begun)

    watcher = asyncio.create_task(watch())
    begun = time.thread_time()  # on a busy machine the clock on the wall tells more of others
    for _ in range(1000):
        await world.submit(QUICK, accelerator="slice")
        await asyncio.sleep(0)
    each = (time.thread_time() - begun) / 1000
    done.set()
    await watcher
    print(f"{each * 1e6:.0f} us each, longest pause {worst * 1e3:.0f} ms")
    assert each < 0.005
    assert len(world.backend.positions()) == 1000


async def test_people_with_own_accounts_run_as_themselves_and_see_no_others_files() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give people a uid each")
    # Not in pytest's own folder, which is for root only: people must be able to pass through.
    data = Path(tempfile.mkdtemp())
    world = World(data)
    try:
        accounts = Accounts(data)
        if not accounts.separate:
            pytest.skip(accounts.notice)  # type: ignore[arg-type]
        await world.start(accounts=accounts)
        await _see_that_people_are_separated(world, accounts)
        await world.end()
    finally:
        shutil.rmtree(data)


async def _see_that_people_are_separated(world: World, accounts: Accounts) -> None:
    code = (
        "say(f'{os.getuid()} {os.getgid()} {os.getgroups()}')\n"
        "say(open('/proc/self/status').read().split('NoNewPrivs:')[1].split()[0])\n"
        "open('mine', 'w').close()"
    )
    job = await world.submit(code)
    await world.until(job, "succeeded")
    alice = accounts.get("alice")
    assert alice.uid is not None
    mark = Marks(str(world.folder(job)), {"uid": alice.uid}).group
    assert (await world.log(job)).decode().split("\n")[:2] == [f"{alice.uid} {alice.gid} [{mark}]", "1"]
    assert (alice.home / "mine").stat().st_uid == alice.uid
    assert (alice.home / "mine").stat().st_mode & 0o777 == 0o600
    for forbidden in (alice.home, world.folder(job), world.data / "vkd"):
        other = await world.submit(f"os.listdir({str(forbidden)!r})", person="bob")
        await world.until(other, "failed")
        assert b"PermissionError" in await world.log(other)
    stopped = await world.submit(STUBBORN, person="bob")
    await world.until_log(stopped, b"waiting")
    await world.backend.cancel(stopped)
    await world.until(stopped, "cancelled")
    lost = await world.submit("os.system('sleep 120 & echo started $!'); sleep(120)", person="bob")
    await world.until_log(lost, b"started")
    left = int((await world.log(lost)).split()[1])
    os.kill(world.facts(lost, "run.json")["pid"], signal.SIGKILL)
    await world.until(lost, "failed")
    assert not running([left])


async def test_a_job_finds_the_shares_that_were_granted_in_its_home(tmp_path: Path) -> None:
    (tmp_path / "srv").mkdir()
    (tmp_path / "srv/events.txt").write_text("42 events")
    folder = FolderStorage(kind="folder", path=str(tmp_path / "srv"))
    storage = {
        name: Storage(title=name, use=StorageUse.SHARE, mount=f"/{name}", local=folder)
        for name in ("data", "other")
    }
    world = World(tmp_path / "platform", make_platform(storage=storage))
    await world.start()
    try:
        job = world.job("say(open(environ['HOME'] + '/data/events.txt').read())")
        job = replace(job, selection=job.selection.model_copy(update={"storage": ("data",)}))
        world.jobs[job.id] = job
        await world.backend.submit(job)
        await world.until(job.id, "succeeded")
        assert b"42 events" in await world.log(job.id)
        assert not (tmp_path / "platform/homes/alice/other").exists()
    finally:
        await world.end()
