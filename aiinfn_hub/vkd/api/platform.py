"""What there is: ``/platform``, ``/queues``, ``/availability``, ``/usage``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response

from aiinfn_hub.contract.platform import (
    AvailabilityReading,
    PlatformView,
    QueueChoice,
    Usage,
)
from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.vkd import tickets
from aiinfn_hub.vkd.domain.records import now

from .common import (
    Authentication,
    Caller,
    Serving,
    answer,
)
from .errors import problems

router = APIRouter(tags=["platform"])

_IDENTITY: Final = (Reason.UNAUTHENTICATED, Reason.FORBIDDEN, Reason.UNAVAILABLE)
_USUAL_PERIOD: Final = timedelta(days=30)


@router.get(
    "/platform",
    summary="What the caller may use",
    response_model=PlatformView,
    responses=problems(*_IDENTITY),
)
async def get_platform(person: Caller, service: Serving) -> Response:
    """Show what the caller may use, with what there is of it now and the age of that reading."""
    return answer(service.platform_view(person))


@router.get(
    "/queues", summary="The caller's queues", response_model=list[QueueChoice], responses=problems(*_IDENTITY)
)
async def list_queues(person: Caller, service: Serving) -> list[QueueChoice]:
    """Show the queues that the caller may use, with their lengths."""
    return service.queues(person)


@router.get(
    "/availability",
    summary="What is free",
    response_model=AvailabilityReading,
    responses=problems(*_IDENTITY),
)
async def get_availability(
    request: Request,
    service: Serving,
    auth: Authentication,
    ticket: Annotated[
        str | None,
        Query(max_length=8192, description="Made by the hub for one form; names the accelerators."),
    ] = None,
) -> Response:
    """Show what is free of the accelerators a ticket names, or to the hub itself of all."""
    if ticket is not None:
        names: frozenset[str] | None = tickets.verify(request.app.state.ticket_key, ticket)
    else:
        await auth.hub_service(request.headers.get("Authorization"))
        names = None
    return answer(service.availability(names))


@router.get("/usage", summary="Batch use of devices", response_model=Usage, responses=problems(*_IDENTITY))
async def get_usage(
    person: Caller,
    service: Serving,
    since: Annotated[datetime | None, Query(description="Default: 30 days ago.")] = None,
) -> Response:
    """Sum the device-seconds of batch jobs by project, person and accelerator, of what the caller may see."""
    moment = now()
    begin = moment - _USUAL_PERIOD
    if since is not None:
        try:
            begin = since.astimezone(UTC) if since.tzinfo else since.replace(tzinfo=UTC)
            begin.timestamp()
        except (OverflowError, ValueError, OSError):
            raise Refusal(Reason.INVALID, _("This moment is out of range."), field="since") from None
    return answer(await service.usage(person, begin))
