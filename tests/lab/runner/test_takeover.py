"""Jobs that go on from a session's kernel, with real kernels on both sides."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.lab.kernels import own_kernel
from tests.lab.runner.conftest import Run

STATE = ".aiinfn/jobs/0123456789ab/variables.state"


def session(home: Path, content: dict[str, Any], start: int) -> None:
    """Run the cells before one in a kernel, as in a session: their outputs are in the notebook, their variables in the file."""
    state = home / STATE
    state.parent.mkdir(parents=True, exist_ok=True)
    with own_kernel(home) as kernel:
        for number, cell in enumerate(content["cells"][:start], 1):
            if cell["cell_type"] == "code":
                printed = kernel.run(cell["source"])
                cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": printed}]
                cell["execution_count"] = number
        kernel.save(state)


@pytest.fixture
def go_on(start: Callable[..., Run], home: Path) -> Callable[..., Any]:
    """Submit a notebook from one of its cells on."""

    def begin(content: dict[str, Any], cell: int, *, run: bool = True, **more: Any) -> Run:
        if run:
            session(home, content, cell)
        return start("a.ipynb", content, start_cell=cell, state=STATE, **more)

    return begin


def test_only_the_cells_from_there_on_run_and_the_others_keep_what_they_showed(
    go_on: Callable[..., Any], notebook: Callable[..., dict[str, Any]], home: Path
) -> None:
    content = notebook(
        "import os\nopen('trace', 'a').write('1'); x = 20; file = open('trace'); print('first', x)",
        "x += 1; print('second', x)",
        "print('third', 2 * x); open('trace', 'a').write('3')",
        "",
        "print('fourth', x, __name__)",
    )
    content["cells"][1]["metadata"] = {"tags": ["mine"], "papermill": {"status": "failed"}}
    run = go_on(content, 2)
    assert run.finish() == 0, run.log
    assert (home / "trace").read_text() == "13"
    assert run.progress == [(1, 2), (2, 2)]
    cells = run.notebook["cells"]
    assert [cell["cell_type"] for cell in cells] == ["code", "code", "markdown", "code", "code", "code"]
    assert ["".join(cell["outputs"][0]["text"]) for cell in cells[:2]] == ["first 20\n", "second 21\n"]
    assert [cell["execution_count"] for cell in cells[:2]] == [1, 2]
    assert cells[1]["metadata"]["tags"] == ["mine"]
    marker = cells[2]
    assert marker["id"] == "aiinfn-took-over"
    assert "took over here" in "".join(marker["source"])
    assert "`k3x9`" in "".join(marker["source"])
    assert run.texts() == "first 20\nsecond 21\nthird 42\nfourth 21 __main__\n"
    assert "[not carried: file]" in run.log
    # What it had at its end is back in a session with the one line that its result names.
    (line,) = re.findall(r"`(import aiinfn_lab; .*)`", "".join(marker["source"]))
    assert (home / STATE).with_name("k3x9.state").stat().st_mode & 0o777 == 0o600
    with own_kernel(home) as kernel:
        kernel.run(f"import os; os.environ['HOME'] = {str(home)!r}; x = 0; mine = 1")
        assert kernel.run(line) == "Back from job k3x9: os, x.\n"
        assert (
            kernel.run("print(x, mine, os.path.samefile(os.getcwd(), os.environ['HOME']))") == "21 1 True\n"
        )
        with pytest.raises(AssertionError, match="There are no variables of job 'other'"):
            kernel.run("aiinfn_lab.load_variables('other')")
    assert "first" not in run.log
    assert run.notebook["metadata"]["aiinfn"]["state"] == "succeeded"


def test_the_same_again_after_an_interruption_and_from_a_result_that_has_a_mark_already(
    go_on: Callable[..., Any], notebook: Callable[..., dict[str, Any]], home: Path
) -> None:
    content = notebook(
        "x = [1]",
        "import os, time\nx.append(2); print(x)\nwhile not os.path.exists('go'): time.sleep(0.1)",
        "print(len(x))",
    )
    run = go_on(content, 1)
    run.until(lambda: run.output.exists() and "[1, 2]" in run.output.read_text(), 90)
    assert run.stop() == 75
    (home / "go").touch()
    again = go_on(content, 1, run=False, attempt=2)
    assert again.finish() == 0
    # The variables are those of the session, not those that the first attempt had changed.
    assert again.texts() == "[1, 2]\n2\n"
    done = again.notebook
    assert [cell["id"] for cell in done["cells"]].count("aiinfn-took-over") == 1
    # From the mark in that result on: there is one mark again, and from below it the old one is history.
    for start, marks in ((2, 1), (3, 2)):
        more = go_on(json.loads(json.dumps(done)), start, run=False, job=f"again{start}")
        assert more.finish() == 0
        found = [cell["id"] for cell in more.notebook["cells"] if "took over" in "".join(cell["source"])]
        assert len(found) == len(set(found)) == marks
        assert "aiinfn-took-over" in found
        assert "again" in json.dumps(more.notebook["cells"])


def test_a_name_that_was_not_carried_is_explained_where_it_is_missing(
    go_on: Callable[..., Any], notebook: Callable[..., dict[str, Any]]
) -> None:
    run = go_on(notebook("rows = (row for row in [1, 2])", "print(1)", "next(rows)"), 1)
    assert run.finish() == 1
    assert run.error.name == "NameError"
    assert run.error.cell == 2
    assert run.error.message == (
        "name 'rows' is not defined. It was not carried from the session. "
        "It is a generator, whose place in its code cannot be written down."
    )


def test_a_variable_that_cannot_be_read_fails_a_job_only_where_a_cell_misses_it(
    go_on: Callable[..., Any], notebook: Callable[..., dict[str, Any]], home: Path
) -> None:
    (home / "mine.py").write_text("class Thing: pass\n")
    content = notebook(
        "from mine import Thing\nthing = Thing()\ndata = [1, 2]\ndel Thing", "print(sum(data))", "thing"
    )
    session(home, content, 1)
    (home / "mine.py").unlink()
    run = go_on(content, 1, run=False)
    assert run.finish() == 1
    reason = "It cannot be read here: ModuleNotFoundError: No module named 'mine'."
    assert f"[not carried: thing]\n[thing: {reason}]" in run.log
    assert run.texts().endswith("3\n")
    assert (run.error.name, run.error.cell) == ("NameError", 2)
    assert run.error.message == f"name 'thing' is not defined. It was not carried from the session. {reason}"


def test_without_its_file_the_job_says_so(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]]
) -> None:
    run = start("a.ipynb", notebook("x = 1", "x"), start_cell=1, state=STATE)
    assert run.finish() == 2
    assert "is gone" in run.error.message
