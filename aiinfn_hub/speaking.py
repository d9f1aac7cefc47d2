"""The hub's pages and answers in the language of who asks: its handlers, its templates, and the way to choose.

JupyterHub knows one language. Each of its requests passes `BaseHandler.prepare`, whichever handler serves it, also the one
for addresses that do not exist; so the language is set there, once, in front of everything that can refuse.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, Final
from urllib.parse import urlsplit

from jinja2 import Environment
from jinja2.ext import InternationalizationExtension
from jupyterhub.handlers import BaseHandler
from jupyterhub.utils import url_path_join
from tornado.web import HTTPError

from aiinfn_hub import language
from aiinfn_hub.language import gettext as _

PATH: Final = "/language"
KEPT_DAYS: Final = 365
"""How long a browser keeps the choice of a language."""

_address: ContextVar[str] = ContextVar("address", default="")
"""The page that is shown, with its query: where people come back to after they chose a language."""


class Translated(InternationalizationExtension):
    """``{% trans %}`` and ``_()`` in templates, in the language of the request."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._install_callables(language.gettext, language.ngettext, newstyle=True)
        environment.policies["ext.i18n.trimmed"] = True
        environment.globals |= {
            "language": language.current,
            "languages": language.LANGUAGES,
            "page_address": _address.get,
        }


class LanguageHandler(BaseHandler):
    """``POST /hub/language``: keep somebody's choice in this browser, signed in or not."""

    def post(self) -> None:
        """Set the cookie and go back to the page."""
        chosen = self.get_body_argument("language", "")
        if chosen not in language.LANGUAGES:
            raise HTTPError(400, _("The pages of this platform are not in that language."))
        # For the whole host: sessions hand it on to what answers for them.
        self.set_cookie(
            language.COOKIE,
            chosen,
            path=self.base_url,
            expires_days=KEPT_DAYS,
            httponly=True,
            samesite="Lax",
            secure=self.request.protocol == "https",
        )
        self.redirect(self._back(self.get_body_argument("next", "")), status=303)

    def _back(self, address: str) -> str:
        """Give an address of this hub, whatever was sent."""
        home: str = url_path_join(self.hub.base_url, "home")
        parts = urlsplit(address)
        inside = not parts.scheme and not parts.netloc and parts.path.startswith(self.hub.base_url)
        return address if inside and address.isprintable() and "\\" not in address else home


def configure_pages(c: Any, *folders: str) -> None:
    """Give JupyterHub our templates, and a language to each request.

    Parameters
    ----------
    folders
        Of templates, the first before the second.
    """
    c.JupyterHub.template_paths = list(folders)
    c.JupyterHub.jinja_environment_options = {"extensions": [Translated]}
    speak_as_asked()


def routes() -> list[tuple[Any, ...]]:
    """Give the handlers, for ``JupyterHub.extra_handlers``."""
    return [(PATH, LanguageHandler)]


def speak_as_asked() -> None:
    """Have every handler of the hub speak the language of its request.

    What is set holds for the task that serves the request, and for what this task begins, such as the start of a session.
    """
    before: Callable[[BaseHandler], Awaitable[None]] = BaseHandler.prepare
    if hasattr(before, "__wrapped__"):
        return

    @functools.wraps(before)
    async def prepare(self: BaseHandler) -> None:
        headers = self.request.headers
        language.use(language.preferred(headers.get("Accept-Language", ""), self.get_cookie(language.COOKIE)))
        _address.set(self.request.uri or "")
        await before(self)

    BaseHandler.prepare = prepare
