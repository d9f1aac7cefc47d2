"""``/claims``: devices for sessions, asked for by the hub."""

from __future__ import annotations

from datetime import UTC
from typing import Annotated, Final

from fastapi import APIRouter, Path, Response
from starlette.convertors import PathConvertor, register_url_convertor

from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.contract.sessions import Claim, ClaimRequest
from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.vkd.services.validation import printable

from .common import Serving, answer, hub_only
from .errors import problems


class _AnyPath(PathConvertor):
    """A path with whatever is in it: Starlette's own matches no line break, and what holds one would be at no address."""

    regex = r"[\s\S]*"


register_url_convertor("any_path", _AnyPath())

router = APIRouter(prefix="/claims", tags=["claims"], dependencies=[hub_only])

_IDENTITY: Final = (Reason.UNAUTHENTICATED, Reason.FORBIDDEN, Reason.UNAVAILABLE)
SessionId = Annotated[
    str, Path(min_length=1, max_length=600, description="user, or user/servername, quoted for a URL")
]


@router.put(
    "/{session_id:any_path}",
    summary="Claim devices",
    response_model=Claim,
    responses=problems(
        *_IDENTITY, Reason.IMPOSSIBLE, Reason.TOO_LARGE, Reason.CAPACITY, Reason.CONFLICT, Reason.STORAGE_FULL
    ),
)
async def claim_devices(session_id: SessionId, body: ClaimRequest, service: Serving) -> Response:
    """Ask for devices for a session. Asking again changes nothing and returns how far it is."""
    until = body.until if body.until.tzinfo else body.until.replace(tzinfo=UTC)
    return answer(await service.claim(_checked(session_id), body.model_copy(update={"until": until})))


@router.get(
    "/{session_id:any_path}",
    summary="How far a claim is",
    response_model=Claim,
    responses=problems(*_IDENTITY, Reason.NOT_FOUND),
)
async def get_claim(session_id: SessionId, service: Serving) -> Response:
    """Return how far a claim is."""
    return answer(await service.claim_state(_checked(session_id)))


@router.delete(
    "/{session_id:any_path}", summary="Give devices back", status_code=204, responses=problems(*_IDENTITY)
)
async def release_devices(session_id: SessionId, service: Serving) -> Response:
    """Take a session's devices back; without a claim nothing happens."""
    await service.release(_checked(session_id))
    return Response(status_code=204)


def _checked(session_id: str) -> str:
    if not printable(session_id):
        raise Refusal(Reason.INVALID, _("This is no name of a session."))
    return session_id
