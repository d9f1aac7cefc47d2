"""Pictures of the form for six kinds of people at the two example sites: ``python -m tests.ui.form_pictures``.

They are for people to look at, in ``tests/ui/pictures``: light and dark, 1280 and 400 px wide. The hub is a real one; only
what is free is made up, because there is no cluster behind it.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, Route

from aiinfn_hub.platform.loading.loader import load
from aiinfn_hub.platform.model.platform import Platform
from tests.hub.realhub import ROOT, RealHub, real_hub
from tests.ui.conftest import PICTURES, chromium

PEOPLE = {
    "ada": ["ai-infn/flavour", "ai-infn/a100", "ai-infn/production", "ai-infn/detector-data"],
    "bruno": ["ai-infn/flavour", "ai-infn/medphys", "ai-infn/large-memory"],
    "carla": ["ai-infn/medphys/managers"],
    "sam": ["ai-infn/training"],
    "gina": ["other/flavour"],
    "dora": ["ai-infn/operators"],
}
"""The kinds of people of the tests of ``aiinfn-hub explain``: member, of two projects, manager, student, guest, operator."""
LOOKS = [(theme, width) for theme in ("light", "dark") for width in (1280, 400)]


def figures(platform: Platform) -> dict[str, Any]:
    """Make up what is free: something of everything that the form can say."""
    found = []
    for place, (name, device) in enumerate(platform.accelerators.items()):
        total = device.devices or 4
        free, sessions = ((total, 0), (0, total), (1, max(0, total - 2)), (0, max(0, total - 1)))[place % 4]
        entry = {
            "accelerator": name,
            "total": total,
            "free": min(free, total),
            "sessions": sessions,
            "batch": max(0, total - min(free, total) - sessions),
            "offline": 0,
            "queued": 0,
            "waiting_sessions": 0,
        }
        if not entry["free"] and not entry["batch"]:
            entry["next_session_end"] = (datetime.now(UTC) + timedelta(minutes=40)).isoformat()
        found.append(entry)
    return {"accelerators": found, "read_at": datetime.now(UTC).isoformat(), "age": 0.3}


def answer_with(body: dict[str, Any], route: Route) -> None:
    """Answer for vkd."""
    route.fulfill(body=json.dumps(body))


def sign_in(context: BrowserContext, hub: RealHub, name: str) -> Page:
    """Sign somebody in, past the page that leads to IAM."""
    login = f"{hub.url}/hub/login"
    context.request.get(login)
    xsrf = next(one["value"] for one in context.cookies(login) if one["name"] == "_xsrf")
    form = {"username": name, "password": hub.settings["password"], "_xsrf": xsrf}
    answer = context.request.post(login, form=form, max_redirects=0)
    assert answer.status == 302, answer.text()
    return context.new_page()


def main(sites: list[str]) -> int:
    """Take the pictures; give 1 if axe finds something serious or a page scrolls sideways."""
    PICTURES.mkdir(exist_ok=True)
    wrong = []
    for site in sites or ["cnaf", "recas"]:
        path = ROOT / "examples/platforms" / f"{site}.yaml"
        platform = load(path)
        with real_hub(vkd=False, people=PEOPLE, platform=str(path)) as hub, chromium() as browser:
            for name in PEOPLE:
                for theme, width in LOOKS:
                    context = browser.new_context(
                        viewport={"width": width, "height": 900},
                        color_scheme=theme,  # type: ignore[arg-type]
                        reduced_motion="reduce",
                    )
                    page = sign_in(context, hub, name)
                    page.route("**/availability*", partial(answer_with, figures(platform)))
                    page.goto(f"{hub.url}/hub/spawn")
                    if page.locator("#age").count():
                        page.wait_for_function("document.querySelector('.af-figures b')", timeout=10_000)
                        page.locator("input[name=accelerator]").nth(1).check()
                    if page.locator("#missing").count():
                        page.locator("#missing summary").click()
                        page.mouse.move(0, 0)
                    target = PICTURES / f"form-{site}-{name}-{theme}-{width}.png"
                    page.screenshot(path=target, full_page=True)
                    wrong += [f"{target.name}: {each}" for each in faults(page)]
                    context.close()
                print(f"{site}: {name}", flush=True)
    print("\n".join(wrong) or f"Nothing serious; the pictures are in {PICTURES.relative_to(Path.cwd())}.")
    return int(bool(wrong))


def faults(page: Page) -> list[str]:
    """Give what axe finds, and whether the page scrolls sideways."""
    found = [
        f"{violation['id']}: {node['html'][:120]}"
        for violation in Axe().run(page).response["violations"]
        if violation["impact"] in {"serious", "critical"}
        for node in violation["nodes"]
    ]
    if not page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"):
        found.append("it scrolls sideways")
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
