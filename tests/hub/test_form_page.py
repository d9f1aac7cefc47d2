"""The form and the pending page in a browser, on a real hub with the real vkd."""

import asyncio
import contextlib
import json
import os
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import psutil
import pytest
from playwright.async_api import BrowserContext, Page, async_playwright, expect

from aiinfn_hub.platform.model import Accelerator
from aiinfn_hub.spawner.profiles import outlook
from aiinfn_hub.vkd.contract import Availability
from tests.hub.realhub import RealHub, real_hub, vkd_answers


@pytest.fixture(scope="module")
def hub() -> Iterator[RealHub]:
    with real_hub(vkd=True) as running:
        yield running


@contextlib.asynccontextmanager
async def signed_in(hub: RealHub, user: str, **options) -> AsyncIterator[tuple[BrowserContext, Page]]:
    """Open a chromium in which somebody is signed in."""
    chromium = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))),
        None,
    )
    assert chromium, "the tests of pages need chromium: sudo apt-get install -y chromium"
    async with hub.browser(user) as http:
        cookies = [
            {"name": cookie.key, "value": cookie.value, "url": hub.url + cookie["path"]}
            for cookie in http.cookie_jar
        ]
    async with async_playwright() as playwright:
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--disable-gpu", *sandbox])
        try:
            context = await browser.new_context(**options)
            await context.add_cookies(cookies)
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


def reading(**figures) -> str:
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
]


async def test_the_script_says_the_same_as_the_server(hub):
    device = Accelerator(title="NVIDIA T4", kind="gpu", resource="nvidia.com/gpu")
    async with signed_in(hub, "ada", timezone_id="Europe/Rome", locale="en-GB") as (_, page):
        figures = dict(CASES[0])
        await page.route("**/availability*", lambda route: route.fulfill(body=reading(**figures)))
        await page.goto(f"{hub.url}/hub/spawn")
        await page.check("#accelerator-t4")
        for case in CASES:
            figures.clear()
            figures.update(case)
            async with page.expect_response("**/availability*"):
                pass
            entry = Availability.model_validate(json.loads(reading(**case))["accelerators"][0])
            for count in (1, 2):
                await page.select_option("#count", index=count - 1)
                expected = outlook(device, entry, count, timedelta(seconds=2), timedelta(seconds=30))
                pattern = re.escape(expected.sentence).replace(r"\{time\}", r"[\w :]+")
                await expect(page.locator("#outlook")).to_have_text(re.compile(f"^{pattern}$"))
                await expect(page.locator("#outlook")).to_have_attribute("data-outlook", expected.key)


async def test_only_what_goes_together_can_be_chosen(hub):
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


async def test_what_a_person_may_not_use_is_not_offered(hub):
    async with signed_in(hub, "ada") as (_, page):
        await page.goto(f"{hub.url}/hub/spawn")
        assert await page.locator("#accelerator-t4").count() == 1
        text = await page.content()
        assert "Alveo" not in text
        assert "Medical physics" not in text
        assert "FPGA tools" not in text


async def test_figures_are_refreshed_without_a_reload_and_survive_the_death_of_vkd(hub):
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
async def test_the_form_works_by_keyboard_and_leads_to_jupyterlab(hub):
    await vkd_answers(hub)
    async with signed_in(hub, "ada") as (_, page):
        await page.goto(f"{hub.url}/hub/spawn")
        await page.focus("#accelerator-none")
        await page.keyboard.press("ArrowDown")
        await expect(page.locator("#accelerator-t4")).to_be_checked()
        await expect(page.locator("#outlook")).to_have_text("Starts now on a free NVIDIA T4.")
        for _ in range(12):
            await page.keyboard.press("Tab")
            if await page.evaluate("document.activeElement.id") == "start":
                break
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/user/ada/lab**", timeout=60_000)
    await hub.end_session("ada")


@pytest.mark.timeout(240)
async def test_without_javascript_the_form_starts_a_session_and_a_refusal_is_shown(hub):
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
async def test_a_session_that_waits_says_so_can_be_left_and_can_be_stopped(hub):
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
        assert (await hub.server("ada"))["pending"] == "spawn", "it goes on"
        await page.goto(f"{hub.url}/hub/spawn-pending/ada")
        await page.click("#stop-server-btn")
        await page.wait_for_url("**/hub/spawn/ada")
    assert (await hub.server("cleo"))["ready"], "somebody else's session was not stopped"
    await hub.end_session("cleo")


@pytest.mark.timeout(240)
async def test_a_session_gets_its_device_when_another_ends(hub):
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
