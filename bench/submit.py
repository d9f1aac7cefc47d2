"""What the delegation adds to a job: submit through vkd against starting the same process directly."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from aiinfn_hub.contract.constants import PREFIX
from aiinfn_hub.contract.jobs import RunSpec, Work
from aiinfn_hub.host.accounts import Accounts
from bench.figures import Figure, timings
from bench.stage import Caller, stage
from tests.hub.stack import wait_for

ROUNDS = 8
SCRIPT = "print('hello')\n"


def measure() -> Iterator[Figure]:
    """Alternate the two, so that a busy machine slows both."""
    with stage() as running:
        running.sign_in("ada")
        caller = Caller(running.hub.vkd_url, running.token("ada"))
        account = Accounts(running.hub.data).get("ada")
        snapshot = account.home / ".aiinfn" / "jobs" / "bench" / "hello.py"
        subprocess.run(
            [
                sys.executable,
                "-c",
                "import pathlib, sys; p = pathlib.Path(sys.argv[1]); p.parent.mkdir(parents=True); p.write_text(sys.argv[2])",
                str(snapshot),
                SCRIPT,
            ],
            check=True,
            **account.process_options(),
        )
        work = Work(kind="script", path="hello.py", snapshot=str(snapshot.relative_to(account.home)))
        accepted, through, direct = [], [], []
        for _ in range(ROUNDS):
            answer, seconds = submitted(caller, work)
            accepted.append(answer)
            through.append(seconds)
            direct.append(straight(account.home, work, account.process_options()))
    yield from timings("POST jobs, accepted and kept", accepted)
    yield Figure("submit to succeeded, median", statistics.median(through), "s")
    yield Figure("the same process started directly, median", statistics.median(direct), "s")
    yield Figure("ratio", statistics.median(through) / statistics.median(direct), "x")
    yield Figure("added by vkd, median", statistics.median(through) - statistics.median(direct), "s")


def submitted(caller: Caller, work: Work) -> tuple[float, float]:
    """Return the seconds until the job is accepted, and until it succeeded."""
    started = time.perf_counter()
    status, body = caller.call(f"{PREFIX}/jobs", "POST", {"work": work.model_dump(), "accelerator": "t4"})
    accepted = time.perf_counter() - started
    assert status == 201, body
    address = f"{PREFIX}/jobs/{json.loads(body)['id']}"
    ended = wait_for("the job ends", lambda: json.loads(caller.call(address)[1])["ended"], 60, 0.02)
    assert json.loads(caller.call(address)[1])["state"] == "succeeded", ended
    return accepted, time.perf_counter() - started


def straight(home: Path, work: Work, options: dict[str, object]) -> float:
    """Run the same runner on the same input without anything in between."""
    spec = RunSpec(
        job="direct", attempt=1, home=str(home), work=work, output="hello.direct.log"
    ).model_dump_json()
    started = time.perf_counter()
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(home)}
    subprocess.run(
        [sys.executable, "-m", "aiinfn_lab.runner", "-"],
        input=spec.encode(),
        cwd=home,
        env=environment,
        capture_output=True,
        check=True,
        **options,  # type: ignore[call-overload]
    )
    return time.perf_counter() - started
