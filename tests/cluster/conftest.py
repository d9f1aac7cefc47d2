"""A real cluster for the tests of this folder. `make test-cluster` runs them; `make test` does not even import them."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.harness import Cluster

WANTED = os.environ.get("AIINFN_TEST_CLUSTER") == "1"
if not WANTED:
    collect_ignore_glob = ["*"]

FIGURES: dict[str, float] = {}
CACHE = Path(__file__).resolve().parents[2] / ".cache" / "cluster"


@pytest.fixture(scope="session")
def cache() -> Path:
    """Where the clusters are: a root folder for each."""
    CACHE.mkdir(parents=True, exist_ok=True)
    return CACHE


@pytest.fixture(scope="session")
def cluster(cache: Any) -> Iterator[Any]:
    """One cluster for all tests; it is always taken down, and nothing of it may be left."""
    from tests.cluster.harness import Cluster, Settings, binaries, host

    # AIINFN_TEST_CLUSTER_NAME lets two runs of one checkout go side by side, each with a cluster of its own.
    root, programs = cache / os.environ.get("AIINFN_TEST_CLUSTER_NAME", "tests"), binaries.programs()
    with root.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second run waits, instead of taking this one's cluster down
        Cluster(root, programs).down()  # of a run that was killed
        running = Cluster(root, programs, Settings.free(), say=print)
        try:
            FIGURES["cluster: up, s"] = running.up()
            yield running
        finally:
            running.down()
        assert host.leftovers(root, running.settings.bridge) == []


@pytest.fixture
def workbench(cluster: Cluster) -> Iterator[Any]:
    """A cluster without sessions and jobs, before and after."""
    from tests.cluster.workbench import Workbench

    bench = Workbench(cluster)
    yield bench
    bench.clear()


@pytest.fixture(scope="session")
def site(cluster: Cluster) -> Any:
    """The platform of `platform.yaml` on the cluster, applied once for all tests."""
    from tests.cluster.site import Site

    made = Site(cluster, cluster.root / "site")
    asyncio.run(made.set_up())
    return made


@pytest.fixture(scope="module")
def contract_site(cluster: Cluster) -> Iterator[Any]:
    """The platform that the contract of vkd's back ends speaks of; afterwards it is the usual one again."""
    from tests.cluster import vkd_world

    made = vkd_world.contract_site(cluster)
    yield made
    vkd_world.usual_site(made)


@pytest.fixture
async def world(contract_site: Any, tmp_path: Path) -> AsyncIterator[Any]:
    """vkd's back end on the cluster, with nothing running before and after."""
    from tests.cluster.vkd_world import ClusterWorld

    made = await ClusterWorld.on(contract_site, tmp_path)
    yield made
    await made.end()


@pytest.fixture
def figure() -> Callable[[str, float], None]:
    """Notes a measured figure; all are printed at the end and written to .cache/cluster/figures.json."""

    def note(what: str, value: float) -> None:
        FIGURES[what] = round(value, 2)

    return note


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if FIGURES:
        terminalreporter.section("figures")
        for what, value in FIGURES.items():
            terminalreporter.write_line(f"{value:8.2f}  {what}")
        (CACHE / "figures.json").write_text(json.dumps(FIGURES, indent=2) + "\n")
