"""``/jobs``: submit, list, find, look at, cancel, run again; `bulk` changes and deletes them."""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Query, Request, Response

from aiinfn_hub.contract.jobs import DryRun, HistoryEntry, Job, JobPage, JobRequest
from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.contract.runner import Resources
from aiinfn_hub.contract.states import JobState
from aiinfn_hub.contract.sweeps import SweepTable
from aiinfn_hub.i18n import language, messages
from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.platform.person import Person
from aiinfn_hub.vkd.domain.records import ACTIVE, Filter
from aiinfn_hub.vkd.domain.sweep_points import csv_of
from aiinfn_hub.vkd.domain.text_folding import LONGEST, MOST_WORDS, words
from aiinfn_hub.vkd.services.validation import label as checked_label
from aiinfn_hub.vkd.services.validation import printable

from .common import (
    Caller,
    Key,
    Serving,
    answer,
)
from .errors import problems

router = APIRouter(prefix="/jobs", tags=["jobs"])

_CURSOR: Final = re.compile(r"n(\d{1,15})|c(\d{1,15})-(\d{1,15})", re.ASCII)
_LARGEST: Final = 2**53
_STATES: Final = frozenset(state.value for state in JobState)
_IDENTITY: Final = (Reason.UNAUTHENTICATED, Reason.FORBIDDEN, Reason.UNAVAILABLE)


@router.post(
    "",
    summary="Submit a job",
    status_code=201,
    response_model=Job,
    responses={
        200: {
            "model": Job | DryRun,
            "description": "The job this key made before, or what would become of the request",
        },
        **problems(
            *_IDENTITY,
            Reason.IMPOSSIBLE,
            Reason.TOO_LARGE,
            Reason.CONFLICT,
            Reason.TOO_MANY,
            Reason.STORAGE_FULL,
        ),
    },
)
async def submit_job(
    body: JobRequest,
    person: Caller,
    service: Serving,
    dry_run: Annotated[bool, Query(description="Only say what would become of it.")] = False,
    key: Key = None,
) -> Response:
    """Take a job in. What is left out gets the platform's default; what is not allowed is refused with a reason.

    When this answers 201 the job is kept, whatever happens afterwards.
    """
    if dry_run:
        return answer(await service.dry_run(person, body))
    job, created = await service.submit(person, body, key)
    return answer(job, 201 if created else 200, {"Location": f"jobs/{job.id}"})


async def _sought(
    search: Annotated[
        str | None,
        Query(
            max_length=LONGEST,
            description="Words that must all be in the name, path, labels, id or error; parts of words will do.",
        ),
    ] = None,
    label: Annotated[str | None, Query(max_length=200, description="Only jobs with this label.")] = None,
) -> tuple[tuple[str, ...], str | None]:
    return _words(search), None if label is None else checked_label(label, "label")


async def _filter(
    sought: Annotated[tuple[tuple[str, ...], str | None], Depends(_sought)],
    state: Annotated[
        list[str],
        Query(description="States, repeated or separated by commas; active means all that are not over."),
    ] = [],  # noqa: B006 - FastAPI copies it
    project: Annotated[str | None, Query(max_length=255)] = None,
    owner: Annotated[str | None, Query(max_length=255)] = None,
    since_revision: Annotated[
        int | None,
        Query(ge=0, le=_LARGEST, description="revision of an earlier answer: only what changed after it."),
    ] = None,
    sweep: Annotated[
        str | None,
        Query(
            max_length=20, description="The points of this sweep. Without it, sweeps are listed, not points."
        ),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 25,
    cursor: Annotated[str | None, Query(max_length=40, description="next_cursor of the page before.")] = None,
) -> Filter:
    found, label = sought
    if (found or label) and (since_revision is not None or sweep is not None):
        raise Refusal(
            Reason.INVALID,
            _("A search goes through the list of jobs, newest first."),
            _("Leave out since_revision and sweep."),
            field="search" if found else "label",
        )
    return Filter(
        sweep=_name(sweep, "sweep"),
        states=_states(state),
        project=_name(project, "project"),
        owner=_name(owner, "owner"),
        search=found,
        label=label,
        since=since_revision,
        after=_after(cursor, since_revision),
        limit=limit,
    )


@router.get(
    "",
    summary="List jobs",
    response_model=JobPage,
    responses={
        304: {"description": "Nothing changed since the answer with this ETag"},
        **problems(*_IDENTITY),
    },
)
async def list_jobs(
    request: Request, person: Caller, service: Serving, wanted: Annotated[Filter, Depends(_filter)]
) -> Response:
    """Show the caller's jobs, those of projects the caller manages, or to operators all; newest first.

    With ``since_revision`` the last changed come first, and what was deleted is told. A search looks through so much of the history
    at a time; ``next`` leads on, also from a page with few jobs.
    """
    etag = _etag(person, request, service.version())
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if etag in request.headers.get("If-None-Match", ""):
        return Response(status_code=304, headers=headers)
    return answer(await service.jobs(person, wanted), headers=headers)


@router.get(
    "/{job_id}", summary="Show a job", response_model=Job, responses=problems(*_IDENTITY, Reason.NOT_FOUND)
)
async def get_job(job_id: str, person: Caller, service: Serving) -> Response:
    """Show one job."""
    return answer(await service.job(person, job_id))


@router.post(
    "/{job_id}/cancel",
    summary="Cancel a job",
    status_code=202,
    response_model=Job,
    responses=problems(*_IDENTITY, Reason.NOT_FOUND, Reason.CONFLICT, Reason.STORAGE_FULL),
)
async def cancel_job(job_id: str, person: Caller, service: Serving) -> Response:
    """Ask for a job's end. It is remembered; the state changes when its process has ended."""
    return answer(await service.cancel(person, job_id), 202)


@router.post(
    "/{job_id}/rerun",
    summary="Run a job again",
    status_code=201,
    response_model=Job,
    responses={
        200: {"model": Job, "description": "The job this key made before"},
        **problems(
            *_IDENTITY,
            Reason.NOT_FOUND,
            Reason.IMPOSSIBLE,
            Reason.CONFLICT,
            Reason.TOO_MANY,
            Reason.STORAGE_FULL,
        ),
    },
)
async def rerun_job(
    job_id: str,
    person: Caller,
    service: Serving,
    points: Annotated[
        str | None,
        Query(
            max_length=5000,
            description="Of a sweep: failed, all, or numbers separated by commas. Default: what did not succeed.",
        ),
    ] = None,
    key: Key = None,
) -> Response:
    """Submit a job that is over once more: the same copy of its input, its choices judged again.

    Of a sweep only some points run again; its table shows what the others gave before.
    """
    again, created = await service.rerun(person, job_id, key, points)
    return answer(again, 201 if created else 200, {"Location": f"../{again.id}"})


@router.get(
    "/{job_id}/points",
    summary="The table of a sweep",
    response_model=SweepTable,
    responses={
        200: {"content": {"text/csv": {}}, "description": "As JSON, or as CSV if it is asked for"},
        **problems(*_IDENTITY, Reason.NOT_FOUND, Reason.CONFLICT),
    },
)
async def get_points(
    job_id: str,
    person: Caller,
    service: Serving,
    form: Annotated[
        Literal["json", "csv"], Query(alias="format", description="csv: a table with a header.")
    ] = "json",
) -> Response:
    """Show every point of a sweep with its parameters, state, times and recorded values."""
    table = await service.points(person, job_id)
    if form == "json":
        return answer(table)
    return Response(
        csv_of(table),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{job_id}.csv"', "Cache-Control": "no-store"},
    )


@router.get(
    "/{job_id}/resources",
    summary="What a job used",
    response_model=Resources,
    responses=problems(*_IDENTITY, Reason.NOT_FOUND, Reason.CONFLICT),
)
async def get_resources(
    job_id: str,
    person: Caller,
    service: Serving,
    attempt: Annotated[int | None, Query(ge=1, le=10**6, description="Default: the latest.")] = None,
) -> Response:
    """Show what an attempt used of its cores, memory and accelerators over time, and in words."""
    return answer(await service.resources(person, job_id, attempt))


@router.get(
    "/{job_id}/events",
    summary="A job's history",
    response_model=list[HistoryEntry],
    responses=problems(*_IDENTITY, Reason.NOT_FOUND),
)
async def get_events(job_id: str, person: Caller, service: Serving) -> list[HistoryEntry]:
    """Return every change of a job's state, oldest first."""
    return await service.events(person, job_id)


def _etag(person: Person, request: Request, version: tuple[str, int, int]) -> str:
    """Return a tag that changes whenever the answer may: at any change of any job, so that it costs no query."""
    whole = (
        person.name,
        sorted(person.groups),
        person.admin,
        request.url.query,
        version,
        language.current(),
        str(messages.current_zone()),
    )
    return f'"{hashlib.blake2b(repr(whole).encode("utf-8", "replace"), digest_size=12).hexdigest()}"'


def _states(given: list[str]) -> tuple[JobState, ...]:
    found: dict[JobState, None] = {}
    for name in (part for value in given for part in value.split(",") if part):
        if name == "active":
            found.update(dict.fromkeys(ACTIVE))
        elif name in _STATES:
            found[JobState(name)] = None
        else:
            raise Refusal(
                Reason.INVALID,
                _("There is no such state of a job."),
                _("Choose from {states} and active.").format(
                    states=", ".join(state.value for state in JobState)
                ),
                field="state",
            )
    return tuple(found)


def _words(search: str | None) -> tuple[str, ...]:
    found = words(search or "")
    if len(found) > MOST_WORDS or not printable(search or ""):
        raise Refusal(
            Reason.INVALID,
            _("A search has at most {most} words of printable characters.").format(most=MOST_WORDS),
            _("Leave some out."),
            field="search",
        )
    return found


def _name(value: str | None, field: str) -> str | None:
    if value is not None and not (value and printable(value)):
        raise Refusal(
            Reason.INVALID,
            _("This is no name of an owner.") if field == "owner" else _("This is no name of a project."),
            field=field,
        )
    return value


def _after(cursor: str | None, since: int | None) -> tuple[int, int] | None:
    if cursor is None:
        return None
    match = _CURSOR.fullmatch(cursor)
    if match is None or (match[1] is None) is (since is None):
        raise Refusal(
            Reason.INVALID,
            _("This cursor is not one of ours."),
            _("Use next_cursor of the page before, with the same since_revision."),
            field="cursor",
        )
    return (0, int(match[1])) if match[1] is not None else (int(match[2]), int(match[3]))
