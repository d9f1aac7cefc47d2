"""Many jobs of two projects at once, through Kueue, with vkd restarted in between; `make drill-crowd` has more of them."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from aiinfn_hub.kube.client import path_of
from tests.cluster.site import INSTANCE
from tests.cluster.vkd_world import GPU, SLICE, patient_kueue, set_devices

JOBS = int(os.environ.get("AIINFN_DRILL_JOBS", "32"))
WINDOW = 15
"""Starts within which both projects have their part; among few more than there are devices, one may be ahead."""
DEVICES = 4
LIMIT = 8 * JOBS
"""Seconds for all of them, on a machine that does other things as well; alone it takes a quarter of that."""
CODE = "open('/home/user/ran', 'a').write(environ['AIINFN_JOB_ID'] + chr(10)); say('hello'); sleep(0.3)"


@pytest.fixture
async def crowd(world: Any) -> AsyncIterator[Any]:
    cluster = world.site.cluster
    # On a busy machine so many containers take their time; Kueue must not take back what is about to run.
    async with patient_kueue(cluster):
        set_devices(cluster, {GPU: DEVICES})
        await world.until_counts("t4", DEVICES, 0, 0, 0)
        ran = world.site.home("alice") / "ran"
        ran.unlink(missing_ok=True)
        yield world
        set_devices(cluster, cluster.settings.resources | {SLICE: 1})


@pytest.mark.timeout(120 + 2 * LIMIT)
async def test_many_jobs_of_two_projects_all_end_once_in_fair_order(crowd: Any, figure: Any) -> None:
    world = crowd
    await world.session("everything", "t4", DEVICES)
    await world.until_session_runs("everything")

    # One project has submitted all its jobs before the other comes.
    begin = time.monotonic()
    jobs = {}
    for project in ("flavour", "medphys"):
        for _ in range(JOBS // 2):
            job = await world.submit(CODE, accelerator="t4", project=project)
            jobs[job] = project
    figure(f"{JOBS} jobs submitted one after the other, s", time.monotonic() - begin)

    await until_places_are_kueues(world, JOBS)
    await world.restart()
    await until_places_are_kueues(world, JOBS)

    begin = time.monotonic()
    await world.end_session("everything")
    restarted = 0
    while (over := sum(world.states(job)[-1:] == ["succeeded"] for job in jobs)) < JOBS:
        assert time.monotonic() - begin < LIMIT, Counter(tuple(world.states(job)) for job in jobs)
        if restarted < 2 and over >= (restarted + 1) * JOBS // 3:
            restarted += 1
            await world.restart()
        await asyncio.sleep(0.1)
    figure(
        f"{JOBS} jobs on {DEVICES} devices, vkd restarted twice: all over after, s", time.monotonic() - begin
    )

    assert restarted == 2
    assert all(world.states(job) == ["starting", "running", "succeeded"] for job in jobs)
    assert all(world.last(job).attempt == 1 for job in jobs)
    ran = (world.site.home("alice") / "ran").read_text().split()
    assert sorted(ran) == sorted(jobs)
    assert [await world.log(job) for job in jobs] == [b"hello\n"] * JOBS

    # Neither project waits for the other: among so many starts both have their part.
    order = [jobs[job] for job in world.started()]
    for start in range(0, JOBS * 3 // 4, WINDOW):
        part = Counter(order[start : start + WINDOW])
        figure(f"starts {start + 1} to {start + WINDOW}: of the project that came first", part["flavour"])
        assert min(part["flavour"], part["medphys"]) >= WINDOW // 3, order


async def until_places_are_kueues(world: Any, number: int) -> None:
    """Wait until every waiting job has a place, and each is the one that Kueue says."""
    path = path_of("visibility.kueue.x-k8s.io/v1beta2", "clusterqueues", name=INSTANCE.cluster_queue("main"))
    # Of a project one job a second comes to Kueue (backends/kubernetes/creation_order.py).
    deadline = time.monotonic() + 30 + JOBS
    while True:
        items = (await world.admin.get(f"{path}/pendingworkloads"))["items"]
        kueues = {
            item["metadata"]["ownerReferences"][0]["name"].removeprefix("job-"): item[
                "positionInClusterQueue"
            ]
            + 1
            for item in items
        }
        if len(kueues) == number and world.backend.positions() == kueues:
            break
        assert time.monotonic() < deadline, (len(kueues), len(world.backend.positions()))
        await asyncio.sleep(0.3)
    assert sorted(kueues.values()) == list(range(1, number + 1))
