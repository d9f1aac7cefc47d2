"""A long history: lists, search and labels at vkd, and the jobs panel in a browser."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from aiinfn_hub.vkd.contract import PREFIX
from bench.figures import Figure, percentile, timings
from bench.stage import Caller, stage
from bench.store import fill
from tests.ui import steps
from tests.ui.conftest import chromium
from tests.ui.demo import Demo

SIZES = (10_000, 100_000)
_PAINTED = """() => {
  window.painted = new Promise(resolve => {
    let started;
    document.addEventListener('pointerdown', () => { started = performance.now(); }, { capture: true, once: true });
    const seen = () => requestAnimationFrame(() => requestAnimationFrame(() => resolve(performance.now() - started)));
    const look = new MutationObserver(() => {
      if (document.querySelector('.aiinfn-Row')) {
        look.disconnect();
        seen();
      }
    });
    look.observe(document.body, { childList: true, subtree: true });
  });
}"""
_SCROLLED = """() => new Promise(resolve => {
  const list = document.querySelector('.aiinfn-Scroll');
  const frames = [];
  let last = performance.now();
  const step = now => {
    frames.push(now - last);
    last = now;
    list.scrollTop += 400;
    if (frames.length < 240 && list.scrollTop + list.clientHeight < list.scrollHeight - 1) {
      requestAnimationFrame(step);
    } else {
      resolve(frames.slice(1));
    }
  };
  requestAnimationFrame(step);
})"""


def measure() -> Iterator[Figure]:
    """Measure vkd, then a browser."""
    for jobs in SIZES:
        with stage(partial(fill, jobs=jobs)) as running:
            running.sign_in("ada")
            caller = Caller(running.hub.vkd_url, running.token("ada"))
            aim = 20 if jobs == SIZES[0] else None
            for name, query in (
                ("GET jobs, 25", ""),
                ("search that much matches", "&search=train"),
                ("search that one matches", f"&search=train-{jobs // 2}"),
                ("search that nothing matches", "&search=quench"),
                ("search with a state", "&search=train&state=failed"),
                ("label", "&label=paper-2026"),
            ):
                seconds = caller.timed(f"{PREFIX}/jobs?limit=25{query}", 100)
                yield from timings(f"{name}, of {jobs:,}", seconds, p95_aim=None if query else aim)
            yield from timings(f"GET health, with {jobs:,}", caller.timed("/health", 100))
    yield from _browser(SIZES[0])


def _browser(jobs: int) -> Iterator[Figure]:
    """Open the panel of a person with a long history, twice: its script loaded for the first time, and from the cache."""
    with tempfile.TemporaryDirectory(prefix="aiinfn-bench-") as name:
        Path(name).chmod(0o711)
        data = Path(name) / "data"
        fill(data, jobs)
        demo = Demo(data)
        try:
            with chromium() as browser:
                page = browser.new_page()
                steps.sign_in(page, demo, "ada")
                steps.choose(page, "none")
                steps.start(page)
                for visit in ("first visit", "later visit"):
                    page.wait_for_timeout(4000)
                    page.evaluate(_PAINTED)
                    page.get_by_role("tab", name=re.compile("Batch jobs")).click()
                    painted: float = page.evaluate("() => window.painted")
                    aim = {"aim": "<= 200 ms", "met": painted <= 200} if visit == "later visit" else {}
                    yield Figure(f"panel with {jobs:,} jobs to its first row, {visit}", painted, "ms", **aim)
                    if visit == "first visit":
                        page.get_by_role("tab", name=re.compile("Batch jobs")).click()
                        page.reload()
                        steps.in_lab(page)
                yield Figure("tab, JavaScript heap with the first page", _heap(page), "MB")
                for _ in range(30):
                    more = page.get_by_role("button", name="Show more")
                    more.click()
                    page.wait_for_function("() => !document.querySelector('.aiinfn-More button[disabled]')")
                rows = page.locator(".aiinfn-Row").count()
                yield Figure("rows loaded by Show more", rows, "")
                yield Figure("tab, JavaScript heap with these rows", _heap(page), "MB")
                page.evaluate("document.querySelector('.aiinfn-Scroll').scrollTop = 0")
                page.wait_for_timeout(500)
                frames: list[float] = page.evaluate(_SCROLLED)
                yield Figure("scrolling through them, frame, median", percentile(frames, 0.5), "ms")
                yield Figure("scrolling through them, frame, p95", percentile(frames, 0.95), "ms")
        finally:
            demo.stop()


def _heap(page: Page) -> float:
    """Give the JavaScript heap of the tab after a collection, in MB."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    used: dict[str, Any] = session.send("Runtime.getHeapUsage")
    session.detach()
    return float(used["usedSize"]) / 1e6
