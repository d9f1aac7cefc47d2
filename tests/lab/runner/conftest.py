"""Runs jobs with the real runner, as a back end would: a process, a spec on its standard input, lines on its output."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from aiinfn_hub.contract.constants import RECORD_SEPARATOR
from aiinfn_hub.contract.jobs import RunSpec, Work
from aiinfn_hub.contract.paths import output_path
from aiinfn_hub.contract.runner import RunnerRecord
from aiinfn_hub.vkd.backends.common.runner_output import Splitter


@dataclass
class Run:
    """A job's process and what it said."""

    process: subprocess.Popen[bytes]
    output: Path
    records: list[RunnerRecord] = field(default_factory=list)
    used: list[RunnerRecord] = field(default_factory=list)
    log: str = ""
    errors: str = ""

    def until(self, condition: Callable[[], Any], seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, self.finish()
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def finish(self, seconds: float = 60) -> int:
        """Wait for the end and take its output apart, as a back end does."""
        out, errors = self.process.communicate(timeout=seconds)
        text, records = Splitter().feed(out)
        for found in records:
            record = RunnerRecord.model_validate(found)
            # How many of these there are depends on how long it took.
            (self.used if record.type == "resources" else self.records).append(record)
        self.log = text.decode(errors="replace")
        assert RECORD_SEPARATOR not in self.log
        self.errors = errors.decode(errors="replace")
        return self.process.returncode

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.finish(20)

    def signal_kernel(self) -> bool:
        """Send SIGTERM to the runner's kernel, as a back end does that tells all of a job's processes."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for pid in children:
            os.kill(int(pid), signal.SIGTERM)
        return bool(children)

    @property
    def error(self) -> Any:
        (record,) = [record for record in self.records if record.type == "error"]
        return record.error

    @property
    def progress(self) -> list[tuple[int, int]]:
        return [(record.progress.cell, record.progress.cells) for record in self.records if record.progress]

    @property
    def notebook(self) -> Any:
        return json.loads(self.output.read_text())

    def texts(self) -> str:
        """All stream outputs of the notebook."""
        return "".join(
            "".join(output["text"])
            for cell in self.notebook["cells"]
            for output in cell.get("outputs", [])
            if output["output_type"] == "stream"
        )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "home of ada"
    path.mkdir(mode=0o700)
    return path


@pytest.fixture
def start(home: Path) -> Iterator[Callable[..., Run]]:
    """Start a job: path of the input, its content, and parts of `Work`."""
    runs: list[Run] = []

    def begin(path: str, content: Any, *, job: str = "k3x9", attempt: int = 1, **work: Any) -> Run:
        original = home / path
        original.parent.mkdir(parents=True, exist_ok=True)
        snapshot = home / ".aiinfn/jobs/0123456789ab" / original.name
        snapshot.parent.mkdir(parents=True, exist_ok=True)
        data = json.dumps(content) if isinstance(content, dict) else content
        snapshot.write_bytes(data.encode() if isinstance(data, str) else data)
        kind = "notebook" if path.endswith(".ipynb") else "script"
        if kind == "notebook":
            work = {"kernel": "python3", **work}
        described = Work(kind=kind, path=path, snapshot=str(snapshot.relative_to(home)), **work)
        output = output_path(described, job)
        spec = RunSpec(job=job, attempt=attempt, home=str(home), work=described, output=output)
        run = Run(_launch(spec.model_dump_json(), home), home / output)
        runs.append(run)
        return run

    yield begin
    for run in runs:
        if run.process.poll() is None:
            run.process.kill()
        with contextlib.suppress(ValueError):
            run.process.communicate()


@pytest.fixture
def start_raw(home: Path) -> Callable[[str], Run]:
    """Start the runner with any text as its spec."""
    return lambda spec: Run(_launch(spec, home), home / "none")


def _launch(spec: str, home: Path) -> subprocess.Popen[bytes]:
    # PYTEST_CURRENT_TEST makes ipykernel treat output otherwise than in a job.
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "PYTEST_"))
    }
    process = subprocess.Popen(
        [sys.executable, "-P", "-s", "-m", "aiinfn_lab.runner", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=home,
        env={**environment, "HOME": str(home)},
    )
    assert process.stdin is not None
    process.stdin.write(spec.encode())
    process.stdin.close()
    process.stdin = None
    return process
