"""Command line of the cluster on this machine: build, up, down, status, kubeconfig."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import binaries, prerequisites
from .api import Deadline
from .cluster import Cluster
from .prerequisites import Missing
from .volumes import CHECKOUT

CACHE = CHECKOUT / ".cache" / "cluster"


def main() -> int:
    """Do one command; the status is 1 where it fails, with one sentence."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.harness", description=__doc__)
    parser.add_argument("command", choices=("build", "up", "down", "status", "kubeconfig"))
    parser.add_argument("--root", type=Path, default=CACHE / "root", help="default: %(default)s")
    parser.add_argument("--bin-dir", type=Path, default=binaries.programs(), help="default: %(default)s")
    parser.add_argument("--fake-nodes", type=int, default=0, help="nodes with four pretended A100 each")
    arguments = parser.parse_args()
    cluster = Cluster(arguments.root, arguments.bin_dir, say=lambda line: print(line, flush=True))
    try:
        if arguments.command == "build":
            prerequisites.need_root()
            prerequisites.need_packages(cluster.say)
            binaries.build(arguments.bin_dir, cluster.say)
        elif arguments.command == "up":
            _up(cluster, arguments.fake_nodes)
        elif arguments.command == "down":
            prerequisites.need_root()
            cluster.down()
            print("The cluster is down.")
        elif arguments.command == "kubeconfig":
            print(cluster.kubeconfig)
        else:
            lines = [f"{name:30} {state}" for name, state in cluster.status().items()]
            print("\n".join(lines) or "down")
            return 0 if cluster.is_up else 1
    except (Missing, RuntimeError, Deadline) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _up(cluster: Cluster, number: int) -> None:
    if cluster.is_up:
        print("The cluster is up already.")
    else:
        print(f"The cluster is up after {cluster.up():.1f} s.")
    if number:
        names = [f"fake-{n}" for n in range(number)]
        there = {node["metadata"]["name"] for node in cluster.api.get("/api/v1/nodes")["items"]}
        product = {"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-40GB"}
        cluster.add_fake_nodes((n for n in names if n not in there), {"nvidia.com/gpu": 4}, product)
    print(f"export KUBECONFIG={cluster.kubeconfig} PATH={cluster.bin_dir}:$PATH")


if __name__ == "__main__":
    sys.exit(main())
