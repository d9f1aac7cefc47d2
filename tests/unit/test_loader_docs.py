"""The documentation and the schemas of the platform file are those of the models.

To renew them: ``UPDATE_GOLDEN=1 pytest tests/unit/test_loader_docs.py``.
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from aiinfn_hub.cli.main import main
from aiinfn_hub.platform.loading import schema
from aiinfn_hub.platform.model.platform import Platform

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples/platforms").glob("*.yaml"))
WHOLE = Draft202012Validator(schema.json_schema())
PART = Draft202012Validator(schema.json_schema(overlay=True))
MODELS = schema.models()


@pytest.mark.parametrize(
    ("path", "arguments"),
    [
        ("docs/platform.md", ["docs"]),
        ("docs/schema/platform.json", ["schema"]),
        ("docs/schema/overlay.json", ["schema", "--overlay"]),
    ],
)
def test_what_is_published_is_current(path: str, arguments: list[str]) -> None:
    made = CliRunner().invoke(main, arguments).output
    if os.environ.get("UPDATE_GOLDEN"):
        (ROOT / path).write_text(made)
    assert (ROOT / path).read_text() == made


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_key_says_what_it_means_in_a_sentence(model: type[Any]) -> None:
    assert model.__doc__
    for name, field in model.model_fields.items():
        assert field.description, f"{model.__name__}.{name}"
        assert field.description[0].isupper() or field.description[0] == "`"
        assert field.description.endswith(".")


def test_every_section_and_key_is_documented() -> None:
    text = (ROOT / "docs/platform.md").read_text()
    for model in MODELS:
        for name, field in model.model_fields.items():
            assert f"| `{field.alias or name}` |" in text
    assert set(_sections(Platform)) == set(MODELS)


def _sections(model: type[Any]) -> Iterator[type[Any] | None]:
    yield model
    for field in model.model_fields.values():
        for each in _parts(field.annotation):
            if isinstance(each, type) and issubclass(each, BaseModel):
                yield from _sections(each)


def _parts(annotation: Any) -> list[Any]:
    inner = getattr(annotation, "__args__", ())
    return [annotation, *(part for each in inner for part in _parts(each))]


def test_links_within_the_documentation_have_a_target() -> None:
    text = (ROOT / "docs/platform.md").read_text()
    headings = {
        "".join(c for c in line.lstrip("# ").lower().replace(" ", "-") if c.isalnum() or c in "-_")
        for line in text.splitlines()
        if line.startswith("#")
    }
    assert set(re.findall(r"\]\(#([^)]*)\)", text)) <= headings


def test_the_schemas_are_schemas() -> None:
    for validator in (WHOLE, PART):
        validator.check_schema(validator.schema)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_editors_find_nothing_wrong_with_the_examples(path: Path) -> None:
    text = path.read_text()
    assert list(PART.iter_errors(yaml.safe_load(_without_dates(text)))) == []
    assert "$schema=../../docs/schema/overlay.json" in text.splitlines()[0]


def test_editors_find_nothing_wrong_with_the_demonstration() -> None:
    assert list(WHOLE.iter_errors(yaml.safe_load((ROOT / "platform.yaml").read_text()))) == []


def _without_dates(text: str) -> Any:
    """Editors read a date as text, as the loader does."""
    return re.sub(r"(\d{4}-\d\d-\d\d(T[\d:+]+)?)", r"'\1'", text)


@pytest.mark.parametrize(
    ("change", "whole", "part"),
    [
        ({"acelerators": {}}, False, False),
        ({"sessions": {"backend": "docker"}}, False, False),
        ({"limits": {"accelerators_per_person": -1}}, False, False),
        ({"extends": "base.yaml"}, False, False),
        ({"accelerators": {"T4": {}}}, False, False),
        ({"accelerators": {"t4": {"kind": "gup"}}}, False, False),
        ({"accelerators": {"t4": {"title": "T4"}}}, False, True),
        ({"accelerators": {"t4": None}}, False, True),
        ({"limits": {"session_max": "8h"}}, True, True),
        ({"reservations": {"r": {"from": "2026-12-01"}}}, False, True),
    ],
)
def test_editors_find_what_is_wrong(change: dict[str, Any], whole: bool, part: bool) -> None:
    demonstration = yaml.safe_load((ROOT / "platform.yaml").read_text())
    assert WHOLE.is_valid(demonstration | change) == whole
    assert PART.is_valid(change) == part


def test_defaults_are_written_as_in_the_file() -> None:
    limits = schema.json_schema()["$defs"]["Limits"]["properties"]
    assert limits["session_default"]["default"] == "8h"
    kubernetes = schema.json_schema()["$defs"]["KubernetesSettings"]["properties"]
    assert kubernetes["batch_memory"]["default"] == "4Ti"
    assert json.loads(CliRunner().invoke(main, ["schema"]).output) == schema.json_schema()
