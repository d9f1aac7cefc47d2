"""What was promised as ``contract-1`` is kept: today's APIs break nothing for who was written for it.

``docs/api/contract-1`` has the descriptions as of that tag; ``make contract-snapshot`` made them, and nobody edits them.
"""

import copy
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from aiinfn_hub.vkd.app import openapi as vkd
from aiinfn_lab.openapi import openapi as lab
from tests.api_compatibility import breaking_changes

ROOT = Path(__file__).parents[2]
TAG = "contract-1"
APIS = {"vkd": vkd, "lab": lab}


@pytest.mark.parametrize("name", APIS)
def test_nothing_that_was_promised_is_broken(name: str) -> None:
    promised = json.loads((ROOT / f"docs/api/{TAG}/{name}.json").read_text())
    broken = breaking_changes(promised, json.loads(json.dumps(APIS[name]())))
    assert broken == [], f"only before the tag {TAG} is set: make contract-snapshot"


@pytest.mark.parametrize("name", APIS)
def test_the_promise_is_that_of_the_tag(name: str) -> None:
    git = ["git", "-C", str(ROOT)]
    tag = subprocess.run(
        [*git, "rev-parse", "-q", "--verify", f"refs/tags/{TAG}"], capture_output=True, check=False
    )
    if tag.returncode:
        pytest.skip(f"there is no tag {TAG} here")
    for path in (f"docs/api/{name}.json", f"docs/api/{TAG}/{name}.json"):
        tagged = subprocess.run([*git, "show", f"{TAG}:{path}"], capture_output=True, check=True).stdout
        assert (ROOT / f"docs/api/{TAG}/{name}.json").read_bytes() == tagged, path


@pytest.fixture
def description() -> dict[str, Any]:
    return {
        "paths": {
            "/jobs": {
                "get": {
                    "operationId": "list_jobs",
                    "parameters": [{"in": "query", "name": "limit", "schema": {"type": "integer", "maximum": 200, "default": 25}}],
                    "responses": {
                        "200": {
                            "headers": {"ETag": {}},
                            "content": {"application/json": {"schema": {"type": "array", "items": {"$ref": "#/components/schemas/Job"}}}},
                        },
                    },
                },
                "post": {
                    "operationId": "submit_job",
                    "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/JobRequest"}}}},
                },
            },
        },
        "components": {
            "schemas": {
                "JobRequest": {
                    "properties": {
                        "work": {"$ref": "#/components/schemas/Work"},
                        "name": {"type": "string", "maxLength": 200},
                        "count": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}], "default": None},
                        "labels": {"type": "array", "items": {"type": "string", "pattern": "^[a-z]+$"}},
                        "queue": {},
                    },
                    "required": ["work"],
                },
                "Work": {"properties": {"kind": {"type": "string", "enum": ["script", "notebook"]}, "path": {"type": "string"}}, "required": ["kind"]},
                "Job": {
                    "properties": {
                        "state": {"anyOf": [{"enum": ["queued"], "type": "string"}, {"type": "string"}]},
                        "kind": {"enum": ["script"], "type": "string"},
                        "count": {"type": "integer"},
                        "cores": {"type": "number"},
                        "created": {"type": "string", "format": "date-time"},
                        "values": {"type": "object", "additionalProperties": {"type": "integer"}},
                    },
                    "required": ["state", "count"],
                },
            },
        },
    }  # fmt: skip


GONE = object()
JOBS, SCHEMAS = ("paths", "/jobs"), ("components", "schemas")
LIMIT = (*JOBS, "get", "parameters", 0)
LISTED = (*JOBS, "get", "responses", "200")
REQUEST, JOB = (*SCHEMAS, "JobRequest", "properties"), (*SCHEMAS, "Job", "properties")


def changed(description: dict[str, Any], path: tuple[Any, ...], new: Any) -> Any:
    found = copy.deepcopy(description)
    *way, last = path
    value = found
    for key in way:
        value = value[key]
    if new is GONE:
        del value[last]
    else:
        value[last] = new
    return found


@pytest.mark.parametrize(
    ("path", "new", "found"),
    [
        ((*JOBS, "post"), GONE, "gone: POST /jobs"),
        (JOBS, {}, "gone: GET /jobs"),
        ((*JOBS, "get", "operationId"), "jobs", "gone: operation list_jobs"),
        ((*JOBS, "get", "parameters"), [], "gone: GET /jobs parameter query limit"),
        ((*LIMIT, "in"), "header", "gone: GET /jobs parameter query limit"),
        ((*LIMIT, "required"), True, "demanded: GET /jobs parameter query limit"),
        ((*LIMIT, "schema", "type"), "string", "retyped: GET /jobs parameter query limit may not be integer any more"),
        ((*LIMIT, "schema", "maximum"), 100, "narrowed: GET /jobs parameter query limit has maximum 100"),
        ((*LIMIT, "schema", "default"), 50, "default: GET /jobs parameter query limit was 25"),
        ((*JOBS, "get", "parameters"), [{"in": "query", "name": "limit"}, {"in": "query", "name": "of", "required": True}], "demanded: GET /jobs parameter query of"),
        (LISTED, GONE, "gone: GET /jobs answers 200"),
        ((*LISTED, "headers"), {}, "gone: GET /jobs answers 200 with header ETag"),
        ((*LISTED, "content"), {"text/csv": {}}, "gone: GET /jobs answers 200 as application/json"),
        ((*LISTED, "content", "application/json", "schema"), {"$ref": "#/components/schemas/Job"}, "retyped: GET /jobs answers 200 may be Job"),
        ((*LISTED, "content", "application/json", "schema", "items"), {"$ref": "#/components/schemas/Work"}, "retyped: GET /jobs answers 200[] may be Work"),
        ((*JOBS, "post", "requestBody", "content", "application/json", "schema"), {"$ref": "#/components/schemas/Job"}, "retyped: POST /jobs body may not be JobRequest any more"),
        ((*JOBS, "post", "requestBody", "required"), True, "demanded: POST /jobs body"),
        ((*SCHEMAS, "Work"), GONE, "gone: schema Work"),
        ((*REQUEST, "name"), GONE, "gone: JobRequest.name"),
        ((*REQUEST, "name", "type"), "integer", "retyped: JobRequest.name may not be string any more"),
        ((*REQUEST, "name", "maxLength"), 100, "narrowed: JobRequest.name has maxLength 100"),
        ((*REQUEST, "name", "minLength"), 1, "narrowed: JobRequest.name has minLength 1"),
        ((*REQUEST, "work"), {"type": "object"}, "retyped: JobRequest.work may not be Work any more"),
        ((*REQUEST, "queue"), {"type": "string"}, "retyped: JobRequest.queue may not be anything, array, boolean, integer, null, number, object any more"),
        ((*REQUEST, "count", "anyOf", 1), {"type": "string"}, "retyped: JobRequest.count may not be null any more"),
        ((*REQUEST, "count", "anyOf", 0, "minimum"), 2, "narrowed: JobRequest.count has minimum 2"),
        ((*REQUEST, "count", "default"), 1, "default: JobRequest.count was None"),
        ((*REQUEST, "labels", "items", "pattern"), "^[a-c]+$", "narrowed: JobRequest.labels[] has pattern '^[a-c]+$'"),
        ((*SCHEMAS, "Work", "required"), ["kind", "path"], "demanded: Work.path"),
        ((*SCHEMAS, "Work", "properties", "kind", "enum"), ["script"], "gone: Work.kind may be 'notebook'"),
        ((*JOB, "state"), GONE, "gone: Job.state"),
        ((*JOB, "state", "anyOf"), [{"type": "string"}], "gone: Job.state may be 'queued'"),
        ((*JOB, "count", "type"), "number", "retyped: Job.count may be number"),
        ((*JOB, "count"), {"anyOf": [{"type": "integer"}, {"type": "null"}]}, "retyped: Job.count may be null"),
        ((*JOB, "created"), {"type": "string"}, "retyped: Job.created may be string"),
        ((*JOB, "values", "additionalProperties", "type"), "string", "retyped: Job.values[] may be string"),
        ((*SCHEMAS, "Job", "required"), ["state"], "not always there: Job.count"),
        ((*JOB, "kind"), {"type": "string"}, "retyped: Job.kind may be string"),
    ],
)  # fmt: skip
def test_what_breaks_the_promise_is_found(
    description: dict[str, Any], path: tuple[Any, ...], new: Any, found: str
) -> None:
    assert found in breaking_changes(description, changed(description, path, new))


@pytest.mark.parametrize(
    ("path", "new"),
    [
        (("info",), {"version": "v1"}),
        (("paths", "/sites"), {"get": {"operationId": "list_sites", "parameters": [{"in": "query", "name": "of", "required": True}]}}),
        ((*JOBS, "delete"), {"operationId": "delete_jobs"}),
        ((*LIMIT, "schema", "maximum"), 500),
        ((*LISTED, "headers", "Link"), {}),
        ((*JOBS, "get", "responses", "429"), {}),
        ((*SCHEMAS, "Hold"), {"properties": {"owner": {"type": "string"}}, "required": ["owner"]}),
        ((*REQUEST, "labels", "items"), {"type": "string"}),
        ((*REQUEST, "shared"), {"type": "boolean", "default": False}),
        ((*REQUEST, "name"), {"anyOf": [{"type": "string", "maxLength": 200}, {"type": "null"}]}),
        ((*REQUEST, "count", "anyOf", 0, "minimum"), 0),
        ((*SCHEMAS, "Work", "properties", "kind", "enum"), ["script", "notebook", "command"]),
        ((*JOB, "state", "anyOf", 0, "enum"), ["queued", "dreaming"]),
        ((*JOB, "final"), {"type": "boolean"}),
        ((*JOB, "cores", "type"), "integer"),
        ((*SCHEMAS, "Job", "required"), ["state", "count", "created"]),
    ],
)  # fmt: skip
def test_what_is_added_breaks_nothing(description: dict[str, Any], path: tuple[Any, ...], new: Any) -> None:
    assert breaking_changes(description, changed(description, path, new)) == []


def test_a_new_word_of_a_closed_set_in_an_answer_is_found(description: dict[str, Any]) -> None:
    new = changed(description, (*JOB, "kind", "enum"), ["script", "notebook"])
    assert breaking_changes(description, new) == ["new word of a closed set: Job.kind may be 'notebook'"]
