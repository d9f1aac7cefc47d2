"""10 nodes with 100 pods against 1,000 nodes with 10,000: the form, the inventory, vkd and the hub.

Nodes and pods are objects of a real API server; only nothing runs on them (kwok). They change as in a real cluster.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

import psutil

from aiinfn_hub.contract.constants import PREFIX
from aiinfn_hub.kube import names
from aiinfn_hub.kube.client import KubeClient
from aiinfn_hub.kube.objects.pods import pod_parts, pod_spec
from aiinfn_hub.platform.selection import Door, Selection
from aiinfn_hub.vkd import tickets
from bench.cluster_stage import cluster_site, cpu_seconds, peak, process_of, running_hub
from bench.figures import Figure, percentile
from bench.stage import resident
from tests.cluster.harness import fake_nodes, wait_for
from tests.cluster.hub_world import ClusterHub
from tests.cluster.site import Site
from tests.hub.stack import browser

KEY = "a key of this benchmark"
PRODUCT = "nvidia.com/gpu.product"
MODEL = "Tesla-T4"
DEVICES = 4
"""Of a node."""
AT_ONCE = 24
FORMS = 100
CHANGES = 10
REST = 15.0
"""Seconds over which idle CPU is measured."""


@dataclass(frozen=True)
class Scale:
    nodes: int
    pods: int

    @property
    def holders(self) -> int:
        """Pods that hold a device; every second of them is a batch job's."""
        return self.nodes * 3

    @property
    def name(self) -> str:
        return f"{self.nodes:,} nodes, {self.pods:,} pods"


SMALL, LARGE = Scale(10, 100), Scale(1000, 10_000)


def tolerated(data: dict[str, Any]) -> None:
    """Let the accelerators be on the fake nodes, which are tainted."""
    data["accelerators"]["t4"]["kubernetes"]["tolerations"] = [{"key": fake_nodes.KIND, "operator": "Exists"}]


def measure() -> Iterator[Figure]:
    """Measure at the small scale, grow under the running hub, and measure again."""
    with cluster_site(tolerated) as site:
        asyncio.run(site.set_up())
        site.cluster.add_fake_nodes(["first"], {"nvidia.com/gpu": DEVICES}, {PRODUCT: MODEL})
        site.cluster.remove_node("first")  # kwok runs now
        with running_hub(site, AIINFN_TICKET_KEY=KEY) as hub:
            small = asyncio.run(at_scale(hub, Scale(0, 0), SMALL))
            yield from small
            large = asyncio.run(at_scale(hub, SMALL, LARGE))
            yield from large
            ratio = large[0].value / small[0].value
            yield Figure("hub CPU per form, large against small", ratio, "x", "<= 1.1", ratio <= 1.1)
            yield from restarted(hub)


async def at_scale(hub: ClusterHub, before: Scale, scale: Scale) -> list[Figure]:
    """Grow to a scale and measure there."""
    vkd, server = process_of(hub, "aiinfn_hub.vkd"), process_of(hub, "jupyterhub", "-f")
    admin = await KubeClient.connect(hub.cluster.kubeconfig)
    try:
        used = cpu_seconds(vkd), cpu_seconds(server)
        began = time.monotonic()
        await grow(admin, hub.site, before, scale)
        # Whether they are free is also about how fast the cluster calls new nodes ready.
        await until(hub, "total", scale.nodes * DEVICES + 2, 120)  # the real node has two
        await until(hub, "sessions", (scale.holders + 1) // 2, 120)
        grown = time.monotonic() - began
        absorbed = cpu_seconds(vkd) - used[0], cpu_seconds(server) - used[1]
        await settled(hub)
        cpu, forms = await form_times(hub, server)
        delays = [await relabelled(admin, hub, number) for number in range(CHANGES)]
        delays += [await added(admin, hub, number) for number in range(CHANGES)]
        readings = [timed_reading(hub) for _ in range(50)]
        idle = await at_rest(vkd, server)
    finally:
        await admin.close()
    name = scale.name
    aim = ("<= 250 MB", resident(vkd) <= 250) if scale == LARGE else ("", None)
    return [
        # The other figures of the form are also about who else uses the processors.
        Figure(f"{name}: hub CPU per form", cpu * 1000, "ms"),
        Figure(f"{name}: form over the proxy, p95", percentile(forms, 0.95) * 1000, "ms"),
        Figure(f"{name}: form over the proxy, median", statistics.median(forms) * 1000, "ms"),
        Figure(f"{name}: GET availability, p95", percentile(readings, 0.95) * 1000, "ms"),
        Figure(f"{name}: node relabelled or added, until it shows, median", statistics.median(delays), "s"),
        Figure(f"{name}: the same, longest", max(delays), "s", "<= 2 s", max(delays) <= 2),
        Figure(f"{name}: vkd, resident", resident(vkd), "MB", *aim),
        Figure(f"{name}: vkd, at rest", idle[0] * 100, "% of a core"),
        Figure(f"{name}: hub, resident", resident(server), "MB"),
        Figure(f"{name}: hub, at rest", idle[1] * 100, "% of a core"),
        Figure(f"{name}: vkd CPU to take it in ({grown:.0f} s)", absorbed[0], "s"),
        Figure(f"{name}: hub CPU meanwhile", absorbed[1], "s"),
    ]


def restarted(hub: ClusterHub) -> Iterator[Figure]:
    """Kill vkd at the large scale: the hub starts another one, which must read everything at once."""
    old = process_of(hub, "aiinfn_hub.vkd")
    total = reading(hub)["total"]
    old.kill()
    began = time.monotonic()
    wait_for("its end", lambda: not old.is_running() or old.status() == psutil.STATUS_ZOMBIE)
    asyncio.run(until(hub, "total", total, 120))
    took = time.monotonic() - began
    vkd = process_of(hub, "aiinfn_hub.vkd")
    yield Figure(f"{LARGE.name}: vkd killed, until another one tells what is free", took, "s")
    yield Figure(
        f"{LARGE.name}: vkd that starts there, at its peak", peak(vkd), "MB", "<= 250 MB", peak(vkd) <= 250
    )


# The cluster


async def grow(admin: KubeClient, site: Site, before: Scale, scale: Scale) -> None:
    """Add nodes and pods up to a scale."""
    room = asyncio.Semaphore(AT_ONCE)

    async def create(path: str, body: dict[str, Any]) -> None:
        async with room:
            await admin.create(path, body)

    nodes = [
        fake_nodes.manifest(f"bench-{n}", {"nvidia.com/gpu": DEVICES}, {PRODUCT: MODEL})
        for n in range(before.nodes, scale.nodes)
    ]
    await asyncio.gather(*(create("/api/v1/nodes", node) for node in nodes))
    made = Pods(site)
    spaces = site.platform.kubernetes
    holders = [made.holder(n) for n in range(before.holders, scale.holders)]
    others = scale.pods - scale.holders - (before.pods - before.holders)
    # What uses no accelerator is in the cluster too, and vkd must pass over it.
    plain = [made.plain(n % scale.nodes, f"plain-{scale.nodes}-{n}") for n in range(others)]
    await asyncio.gather(
        *(
            create(
                f"/api/v1/namespaces/{spaces.batch_namespace if is_job else spaces.sessions_namespace}/pods",
                pod,
            )
            for is_job, pod in holders + plain
        )
    )


class Pods:
    """Pods as the platform makes them, bound to a node already: kube-scheduler is not what is measured."""

    def __init__(self, site: Site) -> None:
        platform = site.platform
        self._labels = names.Labels(platform.label_prefix)
        self._parts = {}
        for door in Door:
            for accelerator in ("t4", "none"):
                device = platform.accelerators.get(accelerator)
                selection = Selection(
                    door=door,
                    person="ada",
                    project="flavour",
                    image_name="standard",
                    image=platform.images["standard"],
                    size_name="small",
                    size=platform.sizes["small"],
                    accelerator_name=accelerator,
                    accelerator=device,
                    count=1 if device else 0,
                    queue_name=None,
                    priority=0,
                    time_limit=timedelta(hours=8),
                )
                self._parts[door, accelerator] = pod_parts(selection, platform)

    def holder(self, number: int) -> tuple[bool, dict[str, Any]]:
        """One of three pods of a node that hold a device."""
        door = Door.JOB if number % 2 else Door.SESSION
        return door is Door.JOB, self._pod(door, "t4", f"holder-{number}", f"bench-{number // 3}")

    def plain(self, node: int, name: str) -> tuple[bool, dict[str, Any]]:
        return False, self._pod(Door.SESSION, "none", name, f"bench-{node}")

    def _pod(self, door: Door, accelerator: str, name: str, node: str) -> dict[str, Any]:
        parts = self._parts[door, accelerator]
        mark = {self._labels.job if door is Door.JOB else self._labels.session: name}
        until = {self._labels.until: (datetime.now(UTC) + timedelta(hours=8)).isoformat()}
        spec = pod_spec(parts, name="main", command=["true"], environment={}, grace_seconds=1)
        return {
            "metadata": {
                "name": name,
                "labels": parts.labels | mark,
                "annotations": parts.annotations | until,
            },
            "spec": spec | {"nodeName": node},
        }


async def relabelled(admin: KubeClient, hub: ClusterHub, number: int) -> float:
    """Take a node's model away and give it back; seconds until vkd tells the former."""
    path = f"/api/v1/nodes/bench-{number % SMALL.nodes}"
    total = reading(hub)["total"]
    began = time.monotonic()
    await admin.patch(path, {"metadata": {"labels": {PRODUCT: None}}})
    await until(hub, "total", total - DEVICES)
    took = time.monotonic() - began
    await admin.patch(path, {"metadata": {"labels": {PRODUCT: MODEL}}})
    await until(hub, "total", total)
    return took


async def added(admin: KubeClient, hub: ClusterHub, number: int) -> float:
    """Add a node and take it away; seconds until vkd tells the former."""
    total = reading(hub)["total"]
    name = f"late-{number}"
    began = time.monotonic()
    await admin.create(
        "/api/v1/nodes", fake_nodes.manifest(name, {"nvidia.com/gpu": DEVICES}, {PRODUCT: MODEL})
    )
    await until(hub, "total", total + DEVICES)
    took = time.monotonic() - began
    await admin.delete(f"/api/v1/nodes/{name}")
    await until(hub, "total", total)
    return took


# The hub and vkd


def reading(hub: ClusterHub) -> dict[str, Any]:
    """Ask vkd what there is of the T4, as an open form does."""
    parts = urlsplit(hub.vkd_url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    try:
        ticket = quote(tickets.issue(KEY, ["t4"]))
        connection.request("GET", f"{parts.path}{PREFIX}/availability?ticket={ticket}")
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    assert answer.status == 200, body
    found: dict[str, Any] = json.loads(body)["accelerators"][0]
    return found


def timed_reading(hub: ClusterHub) -> float:
    began = time.perf_counter()
    reading(hub)
    return time.perf_counter() - began


async def until(hub: ClusterHub, field: str, value: int, seconds: float = 20) -> None:
    """Wait until vkd tells a number."""
    deadline = time.monotonic() + seconds
    found: dict[str, Any] = {}
    while True:
        with contextlib.suppress(OSError, AssertionError):
            found = await asyncio.to_thread(reading, hub)
            if found[field] == value:
                return
        assert time.monotonic() < deadline, f"{field} is not {value}: {found}"
        await asyncio.sleep(0.01)


async def form_times(hub: ClusterHub, server: psutil.Process) -> tuple[float, list[float]]:
    """Load the form as a browser does; CPU of the hub for one, and seconds of each."""
    times: list[float] = []
    used = 0.0
    async with browser(hub) as client:
        assert (await client.sign_in("ada")).status == 200
        for number in range(10 + FORMS):
            if number == 10:
                used = cpu_seconds(server)
            began = time.perf_counter()
            page = await client.get("/hub/spawn")
            if number >= 10:
                times.append(time.perf_counter() - began)
            assert "NVIDIA T4" in page.html
    return (cpu_seconds(server) - used) / FORMS, times


async def settled(hub: ClusterHub) -> None:
    """Wait until kwok, Kueue and the API server have taken in what was made: they share the processors with what is measured."""
    assert hub.process is not None
    deadline = time.monotonic() + 120
    others = [
        psutil.Process(pid)
        for name in hub.cluster.processes.names()
        if (pid := hub.cluster.processes.pid(name))
    ]
    while time.monotonic() < deadline:
        before = sum(map(cpu_seconds, others))
        await asyncio.sleep(3)
        if sum(map(cpu_seconds, others)) - before < 1.0:
            return


async def at_rest(*processes: psutil.Process) -> list[float]:
    """Return the share of a core that each uses while nothing is asked."""
    before = [cpu_seconds(process) for process in processes]
    await asyncio.sleep(REST)
    return [(cpu_seconds(process) - used) / REST for process, used in zip(processes, before, strict=True)]
