"""The home page: every session with what it has and how long, and buttons that act on the one they stand beside."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.ui import steps
from tests.ui.demo import Demo


def test_two_sessions_are_told_apart_and_stop_stops_the_one_shown(demo: Demo, page: Page) -> None:
    steps.sign_in(page, demo, "dora")
    steps.start_for(page, demo, "dora", "50m")

    page.goto(f"{demo.url}hub/home")
    main = page.locator(".af-session", has=page.get_by_role("heading", name="Main session"))
    expect(main).to_contain_text("Running, ends at")
    expect(main).to_contain_text("CPU only · Small · Standard scientific Python · Flavour physics")

    # More time, by keyboard; the page stays.
    page.evaluate("window.sameAsBefore = true")
    main.get_by_role("button", name="Extend by 1 h").press("Enter")
    expect(main.get_by_role("status")).to_contain_text("It can be extended 2 more times.")
    expect(main.get_by_role("status")).to_be_focused()
    expect(main).to_contain_text(re.compile(r"\(1 h (50|49) min left\)"))
    expect(main.get_by_role("button", name="Extend")).to_have_count(0)
    assert page.evaluate("window.sameAsBefore")

    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "session-time" in request.url else None)
    page.get_by_label("Another session").fill("Training <b> №2")
    page.get_by_role("button", name="Choose").click()
    page.wait_for_selector("#aiinfn-form")
    steps.choose(page, "t4")
    page.locator("#start").click()
    page.wait_for_url(re.compile(r"/user/dora/training[^/]*/.*lab"), timeout=steps.START_SECONDS)
    # Far from its end the Lab knows it without asking anybody.
    expect(page.locator(".aiinfn-SessionTime")).to_have_text(
        re.compile(r"^(8 h|7 h 59 min) left$"), timeout=steps.START_SECONDS
    )
    page.wait_for_timeout(500)
    assert asked == []

    page.goto(f"{demo.url}hub/home")
    other = page.locator(".af-session", has=page.get_by_role("heading", name="Training <b> №2"))
    expect(other).to_contain_text("NVIDIA T4 · Small")
    expect(other).to_contain_text(re.compile(r"\((8 h|7 h 59 min) left\)"))
    expect(other.get_by_role("button", name="Extend")).to_have_count(0)
    other.get_by_role("button", name="Stop").click()
    expect(other).to_contain_text("Not running", timeout=20_000)
    expect(main).to_contain_text("Running")

    page.once("dialog", lambda dialog: dialog.accept())
    other.get_by_role("button", name="Remove").click()
    expect(other).to_have_count(0, timeout=20_000)
    main.get_by_role("link", name="Open").click()
    steps.in_lab(page)
    steps.end_session(page, demo, "dora")


def test_a_name_that_is_taken_is_refused_in_words(demo: Demo, page: Page) -> None:
    steps.sign_in(page, demo, "dora")
    page.goto(f"{demo.url}hub/home")
    for _ in range(2):
        page.get_by_label("Another session").fill("twice")
        page.get_by_role("button", name="Choose").click()
        if page.url.endswith("/home"):
            page.wait_for_timeout(1000)
        if "/spawn/" in page.url:
            page.goto(f"{demo.url}hub/home")
    expect(page.locator("#another .af-problem")).to_contain_text("There is a session twice already")
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Remove twice").click()
    expect(page.get_by_role("heading", name="twice")).to_have_count(0)
