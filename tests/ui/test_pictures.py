"""Every page and panel: no serious axe violation, and a picture of each to be looked at.

The pictures are written to ``tests/ui/pictures`` in light and dark, 1280 and 400 px wide. They are for people; the
tests assert what axe finds and that nothing has to be scrolled sideways.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.ui import steps
from tests.ui.conftest import PICTURES
from tests.ui.demo import Demo, wait_for

LOOKS = [(theme, width) for theme in ("light", "dark") for width in (1280, 400)]


@pytest.fixture(params=LOOKS, ids=lambda look: f"{look[0]}-{look[1]}")
def look(request: pytest.FixtureRequest, browser: Browser) -> Iterator[tuple[Page, str, int]]:
    theme, width = request.param
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)
    context.set_default_timeout(30_000)
    yield context.new_page(), theme, width
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


def test_the_pages_of_the_hub(demo: Demo, look: tuple[Page, str, int]) -> None:
    page, theme, width = look
    page.goto(demo.url)
    examine(page, "sign-in", theme, width)
    page.get_by_role("link", name=re.compile("^Sign in with")).click()
    page.wait_for_selector("button.account")
    examine(page, "iam", theme, width)
    steps.sign_in(page, demo, "bruno")
    expect(page.locator("[data-card='t4']")).to_contain_text("free")
    steps.choose(page, "t4")
    examine(page, "form", theme, width)
    page.evaluate("document.querySelector('#accelerator-t4').value = 'h100'")
    page.locator("#start").click()
    page.wait_for_selector("#problem-accelerator")
    examine(page, "refused", theme, width)
    page.goto(f"{demo.url}hub/spawn")
    steps.choose(page, "a100-1g.5gb")
    page.locator("#start").click(no_wait_after=True)
    page.wait_for_url(re.compile("spawn-pending|/lab"))
    if "spawn-pending" in page.url:
        examine(page, "pending", theme, width)
    steps.in_lab(page)
    page.goto(f"{demo.url}hub/home")
    examine(page, "home", theme, width)


def test_the_dialog_and_the_jobs_panel(demo: Demo, look: tuple[Page, str, int]) -> None:
    page, theme, width = look
    page.set_viewport_size({"width": 1280, "height": 900})
    steps.sign_in(page, demo, "ada")
    steps.choose(page, "none")
    steps.start(page)
    shown = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}[theme]
    steps.wear(page, shown)
    steps.open_jobs(page)
    examine(page, "jobs-before", theme, width, within=".aiinfn-Sidebar")

    steps.open_file(page, "examples/digits.ipynb")
    dialog = steps.submit(page)
    expect(dialog.locator(".aiinfn-Verdict")).to_contain_text("Starts now", timeout=20_000)
    examine(page, "dialog", theme, width, within=".aiinfn-SubmitDialog")
    dialog.get_by_role("button", name="Submit", exact=True).click()
    expect(dialog).to_have_count(0, timeout=20_000)
    steps.post(page, "jobs", {"path": "examples/cross_validate.py", "arguments": ["none"]})
    steps.open_jobs(page)
    wait_for(
        "both jobs end",
        lambda: all(one["ended"] for one in steps.ask(page, "jobs", limit=2)["jobs"]),
        90,
        0.5,
    )
    row = page.locator(".aiinfn-Row", has_text="cross_validate.py").first
    expect(row).to_contain_text("Failed", timeout=20_000)
    if row.locator(".aiinfn-Details").count() == 0:
        row.locator(".aiinfn-Row-head").click()
    expect(row.get_by_role("log")).to_contain_text("ValueError")
    examine(page, "jobs", theme, width, within=".aiinfn-Sidebar")
