"""Nodes without a machine, for inventories and for scale."""

import time
from typing import Any

from tests.cluster.harness import wait_for

A100 = {"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-40GB"}


def test_fake_nodes_come_take_jobs_and_go(cluster: Any, workbench: Any, figure: Any) -> None:
    begin = time.monotonic()
    nodes = [f"fake-{number}" for number in range(5)]
    cluster.add_fake_nodes(nodes, {"nvidia.com/gpu": 4}, A100)
    figure("5 fake nodes: ready after, s", time.monotonic() - begin)
    try:
        done = {"pod-complete.stage.kwok.x-k8s.io/delay": "1s"}
        workbench.submit("simulated", {"nvidia.com/gpu": 4}, labels=A100, annotations=done)
        pods = wait_for(
            "a pod on a fake node",
            lambda: [p for p in workbench.pods_of("simulated") if "nodeName" in p["spec"]],
        )
        assert pods[0]["spec"]["nodeName"] in nodes
        wait_for("its end", lambda: workbench.job("simulated")["status"].get("succeeded") == 1)

        workbench.submit("orphan", {"nvidia.com/gpu": 4}, labels=A100)
        workbench.wait_running("orphan")
    finally:
        for name in nodes:
            cluster.remove_node(name)
    wait_for("the nodes to go", lambda: len(cluster.api.get("/api/v1/nodes")["items"]) == 1)
