"""The published description of the server extension's API (OpenAPI 3.1), which docs/api/lab.json is.

No part of a running session imports this: the models cost more memory than the extension may.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final, Literal

from pydantic import BaseModel, Field
from pydantic.json_schema import models_json_schema

from aiinfn_hub.contract.base import Answer, Open, Request
from aiinfn_hub.contract.changes import BulkRequest, BulkResult, BulkResults, JobChange
from aiinfn_hub.contract.constants import API_VERSION, MOST_POINTS
from aiinfn_hub.contract.jobs import Check, CheckVerdict, DryRun, HistoryEntry, Job, JobDescription, JobPage
from aiinfn_hub.contract.platform import PlatformView, QueueChoice, Usage
from aiinfn_hub.contract.problem_model import Problem
from aiinfn_hub.contract.runner import Resources
from aiinfn_hub.contract.sweeps import SweepPoint, SweepRequest, SweepTable

BASE: Final = "/aiinfn-lab"


class LabFiles(Answer):
    """Where the files of a job are for JupyterLab; null if they are not below its root."""

    input: str | None
    output: str | None
    input_exists: bool
    output_exists: bool
    unreadable: str | None
    """Why their folder could not be looked at."""


class LabJob(Job):
    """A job with where its files are."""

    lab: LabFiles


class LabJobPage(JobPage):
    """A page of jobs with where their files are."""

    jobs: list[LabJob]  # type: ignore[assignment]


class LabBulkResult(BulkResult):
    """What became of one of many jobs."""

    job: LabJob | None = None


class LabBulkResults(BulkResults):
    """Answer of ``POST jobs/bulk``."""

    results: list[LabBulkResult]  # type: ignore[assignment]


class LabSweepPoint(SweepPoint):
    """A row in the table of a sweep."""

    lab_output: str | None
    """The result as JupyterLab can open it."""


class LabSweepTable(SweepTable):
    """The table of a sweep."""

    points: list[LabSweepPoint]  # type: ignore[assignment]


class GrantedSession(Answer):
    """What the hub granted this session; null in a server that the platform did not start."""

    project: str | None
    accelerator: str | None
    count: int | None
    image: str | None
    size: str | None
    end: str | None


class Status(Answer):
    """Versions of the two halves, and whether vkd answers."""

    version: str
    """Of the Python package."""
    api_version: str
    """Version of vkd's API that this half speaks."""
    vkd: Open[Literal["ok", "unavailable"]]
    message: str
    hint: str
    root: str
    root_in_home: bool
    session: GrantedSession


class SessionExtension(Answer):
    """What an extension would give now."""

    end: datetime
    seconds: float


class SessionTime(Answer):
    """When the session ends, and whether that can be put off."""

    now: datetime
    """By the hub's clock."""
    end: datetime
    warnings: list[float]
    """Seconds before the end, the larger first."""
    extends_at: datetime | None
    extensions_left: int
    extension: SessionExtension | None
    refusal: Problem | None
    """Why there is no extension now."""


class KernelChoice(Answer):
    """The kernel of a notebook."""

    name: str
    title: str
    available: bool


class Parameter(Answer):
    """A parameter of a notebook."""

    name: str
    type: Open[Literal["bool", "int", "float", "str", "none", "list", "dict", "unknown"]]
    default: Any
    source: str
    help: str


class Inspection(Answer):
    """What would be submitted, read from the file on disk."""

    path: str
    name: str
    kind: Open[Literal["notebook", "script"]]
    size: int
    modified: datetime
    language: str
    kernel: KernelChoice | None
    cells: int | None
    code_cells: int | None
    parameters: list[Parameter]
    parameters_note: str
    header: dict[str, str]
    header_problem: Problem | None
    problem: Problem | None


class LinkedEntry(Answer):
    """What of a folder is too large to be copied."""

    path: str
    size: int | None


class Folder(Answer):
    """What of a folder would be copied, and what in it can run."""

    path: str
    name: str
    files: int
    size: int
    left_out: list[str]
    linked: list[LinkedEntry]
    programs: list[str]
    program: str | None
    command: str
    sentence: str


class FromHere(Request):
    """The running kernel from which a job goes on."""

    kernel: str
    cell: int
    leave_out: list[str] = Field(default_factory=list)


class Submission(JobDescription, Request):
    """Body of ``POST jobs`` and ``POST check``: ``path``, or ``folder`` with ``path`` or ``command``."""

    path: str | None = None
    folder: str | None = None
    command: str | None = None
    parameters: dict[str, Any] | None = None
    typed: dict[str, str] | None = None
    arguments: list[str] | None = None
    labels: list[str] | str | None = None  # type: ignore[assignment]
    project: str | None = None
    queue: str | None = None
    accelerator: str | None = None
    count: int | None = None
    image: str | None = None
    size: str | None = None
    time_limit: int | str | None = None
    sweep: SweepRequest | None = None
    from_here: FromHere | None = None
    anyway: bool | None = None


class CheckedSubmission(Answer):
    """Answer of ``POST check``."""

    sentence: str
    ahead: int | None
    problem: Problem | None
    checks: list[Check]
    values: dict[str, str]


class SweepText(Request):
    """Body of ``POST sweep``: what was typed, by parameter, or a table as CSV."""

    path: str
    grid: dict[str, str] | None = None
    table: str | None = None


class SweepPoints(Answer):
    """Answer of ``POST sweep``."""

    points: list[dict[str, Any]] = Field(max_length=MOST_POINTS)


class KernelStateRequest(Request):
    """Body of ``POST kernel-state``."""

    path: str
    kernel: str
    cell: int


class KernelVariable(Answer):
    """A variable of a kernel."""

    name: str
    type: str
    size: int | None
    shared: list[tuple[int, int]]
    code: bool
    used: bool
    reason: str
    """Why it cannot be carried; empty if it can."""
    reason_code: str = ""
    reason_facts: dict[str, Any] = Field(default_factory=dict)
    carried: bool
    unsure: bool
    gpu: bool


class KernelNote(Answer):
    """Something to know about the variables."""

    verdict: Open[CheckVerdict]
    sentence: str
    hint: str
    code: str = ""
    facts: dict[str, Any] = Field(default_factory=dict)


class KernelState(Answer):
    """What of a running kernel's variables a job can take over."""

    cell: int
    cells: int
    code_cells: int
    variables: list[KernelVariable]
    modules: list[str]
    python: str
    limit: int
    free: int | None
    notes: list[KernelNote]


Shape = type[BaseModel] | list[type[BaseModel]] | str | None
"""A model, a list of it, a media type that is no JSON, or nothing."""


@dataclass(frozen=True)
class Operation:
    """One verb of one address."""

    method: str
    path: str
    name: str
    summary: str
    answers: dict[int, Shape]
    body: type[BaseModel] | None = None
    query: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()


_KEY: Final = ("Idempotency-Key",)
_TEXT: Final = "text/plain"
_JOB: Final[dict[int, Shape]] = {200: LabJob}
_FOUND: Final = ("sweep", "state", "project", "owner", "search", "label", "since_revision", "limit", "cursor")
_LOG: Final = ("attempt", "offset", "limit", "follow", "download")

OPERATIONS: Final = (
    Operation("get", "/status", "get_status", "Versions, and whether vkd answers", {200: Status}),
    Operation("get", "/session-time", "get_session_time", "When this session ends", {200: SessionTime}),
    Operation("post", "/session-time", "extend_session", "More time for this session", {200: SessionTime}),
    Operation("get", "/platform", "get_platform", "What the caller may use", {200: PlatformView}),
    Operation("get", "/queues", "list_queues", "The caller's queues", {200: [QueueChoice]}),
    Operation("get", "/usage", "get_usage", "Batch use of devices", {200: Usage}, query=("since",)),
    Operation("get", "/inspect", "inspect_file", "What a file has to submit", {200: Inspection}, query=("path",)),
    Operation("get", "/folder", "inspect_folder", "What of a folder would be copied", {200: Folder}, query=("path",)),
    Operation("post", "/sweep", "read_sweep", "Points out of what was typed", {200: SweepPoints}, SweepText),
    Operation("post", "/check", "check_submission", "What to know before submitting", {200: CheckedSubmission}, Submission),
    Operation("post", "/kernel-state", "inspect_kernel", "What of a kernel a job can take over", {200: KernelState}, KernelStateRequest),
    Operation("get", "/jobs", "list_jobs", "List jobs", {200: LabJobPage, 304: None}, query=_FOUND, headers=("If-None-Match",)),
    Operation("post", "/jobs", "submit_job", "Submit a job; with dry_run a DryRun", {200: LabJob, 201: LabJob}, Submission, ("dry_run",), _KEY),
    Operation("post", "/jobs/bulk", "bulk_jobs", "The same for many jobs", {200: LabBulkResults}, BulkRequest, headers=_KEY),
    Operation("get", "/jobs/{job_id}", "get_job", "Show a job", _JOB),
    Operation("patch", "/jobs/{job_id}", "edit_job", "Change a job", _JOB, JobChange),
    Operation("delete", "/jobs/{job_id}", "delete_job", "Delete a job that is over", {204: None}),
    Operation("post", "/jobs/{job_id}/cancel", "cancel_job", "Cancel a job", {202: LabJob}, headers=_KEY),
    Operation("post", "/jobs/{job_id}/rerun", "rerun_job", "Run a job again", {200: LabJob, 201: LabJob}, query=("points",), headers=_KEY),
    Operation("get", "/jobs/{job_id}/events", "get_events", "A job's history", {200: [HistoryEntry]}),
    Operation("get", "/jobs/{job_id}/points", "get_points", "The table of a sweep; with format=csv as CSV", {200: LabSweepTable}, query=("format",)),
    Operation("get", "/jobs/{job_id}/resources", "get_resources", "What a job used", {200: Resources}, query=("attempt",)),
    Operation("get", "/jobs/{job_id}/logs", "get_log", "What a job printed", {200: _TEXT}, query=_LOG),
)  # fmt: skip


def openapi() -> dict[str, Any]:
    """Return the description of the API."""
    requests = {each.body for each in OPERATIONS if each.body}
    answers: set[type[BaseModel]] = {DryRun, Problem}
    answers |= {model for each in OPERATIONS for shape in each.answers.values() if (model := _model(shape))}
    models: list[tuple[type[BaseModel], Literal["validation", "serialization"]]] = [
        *((model, "validation") for model in sorted(requests, key=_name)),
        *((model, "serialization") for model in sorted(answers, key=_name)),
    ]
    _, schemas = models_json_schema(models, ref_template="#/components/schemas/{model}")
    paths: dict[str, Any] = {}
    for each in OPERATIONS:
        paths.setdefault(BASE + each.path, {})[each.method] = _described(each)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "aiinfn_lab",
            "summary": "The server extension of JupyterLab: jobs out of a session.",
            "version": API_VERSION,
        },
        "paths": paths,
        "components": {"schemas": dict(sorted(schemas["$defs"].items()))},
    }


def _described(each: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {"operationId": each.name, "summary": each.summary}
    parameters = [
        *(_parameter("path", name, required=True) for name in re.findall(r"{(\w+)}", each.path)),
        *(_parameter("query", name, required=name == "path") for name in each.query),
        *(_parameter("header", name, required=False) for name in each.headers),
    ]
    if parameters:
        described["parameters"] = parameters
    if each.body is not None:
        described["requestBody"] = {"required": True, "content": _content(each.body)}
    described["responses"] = {
        **{
            str(status): _response(HTTPStatus(status).phrase, shape) for status, shape in each.answers.items()
        },
        "default": _response("A refusal", Problem),
    }
    return described


def _parameter(place: str, name: str, *, required: bool) -> dict[str, Any]:
    return {"in": place, "name": name, "required": required, "schema": {"type": "string"}}


def _response(description: str, shape: Shape) -> dict[str, Any]:
    return {"description": description, **({} if shape is None else {"content": _content(shape)})}


def _content(shape: Shape) -> dict[str, Any]:
    if isinstance(shape, str):
        return {shape: {"schema": {"type": "string"}}}
    model = _model(shape)
    reference = {"$ref": f"#/components/schemas/{model.__name__ if model else 'Problem'}"}
    schema = {"type": "array", "items": reference} if isinstance(shape, list) else reference
    return {"application/json": {"schema": schema}}


def _model(shape: Shape) -> type[BaseModel] | None:
    if isinstance(shape, list):
        return shape[0]
    return shape if isinstance(shape, type) else None


def _name(model: type[BaseModel]) -> str:
    return model.__name__
