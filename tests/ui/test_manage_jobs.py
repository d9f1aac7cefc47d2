"""What a scientist does with jobs afterwards: finds them, labels them, chooses several, runs them again and deletes them."""

from __future__ import annotations

import re

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.ui import steps
from tests.ui.demo import Demo, wait_for

NAMES = ("alpha fit", "beta fit", "gamma scan", "delta fit")


def test_jobs_are_found_labelled_chosen_and_deleted(demo: Demo, page: Page) -> None:
    steps.sign_in(page, demo, "ada")
    steps.choose(page, "none")
    steps.start(page)
    steps.write(page, "quick.sh", {"type": "file", "format": "text", "content": "echo done\n"})
    ids = {
        name: steps.post(
            page,
            "jobs",
            {"path": "quick.sh", "name": name, "labels": ["paper-2026"] if "fit" in name else []},
        )["id"]
        for name in NAMES
    }
    wait_for("the jobs end", lambda: all(steps.job(page, job)["ended"] for job in ids.values()), 60, 0.5)
    steps.open_jobs(page)
    rows = page.locator(".aiinfn-Row")
    # The panel may have been open, with no job that runs: then it looks every 10 s for what comes from elsewhere.
    expect(rows.first).to_contain_text("delta fit", timeout=15_000)

    # Search, over all jobs: words, and a label by a click on it.
    field = page.get_by_role("searchbox", name=re.compile("Search all jobs"))
    field.fill("SCAN")
    expect(rows).to_have_count(1)
    expect(page.locator(".aiinfn-Found")).to_have_text("1 job found")
    rows.first.locator(".aiinfn-Row-head").click()
    expect(rows.first.locator(".aiinfn-After")).to_contain_text(re.compile(r"Kept until .*20\d\d"))
    rows.first.get_by_label(re.compile("Add a label")).fill("two words? Trial")
    rows.first.get_by_role("button", name="Add", exact=True).click()
    expect(rows.first.get_by_role("alert")).to_contain_text("cannot be a label")
    rows.first.get_by_label(re.compile("Add a label")).fill("Trial")
    rows.first.get_by_label(re.compile("Add a label")).press("Enter")
    expect(rows.first.locator(".aiinfn-Row-head .aiinfn-Label")).to_have_text("trial")
    rows.first.get_by_role("button", name="Keep", exact=True).click()
    expect(rows.first.locator(".aiinfn-After")).to_contain_text("Kept until you delete it.")
    clean(page)
    rows.first.get_by_role("button", name="trial", exact=True).click()
    expect(field).to_have_value("label:trial")
    expect(rows).to_have_count(1)
    field.press("Escape")
    expect(field).to_have_value("")
    field.fill("nothing of the kind")
    expect(page.locator(".aiinfn-Empty")).to_contain_text("No job matches this search.")
    page.get_by_role("button", name="Show all").click()
    expect(rows.first).to_contain_text("delta fit")

    # Choose several: a range with Shift, and do the same with them.
    field.fill("label:paper-2026")
    expect(rows).to_have_count(3)
    page.get_by_role("button", name="Select", exact=True).click()
    rows.nth(0).locator(".aiinfn-Row-head").click()
    rows.nth(2).get_by_role("checkbox").click(modifiers=["Shift"])
    bar = page.locator(".aiinfn-Selecting")
    expect(bar).to_contain_text("3 of 3 chosen")
    expect(bar.get_by_role("button", name="Cancel")).to_be_disabled()
    clean(page)
    bar.get_by_role("button", name="Run again").click()
    page.get_by_role("button", name="Run 3 jobs again").click()
    expect(page.locator(".aiinfn-Banner")).to_contain_text("3 of 3 jobs submitted again.")
    expect(rows).to_have_count(6)
    wait_for(
        "they end",
        lambda: all(one["ended"] for one in steps.ask(page, "jobs", label="paper-2026")["jobs"]),
        60,
        0.5,
    )
    expect(rows.locator(".aiinfn-Symbol.aiinfn-mod-succeeded")).to_have_count(6, timeout=20_000)
    rows.nth(1).locator(".aiinfn-Row-head").press("Control+a")
    expect(bar).to_contain_text("6 of 6 chosen")
    bar.get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Delete 6 jobs?")
    expect(dialog).to_contain_text("Your own files stay.")
    dialog.get_by_role("button", name="Delete 6 jobs").click()
    expect(page.locator(".aiinfn-Banner")).to_contain_text("6 of 6 jobs deleted.")
    expect(rows).to_have_count(0)
    assert steps.ask(page, "jobs", label="paper-2026")["jobs"] == []
    rows.page.keyboard.press("Escape")
    page.get_by_role("button", name="Show all").click()
    expect(rows.filter(has_text="gamma scan")).to_have_count(1)
    expect(page.locator(".aiinfn-Kept")).to_have_text("Jobs are kept for 90 days after their end.")

    # What is deleted elsewhere goes from the list as well, and is refused in words once more.
    page.request.delete(
        f"{steps.server_url(page)}aiinfn-lab/jobs/{ids['gamma scan']}",
        headers={"X-XSRFToken": steps.xsrf(page)},
    )
    expect(rows.filter(has_text="gamma scan")).to_have_count(0, timeout=20_000)


def clean(page: Page) -> None:
    """Assert that axe finds nothing serious in the panel."""
    found = Axe().run(page, context=".aiinfn-Sidebar").response["violations"]
    serious = [
        (violation["id"], node["html"][:150])
        for violation in found
        if violation["impact"] in {"serious", "critical"}
        for node in violation["nodes"]
    ]
    assert not serious, serious
