"""A long history: lists, search and labels at vkd, and the jobs panel in a browser."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from aiinfn_hub.contract.constants import PREFIX
from bench.figures import Figure, percentile, timings
from bench.stage import Caller, stage
from bench.store import fill
from tests.ui import steps
from tests.ui.conftest import chromium
from tests.ui.demo import Demo

SIZES = (10_000, 100_000)
_POINTING = 100
"""Milliseconds that a hand rests on the icon before it presses, during which the panel's script is fetched."""
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
_SCROLLED = """selector => new Promise(resolve => {
  const list = document.querySelector(selector);
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


_PLAIN = """rows => {
  const box = document.createElement('div');
  box.id = 'plain';
  box.style.cssText = 'position: fixed; inset: 0 auto 0 0; width: 300px; overflow: auto; background: white; z-index: 9999';
  for (let row = 0; row < rows; row++) {
    const line = document.createElement('div');
    line.style.height = '47px';
    line.textContent = `row ${row}`;
    box.append(line);
  }
  document.body.append(box);
}"""


def measure() -> Iterator[Figure]:
    """Measure vkd, then a browser."""
    for jobs in SIZES:
        with stage(partial(fill, jobs=jobs)) as running:
            running.sign_in("ada")
            caller = Caller(running.hub.vkd_url, running.token("ada"))
            aim = 5 if jobs == SIZES[0] else None
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
                    tab = page.get_by_role("tab", name=re.compile("Batch jobs"))
                    tab.hover()
                    page.wait_for_timeout(_POINTING)
                    tab.click()
                    painted: float = page.evaluate("() => window.painted")
                    what = f"panel with {jobs:,} jobs from the press to its first row, {visit}"
                    yield Figure(what, painted, "ms", "<= 200 ms", painted <= 200)
                    if visit == "first visit":
                        tab.click()
                        page.reload()
                        steps.in_lab(page)
                yield Figure("tab, JavaScript heap with the first page", _heap(page), "MB")
                for _ in range(30):
                    # Not by its role: with so many rows that search takes seconds.
                    page.locator(".aiinfn-More button").click()
                    page.wait_for_function("() => !document.querySelector('.aiinfn-More button[disabled]')")
                # Of a long list only the rows in sight are drawn; each says how many there are.
                rows = int(page.locator(".aiinfn-Row").first.get_attribute("aria-setsize") or 0)
                yield Figure("rows loaded by Show more", rows, "")
                yield Figure("tab, JavaScript heap with these rows", _heap(page), "MB")
                page.evaluate("document.querySelector('.aiinfn-Scroll').scrollTop = 0")
                page.wait_for_timeout(500)
                frames: list[float] = page.evaluate(_SCROLLED, ".aiinfn-Scroll")
                page.evaluate(_PLAIN, rows)
                plain: list[float] = page.evaluate(_SCROLLED, "#plain")
                for share, word in ((0.5, "median"), (0.95, "p95")):
                    frame = percentile(frames, share)
                    aim = ("<= 17 ms", frame <= 17) if word == "median" else ("", None)
                    yield Figure(f"scrolling through them, frame, {word}", frame, "ms", *aim)
                    yield Figure(
                        f"scrolling a plain list as long, frame, {word}", percentile(plain, share), "ms"
                    )
        finally:
            demo.stop()


def _heap(page: Page) -> float:
    """Return the JavaScript heap of the tab after a collection, in MB."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    used: dict[str, Any] = session.send("Runtime.getHeapUsage")
    session.detach()
    return float(used["usedSize"]) / 1e6
