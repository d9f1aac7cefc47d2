"""What the server extension answers is what docs/api/lab.json says: every key, and no other."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from aiinfn_lab.openapi import BASE, openapi
from tests.lab.conftest import Lab, Peer, Reply


@pytest.fixture(scope="module")
def described() -> Any:
    """The description, in which answers have no key that is not described."""
    found = copy.deepcopy(openapi())
    for schema in found["components"]["schemas"].values():
        if "properties" in schema:
            schema["additionalProperties"] = False
    return found


@pytest.fixture
def job(lab: Lab, peer: Peer) -> Any:
    lab.write("fit.py", "print(1)\n")
    return lab.submit({"path": "fit.py"}).json["id"]


def check(described: Any, method: str, path: str, reply: Reply, *, status: int = 200) -> None:
    assert reply.status == status, reply.body
    responses = described["paths"][f"{BASE}/{path}"][method]["responses"]
    schema = responses.get(str(status), responses["default"])["content"]["application/json"]["schema"]
    whole = {**schema, "components": described["components"]}
    assert [error.message for error in Draft202012Validator(whole).iter_errors(reply.json)] == []


@pytest.mark.parametrize(
    "path", ["status", "jobs", "jobs/{job_id}", "jobs/{job_id}/events", "jobs/{job_id}/resources"]
)
def test_what_is_read(described: Any, lab: Lab, job: Any, path: str) -> None:
    check(described, "get", path, lab.get(path.format(job_id=job)))


@pytest.mark.parametrize("verb", ["cancel", "rerun"])
def test_what_is_done_with_a_job(described: Any, lab: Lab, job: Any, verb: str) -> None:
    status = {"cancel": 202, "rerun": 201}[verb]
    check(described, "post", f"jobs/{{job_id}}/{verb}", lab.ask("POST", f"jobs/{job}/{verb}"), status=status)


def test_files_and_folders(
    described: Any, lab: Lab, peer: Peer, notebook: Callable[..., dict[str, Any]]
) -> None:
    lab.write("work/train.ipynb", notebook("epochs = 3", "print(epochs)", tagged=True))
    check(described, "get", "inspect", lab.get("inspect", path="work/train.ipynb"))
    check(described, "get", "folder", lab.get("folder", path="work"))
    grid = {"path": "work/train.ipynb", "grid": {"epochs": "1..3"}}
    check(described, "post", "sweep", lab.ask("POST", "sweep", body=grid))
    body = {"path": "work/train.ipynb", "typed": {"epochs": "5"}}
    check(described, "post", "check", lab.ask("POST", "check", body=body))
    check(described, "post", "jobs", lab.submit({"path": "work/train.ipynb", "anyway": True}), status=201)


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "inspect", 400), ("GET", "jobs/gone", 404)])
def test_refusals(described: Any, lab: Lab, peer: Peer, method: str, path: str, status: int) -> None:
    where = path.replace("gone", "{job_id}")
    check(described, method.lower(), where, lab.ask(method, path), status=status)


def test_the_keys_of_a_submission_are_those_that_are_taken() -> None:
    from aiinfn_hub.contract.jobs import JobRequest
    from aiinfn_lab.submission import job_request

    taken = (set(JobRequest.model_fields) - {"work"}) | job_request._OF_THE_WORK
    assert set(openapi()["components"]["schemas"]["Submission"]["properties"]) == taken
