"""What stands between a browser and an app: jupyter-server-proxy, with what a shared machine and a shared origin ask for."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from http import HTTPStatus
from typing import Any, Final

from jupyter_server.base.handlers import JupyterHandler
from jupyter_server_proxy.config import ServerProcess
from jupyter_server_proxy.handlers import NamedLocalProxyHandler
from tornado import web
from tornado.httpclient import HTTPClientError
from tornado.httputil import HTTPHeaders

from aiinfn_hub.contract.languages import preferred
from aiinfn_lab.i18n.language import gettext as _
from aiinfn_lab.i18n.language import marked, speaking
from aiinfn_lab.i18n.messages import Message

from .page import page
from .process import AppProcess, AppStartError

PREFIX: Final = "apps/"
"""Of the addresses of apps, below the server's base URL: their names meet none of Jupyter's own."""
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_CREDENTIALS: Final = ("jupyterhub-", "username-")
"""How the cookies begin with which Jupyter knows a person."""
_PORTS: Final = marked(
    "Ports cannot be reached through this JupyterLab, because other people of this machine may listen on them. "
    "Ask the operators of the platform to offer the program as an app."
)
_LOG_AGAIN: Final = marked("Load this page again to start it again. What it printed is in {log}.")
_LOG: Final = marked("Load this page again. What it printed is in {log}.")


class AppHandler(NamedLocalProxyHandler):
    """Passes requests and websockets of one app on to its socket."""

    process: AppProcess

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.proxy_base = PREFIX + self.process.app.name
        self.absolute_url = self.process.app.absolute_url
        self.update_last_activity = counts_as_use

    def initialize(self, process: AppProcess) -> None:
        """Take the app."""
        self.process = process

    @property
    def unix_socket(self) -> str:
        """Where the app listens."""
        return str(self.process.socket)

    async def prepare(self, *args: Any, **kwargs: Any) -> None:
        """Refuse who is not signed in, and what another site's page sends.

        An app does not know Jupyter's XSRF token, so jupyter-server-proxy asks for none.
        """
        # Not jupyter-server-proxy's own: it goes on after Jupyter has sent somebody to the sign-in page.
        await JupyterHandler.prepare(self)
        if self._finished:
            return
        if not self.current_user:
            if self.request.method not in _SAFE or self.request.headers.get("Upgrade"):
                raise web.HTTPError(HTTPStatus.FORBIDDEN)
            web.authenticated(lambda _handler: None)(self)
        elif not self._is_from_here():
            self._say(HTTPStatus.FORBIDDEN, Message("app.other_page"))

    def _is_from_here(self) -> bool:
        if self.request.method in _SAFE or getattr(self, "token_authenticated", False):
            return True
        headers = self.request.headers
        if headers.get("Sec-Fetch-Site", "none") not in {"same-origin", "none"} or not self.check_origin():
            return False
        return "Origin" in headers or "Sec-Fetch-Site" in headers or bool(self.check_referer())

    async def proxy(self, port: int, path: str) -> None:
        """Start the app if it does not run, and pass the request on."""
        if not await self._is_up():
            return
        try:
            await super().proxy(port, path)
        except (web.HTTPError, HTTPClientError, OSError) as error:
            # So the proxy says that nobody answered; an app's own errors are passed on as they are.
            if isinstance(error, web.HTTPError) and error.status_code not in {500, 599}:
                raise
            self.log.warning("The app %s: %s", self.process.app.name, error)
            await self.process.settle()
            self._say(HTTPStatus.BAD_GATEWAY, Message("app.no_answer", title=self.process.app.title), _LOG)

    async def open(self, path: str) -> None:
        """Pass a websocket on."""
        try:
            await self.process.ensure()
            await super().open(path)
        except (AppStartError, OSError, web.HTTPError) as error:
            self.log.warning("The app %s: %s", self.process.app.name, error)
            with _speaking_as(self):
                self.close(1011, _("The app does not answer."))

    async def _is_up(self) -> bool:
        try:
            await self.process.ensure()
        except AppStartError as error:
            self._say(HTTPStatus.SERVICE_UNAVAILABLE, error.message, _LOG_AGAIN, error.lines)
            return False
        return True

    def _say(self, status: HTTPStatus, message: Message, hint: str = "", lines: str = "") -> None:
        """Answer in words: with a page to people, with JSON to programs."""
        log = f"~/{self.process.output.relative_to(self.process.home)}"
        self.set_status(status)
        self.set_header("Cache-Control", "no-store")
        with _speaking_as(self):
            said, advice = str(message), _(hint).format(log=log)
            if "text/html" in self.request.headers.get("Accept", ""):
                self.set_header("Content-Type", "text/html; charset=utf-8")
                label = _("The last lines that it printed:")
                self.finish(page(self.process.app.title, said, advice, label=label, lines=lines))
                return
        self.set_header("Content-Type", "application/json")
        facts = message.plain_facts()
        self.finish(json.dumps({"message": said, "hint": advice, "code": message.code, "facts": facts}))

    def proxy_request_headers(self) -> HTTPHeaders:
        """Return the request's headers without what Jupyter knows the person by: no app needs it, and apps write logs."""
        headers: HTTPHeaders = super().proxy_request_headers()
        headers.pop("Authorization", None)
        if cookies := headers.get("Cookie"):
            kept = [each for each in cookies.split(";") if not each.strip().startswith(_CREDENTIALS)]
            headers["Cookie"] = ";".join(kept).strip()
        return headers


def _speaking_as(handler: JupyterHandler) -> AbstractContextManager[None]:
    """Speak the language of whoever asks."""
    return speaking(preferred(handler.request.headers.get("Accept-Language", "")))


def counts_as_use(handler: AppHandler) -> bool:
    """Return whether a request keeps an idle session alive: opening a page does, what the page asks by itself does not.

    Browsers tell what a person did from what a page did by itself only over HTTPS and on loopback; elsewhere any page counts.
    """
    if handler.process.app.keeps_session:
        return True
    headers = handler.request.headers
    if handler.request.method != "GET" or headers.get("Upgrade"):
        return False
    if mode := headers.get("Sec-Fetch-Mode"):
        return bool(mode == "navigate" and headers.get("Sec-Fetch-User") == "?1")
    return "text/html" in headers.get("Accept", "")


class ClosedPortHandler(JupyterHandler):
    """Stands where jupyter-server-proxy would reach any port of the machine."""

    async def prepare(self) -> None:  # type: ignore[override]
        """Refuse everything, in words."""
        await super().prepare()
        if not self._finished:
            with _speaking_as(self):
                raise web.HTTPError(HTTPStatus.FORBIDDEN, _(_PORTS))

    def check_xsrf_cookie(self) -> None:
        """Accept any: everything is refused."""


class AppServer(ServerProcess):
    """jupyter-server-proxy's description of an app, from which its launcher card is made."""

    def __init__(self, process: AppProcess, icon: str) -> None:
        # JupyterLab shows images in this category only, and elsewhere a blank.
        entry = {"title": process.app.title, "icon_path": icon, "category": "Notebook"}
        super().__init__(
            name=PREFIX + process.app.name, launcher_entry=entry, new_browser_tab=process.app.new_tab
        )
        self.app_process = process

    def make_proxy_handler(self) -> tuple[type, dict[str, Any]]:
        """Return our own handler."""
        return AppHandler, {"process": self.app_process}
