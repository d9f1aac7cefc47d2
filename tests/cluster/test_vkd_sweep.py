"""A sweep through the whole of vkd and Kueue: some points at a time, one makes room for a session, what failed runs again alone."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from aiinfn_hub.kube.client import KubeClient
from aiinfn_hub.vkd.backends.kubernetes.backend import KubernetesBackend
from tests.cluster.vkd_world import COMMAND, ClusterWorld
from tests.hub.stack import Client
from tests.vkd.local_world import SMALL_JOB
from tests.vkd.world import World, until, vkd

POINTS = 6
MANY = int(os.environ.get("AIINFN_DRILL_POINTS", "8"))
DEVICES = 2
POINT = """
number = int(spec["work"]["arguments"][1].split("=")[1])
open("/home/user/begun", "a").write(f"{number}\\n")
sleep(2)
if number == 4 and not os.path.exists("/home/user/mended"): exit(3)
record(type="values", values={"square": number ** 2})
"""


@pytest.fixture
async def both(contract_site: Any, tmp_path: Path) -> AsyncIterator[tuple[World, ClusterWorld, Any]]:
    """vkd on the cluster, and what makes the pods of sessions."""
    home = contract_site.home("anna")
    shutil.copy(SMALL_JOB, home)
    for name in ("begun", "mended"):
        (home / name).unlink(missing_ok=True)
    admin = await KubeClient.connect(contract_site.cluster.kubeconfig)
    kubeconfig = await asyncio.to_thread(lambda: contract_site.vkd_kubeconfig)
    client = await KubeClient.connect(kubeconfig)
    platform = contract_site.platform.model_dump(mode="json")

    def backend(made: Any) -> KubernetesBackend:
        return KubernetesBackend(made, tmp_path / "data", client, command=COMMAND)

    async with vkd(tmp_path, backend, **platform) as running:
        world = ClusterWorld(
            tmp_path, contract_site.platform, site=contract_site, admin=admin, kubeconfig=kubeconfig
        )
        world.backend = running.backend
        yield running, world, home
    await world.until_pods(world.platform.kubernetes.sessions_namespace, 0)
    await world.until_pods(world.platform.kubernetes.batch_namespace, 0)
    await admin.close()


async def shown(client: Client, sweep_id: Any, good: Callable[..., Any], what: str) -> Any:
    async def there() -> Any:
        job = await client.get(f"/jobs/{sweep_id}")
        return job if good(job) else None

    return await until(there, what, seconds=120)


async def test_a_point_makes_room_for_a_session_and_only_what_failed_runs_again(
    both: Any, figure: Any
) -> None:
    v, world, home = both
    anna = v.as_("anna")
    work = {"kind": "script", "path": "run.py", "snapshot": ".aiinfn/jobs/q/run.py", "arguments": [POINT]}
    sweep = {"points": [{"n": number} for number in range(1, POINTS + 1)], "parallelism": 2}
    begin = time.monotonic()
    job = await anna.post("/jobs", {"work": work, "accelerator": "t4", "queue": "main", "sweep": sweep})
    await shown(anna, job["id"], lambda it: it["sweep"]["running"] == 2, "two points run")
    await world.session("s", "t4", 1)
    await world.until_session_runs("s")
    told = await shown(anna, job["id"], lambda it: it["preemptions"] >= 1, "a point made room")
    assert told["sweep"]["running"] + told["sweep"]["starting"] <= 1  # the other one goes on
    await world.end_session("s")
    done = await shown(anna, job["id"], lambda it: it["state"] == "failed", "the sweep is over")
    figure(
        f"sweep of {POINTS} points on 2 devices, one preempted: all over after, s", time.monotonic() - begin
    )
    assert (done["sweep"]["succeeded"], done["sweep"]["failed"]) == (POINTS - 1, 1)
    rows = (await anna.get(f"/jobs/{job['id']}/points"))["points"]
    assert sum(row["attempt"] for row in rows) == POINTS + done["preemptions"]
    begun = Counter(int(line) for line in (home / "begun").read_text().split())
    assert all(1 <= begun[row["point"]] <= row["attempt"] for row in rows)
    (home / "mended").touch()
    again = await anna.post(f"/jobs/{job['id']}/rerun", {})
    await shown(anna, again["id"], lambda it: it["state"] == "succeeded", "the failed point ran again")
    rows = (await anna.get(f"/jobs/{again['id']}/points"))["points"]
    assert [row["values"] for row in rows] == [{"square": number**2} for number in range(1, POINTS + 1)]
    assert [row["point"] for row in rows if not row["carried"]] == [4]


async def test_the_points_of_a_sweep_that_is_preempted_three_times_start_in_order(
    both: Any, figure: Any
) -> None:
    """Whenever devices are free, the lowest points that wait have them: Kueue has their Jobs in their order."""
    v, world, _ = both
    anna = v.as_("anna")
    work = {
        "kind": "script",
        "path": "run.py",
        "snapshot": ".aiinfn/jobs/q/run.py",
        "arguments": ["sleep(2)"],
    }
    sweep = {"points": [{"n": number} for number in range(1, MANY + 1)], "parallelism": MANY}
    begin = time.monotonic()
    job = await anna.post("/jobs", {"work": work, "accelerator": "t4", "queue": "main", "sweep": sweep})
    preempted = 0
    for number in range(10):  # a point may end by itself in the moment in which a session comes
        if preempted >= 3:
            break
        await shown(anna, job["id"], lambda it: it["sweep"]["running"] >= 1, "one runs")
        await world.session(f"s{number}", "t4", DEVICES)
        await world.until_session_runs(f"s{number}")
        preempted = (await anna.get(f"/jobs/{job['id']}"))["preemptions"]
        await until(lambda: in_their_places(v, anna, job["id"]), "who waits is in its place", seconds=60)
        await world.end_session(f"s{number}")
    done = await shown(anna, job["id"], lambda it: it["state"] == "succeeded", "the sweep is over")
    figure(
        f"{MANY} points on two devices, three sessions in between: over after, s", time.monotonic() - begin
    )
    assert done["preemptions"] >= 3
    rows = (await anna.get(f"/jobs/{job['id']}/points"))["points"]
    events = []
    for row in rows:
        history = await anna.get(f"/jobs/{row['job']}/events")
        events += [(event["time"], row["point"], event["state"], event["attempt"]) for event in history]
    events.sort()
    preempted = {(point, attempt) for _, point, state, attempt in events if state == "queued"}  # type: ignore[assignment]
    waiting = set(range(1, MANY + 1))
    started: list[int] = []
    for _, point, state, attempt in events:
        if state == "starting":
            # Two that get their devices in the same moment are told in any order. And when jobs are gone before the pod of the
            # session for which they went is there, Kueue gives their devices to the next; those go again at once.
            assert point in sorted(waiting)[:DEVICES] or (point, attempt) in preempted, started  # type: ignore[operator]
            waiting.remove(point)
            started.append(point)
        elif state == "queued":
            waiting.add(point)
    assert len(started) == MANY + done["preemptions"]


async def in_their_places(v: Any, anna: Any, sweep: Any) -> Any:
    """Whether Kueue has every point that waits in line, those that made room as well, and in the order of their numbers."""
    rows = (await anna.get(f"/jobs/{sweep}/points"))["points"]
    waiting = [row["job"] for row in rows if row["state"] == "queued"]
    places = [v.backend.positions().get(each, 0) for each in waiting]
    return 0 not in places and places == sorted(places)
