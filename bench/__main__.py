"""Run the benchmarks, all or those named."""

from __future__ import annotations

import importlib
import sys

from bench.figures import Figure, save, show

MODULES = {
    "store": "GET jobs with 10,000 jobs of history, GET platform",
    "submit": "Submitting a job against starting the same process directly",
    "form": "The form of a large platform against kubespawner's",
    "spawn": "Hub CPU of a local session against SimpleLocalProcessSpawner",
    "memory": "Memory of hub, vkd and of the server extension in a session",
    "cluster_scale": "Kubernetes: 10 nodes and 100 pods against 1,000 and 10,000",
    "cluster_submit": "Kubernetes: submitting a job against creating the same Job directly",
    "cluster_spawn": "Kubernetes: hub CPU of a session against KubeSpawner",
    "log": "A log of 100 MB in the jobs panel: first bytes, following, memory of the tab",
    "comparison": "The same tasks in jupyter-scheduler and here, in the same browser",
    "labextension": "Bytes that JupyterLab fetches for the labextension",
}


def main(names: list[str]) -> int:
    """Give 1 if an aim is missed."""
    unknown = set(names) - set(MODULES)
    if unknown:
        print(f"There is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(MODULES)}.")
        return 2
    results: dict[str, list[Figure]] = {}
    for name in names or MODULES:
        figures = list(importlib.import_module(f"bench.{name}").measure())
        show(MODULES[name], figures)
        results[name] = figures
    print(f"\nKept in {save(results)}")
    return int(any(figure.met is False for group in results.values() for figure in group))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
