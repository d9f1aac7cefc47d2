"""A log of 100 MB in the jobs panel: first bytes and following, against a raw read of the same bytes; memory of the tab."""

from __future__ import annotations

import re
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import CDPSession, Page

from aiinfn_hub.vkd.backends.local.environment import LOG_LIMIT
from bench.figures import Figure
from tests.ui import steps
from tests.ui.conftest import chromium
from tests.ui.demo import Demo
from tests.ui.steps import write

SIZE = 100 * 2**20
TAIL = 64 * 1024
"""What the panel reads of a log that was there before."""
ROUNDS = 5
MOST_MEMORY = 64 * 2**20
"""What the panel may add to the tab's JavaScript memory, whatever the log's size."""
PRINTING = """\
import pathlib, time
line = "step %08d: " + "x" * 50 + "\\n"
number = 0
while number * 65 < {size}:
    print(line % number, end="")
    number += 1
print("all is printed", flush=True)
while not pathlib.Path("go").exists():
    print(time.time(), flush=True)
    time.sleep(0.5)
"""


def measure() -> Iterator[Figure]:
    """Open a running job that has printed much in a real browser, and read the same log by hand."""
    with tempfile.TemporaryDirectory(prefix="aiinfn-bench-") as name:
        Path(name).chmod(0o711)
        demo = Demo(Path(name) / "data")
        try:
            with chromium() as browser:
                page = browser.new_page()
                yield from _in_browser(page, demo)
        finally:
            demo.stop()


def _in_browser(page: Page, demo: Demo) -> Iterator[Figure]:
    steps.sign_in(page, demo, "ada")
    steps.choose(page, "none")
    steps.start(page)
    # A log ends at the platform's limit; what is printed is as much as it takes, and what follows still must fit.
    size = min(SIZE, LOG_LIMIT - 2**20)
    write(page, "printing.py", {"type": "file", "format": "text", "content": PRINTING.format(size=size)})
    job = str(steps.post(page, "jobs", {"path": "printing.py"})["id"])
    _until_printed(page, job, size)
    steps.open_jobs(page)
    session = page.context.new_cdp_session(page)
    before = _memory(session)
    received = _count(page)
    opened = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        _toggle(page, job)
        page.wait_for_selector(".aiinfn-Log")
        opened.append(time.perf_counter() - started)
        if len(opened) < ROUNDS:
            _toggle(page, job)
            page.wait_for_selector(".aiinfn-Log", state="detached")
    page.wait_for_timeout(5000)  # it follows meanwhile
    following = _memory(session)
    follow_bytes = _tail_bytes(page, job)
    raw = [_raw(page, job, TAIL) for _ in range(ROUNDS)]
    whole = _raw(page, job, None)
    for _ in range(40):
        earlier = page.get_by_role("button", name="Earlier")
        if not earlier.count():
            break
        earlier.click()
        page.wait_for_timeout(200)
    most = _memory(session)
    shown = page.locator(".aiinfn-Log").evaluate("e => e.textContent.length")
    yield Figure("size of the log", size / 2**20, "MiB")
    yield Figure("from the press on the job to its log, median", statistics.median(opened), "s")
    yield Figure("the last 64 KiB of it by a raw request, median", statistics.median(raw), "s")
    yield Figure("all of it by a raw request (download)", whole, "s")
    ratio = statistics.median(opened) / whole
    yield Figure("opening against reading all", ratio, "x", "< 1 x", ratio < 1)
    yield Figure(
        "read of it when it is opened", follow_bytes / 1024, "KiB", "<= 128 KiB", follow_bytes <= 2 * TAIL
    )
    yield Figure(
        "requests of logs while it was opened and followed", received["logs"] / ROUNDS, "per opening"
    )
    added = following - before
    yield Figure(
        "memory that the tab gained by following", added / 2**20, "MiB", "<= 64 MiB", added <= MOST_MEMORY
    )
    yield Figure(
        "text in the page with all that may be loaded", shown / 2**20, "Mi", "<= 5 Mi", shown <= 5 * 2**20
    )
    added = most - before
    yield Figure(
        "memory that the tab gained with all that may be loaded",
        added / 2**20,
        "MiB",
        "<= 64 MiB",
        added <= MOST_MEMORY,
    )


def _toggle(page: Page, job: str) -> None:
    page.locator(f"[data-job='{job}'] .aiinfn-Row-head").click()


def _until_printed(page: Page, job: str, size: int) -> None:
    deadline = time.monotonic() + 300
    while True:
        answer = page.request.get(
            f"{steps.server_url(page)}aiinfn-lab/jobs/{job}/logs", params={"offset": size, "limit": 100}
        )
        if answer.ok and answer.body():
            return
        assert time.monotonic() < deadline, "the log is not printed"
        time.sleep(1)


def _tail_bytes(page: Page, job: str) -> int:
    """Return the bytes that a request as the panel's own begins with."""
    answer = page.request.get(f"{steps.server_url(page)}aiinfn-lab/jobs/{job}/logs", params={"offset": -TAIL})
    return len(answer.body())


def _raw(page: Page, job: str, tail: int | None) -> float:
    """Return the seconds of a request without the panel."""
    address = f"{steps.server_url(page)}aiinfn-lab/jobs/{job}/logs"
    started = time.perf_counter()
    params = {"download": 1} if tail is None else {"offset": -tail}
    answer = page.request.get(address, params=params, timeout=300_000)  # type: ignore[arg-type]
    assert answer.ok
    assert answer.body()
    return time.perf_counter() - started


def _memory(session: CDPSession) -> float:
    """Return the bytes of JavaScript and strings that the tab holds, after what is garbage was collected."""
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    metrics = session.send("Performance.getMetrics")["metrics"]
    return float(next(metric["value"] for metric in metrics if metric["name"] == "JSHeapUsedSize"))


def _count(page: Page) -> dict[str, int]:
    seen = {"logs": 0}

    def see(url: str) -> None:
        if re.search(r"/logs\?", url):
            seen["logs"] += 1

    page.on("request", lambda request: see(request.url))
    return seen
