"""``/access``: whose access was withdrawn, told by the hub."""

from __future__ import annotations

from fastapi import APIRouter, Response

from aiinfn_hub.contract.access import AccessReading, AccessUpdate
from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.vkd.services.validation import printable

from .common import Serving, answer, hub_only
from .errors import problems

router = APIRouter(prefix="/access", tags=["access"], dependencies=[hub_only])

_IDENTITY = (Reason.UNAUTHENTICATED, Reason.FORBIDDEN, Reason.UNAVAILABLE)


@router.get("", summary="Held jobs", response_model=AccessReading, responses=problems(*_IDENTITY))
async def get_access(service: Serving) -> Response:
    """Return whose jobs are held, and who has jobs that are not over."""
    return answer(await service.access.reading())


@router.put(
    "",
    summary="Hold jobs",
    response_model=AccessReading,
    responses=problems(*_IDENTITY, Reason.STORAGE_FULL),
)
async def replace_access(body: AccessUpdate, service: Serving) -> Response:
    """Hold the jobs of people whose access was withdrawn, and let all others go on."""
    if not all(
        printable(hold.owner) and (not hold.project or printable(hold.project)) for hold in body.holds
    ):
        raise Refusal(Reason.INVALID, _("This is no name of a person."))
    await service.access.replace(body.holds)
    return answer(await service.access.reading())
