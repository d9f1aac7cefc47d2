"""The hub's pages and answers in the language of who asks: its handlers, its templates, and the way to choose.

JupyterHub knows one language. Each of its requests passes `BaseHandler.prepare`, whichever handler serves it, also the one
for addresses that do not exist; so the language is set there, once, in front of everything that can refuse.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, Final
from urllib.parse import urlsplit

from jinja2 import Environment
from jinja2.ext import InternationalizationExtension
from jupyterhub.handlers import BaseHandler
from jupyterhub.utils import url_path_join
from markupsafe import Markup, escape
from tornado.web import HTTPError

from aiinfn_hub.contract.languages import LANGUAGES, preferred
from aiinfn_hub.i18n import language
from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.i18n.language import marked, ngettext

from . import request_checks
from .request_checks import leads_astray

PATH: Final = "/language"
KEPT_DAYS: Final = 365
"""How long a browser keeps the choice of a language."""

_OPTION: Final = re.compile(r'<option(?P<rest>[^>]*?)value="(?P<value>\d*)"[^>]*>(?P<label>[^<]*)</option>')
SCOPES: Final = (
    marked("Identify the owner of the requesting entity."),
    marked("Access user servers via API or browser."),
    marked("Access services via API or browser."),
)
"""What pages of JupyterHub say of those of its scopes that people are asked to allow."""

_STARTED_NOT: Final = marked(
    "The session did not start. Try again; if it stays, tell the operators of the platform."
)
_OURS: Final = tuple(
    (re.compile(pattern), sentence)
    for pattern, sentence in (
        (
            r"User .+ already has server (?P<name>.+)",
            marked("There is a session {name} already. Choose another name."),
        ),
        (
            r"User .+ already has the maximum of (?P<most>\d+) named servers",
            marked(
                "There are {most} sessions beside the main one already, the most there may be. Remove one first."
            ),
        ),
        (r".+ is already running$", marked("It runs already.")),
        (r".+ is pending \w+$", marked("It is just starting or stopping. Try again in a moment.")),
        (r"No such user:? (?P<name>.*)", marked("There is nobody called {name} here.")),
        (
            r".+ has no (?:such server|server named) '?(?P<name>[^']*)'?$",
            marked("There is no session {name}."),
        ),
        (r"auth has expired for ", marked("Your sign-in is not good any more. Sign in again.")),
        (
            r"No access to resources or resources not found",
            marked("It does not exist, or you have no access to it."),
        ),
        (r"Action is not authorized with current scopes", marked("You are not allowed to do that.")),
        (
            r"'_xsrf' argument missing|XSRF cookie",
            marked(
                "The page that sent this is too old, or another page sent it. Load it again, then try once more."
            ),
        ),
        (r"Spawner failed to start|Unhandled error starting server", _STARTED_NOT),
        (
            r"Too many users trying to log in right now|Active user limit exceeded",
            marked("Too many sessions are starting right now. Try again in a minute."),
        ),
    )
)
"""What JupyterHub tells people in its own terms, and how we say it."""

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
            "languages": LANGUAGES,
            "page_address": _address.get,
        }
        environment.filters["token_times"] = token_times


def token_times(options: str) -> Markup:
    """Put JupyterHub's choices of how long a token is good for into words of the language: it makes them in Python."""
    words = {
        "3600": _("1 hour"),
        "86400": _("1 day"),
        "604800": _("1 week"),
        "2592000": _("1 month"),
        "31536000": _("1 year"),
    }

    def option(found: re.Match[str]) -> str:
        label = words.get(found["value"])
        if label is None:
            longest = re.search(r"(\d+) (hours|days)", found["label"])
            if longest is None:
                label = _("ever, until it is revoked")
            else:
                number = int(longest[1])
                hours = ngettext("{number} hour, the most", "{number} hours, the most", number)
                days = ngettext("{number} day, the most", "{number} days, the most", number)
                label = (hours if longest[2] == "hours" else days).format(number=number)
        selected = " selected" if "selected" in found["rest"] else ""
        return f'<option value="{found["value"]}"{selected}>{escape(label)}</option>'

    return Markup(_OPTION.sub(option, options))  # noqa: S704 - of JupyterHub, and escaped above


def ours(message: str) -> str | None:
    """Return one of JupyterHub's own sentences in our words and the language of the request; None if we have none for it."""
    for pattern, sentence in _OURS:
        if found := pattern.match(message):
            return _(sentence).format_map(found.groupdict())
    return None


class LanguageHandler(BaseHandler):
    """``POST /hub/language``: keep somebody's choice in this browser, signed in or not."""

    def post(self) -> None:
        """Set the cookie and go back to the page."""
        chosen = self.get_body_argument("language", "")
        if chosen not in LANGUAGES:
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
        """Return an address of this hub, whatever was sent."""
        home: str = url_path_join(self.hub.base_url, "home")
        parts = urlsplit(address)
        inside = not parts.scheme and not parts.netloc and address.startswith(self.hub.base_url)
        return address if inside and not leads_astray(address) else home


def configure_pages(c: Any, *folders: str) -> None:
    """Give JupyterHub our templates, and each request a language.

    Parameters
    ----------
    folders
        Of templates, the first before the second.
    """
    c.JupyterHub.template_paths = list(folders)
    c.JupyterHub.jinja_environment_options = {"extensions": [Translated]}
    speak_as_asked()
    request_checks.install(c)


def routes() -> list[tuple[Any, ...]]:
    """Return the handlers, for ``JupyterHub.extra_handlers``."""
    return [(PATH, LanguageHandler)]


def speak_as_asked() -> None:
    """Have every handler of the hub speak the language of its request.

    What is set holds for the task that serves the request, and for what this task begins, such as the start of a session.
    Its errors pass `send_error`, on their way to a page or to an answer in JSON.
    """
    before: Callable[[BaseHandler], Awaitable[None]] = BaseHandler.prepare
    if hasattr(before, "__wrapped__"):
        return

    @functools.wraps(before)
    async def prepare(self: BaseHandler) -> None:
        headers = self.request.headers
        language.use(preferred(headers.get("Accept-Language", ""), self.get_cookie(language.COOKIE)))
        # The way back from IAM can be gone once only, and its address holds a code.
        back = self.request.path.endswith("/oauth_callback")
        _address.set(url_path_join(self.hub.base_url, "login") if back else self.request.uri or "")
        await before(self)

    send = BaseHandler.send_error

    @functools.wraps(send)
    def send_error(self: BaseHandler, status_code: int = 500, **kwargs: Any) -> None:
        error = (kwargs.get("exc_info") or (None, None))[1]
        if isinstance(error, HTTPError) and not hasattr(error, "jupyterhub_message"):
            told = ours(error.get_message() or "")
            if told is not None:
                vars(error)["jupyterhub_message"] = told
        send(self, status_code, **kwargs)

    BaseHandler.prepare, BaseHandler.send_error = prepare, send_error
