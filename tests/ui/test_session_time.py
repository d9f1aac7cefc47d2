"""The end of a session as its owner sees it: time left, warnings and more time, in the Lab and on the home page."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.ui import steps
from tests.ui.demo import Demo


def test_both_pages_warn_before_the_end_and_more_time_shows_on_both(demo: Demo, page: Page) -> None:
    steps.sign_in(page, demo, "dora")
    steps.start_for(page, demo, "dora", "75s")
    item = page.locator(".aiinfn-SessionTime")
    expect(item).to_have_text("Less than 1 min left", timeout=30_000)
    button = item.get_by_role("button")
    expect(button).to_have_attribute("title", re.compile(r"This session ends at .*\d\d"))

    home = page.context.new_page()
    home.goto(f"{demo.url}hub/home")
    row = home.locator(".af-session", has=home.get_by_role("heading", name="Main session"))
    expect(row).to_contain_text("less than a minute left")
    expect(row.get_by_role("button", name="Extend by 1 h")).to_be_visible()
    expect(row.get_by_role("status")).to_be_empty()

    # In its last tenth it warns of what is lost.
    warned = row.get_by_role("status")
    expect(warned).to_contain_text("what notebooks have in memory is lost then", timeout=90_000)
    toast = page.locator(".Toastify__toast", has_text=re.compile("session|more time"))
    expect(toast).to_contain_text(re.compile(r"This session ends in \d s, at .* in memory is lost"))
    expect(item).to_have_class(re.compile("aiinfn-mod-warning"))
    toast.get_by_role("button", name="Extend by 1 h").click()
    expect(toast).to_contain_text(re.compile(r"now ends at .*can be extended 2 more times"))
    expect(item).to_have_text(re.compile(r"^1 h( 1 min)? left"))
    expect(item).not_to_have_class(re.compile("aiinfn-mod-warning"))
    # The home page learns of it by itself.
    expect(row).to_contain_text(re.compile(r"\(1 h( 1 min)? left\)"), timeout=15_000)
    expect(warned).to_be_empty()

    # Whoever wants to know presses the item; by keyboard, too.
    button.focus()
    page.keyboard.press("Enter")
    expect(toast.filter(has_text=re.compile(r"This session ends in (1 h|60 min|59 min)"))).to_be_visible()
    steps.end_session(page, demo, "dora")
