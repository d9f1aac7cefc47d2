"""The published APIs: their descriptions are current, their names good, and none of the tag ``contract-1`` is gone.

To renew the descriptions: ``UPDATE_GOLDEN=1 pytest tests/unit/test_contract_names.py``.
"""

import copy
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from aiinfn_hub.vkd.app import openapi as vkd
from aiinfn_lab.openapi import openapi as lab
from tests.contract_names import broken

ROOT = Path(__file__).parents[2]
TAG = "contract-1"
APIS = {"docs/api/vkd.json": vkd, "docs/api/lab.json": lab}


def current(path):
    return json.loads(json.dumps(APIS[path]()))


@pytest.mark.parametrize("path", APIS)
def test_the_published_description_is_current(path):
    made = json.dumps(current(path), indent=1, ensure_ascii=False) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        (ROOT / path).write_text(made)
    assert (ROOT / path).read_text() == made


@pytest.mark.parametrize("path", APIS)
def test_names_are_plain_and_no_operation_has_anothers(path):
    description = current(path)
    names = list(description["components"]["schemas"])
    # FastAPI adds -Input and -Output to the names of models that are both.
    assert [name for name in names if not re.fullmatch(r"[A-Z][A-Za-z]+", name)] == []
    ids = [
        operation["operationId"]
        for methods in description["paths"].values()
        for operation in methods.values()
    ]
    assert len(set(ids)) == len(ids)
    assert [name for name in ids if not re.fullmatch(r"[a-z]+(_[a-z]+)+", name)] == []


@pytest.mark.parametrize("path", APIS)
def test_no_name_of_the_tag_is_gone(path):
    git = ["git", "-C", str(ROOT)]
    if subprocess.run(
        [*git, "rev-parse", "-q", "--verify", f"refs/tags/{TAG}"], capture_output=True, check=False
    ).returncode:
        pytest.skip(f"there is no tag {TAG} here")
    tagged = subprocess.run([*git, "show", f"{TAG}:{path}"], capture_output=True, check=True).stdout
    assert broken(json.loads(tagged), current(path)) == []


def test_the_lab_describes_every_verb_that_it_has_and_no_other():
    from aiinfn_lab.handlers import routes

    verbs = ("get", "post", "patch", "put", "delete", "head", "options")
    found = set()
    for pattern, handler in routes():
        path = re.sub(r"\(\?P<job>[^()]*\)", "{job_id}", pattern)
        choices = re.search(r"\(\?P<action>(.*)\)", path)
        for action in choices.group(1).split("|") if choices else [""]:
            place = path.replace(choices.group(0), action) if choices else path
            found |= {
                (verb, place) for verb in verbs if hasattr(getattr(handler, verb, None), "__protected__")
            }
    assert {(method, path) for path, methods in lab()["paths"].items() for method in methods} == found


@pytest.fixture
def description():
    return {
        "paths": {
            "/jobs": {
                "get": {"operationId": "list_jobs", "parameters": [{"in": "query", "name": "limit"}], "responses": {"200": {}}},
                "post": {
                    "operationId": "submit_job",
                    "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/JobRequest"}}}},
                },
            }
        },
        "components": {
            "schemas": {
                "JobRequest": {"properties": {"work": {"$ref": "#/components/schemas/Work"}, "name": {"type": "string"}}, "required": ["work"]},
                "Work": {"properties": {"kind": {"enum": ["script", "notebook"]}, "path": {}}, "required": ["kind"]},
                "Job": {"properties": {"state": {"anyOf": [{"enum": ["queued"]}, {"type": "string"}]}}, "required": ["state"]},
            }
        },
    }  # fmt: skip


def set_at(value, path, new):
    *way, last = path
    for key in way:
        value = value[key]
    if new is None:
        del value[last]
    else:
        value[last] = new


JOBS, SCHEMAS = ("paths", "/jobs"), ("components", "schemas")


@pytest.mark.parametrize(
    ("path", "new", "found"),
    [
        ((*JOBS, "get"), None, ["gone: GET /jobs", "gone: GET /jobs answers 200", "gone: GET /jobs parameter query limit", "gone: operation list_jobs"]),
        ((*JOBS, "get", "operationId"), "jobs", ["gone: operation list_jobs"]),
        ((*JOBS, "get", "parameters"), [], ["gone: GET /jobs parameter query limit"]),
        ((*JOBS, "get", "parameters"), [{"in": "query", "name": "limit", "required": True}], ["demanded: GET /jobs parameter query limit"]),
        ((*JOBS, "get", "responses", "200"), None, ["gone: GET /jobs answers 200"]),
        ((*SCHEMAS, "Job", "properties", "state", "anyOf"), [{"type": "string"}], ["gone: Job.state may be 'queued'"]),
        ((*SCHEMAS, "Job", "properties"), {}, ["gone: Job.state", "gone: Job.state may be 'queued'"]),
        ((*SCHEMAS, "JobRequest", "properties", "name"), None, ["gone: JobRequest.name"]),
        ((*SCHEMAS, "JobRequest", "properties", "work"), {"type": "object"}, ["gone: JobRequest.work is Work"]),
        ((*SCHEMAS, "Work", "required"), ["kind", "path"], ["demanded: Work.path"]),
    ],
)  # fmt: skip
def test_what_breaks_a_promise_is_found(description, path, new, found):
    changed = copy.deepcopy(description)
    set_at(changed, path, new)
    assert broken(description, changed) == found


@pytest.mark.parametrize(
    ("path", "new"),
    [
        ((*JOBS, "delete"), {"operationId": "delete_jobs"}),
        ((*JOBS, "get", "parameters"), [{"in": "query", "name": "limit"}, {"in": "query", "name": "label"}]),
        ((*SCHEMAS, "Job", "properties", "final"), {"type": "boolean"}),
        ((*SCHEMAS, "Job", "required"), ["state", "final"]),
        ((*SCHEMAS, "JobRequest", "properties", "labels"), {"type": "array"}),
        ((*SCHEMAS, "Work", "properties", "kind", "enum"), ["script", "notebook", "command"]),
        ((*SCHEMAS, "Hold"), {"properties": {}}),
        (("info",), {"version": "v1"}),
    ],
)
def test_what_is_added_breaks_nothing(description, path, new):
    changed = copy.deepcopy(description)
    set_at(changed, path, new)
    assert broken(description, changed) == []
