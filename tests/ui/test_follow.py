"""Following a job from JupyterLab: what it uses, what it prints, where it failed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from tests.ui import steps
from tests.ui.demo import Demo, wait_for

WATCHED = """\
import pathlib, time
held = bytearray(120 * 2**20)
held[::4096] = b"x" * len(held[::4096])
print("the very first line")
for number in range(40_000):
    print(f"step {number:06}: loss {1 / (number + 1):.6f}")
    if number == 39_500:
        print("a Needle in the log")
print("waiting", flush=True)
while not pathlib.Path("go").exists():
    sum(range(10**5))
    time.sleep(0.2)
print("gone on")
"""
FAILING = """\
for number in range(300):
    print("reading part", number)
raise SystemExit("no data in /x")
"""


def failing_notebook() -> dict[str, Any]:
    """Twenty cells that work, one that fails, and one that is not reached."""
    sources = [f"print('cell {number}')\n" * 4 for number in range(1, 21)]
    sources += ["wrong = {}\nwrong['missing']", "print('never')"]
    cells: list[Any] = [
        {"id": f"cell-{n}", "cell_type": "code", "metadata": {}, "execution_count": None, "outputs": [], "source": source}
        for n, source in enumerate(sources, 1)
    ]  # fmt: skip
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": kernel}, "cells": cells}


def submit(page: Page, path: str) -> str:
    return str(steps.post(page, "jobs", {"path": path})["id"])


def test_a_job_is_followed_from_its_start_to_where_it_fails(demo: Demo, page: Page, tmp_path: Path) -> None:
    steps.sign_in(page, demo, "ada")
    steps.choose(page, "none")
    steps.start(page)
    steps.write(page, "watched.py", steps.text(WATCHED))
    steps.write(page, "failing.py", steps.text(FAILING))
    steps.write(page, "failing.ipynb", {"type": "notebook", "content": failing_notebook()})
    watched, script, notebook = (submit(page, path) for path in ("watched.py", "failing.py", "failing.ipynb"))
    steps.open_jobs(page)

    row = steps.opened(page, watched)
    it_uses_what_is_drawn(row)
    log = row.get_by_role("log")
    expect(log).to_contain_text("waiting", timeout=steps.START_SECONDS)
    its_log_is_searched(row, log)
    its_log_is_read_backwards(page, row, log, tmp_path)
    expect(row.locator(".aiinfn-Startup")).to_contain_text("It was given")
    nothing_serious(page)
    steps.write(page, "go", steps.text(""))
    expect(row).to_contain_text("Succeeded", timeout=steps.START_SECONDS)
    expect(row.locator(".aiinfn-Used")).to_contain_text("Peak memory")

    row = steps.opened(page, script)
    expect(row).to_contain_text("Failed: Exit code 1: no data in /x", timeout=steps.START_SECONDS)
    last = row.locator(".aiinfn-Failure")
    expect(last.get_by_text("Last lines of the log")).to_be_visible()
    assert comes_before(last, row.locator(".aiinfn-Log"))
    assert last.locator("pre").evaluate("e => e.scrollTop + e.clientHeight >= e.scrollHeight - 2")

    row = steps.opened(page, notebook)
    expect(row).to_contain_text("Failed in cell 21: KeyError", timeout=steps.START_SECONDS)
    expect(row.locator(".aiinfn-Failure pre")).to_contain_text("wrong['missing']")
    nothing_serious(page)
    row.get_by_role("button", name="Open output at cell 21").click()
    page.wait_for_selector(f".lm-TabBar-tabLabel:text-is('failing.{notebook}.ipynb')")
    cell = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Cell.jp-mod-active")
    expect(cell).to_contain_text("wrong['missing']", timeout=steps.START_SECONDS)
    expect(cell).to_contain_text("KeyError")
    expect(cell).to_be_in_viewport()


def it_uses_what_is_drawn(row: Locator) -> None:
    """The charts come while the job runs, each with a text for those who do not see it."""
    charts = row.locator(".aiinfn-Chart")
    expect(charts).to_have_count(2, timeout=steps.START_SECONDS)
    expect(charts.nth(1).get_by_role("img")).to_have_attribute(
        "aria-label", re.compile(r"^Memory over .*: now [\d.]+ MiB, at most [\d.]+ MiB, of [\d.]+ [GM]iB\.$")
    )
    expect(charts.nth(0).locator(".aiinfn-Chart-line")).to_have_attribute("d", re.compile("^M0 "))
    expect(row.locator(".aiinfn-Used")).to_contain_text(re.compile(r"CPU [\d.]+ of \d+ cores? on average"))


def its_log_is_searched(row: Locator, log: Locator) -> None:
    search = row.get_by_role("searchbox", name="Search in the log")
    log.focus()
    log.press("Control+f")
    expect(search).to_be_focused()
    search.fill("needle")
    count = row.locator(".aiinfn-LogSearch-count")
    expect(count).to_have_text("1 of 1 match. Only what is loaded was searched.")
    mark = log.locator("mark.aiinfn-mod-current")
    expect(mark).to_have_text("Needle")
    expect(mark).to_be_in_viewport()
    search.fill("loss")
    expect(count).to_contain_text("of more than 1000 matches.")
    search.fill("step 0399")
    expect(count).to_contain_text("100 of 100 matches.")
    search.press("Enter")
    expect(count).to_contain_text("1 of 100 matches.")
    search.press("Shift+Enter")
    search.press("Shift+Enter")
    expect(count).to_contain_text("99 of 100 matches.")
    search.fill("nowhere")
    expect(count).to_contain_text("No match.")
    search.press("Escape")
    expect(count).to_be_empty()
    expect(log).to_be_focused()


def its_log_is_read_backwards(page: Page, row: Locator, log: Locator, folder: Path) -> None:
    row.get_by_role("button", name="Go to the end").click()
    expect(log).not_to_contain_text("the very first line")
    log.evaluate("e => { e.scrollTop = 0; }")
    top = log.evaluate("e => e.innerText.slice(0, 12)")
    row.get_by_role("button", name="Earlier").click()
    expect(log).to_contain_text("step 035000")
    # What was at the top is still where it was: nobody loses the place.
    wait_for("the place is kept", lambda: log.evaluate("e => e.scrollTop") > 1000, 10)
    assert top.startswith("step 0")
    row.get_by_role("button", name="Beginning").click()
    expect(log).to_contain_text("the very first line")
    expect(log).to_contain_text("What is between is not loaded.")
    row.get_by_role("button", name="Go to the end").click()
    assert log.evaluate("e => e.scrollTop + e.clientHeight > e.scrollHeight - 30")
    with page.expect_download() as download:
        row.get_by_role("link", name="Download").click()
    path = folder / "whole.log"
    download.value.save_as(path)
    whole = path.read_text()
    assert whole.startswith("the very first line\n")
    assert whole.endswith("waiting\n")
    assert re.findall(r"step (\d+)", whole) == [f"{number:06}" for number in range(40_000)]


def comes_before(first: Locator, second: Locator) -> bool:
    above, below = first.bounding_box(), second.bounding_box()
    assert above is not None
    assert below is not None
    return above["y"] + above["height"] <= below["y"]


def nothing_serious(page: Page) -> None:
    found = Axe().run(page, context=".aiinfn-Sidebar")
    serious = [
        f"{violation['id']}: {violation['help']} ({node['html'][:120]})"
        for violation in found.response["violations"]
        if violation["impact"] in {"serious", "critical"}
        for node in violation["nodes"]
    ]
    assert not serious, "\n".join(serious)
