"""Every error as a `Problem`: a sentence for a person, never a traceback, whatever goes wrong."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections.abc import Callable
from typing import Any, Final

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aiinfn_hub.contract.languages import preferred
from aiinfn_hub.contract.problem import STATUS, Reason, Refusal
from aiinfn_hub.contract.problem_model import Problem
from aiinfn_hub.i18n import language, messages
from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.vkd.database.engine import refusal_of

logger = logging.getLogger(__name__)

BODY_BYTES: Final = 1024 * 1024
"""Largest body of a request."""
BODY_SECONDS: Final = 30.0
"""Seconds in which a body has to arrive."""
_RETRY: Final = {Reason.TOO_MANY: "30", Reason.UNAVAILABLE: "3", Reason.STORAGE_FULL: "60"}


class ResponseCutError(Exception):
    """An answer that had begun ends here, and its reader has to see that it is not whole."""


Observe = Callable[[str, str, int, float], None]


def response(refusal: Refusal, status: int | None = None, headers: dict[str, str] | None = None) -> Response:
    """Write a refusal as a response."""
    problem = Problem(
        reason=refusal.reason.value, message=refusal.message, hint=refusal.hint, field=refusal.field
    )
    # "replace": a message may quote what was sent, and that may not be writable as UTF-8.
    body = json.dumps(problem.model_dump(), ensure_ascii=False).encode("utf-8", "replace")
    extra = {"Retry-After": _RETRY[refusal.reason]} if refusal.reason in _RETRY else {}
    if refusal.reason is Reason.UNAUTHENTICATED:
        extra["WWW-Authenticate"] = "Bearer"
    return Response(
        body,
        status or refusal.status,
        {"Cache-Control": "no-store", **extra, **(headers or {})},
        "application/json",
    )


def problems(*reasons: Reason) -> dict[int | str, dict[str, Any]]:
    """Describe the errors of a route for its documentation; those of every route are added."""
    common = (Reason.INVALID, Reason.UNKNOWN, Reason.INTERNAL)
    found: dict[int, list[str]] = {}
    for reason in (*common, *reasons):
        found.setdefault(STATUS[reason], []).append(reason.value)
    found[408], found[413] = ["too slow"], ["too large a body"]
    return {
        status: {"model": Problem, "description": " or ".join(dict.fromkeys(names))}
        for status, names in found.items()
    }


def install(app: FastAPI) -> None:
    """Make an application answer with problems, and keep its server from writing queries into the log."""
    logging.getLogger("uvicorn.access").disabled = True  # `Guard` logs requests

    async def refused(_request: Request, error: Exception) -> Response:
        return response(error if isinstance(error, Refusal) else Refusal(Reason.INTERNAL, str(error)))

    async def malformed(_request: Request, error: Exception) -> Response:
        details = error.errors() if isinstance(error, RequestValidationError) else []
        return response(explain(details[0] if details else {}))

    async def http(_request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, StarletteHTTPException) else 500
        headers = dict(error.headers or {}) if isinstance(error, StarletteHTTPException) else {}
        return response(*_of_status(status), headers)

    app.add_exception_handler(Refusal, refused)
    app.add_exception_handler(RequestValidationError, malformed)
    app.add_exception_handler(StarletteHTTPException, http)


def _of_status(status: int) -> tuple[Refusal, int]:
    match status:
        case 404:
            return Refusal(Reason.NOT_FOUND, _("There is nothing at this address.")), 404
        case 405:
            return Refusal(Reason.INVALID, _("This address does not take this method.")), 405
        case 413:
            refusal = Refusal(
                Reason.TOO_LARGE,
                _("The request is larger than {size} KiB.").format(size=BODY_BYTES // 1024),
                _("Put large values into a file."),
            )
            return refusal, 413
        case 408:
            refusal = Refusal(
                Reason.INVALID,
                _("The request did not arrive within {seconds} s.").format(seconds=int(BODY_SECONDS)),
                _("Send it again, all at once."),
            )
            return refusal, 408
        case _ if status < 500:
            return Refusal(Reason.INVALID, _("The request cannot be read.")), 400
        case _:
            return Refusal(Reason.INTERNAL, _("Something went wrong in the platform.")), 500


def explain(detail: dict[str, Any]) -> Refusal:
    """Explain in a sentence what pydantic found wrong with a request."""
    place, *rest = detail.get("loc") or ("body",)
    kind = detail.get("type", "")
    if kind == "json_invalid":
        return Refusal(Reason.INVALID, _("The body is not JSON."))
    field = ".".join(_plain(str(part)) for part in rest)
    if not field:
        return Refusal(
            Reason.INVALID, _("A JSON object is needed as the body, with Content-Type: application/json.")
        )
    if kind == "missing":
        return Refusal(Reason.INVALID, _("{field} is missing.").format(field=field), field=field)
    if kind == "extra_forbidden":
        return Refusal(
            Reason.INVALID,
            _("{field} is not known here.").format(field=field),
            _("Leave it out."),
            field=field,
        )
    message = _plain(str(detail.get("msg", "it cannot be read")), 200)
    text = f"{message[:1].lower()}{message[1:]}"
    of_body = _("The value of {field} cannot be used: {why}.")
    elsewhere = _("The value of {field} in the {place} cannot be used: {why}.")
    return Refusal(
        Reason.INVALID,
        (of_body if place == "body" else elsewhere).format(field=field, place=place, why=text),
        field=field,
    )


def _plain(text: str, length: int = 60) -> str:
    return "".join(character if character.isprintable() else "?" for character in text[:length])


class Guard:
    """The outermost layer: sets language and time zone, bounds the body in size and time, catches what nobody caught, times and logs the request.

    The query is never logged: it may hold a ticket. Neither are headers, which hold tokens.
    """

    def __init__(self, app: ASGIApp, observe: Observe) -> None:
        self._app = app
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        language.use(preferred(headers.get(b"accept-language", b"").decode("latin-1")))
        messages.use_zone(messages.preferred_zone(headers.get(b"prefer", b"").decode("latin-1")))
        began = time.perf_counter()
        status = 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                sent = message.setdefault("headers", [])
                if not any(name.lower() == b"x-content-type-options" for name, _value in sent):
                    # What people wrote is in most answers: no browser may take one for a page.
                    message = {**message, "headers": [*sent, (b"x-content-type-options", b"nosniff")]}
            await send(message)

        try:
            await self._app(scope, _bounded(scope, receive), watched)
        except ResponseCutError as error:
            # Nothing more is sent, so the server closes the connection.
            logger.info("response broken off path=%s why=%s", _path(scope), error)
        except Exception as error:
            if status:
                # Too late for another answer: the server closes the connection, and the reader sees that it is cut.
                logger.exception("response broken off path=%s", _path(scope))
                raise
            await self._answer(error, scope, receive, watched)
        finally:
            seconds = time.perf_counter() - began
            quiet = scope["method"] == "GET" and status < 400
            logger.log(
                logging.DEBUG if quiet else logging.INFO,
                "request method=%s path=%s status=%d ms=%.1f",
                scope["method"],
                _path(scope),
                status,
                1000 * seconds,
            )
            route = getattr(scope.get("route"), "path", "other")
            self._observe(scope["method"], route, status, seconds)

    async def _answer(self, error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = refusal_of(error)
        if refusal is None:
            incident = secrets.token_hex(4)
            logger.error("fault incident=%s path=%s", incident, _path(scope), exc_info=error)
            refusal = Refusal(
                Reason.INTERNAL,
                _("Something went wrong in the platform."),
                _("Tell the operators the number {incident}: they find it in the log.").format(
                    incident=incident
                ),
            )
        await response(refusal)(scope, receive, send)


def _path(scope: Scope) -> str:
    raw: bytes = scope.get("raw_path") or b""
    return raw.split(b"?")[0][:200].decode("ascii", "replace")


def _bounded(scope: Scope, receive: Receive) -> Receive:
    """Refuse a body as soon as it is too large, by its announced length or by what arrives, or takes too long."""
    announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    left = BODY_BYTES if not announced.isdigit() or int(announced) <= BODY_BYTES else 0
    until = asyncio.get_running_loop().time() + BODY_SECONDS
    arrived = False

    async def limited() -> Message:
        nonlocal left, arrived
        if arrived:
            # What is waited for now is the reader's departure.
            return await receive()
        try:
            async with asyncio.timeout_at(until):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408, headers={"Connection": "close"}) from None
        if message["type"] == "http.request":
            arrived = not message.get("more_body", False)
            left -= len(message.get("body", b""))
            if left < 0:
                raise HTTPException(413)
        return message

    return limited
