"""vkd's back end on real Kubernetes and real Kueue keeps what every back end promises, and what only this one can."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from aiinfn_hub.contract.states import Cause, JobState
from aiinfn_hub.kube.objects import jobs
from tests.cluster.vkd_world import ClusterWorld
from tests.vkd.backend_contract import BackendContract
from tests.vkd.local_world import QUICK, SLOW, eventually

CHATTY = "[say(f'line {n}') or sleep(0.05) for n in range(100)]"
RECORDS = (
    "say('one'); record(type='progress', progress=dict(cell=1, cells=2)); say('two'); sleep(1.5); "
    "record(type='progress', progress=dict(cell=2, cells=2)); say('three')"
)
HUNGRY = "much = bytearray(300 * 2**20); say('fed')"


class TestKueueBackend(BackendContract):
    # On a busy machine Kueue may let a job go in the moment in which the session gets its node; its pod then finds no
    # place, and the job goes back to its own (test_a_job_whose_device_a_session_took_in_the_last_moment...).
    most_attempts = 3

    @pytest.fixture
    async def world(self, contract_site: Any, tmp_path: Path) -> AsyncIterator[ClusterWorld]:
        world = await ClusterWorld.on(contract_site, tmp_path)
        yield world
        await world.end()

    async def test_a_job_that_can_never_fit_fails_with_the_reason(self, world: Any) -> None:
        """Here it waits: a node that has it may be added at any time."""
        job = await world.submit(QUICK, accelerator="slice", count=2)
        await world.until_positions(job)
        assert world.states(job) == []

    async def test_an_interruption_puts_running_jobs_back(self, world: Any) -> None:
        """Here it does not: the cluster does not stop with vkd."""
        job = await world.submit(SLOW, accelerator="slice")
        await world.until(job, "running")
        await world.backend.interrupt()
        await world.restart()
        await eventually(lambda: world.backend.queues()["main"].running == 1, "the job runs on")
        assert world.last(job).state is JobState.RUNNING


async def test_what_happens_while_a_pod_starts_is_told_in_plain_words(world: Any) -> None:
    job = await world.submit(SLOW)
    await world.until(job, "running")

    def said() -> list[str]:
        return [str(step.message) for update in world.told if update.job_id == job for step in update.startup]

    await eventually(lambda: any(message.startswith("Starting with") for message in said()), "its start")
    assert any(message.startswith("On ") for message in said()), said()
    assert any("is on this node already" in message or "Fetched" in message for message in said()), said()
    assert len(said()) == len(set(said()))
    await world.backend.cancel(job)
    await world.until(job, "cancelled")


async def test_an_image_that_does_not_exist_ends_the_job_early_and_says_what_to_do(
    world: Any, figure: Any
) -> None:
    begin = time.monotonic()
    job = await world.submit(QUICK, image="missing")
    end = await world.until(job, "failed")
    figure("job with an image that does not exist: failed after, s", time.monotonic() - begin)
    assert world.states(job) == ["starting", "failed"]
    assert end.cause is Cause.START_FAILED
    assert str(end.message).startswith(
        "The image Image that does not exist (localhost/missing:1) is not on the node"
    )
    path = jobs.jobs_path(world.platform, f"job-{job}")
    deadline = time.monotonic() + 10
    while await world.admin.find(path) is not None:
        assert time.monotonic() < deadline, "its Job must not stay there for ever"
        await asyncio.sleep(0.1)


async def test_a_job_that_takes_more_memory_than_its_size_is_told_so(world: Any) -> None:
    job = await world.submit(HUNGRY)
    end = await world.until(job, "failed")
    assert end.cause is Cause.ERROR
    assert str(end.message) == (
        "Failed: it needed more than the 64\N{NO-BREAK SPACE}MiB of memory of its size Small. Choose a larger size."
    )


async def test_what_the_runner_tells_becomes_progress_and_stays_out_of_the_log(world: Any) -> None:
    job = await world.submit(RECORDS)
    await world.until(job, "succeeded")
    assert await world.log(job) == b"one\ntwo\nthree\n"
    progress = [(u.progress.cell, u.state) for u in world.told if u.job_id == job and u.progress]
    assert progress[0] == (1, None)
    assert progress[-1] == (2, JobState.SUCCEEDED)


async def test_each_line_is_in_the_log_once_however_often_vkd_is_restarted_meanwhile(world: Any) -> None:
    job = await world.submit(CHATTY)
    await world.until_log(job, b"line 5\n")
    for _ in range(3):
        await world.restart()
        await asyncio.sleep(0.7)
    await world.until(job, "succeeded")
    chunk = await world.backend.read_log(job, 1, 0, 2**20)
    assert chunk.data.decode().split("\n") == [f"line {n}" for n in range(100)] + [""]
    assert chunk.complete


async def test_a_job_that_ended_while_vkd_was_away_is_told_and_its_log_archived(world: Any) -> None:
    quick = await world.submit(QUICK)
    slow = await world.submit("say('a'); sleep(2); say('b')")
    await world.until(slow, "running")
    await world.stop()
    await asyncio.sleep(3.5)
    await world.start()
    await world.until(slow, "succeeded")
    await world.until(quick, "succeeded")
    assert world.states(slow) == ["starting", "running", "succeeded"]
    assert await world.log(slow) == b"a\nb\n"


async def test_a_submission_that_was_cut_off_is_made_good_at_the_next_start(world: Any) -> None:
    """vkd keeps a job before it makes the Job: if it is killed in between, the next one makes it."""
    job = world.job(QUICK)
    world.jobs[job.id] = job
    await world.restart()
    await world.until(job.id, "succeeded")
    assert world.states(job.id) == ["starting", "running", "succeeded"]


async def test_a_data_folder_that_was_lost_costs_neither_the_job_nor_its_count(
    world: Any, tmp_path: Path
) -> None:
    job = await world.submit(SLOW)
    await world.until_log(job, b"waiting")
    await world.stop()
    world.data = tmp_path / "other"
    await world.start()
    await world.until_log(job, b"waiting")
    assert world.states(job) == ["starting", "running"]
    await world.backend.cancel(job)
    assert (await world.until(job, "cancelled")).attempt == 1


@pytest.mark.parametrize("away", [False, True])
async def test_a_job_that_is_over_does_not_run_again_if_kueue_takes_it_back(world: Any, away: Any) -> None:
    """Kueue may do so in the moment in which its pod ends; Kubernetes then does not count the pod."""
    job = await world.submit("say('hello'); sleep(1)")
    await world.until(job, "succeeded")
    if away:
        await world.stop()
    twin = await world.job_object(job)
    path = jobs.jobs_path(world.platform)
    await world.admin.delete(f"{path}/job-{job}")
    meta, spec = twin["metadata"], twin["spec"]
    spec["template"]["metadata"]["labels"] = {
        k: v
        for k, v in spec["template"]["metadata"]["labels"].items()
        if "job-name" not in k and "controller-uid" not in k
    }
    spec.pop("selector")
    spec["suspend"] = True
    fresh = {"name": meta["name"], "labels": meta["labels"], "annotations": meta["annotations"]}
    await world.admin.create(path, {"metadata": fresh, "spec": spec})
    if away:
        await world.start()
    deadline = time.monotonic() + 10
    while await world.admin.find(f"{path}/job-{job}") is not None:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
    assert world.states(job) == ["starting", "running", "succeeded"]


async def test_a_workload_that_an_earlier_vkd_left_inactive_runs_again(world: Any) -> None:
    job = await world.submit(SLOW)
    await world.until_log(job, b"waiting")
    await world.stop()
    name = (await world.workload(job))["metadata"]["name"]
    path = jobs.workloads_path(world.platform, name)
    await world.admin.patch(path, {"spec": {"active": False}})
    deadline = time.monotonic() + 20
    while await world.pods(job):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
    await world.start()
    await world.until(job, "running", attempt=2)


async def test_a_notebook_runs_with_the_real_runner(contract_site: Any, tmp_path: Path) -> None:
    world = await ClusterWorld.on(contract_site, tmp_path, command=jobs.RUNNER)
    try:
        home = contract_site.home("alice")
        cells: list[Any] = [
            {
                "cell_type": "code",
                "source": f"print({n} * 11)",
                "metadata": {},
                "outputs": [],
                "execution_count": None,
            }
            for n in (1, 2)
        ]
        notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}
        snapshot = home / ".aiinfn/jobs/x/run.ipynb"
        snapshot.parent.mkdir(parents=True, exist_ok=True)
        snapshot.write_text(json.dumps(notebook))
        for folder in (home / ".aiinfn", home / ".aiinfn/jobs", snapshot.parent):
            folder.chmod(0o755)
        job = world.notebook("run.ipynb", size="large")
        world.jobs[job.id] = job
        await world.backend.submit(job)
        end = await world.until(job.id, "succeeded", within=60)
        assert (end.progress.cell, end.progress.cells) == (2, 2)
        log = (await world.log(job.id)).decode()
        assert "11\n" in log
        assert "22\n" in log
        result = json.loads((home / job.output).read_text())
        assert result["metadata"]["aiinfn"]["attempt"] == 1
        assert result["metadata"]["aiinfn"]["state"] == "succeeded"
    finally:
        await world.end()
