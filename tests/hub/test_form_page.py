"""The form and the pending page in a browser, on a real hub with the real vkd."""

import asyncio
import contextlib
import json
import os
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil
import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, Page, Playwright, async_playwright, expect

from aiinfn_hub.contract.platform import Availability
from aiinfn_hub.platform.model.accelerators import Accelerator
from aiinfn_hub.spawner.profiles import outlook
from tests.hub.realhub import RealHub, real_hub, session_process, vkd_answers, xsrf


@pytest.fixture(scope="module")
def hub() -> Iterator[RealHub]:
    with real_hub(vkd=True) as running:
        yield running


async def launched(playwright: Playwright) -> Browser:
    """Start chromium without a window."""
    chromium = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))),
        None,
    )
    assert chromium, "the tests of pages need chromium: sudo apt-get install -y chromium"
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    return await playwright.chromium.launch(executable_path=chromium, args=["--disable-gpu", *sandbox])


@contextlib.asynccontextmanager
async def signed_in(hub: RealHub, user: str, **options: Any) -> AsyncIterator[tuple[BrowserContext, Page]]:
    """Open a chromium in which somebody is signed in."""
    async with hub.browser(user) as http:
        cookies = [
            {"name": cookie.key, "value": cookie.value, "url": hub.url + cookie["path"]}
            for cookie in http.cookie_jar
        ]
    async with async_playwright() as playwright:
        browser = await launched(playwright)
        try:
            context = await browser.new_context(**options)
            await context.add_cookies(cookies)  # type: ignore[arg-type]
            context.set_default_timeout(20_000)
            yield context, await context.new_page()
        finally:
            await browser.close()


def vkd_of(hub: RealHub) -> psutil.Process:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if "aiinfn_hub.vkd" in process.cmdline() and str(hub.folder) in str(process.environ()):
                return process
    raise AssertionError("vkd does not run")


def reading(**figures: Any) -> str:
    """Write an answer of vkd in which only the T4s differ from all being free."""
    entry = {"accelerator": "t4", "total": 2, "free": 2, "sessions": 0, "batch": 0, "offline": 0, "queued": 0}
    return json.dumps(
        {"accelerators": [entry | figures], "read_at": datetime.now(UTC).isoformat(), "age": 0.2}
    )


CASES = [
    {"free": 2},
    {"free": 1, "batch": 1},
    {"free": 0, "batch": 2},
    {"free": 0, "batch": 1, "sessions": 1},
    {"free": 0, "sessions": 2},
    {"free": 0, "sessions": 2, "next_session_end": (datetime.now(UTC) + timedelta(minutes=3)).isoformat()},
    {"free": 1, "sessions": 1, "next_session_end": datetime.now(UTC).isoformat()},
    {"free": 0, "sessions": 2, "waiting_sessions": 1},
    {"free": 0, "sessions": 2, "waiting_sessions": 3},
    {"free": 0, "offline": 2},
    {"free": 1, "offline": 1},
    {"free": 0, "sessions": 1, "others": 1},
    {"free": 1, "others": 1, "next_session_end": datetime.now(UTC).isoformat()},
    {"free": 0, "others": 2},
]


async def test_the_script_says_the_same_as_the_server(hub: RealHub) -> None:
    device = Accelerator.model_validate({"title": "NVIDIA T4", "kind": "gpu", "resource": "nvidia.com/gpu"})
    async with signed_in(hub, "ada", timezone_id="Europe/Rome", locale="en-GB") as (_, page):
        figures = dict(CASES[0])  # type: ignore[call-overload]
        await page.route("**/availability*", lambda route: route.fulfill(body=reading(**figures)))
        await page.goto(f"{hub.url}/hub/spawn")
        await page.check("#accelerator-t4")
        for case in CASES:
            figures.clear()
            figures.update(case)
            async with page.expect_response("**/availability*"):
                pass
            entry = Availability.model_validate(json.loads(reading(**case))["accelerators"][0])  # type: ignore[arg-type]
            for count in (1, 2):
                await page.select_option("#count", index=count - 1)
                expected = outlook(device, entry, count, timedelta(seconds=2), timedelta(seconds=30))
                pattern = re.escape(expected.sentence).replace(r"\{time\}", r"[\w :]+")
                await expect(page.locator("#outlook")).to_have_text(re.compile(f"^{pattern}$"))
                await expect(page.locator("#outlook")).to_have_attribute("data-outlook", expected.key)


async def test_only_what_goes_together_can_be_chosen(hub: RealHub) -> None:
    async with signed_in(hub, "ben") as (_, page):
        await page.goto(f"{hub.url}/hub/spawn")
        await expect(page.locator("#accelerator-none")).to_be_checked()
        assert await page.input_value("#time_limit") == "8h"
        assert await page.input_value("#project") == "flavour"
        assert await page.locator("#size option:not([disabled])").count() == 1
        await page.check("#accelerator-v70")
        assert await page.input_value("#project") == "medphys", "the only project that may use it"
        assert await page.locator("#image option:not([disabled])").count() == 2
        assert await page.locator("#size option:not([disabled])").count() == 2
        await page.select_option("#image", "fpga-tools")
        await page.select_option("#size", "large")
        await page.check("#accelerator-slice")
        assert await page.input_value("#project") == "medphys", "what goes on being possible stays"
        assert await page.input_value("#image") == "standard"
        assert await page.input_value("#size") == "large"
        assert await page.input_value("#time_limit") == "4h", "a slice is for four hours at most"
        assert await page.is_disabled("#count")
        await page.select_option("#project", "flavour")
        assert await page.input_value("#size") == "small"


async def test_what_a_person_may_not_use_is_not_offered(hub: RealHub) -> None:
    async with signed_in(hub, "ada") as (_, page):
        await page.goto(f"{hub.url}/hub/spawn")
        assert await page.locator("#accelerator-t4").count() == 1
        assert await page.locator("#accelerator-v70").count() == 0
        assert await page.locator("#image option").all_inner_texts() == ["Standard Python"]
        assert "Medical physics" not in await page.content()
        # It is told why, and only when asked.
        reason = page.get_by_text("The project Flavour physics may not use AMD Alveo V70.")
        await expect(reason).to_be_hidden()
        await page.focus("#missing summary")
        await page.keyboard.press("Enter")
        await expect(reason).to_be_visible()


async def test_figures_are_refreshed_without_a_reload_and_survive_the_death_of_vkd(hub: RealHub) -> None:
    await vkd_answers(hub)
    async with signed_in(hub, "ada") as (_, page):
        await page.goto(f"{hub.url}/hub/spawn")
        figures = page.locator('[data-card="t4"] .af-figures')
        await expect(figures).to_have_text("2 of 2 free")
        await expect(page.locator("#age")).to_have_text(re.compile(r"Availability read \d+ s ago"))
        await hub.begin("cleo", {"accelerator": "t4"})
        await hub.ready("cleo")
        await expect(figures).to_have_text("1 of 2 free · 1 in sessions")
        vkd = vkd_of(hub)
        # First it hangs: killed, it could be there again before the page has asked twice.
        vkd.suspend()
        await expect(page.locator("#age")).to_have_text(
            "Availability unknown: the delegation service does not answer", timeout=15_000
        )
        await expect(figures).to_have_text("Availability unknown")
        vkd.kill()
        # The hub starts it again, it knows the session by its process, and the page recovers by itself.
        await expect(figures).to_have_text("1 of 2 free · 1 in sessions", timeout=90_000)
        await hub.end_session("cleo")
        await expect(figures).to_have_text("2 of 2 free")


@pytest.mark.timeout(240)
async def test_the_form_works_by_keyboard_alone_and_leads_to_jupyterlab(hub: RealHub) -> None:
    await vkd_answers(hub)
    async with signed_in(hub, "ben") as (_, page):
        await page.goto(f"{hub.url}/hub/spawn")

        async def tab_to(element: str) -> None:
            for _ in range(30):
                if await page.evaluate("document.activeElement.id") == element:
                    return
                await page.keyboard.press("Tab")
            raise AssertionError(f"{element} cannot be reached by Tab")

        await tab_to("accelerator-none")
        for _ in range(3):
            await page.keyboard.press("ArrowDown")
        await expect(page.locator("#accelerator-v70")).to_be_checked()
        await expect(page.locator("#outlook")).to_have_text("Starts now on a free AMD Alveo V70.")
        # A select takes the first letters of what is meant.
        await tab_to("image")
        await page.keyboard.type("FPGA")
        await expect(page.locator("#image")).to_have_value("fpga-tools")
        await tab_to("size")
        await page.keyboard.type("Large")
        await expect(page.locator("#size")).to_have_value("large")
        await tab_to("time_limit")
        await page.keyboard.type("2")
        await expect(page.locator("#time_limit")).to_have_value("2h")
        await tab_to("start")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/user/ben/lab**", timeout=60_000)
    model = await hub.server("ben")
    assert model["user_options"] | {"count": ""} == {  # type: ignore[index]
        "accelerator": "v70",
        "count": "",
        "project": "medphys",
        "image": "fpga-tools",
        "size": "large",
        "time_limit": "2h",
    }
    await hub.end_session("ben")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_serious_in_the_form(hub: RealHub, scheme: str) -> None:
    async with signed_in(hub, "ada", color_scheme=scheme) as (_, page):
        await page.goto(f"{hub.url}/hub/spawn?opt-accelerator=v70")
        await page.click("#missing summary")
        await page.click("#copy")
        found = (await Axe().run(page)).response["violations"]
        assert not [each["id"] for each in found if each["impact"] in {"serious", "critical"}]


async def test_a_link_fills_the_form_in_and_starts_nothing(hub: RealHub) -> None:
    async with signed_in(hub, "ben", permissions=["clipboard-read", "clipboard-write"]) as (context, page):
        await page.goto(f"{hub.url}/hub/spawn")
        await page.check("#accelerator-v70")
        await page.select_option("#image", "fpga-tools")
        await page.select_option("#time_limit", "4h")
        await page.click("#copy")
        await expect(page.locator("#told")).to_contain_text("The link is copied.")
        link = await page.evaluate("navigator.clipboard.readText()")
        assert link.startswith(f"{hub.url}/hub/spawn?opt-accelerator=v70&")
        other = await context.new_page()
        await other.goto(link)
        await expect(other.locator("#accelerator-v70")).to_be_checked()
        await expect(other.locator("#linked")).to_contain_text("nothing is started yet")
        await expect(other.locator("#image")).to_have_value("fpga-tools")
        await expect(other.locator("#time_limit")).to_have_value("4h")
    assert await hub.server("ben") in (None, {}) or not (await hub.server("ben"))["pending"]  # type: ignore[index]
    # To somebody who may not have it, it says so; without a script too.
    async with signed_in(hub, "ada", java_script_enabled=False) as (_, page):
        await page.goto(link)
        await expect(page.locator("#problem-accelerator")).to_contain_text(
            "The project Flavour physics may not use AMD Alveo V70."
        )
        await expect(page.locator("#problem-image")).to_contain_text("which you cannot use")
        await expect(page.locator("#accelerator-none")).to_be_checked()
        await page.goto(f"{hub.url}/hub/spawn?opt-bitcoin=1&foo=bar")
        await expect(page.locator("#start")).to_be_visible()
    assert "Failed to spawn" not in hub.told
    assert "Traceback" not in hub.told


async def test_where_nothing_may_be_copied_the_link_is_shown(hub: RealHub) -> None:
    async with signed_in(hub, "ada") as (_, page):
        await page.goto(f"{hub.url}/hub/spawn")
        await page.evaluate(
            "() => { navigator.clipboard.writeText = () => Promise.reject(new Error('denied')); }"
        )
        await page.click("#copy")
        await expect(page.locator("#address")).to_be_focused()
        await expect(page.locator("#address")).to_have_value(re.compile(r"/hub/spawn\?opt-accelerator=none&"))


@pytest.mark.timeout(240)
async def test_an_operator_who_starts_for_somebody_gets_that_persons_choices(hub: RealHub) -> None:
    await vkd_answers(hub)
    await hub.know("ada")
    async with hub.browser("olga") as olga:
        async with olga.get(f"{hub.url}/hub/spawn/ada") as answer:
            page = await answer.text()
        assert "For <strong>ada</strong>" in page
        assert 'id="accelerator-t4"' in page
        assert 'id="accelerator-v70"' not in page
        # The operator belongs to no project, and gets nothing for herself.
        async with olga.get(f"{hub.url}/hub/spawn") as answer:
            assert "You do not belong to a project yet" in await answer.text()
        url = f"{hub.url}/hub/spawn/ada?_xsrf={xsrf(olga)}"
        async with olga.post(url, data={"accelerator": "v70"}) as answer:
            assert answer.status == 403
            refused = await answer.text()
        assert "The project Flavour physics may not use AMD Alveo V70." in refused
        assert "For <strong>ada</strong>" in refused
        async with olga.post(url, data={"accelerator": "t4"}, allow_redirects=False) as answer:
            assert answer.status == 302
        model = await hub.ready("ada")
        assert model["user_options"]["accelerator"] == "t4"
        environment = session_process(hub.data / "homes" / "ada").environ()
        assert (environment["AIINFN_PROJECT"], environment["JUPYTERHUB_USER"]) == ("flavour", "ada")
    await hub.end_session("ada")


@pytest.mark.timeout(120)
async def test_an_open_form_takes_over_new_choices_and_keeps_what_is_chosen(hub: RealHub) -> None:
    await vkd_answers(hub)
    file = hub.folder / "platform.yaml"
    before = file.read_text()
    async with signed_in(hub, "ben") as (_, page):
        await page.goto(f"{hub.url}/hub/spawn")
        await expect(page.locator('[data-card="t4"] .af-figures')).to_contain_text("free")
        await page.check("#accelerator-v70")
        await page.select_option("#size", "large")
        await page.select_option("#time_limit", "4h")
        await page.focus("#size")
        new = "  a30: {title: NVIDIA A30, kind: gpu, resource: nvidia.com/gpu, simulated: 1}\n"
        file.write_text(
            before.replace("accelerators:\n", f"accelerators:\n{new}", 1).replace(
                "accelerators: [t4, slice]", "accelerators: [t4, slice, a30]"
            )
        )
        try:
            await expect(page.locator('[data-card="a30"]')).to_be_visible(timeout=5000)
            await expect(page.locator("#told")).to_contain_text("The choices have changed")
            await expect(page.locator("#accelerator-v70")).to_be_checked()
            await expect(page.locator("#size")).to_have_value("large")
            await expect(page.locator("#size")).to_be_focused()
            await expect(page.locator("#time_limit")).to_have_value("4h")
            await page.check("#accelerator-a30")
            await expect(page.locator('[data-card="a30"] .af-figures')).to_have_text("1 of 1 free")
        finally:
            file.write_text(before)
        await expect(page.locator('[data-card="a30"]')).to_have_count(0, timeout=5000)
        await expect(page.locator("#told")).to_contain_text("“a30” is not offered any more")


@pytest.mark.timeout(240)
async def test_without_javascript_the_form_starts_a_session_and_a_refusal_is_shown(hub: RealHub) -> None:
    await vkd_answers(hub)
    async with signed_in(hub, "ben", java_script_enabled=False) as (_, page):
        await page.goto(f"{hub.url}/hub/spawn")
        sentence = page.locator('[data-card="v70"] .af-sentence')
        await expect(sentence).to_be_visible()
        await expect(sentence).to_have_text("Starts now on a free AMD Alveo V70.")
        await page.check("#accelerator-v70")
        await page.select_option("#project", "flavour")
        await page.click("#start")
        await expect(page.locator("#problem-accelerator")).to_contain_text("may not use AMD Alveo V70")
        await expect(page.locator("#accelerator-v70")).to_be_checked()
        await page.select_option("#project", "")
        await page.click("#start")
        await page.wait_for_url("**/spawn-pending/**")
        await expect(page.locator("[aria-current=step]")).to_be_visible()
    model = await hub.ready("ben")
    assert model["user_options"]["accelerator"] == "v70"
    await hub.end_session("ben")


@pytest.mark.timeout(240)
async def test_a_session_that_waits_says_so_can_be_left_and_can_be_stopped(hub: RealHub) -> None:
    await vkd_answers(hub)
    await hub.begin("cleo", {"accelerator": "t4", "count": 2})
    await hub.ready("cleo")
    async with signed_in(hub, "ada") as (_, page):
        await page.goto(f"{hub.url}/hub/spawn")
        await page.check("#accelerator-t4")
        await expect(page.locator("#outlook")).to_contain_text("All are in use by sessions")
        await page.click("#start")
        await page.wait_for_url("**/spawn-pending/**")
        waiting = page.locator('[data-step="placed"]')
        await expect(waiting).to_have_attribute("data-state", "now")
        await expect(waiting.locator(".af-step-message")).to_contain_text(
            re.compile("line|wait", re.IGNORECASE)
        )
        await expect(waiting.locator(".af-elapsed")).to_have_text(re.compile(r"[2-9] s"))
        await page.get_by_role("link", name="Leave this page").click()
        await page.wait_for_url("**/hub/home")
        assert (await hub.server("ada"))["pending"] == "spawn", "it goes on"  # type: ignore[index]
        await page.goto(f"{hub.url}/hub/spawn-pending/ada")
        await page.click("#stop-server-btn")
        await page.wait_for_url("**/hub/spawn/ada")
    assert (await hub.server("cleo"))["ready"], "somebody else's session was not stopped"  # type: ignore[index]
    await hub.end_session("cleo")


@pytest.mark.timeout(240)
async def test_a_session_gets_its_device_when_another_ends(hub: RealHub) -> None:
    await vkd_answers(hub)
    await hub.begin("cleo", {"accelerator": "t4", "count": 2})
    await hub.ready("cleo")
    waits = asyncio.create_task(hub.begin("ada", {"accelerator": "t4"}))
    await asyncio.sleep(1)
    await hub.end_session("cleo")
    status, answer = await waits
    assert status in {201, 202}, answer
    await hub.ready("ada")
    await hub.end_session("ada")
