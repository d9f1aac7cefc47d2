"""Total work of a job that is preempted and goes on from its checkpoint, against the same job left alone.

And of a notebook that goes on from a session's kernel, against the whole notebook as a job. Both pairs run one after the other on the
same machine; a job's work is the time that it held its device, over all its attempts.
"""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.figures import Figure
from tests.lab.kernels import kernel_of
from tests.lab.real import Real, real_platform

EXAMPLES = Path(__file__).parents[1] / "examples"
EPOCHS = 120
ACCELERATOR = "v70"
LOST = 1
"""Epochs that an interruption may cost: the one during which it comes."""


def measure() -> Iterator[Figure]:
    """Run the examples."""
    with (
        tempfile.TemporaryDirectory(prefix="aiinfn-bench-") as name,
        real_platform(Path(name)) as real,
    ):
        yield from _checkpoint(real)
        yield from _from_here(real)


def _checkpoint(real: Real) -> Iterator[Figure]:
    real.write("checkpoint.ipynb", json.loads((EXAMPLES / "checkpoint.ipynb").read_text()))
    body = {"path": "checkpoint.ipynb", "accelerator": ACCELERATOR, "parameters": {"epochs": EPOCHS}}
    alone = _submitted(real, body)
    _ended(real, alone)
    job = _submitted(real, body)
    while _job(real, job)["values"].get("epoch", 0) < EPOCHS / 2:
        time.sleep(0.1)
    real.claim("bruno", ACCELERATOR)
    real.reach(job, "queued")
    real.release("bruno")
    done = _ended(real, job)
    assert done["preemptions"] == 1
    assert done["values"] == _job(real, alone)["values"], "not the same result"
    first, second = _epochs(real, alone), _epochs(real, job)
    yield Figure("epochs executed, left alone", first, "")
    yield Figure("epochs executed, preempted once at half", second, "", f"<= {first + LOST}", second <= first + LOST)  # fmt: skip
    yield Figure("epochs that starting over would have executed", first + EPOCHS / 2, "")
    yield from _seconds(real, "left alone", alone, "preempted once", job)


def _from_here(real: Real) -> Iterator[Figure]:
    content: dict[str, Any] = json.loads((EXAMPLES / "digits.ipynb").read_text())
    sources = ["".join(cell["source"]) for cell in content["cells"]]
    start = next(index for index, source in enumerate(sources) if "MLPClassifier(" in source)
    real.write("digits.ipynb", content)
    whole = _submitted(real, {"path": "digits.ipynb", "accelerator": ACCELERATOR})
    _ended(real, whole)
    with kernel_of(real.lab) as (identity, kernel):
        for cell, source in list(zip(content["cells"], sources, strict=True))[:start]:
            if cell["cell_type"] == "code":
                kernel.run(source)
        asked = {"kernel": identity, "cell": start}
        began = time.perf_counter()
        answer = real.lab.ask("POST", "kernel-state", body={"path": "digits.ipynb", **asked})
        yield Figure("taking stock of the kernel", 1000 * (time.perf_counter() - began), "ms")
        assert answer.status == 200
        rest = _submitted(real, {"path": "digits.ipynb", "accelerator": ACCELERATOR, "from_here": asked})
    done = _ended(real, rest)
    yield Figure("cells executed, whole notebook", _job(real, whole)["progress"]["cells"], "")
    yield Figure("cells executed, run from here", done["progress"]["cells"], "")
    yield from _seconds(real, "whole notebook", whole, "run from here", rest)


def _seconds(real: Real, one: str, first: str, other: str, second: str) -> Iterator[Figure]:
    a, b = _held(real, first), _held(real, second)
    yield Figure(f"device time, {one}", a, "s")
    yield Figure(f"device time, {other}", b, "s")
    yield Figure("ratio", b / a, "x")


def _submitted(real: Real, body: dict[str, Any]) -> str:
    answer = real.lab.submit(body)
    assert answer.status == 201, answer.body
    return str(answer.json["id"])


def _job(real: Real, job: str) -> dict[str, Any]:
    found: dict[str, Any] = real.lab.get(f"jobs/{job}").json
    return found


def _ended(real: Real, job: str) -> dict[str, Any]:
    done = real.reach(job, "succeeded", "failed", seconds=600)
    assert done["state"] == "succeeded", done["error"]
    return done


def _epochs(real: Real, job: str) -> int:
    attempts = range(1, _job(real, job)["attempt"] + 1)
    logs = [real.lab.get(f"jobs/{job}/logs", attempt=number).body.decode() for number in attempts]
    return sum(len(re.findall(r"^epoch +\d+:", log, re.MULTILINE)) for log in logs)


def _held(real: Real, job: str) -> float:
    """Seconds from each start to what ended it."""
    since, total = None, 0.0
    for entry in real.lab.get(f"jobs/{job}/events").json:
        moment = datetime.fromisoformat(entry["time"])
        if entry["state"] == "running":
            since = moment
        elif since is not None:
            total += (moment - since).total_seconds()
            since = None
    return total
