"""``/users``: user names that are given free, by the hub."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from aiinfn_hub.contract.problem import Reason
from aiinfn_hub.contract.users import UserRelease, UserReleaseResult

from .common import Serving, answer, hub_only
from .errors import problems

router = APIRouter(prefix="/users", tags=["users"], dependencies=[hub_only])


@router.post(
    "/{name}/release",
    summary="Give a user name free",
    response_model=UserReleaseResult,
    responses=problems(
        Reason.UNAUTHENTICATED, Reason.FORBIDDEN, Reason.UNAVAILABLE, Reason.CONFLICT, Reason.STORAGE_FULL
    ),
)
async def release_user(
    name: Annotated[str, Path(min_length=1, max_length=200)], body: UserRelease, service: Serving
) -> Response:
    """Keep a person's jobs under a name that nobody can have; refused while one of them is not over."""
    jobs = await service.release_user(name, body.released_as, dry_run=body.dry_run)
    return answer(UserReleaseResult(jobs=jobs))
