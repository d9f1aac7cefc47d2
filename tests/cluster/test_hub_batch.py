"""The main job on the real cluster: from a session to a batch job through Kueue, and a session that needs what batch has."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import datetime

import pytest

from aiinfn_hub.kube import names
from tests.cluster.harness import has_condition, wait_for
from tests.cluster.hub_world import ClusterHub, Lab, cluster_hub
from tests.hub.stack import browser

CODE = """
print("epochs =", epochs)
open("trained.txt", "w").write(str(epochs))
"""
WAIT_ONCE = """
import pathlib, time
mark = pathlib.Path("been-there")
print("attempt", flush=True)
if not mark.exists():
    mark.touch()
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def hub(site, tmp_path_factory):
    with cluster_hub(tmp_path_factory.mktemp("hub"), site) as (hub, _):
        for who in ("ada", "bruno"):
            site.home(who)
        yield hub


@pytest.fixture
def clear(hub) -> ClusterHub:
    yield
    hub.clear()


def notebook() -> dict:
    def cell(source, *tags):
        about = {"tags": list(tags)} if tags else {}
        return {
            "cell_type": "code",
            "id": f"c{len(source)}",
            "source": source,
            "metadata": about,
            "outputs": [],
            "execution_count": None,
        }

    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [cell("epochs = 1", "parameters"), cell(CODE)]
    return {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


async def job_until(lab, job_id, *states, seconds=90):
    deadline = time.monotonic() + seconds
    while True:
        job = await lab.ask(f"aiinfn-lab/jobs/{job_id}")
        if job["state"] in states:
            return job
        assert job["state"] not in {"failed", "cancelled"}, await lab.ask(f"aiinfn-lab/jobs/{job_id}/events")
        assert time.monotonic() < deadline, job
        await asyncio.sleep(0.1)


async def write(lab, path, content):
    kind = "notebook" if path.endswith(".ipynb") else "file"
    body = {"type": kind, "format": "json" if kind == "notebook" else "text", "content": content}
    await lab.ask(f"api/contents/{path}", "PUT", body)


def workloads(hub, site):
    batch = site.platform.kubernetes.batch_namespace
    return hub.cluster.api.get(f"/apis/kueue.x-k8s.io/v1beta2/namespaces/{batch}/workloads")["items"]


async def test_a_notebook_submitted_from_the_session_runs_through_kueue(hub, site, clear, figure):
    async with browser(hub) as client:
        begin = time.monotonic()
        await client.sign_in("ada")
        hub.start_session("ada", accelerator="none", size="small")
        lab = Lab(client, "ada")
        await lab.open()
        figure("B2: sign-in to JupyterLab's page, s", time.monotonic() - begin)
        await write(lab, "train.ipynb", notebook())
        # What the session wrote is in the shared home, by its own name.
        assert (site.home("ada") / "train.ipynb").is_file()

        begin = time.monotonic()
        request = {"path": "train.ipynb", "parameters": {"epochs": 7}, "accelerator": "none", "size": "large"}
        job = await lab.ask("aiinfn-lab/jobs", "POST", request)
        figure("B2: submit answered, s", time.monotonic() - begin)
        mine = names.job_name(job["id"])

        def admitted():
            return any(
                has_condition(each, "Admitted")
                for each in workloads(hub, site)
                if any(owner["name"] == mine for owner in each["metadata"].get("ownerReferences", []))
            )

        await asyncio.to_thread(wait_for, "Kueue to admit the job", admitted, 30, 0.02)
        figure("B2: submit to admitted by Kueue, s", time.monotonic() - begin)
        await job_until(lab, job["id"], "running", "succeeded")
        figure("B2: submit to running, s", time.monotonic() - begin)
        done = await job_until(lab, job["id"], "succeeded")
        figure("B2: submit to succeeded, s", time.monotonic() - begin)
        output = site.home("ada") / done["output"]
        executed = json.loads(output.read_text())
        assert "epochs = 7" in json.dumps(executed["cells"])
        assert (site.home("ada") / "trained.txt").read_text() == "7"
        assert done["lab"]["output"] == f"train.{job['id']}.ipynb"
        states = [entry["state"] for entry in await lab.ask(f"aiinfn-lab/jobs/{job['id']}/events")]
        assert states == ["queued", "starting", "running", "succeeded"]


async def test_a_session_takes_what_batch_has_and_the_job_comes_back(hub, site, clear, figure):
    async with browser(hub) as client:
        await client.sign_in("ada")
        hub.start_session("ada", "writing", accelerator="none", size="small")
        lab = Lab(client, "ada")
        lab.base += "/writing"
        await lab.open()
        await write(lab, "wait.py", WAIT_ONCE)
        request = {"path": "wait.py", "accelerator": "t4", "count": 2, "size": "small"}
        job = await lab.ask("aiinfn-lab/jobs", "POST", request)
        await job_until(lab, job["id"], "running")
        mark = site.home("ada") / "been-there"
        await asyncio.to_thread(wait_for, "the script to begin", mark.exists)

        seconds = await asyncio.to_thread(hub.start_session, "ada", accelerator="t4", size="small")
        figure("B3: every T4 in batch: asked to JupyterLab ready, s", seconds)
        pod = hub.pod("ada")
        created = datetime.fromisoformat(pod["metadata"]["creationTimestamp"])
        running = datetime.fromisoformat(
            pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"]
        )
        # Kubernetes' times have whole seconds.
        figure(
            "B3: every T4 in batch: pod created to container running, s", (running - created).total_seconds()
        )
        assert (running - created).total_seconds() <= site.platform.limits.grace.total_seconds() + 2
        waiting = await job_until(lab, job["id"], "queued")
        assert waiting["preemptions"] == 1
        hub.end_session("ada")
        begin = time.monotonic()
        await job_until(lab, job["id"], "running", "succeeded")
        figure("B3: device free to job running again, s", time.monotonic() - begin)
        done = await job_until(lab, job["id"], "succeeded")
        assert done["attempt"] == 2
        told = [entry["message"] for entry in await lab.ask(f"aiinfn-lab/jobs/{job['id']}/events")]
        assert any("session" in message.lower() for message in told), told
