"""Nothing is lost when vkd is killed, or is away for a while."""

from __future__ import annotations

import itertools
import re

from playwright.sync_api import Page, expect

from tests.ui import steps
from tests.ui.demo import Demo, wait_for

ONE_FPGA = {
    "path": "examples/cross_validate.py",
    "arguments": ["10"],
    "accelerator": "v70",
    "project": "medphys",
}


def test_killing_vkd_loses_no_job_and_keeps_their_order(demo: Demo, page: Page):
    steps.sign_in(page, demo, "bruno")
    steps.choose(page, "none")
    steps.start(page)
    jobs = [steps.post(page, "jobs", ONE_FPGA)["id"] for _ in range(4)]
    wait_for("the first one runs", lambda: steps.job(page, jobs[0])["state"] == "running", 30)
    assert [steps.job(page, one)["position"] for one in jobs[1:]] == [1, 2, 3]

    killed = demo.vkd_process()
    assert killed is not None
    killed.kill()
    wait_for("vkd is back", lambda: (found := demo.vkd_process()) and found.pid != killed.pid, 30)

    def all_succeeded() -> bool:
        answers = [page.request.get(f"{steps.server_url(page)}aiinfn-lab/jobs/{one}") for one in jobs]
        return all(answer.ok and answer.json()["state"] == "succeeded" for answer in answers)

    wait_for("all four succeed", all_succeeded, 150, 0.5)
    done = [steps.job(page, one) for one in jobs]
    assert [one["attempt"] for one in done] == [1, 1, 1, 1], "once each"
    assert sorted(done, key=lambda one: one["started"]) == done, "in order"
    for earlier, later in itertools.pairwise(done):
        assert earlier["ended"] <= later["started"], "one device, one job at a time"


def test_with_vkd_away_the_form_and_the_lab_say_so_and_recover(demo: Demo, page: Page):
    steps.sign_in(page, demo, "carla")
    stopped = demo.vkd_process()
    assert stopped is not None
    stopped.suspend()  # it keeps its port and answers nothing: the worst way to be away
    try:
        page.goto(f"{demo.url}hub/spawn")
        expect(page.locator("#age")).to_contain_text("unknown", timeout=15_000)
        steps.choose(page, "none")
        steps.start(page)
        page.get_by_role("tab", name=re.compile("Batch jobs")).click()
        expect(page.locator(".aiinfn-Banner")).to_be_visible(timeout=30_000)
    finally:
        stopped.resume()
    expect(page.locator(".aiinfn-Banner")).to_have_count(0, timeout=60_000)
    assert steps.ask(page, "status")["vkd"] == "ok"
