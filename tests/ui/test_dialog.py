"""The submission dialog: what it checks and begins with, and a folder from its menu to what the job wrote."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from tests.ui import steps
from tests.ui.demo import Demo, wait_for
from tests.ui.test_sweep import clean, contents

MAIN = """\
# AIINFN accelerator=t4 count=9 time=30m name='from the header' label=fits
import nosuch_package_at_all
"""
FOLDER = {
    "proj/main.py": "# AIINFN accelerator=none time=20m\nimport model\nprint('made by', model.WORD)\n",
    "proj/model.py": "WORD = 'the copy'\n",
}


def test_the_check_the_header_and_a_folder(demo: Demo, page: Page) -> None:
    steps.sign_in(page, demo, "ada")
    steps.choose(page, "none")
    steps.start(page)
    for folder in ("proj", "proj/node_modules"):
        steps.write(page, folder, {"type": "directory"})
    for path, text in {**FOLDER, "needs.py": MAIN}.items():
        steps.write(page, path, {"type": "file", "format": "text", "content": text})

    # A file: its header fills the form in, what of it cannot be is told at its field, and the check is advice.
    steps.open_file(page, "needs.py")
    page.locator("[data-command='aiinfn:submit']:visible").first.click()
    dialog = page.get_by_role("dialog", name="Submit needs.py as batch")
    origin = dialog.locator(".aiinfn-Origin")
    expect(origin).to_have_text(
        "From the header of needs.py: NVIDIA T4, 30 min, the name “from the header”, the labels fits.",
        timeout=steps.START_SECONDS,
    )
    expect(dialog.get_by_role("radio", name=re.compile("T4"))).to_be_checked()
    expect(dialog.get_by_label("Time limit", exact=True)).to_have_value("30")
    expect(dialog.locator("[data-field='count']")).to_contain_text("asks for 9; a job may have")
    labels = dialog.get_by_label("Labels", exact=True)
    expect(labels).to_have_value("fits")
    labels.fill("fits, -x")
    expect(dialog.locator("[data-field='labels'] [role=alert]")).to_contain_text("“-x” cannot be a label")
    labels.fill("fits, paper-2026")
    checks = dialog.locator(".aiinfn-Checks")
    expect(checks).to_contain_text(
        "Problem: This environment has no package nosuch_package_at_all", timeout=30_000
    )
    expect(checks).to_contain_text(re.compile(r"\d+ other things are fine"))
    expect(dialog.get_by_role("button", name="Submit anyway", exact=True)).to_be_enabled()
    checks.get_by_role("button", name="How many").click()
    expect(dialog.get_by_label("How many")).to_be_focused()
    clean(page, ".aiinfn-SubmitDialog")
    dialog.locator(".jp-mod-reject").click()

    # A folder: from its menu to the dialog, which proposes main.py.
    dialog = from_menu(page, "proj")
    expect(dialog.locator(".aiinfn-Source")).to_contain_text(
        re.compile(r"2 files, \d+ bytes\. Left out: node_modules/\."), timeout=30_000
    )
    expect(dialog.get_by_label("File", exact=True)).to_have_value("main.py")
    expect(dialog.locator(".aiinfn-Origin")).to_contain_text("CPU only, 20 min")
    dialog.get_by_role("radio", name="A command").check()
    expect(dialog.locator(".aiinfn-Verdict")).to_contain_text("Correct the marked fields first.")
    dialog.get_by_label("Command", exact=True).fill("python main.py | tee said.txt")
    expect(dialog.locator(".aiinfn-Checks")).to_contain_text("things checked, all fine", timeout=30_000)
    clean(page, ".aiinfn-SubmitDialog")
    dialog.get_by_role("button", name="Submit", exact=True).click()
    expect(dialog).to_have_count(0, timeout=20_000)
    job = steps.ask(page, "jobs", limit=1)["jobs"][0]
    assert (job["work"]["kind"], job["name"]) == ("command", "python main.py | tee said.txt")

    # What it wrote is in its own copy, and the person is led there.
    steps.open_jobs(page)
    row = steps.opened(page, job["id"])
    wait_for("the job ends", lambda: steps.job(page, job["id"])["ended"], 90, 0.5)
    assert steps.job(page, job["id"])["state"] == "succeeded"
    assert contents(page, f"proj.{job['id']}/said.txt")["content"] == "made by the copy\n"
    expect(row.locator(".aiinfn-Details")).to_contain_text("python main.py | tee said.txt")
    row.get_by_role("button", name="Show folder").click()
    expect(page.locator(".jp-DirListing-item", has_text="said.txt")).to_be_visible()

    # The next time it begins with the command.
    page.locator(".jp-BreadCrumbs-home").click()
    dialog = from_menu(page, "proj")
    expect(dialog.get_by_label("Command", exact=True)).to_have_value(
        "python main.py | tee said.txt", timeout=30_000
    )
    dialog.locator(".jp-mod-reject").click()


def from_menu(page: Page, folder: str) -> Locator:
    """Choose *Submit as batch* in a folder's menu, and give the dialog."""
    item = page.get_by_role("listitem", name=re.compile(f"^Name: {folder} ")).or_(
        page.locator(".jp-DirListing-item", has=page.locator(f".jp-DirListing-itemText:text-is('{folder}')"))
    )
    item.first.click(button="right")
    page.locator(".lm-Menu-item", has_text="Submit as batch").click()
    return page.get_by_role("dialog", name=f"Submit {folder} as batch")
