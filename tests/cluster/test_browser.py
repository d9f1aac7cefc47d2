"""What a scientist does in JupyterLab, in a real browser, where the session is a pod and batch goes through Kueue."""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.cluster.harness import wait_for
from tests.cluster.hub_world import ClusterHub, cluster_hub
from tests.cluster.site import Site
from tests.ui import steps
from tests.ui.conftest import browser, page  # noqa: F401 - the fixtures of the browser tests

GO_ON = "go-on"
"""A file in the home; without it the notebook of the tests waits at its fifth step."""
SLOW = f"""\
import time
from pathlib import Path
from aiinfn_lab import record
for step in range(steps):
    print("step", step, flush=True)
    time.sleep(0.5)
    while step == 5 and not Path("~/{GO_ON}").expanduser().exists():
        time.sleep(0.2)
record(steps=steps)"""
AWHILE = 90_000
"""Milliseconds that a pod may take on a busy machine; only failures wait this long."""


@pytest.fixture(scope="module")
def hub(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with cluster_hub(tmp_path_factory.mktemp("hub"), site) as (running, _):
        for who in ("ada", "bruno"):
            site.home(who)
        yield running


@pytest.fixture
def clear(hub: ClusterHub) -> Iterator[None]:
    yield
    hub.clear()


@pytest.fixture
def lab(hub: Any, clear: Any, page: Page) -> Page:  # noqa: F811
    """JupyterLab in a pod of ada's, without an accelerator, with a notebook that takes a parameter."""
    steps.sign_in(page, SimpleNamespace(url=hub.url + "/"), "ada")  # type: ignore[arg-type]
    steps.choose(page, "none")
    page.locator("#size").select_option("large")
    steps.start(page)
    steps.write_notebook(page, "slow.ipynb", "steps = 4", SLOW)
    steps.open_file(page, "slow.ipynb")
    return page


def submit_on_t4(page: Page, size: str = "small") -> Locator:  # noqa: F811
    dialog = steps.submit(page)
    dialog.get_by_role("radio", name=re.compile("T4")).check(force=True)
    dialog.get_by_label("Size").select_option(size)
    return dialog


def newest(page: Page) -> str:  # noqa: F811
    return str(steps.ask(page, "jobs", limit=1)["jobs"][0]["id"])


@pytest.mark.timeout(400)
def test_submit_log_preemption_and_run_again(hub: Any, site: Any, lab: Any, figure: Any) -> None:
    dialog = submit_on_t4(lab)
    dialog.get_by_label("steps", exact=True).fill("8")
    expect(dialog.locator(".aiinfn-Verdict")).to_contain_text("Starts now", timeout=AWHILE)
    dialog.get_by_role("button", name="Submit", exact=True).click()
    expect(dialog).to_have_count(0, timeout=AWHILE)
    job = newest(lab)

    # The log grows while the notebook runs, and the row names the cell.
    steps.open_jobs(lab)
    row = steps.opened(lab, job)
    expect(row.get_by_role("log")).to_contain_text("step 2", timeout=AWHILE)
    expect(row.locator(".aiinfn-Row-head")).to_contain_text("cell", timeout=AWHILE)
    assert steps.job(lab, job)["state"] == "running"

    # A session that needs every T4: the row says that the job made room, and it comes back by itself.
    seconds = hub.start_session("ada", "needs", accelerator="t4", count=2, size="small")
    figure("browser: session ready with a T4 in batch, s", seconds)
    expect(row.locator(".aiinfn-Row-head")).to_contain_text("made room for a session", timeout=AWHILE)
    go_on = site.home("ada") / GO_ON
    go_on.touch()
    hub.end_session("ada", "needs")
    expect(row.locator(".aiinfn-Row-head")).to_contain_text("Succeeded", timeout=AWHILE)
    done = steps.job(lab, job)
    assert (done["attempt"], done["preemptions"], done["values"]) == (2, 1, {"steps": 8})
    expect(row.locator(".aiinfn-History")).to_contain_text("session")
    row.get_by_role("button", name="Open output").click()
    executed = lab.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
    expect(executed).to_contain_text("step 7", timeout=AWHILE)

    # Once more, as it was submitted.
    go_on.unlink()
    row.get_by_role("button", name="Run again", exact=True).click()
    wait_for("the second job", lambda: newest(lab) != job, 30)
    again = newest(lab)
    assert steps.job(lab, again)["work"]["parameters"] == {"steps": 8}
    assert steps.job(lab, again)["rerun_of"] == job
    row = steps.opened(lab, again)
    expect(row.get_by_role("log")).to_contain_text("step 1", timeout=AWHILE)
    row.get_by_role("button", name="Cancel", exact=True).click()
    lab.get_by_role("button", name="Cancel the job").click()
    expect(row.locator(".aiinfn-Row-head")).to_contain_text("Cancelled", timeout=AWHILE)


@pytest.mark.timeout(400)
def test_a_sweep_fills_its_table(lab: Any) -> None:
    dialog = submit_on_t4(lab)
    dialog.get_by_role("radio", name="Sweep").check()
    dialog.get_by_label("steps", exact=True).fill("1..3")
    dialog.get_by_label("At most at once").fill("2")
    dialog.get_by_role("button", name="Submit 3 runs").click()
    expect(dialog).to_have_count(0, timeout=AWHILE)
    sweep = newest(lab)
    steps.open_jobs(lab)
    row = steps.opened(lab, sweep)
    wait_for("the sweep's end", lambda: steps.job(lab, sweep)["state"] == "succeeded", 240)
    for point in (1, 2, 3):
        expect(row.locator(f"tr[data-point='{point}']")).to_contain_text("Succeeded", timeout=AWHILE)
    points = steps.ask(lab, f"jobs/{sweep}/points")["points"]
    assert [(point["values"], point["attempt"]) for point in points] == [
        ({"steps": number}, 1) for number in (1, 2, 3)
    ]
