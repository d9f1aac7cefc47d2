"""The published APIs: their descriptions are current, and their names good.

To renew the descriptions: ``UPDATE_GOLDEN=1 pytest tests/unit/test_contract_names.py``.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from aiinfn_hub.vkd.app import openapi as vkd
from aiinfn_lab.openapi import openapi as lab

ROOT = Path(__file__).parents[2]
APIS = {"docs/api/vkd.json": vkd, "docs/api/lab.json": lab}


def current(path: str) -> Any:
    return json.loads(json.dumps(APIS[path]()))


@pytest.mark.parametrize("path", APIS)
def test_the_published_description_is_current(path: str) -> None:
    made = json.dumps(current(path), indent=1, ensure_ascii=False) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        (ROOT / path).write_text(made)
    assert (ROOT / path).read_text() == made


@pytest.mark.parametrize("path", APIS)
def test_names_are_plain_and_no_operation_has_anothers(path: str) -> None:
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


def test_the_lab_describes_every_verb_that_it_has_and_no_other() -> None:
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
