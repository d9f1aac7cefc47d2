"""What all handlers share: who may call, how answers and errors look."""

from __future__ import annotations

import functools
import json
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from typing import Any, Final, TypeVar, cast

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.extension.handler import ExtensionHandlerMixin
from tornado import web

from aiinfn_hub.contract.languages import ENGLISH, preferred
from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_lab.i18n import language
from aiinfn_lab.i18n.language import gettext as _
from aiinfn_lab.paths import Places
from aiinfn_lab.services import SETTING, LabServices
from aiinfn_lab.vkd_client import Throttled, Vkd, zone, zone_of

RESOURCE: Final = "aiinfn-lab"
_LARGEST_BODY: Final = 2**20
_REASONS: Final = {
    400: Reason.INVALID,
    401: Reason.UNAUTHENTICATED,
    403: Reason.FORBIDDEN,
    404: Reason.NOT_FOUND,
    405: Reason.INVALID,
}

Verb = TypeVar("Verb", bound=Callable[..., Awaitable[None]])


def protected(method: Verb) -> Verb:
    """Mark a verb: the caller must be signed in and allowed, and a refusal becomes its answer."""

    @functools.wraps(method)
    async def explained(self: Handler, *args: Any, **kwargs: Any) -> None:
        try:
            await method(self, *args, **kwargs)
        except Refusal as refusal:
            self.refuse(refusal)
        except web.HTTPError:
            raise
        except Exception as error:
            # Not tornado's own way: it logs the whole request, whose address may carry a token.
            self.log.exception("%s %s failed", self.request.method, self.request.path)
            raise web.HTTPError(500, _("The server extension failed.")) from error

    guarded = web.authenticated(authorized(explained))
    guarded.__protected__ = True  # type: ignore[attr-defined]  # for the test that walks all verbs
    return cast("Verb", guarded)


class Handler(ExtensionHandlerMixin, APIHandler):  # type: ignore[misc, unused-ignore]
    """Base of all handlers."""

    auth_resource = RESOURCE
    # Jupyter stamps API requests as activity; an open jobs panel must not keep a session alive for ever.
    _track_activity = False

    @property
    def services(self) -> LabServices:
        """What the extension made for all requests."""
        services: LabServices = self.settings[SETTING]
        return services

    @property
    def vkd(self) -> Vkd:
        """The one client of vkd."""
        return self.services.vkd

    @property
    def places(self) -> Places:
        """The server's root and the home."""
        return self.services.places

    async def prepare(self) -> None:  # type: ignore[override]
        """Let what people do count as activity, but not what a page does by itself; have vkd speak their language and tell times in their zone."""
        self._speak()
        await super().prepare()
        zone.set(zone_of(self.request.headers.get("Prefer", "")))
        self._track_activity = self.request.method in {"POST", "PATCH", "DELETE"}

    def _speak(self) -> None:
        """Speak the language of the request, which is the one that is chosen in JupyterLab; on the hub's pages another may be."""
        language.use(preferred(self.request.headers.get("Accept-Language", "")))

    def answer(
        self,
        content: Any,
        *,
        status: int = HTTPStatus.OK,
        headers: Iterable[tuple[str, str]] = (),
        cache: bool = False,
    ) -> None:
        """Send JSON."""
        self.set_status(status)
        if not cache:
            self.set_header("Cache-Control", "no-store")
        for name, value in headers:
            self.set_header(name, value)
        self.finish(json.dumps(content))

    def refuse(self, refusal: Refusal) -> None:
        """Send a `Problem`."""
        if isinstance(refusal, Throttled):
            self.set_header("Retry-After", refusal.retry_after)
        self.answer(problem(refusal), status=refusal.status)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Return also the errors of Jupyter and tornado the form of a `Problem`."""
        self._speak()  # what fails before `prepare` too
        error = kwargs.get("exc_info", (None, None, None))[1]
        # Jupyter and tornado speak English only.
        english = language.current() == ENGLISH and isinstance(error, web.HTTPError)
        theirs = error.log_message if english else None
        if status_code in {401, 403} and self.current_user is None:
            message, hint = _("You are not signed in to this server."), _("Sign in again.")
        elif status_code == HTTPStatus.FORBIDDEN:
            message, hint = theirs or _("This is not allowed."), _("Reload the page and try again.")
        elif status_code < 500:
            message = theirs or _("The request cannot be understood.")
            hint = _("Reload the page and try again.")
        else:
            message, hint = _("The server extension failed."), _("Try again; the server's log says more.")
        self.set_status(status_code)
        reason = _REASONS.get(status_code, Reason.INTERNAL if status_code >= 500 else Reason.INVALID)
        self.set_header("Cache-Control", "no-store")
        self.finish(json.dumps({"reason": reason, "message": message, "hint": hint, "field": None}))

    def body(self) -> Any:
        """Decode the request's JSON body.

        Raises
        ------
        Refusal
            If it is not JSON, or larger than any sensible one.
        """
        if len(self.request.body) > _LARGEST_BODY:
            raise Refusal(
                Reason.TOO_LARGE, _("The request is larger than 1 MiB."), _("Put large values into a file.")
            )
        try:
            return json.loads(self.request.body, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise Refusal(
                Reason.INVALID, _("The request is not valid JSON."), _("Reload the page and try again.")
            ) from error

    def query(self, *names: str) -> list[tuple[str, str]]:
        """Pick what may be handed on; everything else stays here, as Jupyter accepts tokens in addresses."""
        return [(name, value) for name in names for value in self.get_query_arguments(name, strip=False)]


def problem(refusal: Refusal) -> dict[str, Any]:
    """Write a refusal as the `Problem` of the contract."""
    return {
        "reason": refusal.reason,
        "message": refusal.message,
        "hint": refusal.hint,
        "field": refusal.field,
    }


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is not JSON")
