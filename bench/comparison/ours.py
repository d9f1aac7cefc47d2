"""This suite: the demonstration as a newcomer starts it, and a session of one account."""

from __future__ import annotations

import contextlib
import re
from datetime import datetime
from pathlib import Path

import psutil
from playwright.sync_api import Browser, Locator, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from bench.comparison.person import Person
from bench.comparison.system import PATIENCE, VIEW, System, Times
from tests.ui import steps
from tests.ui.demo import Demo

ACCOUNT = "ada"
_START = 120_000
"""Milliseconds after which the hub has given up a session that does not start."""
# Not the dry run; JupyterLab puts a number behind an address that is not to be kept.
_SUBMISSION = re.compile(r"/aiinfn-lab/jobs(\?\d+)?$")


class Ours(System):
    """Hub, vkd and a session, and a person before it."""

    name = "aiinfn"
    own = re.compile(r"/lab/extensions/@aiinfn/|/aiinfn-lab/")
    api = "/aiinfn-lab/"

    def __init__(self, data: Path, browser: Browser) -> None:
        self.demo = Demo(data, PATIENCE / 1000)
        self.page = browser.new_context(viewport=VIEW).new_page()
        self.page.set_default_timeout(PATIENCE)
        self._begin()
        self.base = steps.server_url(self.page)

    def _begin(self) -> None:
        """Start the session; on a busy machine the hub may give up waiting for it, so once more."""
        steps.sign_in(self.page, self.demo, ACCOUNT)
        for last in (False, False, True):
            self.page.goto(f"{self.demo.url}hub/spawn")
            steps.choose(self.page, "none")
            self.page.locator("#start").click()
            try:
                self.page.wait_for_url(re.compile(r"/user/[^/]+/.*lab"), timeout=_START)
            except PlaywrightTimeout:
                if last:
                    raise
            else:
                return

    def stop(self) -> None:
        """Press Ctrl-C in the demonstration."""
        self.page.context.close()
        self.demo.stop()

    def open_form(self, person: Person) -> None:
        """Press *Submit as batch* in the notebook's toolbar; a dialog appears."""
        person.click(self.shown_output().locator("[data-command='aiinfn:submit']"))
        dialog = self.page.get_by_role("dialog", name=re.compile("as batch"))
        expect(dialog.locator(".aiinfn-Submit-button")).to_be_enabled()

    def set_parameter(self, person: Person, name: str, value: str) -> None:
        """Write over the value that the form took from the notebook's tagged cell."""
        person.click(self.page.get_by_role("dialog").get_by_label(name, exact=True))
        person.press("Control+A")
        person.type(value)

    def send_form(self, person: Person) -> str:
        """Press *Submit*; the dialog closes."""
        with self.page.expect_response(
            lambda answer: answer.request.method == "POST" and bool(_SUBMISSION.search(answer.url))
        ) as answer:
            person.click(self.page.get_by_role("dialog").get_by_role("button", name="Submit", exact=True))
        assert answer.value.ok, answer.value.text()
        return str(answer.value.json()["id"])

    def wait_over(self, job: str) -> None:
        """Wait for the notification: the page tells its user."""
        self._told().wait_for(timeout=PATIENCE)

    def open_output(self, person: Person, job: str) -> None:
        """Press *Open output* in the notification."""
        person.click(self._told())

    def open_list(self) -> None:
        """Open the jobs panel."""
        steps.open_jobs(self.page)

    def times(self, job: str) -> Times:
        """Ask for the job."""
        found = self.ask(f"aiinfn-lab/jobs/{job}")
        moments = (found[name] for name in ("created", "started", "ended"))
        return Times(*(datetime.fromisoformat(moment).timestamp() for moment in moments))

    def is_running(self, job: str) -> bool:
        """Ask for the job."""
        return bool(self.ask(f"aiinfn-lab/jobs/{job}")["state"] == "running")

    def roots(self) -> list[psutil.Process]:
        """Return the session's Jupyter server, and vkd, under which the jobs run."""
        return [self._session(), self._vkd()]

    def shared(self) -> list[psutil.Process]:
        """Return what serves everybody beside vkd: the hub and its proxy."""
        everything = psutil.Process(self.demo.process.pid).children(recursive=True)
        session, vkd = self._session(), self._vkd()
        own = {session, vkd, *session.children(recursive=True), *vkd.children(recursive=True)}
        words = ("jupyterhub", "configurable-http-proxy")
        return [
            one
            for one in everything
            if one not in own and any(word in " ".join(one.cmdline()) for word in words)
        ]

    def list_address(self) -> str:
        """Return what its panel asks first."""
        return "aiinfn-lab/jobs?limit=25"

    def _told(self) -> Locator:
        return self.page.locator(".Toastify__toast").get_by_role("button", name="Open output")

    def _vkd(self) -> psutil.Process:
        found = self.demo.vkd_process()
        assert found
        return found

    def _session(self) -> psutil.Process:
        for process in psutil.Process(self.demo.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if process.environ().get("JUPYTERHUB_USER") == ACCOUNT:
                    return process
        raise AssertionError("no session")
