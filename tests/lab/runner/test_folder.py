"""Jobs of a folder that was submitted as a whole, executed by the real runner."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aiinfn_hub.contract.jobs import RunSpec, Work
from aiinfn_hub.contract.paths import output_path, point_output
from tests.lab.runner.conftest import Run

FILES = {
    "main.py": (
        "import pathlib, sys, model\n"
        "print('in', pathlib.Path.cwd().name, 'beside', pathlib.Path(__file__).parent.name, sys.argv[1:])\n"
        "print('data', pathlib.Path('data/in.csv').read_text())\n"
        "with open('out.txt', 'a') as file: file.write(model.WORD)\n"
    ),
    "model.py": "WORD = 'x'\n",
    "data/in.csv": "1",
    "notes/look.py": "import pathlib\nprint(pathlib.Path.cwd().name, pathlib.Path('../data/in.csv').read_text())\n",
    "read.ipynb": {
        "cells": [
            {
                "cell_type": "code",
                "id": "a",
                "metadata": {},
                "source": "import pathlib\nprint(pathlib.Path.cwd().name, pathlib.Path('data/in.csv').read_text())\n"
                "pathlib.Path('seen').touch()",
                "outputs": [],
                "execution_count": None,
            }
        ],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    },
}


@pytest.fixture
def run(home: Path, start_raw: Callable[[str], Run]) -> Callable[..., Any]:
    """Run a job of the folder ``work/proj``: a file of it, or a command."""

    def begin(file: str | None = "main.py", *, job: str = "k3x9", output: str = "", **work: Any) -> Any:
        copy = home / ".aiinfn/jobs/0123/proj"
        for path, content in FILES.items():
            for top in (home / "work/proj", copy):
                (top / path).parent.mkdir(parents=True, exist_ok=True)
                if not (top / path).exists():
                    (top / path).write_text(content if isinstance(content, str) else json.dumps(content))
        inner = f"/{file}" if file else ""
        kind = "command" if file is None else "notebook" if file.endswith(".ipynb") else "script"
        if kind == "notebook":
            work["kernel"] = "python3"
        what = Work(
            kind=kind,
            path=f"work/proj{inner}",
            snapshot=f".aiinfn/jobs/0123/proj{inner}",
            folder="work/proj",
            **work,
        )
        output = output or output_path(what, job)
        made = start_raw(
            RunSpec(job=job, attempt=1, home=str(home), work=what, output=output).model_dump_json()
        )
        made.output = home / output
        return made

    return begin


def test_a_script_runs_in_a_copy_beside_the_original(home: Path, run: Callable[..., Any]) -> None:
    (home / "work").mkdir()
    job = run(arguments=["-v"])
    assert job.finish() == 0, job.log + job.errors
    result = home / "work/proj.k3x9"
    assert "in proj.k3x9 beside proj.k3x9 ['-v']" in job.log
    assert (result / "main.k3x9.log").read_text() == job.log
    assert (result / "out.txt").read_text() == "x"
    assert not (home / "work/proj/out.txt").exists()
    assert not (home / ".aiinfn/jobs/0123/proj/out.txt").exists()
    assert sorted(path.name for path in (home / "work").iterdir()) == ["proj", "proj.k3x9"]


def test_later_edits_do_not_change_the_job(home: Path, run: Callable[..., Any]) -> None:
    job = run()
    (home / "work/proj/model.py").write_text("WORD = 'edited'")
    shutil.rmtree(home / "work/proj")
    assert job.finish() == 0, job.errors
    assert (home / "work/proj.k3x9/out.txt").read_text() == "x"


def test_a_second_attempt_goes_on_in_what_the_first_one_left(home: Path, run: Callable[..., Any]) -> None:
    assert run().finish() == 0
    (home / "work/proj.k3x9/data/in.csv").write_text("changed by the job")
    again = run()
    assert again.finish() == 0
    assert "data changed by the job" in again.log
    assert (home / "work/proj.k3x9/out.txt").read_text() == "xx"
    # Another job of the same copy begins anew: "run again".
    other = run(job="m4")
    assert other.finish() == 0
    assert "data 1" in other.log
    assert (home / "work/proj.m4/out.txt").read_text() == "x"


def test_what_an_interrupted_copy_left_is_made_anew(home: Path, run: Callable[..., Any]) -> None:
    draft = home / "work/.k3x9.part"
    draft.mkdir(parents=True)
    (draft / "half").touch()
    assert run().finish() == 0
    assert not draft.exists()
    assert not (home / "work/proj.k3x9/half").exists()


def test_a_file_of_a_folder_in_it_runs_where_it_is(home: Path, run: Callable[..., Any]) -> None:
    job = run("notes/look.py")
    assert job.finish() == 0
    assert "notes 1" in job.log
    assert (home / "work/proj.k3x9/look.k3x9.log").is_file()


def test_a_notebook_of_the_folder(home: Path, run: Callable[..., Any]) -> None:
    job = run("read.ipynb")
    assert job.finish() == 0, job.errors
    assert job.texts() == "proj.k3x9 1\n"
    assert job.output == home / "work/proj.k3x9/read.k3x9.ipynb"
    assert (home / "work/proj.k3x9/seen").exists()


def test_a_command_is_run_by_the_shell(home: Path, run: Callable[..., Any]) -> None:
    job = run(
        None,
        command="python main.py a 'b c' | tee log.txt && echo \"$AIINFN_CHECKPOINTS\" > where; wc -l < log.txt",
    )
    assert job.finish() == 0, job.errors
    result = home / "work/proj.k3x9"
    assert "in proj.k3x9 beside" in (result / "log.txt").read_text()
    assert "['a', 'b c']" in (result / "command.k3x9.log").read_text()
    assert Path((result / "where").read_text().strip()).parent.name == "checkpoints"


@pytest.mark.parametrize(
    ("command", "name"),
    [("false | cat", "Exit code 1"), ("exit 7", "Exit code 7"), ("nosuchprogram", "Exit code 127")],
)
def test_a_command_that_fails_fails_the_job(run: Callable[..., Any], command: str, name: str) -> None:
    job = run(None, command=command)
    assert job.finish() == 1
    assert job.error.name == name


def test_points_of_a_sweep_have_copies_of_their_own(home: Path, run: Callable[..., Any]) -> None:
    what = Work(kind="script", path="work/proj/main.py", snapshot="s", folder="work/proj")
    for number in (1, 2):
        job = run(job=f"p{number}", output=point_output(what, "sw33p", number), arguments=[f"--n={number}"])
        assert job.finish() == 0, job.errors
        assert (home / f"work/proj.sw33p/000{number}/out.txt").read_text() == "x"
        assert f"--n={number}" in (home / f"work/proj.sw33p/000{number}/main.000{number}.log").read_text()


def test_a_copy_that_is_gone_is_told(home: Path, start_raw: Callable[[str], Run]) -> None:
    (home / "work").mkdir()
    what = Work(
        kind="command", path="work/proj", snapshot=".aiinfn/jobs/0/proj", folder="work/proj", command="ls"
    )
    spec = RunSpec(job="k3x9", attempt=1, home=str(home), work=what, output=output_path(what, "k3x9"))
    job = start_raw(spec.model_dump_json())
    assert job.finish() == 2
    assert job.error.name == "Input missing"
    assert list((home / "work").iterdir()) == []
