"""``/jobs``: change, delete, and do the same with many; ``/tombstones``: deleted jobs of which something may be left in a home."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query, Response

from aiinfn_hub.contract.changes import (
    BulkRequest,
    BulkResults,
    JobChange,
    Tombstone,
    TombstoneAcknowledgement,
)
from aiinfn_hub.contract.jobs import Job
from aiinfn_hub.contract.problem import Reason

from .common import (
    Acting,
    Caller,
    Key,
    answer,
)
from .errors import problems

router = APIRouter(tags=["jobs"])

_IDENTITY: Final = (Reason.UNAUTHENTICATED, Reason.FORBIDDEN, Reason.UNAVAILABLE)


@router.post(
    "/jobs/bulk",
    summary="Do the same with many jobs",
    response_model=BulkResults,
    responses=problems(*_IDENTITY, Reason.TOO_LARGE, Reason.STORAGE_FULL),
)
async def bulk_jobs(body: BulkRequest, person: Caller, actions: Acting, key: Key = None) -> Response:
    """Cancel, run again, label or delete up to 500 jobs. Each is answered by itself: what was done with it, or why nothing was."""
    return answer(await actions.many(person, body, key))


@router.patch(
    "/jobs/{job_id}",
    summary="Change a job",
    response_model=Job,
    responses=problems(
        *_IDENTITY,
        Reason.NOT_FOUND,
        Reason.CONFLICT,
        Reason.TOO_LARGE,
        Reason.TOO_MANY,
        Reason.STORAGE_FULL,
    ),
)
async def edit_job(job_id: str, body: JobChange, person: Caller, actions: Acting) -> Response:
    """Change a job's name, its labels, or whether it is kept whatever its age."""
    return answer(await actions.edit(person, job_id, body))


@router.delete(
    "/jobs/{job_id}",
    summary="Delete a job",
    status_code=204,
    response_class=Response,
    responses=problems(*_IDENTITY, Reason.NOT_FOUND, Reason.CONFLICT, Reason.STORAGE_FULL),
)
async def delete_job(job_id: str, person: Caller, actions: Acting) -> Response:
    """Delete a job that is over, with its log and the copy of its input; a sweep with its points.

    The person's own input and output files stay, and so does the account of device time.
    """
    await actions.delete(person, job_id)
    return Response(status_code=204)


@router.get(
    "/tombstones",
    summary="What deleted jobs left in the caller's home",
    response_model=list[Tombstone],
    responses=problems(*_IDENTITY),
)
async def list_tombstones(
    person: Caller, actions: Acting, limit: Annotated[int, Query(ge=1, le=500)] = 200
) -> list[Tombstone]:
    """Return what a session of the caller may remove: copies of inputs that no job uses, and checkpoints."""
    return await actions.tombstones(person, limit)


@router.post(
    "/tombstones/acknowledge",
    summary="Tell what was removed",
    status_code=204,
    response_class=Response,
    responses=problems(*_IDENTITY, Reason.STORAGE_FULL),
)
async def acknowledge_tombstones(body: TombstoneAcknowledgement, person: Caller, actions: Acting) -> Response:
    """Note that nothing is left of these deleted jobs in the caller's home."""
    await actions.acknowledge_tombstones(person, body.ids)
    return Response(status_code=204)
