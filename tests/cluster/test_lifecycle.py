"""A cluster comes up again after anything, and leaves nothing behind."""

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.harness import Cluster, Settings, binaries, host
from tests.cluster.workbench import Workbench


@pytest.fixture
def spare(cluster: Cluster, cache: Any) -> Iterator[Cluster]:
    """A second cluster beside the first one, without Kueue."""
    Cluster(cache / "spare", binaries.programs()).down()  # of a run that was killed
    spare = Cluster(cache / "spare", binaries.programs(), Settings.free(kueue=False), say=print)
    yield spare
    spare.down()


def everything_of(cluster: Cluster) -> Any:
    found = [pid for name in cluster.processes.names() if (pid := cluster.processes.pid(name))]
    return found + host.pids_with_argument(str(cluster.containerd_socket))


def container_ids(cluster: Cluster) -> list[Any]:
    return [bundle.name for bundle in host.container_bundles(cluster.root / "containerd" / "state")]


def test_after_everything_was_killed_it_comes_up_again_and_down_leaves_nothing(
    cluster: Any, spare: Any, figure: Any
) -> None:
    figure("cluster without Kueue: up, s", spare.up())
    Workbench(spare).start_session("orphan")
    assert host.leftovers(spare.root, spare.settings.bridge)

    containers = container_ids(spare)
    assert len(containers) == 2, "the sandbox and the container of one pod"

    for pid in everything_of(spare):
        os.kill(pid, signal.SIGKILL)
    assert not spare.is_up
    figure("up after everything was killed, s", spare.up())

    bench = Workbench(spare)
    bench.start_session("again")
    containers += container_ids(spare)
    spare.down()
    assert host.leftovers(spare.root, spare.settings.bridge) == []
    assert [group for container in containers for group in host.cgroups(container)] == []
    spare.down()
    assert cluster.is_up, "the other cluster on this machine was not touched"
