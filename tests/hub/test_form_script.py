"""The form's script in a browser, without a hub: it offers what the offer says, and finds cards."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, Page, expect

from aiinfn_hub.contract.units import parse_duration
from aiinfn_hub.platform.gate import Offer, offer
from aiinfn_hub.platform.model.periods import Reservation
from aiinfn_hub.spawner import form
from bench.form import everybody, platform_of, reading_of
from tests.ui.conftest import chromium

SOON = Reservation.model_validate(
    {
        "title": "a course",
        "project": "project-1",
        "accelerator": "device-2",
        "from": datetime.now(UTC) + timedelta(hours=7),
        "to": datetime.now(UTC) + timedelta(hours=20),
    }
)
PLATFORM = platform_of(14, 9, 6)
PLATFORM = PLATFORM.model_copy(update={"reservations": {**PLATFORM.reservations, "soon": SOON}})


@pytest.fixture(scope="module")
def may() -> Offer:
    return offer(PLATFORM, everybody(PLATFORM))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def page(browser: Browser, may: Offer) -> Iterator[Page]:
    text = form.render(may, reading_of(PLATFORM), form.Opening(spawn_url="/hub/spawn"))
    page = browser.new_page()
    page.set_default_timeout(10_000)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.set_content(f"<form>{text}</form>")
    yield page
    page.close()
    assert not wrong


COMBINE = """() => {
  const names = (id) => [...document.getElementById(id).options].filter((o) => !o.disabled).map((o) => o.value);
  const pick = (element, value) => {
    if (element.type === "radio") element.checked = true;
    else element.value = value;
    element.dispatchEvent(new Event("change", { bubbles: true }));
  };
  const found = [];
  for (const radio of document.querySelectorAll("input[name=accelerator]")) {
    pick(radio);
    for (const project of names("project")) {
      pick(document.getElementById("project"), project);
      const images = names("image");
      for (const size of names("size")) {
        pick(document.getElementById("size"), size);
        found.push([radio.value, project, images, size, names("time_limit"), document.getElementById("time_limit").value]);
      }
    }
  }
  return found;
}"""


def test_the_script_offers_what_the_offer_says(may: Offer, page: Page) -> None:
    """Every card with every project and size, with lists of projects, of images, of sizes and of times, and a reservation."""
    shown = page.evaluate(COMBINE)
    expected = [
        (accelerator, project, size)
        for accelerator in page.locator("input[name=accelerator]").evaluate_all(
            "all => all.map((one) => one.value)"
        )
        for project in may.projects_of(accelerator)
        if may.images_of(project, accelerator)
        for size in may.sizes_of(project, accelerator)
    ]
    assert [(accelerator, project, size) for accelerator, project, _, size, _, _ in shown] == expected
    assert len(expected) > 100
    lengths = set()
    for accelerator, project, images, size, times, _chosen in shown:
        assert images == list(may.images_of(project, accelerator))
        wanted = may.session_times(accelerator, project, size)
        assert [parse_duration(time) for time in times] == wanted
        lengths.add(wanted[-1])
    assert len(lengths) > 5, "the case would show little"


def test_the_usual_time_is_chosen_where_what_was_chosen_is_too_long(may: Offer, page: Page) -> None:
    page.check("#accelerator-device-1")
    page.select_option("#project", "project-0")
    page.select_option("#time_limit", "1d")
    page.check("#accelerator-device-0")
    longest = may.longest_session("device-0", "project-0", "small").time
    assert longest == timedelta(hours=4)
    expect(page.locator("#time_limit")).to_have_value("4h")
    page.check("#accelerator-device-1")
    expect(page.locator("#time_limit")).to_have_value("4h")


def test_cards_are_found_by_what_they_are_and_by_keyboard(page: Page) -> None:
    cards = page.locator("[data-card]:visible")
    assert cards.count() == 15
    field, found = page.locator("#find"), page.locator("#found")
    field.fill("number 12")
    expect(found).to_have_text("1 of 15 fits")
    assert cards.evaluate_all("all => all.map((one) => one.dataset.card)") == ["none", "device-12"]
    assert page.locator("details.af-group:visible").count() == 2, "groups without a hit are gone"
    field.fill("32 GiB INFERENCE")
    expect(found).to_have_text(re.compile("[1-3] of 15 fit"))
    field.press("Enter")
    assert page.evaluate("document.activeElement.name") == "accelerator", "and nothing was sent"
    page.keyboard.press("Space")
    chosen = page.evaluate("document.activeElement.value")
    field.fill("no such thing")
    expect(found).to_have_text("Nothing fits. Look for fewer words.")
    assert cards.evaluate_all("all => all.map((one) => one.dataset.card)") == [chosen]
    field.press("Escape")
    assert cards.count() == 15
    expect(found).to_have_text("")


def test_groups_can_be_folded_and_open_where_something_is_found(page: Page) -> None:
    group = page.locator("details.af-group").nth(1)
    group.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(group.locator("[data-card]").first).to_be_hidden()
    page.fill("#find", "number 0")
    expect(group.locator("[data-card=device-0]")).to_be_visible()
