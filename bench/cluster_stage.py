"""A real cluster with the platform of its tests, and a hub with vkd beside it; all of it goes away."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from tests.cluster.harness import Cluster, Settings, binaries
from tests.cluster.hub_world import ClusterHub
from tests.cluster.site import Site
from tests.hub.stack import HUB_CONFIG, Iam

CACHE = Path(__file__).parents[1] / ".cache" / "cluster"
ROOT_ONLY = "this benchmark brings up a cluster: run it as root, after make cluster-build"

Change = Callable[[dict[str, Any]], None]


@contextlib.contextmanager
def cluster_site(change: Change | None = None) -> Iterator[Site]:
    """Bring up a cluster with the platform of tests/cluster, changed as ``change`` says."""
    if os.geteuid() != 0:
        sys.exit(ROOT_ONLY)
    root, programs = CACHE / "bench", binaries.programs()
    with root.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        Cluster(root, programs).down()
        cluster = Cluster(root, programs, Settings.free())
        try:
            cluster.up(objects=None)
            yield Site(cluster, cluster.root / "site", change)
        finally:
            cluster.down()


@contextlib.contextmanager
def running_hub(site: Site, config: Path = HUB_CONFIG, **environment: str) -> Iterator[ClusterHub]:
    """Run IAM, the hub and vkd on a site."""
    with tempfile.TemporaryDirectory(prefix="aiinfn-bench-") as name:
        folder = Path(name)
        hub = ClusterHub(folder, site)
        iam = Iam(folder, hub.callback)
        try:
            iam.start()
            hub.start(iam, config, **{"AIINFN_TICKET_KEY": secrets.token_hex(16)} | environment)
            yield hub
        finally:
            hub.stop()
            iam.stop()


def process_of(hub: ClusterHub, *words: str) -> psutil.Process:
    """Find a process of the hub's tree by words of its command line."""
    assert hub.process is not None
    root = psutil.Process(hub.process.pid)
    for process in [root, *root.children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            if all(word in " ".join(process.cmdline()) for word in words):
                return process
    raise AssertionError(f"no process {words}")


def cpu_seconds(process: psutil.Process) -> float:
    """Return the processor time that a process has used."""
    return float(sum(process.cpu_times()[:2]))


def peak(process: psutil.Process) -> float:
    """Return the most resident memory that a process ever had, in MB (10^6 bytes)."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise AssertionError("the kernel tells no peak")
