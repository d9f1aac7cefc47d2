"""A vkd that is killed and comes back loses no job, runs none twice, and tells what happened meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from aiinfn_hub.contract.sessions import ClaimState
from aiinfn_hub.contract.states import Cause, JobState
from aiinfn_hub.host.accounts import Account
from aiinfn_hub.vkd.backends.common.attempt_files import RunFacts
from aiinfn_hub.vkd.backends.local import process
from aiinfn_hub.vkd.backends.local.environment import MARK as VARIABLE
from aiinfn_hub.vkd.backends.local.environment import mark_of
from aiinfn_hub.vkd.backends.local.supervisor import marks
from tests.vkd.local_world import QUICK, SLOW, World, claim_request, eventually, make_platform, running

ROOT = Path(__file__).parents[2]
MARK = "open('ran', 'a').write(environ['AIINFN_JOB_ID'] + ' '); "


@pytest.fixture
async def world(tmp_path: Path) -> Any:
    world = World(tmp_path)
    yield world
    if world.backend is not None:
        await world.end()


class SharedAccounts:
    """Gives everybody the account of nobody, in a home that it can use."""

    def __init__(self, data: Path) -> None:
        self.home = data / "homes" / "alice"

    def get(self, name: str) -> Account:
        self.home.mkdir(parents=True, exist_ok=True)
        os.chown(self.home, 65534, 65534)
        for folder in self.home.parents:
            if folder.owner() == "root" and folder != Path("/"):
                folder.chmod(folder.stat().st_mode | 0o111)
        return Account(name=name, slug=name, uid=65534, gid=65534, home=self.home)


class Host:
    """A back end in a process of its own."""

    def __init__(self, world: World, jobs: list[dict[str, Any]]) -> None:
        self.world = world
        self.told: list[list[Any]] = []
        for options in jobs:
            job = world.job(**options)
            world.jobs[job.id] = job
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.vkd.local_host", str(world.data), json.dumps(jobs)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )

    async def until(self, job_id: str, state: str) -> None:
        def read() -> None:
            while [job_id, state] not in [[told, at] for told, _, at in self.told]:
                line = self.process.stdout.readline()
                assert line, "the host ended"
                self.told.append(json.loads(line))

        await asyncio.to_thread(read)

    def kill(self) -> None:
        """End it without a word; the store keeps what was told."""
        self.process.kill()
        rest, _ = self.process.communicate()
        for job_id, attempt, state in self.told + [json.loads(line) for line in rest.splitlines()]:
            if state is not None:
                job = self.world.jobs[job_id]
                self.world.jobs[job_id] = replace(job, state=JobState(state), attempt=attempt)


def home(world: World) -> Path:
    return world.data / "homes" / "alice"


def kill_above(facts: dict[str, Any]) -> None:
    """Kill guard and supervisor at once, so that neither cleans up after the other."""
    for pid in (facts["pid"], facts["supervisor"]):
        os.kill(pid, signal.SIGSTOP)
    for pid in (facts["supervisor"], facts["pid"]):
        os.kill(pid, signal.SIGKILL)


async def test_killed_with_one_job_running_and_three_queued_all_four_succeed_once_each_in_order(
    world: Any,
) -> None:
    wait = MARK + "\nwhile not os.path.exists('go'): sleep(.02)"
    jobs = [{"code": wait, "accelerator": "slice", "age": 10}]
    jobs += [{"code": MARK, "accelerator": "slice", "age": 9 - n} for n in range(3)]
    host = Host(world, jobs)
    try:
        await host.until("j0001", "running")
    finally:
        host.kill()
    assert running([world.facts("j0001", "run.json")["child"]])
    await world.start()
    assert world.backend.positions() == {"j0002": 1, "j0003": 2, "j0004": 3}
    assert world.counts("slice") == (0, 0, 1, 0)
    (home(world) / "go").touch()
    for job in world.jobs:
        await world.until(job, "succeeded", attempt=1)
    assert (home(world) / "ran").read_text().split() == ["j0001", "j0002", "j0003", "j0004"]
    assert world.states("j0001") == ["succeeded"]


async def test_what_ended_while_vkd_was_away_is_told_with_its_true_times(world: Any) -> None:
    code = (
        "while not os.path.exists('go'): sleep(.02)\nrecord(type='progress', progress=dict(cell=3, cells=4))"
    )
    host = Host(world, [{"code": code}, {"code": code + "\nexit(3)"}])
    try:
        await host.until("j0002", "running")
        await host.until("j0001", "running")
    finally:
        host.kill()
    (home(world) / "go").touch()
    await eventually((world.folder("j0001") / "exit.json").exists, "the job ends")
    await eventually((world.folder("j0002") / "exit.json").exists, "the job ends")
    away = time.time()
    await world.start()
    end = await world.until("j0001", "succeeded")
    assert end.ended.timestamp() < away
    assert end.started < end.ended
    assert end.progress.cell == 3
    assert (
        str((await world.until("j0002", "failed")).message) == "Failed: its process ended with exit code 3."
    )


@pytest.mark.parametrize("both", [False, True], ids=["supervisor killed", "everything killed"])
async def test_a_job_that_died_without_a_word_while_vkd_was_away_is_lost(world: Any, both: bool) -> None:
    host = Host(world, [{"code": SLOW, "accelerator": "slice"}])
    try:
        await host.until("j0001", "running")
    finally:
        host.kill()
    facts = world.facts("j0001", "run.json")
    os.kill(facts["pid"], signal.SIGKILL)
    if both:
        with contextlib.suppress(ProcessLookupError):
            os.kill(facts["child"], signal.SIGKILL)
    await world.start()
    end = await world.until("j0001", "failed")
    assert end.cause is Cause.LOST
    assert str(end.message).startswith("Failed: the process that supervises it was killed")
    assert not running([facts["child"]])
    assert world.counts("slice") == (1, 0, 0, 0)
    assert (await world.backend.read_log("j0001", 1, 0, 100)).complete


async def test_a_restart_of_the_machine_is_named_as_the_probable_cause(world: Any) -> None:
    await world.start()
    job = await world.submit(SLOW)
    await world.until(job, "running")
    await world.stop()
    facts = world.facts(job, "run.json")
    kill_above(facts)
    await eventually(lambda: not running([facts["supervisor"], facts["child"]]), "the job is gone")
    (world.folder(job) / "run.json").write_text(json.dumps(facts | {"boot": "another"}))
    await world.start()
    assert "the machine was restarted" in str((await world.until(job, "failed")).message)


@pytest.mark.parametrize("killed", ["supervisor", "pid", "both"], ids=["supervisor", "guard", "both"])
@pytest.mark.parametrize("away", [False, True], ids=["vkd there", "vkd away"])
@pytest.mark.parametrize("root", [False, True], ids=["one account", "accounts"])
async def test_no_process_of_a_killed_supervisor_keeps_a_device_that_another_job_gets(
    tmp_path: Path, world: Any, killed: str, away: bool, root: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Detached by two forks and a session of its own, without a word of its environment, and deaf to SIGTERM."""
    if root:
        if os.geteuid() != 0:
            pytest.skip("accounts of their own need root")
        world.options["accounts"] = SharedAccounts(world.data)
        # So that it is the additional group that finds them.
        monkeypatch.setattr(marks, "_own_cgroup", str)
    elif killed == "both" and not marks._own_cgroup():
        pytest.skip("without root, a cgroup is needed to find them; none can be made here")
    await world.start()
    first = await world.submit("ignore_sigterm(); daemon(); sleep(120)", accelerator="slice")
    await world.until_log(first, b" \n")
    daemon = int((await world.log(first)).split()[1])
    assert psutil.Process(daemon).environ() == {}
    facts = world.facts(first, "run.json")
    second = await world.submit(f"say(os.path.exists('/proc/{daemon}/exe'))", accelerator="slice")
    if away:
        await world.stop()
    if killed == "both":
        kill_above(facts)
    else:
        os.kill(facts[killed], signal.SIGKILL)
    if away:
        await world.start()
    end = await world.until(first, "failed")
    assert end.cause is Cause.LOST
    assert str(end.message).startswith("Failed: the process that supervises it was killed")
    await world.until(second, "succeeded")
    assert await world.log(second) == b"False\n"
    assert not running([facts["child"], daemon])
    assert world.counts("slice") == (1, 0, 0, 0)


async def test_another_vkds_job_of_the_same_number_is_left_alone(tmp_path: Path, world: Any) -> None:
    """What is left of a job is looked for among all processes of the machine."""
    other = World(tmp_path / "other")
    await world.start()
    await other.start()
    try:
        job, same = await world.submit(SLOW), await other.submit(SLOW)
        assert job == same
        await world.until_log(job, b"waiting")
        await other.until_log(same, b"waiting")
        kill_above(world.facts(job, "run.json"))
        await world.until(job, "failed")
        child = other.facts(same, "run.json")["child"]
        assert running([child]) == [child]
        assert other.states(same) == ["starting", "running"]
    finally:
        await other.end()


@pytest.mark.parametrize("older", [False, True], ids=["marked", "started by an older vkd"])
def test_what_is_left_of_an_attempt_is_found_by_its_environment_alone(tmp_path: Path, older: bool) -> None:
    """Where there is no cgroup and no account of its own, nothing else is left."""
    environment = {"AIINFN_JOB_ID": "j0001", "AIINFN_ATTEMPT": "1", "HOME": str(tmp_path / "home")}
    environment |= {} if older else {VARIABLE: mark_of(tmp_path / "1")}
    others = [
        environment | {"HOME": "/elsewhere", VARIABLE: "another"},
        environment | {"AIINFN_ATTEMPT": "2", VARIABLE: "b"},
    ]
    started = [
        subprocess.Popen(["sleep", "60"], env=each | {"PATH": os.defpath}) for each in (environment, *others)
    ]
    try:
        spec = {"uid": None, "environment": environment}
        found = process.kill_leftovers(tmp_path / "1", spec, RunFacts(1, 1, "", None, 0.0))
        assert found == [started[0].pid]
        assert started[0].wait(20) == -signal.SIGKILL
        assert [each.poll() for each in started[1:]] == [None, None]
        assert process.kill_leftovers(tmp_path / "1", {}, RunFacts(1, 1, "", None, 0.0)) == []
    finally:
        for each in started:
            each.kill()
            each.wait()


async def test_a_device_is_not_free_while_a_process_of_the_attempt_is_there(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is stuck in the kernel takes no SIGKILL: its device stays taken, and the job goes on being stopped."""
    await world.start()
    job = await world.submit(SLOW, accelerator="slice")
    await world.until_log(job, b"waiting")
    stuck, looked = True, []

    def leftovers(*_: Any) -> list[int]:
        looked.append(1)
        return [1] if stuck else []

    monkeypatch.setattr(process, "kill_leftovers", leftovers)
    kill_above(world.facts(job, "run.json"))
    await eventually(lambda: len(looked) > 3, "vkd looks for what is left")
    assert world.counts("slice") == (0, 0, 1, 0)
    stuck = False
    await world.until(job, "failed")
    assert world.counts("slice") == (1, 0, 0, 0)


async def test_a_job_that_was_being_started_and_never_began_waits_again_and_cannot_begin_late(
    world: Any,
) -> None:
    job = world.job(QUICK, accelerator="slice")
    world.jobs[job.id] = replace(job, state=JobState.STARTING, attempt=1)
    await world.start()
    await world.until(job.id, "succeeded", attempt=2)
    assert world.states(job.id) == ["queued", "starting", "running", "succeeded"]
    assert next(u for u in world.told if u.job_id == job.id).cause is Cause.INTERRUPTED
    pid, ready = await asyncio.to_thread(process.spawn, world.folder(job.id, 1))
    os.close(ready)
    await asyncio.to_thread(os.waitpid, pid, 0)
    assert not (world.folder(job.id, 1) / "run.json").exists()


async def test_an_attempt_that_the_store_never_heard_of_is_followed_and_not_run_again(world: Any) -> None:
    await world.start()
    job = await world.submit(MARK + "sleep(1)", accelerator="slice")
    await world.until(job, "running")
    await world.stop()
    world.jobs[job] = replace(world.jobs[job], state=JobState.QUEUED, attempt=0)
    world.told.clear()
    await world.start()
    await world.until(job, "succeeded", attempt=1)
    assert world.states(job) == ["starting", "running", "succeeded"]
    assert (home(world) / "ran").read_text().split() == [job]


async def test_a_cancellation_that_vkd_did_not_live_to_see_through_is_told_as_such(world: Any) -> None:
    await world.start()
    job = await world.submit(SLOW)
    await world.until_log(job, b"waiting")
    await world.backend.cancel(job)
    await world.stop()
    await eventually((world.folder(job) / "exit.json").exists, "the job ends")
    await world.start()
    assert (await world.until(job, "cancelled")).cause is Cause.CANCELLED


async def test_an_eviction_that_vkd_did_not_live_to_see_through_is_told_as_such(world: Any) -> None:
    await world.start()
    job = await world.submit(SLOW, accelerator="slice")
    await world.until_log(job, b"waiting")
    await world.backend.claim("bob", claim_request("slice"))
    await world.restart()
    assert (await world.until(job, "queued")).cause is Cause.PREEMPTED
    assert (await world.backend.claim_state("bob")).state is ClaimState.GRANTED


async def test_a_job_that_the_store_lost_is_stopped_before_its_device_is_given_out_again(world: Any) -> None:
    await world.start()
    job = await world.submit(SLOW, accelerator="slice")
    await world.until_log(job, b"waiting")
    await world.stop()
    world.jobs.clear()
    await world.start()
    assert not running([world.facts(job, "run.json")["child"]])
    await world.until(await world.submit(QUICK, accelerator="slice", job_id="other"), "succeeded")


async def test_a_claim_is_dropped_when_its_session_ends_even_while_vkd_is_away(world: Any) -> None:
    await world.start()
    session = await asyncio.create_subprocess_exec("sleep", "120")
    try:
        import psutil

        started = psutil.Process(session.pid).create_time()
        await world.backend.claim("bob", claim_request("t4"))
        await world.backend.claim("bob", claim_request("t4", pid=session.pid, pid_started=started))
        await world.backend.claim("eve", claim_request("t4", pid=session.pid, pid_started=started - 100))
        await eventually(
            lambda: world.counts("t4") == (1, 1, 0, 0), "another process of that number is no session"
        )
        await world.restart()
        assert world.counts("t4") == (1, 1, 0, 0)
        await world.stop()
    finally:
        session.kill()
        await session.wait()
    await world.start()
    assert await world.backend.claim_state("bob") is None
    assert world.counts("t4") == (2, 0, 0, 0)


async def test_a_claim_whose_session_never_comes_expires(world: Any) -> None:
    import datetime as dt

    now = dt.datetime.now(dt.UTC)
    await world.start(clock=lambda: now)
    await world.backend.claim("bob", claim_request("t4"))
    now += world.platform.limits.session_start + timedelta(seconds=59)
    await world.backend.claim("eve", claim_request("t4"))
    assert world.counts("t4") == (0, 2, 0, 0)
    now += timedelta(seconds=2)
    await eventually(lambda: world.counts("t4") == (1, 1, 0, 0), "the claim expires")
    assert await world.backend.claim_state("bob") is None


async def test_a_smaller_platform_file_lets_the_job_on_a_device_that_is_no_longer_declared_end(
    world: Any,
) -> None:
    await world.start()
    jobs = [await world.submit(SLOW, accelerator="t4") for _ in range(2)]
    for job in jobs:
        await world.until(job, "running")
    await world.stop()
    world.platform = make_platform(t4=1)
    await world.start()
    assert [world.last(job).state for job in jobs] == [JobState.RUNNING] * 2
    assert world.counts("t4") == (0, 0, 1, 1)
    await world.backend.cancel(jobs[1])
    await world.until(jobs[1], "cancelled")
    assert world.counts("t4") == (0, 0, 1, 0)


async def test_two_vkds_do_not_work_on_one_folder(world: Any) -> None:
    await world.start()
    second = World(world.data, options={"lock_patience": 0.1})
    with pytest.raises(RuntimeError, match="Another vkd works on"):
        await second.start()
    await second.stop()
    await world.until(await world.submit(QUICK), "succeeded")
