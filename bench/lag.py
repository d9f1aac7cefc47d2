"""How late the event loop of a session's server is while pages poll and a log is followed, against the same server idle."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from bench.figures import Figure, percentile
from tests.lab.conftest import Lab
from tests.lab.real import real_platform
from tests.ui.demo import wait_for

SECONDS = 10.0
RATE = 50
"""Readings of the list in a second: those of 100 open panels while jobs run."""
CALLERS = 10
CHATTY = 'while :; do for i in 1 2 3 4 5 6 7 8 9 10; do echo "line $i of $SECONDS"; done; sleep 0.1; done\n'


def measure() -> Iterator[Figure]:
    """Measure a real Jupyter server with the extension, and a real vkd behind it."""
    with tempfile.TemporaryDirectory(prefix="aiinfn-bench-") as name:
        folder = Path(name)
        with real_platform(folder, extensions=["bench.lag_sampler"]) as real:
            lab = real.lab
            real.home.joinpath("chatty.sh").write_text(CHATTY)
            answer = lab.submit({"path": "chatty.sh"})
            assert answer.status == 201, answer.body
            job = answer.json["id"]
            wait_for("the job runs", lambda: lab.get(f"jobs/{job}").json["state"] == "running", 60)
            idle = lags(lab, SECONDS)
            stop = threading.Event()
            polled = [0] * CALLERS
            followed = [0]
            threads = [threading.Thread(target=poll, args=(lab, stop, polled, one)) for one in range(CALLERS)]
            threads.append(threading.Thread(target=follow, args=(lab, job, stop, followed)))
            for thread in threads:
                thread.start()
            busy = lags(lab, SECONDS)
            stop.set()
            for thread in threads:
                thread.join(30)
            lab.ask("POST", f"jobs/{job}/cancel")
    p99 = percentile(busy, 0.99)
    yield Figure("lag of the event loop, idle, p99", percentile(idle, 0.99), "ms")
    yield Figure(
        "lag of the event loop, 50 polls/s and a followed log, p99", p99, "ms", "<= 50 ms", p99 <= 50
    )
    yield Figure("ratio", p99 / max(percentile(idle, 0.99), 0.001), "x")
    yield Figure("the largest", max(busy), "ms")
    yield Figure("readings of the list in a second", sum(polled) / SECONDS, "/s", "", None)
    yield Figure("bytes of the followed log", followed[0], "B", "> 10000", followed[0] > 10_000)


def lags(lab: Lab, seconds: float) -> list[float]:
    """Return the lags of a span of time."""
    lab.get("/bench-lag")
    time.sleep(seconds)
    found: list[float] = lab.get("/bench-lag").json
    return found


def poll(lab: Lab, stop: threading.Event, counts: list[int], place: int) -> None:
    """Read the list as the panel does, at this caller's share of the rate."""
    due = time.monotonic()
    while not stop.is_set():
        assert lab.get("jobs", limit=25).status == 200
        counts[place] += 1
        due += CALLERS / RATE
        stop.wait(max(0.0, due - time.monotonic()))


def follow(lab: Lab, job: str, stop: threading.Event, count: list[int]) -> None:
    """Follow the log as an opened job does."""
    connection, response = lab.open("GET", f"jobs/{job}/logs", query={"follow": 1, "offset": 0})
    assert response.status == 200, response.read()
    while not stop.is_set() and (chunk := response.read1(65536)):
        count[0] += len(chunk)
    connection.close()
