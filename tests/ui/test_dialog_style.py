"""What was opened before never changes how the submission dialog looks."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.ui import steps
from tests.ui.demo import Demo
from tests.ui.test_dialog import from_menu

MEASURE = """dialog => {
  const origin = dialog.querySelector('.jp-Dialog-body, .jp-Dialog-content').getBoundingClientRect();
  const of = node => {
    const box = node.getBoundingClientRect();
    const style = getComputedStyle(node);
    const names = ['display', 'flex', 'fontSize', 'fontWeight', 'lineHeight', 'margin', 'padding', 'border', 'color',
      'backgroundColor', 'textAlign', 'textDecoration', 'gap'];
    return {
      what: `${node.tagName.toLowerCase()} ${node.id || node.className}`.replace(/-[0-9a-f]{6,}/g, ''),
      at: [box.x - origin.x, box.y - origin.y, box.width, box.height].map(Math.round),
      style: Object.fromEntries(names.map(name => [name, style[name]]))
    };
  };
  const fields = '.aiinfn-Field, .aiinfn-Field-head, .aiinfn-Parameter, .aiinfn-Switch, label, legend, input, select, textarea, button';
  return [...dialog.querySelectorAll(fields)].map(of);
}"""
"""Sizes and positions of the dialog's fields, within its box."""


def test_the_dialog_looks_the_same_whatever_was_opened_before(demo: Demo, page: Page) -> None:
    steps.sign_in(page, demo, "ada")
    steps.choose(page, "none")
    steps.start(page)
    steps.write_notebook(page, "look.ipynb", "lr = 0.1  # learning rate\nseed = 1", "print(lr)")
    steps.write(page, "look", {"type": "directory"})
    steps.write(page, "look/main.py", {"type": "file", "format": "text", "content": "print(1)\n"})

    openings: dict[str, Callable[[Page], Any]] = {
        "dialog": dialog,
        "panel": panel,
        "tab": tab,
        "sweep": sweep,
        "folder": folder,
    }
    names = list(openings)
    looks: dict[str, dict[tuple[str, ...], Any]] = {}
    # Rotated, so that each is the first once; every second one backwards, so that each comes before each other.
    for number in range(len(names)):
        order = names[number:] + names[:number]
        if number % 2:
            order = order[:1] + order[:0:-1]
        steps.open_file(page, "look.ipynb")
        for at, name in enumerate(order):
            if (look := openings[name](page)) is not None:
                looks.setdefault(name, {})[(*order[:at], name)] = look

    assert set(looks) == {"dialog", "sweep", "folder"}
    for name, found in looks.items():
        usual = found[name,]
        assert len(usual) > 8
        for order, look in found.items():  # type: ignore[assignment]
            different = [(one, other) for one, other in zip(usual, look, strict=True) if one != other]
            assert not different, f"{name} after {order[:-1]}"
    limit = next(
        field
        for field in looks["dialog"]["dialog",]
        if "time_limit" in field["what"] and "input" in field["what"]
    )
    assert limit["at"][2] > 60, "one can read what one typed"


def measured(shown: Locator) -> Any:
    """Measure a dialog that has its checks, and close it."""
    expect(shown.locator(".aiinfn-Verdict")).to_be_visible(timeout=steps.START_SECONDS)
    expect(shown.locator(".aiinfn-Checks")).to_contain_text(re.compile("fine"), timeout=30_000)
    look = shown.evaluate(MEASURE)
    shown.locator(".jp-mod-reject").click()
    expect(shown).to_have_count(0)
    return look


def notebook(page: Page) -> Locator:
    page.locator(".lm-TabBar-tabLabel:text-is('look.ipynb')").click()
    return steps.submit(page)


def dialog(page: Page) -> Any:
    return measured(notebook(page))


def sweep(page: Page) -> Any:
    shown = notebook(page)
    shown.get_by_role("radio", name="Sweep").check()
    shown.get_by_label("lr", exact=True).fill("1, 2")
    expect(shown.get_by_role("button", name="Submit 2 runs")).to_be_visible()
    return measured(shown)


def folder(page: Page) -> Any:
    files = page.get_by_role("tab", name=re.compile("File Browser"))
    if not page.locator(".jp-DirListing").is_visible():
        files.click()
    return measured(from_menu(page, "look"))


def panel(page: Page) -> None:
    steps.open_jobs(page)


def tab(page: Page) -> None:
    if not page.locator(".jp-DirListing").is_visible():
        page.get_by_role("tab", name=re.compile("File Browser")).click()
    page.locator("[data-command='launcher:create']").first.click()
    page.locator(".jp-LauncherCard[title='Show batch jobs in a tab']").click()
    expect(page.locator(".aiinfn-mod-tab").first).to_be_visible()
