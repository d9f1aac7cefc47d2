"""The runner reads a notebook as submission does, and its kernel knows the place of the notebook."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.lab.runner.conftest import Run


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_notebook_in_an_encoding_of_json_runs(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]], encoding: str
) -> None:
    run = start("odd.ipynb", json.dumps(notebook("print('perché')"), ensure_ascii=False).encode(encoding))
    assert run.finish() == 0
    assert "perché\n" in run.texts()
    # What it makes is what JupyterLab opens.
    assert run.output.read_bytes().startswith(b"{")


def test_a_notebook_that_lacks_what_may_be_missing_runs(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]]
) -> None:
    content = notebook("x = 1", "print(x)", tagged=True)
    content["cells"][1] = {"cell_type": "code", "source": ["print(x)"]}
    content["cells"].append({**content["cells"][0], "source": "print('again')"})
    content.pop("nbformat_minor", None)
    run = start("odd.ipynb", content, parameters={"x": {"$tuple": [1, {"$float": "inf"}]}})
    assert run.finish() == 0
    assert "(1, inf)" in run.texts()
    identities = [cell.get("id") for cell in run.notebook["cells"]]
    assert len(set(identities)) == len(identities)


def test_what_is_no_notebook_is_told_in_the_words_of_the_check(start: Callable[..., Run], home: Path) -> None:
    run = start("odd.ipynb", "print('perché')".encode("latin-1"))
    assert run.finish() == 2
    assert run.error.message.startswith("'odd.ipynb' is not a notebook: its text")


def test_the_kernel_knows_the_notebook_by_its_own_place(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]], home: Path
) -> None:
    run = start(
        "work/here.ipynb",
        notebook("print(__session__)\nprint(get_ipython().run_line_magic('pwd', ''))\n1 / 0"),
    )
    assert run.finish() == 1
    assert run.texts() == f"{home / 'work/here.ipynb'}\n{home / 'work'}\n"
    for text in (run.log, run.errors, run.output.read_text()):
        assert ".aiinfn" not in text


def test_the_values_of_an_earlier_run_stay_where_none_are_given(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]]
) -> None:
    content = notebook("a = 1\nb = 1\nc = 1", "", "print(a, b, c)", tagged=True)
    content["cells"][1]["source"] = '# Parameters\na = 50\nb = """two\n\n# lines"""\n'
    content["cells"][1]["metadata"]["tags"] = ["injected-parameters"]
    run = start("again.ipynb", content, parameters={"a": 7})
    assert run.finish() == 0
    assert run.texts() == "7 two\n\n# lines 1\n"
    (cell,) = [
        cell for cell in run.notebook["cells"] if "injected-parameters" in cell["metadata"].get("tags", [])
    ]
    assert "".join(cell["source"]).count("a = ") == 1
