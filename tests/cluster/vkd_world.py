"""A back end of vkd on a real cluster, and sessions as the hub makes them: what `tests.vkd.backend_contract` needs."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from aiinfn_hub.contract.jobs import Work
from aiinfn_hub.contract.paths import output_path
from aiinfn_hub.contract.sessions import Claim
from aiinfn_hub.contract.states import FINAL
from aiinfn_hub.kube import names
from aiinfn_hub.kube.client import KubeClient, path_of
from aiinfn_hub.kube.objects import jobs
from aiinfn_hub.kube.objects.pods import pod_parts, pod_spec
from aiinfn_hub.platform.selection import Door, Selection
from aiinfn_hub.vkd.backends.kubernetes.backend import KubernetesBackend
from aiinfn_hub.vkd.domain.backend import BackendJob, Start
from tests.cluster.harness import Cluster, has_condition
from tests.cluster.site import Site
from tests.cluster.workbench import is_running
from tests.vkd.local_world import QUICK, SMALL_JOB, World, claim_request

GRACE = 2.0
"""The least that a kubelet gives a container, whatever its pod asks for."""
PEOPLE = ("alice", "bob")
SLEEP = (sys.executable, "-I", "-S", "-c", "import time; time.sleep(1e6)")
COMMAND = (sys.executable, "-I", "-S", "/home/user/small_job.py", f"{jobs.SPEC_FOLDER}/{jobs.SPEC_FILE}")
"""Runs the tests' small Python in place of the runner, which takes half a second to start."""
NOW = {"gracePeriodSeconds": 0}
SLICE, GPU = "nvidia.com/mig-1g.5gb", "nvidia.com/gpu"
A100 = "NVIDIA-A100-SXM4-40GB"
"""A model that only nodes without a machine have."""


def as_in_the_contract(data: dict[str, Any]) -> None:
    """Change the platform file of the cluster's tests to what the contract speaks of."""
    data["queues"] = {"main": {"title": "Main"}, "short": {"title": "Short", "priority": 10}}
    data["accelerators"]["slice"]["title"] = "A100 slice"
    data["accelerators"]["a100"] = {
        "title": "NVIDIA A100",
        "kind": "gpu",
        "kubernetes": {
            "resource": "nvidia.com/gpu",
            "node_labels": {"nvidia.com/gpu.product": A100},
            "tolerations": [{"key": "kwok.x-k8s.io/node", "operator": "Exists", "effect": "NoSchedule"}],
        },
    }
    data["limits"]["grace"] = f"{GRACE:.0f}s"
    data["sizes"]["small"] = {"title": "Small", "cores": 0.1, "memory": "64Mi"}


def contract_site(cluster: Cluster) -> Site:
    """Bring a cluster in line with the contract: two T4 and one slice."""
    site = Site(cluster, cluster.root / "site", as_in_the_contract)
    asyncio.run(site.set_up())
    set_devices(cluster, {SLICE: 1})
    return site


def usual_site(site: Site) -> None:
    """Undo `contract_site`."""
    set_devices(site.cluster, site.cluster.settings.resources)
    site.write()
    asyncio.run(site.set_up())


def set_devices(cluster: Cluster, amounts: Mapping[str, int], node: str | None = None) -> None:
    """Change what a node pretends to have."""
    status = {name: str(amount) for name, amount in amounts.items()}
    path = f"/api/v1/nodes/{node or cluster.settings.node_name}/status"
    cluster.api.patch(path, {"status": {"capacity": status, "allocatable": status}})


@contextlib.asynccontextmanager
async def patient_kueue(cluster: Cluster) -> AsyncIterator[None]:
    """Let Kueue wait for minutes until it takes back what it admitted and what does not run."""
    config = cluster.root / "kueue" / "config.yaml"
    usual = config.read_text()
    patient = usual.replace("timeout: 20s", "timeout: 5m")
    assert patient != usual

    def restart(text: str) -> None:
        config.write_text(text)
        cluster.stop("kueue")
        cluster.start("kueue")

    await asyncio.to_thread(restart, patient)
    try:
        yield
    finally:
        await asyncio.to_thread(restart, usual)


@dataclass
class ClusterWorld(World):
    """One back end on one cluster; what the store would keep is here."""

    patience: ClassVar[float] = 60
    """A container takes a busy machine seconds to make, and a test waits for several in a row."""

    site: Site = None  # type: ignore[assignment]
    admin: KubeClient = None  # type: ignore[assignment]
    kubeconfig: Path = None  # type: ignore[assignment]
    command: Sequence[str] = COMMAND

    @classmethod
    async def on(cls, site: Site, data: Path, **more: Any) -> ClusterWorld:
        """Make a world; its back end is started."""
        for person in PEOPLE:
            shutil.copy(SMALL_JOB, site.home(person))
        admin = await KubeClient.connect(site.cluster.kubeconfig)
        kubeconfig = await asyncio.to_thread(lambda: site.vkd_kubeconfig)
        world = cls(data, site.platform, site=site, admin=admin, kubeconfig=kubeconfig, **more)
        await world.start()
        return world

    async def start(self, **options: Any) -> KubernetesBackend:  # type: ignore[override]
        client = await KubeClient.connect(self.kubeconfig)
        self.backend = KubernetesBackend(  # type: ignore[assignment]
            self.platform, self.data, client, **{"command": self.command} | options
        )
        self._reader = asyncio.create_task(self._read(self.backend))
        active = sorted(
            (job for job in self.jobs.values() if job.state not in FINAL), key=lambda job: job.queued_at
        )
        await self.backend.start(Start(jobs=active))
        return self.backend  # type: ignore[return-value]

    async def end(self) -> None:
        """Leave nothing behind."""
        await self.stop()
        namespaces = self.platform.kubernetes
        for path in (jobs.jobs_path(self.platform), self._sessions()):
            for item in (await self.admin.get(path))["items"]:
                await self.admin.delete(f"{path}/{item['metadata']['name']}", **NOW)  # type: ignore[arg-type]
        for namespace in (namespaces.batch_namespace, namespaces.sessions_namespace):
            await self.until_pods(namespace, 0)
        await self.admin.close()
        assert self.forbidden == []

    async def until_pods(self, namespace: str, number: int, *, within: float = 30) -> None:
        """Wait until so many pods are in a namespace; those that end on their own are hurried."""
        path = path_of("v1", "pods", namespace=namespace)
        deadline = time.monotonic() + within
        while len(pods := (await self.admin.get(path))["items"]) != number:
            assert time.monotonic() < deadline, [pod["metadata"]["name"] for pod in pods]
            for pod in pods:
                await self.admin.delete(f"{path}/{pod['metadata']['name']}", **NOW)  # type: ignore[arg-type]
            await asyncio.sleep(0.1)

    # Jobs

    def job(
        self, code: str = QUICK, *, image: str = "standard", size: str = "small", **options: Any
    ) -> BackendJob:
        job = super().job(code, **options)
        chosen = {
            "image_name": image,
            "image": self.platform.images[image],
            "size_name": size,
            "size": self.platform.sizes[size],
        }
        return replace(job, selection=job.selection.model_copy(update=chosen))

    def notebook(self, path: str, **options: Any) -> BackendJob:
        """Describe a job that runs a notebook, whose copy is in the home already."""
        job = self.job(**options)
        work = Work(kind="notebook", path=path, snapshot=f".aiinfn/jobs/x/{path}", kernel="python3")
        return replace(job, work=work, output=output_path(work, job.id))

    async def job_object(self, job_id: str) -> dict[str, Any]:
        return await self.admin.get(jobs.jobs_path(self.platform, names.job_name(job_id)))

    async def workload(self, job_id: str) -> dict[str, Any]:
        for item in (await self.admin.get(jobs.workloads_path(self.platform)))["items"]:
            if item["metadata"]["ownerReferences"][0]["name"] == names.job_name(job_id):
                return item
        return {}

    async def until_condition(self, job_id: str, kind: str, *, within: float = 30) -> None:
        """Wait until Kueue says something of a job."""
        deadline = time.monotonic() + within
        while not has_condition(await self.workload(job_id), kind):
            assert time.monotonic() < deadline, await self.workload(job_id)
            await asyncio.sleep(0.05)

    async def pods(self, job_id: str) -> list[dict[str, Any]]:
        label = names.Labels(self.platform.label_prefix).job
        return (await self.admin.get(jobs.pods_path(self.platform), labelSelector=f"{label}={job_id}"))[
            "items"
        ]

    # Sessions

    def _sessions(self, name: str | None = None) -> str:
        return path_of("v1", "pods", namespace=self.platform.kubernetes.sessions_namespace, name=name)

    def session_pod(self, session_id: str, accelerator: str, count: int) -> dict[str, Any]:
        device = self.platform.accelerators.get(accelerator)
        selection = Selection(
            door=Door.SESSION, person="bob", project="flavour",
            image_name="standard", image=self.platform.images["standard"],
            size_name="small", size=self.platform.sizes["small"],
            accelerator_name=accelerator, accelerator=device, count=count if device else 0,
            queue_name=None, priority=0, time_limit=timedelta(hours=8),
        )  # fmt: skip
        parts = pod_parts(selection, self.platform)
        labels = names.Labels(self.platform.label_prefix)
        until = datetime.now(UTC) + timedelta(hours=8)
        return {
            "metadata": {
                "name": names.slug(session_id),
                "labels": {**parts.labels, labels.session: names.slug(session_id)},
                "annotations": {**parts.annotations, labels.until: until.isoformat()},
            },
            "spec": pod_spec(parts, name="notebook", command=SLEEP, environment={}, grace_seconds=1),
        }

    claim_request = staticmethod(claim_request)

    async def session(  # type: ignore[override]
        self, session_id: str, accelerator: str = "t4", count: int = 1, *, claim: bool = True
    ) -> Claim | None:
        """Start a session as the hub does: tell vkd, then make the pod."""
        answer = None
        if claim:
            answer = await self.backend.claim(session_id, claim_request(accelerator, count))
        await self.admin.create(self._sessions(), self.session_pod(session_id, accelerator, count))
        return answer

    async def until_session(
        self, session_id: str, good: Callable[[dict[str, Any]], Any], within: float = 30
    ) -> None:
        """Wait until the pod of a session is as wanted."""
        deadline = time.monotonic() + within
        while not good(pod := await self.admin.get(self._sessions(names.slug(session_id)))):
            assert time.monotonic() < deadline, pod["status"]
            await asyncio.sleep(0.02)

    async def until_session_runs(self, session_id: str) -> None:
        await self.until_session(session_id, is_running)

    async def end_session(self, session_id: str) -> None:
        await self.admin.delete(self._sessions(names.slug(session_id)))
        await self.backend.release(session_id)
        deadline = time.monotonic() + 20
        while await self.admin.find(self._sessions(names.slug(session_id))) is not None:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
