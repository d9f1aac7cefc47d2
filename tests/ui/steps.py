"""What a scientist does, step by step, in a real browser."""

from __future__ import annotations

import json
import re
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.ui.demo import Demo, wait_for

START_SECONDS = 90_000
"""Milliseconds that a page may take on a busy machine; only failures wait this long."""


def sign_in(page: Page, demo: Demo, account: str) -> None:
    """Sign in through IAM, end what this account still runs, and open the form."""
    page.goto(f"{demo.url}hub/home")
    page.get_by_role("link", name=re.compile("^Sign in with(?! another)")).click()
    page.locator(f"button.account[value={account}]").click()
    page.wait_for_url(re.compile(r"/hub/home"))
    end_session(page, demo, account)
    page.goto(f"{demo.url}hub/spawn")
    page.wait_for_selector("#aiinfn-form")


def end_session(page: Page, demo: Demo, account: str) -> None:
    """Stop the account's session, if there is one, and wait until it is gone."""
    xsrf = next(c["value"] for c in page.context.cookies() if c["name"] == "_xsrf" and c["path"] == "/hub/")
    headers = {"X-XSRFToken": xsrf, "Referer": f"{demo.url}hub/home"}
    user = f"{demo.url}hub/api/users/{account}"

    def gone() -> bool:
        server = page.request.get(user, headers=headers).json()["servers"].get("", {})
        if server.get("ready"):
            page.request.delete(f"{user}/server", headers=headers)
        return not server

    wait_for(f"the session of {account} is gone", gone, 60, 0.3)


def choose(page: Page, accelerator: str) -> None:
    """Pick an accelerator on the form by its card."""
    page.locator(f"[data-card='{accelerator}']").click()
    expect(page.locator(f"#accelerator-{accelerator}".replace(".", r"\."))).to_be_checked()


def start(page: Page) -> None:
    """Press Start and wait for JupyterLab."""
    page.locator("#start").click()
    in_lab(page)


def start_for(page: Page, demo: Demo, account: str, time_limit: str) -> None:
    """Start a session for a time that is not on the form, as a program would, and wait for JupyterLab."""
    cookies = page.context.cookies()
    xsrf = next(one["value"] for one in cookies if one["name"] == "_xsrf" and one["path"] == "/hub/")
    answer = page.request.post(
        f"{demo.url}hub/api/users/{account}/server",
        data=json.dumps({"time_limit": time_limit}),
        headers={"X-XSRFToken": xsrf, "Content-Type": "application/json"},
    )
    assert answer.status in {201, 202}, answer.text()
    page.goto(f"{demo.url}user/{account}/lab")
    in_lab(page)


def in_lab(page: Page) -> None:
    """Wait until JupyterLab is restored."""
    page.wait_for_url(re.compile(r"/user/[^/]+/.*lab"), timeout=START_SECONDS)
    page.wait_for_selector("#jupyterlab-splash", state="detached", timeout=START_SECONDS)
    page.wait_for_function(
        "() => window.jupyterapp || document.querySelector('.jp-LabShell')", timeout=START_SECONDS
    )


def open_file(page: Page, path: str) -> None:
    """Open a file through the file browser's own command, as a link to it would.

    JupyterLab forgets its layout first: one that it kept while the window was narrow leaves no room for the main area.
    """
    page.goto(re.sub(r"/lab.*", f"/lab/tree/{path}?reset", page.url))
    in_lab(page)
    page.wait_for_selector(f".lm-TabBar-tabLabel:text-is('{path.rpartition('/')[2]}')", timeout=START_SECONDS)


def wear(page: Page, theme: str, path: str) -> None:
    """Change JupyterLab's theme as its settings page does, and load the page anew with a file open."""
    settings = f"{server_url(page)}lab/api/settings/@jupyterlab/apputils-extension:themes"
    answer = page.request.put(
        settings, data=json.dumps({"raw": json.dumps({"theme": theme})}), headers={"X-XSRFToken": xsrf(page)}
    )
    assert answer.ok, answer.text()
    open_file(page, path)
    page.wait_for_selector(f"body[data-jp-theme-name='{theme}']", state="attached", timeout=START_SECONDS)


def open_jobs(page: Page) -> None:
    """Open the jobs panel in the left side bar."""
    shown = page.locator(".aiinfn-Sidebar").locator(".aiinfn-Empty, .aiinfn-Row").first

    def opened() -> bool:
        # JupyterLab restores its side bar some time after it took its splash away, and a click on the tab of a panel
        # that is open closes it: so it is the panel that is looked at.
        if not page.locator(".aiinfn-Sidebar").is_visible():
            page.locator(".jp-SideBar").get_by_role("tab", name=re.compile("Batch jobs")).click()
        return shown.is_visible()

    wait_for("the jobs panel", opened, START_SECONDS / 1000, 1)


def xsrf(page: Page) -> str:
    """Give the XSRF token of the session that the page shows."""
    cookies = page.context.cookies(server_url(page))
    return str(next(one["value"] for one in cookies if one["name"] == "_xsrf" and "/user/" in one["path"]))


def submit(page: Page) -> Locator:
    """Press *Submit as batch* in the notebook's toolbar and give the filled dialog."""
    page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) [data-command='aiinfn:submit']").click()
    dialog = page.get_by_role("dialog", name=re.compile("as batch"))
    expect(dialog.locator(".aiinfn-Verdict")).to_be_visible(timeout=START_SECONDS)
    return dialog


def server_url(page: Page) -> str:
    """Give the base URL of the session that the page shows."""
    found = re.match(r"(https?://[^/]+/user/[^/]+/)", page.url)
    assert found
    return found[1]


def ask(page: Page, path: str, **query: Any) -> Any:
    """Ask the Lab's server extension, as the page itself does, with the page's cookies."""
    answer = page.request.get(f"{server_url(page)}aiinfn-lab/{path}", params=query or None)
    assert answer.ok, answer.text()
    return answer.json()


def post(page: Page, path: str, body: dict[str, Any] | None = None) -> Any:
    """Post to the Lab's server extension with the page's XSRF token."""
    answer = page.request.post(
        f"{server_url(page)}aiinfn-lab/{path}",
        data=json.dumps(body or {}),
        headers={"X-XSRFToken": xsrf(page), "Content-Type": "application/json"},
    )
    assert answer.ok, answer.text()
    return answer.json()


def job(page: Page, job_id: str) -> Any:
    """Give a job as its owner sees it."""
    return ask(page, f"jobs/{job_id}")


def opened(page: Page, job: str) -> Locator:
    """Give the row of a job, opened."""
    row = page.locator(f"[data-job='{job}']")
    head = row.locator(".aiinfn-Row-head")

    def is_open() -> bool:
        if head.get_attribute("aria-expanded") != "true":
            head.click()
        return row.locator(".aiinfn-Details").count() > 0

    wait_for("the row is open", is_open, 20, 0.5)
    return row


def write_notebook(page: Page, path: str, parameters: str, source: str) -> None:
    """Write a notebook with a cell of parameters into the person's home."""
    tagged = {"tags": ["parameters"]}
    notebook = {
        "cells": [
            {
                "cell_type": "code",
                "id": name,
                "metadata": meta,
                "source": text,
                "outputs": [],
                "execution_count": None,
            }
            for name, meta, text in (("values", tagged, parameters), ("work", {}, source))
        ],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    write(page, path, {"type": "notebook", "format": "json", "content": notebook})


def text(content: str) -> dict[str, Any]:
    """Describe a text file for the contents service."""
    return {"type": "file", "format": "text", "content": content}


def write(page: Page, path: str, model: dict[str, Any]) -> None:
    """Write a file through the contents service."""
    answer = page.request.put(
        f"{server_url(page)}api/contents/{path}",
        data=json.dumps(model),
        headers={"X-XSRFToken": xsrf(page), "Content-Type": "application/json"},
    )
    assert answer.ok, answer.text()
