"""Hub CPU of a session on Kubernetes, against kubespawner's own KubeSpawner with an equivalent profile."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from bench.cluster_stage import cluster_site, cpu_seconds, process_of, running_hub
from bench.figures import Figure
from bench.stage import resident
from tests.cluster.hub_world import ClusterHub
from tests.cluster.site import Site
from tests.hub.stack import HUB_CONFIG, browser, wait_for

OURS, STOCK = ("ada", "bruno"), ("carla", "dora")
"""Who starts sessions where: both hubs have the same namespace."""
ROUNDS = 4
CONFIG = '''
"""The same hub, with KubeSpawner and all that a pod of ours has as a profile of it."""
import os
from datetime import timedelta
from pathlib import Path
from aiinfn_hub.kube.objects.pods import pod_parts
from aiinfn_hub.platform.loading import loader
from aiinfn_hub.platform.selection import Door, Selection

exec(open(os.environ["BENCH_BASE_CONFIG"]).read())
platform = loader.load(Path(os.environ["AIINFN_PLATFORM"]))
parts = pod_parts(Selection(
    door=Door.SESSION, person="carla", project="flavour", image_name="standard", image=platform.images["standard"],
    size_name="small", size=platform.sizes["small"], accelerator_name="t4", accelerator=platform.accelerators["t4"],
    count=1, queue_name=None, priority=0, time_limit=timedelta(hours=8)), platform)
required = parts.affinity["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
c.JupyterHub.spawner_class = "kubespawner.KubeSpawner"
c.JupyterHub.redirect_to_server = False  # signing in would start a session
k = c.KubeSpawner
k.namespace = platform.kubernetes.sessions_namespace
k.cmd = ["jupyterhub-singleuser"]
k.poll_interval, k.http_timeout, k.start_timeout = 5, 60, 120
k.delete_pvc = False
k.environment = parts.environment
k.working_dir = parts.home
k.automount_service_account_token = False
k.profile_list = [{"display_name": "NVIDIA T4", "slug": "t4", "kubespawner_override": {
    "image": parts.image, "image_pull_policy": parts.image_pull_policy,
    "priority_class_name": parts.priority_class_name,
    "cpu_guarantee": platform.sizes["small"].cores, "mem_guarantee": platform.sizes["small"].memory,
    "mem_limit": platform.sizes["small"].memory,
    "extra_resource_guarantees": {"nvidia.com/gpu": "1"}, "extra_resource_limits": {"nvidia.com/gpu": "1"},
    "node_affinity_required": required, "tolerations": parts.tolerations,
    "volumes": parts.volumes, "volume_mounts": parts.volume_mounts,
    "pod_security_context": parts.pod_security_context, "container_security_context": parts.container_security_context,
    "extra_labels": parts.labels, "extra_annotations": parts.annotations,
}}]
'''


def measure() -> Iterator[Figure]:
    """Yield the CPU of each hub's own process for a start and a stop; the two take turns."""
    with cluster_site() as site, tempfile.TemporaryDirectory(prefix="aiinfn-stock-") as name:
        asyncio.run(site.set_up())
        config = Path(name) / "stock_config.py"
        config.write_text(CONFIG)
        with (
            running_hub(site) as ours,
            running_hub(site, config, BENCH_BASE_CONFIG=str(HUB_CONFIG)) as stock,
        ):
            yield from turns(site, ours, stock)


def turns(site: Site, ours: ClusterHub, stock: ClusterHub) -> Iterator[Figure]:
    """Start and stop sessions on both, one after another."""
    sides: tuple[tuple[ClusterHub, tuple[str, ...], dict[str, object]], ...] = (
        (ours, OURS, {"accelerator": "t4", "count": 1, "size": "small", "project": "flavour"}),
        (stock, STOCK, {"profile": "t4"}),
    )
    used: dict[str, list[float]] = {ours.url: [], stock.url: []}
    took: dict[str, list[float]] = {ours.url: [], stock.url: []}
    for hub, people, _ in sides:
        asyncio.run(sign_in(hub, people))
        for person in people:
            site.home(person)
    for number in range(1 + ROUNDS):
        for turn in range(len(OURS)):
            for hub, people, options in sides:
                process = process_of(hub, "jupyterhub", "-f")
                cpu, seconds = session(hub, people[turn], options, process)
                if number:  # the first has imports and other first-use costs
                    used[hub.url].append(cpu)
                    took[hub.url].append(seconds)
    mean = {url: statistics.mean(values) for url, values in used.items()}
    ratio = mean[ours.url] / mean[stock.url]
    yield Figure("hub CPU per session, this spawner", mean[ours.url] * 1000, "ms")
    yield Figure("hub CPU per session, KubeSpawner", mean[stock.url] * 1000, "ms")
    yield Figure("ratio", ratio, "x", "<= 1.10", ratio <= 1.10)
    yield Figure("asked to ready, this spawner, median", statistics.median(took[ours.url]), "s")
    yield Figure("asked to ready, KubeSpawner, median", statistics.median(took[stock.url]), "s")
    memory = [resident(process_of(hub, "jupyterhub", "-f")) for hub in (ours, stock)]
    yield Figure("hub with this spawner, resident", memory[0], "MB")
    yield Figure("hub with KubeSpawner, resident", memory[1], "MB")
    ratio = memory[0] / memory[1]
    yield Figure("ratio", ratio, "x", "<= 1.10", ratio <= 1.10)


async def sign_in(hub: ClusterHub, people: tuple[str, ...]) -> None:
    """Let people sign in through IAM, as in a browser; our page that comes then needs our spawner."""
    for person in people:
        async with browser(hub) as client:
            await client.sign_in(person)
        assert hub.api(f"/users/{person}")[0] == 200


def session(
    hub: ClusterHub, person: str, options: dict[str, object], process: psutil.Process
) -> tuple[float, float]:
    """Start a session over REST, wait until it answers, and stop it; CPU of the hub and seconds until it was ready."""
    before, began = cpu_seconds(process), time.monotonic()
    status, answer = hub.api(f"/users/{person}/server", "POST", {"user_options": options})
    assert status in {201, 202}, answer
    wait_for(f"{person} runs", lambda: model(hub, person).get("ready"), 120, 0.5)
    took = time.monotonic() - began
    hub.api(f"/users/{person}/server", "DELETE")
    wait_for(f"{person} is gone", lambda: not model(hub, person), 60, 0.5)
    return cpu_seconds(process) - before, took


def model(hub: ClusterHub, person: str) -> dict[str, object]:
    """Return a person's default server as the hub shows it."""
    status, user = hub.api(f"/users/{person}")
    assert status == 200, user
    found: dict[str, object] = user["servers"].get("", {})
    return found
