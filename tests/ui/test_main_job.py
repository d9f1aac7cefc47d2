"""The main job, end to end: from sign-in to the executed notebook, with nothing replaced."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.ui import steps
from tests.ui.demo import Demo, wait_for


def test_from_sign_in_to_the_executed_notebook(demo: Demo, page: Page) -> None:
    steps.sign_in(page, demo, "ada")

    # The form offers what the project may use, and nothing else.
    expect(page.locator("[data-card='t4']")).to_contain_text("2 of 2 free")
    expect(page.locator("[data-card='t4']")).to_contain_text("simulated")
    expect(page.locator("[data-card='v70']")).to_have_count(0)
    steps.choose(page, "a100-1g.5gb")
    expect(page.locator("#outlook")).to_contain_text("Starts now")
    steps.start(page)

    steps.open_file(page, "examples/digits.ipynb")
    earlier = {job["id"] for job in steps.ask(page, "jobs")["jobs"]}
    dialog = steps.submit(page)
    dialog.get_by_label("epochs", exact=True).fill("10")
    dialog.get_by_role("radio", name=re.compile("T4")).check(force=True)
    expect(dialog.locator(".aiinfn-Verdict")).to_contain_text(
        "Starts now on a free NVIDIA T4", timeout=15_000
    )
    dialog.get_by_role("button", name="Submit", exact=True).dblclick()
    expect(dialog).to_have_count(0, timeout=30_000)

    # A double click is one job.
    jobs = [job for job in steps.ask(page, "jobs")["jobs"] if job["id"] not in earlier]
    assert len(jobs) == 1
    assert jobs[0]["work"]["parameters"] == {"epochs": 10}

    page.get_by_role("tab", name=re.compile("Batch jobs")).click()
    row = page.locator(f"[data-job='{jobs[0]['id']}']")
    expect(row).to_contain_text("Succeeded", timeout=steps.START_SECONDS)
    if row.locator(".aiinfn-Details").count() == 0:
        row.locator(".aiinfn-Row-head").click()
    expect(row.get_by_role("log")).to_contain_text("validation accuracy:")
    row.get_by_role("button", name="Open output").click()

    done = steps.job(page, jobs[0]["id"])
    assert done["lab"]["output"] == f"examples/digits.{done['id']}.ipynb"
    page.wait_for_selector(f".lm-TabBar-tabLabel:text-is('digits.{done['id']}.ipynb')")
    executed = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
    expect(executed).to_contain_text("trained in", timeout=30_000)
    expect(executed).to_contain_text("epochs = 10")
    states = [entry["state"] for entry in steps.ask(page, f"jobs/{done['id']}/events")]
    assert states == ["queued", "starting", "running", "succeeded"]


def test_what_is_not_offered_cannot_be_started(demo: Demo, page: Page) -> None:
    steps.sign_in(page, demo, "carla")
    page.evaluate("document.querySelector('#accelerator-t4').value = 'v70'")
    page.locator("[data-card='t4']").click()
    page.locator("#start").click()
    expect(page.locator("#problem-accelerator")).to_contain_text("may not use AMD Alveo V70")


def test_somebody_in_no_group_is_told_whom_to_ask(demo: Demo, page: Page) -> None:
    page.goto(f"{demo.url}hub/spawn")
    page.get_by_role("link", name=re.compile("^Sign in with")).click()
    page.locator("button.account[value=nemo]").click()
    expect(page.locator("main")).to_contain_text("no project")


def test_the_demonstration_says_what_is_simulated_and_who_shares_what(demo: Demo, page: Page) -> None:
    assert "simulated" in demo.printed().lower()
    page.goto(demo.url)
    expect(page.locator("main")).to_contain_text("This is a demonstration")
    wait_for("the accounts in the banner", lambda: "ada" in demo.printed(), 1)
