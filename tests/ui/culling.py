"""Who keeps a session from being culled: pages that are open, with a real hub, culler and browser."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

from playwright.sync_api import BrowserContext, Page, Response, expect

from bench.stage import Stage, stage
from tests.ui import steps
from tests.ui.conftest import chromium
from tests.ui.demo import wait_for

CONFIG = Path(__file__).with_name("culling_config.py")
PANEL, PLAIN, CLOSED, WORKING = "ada", "bruno", "carla", "dora"
"""The session whose page has the jobs panel open; one without it; one without a page; and one in which somebody works."""
ALL = (CLOSED, PLAIN, WORKING, PANEL)
_LAB_POLLS = re.compile(r"/api/(kernels|kernelspecs|sessions|terminals|contents|me|events)\b")
"""What JupyterLab itself asks while its page is seen, which its server counts as activity."""


@dataclass
class Run:
    """What happened.

    Attributes
    ----------
    culled
        Seconds from the moment from which nobody did anything until each session was gone.
    alive
        Sessions that still ran when those that should go were gone, or the wait was over.
    asked
        How often the jobs panel read the list, by the status of the answer: 200 if something had changed.
    """

    culled: dict[str, float] = field(default_factory=dict)
    alive: set[str] = field(default_factory=set)
    asked: Counter[int] = field(default_factory=Counter)


def run(timeout: float, people: Sequence[str] = ALL, *, patience: float = 1.5) -> Run:
    """Leave sessions alone in their own ways until the culler has taken those that are idle.

    Parameters
    ----------
    timeout
        Seconds of the culler.
    people
        Whose sessions there are.
    patience
        How many timeouts to wait for what should be culled, and 30 s more.
    """
    seen = Run()
    with stage(config=CONFIG, TEST_CULL_TIMEOUT=str(timeout)) as running, chromium() as browser:
        pages = {who: _open(browser.new_context(), running, who) for who in people}
        if CLOSED in pages:
            pages.pop(CLOSED).context.close()
        _watch_a_job(pages[PANEL])
        for who in {PLAIN, PANEL} & pages.keys():
            _cut_off_lab(pages[who].context)
        pages[PANEL].on("response", lambda response: _count(seen, response))
        print(f"Nobody does anything from now on, except in the session of {WORKING}.", flush=True)
        begun = time.monotonic()
        waiting = set(people) - {WORKING}
        while waiting and time.monotonic() < begun + patience * timeout + 30:
            for who in waiting - _running(running, people):
                seen.culled[who] = time.monotonic() - begun
                waiting.discard(who)
            _work(pages[WORKING])
            # The browser's events are handled while it waits.
            pages[PANEL].wait_for_timeout(1000 * min(5, timeout / 20))
        seen.alive = _running(running, people)
        for page in pages.values():
            page.context.close()
        for who in seen.alive:
            running.hub.api(f"/users/{who}/server", "DELETE")
        wait_for("the other sessions are gone", lambda: not _running(running, people), 60, 1)
    return seen


def _open(context: BrowserContext, running: Stage, who: str) -> Page:
    context.set_default_timeout(60_000)
    page = context.new_page()
    steps.sign_in(page, SimpleNamespace(url=f"{running.hub.url}/"), who)  # type: ignore[arg-type]
    steps.choose(page, "none")
    steps.start(page)
    return page


def _watch_a_job(page: Page) -> None:
    """Let a job print and record for as long as it may, and follow its log in the panel: the busiest that a panel can be."""
    text = 'while :; do date; echo "{\\"second\\": $SECONDS}" >> "$AIINFN_RECORDS"; sleep 1; done\n'
    answer = page.request.put(
        f"{steps.server_url(page)}api/contents/clock.sh",
        data=json.dumps({"type": "file", "format": "text", "content": text}),
        headers={"X-XSRFToken": steps.xsrf(page)},
    )
    assert answer.ok, answer.text()
    steps.post(page, "jobs", {"path": "clock.sh", "time_limit": "2h"})
    steps.open_jobs(page)
    row = page.locator(".aiinfn-Row", has_text="clock.sh")
    expect(row).to_contain_text("Running", timeout=60_000)
    row.locator(".aiinfn-Row-head").click()
    expect(row.get_by_role("log")).to_contain_text(":", timeout=60_000)


def _cut_off_lab(context: BrowserContext) -> None:
    """Keep what JupyterLab's own page asks by itself from its server, so that the server hears only the panel."""
    context.route(_LAB_POLLS, lambda route: route.abort())


def _count(seen: Run, response: Response) -> None:
    if "/aiinfn-lab/jobs?" in response.url:
        seen.asked[response.status] += 1


def _work(page: Page) -> None:
    """Do what a person does: save a file."""
    answer = page.request.put(
        f"{steps.server_url(page)}api/contents/notes.txt",
        data=json.dumps({"type": "file", "format": "text", "content": str(time.time())}),
        headers={"X-XSRFToken": steps.xsrf(page)},
    )
    assert answer.ok, answer.text()


def _running(running: Stage, people: Sequence[str]) -> set[str]:
    found = set()
    for who in people:
        status, user = running.hub.api(f"/users/{who}")
        assert status == 200, user
        if user["servers"].get("", {}).get("ready"):
            found.add(who)
    return found
