"""Nothing is lost when vkd is killed or away for a while, nor when the page and the session go away."""

from __future__ import annotations

import itertools
import re

from playwright.sync_api import Page, expect

from tests.ui import steps
from tests.ui.demo import Demo, wait_for

ONE_FPGA = {"path": "wait.sh", "accelerator": "v70", "project": "medphys"}
# It ends only when told so, by a file.
WAIT = 'until [ -e ~/go ]; do sleep 0.2; done; echo "went on" > went-on.txt\n'


def test_killing_vkd_loses_no_job_and_keeps_their_order(demo: Demo, page: Page) -> None:
    steps.sign_in(page, demo, "bruno")
    steps.choose(page, "none")
    steps.start(page)
    steps.write(page, "wait.sh", steps.text(WAIT))
    jobs = [steps.post(page, "jobs", ONE_FPGA)["id"] for _ in range(4)]
    wait_for("the first one runs", lambda: steps.job(page, jobs[0])["state"] == "running", 30)
    assert [steps.job(page, one)["position"] for one in jobs[1:]] == [1, 2, 3]

    killed = demo.vkd_process()
    assert killed is not None
    killed.kill()
    wait_for("vkd is back", lambda: (found := demo.vkd_process()) and found.pid != killed.pid, 30)
    steps.write(page, "go", steps.text(""))

    def all_succeeded() -> bool:
        answers = [page.request.get(f"{steps.server_url(page)}aiinfn-lab/jobs/{one}") for one in jobs]
        return all(answer.ok and answer.json()["state"] == "succeeded" for answer in answers)

    wait_for("all four succeed", all_succeeded, 90, 0.5)
    done = [steps.job(page, one) for one in jobs]
    assert [one["attempt"] for one in done] == [1, 1, 1, 1], "once each"
    assert sorted(done, key=lambda one: one["started"]) == done, "in order"
    for earlier, later in itertools.pairwise(done):
        assert earlier["ended"] <= later["started"], "one device, one job at a time"


def test_with_vkd_away_the_form_and_the_lab_say_so_and_recover(demo: Demo, page: Page) -> None:
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


def test_a_job_goes_on_when_the_page_and_then_the_session_go_away(demo: Demo, page: Page) -> None:
    steps.sign_in(page, demo, "carla")
    steps.choose(page, "none")
    steps.start(page)
    steps.write(page, "wait.sh", steps.text(WAIT))
    job = steps.post(page, "jobs", {"path": "wait.sh"})["id"]
    wait_for("it runs", lambda: steps.job(page, job)["state"] == "running", 60)
    context = page.context
    page.close()
    page = context.new_page()
    page.goto(f"{demo.url}hub/home")
    steps.end_session(page, demo, "carla")

    page.goto(f"{demo.url}hub/spawn")
    page.wait_for_selector("#aiinfn-form")
    steps.choose(page, "none")
    steps.start(page)
    still = steps.job(page, job)
    assert (still["state"], still["attempt"]) == ("running", 1)
    steps.write(page, "go", steps.text(""))
    steps.open_jobs(page)
    expect(page.locator(f"[data-job='{job}']")).to_contain_text("Succeeded", timeout=60_000)
    answer = page.request.get(f"{steps.server_url(page)}files/went-on.txt")
    assert answer.text() == "went on\n"
