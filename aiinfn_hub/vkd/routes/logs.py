"""``/jobs/{id}/logs``: what a job prints, in pieces or as it comes."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from aiinfn_hub.language import gettext as _
from aiinfn_hub.platform.refusal import Reason, Refusal
from aiinfn_hub.vkd.errors import problems
from aiinfn_hub.vkd.service import no_attempt

from .common import Caller, Serving

router = APIRouter(prefix="/jobs", tags=["jobs"])

_LARGEST: Final = 2**53
_CHUNK: Final = 256 * 1024


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
            Reason.UNAUTHENTICATED, Reason.FORBIDDEN, Reason.NOT_FOUND, Reason.CONFLICT, Reason.UNAVAILABLE
        ),
    },
)
async def logs(
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
    """Give part of an attempt's log, or stream it as it grows.

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
    follower = service.follower
    first = await follower.read_log(stored, wanted, offset, limit)
    headers = {
        "X-Log-Attempt": str(first.attempt),
        "X-Log-Offset": str(first.offset),
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    media = "text/plain; charset=utf-8"
    if not follow:
        headers["X-Log-Complete"] = "1" if first.complete else "0"
        return Response(first.data, 200, headers, media)
    stream = follower.stream_log(first, job_id, limit, request.is_disconnected)
    # No buffering in a proxy before us either: a log line is read when it is written.
    return StreamingResponse(stream, 200, {**headers, "X-Accel-Buffering": "no"}, media)
