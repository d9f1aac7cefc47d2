"""Outputs of cells are merged as JupyterLab merges them."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_output

from aiinfn_lab.runner.outputs import Outputs, Stream

PIECES = st.lists(st.text(st.sampled_from("ab\n\r\b"), max_size=12), max_size=12)


def jupyterlab(pieces: list[str]) -> str:
    """What JupyterLab's OutputAreaModel makes of text: the rules of its `processText`, character by character."""
    text, cursor = "", 0
    for character in "".join(pieces):
        if character == "\n":
            text += "\n"
            cursor = len(text)
        elif character == "\r":
            cursor = text.rfind("\n", 0, cursor) + 1
        elif character == "\b":
            if cursor > 0 and text[cursor - 1] != "\n":
                text = text[: cursor - 1] + text[cursor:]
                cursor -= 1
        else:
            text = text[:cursor] + character + text[cursor + 1 :]
            cursor += 1
    return text


@given(PIECES)
def test_control_characters_do_what_they_do_in_jupyterlab(pieces: list[Any]) -> None:
    stream = Stream("stdout")
    for number, piece in enumerate(pieces):
        stream.add(piece)
        if number % 3 == 0:
            stream.render()
    stream.render()
    assert stream.node["text"] == jupyterlab(pieces)


@pytest.fixture
def cell() -> Any:
    make: Any = new_code_cell
    return make("1")


def texts(cell: Any) -> list[str]:
    return [output.get("text") or output["data"]["text/plain"] for output in cell.outputs]


def shown(text: str) -> Any:
    make: Any = new_output
    return make("display_data", data={"text/plain": text})


def test_neighbours_on_one_stream_are_one_output(cell: Any) -> None:
    outputs = Outputs()
    area = outputs.of_cell(cell)
    for name, text in [("stdout", "a"), ("stdout", "b"), ("stderr", "c"), ("stdout", "d"), ("stdout", "e")]:
        area.write(name, text)
    area.add(shown("f"))
    area.write("stdout", "g")
    outputs.render()
    assert texts(cell) == ["ab", "c", "de", "f", "g"]


def test_what_was_cleared_is_not_written_to_again(cell: Any) -> None:
    outputs = Outputs()
    area = outputs.of_cell(cell)
    area.write("stdout", "a")
    area.clear(wait=True)
    outputs.render()
    assert texts(cell) == ["a"]
    area.write("stdout", "b")
    area.add(shown("c"), "id")
    area.clear(wait=False)
    area.write("stdout", "d")
    outputs.update("id", shown("e"))
    outputs.render()
    assert texts(cell) == ["d"]


def test_an_update_reaches_every_output_of_its_id(cell: Any) -> None:
    outputs = Outputs()
    area, other = outputs.of_cell(cell), outputs.of_cell(new_code_cell("2"))
    area.add(shown("a"), "id")
    area.write("stdout", "b")
    other.add(shown("c"), "id")
    outputs.update("id", shown("d"))
    outputs.render()
    assert texts(cell) == ["d", "b"]


def test_a_million_lines_cost_no_more_than_their_number(cell: Any) -> None:
    def seconds(lines: int) -> float:
        outputs = Outputs()
        area = outputs.of_cell(cell)
        began = time.process_time()
        for n in range(lines):
            area.write("stdout", f"{n}\n")
            area.write("stderr", f"\r{n}") if n % 1000 == 0 else None
        outputs.render()
        return time.process_time() - began

    # Of a quadratic cost it would be a hundred times as much.
    assert seconds(300_000) < 40 * max(seconds(30_000), 0.01)
