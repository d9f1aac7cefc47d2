"""The points of a sweep, out of what people type."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiinfn_hub.contract.problem import Refusal
from aiinfn_lab.submission import sweep
from aiinfn_lab.submission.parameters import Parameter

KNOWN = [
    Parameter("lr", "float", 0.1, "0.1", ""),
    Parameter("seed", "int", 1, "1", ""),
    Parameter("optimiser", "str", "adam", "'adam'", ""),
    Parameter("fast", "bool", False, "False", ""),
    Parameter("layers", "list", [], "[]", ""),
    Parameter("what", "unknown", None, "make()", ""),
]


@pytest.mark.parametrize(
    ("name", "typed", "values"),
    [
        ("seed", "1, 2,5", [1, 2, 5]),
        ("seed", "1..4", [1, 2, 3, 4]),
        ("seed", "4..1", [4, 3, 2, 1]),
        ("seed", "0..10..5", [0, 5, 10]),
        ("seed", "-2..2..2, 7", [-2, 0, 2, 7]),
        ("seed", "3, 3, 3", [3]),
        ("lr", "lin(0, 1, 5)", [0, 0.25, 0.5, 0.75, 1]),
        ("seed", "0.5, 1", [0.5, 1]),
        ("lr", "1e-3, inf", [0.001, {"$float": "inf"}]),
        ("optimiser", "don't, 'it\\'s, x'", ["don't", "it's, x"]),
        ("what", "None, (1, 2), 1_000", [None, {"$tuple": [1, 2]}, 1000]),
        ("lr", "log(1e-4, 1e-1, 4)", [1e-4, 1e-3, 1e-2, 1e-1]),
        ("lr", "lin(0.3,9,1)", [0.3]),
        ("lr", "1, 0.5, lin(2, 3, 2)", [1, 0.5, 2, 3]),
        ("optimiser", "adam, 'a, b', \"sgd\"", ["adam", "a, b", "sgd"]),
        ("fast", "true, False", [True, False]),
        ("layers", "[1, 2], [3]", [[1, 2], [3]]),
        ("what", '1, x, "y"', [1, "x", "y"]),
        ("unheard_of", "1, text", [1, "text"]),
    ],
)
def test_a_value_is_read_as_its_parameter_says(name: str, typed: str, values: list[Any]) -> None:
    assert [point[name] for point in sweep.grid({name: typed}, KNOWN)] == values


def test_a_grid_gives_every_combination_and_the_last_name_varies_fastest() -> None:
    points = sweep.grid({"lr": "0.1, 0.2", "seed": "1..2"}, KNOWN)
    assert points == [
        {"lr": 0.1, "seed": 1},
        {"lr": 0.1, "seed": 2},
        {"lr": 0.2, "seed": 1},
        {"lr": 0.2, "seed": 2},
    ]


def test_numbers_at_equal_distances_over_the_whole_range_of_floats() -> None:
    points = sweep.grid({"lr": "lin(-1.7e308, 1.7e308, 3)"}, KNOWN)
    assert [point["lr"] for point in points] == [-1.7e308, 0.0, 1.7e308]


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({}, "A sweep needs at least one parameter"),
        ({"seed": ""}, "'seed' has no values"),
        ({"seed": " , "}, "'seed' has no values"),
        ({"seed": "a"}, "must be a number"),
        ({"lr": "1e-3, 1e400"}, "larger than Python's can be"),
        ({"lr": "0.1, -1e400"}, "larger than Python's can be"),
        ({"layers": "[-1e400, None]"}, "larger than Python's can be"),
        ({"seed": "1..4..0"}, "has no step"),
        ({"lr": "log(0, 1, 3)"}, "ratios need numbers above 0"),
        ({"lr": "lin(0, 1, 0)"}, "gives no values"),
        ({"seed": "1..1001"}, "That makes 1,001 points; a sweep has at most 1,000."),
        ({"seed": "1..999999999999999"}, "a sweep has at most 1,000"),
        ({"lr": "lin(0, 1, 100)", "seed": "1..11"}, "That makes 1,100 points"),
    ],
)
def test_what_makes_no_sweep_is_refused_with_what_to_write(typed: dict[str, Any], words: str) -> None:
    with pytest.raises(Refusal) as refused:
        sweep.grid(typed, KNOWN)
    assert words in refused.value.message
    assert refused.value.hint
    assert refused.value.field


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=30), max_size=4))
def test_whatever_is_typed_gives_points_or_a_refusal(typed: dict[str, Any]) -> None:
    try:
        points = sweep.grid(typed, KNOWN)
    except Refusal:
        return
    assert 1 <= len(points) <= 1000
    assert all(point.keys() == typed.keys() for point in points)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table_is_read_whatever_separates_it(separator: str) -> None:
    text = separator.join(["lr", "seed", "optimiser"]) + "\n"
    text += separator.join(["0.1", "3", "adam"]) + "\r\n\n" + separator.join(["0.2", "4", "sgd"]) + "\n"
    assert sweep.table(text, KNOWN) == [
        {"lr": 0.1, "seed": 3, "optimiser": "adam"},
        {"lr": 0.2, "seed": 4, "optimiser": "sgd"},
    ]


@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("lr,seed\n0.1,1\n", [{"lr": 0.1, "seed": 1}]),
        ("lr\tlayers\n0.1\t[1, 2]\n", [{"lr": 0.1, "layers": [1, 2]}]),
        ("optimiser,layers\n\"a,b\",['x']\n", [{"optimiser": "a,b", "layers": ["x"]}]),
        ('optimiser\n""" \\"""""\n1\n', [{"optimiser": ' "'}, {"optimiser": "1"}]),
        ('word\n"""1"""\nsgd\nTrue\n', [{"word": "1"}, {"word": "sgd"}, {"word": True}]),
    ],
)
def test_a_table_that_the_dialog_writes_gives_the_same_points(
    text: str, points: list[dict[str, Any]]
) -> None:
    # The same texts as in labextension/src/__tests__/again.spec.ts.
    assert sweep.table(text, KNOWN) == points


@pytest.mark.parametrize(
    ("text", "points"),
    [
        # As spreadsheets of countries where numbers have a comma write it: byte order mark, semicolons, CRLF.
        (
            "\ufefflr;seed;optimiser\r\n0,1;1;a,b\r\n0,25;2;0,5\r\n",
            [{"lr": 0.1, "seed": 1, "optimiser": "a,b"}, {"lr": 0.25, "seed": 2, "optimiser": "0,5"}],
        ),
        ("what;n\n1,5;2\n", [{"what": 1.5, "n": 2}]),
        # An empty cell is the notebook's own value.
        (
            'lr,optimiser,what,fast\n0.1,a,,True\n0.2,"b, c",None,false\n,d,5,\n',
            [
                {"lr": 0.1, "optimiser": "a", "fast": True},
                {"lr": 0.2, "optimiser": "b, c", "what": None, "fast": False},
                {"optimiser": "d", "what": 5},
            ],
        ),
        ("optimiser,seed\n'',1\n", [{"optimiser": "", "seed": 1}]),
        ("lr\n0.1\n\n0.2\n", [{"lr": 0.1}, {"lr": 0.2}]),
        # The line by which spreadsheets are told what stands between the values.
        ("sep=;\r\nlr;seed\r\n0,5;2\r\n", [{"lr": 0.5, "seed": 2}]),
        ('"sep=|"\nlr|seed\n0.5|2\n', [{"lr": 0.5, "seed": 2}]),
    ],
)
def test_tables_of_spreadsheets_are_read(text: str, points: list[dict[str, Any]]) -> None:
    assert sweep.table(text, KNOWN) == points
    assert sweep.table(sweep.from_bytes(text.encode("utf-8-sig")), KNOWN) == points
    assert sweep.table(sweep.from_bytes(text.encode("utf-16")), KNOWN) == points


def test_values_and_points_of_python_are_taken_whatever_holds_them() -> None:
    np = pytest.importorskip("numpy")
    assert sweep.grid({"lr": np.linspace(0, 1, 3), "seed": range(2)}, KNOWN)[1] == {"lr": 0, "seed": 1}
    assert [point["lr"] for point in sweep.grid({"lr": map(float, "123")}, KNOWN)] == [1, 2, 3]  # type: ignore[dict-item]
    assert [point["lr"] for point in sweep.grid({"lr": (0.1, np.float32(0.5))}, KNOWN)] == [0.1, 0.5]

    class DataFrame:
        columns = ("lr",)

        def to_dict(self, orient: Any) -> dict[str, Any] | list[dict[str, Any]]:
            return [{"lr": np.float64(0.5)}, {"lr": float("nan")}] if orient == "records" else {}

    assert sweep.points(DataFrame()) == [{"lr": 0.5}, {"lr": {"$float": "nan"}}]


@pytest.mark.parametrize("given_points", [5, [], [1], ["ab"], [{1: 2}], [{"a": {1}}], iter([None])])
def test_points_that_are_none_are_refused(given_points: Any) -> None:
    with pytest.raises(Refusal) as refused:
        sweep.points(given_points)
    assert refused.value.hint


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "The table has no points."),
        ("lr,seed\n", "The table has no points."),
        ("lr,lr\n1,2\n", "a different name in each column"),
        ("lr,\n1,2\n", "a different name in each column"),
        ("lr,seed\n0.1,1\n0.2\n", "Line 3 of the table has 1 values for 2 names."),
        ("lr,seed\n0.1,x\n", "Line 2 of the table: The parameter 'seed' must be a number."),
        ("seed\n" + "1\n" * 1001, "at most 1,000"),
    ],
)
def test_what_is_no_table_is_refused_with_its_line(text: str, words: str) -> None:
    with pytest.raises(Refusal) as refused:
        sweep.table(text, KNOWN)
    assert words in refused.value.message


@given(st.text(max_size=200))
def test_whatever_text_gives_points_or_a_refusal(text: str) -> None:
    with contextlib.suppress(Refusal):
        assert 1 <= len(sweep.table(text, KNOWN)) <= 1000
