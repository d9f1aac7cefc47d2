"""Parameters read from the text of their cell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aiinfn_lab.submission.parameters import read


def one(source: str) -> Any:
    (parameter,), note = read(source)
    assert note == ""
    assert json.loads(json.dumps(parameter.as_json())) == parameter.as_json()
    return parameter


@pytest.mark.parametrize(
    ("source", "kind", "default"),
    [
        ("x = 1", "int", 1),
        ("x = -0.5", "float", -0.5),
        ("x = 1e-3", "float", 0.001),
        ("x = True", "bool", True),
        ("x = 'a' 'b'", "str", "ab"),
        ("x = None", "none", None),
        ("x = [1, 'a', None]", "list", [1, "a", None]),
        ("x = (1, 2)", "list", {"$tuple": [1, 2]}),
        ("x = {'a': [1]}", "dict", {"a": [1]}),
        ("x: float = 1", "float", 1),
        ("x: int = None", "int", None),
        ("x: Path = None", "none", None),
        ("x = 1  # type: float", "float", 1),
        ("x = 2 ** 60", "unknown", None),
        ("x = 1152921504606846976", "int", {"$int": "1152921504606846976"}),
        ("x = 1e999", "float", {"$float": "inf"}),
        ("x = not True", "bool", False),
        ("x = 2 * 1.5", "float", 3.0),
        ("x = float('inf')", "float", {"$float": "inf"}),
        ("x = -np.inf", "float", {"$float": "-inf"}),
        ("x = 1 / 0", "unknown", None),
        ("x = {1: 2}", "unknown", None),
        ("x = {1, 2}", "unknown", None),
        ("x = b'1'", "unknown", None),
        ("x = 1 + 2j", "unknown", None),
        ("x = f'{y}'", "unknown", None),
        ("x = open('/etc/passwd').read()", "unknown", None),
        ("x = {**y}", "unknown", None),
        ("x = [y]", "unknown", None),
    ],
)
def test_the_type_is_that_of_the_literal(source: str, kind: str, default: Any) -> None:
    parameter = one(source)
    assert (parameter.name, parameter.type, parameter.default) == ("x", kind, default)


def test_the_source_is_as_written() -> None:
    assert one("x = [ 1,2 ]  # é").source == "[ 1,2 ]"
    assert one("é = 'ü'").source == "'ü'"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("x = 1  # passes", "passes"),
        ("x = 1  # type: int passes", "passes"),
        ("# above\nx = 1", "above"),
        ("# above\nx = 1  # behind", "behind"),
        ("# far\n\nx = 1", ""),
        ("y.z = 1  # of another\nx = 1", ""),
        ("x = [  # first\n  1,\n]  # last", "last"),
        ("x = '# no comment'", ""),
    ],
)
def test_the_help_is_the_comment(source: str, text: str) -> None:
    assert one(source).help == text


def test_what_is_no_plain_assignment_is_left_out() -> None:
    source = "import os\na, b = 1, 2\nc.d = 1\ne = f = 3\ng += 1\nh: int\nif True:\n    i = 1\ndef j(): k = 1\nx = 1\n"
    assert one(source).name == "x"


def test_the_last_assignment_counts_in_the_place_of_the_first() -> None:
    parameters, _ = read("a = 1\nb = 2\na = 'z'")
    assert [(parameter.name, parameter.default) for parameter in parameters] == [("a", "z"), ("b", 2)]


def test_magics_are_passed_over() -> None:
    assert one("%matplotlib inline\n!ls\nx = 1").default == 1


@pytest.mark.parametrize("source", ["x = ", "x = (\n", "\tx=1\n y=2", "x = '\\ud8", "for", "x = 1\0"])
def test_what_is_no_python_gives_a_sentence(source: str) -> None:
    parameters, note = read(source)
    assert parameters == []
    assert note.endswith(".")


@pytest.mark.parametrize(
    "source",
    [
        "x = " + "(" * 5000,
        "x = " + "-" * 50_000 + "1",
        "x = " + "[" * 90 + "]" * 90,
        "x = " + "1+" * 3000 + "1",
    ],
)
def test_a_monster_is_survived(source: str) -> None:
    parameters, note = read(source)
    assert parameters or note


def test_nothing_is_executed(tmp_path: Path) -> None:
    read(f"x = open({str(tmp_path / 'made')!r}, 'w')")
    assert not (tmp_path / "made").exists()


def test_an_empty_cell_has_no_parameters() -> None:
    assert read("") == ([], "")
    assert read("# nothing\n") == ([], "")
