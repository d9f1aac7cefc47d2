"""Every page and panel: no serious axe violation, and a picture of each to be looked at.

The pictures are written to ``tests/ui/pictures`` in light and dark, 1280 and 400 px wide. They are for people; the
tests assert what axe finds and that nothing has to be scrolled sideways.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.ui import steps
from tests.ui.conftest import PICTURES
from tests.ui.demo import Demo, wait_for

THEMES = ("light", "dark")
WIDTHS = (1280, 400)
PROGRAM = "examples/cross_validate.py"


@pytest.fixture(params=THEMES)
def themed(request: pytest.FixtureRequest, browser: Browser) -> Iterator[tuple[Page, str]]:
    """A page that nobody is signed in to, and the theme that its person prefers."""
    context = browser.new_context(viewport={"width": WIDTHS[0], "height": 900}, color_scheme=request.param)
    context.set_default_timeout(30_000)
    yield context.new_page(), request.param
    context.close()


@pytest.fixture(scope="module")
def lab(demo: Demo, browser: Browser) -> Iterator[Page]:
    """One session for both themes, with a job that fails."""
    context = browser.new_context(viewport={"width": WIDTHS[0], "height": 900})
    context.set_default_timeout(30_000)
    page = context.new_page()
    steps.sign_in(page, demo, "ada")
    steps.choose(page, "none")
    steps.start(page)
    steps.post(page, "jobs", {"path": PROGRAM, "arguments": ["none"]})
    yield page
    context.close()


def examine(page: Page, name: str, theme: str, width: int, *, within: str | None = None) -> None:
    """Take the picture, and assert that axe finds nothing serious in what is ours."""
    PICTURES.mkdir(exist_ok=True)
    if within is not None:
        # A JupyterLab that starts this narrow hides tabs and toolbars; ours must bear a window made narrow.
        page.set_viewport_size({"width": width, "height": 900})
        expect(page.locator(within)).to_be_visible()
    page.screenshot(path=PICTURES / f"{name}-{theme}-{width}.png", full_page=within is None)
    found = Axe().run(page, context=within)
    serious = [
        f"{violation['id']}: {violation['help']} ({node['html'][:120]})"
        for violation in found.response["violations"]
        if violation["impact"] in {"serious", "critical"}
        for node in violation["nodes"]
    ]
    assert not serious, "\n".join(serious)
    if within is not None:
        page.set_viewport_size({"width": 1280, "height": 900})
    else:
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), (
            "it scrolls sideways"
        )


def test_the_pages_of_the_hub(demo: Demo, themed: tuple[Page, str]) -> None:
    page, theme = themed
    seen = partial(examine_all, page, theme)
    page.goto(demo.url)
    seen("sign-in")
    page.get_by_role("link", name=re.compile("^Sign in with")).click()
    page.wait_for_selector("button.account")
    seen("iam")
    steps.sign_in(page, demo, "bruno")
    expect(page.locator("[data-card='t4']")).to_contain_text("free")
    steps.choose(page, "t4")
    seen("form")
    page.evaluate("document.querySelector('#accelerator-t4').value = 'h100'")
    page.locator("#start").click()
    page.wait_for_selector("#problem-accelerator")
    seen("refused")
    # What runs and what is on its way there is in `test_every_page`, which wants more of a page.
    page.goto(f"{demo.url}hub/home")
    seen("home")


def examine_all(page: Page, theme: str, name: str, **how: Any) -> None:
    """Examine what a page shows at each width, the widest last: so it stays."""
    for width in reversed(WIDTHS):
        page.set_viewport_size({"width": width, "height": 900})
        examine(page, name, theme, width, **how)


@pytest.mark.parametrize("theme", THEMES)
def test_the_dialog_and_the_jobs_panel(lab: Page, theme: str) -> None:
    steps.wear(lab, {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}[theme], "examples/digits.ipynb")
    seen = partial(examine_all, lab, theme)
    steps.open_jobs(lab)
    seen("jobs-before", within=".aiinfn-Sidebar")

    dialog = steps.submit(lab)
    expect(dialog.locator(".aiinfn-Verdict")).to_contain_text("Starts now", timeout=20_000)
    seen("dialog", within=".aiinfn-SubmitDialog")
    dialog.get_by_role("button", name="Submit", exact=True).click()
    expect(dialog).to_have_count(0, timeout=20_000)

    steps.open_jobs(lab)
    wait_for(
        "the jobs end",
        lambda: all(one["ended"] for one in steps.ask(lab, "jobs", limit=2)["jobs"]),
        90,
        0.5,
    )
    row = lab.locator(".aiinfn-Row", has_text="cross_validate.py").first
    expect(row).to_contain_text("Failed", timeout=20_000)
    if row.locator(".aiinfn-Details").count() == 0:
        row.locator(".aiinfn-Row-head").click()
    expect(row.get_by_role("log")).to_contain_text("ValueError")
    seen("jobs", within=".aiinfn-Sidebar")
