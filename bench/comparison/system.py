"""What a scenario asks of either system."""

from __future__ import annotations

import json
import re
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import psutil
from playwright.sync_api import Locator, Page, Response, ViewportSize

from bench.comparison.person import Person

SHOWN = ".jp-NotebookPanel:not(.lm-mod-hidden)"
FOLDER = "examples"
PATIENCE: Final = 300_000
"""Milliseconds that anything may take on a busy machine; only failures wait this long."""
VIEW: Final[ViewportSize] = {"width": 1280, "height": 900}


@dataclass(frozen=True)
class Times:
    """Moments of a job as its system recorded them, in seconds of the epoch."""

    created: float
    started: float
    ended: float


class System(ABC):
    """One system under comparison, with a page of JupyterLab.

    Attributes
    ----------
    name
        As it is called in the tables.
    own
        What the addresses of its own files and requests have in common.
    api
        What the addresses of requests to its server half have in common.
    base
        JupyterLab's base URL, ending in a slash.
    """

    name: ClassVar[str]
    own: ClassVar[re.Pattern[str]]
    api: ClassVar[str]
    base: str
    page: Page

    # Getting there: the same in both, and not counted.

    def open_lab(self) -> None:
        """Load JupyterLab with its layout forgotten."""
        self.page.goto(f"{self.base}lab?reset")
        self.page.wait_for_selector("#jupyterlab-splash", state="detached", timeout=PATIENCE)
        self.page.wait_for_selector(".jp-DirListing-item", timeout=PATIENCE)

    def open_notebook(self, name: str) -> None:
        """Open a notebook by double clicks in the file browser, as a person does, and wait for its kernel."""
        self.open_lab()
        items = self.page.locator(".jp-DirListing-item")
        items.filter(has_text=re.compile(f"^{FOLDER}")).dblclick()
        items.filter(has_text=re.compile("^" + re.escape(name))).dblclick()
        panel = self.page.locator(SHOWN)
        panel.wait_for(timeout=PATIENCE)
        panel.locator("[data-status='idle']").first.wait_for(timeout=PATIENCE)

    def leave(self) -> None:
        """Close the page and shut down the kernels of what was opened."""
        for session in self.ask("api/sessions"):
            self.send("DELETE", f"api/sessions/{session['id']}")
        self.page.goto("about:blank")

    def prepare(self) -> None:
        """Answer JupyterLab's question about news, which would lie over the page: nothing is asked of the internet."""
        self.open_lab()
        answer = {
            "raw": json.dumps({"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": False})
        }
        self.send("PUT", "lab/api/settings/@jupyterlab/apputils-extension:notification", answer)

    def write(self, name: str, notebook: dict[str, Any]) -> None:
        """Write a notebook into the folder."""
        body = {"type": "notebook", "format": "json", "content": notebook}
        self.send("PUT", f"api/contents/{FOLDER}/{name}", body)

    def ask(self, path: str) -> Any:
        """Ask the Jupyter server with the page's cookies."""
        answer = self.page.request.get(self.base + path)
        assert answer.ok, answer.text()
        return answer.json()

    def send(self, method: str, path: str, body: Any = None) -> None:
        """Send something to the Jupyter server with the page's cookies."""
        cookies = self.page.context.cookies(self.base)
        found = [one for one in cookies if one["name"] == "_xsrf"]
        xsrf = max(found, key=lambda one: len(one["path"]))["value"]
        answer = self.page.request.fetch(
            self.base + path,
            method=method,
            data=None if body is None else json.dumps(body),
            headers={"X-XSRFToken": xsrf, "Content-Type": "application/json"},
        )
        assert answer.ok, answer.text()

    # What is compared.

    @abstractmethod
    def open_form(self, person: Person) -> None:
        """Open the form for the notebook that is shown, and wait until it can be sent."""

    @abstractmethod
    def set_parameter(self, person: Person, name: str, value: str) -> None:
        """Return one parameter a value in the form."""

    @abstractmethod
    def send_form(self, person: Person) -> str:
        """Send the form; gives the job's id when the server accepted it."""

    @abstractmethod
    def wait_over(self, job: str) -> None:
        """Wait until the job is over, as its user learns it: by being told, or by knowing when to look."""

    @abstractmethod
    def open_output(self, person: Person, job: str) -> None:
        """Open the executed notebook of a job that is over."""

    @abstractmethod
    def open_list(self) -> None:
        """Show the list of jobs, and wait for its first row."""

    @abstractmethod
    def times(self, job: str) -> Times:
        """Return when a job that is over was created, started and ended."""

    @abstractmethod
    def is_running(self, job: str) -> bool:
        """Return whether a job runs now, without the page."""

    @abstractmethod
    def roots(self) -> list[psutil.Process]:
        """Return the server processes that a job needs, without what they start."""

    @abstractmethod
    def list_address(self) -> str:
        """Return the request by which the page lists jobs, relative to the base URL."""

    @abstractmethod
    def stop(self) -> None:
        """Stop what runs."""

    def shown_output(self) -> Locator:
        """Return the notebook in front."""
        return self.page.locator(SHOWN)

    def traffic(self, seconds: float) -> int:
        """Count the requests to the system's server half while the page is left alone."""
        count = 0

        def heard(response: Response) -> None:
            nonlocal count
            count += self.api in response.url

        self.page.on("response", heard)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.page.wait_for_timeout(500)
        self.page.remove_listener("response", heard)
        return count
