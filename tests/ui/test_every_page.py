"""Every page of the hub in Italian: nothing that axe finds, light and dark, and all of it by keyboard alone."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.ui.conftest import PICTURES
from tests.ui.demo import Demo

FOCUSABLE = "a[href], button, input, select, textarea, summary, [tabindex]"
# What a person who tabs through the page must come to; of radio buttons with one name, the chosen one.
REACHABLE = """selector => [...document.querySelectorAll(selector)].filter(one => {
  if (one.tabIndex < 0 || one.disabled || one.type === "hidden") return false;
  if (!one.checkVisibility({ visibilityProperty: true })) return false;
  if (one.type !== "radio") return true;
  const group = [...document.querySelectorAll(`input[type=radio][name="${one.name}"]`)];
  return one === (group.find(each => each.checked) ?? group[0]);
}).map((one, place) => { one.dataset.place = place; return one.outerHTML.slice(0, 120); })"""
FOCUSED = """() => {
  const one = document.activeElement;
  const drawn = element => {
    const style = getComputedStyle(element);
    return (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== "none";
  };
  const box = one.getBoundingClientRect();
  return {
    place: one.dataset.place === undefined ? null : Number(one.dataset.place),
    seen: drawn(one) || (one.closest("label") !== null && drawn(one.closest("label"))),
    inside: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
    html: one.outerHTML.slice(0, 120),
  };
}"""


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(
        locale="it-IT", viewport={"width": 1280, "height": 900}, color_scheme="light", reduced_motion="reduce"
    )
    context.set_default_timeout(30_000)
    yield context.new_page()
    context.close()


def examine(page: Page, name: str, *, without: str = "") -> None:
    """Assert what holds for every page, and take its pictures; it is left light and wide.

    Parameters
    ----------
    without
        Selector of what is not ours.
    """
    assert page.locator("html").get_attribute("lang") == "it"
    PICTURES.mkdir(exist_ok=True)
    found: list[str] = []
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        page.evaluate("theme => document.documentElement.dataset.bsTheme = theme", theme)
        context = {"exclude": [[without]]} if without else None
        result = Axe().run(page, context=context).response
        found += [
            f"{name}, {theme}: {one['id']}: {one['help']} ({node['html'][:160]}: {node['failureSummary'][:200]})"
            for one in result["violations"]
            for node in one["nodes"]
        ]
        for width in (1280, 400):
            page.set_viewport_size({"width": width, "height": 900})
            page.screenshot(path=PICTURES / f"{name}-it-{theme}-{width}.png", full_page=True)
            if width == 400 and page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
                found.append(f"{name}, {theme}: at 400 px it scrolls sideways")
    page.set_viewport_size({"width": 1280, "height": 900})
    page.emulate_media(color_scheme="light")
    page.evaluate("document.documentElement.dataset.bsTheme = 'light'")
    found += tab_through(page, name)
    assert not found, "\n".join(found)


def tab_through(page: Page, name: str) -> list[str]:
    """Press Tab from the top of the page to its end: everything is reached, in order, seen, and left again."""
    wrong: list[str] = []
    targets = page.evaluate(REACHABLE, FOCUSABLE)
    page.evaluate("document.activeElement?.blur(); document.body.tabIndex = -1; document.body.focus()")
    for place, html in enumerate(targets):
        page.keyboard.press("Tab")
        now = page.evaluate(FOCUSED)
        if now["place"] != place:
            wrong.append(f"{name}: Tab {place + 1} comes to {now['html']} instead of {html}")
            break
        if not now["seen"]:
            wrong.append(f"{name}: it is not seen where the focus is: {html}")
        if not now["inside"]:
            wrong.append(f"{name}: what has the focus is out of sight: {html}")
    page.keyboard.press("Tab")
    if page.evaluate(
        "document.activeElement !== document.body && document.activeElement.dataset.place !== '0'"
    ):
        wrong.append(f"{name}: the end of the page cannot be left")
    return wrong


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until something has the focus."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"the keyboard does not get to {selector}")


def press(page: Page, selector: str, key: str = "Enter") -> None:
    """Go somewhere and press a key."""
    tab_to(page, selector)
    page.keyboard.press(key)


def sign_in(page: Page, demo: Demo, account: str) -> None:
    """Sign in without a mouse."""
    page.goto(f"{demo.url}hub/login?next=/hub/home")
    press(page, ".si-button")
    page.wait_for_selector("button.account")
    press(page, f"button.account[value={account}]")


def runs(page: Page, demo: Demo) -> None:
    """Wait on the home page until the main session runs; JupyterLab itself is not looked at here."""
    page.wait_for_url(re.compile("/spawn-pending/|/user/"), wait_until="commit")
    page.goto(f"{demo.url}hub/home")
    main = page.locator(".af-session[data-server='server']")
    expect(main).to_have_attribute("data-state", "running", timeout=45_000)


def test_somebody_who_is_signed_out(demo: Demo, page: Page) -> None:
    page.goto(demo.url)
    expect(page.locator(".si-button")).to_contain_text("Accedi con")
    examine(page, "sign-in")
    page.goto(f"{demo.url}hub/login?next=/hub/home")
    press(page, ".pg-languages button[value=en]")
    expect(page.locator(".si-button")).to_contain_text("Sign in with")
    assert page.url.endswith("/hub/login?next=/hub/home")
    press(page, ".pg-languages button[value=it]", "Space")
    expect(page.locator(".si-button")).to_contain_text("Accedi con")

    page.goto(f"{demo.url}hub/there/is/nothing")
    expect(page.locator("h1")).to_contain_text("non c'è nulla")
    examine(page, "nothing")

    sign_in(page, demo, "nemo")
    expect(page.locator("h1")).to_contain_text("non hai progetti")
    examine(page, "no-access")


def test_a_scientist(demo: Demo, page: Page) -> None:
    sign_in(page, demo, "bruno")
    page.wait_for_url(re.compile("/hub/home"))
    expect(page.locator("h1")).to_have_text("Le tue sessioni")
    press(page, ".af-session a.btn-primary")
    page.wait_for_selector("#aiinfn-form")
    expect(page.locator("[data-card='t4']")).to_contain_text("libere")
    examine(page, "form")

    # The cards are one group of radio buttons: arrows choose.
    page.evaluate("document.querySelector('#accelerator-t4').value = 'h100'")
    page.locator("#accelerator-t4").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    expect(page.locator("#accelerator-t4")).to_be_checked()
    press(page, "#start")
    page.wait_for_selector("#problem-accelerator")
    expect(page.locator("#problem-accelerator")).to_contain_text("non esiste")
    assert page.evaluate("document.activeElement.id") == "refusal"
    examine(page, "refused")

    page.goto(f"{demo.url}hub/spawn")
    page.locator("#accelerator-v70").focus()
    page.keyboard.press("Space")
    expect(page.locator("#outlook")).to_contain_text("Parte subito")
    press(page, "#start")
    runs(page, demo)

    # Its one FPGA is in use now, so that a second session waits for it.
    tab_to(page, "#another-name")
    page.keyboard.type("prova")
    page.keyboard.press("Enter")
    page.wait_for_selector("#aiinfn-form")
    page.locator("#accelerator-v70").focus()
    page.keyboard.press("Space")
    press(page, "#start")
    page.wait_for_selector("#pending")
    expect(page.locator("#steps")).to_contain_text("Chiesta una sessione con 1 AMD Alveo V70")
    examine(page, "pending")
    press(page, "#pending .af-actions a")
    expect(page.locator("[data-state='starting']")).to_contain_text("In avvio")
    examine(page, "home")
    press(page, "[data-state='starting'] a.btn-primary")
    page.wait_for_selector("#pending")
    press(page, "#stop-server-btn", "Space")
    page.wait_for_selector("#aiinfn-form")

    page.goto(f"{demo.url}hub/user/bruno/prova/")
    expect(page.locator("h1")).to_contain_text("non è attiva")
    examine(page, "not-running")

    page.goto(f"{demo.url}hub/token")
    tab_to(page, "#token-note")
    page.keyboard.type("portatile")
    press(page, "#request-token-form button")
    expect(page.locator("#token-area")).to_be_focused()
    examine(page, "token")
    page.reload()
    row = page.locator(".token-row", has_text="portatile")
    expect(row.locator("time").last).to_contain_text(re.compile(r"\d{4}, \d{2}:\d{2}"))
    row.locator("[data-act]").focus()
    page.keyboard.press("Enter")
    expect(row).to_have_count(0)

    page.goto(f"{demo.url}hub/home")
    press(page, ".af-session[data-server='server'] .af-stop")
    expect(page.locator(".af-session[data-server='server']")).to_contain_text("Non attiva", timeout=20_000)
    press(page, "#logout")
    page.wait_for_selector("#logout-ask-main")
    examine(page, "sign-out")
    press(page, "button[value='here']")
    page.wait_for_selector("#logout-main")
    examine(page, "signed-out")
    page.goto(f"{demo.url}hub/home")
    assert "/hub/login" in page.url


def test_an_operator_and_a_manager(demo: Demo, page: Page) -> None:
    sign_in(page, demo, "dora")
    page.wait_for_url(re.compile("/hub/home"))
    page.goto(f"{demo.url}hub/admin")
    page.wait_for_selector("#react-admin-hook table")
    examine(page, "admin", without="#react-admin-hook")

    page.goto(f"{demo.url}hub/spawn")
    page.locator("#accelerator-none").focus()
    press(page, "#start")
    runs(page, demo)
    page.context.clear_cookies()
    sign_in(page, demo, "carla")
    page.wait_for_url(re.compile("/hub/home"))
    press(page, "a[href$='project-sessions']")
    expect(page.locator("[data-user='dora']")).to_contain_text("Attiva")
    examine(page, "project-sessions")
    page.once("dialog", lambda dialog: dialog.accept())
    press(page, "[data-user='dora'] [data-act]")
    expect(page.locator("[data-user='dora'] .af-problem")).to_be_empty()
    expect(page.locator("[data-user='dora'][data-state='running']")).to_have_count(0, timeout=20_000)

    # Why it ended is told in her language, not in the manager's.
    page.context.clear_cookies()
    sign_in(page, demo, "dora")
    page.wait_for_url(re.compile("/hub/home"))
    page.goto(f"{demo.url}hub/user/dora/")
    expect(page.locator("main")).to_contain_text("L'ha arrestata carla, responsabile di Flavour physics.")
    press(page, ".pg-languages button[value=en]")
    expect(page.locator("main")).to_contain_text("carla, who manages Flavour physics, stopped it.")
