"""A notebook goes on as a job from its kernel: what the server says before, and a real job that does it."""

from __future__ import annotations

import itertools
import json
import re
import stat
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import checkpoint_example
from tests.lab.conftest import Lab, Peer
from tests.lab.kernels import Kernel, kernel_of

EXAMPLES = Path(__file__).parents[2] / "examples"
EPOCHS = 80
TRAINED = re.compile(r"trained (?:in|for) [\d.]+ s.*")
"""The only part of the examples' outputs that differs from run to run."""


@pytest.fixture(scope="module")
def _kernel(_lab: Lab) -> Iterator[tuple[str, Kernel]]:
    with kernel_of(_lab) as (identity, kernel):
        yield identity, kernel


@pytest.fixture
def kernel(lab: Lab, _kernel: tuple[str, Kernel]) -> tuple[str, Kernel]:
    _kernel[1].run("%reset -f")
    return _kernel


def stock(lab: Lab, kernel: object, cell: object, path: str = "a.ipynb") -> Any:
    return lab.ask("POST", "kernel-state", body={"path": path, "kernel": kernel, "cell": cell})


def test_what_is_carried_is_said_before_anything_is_written(
    lab: Lab, notebook: Callable[..., dict[str, Any]], kernel: tuple[str, Kernel]
) -> None:
    identity, python = kernel
    lab.write(
        "a.ipynb",
        notebook(
            "first = 1", "# only text\n", "print(model(2), rows, later)", "later = 1\nprint(Out[1], later)"
        ),
    )
    python.run(
        "import numpy as np\nrows = (n for n in range(3))\nscale = 3\ndef model(x): return x * scale\n"
        "big = np.zeros(125_000_000)\nalso = big\nbatch = np.zeros(1000)\nspare = open('/dev/null')"
    )
    before = set(lab.home.rglob("*"))
    answer = stock(lab, identity, 2)
    assert answer.status == 200
    said = answer.json
    variables = {each["name"]: each for each in said["variables"]}
    assert (said["cell"], said["cells"], said["code_cells"]) == (2, 4, 2)
    assert said["modules"] == ["np"]
    assert said["limit"] == 2_000_000
    assert said["free"] > 0
    assert {name for name, each in variables.items() if each["used"]} == {"model", "scale", "rows"}
    assert variables["rows"]["reason"].startswith("It is a generator")
    assert variables["spare"]["reason"] == "It is an open file."
    # A gigabyte that nothing needs stays here unless the person wants it; what two names share is told.
    big, also = variables["big"], variables["also"]
    assert (big["carried"], big["type"]) == (False, "ndarray 125000000 float64")
    assert big["shared"] == also["shared"] == [[0, 10**9]]
    assert variables["batch"]["carried"]
    assert variables["model"]["code"]
    problems = [note["sentence"] for note in said["notes"] if note["verdict"] == "problem"]
    assert problems == [
        "The cells from here on seem to use rows, which cannot be carried.",
        "The cells from here on use Out: earlier inputs and outputs are not carried.",
    ]
    assert set(lab.home.rglob("*")) == before


def test_a_submission_writes_the_variables_beside_the_copy_and_asks_vkd_once(
    lab: Lab, peer: Peer, notebook: Callable[..., dict[str, Any]], kernel: tuple[str, Kernel]
) -> None:
    identity, python = kernel
    lab.write("a.ipynb", notebook("x = 1", "y = x"))
    python.run("x = 5\nunwanted = 6")
    body = {"path": "a.ipynb", "from_here": {"kernel": identity, "cell": 1, "leave_out": ["unwanted"]}}
    key = str(uuid.uuid4())
    first = lab.submit(body, key=key)
    assert first.status == 201, first.body
    work = first.json["work"]
    assert work["start_cell"] == 1
    assert work["state"] == work["snapshot"].replace("a.ipynb", "variables.state")
    state = lab.home / work["state"]
    assert stat.S_IMODE(state.stat().st_mode) == 0o600
    assert json.loads(state.read_bytes().partition(b"\n")[0])["left_out"][0]["name"] == "unwanted"
    written = state.read_bytes()
    python.run("x = 7")
    again = lab.submit(body, key=key)
    assert (again.status, again.json["id"]) == (200, first.json["id"])
    assert state.read_bytes() == written
    # Refused by vkd, nothing is left.
    before = lab.snapshots()
    peer.refuse = (422, {"reason": "too_large", "message": "No.", "hint": "", "field": "count"})
    assert lab.submit(body, key=str(uuid.uuid4())).status == 422
    assert lab.snapshots() == before


@pytest.mark.parametrize(
    ("change", "status", "sentence"),
    [
        ({"kernel": "nosuch"}, 404, "The notebook has no running kernel."),
        ({"kernel": None}, 404, "The notebook has no running kernel."),
        ({"kernel": ["x"]}, 404, "The notebook has no running kernel."),
        ({"cell": 2}, 400, "There is no code to run from this cell on."),
        ({"cell": 99}, 400, "The notebook has no such cell."),
        ({"cell": -1}, 400, "The notebook has no such cell."),
        ({"cell": True}, 400, "The notebook has no such cell."),
        ({"cell": "1"}, 400, "The notebook has no such cell."),
        ({"leave_out": "x"}, 400, "The names to leave out must be a list of texts."),
        ({"leave_out": [1]}, 400, "The names to leave out must be a list of texts."),
        ({"more": 1}, 400, "What to go on from must be a kernel and a cell."),
    ],
)
def test_what_cannot_go_on_is_refused_in_a_sentence(
    lab: Lab,
    peer: Peer,
    notebook: Callable[..., dict[str, Any]],
    kernel: tuple[str, Kernel],
    change: dict[str, Any],
    status: int,
    sentence: str,
) -> None:
    lab.write("a.ipynb", notebook("x = 1", "y = x", ""))
    before = lab.snapshots()
    asked = {"kernel": kernel[0], "cell": 1, "leave_out": [], **change}
    answer = lab.submit({"path": "a.ipynb", "from_here": asked})
    assert (answer.status, answer.json["message"]) == (status, sentence)
    assert answer.json["field"] == "from_here"
    assert lab.snapshots() == before
    assert not [one for one in peer.requests if one[0] == "POST"]


def test_parameters_sweeps_scripts_and_other_languages_do_not_go_on(
    lab: Lab, notebook: Callable[..., dict[str, Any]], kernel: tuple[str, Kernel]
) -> None:
    lab.write("a.ipynb", notebook("x = 1", "y = x", tagged=True))
    lab.write("a.py", "x = 1")
    lab.write("r.ipynb", notebook("x <- 1", language="r"))
    here = {"kernel": kernel[0], "cell": 1}
    assert lab.submit({"path": "a.ipynb", "from_here": here, "parameters": {"x": 2}}).json["field"] == (
        "parameters"
    )
    sweep = {"points": [{"x": 1}], "parallelism": 1}
    assert lab.submit({"path": "a.ipynb", "from_here": here, "sweep": sweep}).json["field"] == "sweep"
    script = lab.submit({"path": "a.py", "from_here": here})
    assert script.json["message"] == "Only a notebook can go on from a kernel."
    other = stock(lab, kernel[0], 0, "r.ipynb")
    assert other.json["message"] == "Only a Python kernel's variables can be carried to a job."


def test_a_busy_a_full_and_an_ended_kernel_are_told(
    lab: Lab, notebook: Callable[..., dict[str, Any]], kernel: tuple[str, Kernel]
) -> None:
    identity, python = kernel
    lab.write("a.ipynb", notebook("x = 1", "y = x"))
    python.run("import numpy as np\nx = np.zeros(300_000)")
    full = lab.submit({"path": "a.ipynb", "from_here": {"kernel": identity, "cell": 1}})
    assert (full.status, full.json["reason"]) == (422, "too_large")
    assert full.json["message"].startswith("The variables are larger than a job may carry")
    number = python.client.execute("import os, time\nwhile not os.path.exists('go'): time.sleep(0.05)")
    end = time.monotonic() + 30
    # Asked before the server hears of the cell, a request would stand behind it for a while.
    while lab.get(f"/api/kernels/{identity}").json["execution_state"] != "busy":
        assert time.monotonic() < end
    busy = stock(lab, identity, 1)
    assert (busy.status, busy.json["message"]) == (409, "The kernel is busy.")
    lab.write("go", "")
    while python.client.get_shell_msg(timeout=30)["parent_header"]["msg_id"] != number:
        pass
    with kernel_of(lab) as (second, _):
        pass
    gone = stock(lab, second, 1)
    assert gone.json["message"] == "The notebook has no running kernel."


def printed(output: Any) -> str:
    """What a notebook's cells printed, without the one line that differs from run to run."""
    return TRAINED.sub(
        "",
        "".join(
            "".join(one["text"])
            for cell in output["cells"]
            for one in cell.get("outputs", [])
            if one["output_type"] == "stream"
        ),
    )


def test_the_second_half_of_the_example_gives_in_a_job_what_it_gives_in_the_session(real: Any) -> None:
    content = json.loads((EXAMPLES / "digits.ipynb").read_text())
    cells = content["cells"]
    train = next(index for index, cell in enumerate(cells) if "MLPClassifier(" in "".join(cell["source"]))
    with kernel_of(real.lab) as (identity, kernel):
        for cell in cells[:train]:
            if cell["cell_type"] == "code":
                text = kernel.run("".join(cell["source"]))
                cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": text}] if text else []
        kernel.run(
            "log = open('/dev/null', 'w'); batches = (n for n in range(9)); cache = np.zeros(125_000_000)"
        )
        real.write("digits.ipynb", content)
        # The server hears a moment after the kernel's answer that it is idle again.
        reply = stock(real.lab, identity, train, "digits.ipynb")
        while reply.status == 409:
            reply = stock(real.lab, identity, train, "digits.ipynb")
        said = reply.json
        assert reply.status == 200, said
        named = {
            each["name"]: (each["reason"], each["size"])
            for each in said["variables"]
            if each["name"] in {"log", "batches", "cache"}
        }
        assert named["log"][0] == "It is an open file."
        assert named["batches"][0].startswith("It is a generator")
        assert named["cache"][1] > 10**9
        assert said["notes"] == []
        here = {
            "kernel": identity,
            "cell": train,
            "leave_out": [each["name"] for each in said["variables"] if not each["carried"]],
        }
        answer = real.lab.submit({"path": "digits.ipynb", "from_here": here})
        assert answer.status == 201, answer.body
        # Meanwhile the rest runs in the session, which makes it a full run.
        full = "".join(
            "".join(output["text"])
            for cell in cells[:train]
            for output in cell.get("outputs", [])
            if output["output_type"] == "stream"
        )
        full += "".join(
            kernel.run("".join(cell["source"])) for cell in cells[train:] if cell["cell_type"] == "code"
        )
    done = real.reach(answer.json["id"], "succeeded", "failed", seconds=120)
    assert done["state"] == "succeeded", done["error"]
    assert done["progress"] == {"cell": 3, "cells": 3}
    result = json.loads((real.home / done["output"]).read_text())
    assert printed(result) == TRAINED.sub("", full)
    assert "accuracy" in printed(result)
    log = real.lab.get(f"jobs/{done['id']}/logs").body.decode()
    assert "digits to learn from" not in log
    assert "epoch  30" in log
    assert result["cells"][train]["id"] == "aiinfn-took-over"


def test_the_checkpoint_example_preempted_three_times_ends_as_an_unbroken_run(real: Any) -> None:
    example = json.loads((EXAMPLES / "checkpoint.ipynb").read_text())
    real.write("whole.ipynb", example)
    real.write("checkpoint.ipynb", checkpoint_example.held(example))
    asked = {"path": "checkpoint.ipynb", "parameters": {"epochs": EPOCHS}}
    real.write(checkpoint_example.ALLOWED, str(EPOCHS // 5))
    whole = real.lab.submit({**asked, "path": "whole.ipynb"}).json["id"]
    job = real.lab.submit({**asked, "accelerator": "v70"}).json["id"]
    recorded = [0]
    for number in (1, 2, 3):
        end = time.monotonic() + 120
        while True:
            shown = real.reach(job, "queued", "starting", "running", seconds=10)
            epoch = shown["values"].get("epoch", 0)
            further = epoch >= recorded[-1] + EPOCHS // 10
            if shown["state"] == "running" and shown["attempt"] == number and further:
                break
            assert time.monotonic() < end, shown
        real.claim("bruno", "v70")
        try:
            recorded.append(real.reach(job, "queued")["values"]["epoch"])
            # Further than it came, and never to the end before it was preempted three times.
            allowed = recorded[-1] + EPOCHS // 5 if number < 3 else EPOCHS
            real.write(checkpoint_example.ALLOWED, str(allowed))
        finally:
            real.release("bruno")
    done = real.reach(job, "succeeded", "failed", seconds=120)
    assert (done["state"], done["attempt"], done["preemptions"]) == ("succeeded", 4, 3), done
    logs = [real.lab.get(f"jobs/{job}/logs", attempt=number).body.decode() for number in (1, 2, 3, 4)]
    epochs = [[int(n) for n in re.findall(r"^epoch +(\d+):", log, re.M)] for log in logs]
    for number, (before, after) in enumerate(itertools.pairwise(epochs), 1):
        # What was recorded was printed. Of the epoch in which it was ended the checkpoint may be there, and its line not;
        # nothing is done twice.
        assert recorded[number] <= before[-1] < EPOCHS
        assert after[0] - before[-1] in {1, 2}
        assert f"goes on after epoch {after[0] - 1}" in logs[number]
    assert epochs[-1][-1] == EPOCHS
    # The same numbers come out of it as without an interruption.
    last = re.search(rf"^after {EPOCHS} epochs.*$", logs[-1], re.M)
    assert real.reach(whole, "succeeded", seconds=60)["values"] == done["values"]
    assert last
    assert last[0] in real.lab.get(f"jobs/{whole}/logs").body.decode()
    assert not (real.home / ".aiinfn/checkpoints" / job).exists()
