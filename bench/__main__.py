"""Run the benchmarks, all or those named.

``--hours`` is for ``culling``: the timeout of the culler, which a usual run has shorter than any site.
"""

from __future__ import annotations

import argparse
import importlib
import sys

from bench.figures import Figure, save, show

MODULES = {
    "store": "GET jobs with 10,000 jobs of history, GET platform",
    "history": "Lists, search and labels with 10,000 and 100,000 jobs; the panel of a browser with 10,000",
    "submit": "Submitting a job against starting the same process directly",
    "resume": "A preempted job that goes on from its checkpoint, and a notebook that goes on from its kernel",
    "form": "The form of a large platform against kubespawner's",
    "spawn": "Hub CPU of a local session against SimpleLocalProcessSpawner",
    "memory": "Memory of hub, vkd and of the server extension in a session",
    "cluster_scale": "Kubernetes: 10 nodes and 100 pods against 1,000 and 10,000",
    "cluster_submit": "Kubernetes: submitting a job against creating the same Job directly",
    "cluster_spawn": "Kubernetes: hub CPU of a session against KubeSpawner",
    "log": "A log of 100 MB in the jobs panel: first bytes, following, memory of the tab",
    "comparison": "The same tasks in jupyter-scheduler and here, in the same browser",
    "labextension": "Bytes that JupyterLab fetches for the labextension",
    "lag": "Event loop of a session's server under 50 polls/s and a followed log",
    "culling": "An open jobs panel and jupyterhub-idle-culler",
}


def main(arguments: list[str]) -> int:
    """Return 1 if an aim is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("names", nargs="*", metavar="benchmark")
    parser.add_argument("--hours", type=float, help="timeout of the culler in `culling`")
    asked = parser.parse_args(arguments)
    names, hours = asked.names, {} if asked.hours is None else {"hours": asked.hours}
    unknown = set(names) - set(MODULES)
    if unknown:
        print(f"There is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(MODULES)}.")
        return 2
    results: dict[str, list[Figure]] = {}
    for name in names or MODULES:
        measure = importlib.import_module(f"bench.{name}").measure
        figures = list(measure(**hours) if name == "culling" else measure())
        show(MODULES[name], figures)
        results[name] = figures
    print(f"\nKept in {save(results)}")
    return int(any(figure.met is False for group in results.values() for figure in group))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
