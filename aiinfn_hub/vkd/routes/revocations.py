"""``/revocations``: tokens that the hub takes back before their time."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Response

from aiinfn_hub.platform.refusal import Reason
from aiinfn_hub.vkd.contract import Revoked
from aiinfn_hub.vkd.errors import problems

from .common import Authentication, hub_only

router = APIRouter(tags=["sessions"], dependencies=[hub_only])

_IDENTITY: Final = (Reason.UNAUTHENTICATED, Reason.FORBIDDEN, Reason.UNAVAILABLE)


@router.post(
    "/revocations",
    summary="Tell which tokens were revoked",
    status_code=204,
    response_class=Response,
    responses=problems(*_IDENTITY),
)
async def revocations(body: Revoked, auth: Authentication) -> Response:
    """Forget what the hub said about these tokens: the next request with one of them is judged by the hub."""
    auth.forget(body.token_ids)
    return Response(status_code=204)
