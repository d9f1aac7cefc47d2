"""How notebooks end: because their code asked for it, by an error, by a signal, or because they were told to stop."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.lab.runner.conftest import Run

RECORDED = """
import time
from aiinfn_lab import record
n = 0
while True:
    n += 1
    print('step', n)
    record(step=n)
    if n == 3: open('ready', 'w').close()
    time.sleep(0.01)
"""


@pytest.mark.parametrize(
    "code",
    [
        "import sys; sys.exit(0)",
        "import sys; sys.exit()",
        "exit()",
        "quit()",
        "exit",
        "exit(0)\nopen('never', 'w')",
        "raise SystemExit",
        "raise SystemExit(False)",
        "import asyncio; await asyncio.sleep(0); exit()",
    ],
)
def test_an_end_that_the_code_asks_for_is_a_success_and_nothing_runs_after_it(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]], home: Path, code: str
) -> None:
    run = start("a.ipynb", notebook("print('nothing new')", code, "open('never', 'w')", "2"))
    assert run.finish() == 0
    assert not run.records or all(record.type != "error" for record in run.records)
    assert not (home / "never").exists()
    said = "[the code ended the job in cell 2 of 4: the 2 cells after it did not run]\n"
    assert run.log == f"[cell 1 of 4]\nnothing new\n[cell 2 of 4]\n{said}"
    assert run.texts() == f"nothing new\n{said}"
    assert run.notebook["metadata"]["aiinfn"]["state"] == "succeeded"
    assert run.errors == ""


def test_an_end_in_the_last_cell_needs_no_words(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]]
) -> None:
    run = start("a.ipynb", notebook("print('all done')", "exit()", ""))
    assert run.finish() == 0
    assert run.log == "[cell 1 of 2]\nall done\n[cell 2 of 2]\n"
    assert run.texts() == "all done\n"


@pytest.mark.parametrize(
    ("code", "name", "message"),
    [
        ("import sys; sys.exit(3)", "Exit code 3", "exit code 3, and the cell after it did not run"),
        ("exit(4)", "Exit code 4", "exit code 4"),
        ("raise SystemExit(True)", "Exit code 1", "exit code 1"),
        ("import sys; sys.exit('no input file of today')", "SystemExit", "no input file of today"),
        ("raise SystemExit('0')", "SystemExit", "0"),
    ],
)
def test_an_end_with_another_code_or_a_text_is_a_failure(
    start: Callable[..., Run],
    notebook: Callable[..., dict[str, Any]],
    home: Path,
    code: str,
    name: str,
    message: str,
) -> None:
    run = start("a.ipynb", notebook(code, "open('never', 'w')"))
    assert run.finish() == 1
    assert (run.error.name, run.error.cell) == (name, 1)
    assert message in run.error.message
    assert not (home / "never").exists()
    (output,) = run.notebook["cells"][0]["outputs"]
    assert output["ename"] == "SystemExit"
    for shown in (run.log, json.dumps(run.notebook)):
        assert "%tb" not in shown
        assert "To exit" not in shown


def test_an_end_that_a_cell_expects_is_none(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]]
) -> None:
    content = notebook("raise SystemExit(2)", "print('went on')")
    content["cells"][0]["metadata"]["tags"] = ["raises-exception"]
    run = start("a.ipynb", content)
    assert run.finish() == 0
    assert "went on" in run.texts()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "was ended by SIGSEGV"),
        ("import os; os.abort()", "was ended by SIGABRT"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", "was ended by SIGTERM"),
        ("import os; os._exit(0)", "ended itself with 0"),
        ("import os; os._exit(9)", "ended itself with 9"),
    ],
)
def test_how_a_kernel_ended_is_told_as_it_was(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]], code: str, words: str
) -> None:
    run = start("a.ipynb", notebook("print('before', flush=True)", code, "print('must not run')"))
    assert run.finish() == 1
    assert (run.error.name, run.error.cell) == ("The kernel died", 2)
    assert words in run.error.message
    assert "needed more memory" not in run.error.message
    assert run.texts() == "before\n"


def test_a_result_that_cannot_be_shown_is_named(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]]
) -> None:
    run = start("a.ipynb", notebook("class A:\n    def __repr__(self): raise ValueError('no name')\nA()"))
    assert run.finish() == 1
    assert (run.error.name, run.error.message) == ("ValueError", "no name")


def test_a_kernel_that_is_restarted_by_its_code_is_not_taken_for_a_fresh_one(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]]
) -> None:
    code = "x = 1\nget_ipython().kernel.do_shutdown(True)"
    run = start("a.ipynb", notebook(code, "print('after restart', 'x' in globals())"))
    assert run.finish() == 1
    assert (run.error.name, run.error.cell) == ("Kernel restarted", 1)
    assert "after restart" not in run.texts()
    # To free the device at the very end is common.
    run = start("b.ipynb", notebook("1", code), job="second")
    assert run.finish() == 0


def test_what_reached_the_descriptors_of_a_kernel_that_dies_is_told(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]]
) -> None:
    # Compiled code says why it gives up there, and the kernel itself has no time to read it.
    code = "import ctypes\nlibc = ctypes.PyDLL(None)\nlibc.write(2, b'terminate called: no beam', 25); libc.abort()"
    run = start("a.ipynb", notebook(code))
    assert run.finish() == 1
    assert "SIGABRT" in run.error.message
    assert run.log.count("terminate called: no beam") == 1
    assert "terminate called: no beam" in run.texts()


@pytest.mark.parametrize("again", [False, True])
def test_what_a_stopped_notebook_recorded_it_also_printed(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]], home: Path, again: bool
) -> None:
    run = start("a.ipynb", notebook(RECORDED))
    run.until((home / "ready").exists)
    if again:
        # The back end on one machine tells the kernel as well.
        assert run.signal_kernel()
    assert run.stop() == 75
    recorded = max(record.values["step"] for record in run.records if record.values)  # type: ignore[type-var]
    steps = [int(line.split()[1]) for line in run.log.splitlines() if line.startswith("step ")]
    # The code was held between two of its steps.
    assert steps == list(range(1, len(steps) + 1))
    assert recorded <= steps[-1] <= recorded + 1  # type: ignore[operator]
    assert run.texts().splitlines()[-1] == f"step {steps[-1]}"
    assert run.notebook["metadata"]["aiinfn"]["state"] == "stopped"
    assert not [record for record in run.records if record.type == "error"]
    assert run.log.endswith("[stopped]\n")


def test_code_that_takes_every_exception_does_not_go_on_when_its_job_is_told_to_stop(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]], home: Path
) -> None:
    code = (
        "import time\nopen('ready', 'w').close()\n"
        "try:\n    time.sleep(600)\nexcept BaseException:\n    open('taken for a failure', 'w').close()"
    )
    run = start("a.ipynb", notebook(code))
    run.until((home / "ready").exists)
    assert run.stop() == 75
    assert not (home / "taken for a failure").exists()


def test_children_of_a_notebook_can_still_be_terminated(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]]
) -> None:
    code = (
        "import multiprocessing, time\n"
        "child = multiprocessing.get_context('fork').Process(target=time.sleep, args=(600,))\n"
        "child.start(); time.sleep(0.2); child.terminate(); child.join(10); print(child.exitcode)"
    )
    run = start("a.ipynb", notebook(code))
    began = time.monotonic()
    assert run.finish() == 0
    assert run.texts() == "-15\n"
    assert time.monotonic() - began < 60
