"""The main job on the real cluster: from a session to a batch job through Kueue, and a session that needs what batch has.

What is handed over is a notebook, a whole folder, or a notebook that goes on from its kernel.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import nbformat
import pytest
import pytest_asyncio
from nbformat.v4 import new_code_cell, new_output

from aiinfn_hub.kube import names
from aiinfn_hub.kube.objects import jobs
from tests import checkpoint_example
from tests.cluster.harness import has_condition, wait_for
from tests.cluster.hub_world import ClusterHub, Lab, cluster_hub, notebook_of
from tests.cluster.site import Site
from tests.cluster.workbench import BACKGROUND
from tests.hub.stack import browser

EXAMPLES = Path(__file__).parents[2] / "examples"
STEP = 5
"""Epochs that each attempt of the checkpoint example gets; the last one gets to the end."""
EPOCHS = 4 * STEP
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

FOLDER = {
    "simulate.py": """\
import json, os, pathlib, socket, sys
from model import PER_EVENT
events = int(sys.argv[sys.argv.index("--events") + 1])
print("simulating", events, "events")
pathlib.Path("hits.txt").write_text(str(events * PER_EVENT))
found = [str(path) for path in pathlib.Path().rglob("*") if path.is_file()]
seen = {"host": socket.gethostname(), "folder": os.getcwd(), "files": sorted(found)}
pathlib.Path("seen.json").write_text(json.dumps(seen))
""",
    "model.py": "PER_EVENT = 3\n",
    "data/input.csv": "1,2\n",
    "data/raw.root": "large",
    "old/hits.txt": "0",
    ".git/config": "[core]\n",
    ".aiinfnignore": "*.root\nold/\n",
}
"""A person's folder in the folder ``work`` of the home."""
MADE = """\
import pathlib
for name, text in {files!r}.items():
    path = pathlib.Path.home() / "work/proj" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
"""
TOLD = """\
import subprocess
done = subprocess.run({words!r}, cwd=pathlib.Path.home() / "work", capture_output=True, text=True)
assert done.returncode == 0, done.stderr
print(done.stdout, end="")
"""

CELLS = [
    """\
import pathlib, socket
import numpy as np
def note(cell):
    with pathlib.Path("ran.txt").open("a") as file:
        file.write(f"{cell} {socket.gethostname()}\\n")
note("load")
np.random.seed(4)
data = np.random.normal(size=200_000)
print("loaded", data.size, "numbers")""",
    """\
note("model")
class Model:
    def __init__(self, scale):
        self.scale = scale
    def __call__(self, numbers):
        return self.scale * numbers + np.random.normal(size=numbers.size)
model = Model(2.5)
print("a model of scale", model.scale)""",
    """\
note("fit")
fitted = model(data)
print("fitted", repr(float(fitted.sum())))""",
    """\
note("tell")
print("correlation", repr(float(np.corrcoef(data, fitted)[0, 1])))""",
]
FROM = 2
"""The first cell that the job is to execute."""
AWAY = """\
import pathlib, time
number += 1
print("number", number, flush=True)
mark = pathlib.Path("been-away")
if not mark.exists():
    mark.touch()
    time.sleep(600)"""


@pytest.fixture(scope="module")
def hub(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with cluster_hub(tmp_path_factory.mktemp("hub"), site) as (hub, _):
        for who in ("ada", "bruno"):
            site.home(who)
        yield hub
        # A test that failed must not cost the next module its queues.
        path = jobs.jobs_path(site.platform)
        for item in hub.cluster.api.get(path)["items"]:
            hub.cluster.api.delete(f"{path}/{item['metadata']['name']}", BACKGROUND)


@pytest.fixture
def clear(hub: ClusterHub) -> Iterator[None]:
    yield
    hub.clear()


def workloads(hub: Any, site: Site) -> Any:
    batch = site.platform.kubernetes.batch_namespace
    return hub.cluster.api.get(f"/apis/kueue.x-k8s.io/v1beta2/namespaces/{batch}/workloads")["items"]


async def test_a_notebook_submitted_from_the_session_runs_through_kueue(
    hub: Any, site: Any, clear: Any, figure: Any
) -> None:
    async with browser(hub) as client:
        begin = time.monotonic()
        await client.sign_in("ada")
        hub.start_session("ada", accelerator="none", size="small")
        lab = Lab(client, "ada")
        await lab.open()
        figure("B2: sign-in to JupyterLab's page, s", time.monotonic() - begin)
        parameters = new_code_cell("epochs = 1", metadata={"tags": ["parameters"]})
        await lab.write("train.ipynb", notebook_of(parameters, CODE))
        # What the session wrote is in the shared home, by its own name.
        assert (site.home("ada") / "train.ipynb").is_file()

        begin = time.monotonic()
        request = {"path": "train.ipynb", "parameters": {"epochs": 7}, "accelerator": "none", "size": "large"}
        job = await lab.ask("aiinfn-lab/jobs", "POST", request)
        figure("B2: submit answered, s", time.monotonic() - begin)
        mine = names.job_name(job["id"])

        def admitted() -> Any:
            return any(
                has_condition(each, "Admitted")
                for each in workloads(hub, site)
                if any(owner["name"] == mine for owner in each["metadata"].get("ownerReferences", []))
            )

        await asyncio.to_thread(wait_for, "Kueue to admit the job", admitted, 30, 0.02)
        figure("B2: submit to admitted by Kueue, s", time.monotonic() - begin)
        await lab.until(job["id"], "running", "succeeded")
        figure("B2: submit to running, s", time.monotonic() - begin)
        done = await lab.until(job["id"], "succeeded")
        figure("B2: submit to succeeded, s", time.monotonic() - begin)
        output = site.home("ada") / done["output"]
        executed = json.loads(output.read_text())
        assert "epochs = 7" in json.dumps(executed["cells"])
        assert (site.home("ada") / "trained.txt").read_text() == "7"
        assert done["lab"]["output"] == f"train.{job['id']}.ipynb"
        states = [entry["state"] for entry in await lab.ask(f"aiinfn-lab/jobs/{job['id']}/events")]
        assert states == ["queued", "starting", "running", "succeeded"]


async def test_a_session_takes_what_batch_has_and_the_job_comes_back(
    hub: Any, site: Any, clear: Any, figure: Any
) -> None:
    async with browser(hub) as client:
        await client.sign_in("ada")
        hub.start_session("ada", "writing", accelerator="none", size="small")
        lab = Lab(client, "ada")
        lab.base += "/writing"
        await lab.open()
        await lab.ask("api/contents/waiting", "PUT", {"type": "directory"})
        await lab.write("waiting/main.py", WAIT_ONCE)
        request = {"folder": "waiting", "path": "waiting/main.py"}
        options = {"accelerator": "t4", "count": 2, "size": "small"}
        job = await lab.ask("aiinfn-lab/jobs", "POST", request | options)
        await lab.until(job["id"], "running")
        # Its second attempt goes on in the folder that the first one left.
        mark = site.home("ada") / f"waiting.{job['id']}" / "been-there"
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
        waiting = await lab.until(job["id"], "queued")
        assert waiting["preemptions"] == 1
        hub.end_session("ada")
        begin = time.monotonic()
        await lab.until(job["id"], "running", "succeeded")
        figure("B3: device free to job running again, s", time.monotonic() - begin)
        done = await lab.until(job["id"], "succeeded")
        assert done["attempt"] == 2
        told = [entry["message"] for entry in await lab.ask(f"aiinfn-lab/jobs/{job['id']}/events")]
        assert any("session" in message.lower() for message in told), told


# A folder, and an open notebook; one session for all of these


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(hub: Any) -> AsyncIterator[Lab]:
    """A session of ada's."""
    async with browser(hub) as client:
        await client.sign_in("ada")
        await asyncio.to_thread(hub.start_session, "ada", accelerator="none", size="large")
        lab = Lab(client, "ada")
        await lab.open()
        yield lab


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kernel(lab: Lab) -> str:
    """A kernel beside the folder ``proj``."""
    kernel = await lab.start_kernel("console.ipynb")
    await lab.run(kernel, MADE.format(files=FOLDER))
    return kernel


async def aiinfn(lab: Lab, kernel: str, *words: str) -> str:
    """Call the command line in the session, in the folder ``work``."""
    return await lab.run(kernel, TOLD.format(words=["aiinfn", *words]))


def files_of(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def printed(notebook: Any) -> list[str]:
    """What each cell of code printed."""
    cells = (cell for cell in notebook["cells"] if cell["cell_type"] == "code")
    return [
        "".join("".join(one["text"]) for one in cell["outputs"] if one["output_type"] == "stream")
        for cell in cells
    ]


@pytest.mark.asyncio(loop_scope="module")
async def test_a_folder_from_the_command_line_runs_through_kueue(
    site: Any, lab: Any, kernel: Any, figure: Any
) -> None:
    home = site.home("ada")
    begin = time.monotonic()
    line = "python simulate.py --events 14 | tee said.txt"
    job = (await aiinfn(lab, kernel, "submit", "-q", "proj", "--size", "small", "--", line)).strip()
    done = await lab.until(job, "succeeded")
    figure("folder: aiinfn submit to succeeded, s", time.monotonic() - begin)
    assert (done["work"]["kind"], done["work"]["folder"]) == ("command", "work/proj")
    assert done["output"] == f"work/proj.{job}/command.{job}.log"

    # The result is where the local back end puts it, and the original is as it was.
    place = home / f"work/proj.{job}"
    assert (place / "hits.txt").read_text() == "42"
    assert files_of(home / "work/proj") == sorted(FOLDER)
    seen = json.loads((place / "seen.json").read_text())
    assert seen["host"].startswith(names.job_name(job))
    assert seen["folder"] == f"/home/user/work/proj.{job}"
    kept = {name for name in FOLDER if not name.startswith((".git/", "old/")) and not name.endswith(".root")}
    written = {"hits.txt", "said.txt", f"command.{job}.log"}
    assert {name for name in seen["files"] if not name.startswith("__pycache__/")} == kept | written

    said = "simulating 14 events\n"
    assert (place / "said.txt").read_text() == said
    assert (home / done["output"]).read_text() == said
    assert await lab.ask(f"aiinfn-lab/jobs/{job}/logs") == said
    assert await aiinfn(lab, kernel, "logs", job) == said


@pytest.mark.asyncio(loop_scope="module")
async def test_a_command_that_fails_in_a_folder_fails_the_job_and_says_why(
    site: Any, lab: Any, kernel: Any
) -> None:
    # The pipe's last part succeeds: the job fails all the same.
    line = "(echo one event; echo no such channel; exit 3) | tee said.txt"
    request = {"folder": "work/proj", "command": line, "size": "small"}
    job = await lab.ask("aiinfn-lab/jobs", "POST", request)
    failed = await lab.until(job["id"], "failed")
    assert failed["sentence"] == "Failed: Exit code 3: no such channel"
    assert (failed["cause"], failed["error"]["name"]) == ("error", "Exit code 3")
    assert failed["error"]["traceback"] == "one event\nno such channel"
    log = await lab.ask(f"aiinfn-lab/jobs/{job['id']}/logs")
    assert log == "one event\nno such channel\n[exit code 3]\n"
    events = await lab.ask(f"aiinfn-lab/jobs/{job['id']}/events")
    assert [entry["state"] for entry in events] == ["queued", "starting", "running", "failed"]
    assert events[-1]["message"] == "Failed: Exit code 3: no such channel"
    # What it wrote until then stays.
    said = site.home("ada") / f"work/proj.{job['id']}/said.txt"
    assert said.read_text() == "one event\nno such channel\n"


@pytest.mark.asyncio(loop_scope="module")
async def test_a_notebook_goes_on_as_a_job_from_its_kernel_in_another_pod(
    hub: Any, site: Any, lab: Any, figure: Any
) -> None:
    home, pod = site.home("ada"), hub.pod("ada")["metadata"]["name"]
    notebook = notebook_of(*CELLS)
    await lab.write("fit.ipynb", notebook)
    kernel = await lab.start_kernel("fit.ipynb")
    for cell in notebook.cells[:FROM]:
        text = await lab.run(kernel, cell.source)
        cell.outputs = [new_output("stream", name="stdout", text=text)]
    await lab.run(kernel, "log = open('/dev/null')")
    await lab.write("fit.ipynb", notebook)

    here = {"path": "fit.ipynb", "kernel": kernel, "cell": FROM}
    stock = await lab.ask("aiinfn-lab/kernel-state", "POST", here)
    assert stock["notes"] == []
    carried = {each["name"] for each in stock["variables"] if each["carried"]}
    assert carried == {"data", "model", "note", "Model"}
    begin = time.monotonic()
    request = {"path": "fit.ipynb", "from_here": {"kernel": kernel, "cell": FROM, "leave_out": ["log"]}}
    job = (await lab.ask("aiinfn-lab/jobs", "POST", {**request, "size": "small"}))["id"]
    done = await lab.until(job, "succeeded")
    figure("run from here: submit to succeeded, s", time.monotonic() - begin)

    # No cell ran twice, and those of the job ran in its own pod.
    ran = [line.split() for line in (home / "ran.txt").read_text().splitlines()]
    assert [cell for cell, _ in ran] == ["load", "model", "fit", "tell"]
    assert [host for _, host in ran[:FROM]] == [pod, pod]
    assert all(host.startswith(names.job_name(job)) for _, host in ran[FROM:])
    assert done["progress"] == {"cell": 2, "cells": 2}

    # The result stands beside the notebook, says where the job took over, and equals a full run.
    assert done["output"] == f"fit.{job}.ipynb"
    result = nbformat.read(home / done["output"], as_version=4)
    assert result["cells"][FROM]["id"] == "aiinfn-took-over"
    full = [cell.outputs[0].text for cell in notebook.cells[:FROM]]
    full += [await lab.run(kernel, cell.source) for cell in notebook.cells[FROM:]]
    assert printed(result) == full
    assert "[goes on from the session" in await lab.ask(f"aiinfn-lab/jobs/{job}/logs")

    # What the job had at its end comes back into a new kernel of the session.
    another = await lab.start_kernel("other.ipynb")
    back = f"import aiinfn_lab\naiinfn_lab.load_variables({job!r})\nprint(repr(float(fitted.sum())))"
    assert (await lab.run(another, back)).splitlines()[-1] == full[FROM].split()[1]


@pytest.mark.asyncio(loop_scope="module")
async def test_a_job_from_a_kernel_that_made_room_begins_at_its_cell_again(
    hub: Any, site: Any, lab: Any, kernel: Any
) -> None:
    await lab.write("away.ipynb", notebook_of("number = 1", AWAY))
    await lab.run(kernel, "number = 1")
    request = {"path": "away.ipynb", "from_here": {"kernel": kernel, "cell": 1}, "size": "small"}
    job = (await lab.ask("aiinfn-lab/jobs", "POST", {**request, "accelerator": "t4", "count": 2}))["id"]
    await lab.run(kernel, "number = 50")  # what the session does afterwards does not change the job
    mark = site.home("ada") / "been-away"
    await asyncio.to_thread(wait_for, "the cell to begin", mark.exists)
    await asyncio.to_thread(hub.start_session, "ada", "needs", accelerator="t4", size="small")
    assert (await lab.until(job, "queued"))["preemptions"] == 1
    await asyncio.to_thread(hub.end_session, "ada", "needs")
    done = await lab.until(job, "succeeded")
    assert (done["attempt"], done["preemptions"]) == (2, 1)
    # With the variables as they were at submission.
    result = nbformat.read(site.home("ada") / done["output"], as_version=4)
    assert printed(result) == ["", "number 2\n"]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.timeout(400)
async def test_the_checkpoint_example_preempted_three_times_ends_as_an_unbroken_run(
    hub: Any, site: Any, lab: Any, figure: Any
) -> None:
    example = nbformat.read(EXAMPLES / "checkpoint.ipynb", as_version=4)
    await lab.write("whole.ipynb", example)
    await lab.write("checkpoint.ipynb", checkpoint_example.held(example))
    request = {"size": "large", "parameters": {"epochs": EPOCHS}}
    unheld = {"path": "whole.ipynb", "accelerator": "none"}
    whole = (await lab.ask("aiinfn-lab/jobs", "POST", {**request, **unheld}))["id"]
    unbroken = await lab.until(whole, "succeeded")
    begin, allowed = time.monotonic(), site.home("ada") / checkpoint_example.ALLOWED
    allowed.write_text(str(STEP))
    held = {"path": "checkpoint.ipynb", "accelerator": "t4", "count": 2}
    job = (await lab.ask("aiinfn-lab/jobs", "POST", {**request, **held}))["id"]
    for number in (1, 2, 3):
        # It waits there, however late this is seen.
        await until_epoch(lab, job, attempt=number, epoch=STEP * number)
        await asyncio.to_thread(hub.start_session, "ada", "needs", accelerator="t4", size="small")
        assert (await lab.until(job, "queued"))["preemptions"] == number
        allowed.write_text(str(STEP * (number + 1)))
        await asyncio.to_thread(hub.end_session, "ada", "needs")
    done = await lab.until(job, "succeeded")
    figure("checkpoint example, preempted three times: submit to succeeded, s", time.monotonic() - begin)
    assert (done["attempt"], done["preemptions"]) == (4, 3)
    assert done["values"] == unbroken["values"]

    # Each attempt goes on where the one before was stopped, and nothing is done twice.
    logs = [await lab.ask(f"aiinfn-lab/jobs/{job}/logs?attempt={number}") for number in (1, 2, 3, 4)]
    epochs = [[int(n) for n in re.findall(r"^epoch +(\d+):", log, re.M)] for log in logs]
    assert epochs == [list(range(STEP * number + 1, STEP * (number + 1) + 1)) for number in range(4)]
    last = re.search(rf"^after {EPOCHS} epochs.*$", logs[-1], re.M)
    assert last
    assert last[0] in await lab.ask(f"aiinfn-lab/jobs/{whole}/logs")


async def until_epoch(lab: Lab, job: str, attempt: int, epoch: int) -> None:
    """Wait until an attempt of a job runs and has recorded an epoch."""
    deadline = time.monotonic() + 120
    while True:
        shown = await lab.ask(f"aiinfn-lab/jobs/{job}")
        recorded = (shown["values"] or {}).get("epoch", 0)
        if shown["state"] == "running" and shown["attempt"] == attempt and recorded >= epoch:
            return
        assert time.monotonic() < deadline, shown
        await asyncio.sleep(0.1)
