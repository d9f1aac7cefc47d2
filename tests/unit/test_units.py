"""Durations and memory quantities."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiinfn_hub.contract.units import (
    format_duration,
    format_quantity,
    parse_duration,
    parse_quantity,
)


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("90m", timedelta(minutes=90)),
        ("1h30m", timedelta(minutes=90)),
        ("2d", timedelta(days=2)),
        (45, timedelta(seconds=45)),
        (timedelta(hours=1), timedelta(hours=1)),
    ],
)
def test_durations_are_read_as_people_write_them(text: Any, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    "text",
    [
        "",
        "h",
        "1 h",
        "30m1h",
        "-1h",
        "0s",
        0,
        -5,
        True,
        None,
        [],
        "1h\n",
        "9" * 30 + "d",
        "9" * 18 + "d",
        float("nan"),
        float("inf"),
    ],
)
def test_what_is_no_positive_duration_is_refused(text: Any) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_duration(text)


@given(st.integers(min_value=1, max_value=10**9))
def test_a_written_duration_reads_back(seconds: int) -> None:
    assert parse_duration(format_duration(timedelta(seconds=seconds))) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("text", "size"), [("16Gi", 2**34), ("1.5Gi", 3 * 2**29), ("500M", 5 * 10**8), ("1024", 1024), (7, 7)]
)
def test_memory_is_read_as_kubernetes_writes_it(text: int | str, size: int) -> None:
    assert parse_quantity(text) == size


@pytest.mark.parametrize("text", ["", "Gi", "-1Gi", "0", "1 Gi", "1GB", "1e3", True, None, "1Gi\n", "9" * 40])
def test_what_is_no_memory_size_is_refused(text: bool | str | None) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_quantity(text)


@given(st.integers(min_value=1, max_value=2**60))
def test_a_written_quantity_reads_back(size: int) -> None:
    assert parse_quantity(format_quantity(size)) == size
