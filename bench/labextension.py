"""Bytes that a browser fetches for the labextension: at JupyterLab's start, and when the panel is first opened."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Response

from bench.figures import Figure
from tests.ui import steps
from tests.ui.conftest import chromium
from tests.ui.demo import Demo

OURS = re.compile(r"/lab/extensions/@aiinfn/|/aiinfn-lab/")


def measure() -> Iterator[Figure]:
    """Listen to a real browser in a real session."""
    with tempfile.TemporaryDirectory(prefix="aiinfn-bench-") as name:
        Path(name).chmod(0o711)
        demo = Demo(Path(name) / "data")
        try:
            with chromium() as browser:
                page = browser.new_page()
                steps.sign_in(page, demo, "ada")
                steps.choose(page, "none")
                fetched: list[Response] = []
                page.on(
                    "response",
                    lambda response: fetched.append(response) if OURS.search(response.url) else None,
                )
                steps.start(page)
                page.wait_for_timeout(3000)
                start, asked = size(fetched), requests(fetched)
                fetched.clear()
                page.get_by_role("tab", name=re.compile("Batch jobs")).click()
                page.wait_for_selector(".aiinfn-Empty")
                page.wait_for_timeout(1000)
                opened = size(fetched)
        finally:
            demo.stop()
    yield Figure("fetched at start-up", start / 1000, "kB", "<= 20 kB", start <= 20_000)
    yield Figure("requests to the server half at start-up", asked, "", "0", asked == 0)
    yield Figure(
        "fetched when the panel is first opened", opened / 1000, "kB", "<= 300 kB", opened <= 300_000
    )


def size(responses: list[Response]) -> int:
    """Return the bytes of scripts and styles, as they are without compression."""
    return sum(len(response.body()) for response in responses if "/lab/extensions/" in response.url)


def requests(responses: list[Response]) -> int:
    """Count what was asked of the server extension."""
    return sum("/aiinfn-lab/" in response.url for response in responses)
