"""Requests of the contract are strict, answers are tolerant, whichever model comes to it."""

import importlib
import json
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from enum import Enum
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel, ValidationError

from aiinfn_hub import contract
from aiinfn_hub.contract.base import Answer, Request
from aiinfn_hub.contract.jobs import Job, JobDescription, JobRequest, RunSpec, Work
from aiinfn_hub.contract.states import JobState
from tests.newer import answers

PLAIN = [
    "constants",
    "languages",
    "paths",
    "posix_accounts",
    "private_kernels",
    "problem",
    "records",
    "values",
]


def _models() -> Iterator[Any]:
    for module in pkgutil.iter_modules(contract.__path__):
        found = importlib.import_module(f"{contract.__name__}.{module.name}")
        for model in vars(found).values():
            if (
                isinstance(model, type)
                and issubclass(model, BaseModel)
                and model.__module__ == found.__name__
            ):
                yield model


MODELS = [model for model in _models() if model not in {Answer, Request, JobDescription}]
"""Without what requests and answers have in common."""


def _parts(annotation: Any) -> Iterator[Any]:
    """The models and closed sets that an annotation names, without those that are one side of an open set."""
    arguments = get_args(annotation)
    if get_origin(annotation) is Literal or (
        isinstance(annotation, type) and issubclass(annotation, (BaseModel, Enum))
    ):
        yield annotation
    elif str not in arguments:
        for argument in arguments:
            yield from _parts(argument)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_each_model_is_a_request_or_an_answer_through_and_through(model: type[Any]) -> None:
    (kind,) = {Answer, Request} & set(model.__mro__)
    for name, field in model.model_fields.items():
        for part in _parts(field.annotation):
            if isinstance(part, type) and issubclass(part, BaseModel):
                assert issubclass(part, kind), f"{model.__name__}.{name}"
            elif model.__name__ != "RunnerRecord":  # vkd takes no record that it does not know
                assert kind is Request, f"{model.__name__}.{name} is a closed set in an answer"


def test_a_request_with_an_unknown_key_is_refused() -> None:
    work = {"kind": "script", "path": "a.py", "snapshot": ".aiinfn/jobs/a/a.py"}
    JobRequest.model_validate({"work": work})
    for wrong in (
        {"work": work, "colour": 1},
        {"work": {**work, "colour": 1}},
        {"work": {**work, "kind": "qpu"}},
    ):
        with pytest.raises(ValidationError):
            JobRequest.model_validate(wrong)


def test_an_answer_keeps_known_words_as_members_of_their_set_and_others_as_text() -> None:
    job = answers()["jobs/j1"]
    assert Job.model_validate(job).state == "dreaming"
    for state in JobState:
        assert Job.model_validate_json(json.dumps({**job, "state": state})).state is state


def test_a_run_of_a_newer_platform_is_read() -> None:
    spec = {"job": "a", "attempt": 1, "home": "/h", "output": "o", "colour": 1}
    work = {"kind": "qpu", "path": "a.q", "snapshot": ".aiinfn/jobs/a/a.q", "colour": 1}
    assert RunSpec.model_validate({**spec, "work": work}).work == Work(
        kind="qpu",
        path="a.q",
        snapshot=work["snapshot"],  # type: ignore[arg-type]
    )


def test_what_a_session_needs_of_the_contract_loads_no_pydantic() -> None:
    names = ", ".join(f"aiinfn_hub.contract.{name}" for name in PLAIN)
    code = f"import {names}, aiinfn_lab.handlers, sys; print([name for name in sys.modules if name.startswith('pydantic')])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"
