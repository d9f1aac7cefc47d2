"""Values of parameters: what is typed, and what Python code passes."""

import contextlib
import json
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import IntEnum, StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiinfn_hub.contract.problem import Refusal
from aiinfn_hub.contract.values import as_argument, as_python, decode
from aiinfn_lab.submission import (
    literals,
    parameters,
    sweep,
    values,
)
from aiinfn_lab.submission.values import Typed

CASES = json.loads(Path(__file__).parents[1].joinpath("cases/values.json").read_text())


def parameter(source: str) -> Any:
    return parameters.read(f"x = {source}")[0][0]


@pytest.mark.parametrize(("default", "typed", "value", "written"), CASES["read"])
def test_what_is_typed_is_read_as_python_would_and_shown_so(
    default: str, typed: str, value: Any, written: str
) -> None:
    known = parameter(default)
    found = values.read(known, typed)
    assert json.dumps(found) == json.dumps(value)
    assert as_python(found) == written
    assert repr(decode(json.loads(json.dumps(found)))) == written
    # What was read is taken by the check that everything passes through, and stays what it is.
    assert json.dumps(parameters.check({"x": found}, [known], "")) == json.dumps({"x": value})


@pytest.mark.parametrize(("default", "typed", "words"), CASES["refused"])
def test_what_does_not_fit_is_refused_with_an_example(default: str, typed: str, words: str) -> None:
    with pytest.raises(Refusal) as told:
        values.read(parameter(default), typed)
    assert words in told.value.message
    assert "Write for example x=" in told.value.hint
    assert told.value.field == "parameters.x"


@pytest.mark.parametrize(("default", "typed", "value", "written"), CASES["read"])
def test_a_sweep_and_a_table_read_by_the_same_rule(
    default: str, typed: str, value: Any, written: str
) -> None:
    known = [parameter(default)]
    if typed.strip() and "," not in typed:
        assert json.dumps(sweep.grid({"x": typed}, known)[0]["x"]) in {
            json.dumps(value),
            json.dumps(value.strip() if isinstance(value, str) else value),
        }
    cell = '"' + typed.replace('"', '""') + '"'
    if typed.strip():
        (point, _) = sweep.table(f"x,y\n{cell},1\n,1\n", known)
        assert json.dumps(point["x"]) == json.dumps(value.strip() if isinstance(value, str) else value)


@pytest.mark.parametrize("digits", ["9" * 5000, "9" * 1001, "0x" + "f" * 4000])
def test_a_number_of_thousands_of_digits_is_refused(digits: str) -> None:
    with pytest.raises(Refusal):
        values.read(parameter("10"), digits)
    with pytest.raises(Refusal):
        literals.encode(10**1200, "x")


@pytest.mark.parametrize(
    ("source", "kind", "nullable"),
    [
        ("x: 'float | None' = None", "float", True),
        ("x: Optional[int] = 3", "int", True),
        ("x: typing.Optional[str] = None", "str", True),
        ("x: str | None = 'a'", "str", True),
        ("x: str = 'a'", "str", False),
        ("x: int | str = 3", "int", False),
        ("x: Path | None = None", "none", True),
    ],
)
def test_an_annotation_says_what_a_parameter_takes(source: str, kind: str, nullable: bool) -> None:
    (found,), _ = parameters.read(source)
    assert (found.type, found.nullable) == (kind, nullable)
    if nullable:
        assert values.read(found, "None") is None


def test_values_from_python_and_typed_ones_go_together() -> None:
    known = [parameter("10")]
    assert values.read_all({"x": 2.5, "y": Typed("1")}, known) == {"x": 2.5, "y": 1}
    assert values.read_all({"x": Typed("3")}, known) == {"x": 3}


class Colour(StrEnum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


class Breaks:
    @property
    def shape(self) -> None:
        raise RuntimeError("no")


@dataclass
class Config:
    lr: float = 0.1


def of_numpy() -> list[tuple[Any, ...]]:
    np = pytest.importorskip("numpy")
    return [
        (np.int64(3), 3),
        (np.float32(0.5), 0.5),
        (np.float64("inf"), {"$float": "inf"}),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.array([1, 2]), [1, 2]),
        (np.array(2.5), 2.5),
        (np.array([[np.nan]]), [[{"$float": "nan"}]]),
    ]


def test_scalars_and_arrays_of_numpy_are_numbers_and_lists() -> None:
    for given_value, wire in of_numpy():
        found = literals.encode(given_value, "x")
        assert json.dumps(found, allow_nan=False) == json.dumps(wire)


def test_a_series_is_a_list_and_a_frame_is_refused() -> None:
    class Series:
        """As pandas has it."""

        shape = (2,)

        def tolist(self) -> list[int]:
            return [1, 2]

    class DataFrame:
        shape = (2, 1)

    assert literals.encode(Series(), "x") == [1, 2]
    with pytest.raises(Refusal, match="DataFrame") as told:
        literals.encode(DataFrame(), "x")
    assert "file" in told.value.hint


@pytest.mark.parametrize(
    ("given_value", "wire"),
    [
        (Path("/data/x"), "/data/x"),
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        ((1, [2]), {"$tuple": [1, [2]]}),
        (range(3), [0, 1, 2]),
        (float("nan"), {"$float": "nan"}),
        (2**60, {"$int": str(2**60)}),
        ({"a": {"b": None}}, {"a": {"b": None}}),
        ({"$float": "inf"}, {"$float": "inf"}),
        ({"$float": "x"}, {"$float": "x"}),
    ],
)
def test_objects_of_python_are_sent_as_what_they_stand_for(given_value: Any, wire: Any) -> None:
    assert literals.encode(given_value, "x") == wire
    json.dumps(wire, allow_nan=False)


CYCLE: list[object] = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    "given_value",
    [
        date(2026, 11, 28),
        Decimal("0.1"),
        Fraction(1, 3),
        {1, 2},
        b"x",
        1 + 2j,
        object(),
        Config(),
        Breaks(),
        len,
        int,
        {1: 2},
        "\ud800",
        ["\ud800"],
        CYCLE,
        10**2000,
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_passed_on_is_refused_in_a_sentence(given_value: Any) -> None:
    for attempt in (
        lambda: literals.encode(given_value, "x", "parameters.x"),
        lambda: parameters.check({"x": given_value}, [parameter("None")], ""),
        lambda: sweep.grid({"x": [given_value]}, [parameter("None")]),
        lambda: sweep.points([{"x": given_value}]),
    ):
        with pytest.raises(Refusal) as told:
            attempt()
        assert "cannot be passed on" in told.value.message
        assert told.value.hint.endswith(".")


def test_a_script_gets_values_as_its_own_parser_reads_them() -> None:
    found = [
        as_argument(value) for value in (True, None, 0.5, "a b", {"$float": "inf"}, {"$int": str(2**60)})
    ]
    assert found == ["true", "None", "0.5", "a b", "inf", str(2**60)]


PYTHON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(
            st.text(st.characters(codec="utf-8"), max_size=4).filter(lambda name: name[:1] != "$"),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(PYTHON)
def test_what_python_passes_arrives_as_it_was_by_every_way(value: Any) -> None:
    wire = literals.encode(value, "x")
    sent = json.loads(json.dumps(wire, allow_nan=False))
    assert repr(decode(sent)) == repr(value)
    # Python's own text of it is read as the same value again, as somebody who copies it from the screen expects.
    assert as_python(literals.parse(as_python(wire))) == as_python(wire)
    assert literals.encode(sent, "x") == wire


@given(st.text(max_size=60), st.sampled_from(["'a'", "True", "1", "0.5", "[1]", "{}", "None", "f()"]))
def test_whatever_is_typed_gives_a_value_or_a_refusal(text: str, default: str) -> None:
    with contextlib.suppress(Refusal):
        json.dumps(values.read(parameter(default), text), allow_nan=False)
