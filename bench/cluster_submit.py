"""What vkd adds to a job on Kubernetes: POST jobs against creating the same Job directly, in turns."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import os
import ssl
import statistics
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import yaml

from aiinfn_hub.contract.constants import PREFIX
from aiinfn_hub.contract.jobs import Work
from aiinfn_hub.kube import names
from aiinfn_hub.kube.objects import jobs
from bench.cluster_stage import cluster_site, running_hub
from bench.figures import Figure, percentile
from bench.stage import Caller
from tests.cluster.harness import ApiError, images, wait_for
from tests.cluster.hub_world import ClusterHub
from tests.cluster.site import Site
from tests.hub.stack import browser

CREATED = 60
"""Pairs of which only the creation is timed; every one goes before the next comes."""
RUN = 8
"""Pairs that are waited for until their pod runs."""
WARM = 10
PERSON = "ada"
SNAPSHOT = ".aiinfn/jobs/bench/wait.py"
RUNNING_FOR = "import time; time.sleep(600)\n"


def measure() -> Iterator[Figure]:
    """Alternate the two, so that a busy machine slows both."""
    with cluster_site() as site:
        asyncio.run(site.set_up())
        snapshot = site.home(PERSON) / SNAPSHOT
        snapshot.parent.mkdir(parents=True)
        snapshot.write_text(RUNNING_FOR)
        for path in site.home(PERSON).rglob("*"):
            os.chown(path, images.UID, images.UID)
        with running_hub(site) as hub:
            yield from alternate(hub, site)


def alternate(hub: ClusterHub, site: Site) -> Iterator[Figure]:
    """Time both ways, first of creating jobs and then of getting them to run."""
    ways = Ways(hub, site)
    through: list[float] = []
    direct: list[float] = []
    made: list[float] = []
    for number in range(WARM + CREATED):
        # Who goes first changes, so that neither always finds the other's caches warm.
        for way, times in ((ways.vkd, through), (ways.raw, direct))[:: 1 if number % 2 else -1]:
            began = time.perf_counter()
            name = way()
            if number >= WARM:
                times.append(time.perf_counter() - began)
            ways.until_made(name)
            if number >= WARM and times is through:
                made.append(time.perf_counter() - began)
            ways.remove(name)
    middle = statistics.median(through), statistics.median(direct)
    ratio = middle[0] / middle[1]
    yield Figure("POST jobs to vkd, until the job is kept for good, median", middle[0] * 1000, "ms")
    yield Figure("the same, p95", percentile(through, 0.95) * 1000, "ms")
    yield Figure("the same Job created directly, median", middle[1] * 1000, "ms")
    yield Figure("the same, p95", percentile(direct, 0.95) * 1000, "ms")
    yield Figure("ratio of the medians", ratio, "x", "<= 1.1", ratio <= 1.1)
    yield Figure(
        "through vkd, until the Job is seen in the cluster, median", statistics.median(made) * 1000, "ms"
    )
    through, direct = [], []
    for _ in range(RUN):
        for way, times in ((ways.vkd, through), (ways.raw, direct)):
            began = time.perf_counter()
            name = way()
            ways.until_running(name)
            times.append(time.perf_counter() - began)
            ways.remove(name)
    ratio = statistics.median(through) / statistics.median(direct)
    yield Figure("through vkd: submitted to container running, median", statistics.median(through), "s")
    yield Figure("directly: created to container running, median", statistics.median(direct), "s")
    yield Figure("ratio of the medians", ratio, "x", "<= 1.1", ratio <= 1.1)


class Ways:
    """The two ways to a job, each over one connection that stays open."""

    def __init__(self, hub: ClusterHub, site: Site) -> None:
        self._site, self._platform = site, site.platform
        self._api = site.cluster.api
        asyncio.run(sign_in(hub))
        status, answer = hub.api(
            f"/users/{PERSON}/tokens", "POST", {"scopes": ["access:services!service=vkd"]}
        )
        assert status == 201, answer
        self._vkd = Caller(hub.vkd_url, answer["token"])
        self._kube = direct_connection(site)
        self._number = 0
        work = Work(kind="script", path="wait.py", snapshot=SNAPSHOT)
        self._request = {
            "work": work.model_dump(),
            "accelerator": "t4",
            "project": "flavour",
            "size": "small",
        }
        # The manifest that vkd makes, taken from a job of its own.
        self._manifest: dict[str, Any] = {}
        first = self.vkd()
        self.until_made(first)
        self._manifest = plain(self._api.get(jobs.jobs_path(self._platform, first)))
        self.remove(first)

    def vkd(self) -> str:
        """Submit a job; gives the name of its Job."""
        status, body = self._vkd.call(f"{PREFIX}/jobs", "POST", self._request)
        assert status == 201, body
        return names.job_name(json.loads(body)["id"])

    def raw(self) -> str:
        """Create the same Job directly, with vkd's own account."""
        self._number += 1
        name = f"job-raw-{self._number}"
        body = self._manifest | {"metadata": self._manifest["metadata"] | {"name": name}}
        status, answer = self._kube.call(jobs.jobs_path(self._platform), "POST", body)
        assert status == 201, answer
        return name

    def until_made(self, name: str) -> None:
        """Wait for a Job: vkd answers as soon as its store has the job, and makes the Job meanwhile."""

        def there() -> bool:
            try:
                return bool(self._api.get(jobs.jobs_path(self._platform, name)))
            except ApiError as error:
                if error.status == 404:
                    return False
                raise

        wait_for(f"{name} to be made", there, 30, 0.005)

    def until_running(self, name: str) -> None:
        """Wait for a running container of a Job."""
        path = f"{jobs.pods_path(self._platform)}?labelSelector=batch.kubernetes.io/job-name%3D{name}"

        def runs() -> bool:
            pods = self._api.get(path)["items"]
            return any(
                s.get("state", {}).get("running")
                for p in pods
                for s in p["status"].get("containerStatuses", [])
            )

        wait_for(f"{name} to run", runs, 60, 0.02)

    def remove(self, name: str) -> None:
        """Let a job leave nothing behind, so that all find the same cluster."""
        if not name.startswith("job-raw-"):
            status, body = self._vkd.call(f"{PREFIX}/jobs/{name.removeprefix('job-')}/cancel", "POST")
            assert status in {200, 202}, body
        now = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        self._api.delete(jobs.jobs_path(self._platform, name), now)
        paths = jobs.workloads_path(self._platform), jobs.pods_path(self._platform)
        wait_for("it to go", lambda: not any(self._api.get(path)["items"] for path in paths), 60, 0.02)


async def sign_in(hub: ClusterHub) -> None:
    """Let the hub know the person and the groups."""
    async with browser(hub) as client:
        assert (await client.sign_in(PERSON)).status == 200


def plain(job: dict[str, Any]) -> dict[str, Any]:
    """Return a Job as it was sent, without what the API server and Kueue added."""
    metadata, spec = job["metadata"], job["spec"]
    template = spec["template"]
    own = {"batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name", "controller-uid", "job-name"}
    labels = {key: value for key, value in template["metadata"]["labels"].items() if key not in own}
    sent = (
        "parallelism",
        "completions",
        "backoffLimit",
        "podFailurePolicy",
        "activeDeadlineSeconds",
        "ttlSecondsAfterFinished",
    )
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"labels": metadata["labels"], "annotations": metadata["annotations"]},
        "spec": {key: spec[key] for key in sent}
        | {
            "suspend": True,
            "template": {
                "metadata": {"labels": labels, "annotations": template["metadata"]["annotations"]},
                "spec": template["spec"],
            },
        },
    }


class Direct(Caller):
    """A connection to the API server with an account's own token."""

    def __init__(self, server: str, token: str, context: ssl.SSLContext) -> None:
        super().__init__("http://unused", token)
        parts = urlsplit(server)
        self._prefix = ""
        self._connection = http.client.HTTPSConnection(
            parts.hostname or "", parts.port, timeout=60, context=context
        )
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}


def direct_connection(site: Site) -> Direct:
    """Log in as vkd does."""
    config = yaml.safe_load(site.vkd_kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    return Direct(cluster["server"], user["token"], ssl.create_default_context(cadata=authority))
