"""Values of parameters as they are typed on a command line."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiinfn_hub.platform.refusal import Refusal
from aiinfn_lab import parameters, values
from aiinfn_lab.values import Typed


def parameter(source):
    return parameters.read(f"x = {source}")[0][0]


@pytest.mark.parametrize(
    ("default", "typed", "value"),
    [
        ("'a'", "20", "20"),
        ("'a'", " b ", " b "),
        ("'a'", "", ""),
        ("True", "false", False),
        ("True", "True", True),
        ("10", "20", 20),
        ("10", " +20 ", 20),
        ("0.1", "1e-3", 0.001),
        ("0.1", ".5", 0.5),
        ("0.1", "3", 3),
        ("[1]", "[1, 2]", [1, 2]),
        ("{}", '{"a": [1]}', {"a": [1]}),
        ("None", "20", 20),
        ("None", "true", True),
        ("None", "null", None),
        ("None", "'a'", "'a'"),
        ("None", "run 7", "run 7"),
        ("None", '"7"', "7"),
        ("f()", "[1", "[1"),
        ("None", "NaN", "NaN"),
    ],
)
def test_the_parameter_says_what_was_meant(default, typed, value):
    found = values.read(parameter(default), typed)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("default", "typed", "words"),
    [
        ("True", "yes", "must be true or false"),
        ("10", "2.5", "must be a whole number"),
        ("10", "9007199254740993", "must be a whole number"),
        ("10", "9" * 5000, "must be a whole number"),
        ("0.1", "fast", "must be a number"),
        ("0.1", "1e999", "must be a number"),
        ("0.1", "1_0", "must be a number"),
        ("0.1", "inf", "must be a number"),
        ("[1]", "1, 2", "must be a list"),
        ("{}", "[]", "must be pairs"),
    ],
)
def test_what_does_not_fit_is_refused_with_an_example(default, typed, words):
    with pytest.raises(Refusal) as told:
        values.read(parameter(default), typed)
    assert words in told.value.message
    assert "Write for example x=" in told.value.hint


def test_values_from_python_stay_as_they_are():
    known = [parameter("10")]
    given_values = {"x": 2.5, "y": Typed("1")}
    assert values.read_all(given_values, known) == given_values
    assert values.read_all({"x": Typed("3")}, known) == {"x": 3}


JSON = st.one_of(
    st.booleans(),
    st.integers(-(2**53) + 1, 2**53 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8"), min_size=1),
    st.lists(st.integers(0, 9) | st.booleans()),
    st.dictionaries(st.text(st.characters(codec="ascii")), st.integers(0, 9)),
)


@given(JSON)
def test_a_value_that_is_typed_as_json_is_that_value(value):
    known = parameter(repr(value))
    typed = value if isinstance(value, str) else json.dumps(value)
    if known.type != "unknown":
        assert values.read(known, typed) == value
        assert parameters.check({"x": values.read(known, typed)}, [known], "") == {"x": value}
