"""Batch never affects sessions: a session takes what batch holds, and the job comes back by itself."""

from __future__ import annotations

import time
from typing import Any

from playwright.sync_api import Browser, expect

from tests.ui import steps
from tests.ui.demo import Demo, wait_for

WAITING = {"path": "wait.sh", "accelerator": "t4", "time_limit": 600}
"""A job that ends only when told so, by a file: it takes a busy machine no longer than others, and none of its time."""


def test_a_session_evicts_a_batch_job_which_later_succeeds(
    demo: Demo, browser: Browser, record_property: Any
) -> None:
    with browser.new_context() as hers, browser.new_context() as his:
        ada, bruno = hers.new_page(), his.new_page()
        steps.sign_in(ada, demo, "ada")
        steps.choose(ada, "none")
        steps.start(ada)
        steps.write(ada, "wait.sh", steps.text("until [ -e ~/make-way ]; do sleep 0.2; done\n"))
        jobs = [steps.post(ada, "jobs", WAITING)["id"] for _ in range(2)]
        wait_for(
            "both T4 in use by batch", lambda: all(steps.job(ada, one)["state"] == "running" for one in jobs)
        )

        steps.sign_in(bruno, demo, "bruno")
        card = bruno.locator("[data-card='t4']")
        expect(card).to_contain_text("0 of 2 free", timeout=15_000)
        steps.choose(bruno, "t4")
        expect(bruno.locator("#outlook")).to_contain_text("batch job will make room")
        asked = time.monotonic()
        steps.start(bruno)
        seconds = time.monotonic() - asked
        record_property("seconds_to_lab", round(seconds, 1))
        print(f"from Start to the Lab's answer with every T4 held by batch: {seconds:.1f} s")

        evicted = wait_for(
            "the job that gave way", lambda: [one for one in jobs if steps.job(ada, one)["preemptions"]], 5
        )
        assert len(evicted) == 1, "one device was needed, one job gives way"
        history = steps.ask(ada, f"jobs/{evicted[0]}/events")
        assert any(entry["cause"] == "preempted" and "session" in entry["message"] for entry in history)
        steps.write(ada, "make-way", steps.text(""))
        for one in jobs:
            wait_for(f"{one} succeeds", lambda one=one: steps.job(ada, one)["state"] == "succeeded", 60, 0.5)  # type: ignore[misc]
        assert steps.job(ada, evicted[0])["attempt"] == 2
        assert [entry["state"] for entry in steps.ask(ada, f"jobs/{evicted[0]}/events")][-1] == "succeeded"
        steps.end_session(bruno, demo, "bruno")
