"""Nodes that only the API server knows (kwok): for inventories and scale; nothing runs on them."""

from __future__ import annotations

from typing import Any

from .images import ARCHITECTURE

KIND = "kwok.x-k8s.io/node"
"""Taint of every fake node, which keeps real pods away: they would look as if they ran. Also the annotation that tells
kwok which nodes are its own."""

SELECTOR = "labelSelector=type%3Dkwok"


def manifest(name: str, resources: dict[str, int], labels: dict[str, str]) -> dict[str, Any]:
    """A node with 32 processors, 256 GiB and what ``resources`` adds."""
    amounts = {"cpu": "32", "memory": "256Gi", "pods": "110", **{k: str(v) for k, v in resources.items()}}
    standard = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": ARCHITECTURE,
        "type": "kwok",
    }
    return {
        "metadata": {"name": name, "labels": {**standard, **labels}, "annotations": {KIND: "fake"}},
        "spec": {"taints": [{"key": KIND, "value": "fake", "effect": "NoSchedule"}]},
        "status": {"capacity": amounts, "allocatable": amounts},
    }
