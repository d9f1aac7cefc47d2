"""Pods and jobs as the platform makes them, as small as can be: what the tests of the cluster itself start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.cluster.harness import images

# Ends at SIGTERM with a failure: a pod that exits with 0 when it is evicted counts as a job that is done.
OBEDIENT = ("sh", "-c", 'echo started; trap "exit 143" TERM; while :; do sleep 1 & wait $!; done')
# Process 1 of a container has no default reaction to SIGTERM.
STUBBORN = ("sleep", "infinity")

# What the restricted Pod Security Standard demands.
POD_SECURITY = {
    "runAsNonRoot": True,
    "runAsUser": images.UID,
    "runAsGroup": images.UID,
    "fsGroup": images.UID,
    "seccompProfile": {"type": "RuntimeDefault"},
}
CONTAINER_SECURITY = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}

T4 = {"nvidia.com/gpu": 1}
T4_LABEL = {"nvidia.com/gpu.product": "Tesla-T4"}


def container(
    command: Sequence[str], devices: dict[str, int], image: str = images.BUSYBOX, **more: Any
) -> dict[str, Any]:
    """The one container of a pod, with ``devices`` such as {"nvidia.com/gpu": 1}."""
    requests = {"cpu": "100m", "memory": "64Mi"}
    return {
        "name": "main",
        "image": image,
        "imagePullPolicy": "Never",
        "command": list(command),
        "resources": {"requests": requests, "limits": {name: str(n) for name, n in devices.items()}},
        "securityContext": CONTAINER_SECURITY,
        **more,
    }


def session(
    name: str,
    devices: dict[str, int] | None = None,
    command: Sequence[str] = OBEDIENT,
    labels: dict[str, str] | None = None,
) -> dict[str, Any]:
    """A pod outside Kueue that evicts batch where no other place is left."""
    spec = {
        "priorityClassName": "interactive",
        "terminationGracePeriodSeconds": 2,
        "automountServiceAccountToken": False,
        "securityContext": POD_SECURITY,
        "containers": [container(command, devices or {})],
        "nodeSelector": labels or {},
        "restartPolicy": "Never",
    }
    return {"metadata": {"name": name}, "spec": spec}


def job(
    name: str,
    devices: dict[str, int] | None = None,
    command: Sequence[str] = OBEDIENT,
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    grace: int = 5,
) -> dict[str, Any]:
    """A job in the queue ``opportunistic`` that survives being evicted."""
    pod = {
        "restartPolicy": "Never",
        "priorityClassName": "batch",
        "terminationGracePeriodSeconds": grace,
        "automountServiceAccountToken": False,
        "securityContext": POD_SECURITY,
        "nodeSelector": labels or {},
        "containers": [container(command, devices or {})],
    }
    # An eviction is no failure of the job: with this rule backoffLimit 0 survives it.
    ignore = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    spec = {
        "backoffLimit": 0,
        "podFailurePolicy": {"rules": [ignore]},
        "template": {"metadata": {"annotations": annotations or {}}, "spec": pod},
    }
    queue = {"kueue.x-k8s.io/queue-name": "opportunistic", "kueue.x-k8s.io/priority-class": "normal"}
    return {"metadata": {"name": name, "labels": queue}, "spec": spec}
