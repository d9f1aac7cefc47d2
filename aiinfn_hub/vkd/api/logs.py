"""``/jobs/{id}/logs``: what a job prints, in pieces or as it comes."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.vkd.services.jobs import no_attempt

from .authentication import Auth
from .common import Caller, Serving, auth_of
from .errors import ResponseCutError, problems

router = APIRouter(prefix="/jobs", tags=["jobs"])

_LARGEST: Final = 2**53
_CHUNK: Final = 256 * 1024
MOST_FOLLOWED: Final = 40
"""Logs that one person may follow at a time: as many as all sessions of a person together."""
_LOOK: Final = 0.5
"""Seconds between two looks at whether the reader's token is still good; mostly one into memory."""


@router.get(
    "/{job_id}/logs",
    summary="A job's log",
    response_class=Response,
    responses={
        200: {
            "description": "Log text",
            "content": {"text/plain": {"schema": {"type": "string"}}},
            "headers": {
                "X-Log-Attempt": {"schema": {"type": "integer"}, "description": "The attempt it is from"},
                "X-Log-Offset": {"schema": {"type": "integer"}, "description": "Position of the first byte"},
                "X-Log-Complete": {
                    "schema": {"type": "integer"},
                    "description": "1 if nothing will follow; not with follow",
                },
            },
        },
        **problems(
            Reason.UNAUTHENTICATED,
            Reason.FORBIDDEN,
            Reason.NOT_FOUND,
            Reason.CONFLICT,
            Reason.TOO_MANY,
            Reason.UNAVAILABLE,
        ),
    },
)
async def get_log(
    request: Request,
    job_id: str,
    person: Caller,
    service: Serving,
    attempt: Annotated[int | None, Query(ge=1, le=10**6, description="Default: the latest.")] = None,
    offset: Annotated[
        int,
        Query(ge=-_LARGEST, le=_LARGEST, description="Position of the first byte; negative: from the end."),
    ] = 0,
    limit: Annotated[int, Query(ge=1, le=4 * 1024 * 1024, description="Most bytes of one answer.")] = _CHUNK,
    follow: Annotated[bool, Query(description="Stream until the attempt is over.")] = False,
) -> Response:
    """Return part of an attempt's log, or stream it as it grows.

    A stream that breaks is resumed at the offset reached. A job that has not started yet can be followed already.
    """
    stored = await service.stored(person, job_id)
    if stored.sweep is not None:
        raise Refusal(
            Reason.CONFLICT, _("A sweep prints nothing itself."), _("Look at the log of one of its points.")
        )
    if attempt is not None and attempt > max(stored.attempt, 1):
        raise no_attempt(attempt, stored.attempt)
    wanted = attempt or (max(stored.attempt, 1) if follow else stored.attempt)
    recorder = service.recorder
    first = await recorder.read_log(stored, wanted, offset, limit)
    headers = {
        "X-Log-Attempt": str(first.attempt),
        "X-Log-Offset": str(first.offset),
        "Cache-Control": "no-store",
    }
    media = "text/plain; charset=utf-8"
    if not follow:
        headers["X-Log-Complete"] = "1" if first.complete else "0"
        return Response(first.data, 200, headers, media)
    followed = service.followed
    if followed[person.name] >= MOST_FOLLOWED:
        raise Refusal(
            Reason.TOO_MANY,
            _("You follow {number} logs at the same time already.").format(number=followed[person.name]),
            _("Stop following one of them first."),
        )
    authorization = request.headers.get("Authorization")
    stream = _while_good(
        recorder.stream_log(first, job_id, limit, request.is_disconnected),
        await auth_of(request),
        authorization,
    )
    # No buffering in a proxy before us either: a log line is read when it is written.
    answer = _Followed(stream, 200, {**headers, "X-Accel-Buffering": "no"}, media)
    answer.begin(followed, person.name)
    return answer


class _Followed(StreamingResponse):
    """A stream that counts among those of its reader until it ended."""

    def begin(self, followed: Counter[str], name: str) -> None:
        self._followed, self._name = followed, name
        followed[name] += 1

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._followed[self._name] -= 1
            if not self._followed[self._name]:
                del self._followed[self._name]


async def _while_good(
    stream: AsyncGenerator[bytes], auth: Auth, authorization: str | None
) -> AsyncGenerator[bytes]:
    """Hand on a stream until its reader's token ends, which may be before the log does."""
    bad = asyncio.create_task(_until_bad(auth, authorization))
    try:
        while True:
            piece = asyncio.ensure_future(anext(stream, None))
            try:
                await asyncio.wait({piece, bad}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not piece.done():
                    piece.cancel()
                    await asyncio.wait({piece})
            if bad.done():
                raise ResponseCutError("the token is not good any more")
            if (data := piece.result()) is None:
                return
            yield data
    finally:
        bad.cancel()
        await stream.aclose()


async def _until_bad(auth: Auth, authorization: str | None) -> None:
    # Also a token that expires makes no event.
    while await auth.still_good(authorization):  # noqa: ASYNC110
        await asyncio.sleep(_LOOK)
