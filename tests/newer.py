"""Answers of a vkd that is newer than whoever reads them: with keys, states, kinds, causes and checks that nobody knows yet."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aiinfn_hub.contract.changes import BulkResult, BulkResults
from aiinfn_hub.contract.jobs import Check, DryRun, HistoryEntry, Job, JobPage, Work
from aiinfn_hub.contract.platform import (
    AcceleratorChoice,
    Availability,
    Choice,
    PlatformView,
    ProjectChoice,
    QueueChoice,
    SizeChoice,
    Usage,
)
from aiinfn_hub.contract.runner import Resources
from aiinfn_hub.contract.sweeps import SweepPoint, SweepProgress, SweepTable

WORDS = {
    "state": "dreaming",
    "cause": "node_lost",
    "kind": "qpu",
    "what": "licences",
    "verdict": "perhaps",
    "backend": "slurm",
    "code": "no_coolant",
}
"""By key: a word that no reader knows."""
_MOMENT = datetime(2026, 11, 24, 12, tzinfo=UTC)


def newer(value: Any) -> Any:
    """Put an unknown key into every object, and unknown words where there is a set of them."""
    if isinstance(value, list):
        return [newer(item) for item in value]
    if not isinstance(value, dict):
        return value
    changed: dict[str, Any] = {"colour": {"red": [1]}}
    for key, item in value.items():
        if key in {"parameters", "values"}:  # their keys are names that people chose
            changed[key] = item
        else:
            changed[key] = WORDS[key] if key in WORDS and isinstance(item, str) else newer(item)
    if "actions" in changed:
        changed["actions"] = ["teleport", *changed["actions"]]
    return changed


def job(identity: str, *, final: bool = False, sweep: bool = False) -> dict[str, Any]:
    """Return a job in a state that nobody knows."""
    made = Job(
        id=identity,
        name="fit",
        owner="ada",
        project="demo",
        queue="opportunistic",
        state="running",
        final=final,
        cause="started",
        sentence="Cooling its qubits",
        accelerator="q1",
        accelerator_title="Quantum",
        count=1,
        image="standard",
        size="small",
        priority=0,
        time_limit=3600,
        work=Work(kind="script", path="fit.py", snapshot=".aiinfn/jobs/a/fit.py"),
        output=f"fit.{identity}.log",
        attempt=1,
        preemptions=0,
        created=_MOMENT,
        started=_MOMENT,
        updated=_MOMENT,
        actions=["cancel"],
        sweep=SweepProgress(points=1, parallelism=1, running=1) if sweep else None,
    )
    found: dict[str, Any] = newer(made.model_dump(mode="json"))
    return found


def _dumped(model: Any) -> Any:
    return newer(model.model_dump(mode="json"))


def answers(*, final: bool = False) -> dict[str, Any]:
    """Return the answers by path below the API's root: of the job ``j1``, and the sweep ``s1``."""
    listed = [job("j1", final=final), job("s1", final=final, sweep=True)]
    page = _dumped(JobPage(jobs=[], revision=1, active=2))
    queue = QueueChoice(
        name="opportunistic", title="Opportunistic", projects=["demo"], accelerators=["q1"],
        priority=0, max_time=3600, queued=0, running=1,
    )  # fmt: skip
    device = AcceleratorChoice(
        name="q1", title="Quantum", kind="gpu", memory=None, max_per_session=1, max_per_job=1, simulated=False,
        projects=["demo"], images=["standard"],
        availability=Availability(accelerator="q1", total=1, free=1, sessions=0, batch=0, queued=0),
    )  # fmt: skip
    platform = PlatformView(
        title="Demo", version="9.0", backend="local", user="ada", admin=False, accelerators=[device],
        images=[Choice(name="standard", title="Standard")],
        sizes=[SizeChoice(name="small", title="Small", cores=1, memory="1Gi")],
        projects=[ProjectChoice(name="demo", title="Demo", manager=False, sizes=["small"], images=["standard"], accelerators=["q1"])],
        queues=[queue], default_time_limit=3600, poll_interval=2, read_at=_MOMENT, age=0,
    )  # fmt: skip
    point = SweepPoint(
        point=1, job="p1", state="running", final=False, sentence="Cooling its qubits", parameters={}, values={}, attempt=1,
        started=_MOMENT, output="fit.s1/0001.log",
    )  # fmt: skip
    history = HistoryEntry(
        time=_MOMENT, state="running", cause="started", attempt=1, message="Cooling its qubits."
    )
    used = Resources(
        attempt=1, final=False, cores=1, memory=2**30, accelerator="q1", accelerator_title="Quantum", count=1
    )
    dry = DryRun(
        sentence="It would start now.",
        ahead=0,
        checks=[Check(what="fits", verdict="ok", sentence="A licence is free.")],
    )
    bulk = {
        **_dumped(BulkResults(results=[])),
        "results": [{**_dumped(BulkResult(id="j1")), "job": listed[0]}],
    }
    found: dict[str, Any] = {
        "jobs": {**page, "jobs": listed},
        "jobs?dry_run": _dumped(dry),
        "jobs/bulk": bulk,
        "platform": _dumped(platform),
        "queues": [_dumped(queue)],
        "usage": _dumped(Usage(since=_MOMENT, entries=[])),
        "jobs/s1/points": _dumped(SweepTable(points=[point])),
    }
    for one in listed:
        path = f"jobs/{one['id']}"
        found |= {path: one, f"{path}/cancel": one, f"{path}/rerun": one}
        found |= {f"{path}/events": [_dumped(history)], f"{path}/resources": _dumped(used)}
    return found
