"""Apps behind the hub in a real browser: a card in the launcher, the app's page, and its end with the session."""

from __future__ import annotations

import json
import re
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml
from playwright.sync_api import Page, expect

from tests.ui import steps
from tests.ui.demo import ROOT, Demo, wait_for

ICON = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 4 4"><path d="M0 0h4v4z"/></svg>'


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("apps")
    platform = yaml.safe_load((ROOT / "platform.yaml").read_text())
    command = [sys.executable, str(ROOT / "tests/app_on_socket.py"), "{unix_socket}"]
    platform["apps"]["hello"] = {"title": "Hello", "command": command, "icon": ICON}
    platform["apps"]["inside"] = {"title": "Inside", "command": command, "new_tab": False}
    platform["apps"]["broken"] = {"title": "Broken", "command": [*command, "--refuse"]}
    platform["apps"]["absent"] = {"title": "Absent", "command": ["no-such-program", "{unix_socket}"]}
    (folder / "platform.yaml").write_text(yaml.safe_dump(platform, sort_keys=False))
    running = Demo(folder / "data", platform=folder / "platform.yaml")
    yield running
    assert running.stop() == 0
    assert running.marked_processes() == []


def test_a_card_opens_an_app_that_ends_with_the_session(demo: Demo, page: Page) -> None:
    steps.sign_in(page, demo, "ada")
    steps.start(page)
    page.goto(f"{steps.server_url(page)}lab?reset")
    steps.in_lab(page)
    launcher = page.locator(".jp-Launcher").first
    card = launcher.locator(".jp-LauncherCard", has_text=re.compile(r"^\s*Hello"))
    expect(card).to_be_visible(timeout=steps.START_SECONDS)
    image = card.locator("img")
    expect(image).to_be_visible()
    assert image.evaluate("async image => { await image.decode(); return image.naturalWidth > 0; }")
    expect(launcher.locator(".jp-LauncherCard", has_text="TensorBoard")).to_be_visible()
    expect(launcher.locator(".jp-LauncherCard", has_text="Absent")).to_have_count(0)

    with page.context.expect_page() as opened:
        card.click()
    app = opened.value
    expect(app.get_by_role("heading", name="Hello from the app")).to_be_visible(timeout=steps.START_SECONDS)
    assert app.url == f"{demo.url}user/ada/apps/hello/"
    # Its own requests and its websocket need no token of Jupyter's.
    expect(app.locator("#posted")).to_have_text("got a word")
    expect(app.locator("#echoed")).to_have_text("echo hello")
    told = app.evaluate("() => fetch('told').then(answer => answer.json())")
    assert "jupyterhub" not in json.dumps(told["headers"].get("Cookie", ""))
    assert "jupyterhub-user-ada" in {each["name"] for each in page.context.cookies()}

    process = psutil.Process(told["pid"])
    server = next(each for each in process.parents() if "aiinfn_lab.singleuser" in " ".join(each.cmdline()))
    assert process.uids() == server.uids()
    socket = Path(process.cmdline()[2])
    assert stat.S_IMODE(socket.stat().st_mode) == 0o600
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    assert socket.is_relative_to(server.environ()["XDG_RUNTIME_DIR"])
    assert socket.stat().st_uid == process.uids().real

    # Without the session's cookies nobody gets to it, and a port of the machine nobody gets to.
    with page.context.browser.new_context() as stranger:
        answer = stranger.request.get(f"{demo.url}user/ada/apps/hello/told", max_redirects=0)
        assert answer.status == 302
        assert "oauth_login" in answer.headers["location"] or "/hub/" in answer.headers["location"]
    assert page.request.get(f"{demo.url}user/ada/proxy/{demo.url.rpartition(':')[2]}").status == 403

    # An open page that polls is no use of the session.
    def last_use() -> str:
        return str(page.request.get(f"{demo.url}user/ada/api/status").json()["last_activity"])

    page.goto("about:blank")
    before = last_use()
    for _ in range(2):
        with app.expect_response(re.compile("/apps/hello/told")):
            pass
    assert last_use() == before
    app.reload()
    expect(app.locator("#posted")).to_have_text("got a word")
    assert last_use() > before

    page.goto(f"{demo.url}hub/home")
    steps.end_session(page, demo, "ada")
    wait_for(
        "the app has ended", lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    )
    assert not socket.parent.exists()


def test_an_app_opens_inside_jupyterlab_and_a_broken_one_says_why(demo: Demo, page: Page) -> None:
    steps.sign_in(page, demo, "carla")
    steps.start(page)
    page.goto(f"{steps.server_url(page)}lab?reset")
    steps.in_lab(page)
    page.locator(".jp-LauncherCard", has_text="Inside").first.click()
    frame = page.frame_locator(".jp-ServerProxy iframe")
    expect(frame.get_by_role("heading", name="Hello from the app")).to_be_visible(timeout=steps.START_SECONDS)
    expect(frame.locator("#posted")).to_have_text("got a word")

    page.goto(f"{steps.server_url(page)}apps/broken/")
    expect(page.get_by_role("heading", name="Broken")).to_be_visible()
    expect(page.locator("body")).to_contain_text("Broken ended at its start (status 7).")
    expect(page.locator("pre")).to_have_text("no <licence> found")

    # TensorBoard itself, with what a job would have written.
    page.goto(f"{demo.url}user/carla/apps/tensorboard/")
    expect(page.locator("body")).to_contain_text(
        re.compile("No dashboards are active|TensorBoard"), timeout=steps.START_SECONDS
    )
    listed = page.request.get(f"{demo.url}user/carla/apps/tensorboard/data/plugins_listing")
    assert listed.ok
    assert "scalars" in listed.json()
    board = next(
        each
        for each in psutil.process_iter(["cmdline", "cwd"])
        # A process that has ended, or that this account may not look at, has None there.
        if "aiinfn_lab.apps.tensorboard" in (each.info["cmdline"] or ())
        and str(demo.data) in (each.info["cwd"] or "")
    )
    for each in (board, *board.children(recursive=True)):
        assert [one for one in each.net_connections("inet") if one.status == psutil.CONN_LISTEN] == []
    page.goto(f"{demo.url}hub/home")
    steps.end_session(page, demo, "carla")
