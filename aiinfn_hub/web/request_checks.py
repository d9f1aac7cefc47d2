"""What the hub does with every request before a handler sees it: odd addresses, and headers of every answer."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any, Final

from jupyterhub.handlers import BaseHandler
from tornado.web import HTTPError

from aiinfn_hub.i18n.language import gettext as _

from . import interrupted_starts

HEADERS: Final = {"X-Content-Type-Options": "nosniff"}
"""Of every answer: what people wrote is in many of them, and no browser may take JSON for a page."""
_NEXT: Final = "next"


def leads_astray(address: str) -> bool:
    r"""Return whether an address to go on to may be another host, or cannot be a header.

    Browsers read ``\`` as ``/`` and skip line breaks, and go to another host with ``//host`` as with ``///host``.
    """
    return (
        address.startswith("//")
        or "\\" in address
        or not all(" " < each < "\x7f" or each >= "\xa0" for each in address)
    )


def readable(value: bytes) -> bool:
    """Return whether a value of an address is text."""
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def install(c: Any) -> None:
    """Check the requests of hubs of this process, and mark their answers."""
    settings = dict(c.JupyterHub.get("tornado_settings") or {})
    c.JupyterHub.tornado_settings = settings | {"headers": HEADERS | dict(settings.get("headers") or {})}
    interrupted_starts.install()
    before: Callable[[BaseHandler], Awaitable[None]] = BaseHandler.prepare
    if getattr(before, "checks_requests", False):
        return

    @functools.wraps(before)
    async def prepare(self: BaseHandler) -> None:
        request = self.request
        if any(
            leads_astray(value.decode("utf-8", "replace").strip())
            for value in request.arguments.get(_NEXT, ())
        ):
            # As if it had not been sent: people arrive where they do without it.
            for arguments in (request.arguments, request.query_arguments, request.body_arguments):
                arguments.pop(_NEXT, None)
        await before(self)
        if not all(readable(value) for values in request.query_arguments.values() for value in values):
            raise HTTPError(400, _("This address cannot be read."))

    vars(prepare)["checks_requests"] = True
    BaseHandler.prepare = prepare
