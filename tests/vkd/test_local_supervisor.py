"""The supervisor above each job: its log, its records, and that nothing of a job escapes its end."""

from __future__ import annotations

import itertools
import json
import os
import resource
import signal
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiinfn_hub.contract.jobs import RunSpec
from aiinfn_hub.contract.runner import RunnerRecord
from aiinfn_hub.contract.states import Cause
from aiinfn_hub.vkd.backends.common.runner_output import RECORD_LIMIT, Log, Splitter
from aiinfn_hub.vkd.backends.local.supervisor import main
from tests.vkd.local_world import SLOW, STUBBORN, World, eventually, running


@pytest.fixture
async def world(tmp_path: Path) -> Any:
    world = World(tmp_path)
    await world.start()
    yield world
    await world.end()


def progress(cell: int) -> bytes:
    return b"\x1e" + json.dumps({"type": "progress", "progress": {"cell": cell, "cells": 9}}).encode() + b"\n"


text = st.binary(max_size=40).map(lambda data: data.replace(b"\x1e", b"?").replace(b"\n", b"?") + b"\n")


@given(st.lists(st.one_of(text, st.integers(1, 9).map(progress))), st.lists(st.integers(0, 400), max_size=8))
@settings(max_examples=200, deadline=None, database=None)
def test_records_and_text_are_told_apart_wherever_the_stream_is_cut(
    parts: list[Any], cuts: list[Any]
) -> None:
    stream = b"".join(parts)
    splitter, seen, records = Splitter(), b"", []
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    for begin, end in itertools.pairwise(edges):
        more, found = splitter.feed(stream[begin:end])
        seen += more
        records += found
    seen += splitter.rest()
    assert seen == b"".join(part for part in parts if not part.startswith(b"\x1e"))
    assert [r["progress"]["cell"] for r in records] == [
        json.loads(part[1:])["progress"]["cell"] for part in parts if part.startswith(b"\x1e")
    ]


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
@settings(max_examples=200, deadline=None, database=None)
def test_arbitrary_bytes_come_through_unchanged(stream: bytes, cuts: list[Any]) -> None:
    splitter, seen = Splitter(), b""
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    for begin, end in itertools.pairwise(edges):
        more, found = splitter.feed(stream[begin:end])
        assert found == []
        seen += more
    assert seen + splitter.rest() == stream


def test_a_record_that_never_ends_is_text_and_takes_bounded_memory() -> None:
    splitter = Splitter()
    out = splitter.feed(b"\x1e")[0]
    for _ in range(RECORD_LIMIT // 1000 + 5):
        out += splitter.feed(b"x" * 1000)[0]
    assert len(out) > RECORD_LIMIT
    assert splitter.feed(b"\n" + progress(2))[1][0]["progress"]["cell"] == 2


def test_a_record_after_an_unfinished_line_is_found() -> None:
    assert Splitter().feed(b"loss 0.1\r" + progress(4)) == (
        b"loss 0.1\r",
        [{"type": "progress", "progress": {"cell": 4, "cells": 9}}],
    )


def test_a_full_disk_costs_text_and_says_so_once(tmp_path: Path) -> None:
    path = tmp_path / "log"
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    full, good = os.open("/dev/full", os.O_WRONLY), os.dup(target)
    log = Log(target, 10_000)
    log.write(b"one\n")
    for _ in range(2):
        os.dup2(full, target)
        log.write(b"lost\n")
        os.dup2(good, target)
        log.write(b"two\n")
    assert path.read_bytes() == b"one\n\n[aiinfn] Some output is missing here: the disk was full.\ntwo\ntwo\n"
    for descriptor in (target, full, good):
        os.close(descriptor)


async def test_the_log_stops_at_its_limit_and_the_job_goes_on(world: Any) -> None:
    await world.restart(log_limit=100_000)
    job = await world.submit(
        "for _ in range(1000): say('x' * 999)\nrecord(type='progress', progress=dict(cell=1, cells=1))"
    )
    end = await world.until(job, "succeeded")
    log = (world.folder(job) / "log").read_bytes()
    assert log.startswith(b"x" * 999 + b"\n")
    assert log.endswith(b"[aiinfn] The log ends here: it reached 0.09537 MiB.\n")
    assert 100_000 < len(log) < 100_200
    assert end.progress.cell == 1


async def test_a_full_disk_ends_neither_the_job_nor_its_supervisor(world: Any) -> None:
    job = await world.submit(
        "say('begin')\nwhile not os.path.exists('go'): sleep(.02)\nsay('y' * 300_000)\n"
        "record(type='progress', progress=dict(cell=4, cells=4))"
    )
    await world.until_log(job, b"begin")
    pid = world.facts(job, "run.json")["supervisor"]
    # A file size limit is a full disk as far as the log is concerned.
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (65536, resource.RLIM_INFINITY))
    (world.data / "homes" / "alice" / "go").touch()
    end = await world.until(job, "succeeded")
    assert (end.exit_code, end.progress.cell) == (0, 4)
    assert (world.folder(job) / "log").stat().st_size == 65536


async def test_progress_is_told_while_the_job_runs_and_is_not_in_the_log(world: Any) -> None:
    job = await world.submit(
        "say('a'); record(type='progress', progress=dict(cell=1, cells=2)); say('b')\nsleep(120)"
    )
    await eventually(lambda: [u for u in world.told if u.progress], "progress is told")
    update = next(u for u in world.told if u.progress)
    assert (update.job_id, update.state, update.progress.cell, update.progress.cells) == (job, None, 1, 2)
    await world.until_log(job, b"b")
    assert await world.log(job) == b"a\nb\n"


async def test_a_record_that_makes_no_sense_is_no_news(world: Any) -> None:
    job = await world.submit(
        "record(type='progress', progress=dict(cell='x')); record(type='error'); exit(1)"
    )
    end = await world.until(job, "failed")
    assert (end.progress, end.error) == (None, None)


async def test_output_is_kept_whatever_bytes_it_has(world: Any) -> None:
    job = await world.submit(
        "sys.stdout.buffer.write(bytes(range(256)) * 3); sys.stdout.flush(); sys.stderr.write('err')"
    )
    await world.until(job, "succeeded")
    assert await world.log(job) == bytes(range(256)) * 3 + b"err"


async def test_a_waiting_reader_sees_more_as_soon_as_there_is_more(world: Any) -> None:
    job = await world.submit("say('one')\nwhile not os.path.exists('go'): sleep(.02)\nsay('two')\nsleep(120)")
    await world.until_log(job, b"one")
    begun = time.monotonic()
    await world.backend.wait_log(job, 1, 4, 0.3)
    assert time.monotonic() - begun >= 0.3
    (world.data / "homes" / "alice" / "go").touch()
    await world.backend.wait_log(job, 1, 4, 10)
    assert await world.log(job, offset=4) == b"two\n"
    await world.backend.cancel(job)
    await world.backend.wait_log(job, 1, 8, 10)
    assert (await world.backend.read_log(job, 1, 8, 10)).complete


async def test_a_job_that_ignores_sigterm_is_killed_after_the_grace_period(world: Any) -> None:
    job = await world.submit(STUBBORN)
    await world.until_log(job, b"waiting")
    child = world.facts(job, "run.json")["child"]
    begun = time.monotonic()
    await world.backend.cancel(job)
    await world.until(job, "cancelled")
    assert time.monotonic() - begun >= 1
    assert not running([child])
    # By its supervisor: of one that had to be killed, too, nothing of this would be known.
    ended = world.facts(job, "exit.json")
    assert (ended["signal"], ended["why"]) == (signal.SIGKILL, "stopped")


def test_the_grace_period_is_whole_however_late_the_supervisor_notices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine it may be set aside for long between reading the clock and seeing that it is to stop."""
    now = [100.0]
    told: list[Any] = []
    killed: list[Any] = []
    reaped: list[Any] = []
    wakeup, _ = os.pipe2(os.O_NONBLOCK)
    spec = {"log_limit": 1000, "grace": 1.0, "uid": None}
    supervisor = main.Supervisor(str(tmp_path), spec, wakeup, os.getpid())
    supervisor._output = os.open("/dev/null", os.O_RDONLY)

    def clock() -> float:
        # The first reading after the look for ended processes is followed by a long pause, in which the signal comes.
        read, noticed = now[0], bool(reaped) and not supervisor.asked_to_stop
        now[0] += 0.4 if noticed else 0.01
        supervisor.asked_to_stop |= noticed
        return read

    def kill() -> None:
        killed.append(now[0])
        supervisor._childless = True

    monkeypatch.setattr(main.time, "monotonic", clock)  # type: ignore[attr-defined]
    monkeypatch.setattr(main, "descendants", lambda _: told.append(now[0]) or [])  # type: ignore[func-returns-value]
    monkeypatch.setattr(main.select, "poll", lambda: SimpleNamespace(register=lambda *_: None, unregister=lambda *_: None, poll=lambda _: None))  # type: ignore[attr-defined]  # fmt: skip
    monkeypatch.setattr(supervisor, "_reap", lambda: reaped.append(1))
    monkeypatch.setattr(supervisor, "_kill", kill)
    monkeypatch.setattr(main.os, "killpg", lambda *_: None)  # type: ignore[attr-defined]
    supervisor._watch(1e9)
    assert killed[0] - told[0] >= 1.0, (told, killed)


@pytest.mark.parametrize("after", ["sleep(120)", "exit(0)"], ids=["cancelled", "left behind"])
async def test_a_process_that_detaches_itself_does_not_outlive_its_job(world: Any, after: str) -> None:
    job = await world.submit(f"daemon()\n{after}")
    await world.until_log(job, b" \n")
    daemon = int((await world.log(job)).split()[1])
    if after == "exit(0)":
        await world.until(job, "succeeded")
    else:
        assert running([daemon])
        await world.backend.cancel(job)
        await world.until(job, "cancelled")
    assert not running([daemon])


async def test_a_job_gets_one_sigterm_and_its_grace_period_to_save_its_work(world: Any) -> None:
    job = await world.submit(
        "got = []\nsignal.signal(signal.SIGTERM, lambda *_: got.append(1))\nsay('ready')\n"
        "while not got: sleep(.02)\nsleep(.4); say(f'saved {len(got)}'); exit(75)"
    )
    await world.until_log(job, b"ready")
    await world.backend.cancel(job)
    await world.until(job, "cancelled")
    assert (await world.log(job)).endswith(b"saved 1\n")


async def test_a_job_that_finished_just_as_it_was_stopped_has_finished(world: Any) -> None:
    job = await world.submit(
        "signal.signal(signal.SIGTERM, lambda *_: exit(0))\nsay('ready'); sleep(120)", accelerator="slice"
    )
    await world.until_log(job, b"ready")
    world.backend._dispatcher.preempt(job)
    assert (await world.until(job, "succeeded")).cause is Cause.COMPLETED


async def test_a_stuck_supervisor_is_killed_with_its_job(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiinfn_hub.vkd.backends.local.attempt._OVERDUE", 0.5)
    job = await world.submit(SLOW)
    await world.until_log(job, b"waiting")
    facts = world.facts(job, "run.json")
    os.kill(facts["pid"], signal.SIGSTOP)
    await world.backend.cancel(job)
    await world.until(job, "cancelled")
    assert not running([facts["pid"], facts["supervisor"], facts["child"]])


async def test_a_shutdown_of_the_machine_is_no_failure_of_the_job(world: Any) -> None:
    job = await world.submit(SLOW)
    await world.until_log(job, b"waiting")
    os.kill(world.facts(job, "run.json")["pid"], signal.SIGTERM)
    await eventually(lambda: "queued" in world.states(job), "it waits again")
    assert [u.cause for u in world.told if u.state == "queued"] == [Cause.INTERRUPTED]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("exit(3)", "Failed: its process ended with exit code 3."),
        (
            "os.kill(os.getpid(), 9)",
            "Failed: its process was ended by SIGKILL.",
        ),
        ("os.kill(os.getpid(), 11)", "Failed: its process was ended by SIGSEGV."),
    ],
)
async def test_an_end_without_an_error_record_is_described(world: Any, code: str, message: str) -> None:
    end = await world.until(await world.submit(code), "failed")
    assert (str(end.message), end.cause) == (message, Cause.ERROR)


async def test_a_missing_interpreter_is_said_and_the_device_is_free_again(world: Any) -> None:
    await world.restart(command=["/nowhere/python"])
    end = await world.until(await world.submit(accelerator="slice"), "failed")
    assert end.cause is Cause.START_FAILED
    assert "No such file" in str(end.message)
    assert world.states(end.job_id) == ["starting", "failed"]
    assert world.counts("slice") == (1, 0, 0, 0)


async def test_the_job_sees_its_devices_and_nothing_of_vkds_environment(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "a-secret")
    monkeypatch.setenv("AIINFN_TICKET_KEY", "a-secret")
    monkeypatch.setenv("TZ", "Europe/Rome")
    code = "say(__import__('json').dumps([dict(environ), os.getcwd(), oct(os.umask(0))]))"
    jobs = {name: await world.submit(code, accelerator=name) for name in ("t4", "v70", "none")}
    for name, job in jobs.items():
        await world.until(job, "succeeded")
        environment, folder, umask = json.loads(await world.log(job))
        home = str(world.data / "homes" / "alice")
        assert (environment["HOME"], folder, environment["USER"]) == (home, home, "alice")
        assert umask == "0o77"
        assert "a-secret" not in environment.values()
        assert environment["TZ"] == "Europe/Rome"
        assert environment["AIINFN_JOB_ID"] == job
        assert environment["AIINFN_ACCELERATOR"] == name
        assert environment["AIINFN_COUNT"] == ("0" if name == "none" else "1")
        expected = {"t4": ("SIM-t4-0", "SIM-t4-0"), "v70": ("", "SIM-v70-0"), "none": ("", "")}[name]
        assert (environment["CUDA_VISIBLE_DEVICES"], environment["AIINFN_DEVICES"]) == expected
        assert world.folder(job).joinpath("spec.json").stat().st_mode & 0o777 == 0o600


async def test_the_job_reads_its_specification_however_large_it_is(world: Any) -> None:
    # Larger than a pipe takes without a reader.
    job = world.job("say(len(spec['work']['parameters']['text']))")
    job = replace(job, work=job.work.model_copy(update={"parameters": {"text": "x" * 300_000}}))
    world.jobs[job.id] = job
    await world.backend.submit(job)
    await world.until(job.id, "succeeded")
    assert await world.log(job.id) == b"300000\n"
    spec = RunSpec.model_validate_json(world.facts(job.id, "spec.json")["stdin"])
    assert (spec.job, spec.attempt, spec.output) == (job.id, 1, f"run.{job.id}.log")


def descriptors(pid: Any) -> set[Any]:
    return {str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir() if int(entry.name) > 2}


async def test_no_descriptor_of_vkd_reaches_a_supervisor_or_a_job(world: Any) -> None:
    listening = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(listening, True)
    try:
        job = await world.submit("say(sorted(os.listdir('/proc/self/fd')))\nsleep(120)")
        await world.until_log(job, b"]")
        assert await world.log(job) == b"['0', '1', '2', '3']\n"  # 3 is the listing itself
        assert "/dev/null" not in descriptors(world.facts(job, "run.json")["pid"])
    finally:
        os.close(listening)


def test_the_runners_records_are_the_ones_that_are_taken_out() -> None:
    record = RunnerRecord.model_validate({"type": "progress", "progress": {"cell": 1, "cells": 2}})
    assert Splitter().feed(b"\x1e" + record.model_dump_json().encode() + b"\n")[0] == b""


async def test_a_supervisor_is_small(world: Any) -> None:
    job = await world.submit(SLOW)
    await world.until_log(job, b"waiting")
    facts = world.facts(job, "run.json")
    for pid in (facts["pid"], facts["supervisor"]):
        resident = psutil.Process(pid).memory_info().rss / 1024
        assert resident < 20 * 1024
