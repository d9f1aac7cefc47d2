"""The API server, Kueue and vkd may be restarted at any time: nothing is lost, doubled or shown wrong."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from aiinfn_hub.kube import names
from aiinfn_hub.kube.client import path_of
from aiinfn_hub.kube.objects import jobs
from tests.vkd.local_world import QUICK, SLOW, eventually

FOUND_AGAIN = 10
"""Seconds in which vkd finds an API server that is back, and gives it the orders that waited."""
KUBERNETES = 60
"""Seconds in which Kubernetes has carried such an order out on a busy machine. Its parts are started again with the API server, as
docs/kubernetes.md says; left alone, each would try again after up to a minute (`python -m tests.cluster.outage`)."""
TICKING = "[say(f'tick {n}') or sleep(0.1) for n in range(120)]"


def once(world: Any, *jobs: Any) -> Any:
    """Whether each job was started, ran and succeeded exactly once."""
    return all(world.states(job) == ["starting", "running", "succeeded"] for job in jobs)


@pytest.mark.timeout(3 * KUBERNETES)
async def test_the_api_server_is_restarted_in_the_middle_of_everything(world: Any, figure: Any) -> None:
    cluster = world.site.cluster
    ticking = await world.submit(TICKING)
    holder = await world.submit(SLOW, accelerator="slice")
    await world.until(holder, "running")
    waiting = await world.submit(QUICK, accelerator="slice")
    await world.until_log(ticking, b"tick 3\n")

    await asyncio.to_thread(cluster.kill, "kube-apiserver")
    meanwhile = await world.submit(QUICK)  # it is taken, and made when the API server is back
    age = world.backend.inventory().age
    await asyncio.sleep(3)
    assert world.backend.inventory().age > age + 2  # what is shown says how old it is
    assert world.states(holder) == ["starting", "running"]
    claim = await world.backend.claim("s", world.claim_request("slice"))
    assert "making room" in claim.sentence
    await asyncio.to_thread(cluster.start, "kube-apiserver")
    begin = time.monotonic()
    await asyncio.to_thread(cluster.restart_clients)
    await world.until(meanwhile, "succeeded", within=KUBERNETES)
    figure("API server restarted: a job submitted meanwhile has ended after, s", time.monotonic() - begin)

    await world.backend.release("s")
    await world.until(ticking, "succeeded", within=KUBERNETES)
    lines = (await world.log(ticking)).decode().splitlines()
    assert lines == [f"tick {n}" for n in range(120)]
    await world.backend.cancel(holder)
    await world.until(holder, "cancelled", within=KUBERNETES)
    await world.until(waiting, "succeeded", within=KUBERNETES)
    assert once(world, meanwhile, ticking, waiting)
    await eventually(lambda: world.backend.inventory().age < 6, "the inventory is fresh again")


async def test_a_job_that_the_cluster_does_not_take_waits_with_the_reason_and_runs_when_it_does(
    world: Any,
) -> None:
    namespace = world.site.platform.kubernetes.batch_namespace
    quotas = path_of("v1", "resourcequotas", namespace=namespace)
    none = {"metadata": {"name": "none"}, "spec": {"hard": {"count/jobs.batch": "0"}}}
    await asyncio.to_thread(world.site.cluster.api.post, quotas, none)
    try:
        # The limit holds from the moment in which it is counted for the first time.
        path = f"{quotas}/none"
        await eventually(
            lambda: "used" in world.site.cluster.api.get(path)["status"], "the quota is in force"
        )
        job = await world.submit(QUICK)
        await eventually(
            lambda: "quota of its namespace" in str(world.backend.reason(job)), "the reason is told"
        )
        assert world.states(job) == []
        assert world.backend.queues()["main"].waiting == 1
    finally:
        await asyncio.to_thread(world.site.cluster.api.delete, f"{quotas}/none")
    await world.until(job, "succeeded", within=60)
    assert once(world, job)


async def test_kueue_is_restarted_while_jobs_run_wait_and_come(world: Any) -> None:
    cluster = world.site.cluster
    holder = await world.submit(SLOW, accelerator="slice")
    await world.until(holder, "running")
    waiting = await world.submit(QUICK, accelerator="slice")
    await world.until_positions(waiting)
    await asyncio.to_thread(cluster.kill, "kueue")
    meanwhile = await world.submit(QUICK)
    await asyncio.sleep(2)
    assert world.backend.positions() == {waiting: 1}  # nobody moves while Kueue is away
    await asyncio.to_thread(cluster.start, "kueue")
    await world.until(meanwhile, "succeeded", within=60)
    assert world.states(holder) == ["starting", "running"]
    await world.backend.cancel(holder)
    await world.until(waiting, "succeeded", within=60)
    assert once(world, meanwhile, waiting)


@pytest.mark.timeout(2 * KUBERNETES + 60)
async def test_vkd_starts_while_the_api_server_is_away_and_goes_on_when_it_is_back(
    world: Any, figure: Any
) -> None:
    cluster = world.site.cluster
    job = await world.submit(SLOW, accelerator="slice")
    await world.until(job, "running")
    waiting = await world.submit(QUICK, accelerator="slice")
    await world.stop()
    await asyncio.to_thread(cluster.stop, "kube-apiserver")
    try:
        begin = time.monotonic()
        await world.start()
        assert time.monotonic() - begin < 15
        assert (world.backend.queues()["main"].waiting, world.backend.queues()["main"].running) == (1, 1)
        await world.backend.cancel(job)  # it is not forgotten
        await asyncio.sleep(1)
        assert world.states(job) == ["starting", "running"]
    finally:
        await asyncio.to_thread(cluster.start, "kube-apiserver")
    begin = time.monotonic()
    path = jobs.jobs_path(world.platform, names.job_name(job))
    deadline = begin + FOUND_AGAIN
    while await world.admin.find(path) is not None:
        assert time.monotonic() < deadline, "the order to delete the Job was not given"
        await asyncio.sleep(0.1)
    await asyncio.to_thread(cluster.restart_clients)
    await world.until(job, "cancelled", within=KUBERNETES)
    figure("API server back: a cancelled job has ended after, s", time.monotonic() - begin)
    await world.until(waiting, "succeeded", within=KUBERNETES)
    # Kueue may have taken it back once, before the kubelet had started it.
    assert world.states(waiting)[-2:] == ["running", "succeeded"]
    assert world.states(waiting).count("running") == 1


async def test_vkd_may_be_restarted_at_any_moment_of_a_jobs_life(world: Any) -> None:
    """Restarts without pause: whatever it was doing, each job is told once and runs once."""
    jobs = []
    for number in range(12):
        jobs.append(await world.submit("say('hello'); sleep(0.5)"))
        if number % 3 == 2:
            await asyncio.sleep(0.4)
            await world.restart()
    begin = time.monotonic()
    while not once(world, *jobs):
        assert time.monotonic() - begin < 150, Counter(tuple(world.states(job)) for job in jobs)
        await world.restart()
        await asyncio.sleep(0.7)
    assert [await world.log(job) for job in jobs] == [b"hello\n"] * len(jobs)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_vkd_itself_chooses_this_back_end_and_ends_cleanly(
    world: Any, tmp_path: Path, how: Any
) -> None:
    """The process that the hub starts: it logs in as its own service account, and its jobs outlive it."""
    environment = os.environ | {
        "AIINFN_PLATFORM": str(world.site.path),
        "AIINFN_DATA": str(tmp_path / "data"),
        "AIINFN_VKD_KUBECONFIG": str(world.kubeconfig),
        "AIINFN_VKD_PORT": "18991",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "aiinfn_hub.vkd"), env=environment, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    said = b""
    async with asyncio.timeout(30):
        while b"vkd started" not in said:
            line = await process.stderr.readline()
            assert line, said
            said += line
    process.send_signal(how)
    rest = await process.stderr.read()
    assert await process.wait() == (0 if how == signal.SIGTERM else -signal.SIGKILL)
    assert b"Traceback" not in said + rest
