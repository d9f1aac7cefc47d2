"""How long each part of Kubernetes and Kueue waits after the API server was away: `python -m tests.cluster.outage SECONDS`.

A cluster of its own is brought up. It runs a session and a job, then the API server is away for so long, and from its return on each
part is given something to do of its own: no figure waits for another part, except that the kubelet needs a node for a pod.
With ``--restart``, the kubelet, the controllers and Kueue are started again when the API server is back.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

from tests.cluster import workloads
from tests.cluster.harness import Cluster, Settings
from tests.cluster.harness.__main__ import CACHE
from tests.cluster.workbench import BACKGROUND, JOBS, SESSIONS, Workbench, is_running

LONGEST = 180.0


def measure(cluster: Cluster, away: float, restart: bool) -> dict[str, float]:
    """Return the seconds from the API server's return until each part has done what it was given."""
    bench, api, node = Workbench(cluster), cluster.api, cluster.settings.node_name
    bench.start_session("ends")
    bench.submit("ends")
    bench.wait_running("ends")
    cluster.kill("kube-apiserver")
    time.sleep(away)
    cluster.start("kube-apiserver")
    begin = time.monotonic()
    if restart:
        cluster.restart_clients()
    bound = workloads.session("bound")
    bound["spec"]["nodeName"] = node  # the kubelet alone
    for pod in (bound, workloads.session("unbound")):
        api.post(SESSIONS, pod)
    unmanaged = workloads.job("unmanaged")
    del unmanaged["metadata"]["labels"]
    api.post("/apis/batch/v1/namespaces/sessions/jobs", unmanaged)
    bench.submit("queued")
    api.delete(f"{SESSIONS}/ends")
    api.delete(f"{JOBS}/ends", BACKGROUND)
    waiting: dict[str, Callable[[], Any]] = {
        "kubelet: a pod that has its node runs": lambda: is_running(bench.session("bound")),
        "kubelet: a pod that was deleted is gone": lambda: "ends" not in _names(api.get(SESSIONS)),
        "kube-scheduler: a pod has its node": lambda: bench.session("unbound")["spec"].get("nodeName"),
        "Job controller: a Job has its pod": lambda: api.get(
            f"{SESSIONS}?labelSelector=batch.kubernetes.io/job-name%3Dunmanaged"
        )["items"],
        "garbage collector: the pod of a deleted Job is deleted": lambda: all(
            pod["metadata"].get("deletionTimestamp") for pod in bench.pods_of("ends")
        ),
        "Kueue: a job is admitted": lambda: bench.workload_is("queued", "Admitted"),
        "all: a session runs": lambda: is_running(bench.session("unbound")),
        "all: a job runs": lambda: any(map(is_running, bench.pods_of("queued"))),
        "all: a cancelled job is gone": lambda: not bench.pods_of("ends"),
    }
    took: dict[str, float] = {}
    while len(took) < len(waiting) and time.monotonic() - begin < LONGEST:
        for what, done in waiting.items():
            if what not in took and done():
                took[what] = round(time.monotonic() - begin, 1)
        time.sleep(0.2)
    return {what: took.get(what, LONGEST) for what in waiting}


def _names(found: dict[str, Any]) -> list[str]:
    return [item["metadata"]["name"] for item in found["items"]]


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.outage", description=__doc__)
    parser.add_argument("seconds", type=float, nargs="+")
    parser.add_argument("--restart", action="store_true")
    arguments = parser.parse_args()
    for away in arguments.seconds:
        # A cluster of its own each time: what backed off a moment ago goes on where it was.
        cluster = Cluster(CACHE / "outage", CACHE / "bin", Settings.free())
        cluster.up()
        try:
            for what, seconds in measure(cluster, away, arguments.restart).items():
                print(f"away {away:.0f} s: {seconds:6.1f}  {what}", flush=True)
        finally:
            cluster.down()


if __name__ == "__main__":
    main()
