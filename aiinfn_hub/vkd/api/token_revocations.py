"""``/token-revocations``: tokens that the hub takes back before their time."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Response

from aiinfn_hub.contract.problem import Reason
from aiinfn_hub.contract.sessions import TokenRevocation

from .common import Authentication, hub_only
from .errors import problems

router = APIRouter(tags=["tokens"], dependencies=[hub_only])

_IDENTITY: Final = (Reason.UNAUTHENTICATED, Reason.FORBIDDEN, Reason.UNAVAILABLE)


@router.post(
    "/token-revocations",
    summary="Tell which tokens were revoked",
    status_code=204,
    response_class=Response,
    responses=problems(*_IDENTITY),
)
async def revoke_tokens(body: TokenRevocation, auth: Authentication) -> Response:
    """Forget what the hub said about these tokens: the next request with one of them is judged by the hub."""
    auth.forget(body.token_ids)
    return Response(status_code=204)
