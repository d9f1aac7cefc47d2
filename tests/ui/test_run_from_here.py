"""An open notebook goes on as a job: from the command to the result, opened where the job took over."""

from __future__ import annotations

import contextlib
import re
from typing import Any

from playwright.sync_api import Page, expect

from tests.ui import steps
from tests.ui.demo import Demo, wait_for
from tests.ui.test_pictures import examine

FIRST = """\
import numpy as np
log = open("/dev/null", "w")
batches = (n for n in range(3))
cache = np.zeros(125_000_000)
total = 20
print("in the session", total)"""
CELLS = [FIRST, "total += 1", "print('in the job', total)\nprint(next(batches))"]


def notebook(*sources: str) -> dict[str, object]:
    cells: list[Any] = [
        {
            "cell_type": "code",
            "id": f"c{number}",
            "metadata": {},
            "source": source,
            "outputs": [],
            "execution_count": None,
        }
        for number, source in enumerate(sources)
    ]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    content = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return {"type": "notebook", "format": "json", "content": content}


def test_the_rest_of_a_notebook_runs_with_the_kernels_variables(demo: Demo, page: Page) -> None:
    steps.sign_in(page, demo, "ada")
    steps.choose(page, "none")
    steps.start(page)
    steps.write(page, "half.ipynb", notebook(*CELLS))
    steps.open_file(page, "half.ipynb")
    shown = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
    cells = shown.locator(".jp-Cell")

    def ran() -> bool:
        # JupyterLab forgets a cell that is run before it has reached the kernel, though it calls it idle.
        cells.nth(0).locator(".cm-content").click()
        shown.locator("[data-jp-item-name='run']").click()
        with contextlib.suppress(AssertionError):
            expect(cells.nth(0)).to_contain_text("in the session 20", timeout=15_000)
            return True
        return False

    wait_for("the first cell's output", ran, steps.START_SECONDS / 1000)
    cells.nth(2).click(button="right")
    page.get_by_role("menuitem", name="Run from here as batch").click()
    dialog = page.get_by_role("dialog", name="Run half.ipynb from here as batch")
    carried = dialog.locator(".aiinfn-Carried")
    expect(carried).to_contain_text("begins at cell 3 of 3 and runs 1 cell", timeout=steps.START_SECONDS)

    # What cannot be carried is named, with what the remaining cells need first.
    note = carried.locator(".aiinfn-mod-problem")
    expect(note).to_contain_text("seem to use batches, which cannot be carried")
    refused = carried.locator(".aiinfn-Carried-list").first.locator("li")
    expect(refused).to_have_count(2)
    expect(refused.nth(0)).to_contain_text("batches It is a generator")
    expect(refused.nth(1)).to_contain_text("log It is an open file. No cell from here on seems to use it.")
    box = carried.get_by_role("checkbox", name=re.compile("cache"))
    expect(box).not_to_be_checked()
    expect(carried).to_contain_text("1 GB, ndarray 125000000 float64")
    expect(carried.locator("summary")).to_contain_text("1 variable is carried (5 B)")
    box.check()
    expect(carried.locator("summary")).to_contain_text("2 variables are carried (1 GB)")
    box.uncheck()
    for theme, width in (("light", 1280), ("light", 400)):
        examine(page, "run-from-here", theme, width, within=".aiinfn-SubmitDialog")
    expect(dialog.locator(".aiinfn-Verdict")).to_contain_text("Starts now", timeout=20_000)
    dialog.get_by_role("button", name="Submit", exact=True).click()
    expect(dialog).to_have_count(0, timeout=30_000)

    # The cell between was never run, so the job went on from 20; and it says why it has no batches.
    job = steps.ask(page, "jobs", limit=1)["jobs"][0]
    assert job["work"]["start_cell"] == 2
    wait_for("the job's end", lambda: steps.job(page, job["id"])["ended"], 90, 0.5)
    assert "It was not carried from the session" in steps.job(page, job["id"])["error"]["message"]
    steps.open_jobs(page)
    row = steps.opened(page, job["id"])
    expect(row).to_contain_text("Failed", timeout=20_000)
    row.get_by_role("button", name="Open output").click()
    page.wait_for_selector(f".lm-TabBar-tabLabel:text-is('half.{job['id']}.ipynb')")
    result = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
    expect(result).to_contain_text("The job took over here.", timeout=30_000)
    expect(result.locator(".jp-Cell.jp-mod-active")).to_contain_text("in the job 20")
    expect(result).to_contain_text("in the session 20")

    # One that succeeds opens at the cell that says where it took over.
    page.locator(".lm-TabBar-tabLabel:text-is('half.ipynb')").click()
    cells.nth(2).locator(".cm-content").fill("print('the end', total)")
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.locator(".lm-Menu").get_by_text("Run from here as batch").click()
    expect(dialog.locator(".aiinfn-Verdict")).to_contain_text("Starts now", timeout=steps.START_SECONDS)
    expect(note).to_have_count(0)
    dialog.get_by_role("button", name="Submit", exact=True).click()
    expect(dialog).to_have_count(0, timeout=30_000)
    good = steps.ask(page, "jobs", limit=1)["jobs"][0]
    assert good["id"] != job["id"]
    wait_for("the job's end", lambda: steps.job(page, good["id"])["state"] == "succeeded", 90, 0.5)
    row = steps.opened(page, good["id"])
    expect(row).to_contain_text("Succeeded", timeout=20_000)
    row.get_by_role("button", name="Open output").click()
    page.wait_for_selector(f".lm-TabBar-tabLabel:text-is('half.{good['id']}.ipynb')")
    expect(result.locator(".jp-Cell.jp-mod-active")).to_contain_text(
        "The job took over here.", timeout=30_000
    )
    expect(result).to_contain_text("the end 20")
