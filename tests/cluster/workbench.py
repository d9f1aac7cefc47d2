"""What the tests do with a cluster: start sessions and jobs, look at them, clear them away."""

from __future__ import annotations

import time
from typing import Any

from tests.cluster import workloads
from tests.cluster.harness import Cluster, has_condition, wait_for

SESSIONS = "/api/v1/namespaces/sessions/pods"
BATCH_PODS = "/api/v1/namespaces/batch/pods"
JOBS = "/apis/batch/v1/namespaces/batch/jobs"
WORKLOADS = "/apis/kueue.x-k8s.io/v1beta2/namespaces/batch/workloads"
QUEUE = "/apis/visibility.kueue.x-k8s.io/v1beta2/namespaces/batch/localqueues/opportunistic/pendingworkloads"
# Else a Job leaves its pods behind.
BACKGROUND = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}


class Workbench:
    """Sessions and jobs of one test."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self.api = cluster, cluster.api

    # -- sessions

    def start_session(self, name: str, *arguments: Any, **keywords: Any) -> float:
        """Seconds from the creation of a session pod until its container runs."""
        begin = time.monotonic()
        self.api.post(SESSIONS, workloads.session(name, *arguments, **keywords))
        wait_for(f"session {name}", lambda: is_running(self.session(name)), interval=0.02)
        return time.monotonic() - begin

    def session(self, name: str) -> dict[str, Any]:
        return self.api.get(f"{SESSIONS}/{name}")

    def end_session(self, name: str) -> None:
        self.api.delete(f"{SESSIONS}/{name}")
        wait_for(f"session {name} to go", lambda: name not in names(self.api.get(SESSIONS)))

    def log(self, name: str) -> str:
        return self.api.get(f"{SESSIONS}/{name}/log")

    # -- jobs

    def submit(self, name: str, *arguments: Any, **keywords: Any) -> None:
        self.api.post(JOBS, workloads.job(name, *arguments, **keywords))

    def job(self, name: str) -> dict[str, Any]:
        return self.api.get(f"{JOBS}/{name}")

    def remove_job(self, name: str) -> None:
        self.api.delete(f"{JOBS}/{name}", BACKGROUND)
        wait_for(f"pods of {name} to go", lambda: not self.pods_of(name))

    def pods_of(self, job: str) -> list[dict[str, Any]]:
        return self.api.get(f"{BATCH_PODS}?labelSelector=batch.kubernetes.io/job-name%3D{job}")["items"]

    def wait_running(self, job: str, timeout: float = 60) -> float:
        """Seconds until a pod of the job runs."""
        begin = time.monotonic()
        wait_for(f"job {job} to run", lambda: any(map(is_running, self.pods_of(job))), timeout, 0.02)
        return time.monotonic() - begin

    def wait_steady(self, *jobs: str) -> None:
        """Wait until Kueue has seen the jobs ready: only then does its short recoveryTimeout hold for them."""
        for job in jobs:
            wait_for(f"job {job} to be ready", lambda j=job: self.workload_is(j, "PodsReady"))  # type: ignore[misc]

    # -- Kueue

    def workload(self, job: str) -> dict[str, Any]:
        """Kueue's view of a job; empty until there is one."""
        for item in self.api.get(WORKLOADS)["items"]:
            if any(owner["name"] == job for owner in item["metadata"].get("ownerReferences", [])):
                return item
        return {}

    def workload_is(self, job: str, condition: str) -> bool:
        return has_condition(self.workload(job), condition)

    def evicted(self, *jobs: str) -> str:
        """The job of these that Kueue calls evicted, else an empty string."""
        return next((job for job in jobs if self.workload_is(job, "Evicted")), "")

    def set_active(self, job: str, active: bool) -> None:
        name = self.workload(job)["metadata"]["name"]
        self.api.patch(f"{WORKLOADS}/{name}", {"spec": {"active": active}})

    def positions(self) -> dict[str, int]:
        """Waiting job -> its place in the local queue, from 0."""
        items = self.api.get(QUEUE)["items"]
        return {i["metadata"]["ownerReferences"][0]["name"]: i["positionInLocalQueue"] for i in items}

    def clear(self) -> None:
        """Remove every session and job."""
        for path in (SESSIONS, JOBS):
            for name in names(self.api.get(path)):
                self.api.delete(f"{path}/{name}", BACKGROUND)
        for path in (SESSIONS, BATCH_PODS):
            wait_for("pods to go", lambda p=path: not self.api.get(p)["items"])  # type: ignore[misc]


def names(found: dict[str, Any]) -> list[str]:
    return [item["metadata"]["name"] for item in found["items"]]


def is_running(pod: dict[str, Any]) -> bool:
    """Whether every container of a pod runs and none is asked to end."""
    statuses = pod["status"].get("containerStatuses", [])
    ending = pod["metadata"].get("deletionTimestamp")
    return not ending and bool(statuses) and all("running" in s.get("state", {}) for s in statuses)
