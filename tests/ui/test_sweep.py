"""A sweep in JupyterLab: from the values that are typed to the table, what failed once more, and the table as a file."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from tests.ui import steps
from tests.ui.demo import Demo

PARAMETERS = "lr = 0.1  # learning rate\nseed = 1"
WORK = """\
import pathlib
from aiinfn_lab import record
assert lr < 10 or pathlib.Path("mended").exists(), "too fast"
record(loss=lr * seed)
print("loss", lr * seed)"""


def test_a_sweep_of_which_a_point_fails(demo: Demo, page: Page) -> None:
    steps.sign_in(page, demo, "ada")
    steps.choose(page, "none")
    steps.start(page)
    steps.write_notebook(page, "scan.ipynb", PARAMETERS, WORK)
    steps.open_file(page, "scan.ipynb")

    # The dialog: wrong values are told at their field, and the points are shown before anything is sent.
    dialog = steps.submit(page)
    dialog.get_by_role("radio", name="Sweep").check()
    expect(dialog.locator(".aiinfn-Preview")).to_contain_text("Give at least one parameter several values.")
    seed = dialog.get_by_label("seed", exact=True)
    seed.fill("many")
    expect(dialog.locator("[data-field='sweep.seed']")).to_contain_text("must be a number")
    expect(seed).to_have_attribute("aria-invalid", "true")
    seed.fill("2")
    dialog.get_by_label("lr", exact=True).fill("10, 9, 0.5")
    submit = dialog.get_by_role("button", name="Submit 3 runs")
    expect(submit).to_be_visible()
    expect(dialog.locator("[data-field='sweep.seed'] [role=alert]")).to_have_count(0)
    assert cells(dialog, "tbody tr") == [["1", "10", "2"], ["2", "9", "2"], ["3", "0.5", "2"]]
    dialog.get_by_label("At most at once").fill("2")
    expect(dialog.locator(".aiinfn-Verdict")).to_contain_text("3 points", timeout=15_000)
    clean(page, ".aiinfn-SubmitDialog")
    submit.press("Enter")
    expect(dialog).to_have_count(0, timeout=20_000)
    first = steps.ask(page, "jobs", limit=1)["jobs"][0]
    assert (first["sweep"]["points"], first["sweep"]["parallelism"]) == (3, 2)

    # The panel: one row, its bar, its table.
    steps.open_jobs(page)
    row = steps.opened(page, first["id"])
    expect(row.locator(".aiinfn-Row-head")).to_contain_text(
        "Finished, but 1 of 3 points failed", timeout=steps.START_SECONDS
    )
    expect(row.get_by_role("progressbar")).to_have_attribute("aria-valuetext", "2 succeeded, 1 failed")
    expect(row.locator("tr[data-point='3']")).to_contain_text("Succeeded", timeout=15_000)
    expect(row.locator("tr[data-point='3']")).to_contain_text("1")
    heads = row.locator("thead th")
    assert heads.all_inner_texts() == ["No.", "State", "lr", "seed", "Took", "loss"]
    assert [[line[at] for at in (0, 1, 2, 3, 5)] for line in cells(row, "tr[data-point]")] == [
        ["1", "Failed", "10", "2", ""],
        ["2", "Succeeded", "9", "2", "18"],
        ["3", "Succeeded", "0.5", "2", "1"],
    ]
    head = row.get_by_role("columnheader", name="lr")
    head.get_by_role("button").press("Enter")
    expect(head).to_have_attribute("aria-sort", "ascending")
    assert column(row, 2) == ["0.5", "9", "10"], "as numbers"
    head.get_by_role("button").press("Enter")
    expect(head).to_have_attribute("aria-sort", "descending")
    row.get_by_label("Failed only (1)").check()
    assert column(row, 0) == ["1"]
    row.get_by_role("button", name="Point 1").press("Enter")
    expect(row.locator(".aiinfn-Point")).to_contain_text("too fast")
    clean(page, ".aiinfn-Sidebar")

    # Only what failed runs again; the other results are kept.
    steps.write(page, "mended", {"type": "file", "format": "text", "content": ""})
    row.get_by_role("button", name="Run failed again").click()
    expect(page.locator(".aiinfn-Row").first).not_to_have_attribute("data-job", first["id"], timeout=15_000)
    again = steps.ask(page, "jobs", limit=1)["jobs"][0]
    assert (again["rerun_of"], again["sweep"]["points"]) == (first["id"], 1)
    row = steps.opened(page, again["id"])
    expect(row.locator("tr[data-point='1']")).to_contain_text("Succeeded", timeout=steps.START_SECONDS)
    assert column(row, 1) == ["Succeeded", "Succeeded kept", "Succeeded kept"]
    assert column(row, 5) == ["20", "18", "1"]

    # The table as a file beside the results, and a result.
    row.get_by_role("button", name="Export as CSV").click()
    saved = f"scan.{again['id']}/points.csv"
    expect(row.get_by_role("status")).to_contain_text(f"Saved as {saved}")
    lines = list(csv.DictReader(io.StringIO(contents(page, saved)["content"])))
    assert [(line["lr"], line["state"], float(line["loss"])) for line in lines] == [
        ("10", "succeeded", 20),
        ("9", "succeeded", 18),
        ("0.5", "succeeded", 1),
    ]
    row.locator("tr[data-point='1'] td").nth(1).click()
    expect(row.locator(".aiinfn-Point").get_by_role("log")).to_contain_text("loss 20")
    row.locator(".aiinfn-Point").get_by_role("button", name="Open output").click()
    expect(page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")).to_contain_text("loss 20", timeout=30_000)


def cells(where: Locator, rows: str) -> list[list[str]]:
    """Give what the cells of a table's rows show."""
    return [
        [re.sub(r"\s+", " ", text).strip() for text in row.locator("th, td").all_inner_texts()]
        for row in where.locator(rows).all()
    ]


def column(row: Locator, number: int) -> list[str]:
    """Give a column of the table of points, from 0."""
    return [line[number] for line in cells(row, "tr[data-point]")]


def clean(page: Page, within: str) -> None:
    """Assert that axe finds nothing serious."""
    found = Axe().run(page, context=within).response["violations"]
    serious = [
        (violation["id"], node["html"][:150])
        for violation in found
        if violation["impact"] in {"serious", "critical"}
        for node in violation["nodes"]
    ]
    assert not serious, serious


def contents(page: Page, path: str) -> Any:
    """Read a file through the contents service."""
    answer = page.request.get(f"{steps.server_url(page)}api/contents/{path}", params={"format": "text"})
    assert answer.ok, answer.text()
    return answer.json()
