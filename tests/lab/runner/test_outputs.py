"""Where the outputs of a notebook go: each once, in its place, and none is lost."""

from __future__ import annotations

import pytest


def outputs(run, cell: int) -> list[tuple[str, str]]:
    return [(each["name"], "".join(each["text"])) for each in run.notebook["cells"][cell]["outputs"]]


def test_what_a_task_prints_is_under_the_cell_that_began_it(start, notebook):
    begin = (
        "import asyncio\nasync def work():\n    for step in range(3):\n"
        "        await asyncio.sleep(0.3); print('step', step)\n    return 'result'\n"
        "task = asyncio.create_task(work())\nprint('started')"
    )
    run = start("a.ipynb", notebook(begin, "print(await task)"))
    assert run.finish() == 0
    assert outputs(run, 0) == [("stdout", "started\nstep 0\nstep 1\nstep 2\n")]
    assert outputs(run, 1) == [("stdout", "result\n")]
    assert run.log == "[cell 1 of 2]\nstarted\n[cell 2 of 2]\nstep 0\nstep 1\nstep 2\nresult\n"


def test_threads_and_pools_at_work_after_the_last_cell_are_waited_for(start, notebook, home):
    code = (
        "import threading, time, concurrent.futures as futures\n"
        "def work(name):\n    time.sleep(2.5); open(name, 'w').close(); print('finished', name)\n"
        "threading.Thread(target=work, args=('thread',)).start()\n"
        "futures.ThreadPoolExecutor(2).submit(work, 'pool')\n"
        "threading.Thread(target=time.sleep, args=(600,), daemon=True).start()"
    )
    run = start("a.ipynb", notebook(code))
    assert run.finish() == 0
    assert (home / "thread").exists()
    assert (home / "pool").exists()
    assert "finished thread" in run.texts()
    assert "finished pool" in run.texts()
    assert run.log.startswith("[cell 1 of 1]\n[all cells have run; the job waits for threads")


def test_a_task_that_nobody_awaits_is_told(start, notebook):
    code = "import asyncio\nasync def work(): await asyncio.sleep(600)\ntask = asyncio.create_task(work())"
    run = start("a.ipynb", notebook(code))
    assert run.finish() == 0
    assert run.log == "[cell 1 of 1]\n[1 asyncio task that was not awaited did not get to the end]\n"


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("import os; os.write(1, b'said\\n');", "stdout"),
        ("import os; os.write(2, b'said\\n');", "stderr"),
        ("import ctypes; libc = ctypes.CDLL(None); libc.printf(b'said\\n'); libc.fflush(None);", "stdout"),
        ("import subprocess; subprocess.run(['echo', 'said']);", "stdout"),
        ("import subprocess, sys; subprocess.run(['echo', 'said'], stdout=sys.stdout);", "stdout"),
        ("import os; os.system('echo said');", "stdout"),
        ("!echo said", "stdout"),
    ],
)
def test_what_is_written_to_the_descriptors_is_there_once(start, notebook, code, name):
    run = start("a.ipynb", notebook(code, "print('next')"))
    assert run.finish() == 0
    assert run.log.replace("\r\n", "\n") == "[cell 1 of 2]\nsaid\n[cell 2 of 2]\nnext\n"
    assert outputs(run, 0) == [(name, "said\n")]
    assert run.errors == ""


def test_a_progress_bar_is_one_output_with_its_last_state(start, notebook):
    bar = (
        "import sys, time\nfor i in range(300):\n"
        "    sys.stderr.write(f'\\r{i:4d}/300 ' + '#' * 60); sys.stderr.flush()"
    )
    run = start("a.ipynb", notebook(bar, "1/0"))
    assert run.finish() == 1
    assert outputs(run, 0) == [("stderr", " 299/300 " + "#" * 60)]
    assert run.output.stat().st_size < 10_000


def test_outputs_are_cleared_and_updated_wherever_they_are(start, notebook):
    first = (
        "from IPython.display import clear_output, display\nprint('early')\n"
        "for i in range(50):\n    clear_output(wait=True); print('epoch', i)\n"
        "handle = display('before', display_id=True)"
    )
    run = start(
        "a.ipynb",
        notebook(first, "handle.update('after')\nclear_output()\nprint('end')\nclear_output(wait=True)"),
    )
    assert run.finish() == 0
    epoch, shown = run.notebook["cells"][0]["outputs"]
    assert "".join(epoch["text"]) == "epoch 49\n"
    assert "".join(shown["data"]["text/plain"]) == "'after'"
    assert outputs(run, 1) == [("stdout", "end\n")]


def test_nothing_is_lost_of_very_many_outputs(start, notebook):
    code = "for n in range(20_000): print(n, flush=True)"
    run = start("a.ipynb", notebook(code))
    assert run.finish(120) == 0
    assert run.log.count("\n") == 20_001
    ((_, text),) = outputs(run, 0)
    assert text.split() == [str(n) for n in range(20_000)]
