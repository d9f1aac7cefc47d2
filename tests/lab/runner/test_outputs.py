"""Where the outputs of a notebook go: each once, in its place, and none is lost."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.lab.runner.conftest import Run


def outputs(run: Run, cell: int) -> list[tuple[str, str]]:
    return [(each["name"], "".join(each["text"])) for each in run.notebook["cells"][cell]["outputs"]]


def test_what_a_task_prints_is_under_the_cell_that_began_it(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]]
) -> None:
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


def test_threads_and_pools_at_work_after_the_last_cell_are_waited_for(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]], home: Path
) -> None:
    code = (
        "import threading, time, concurrent.futures as futures\n"
        "def work(name):\n    time.sleep(2.5); open(name, 'w').close(); print(f'finished {name}')\n"
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


def test_a_task_that_nobody_awaits_is_told(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]]
) -> None:
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
def test_what_is_written_to_the_descriptors_is_there_once(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]], code: str, name: str
) -> None:
    run = start("a.ipynb", notebook(code, "print('next')"))
    assert run.finish() == 0
    assert run.log.replace("\r\n", "\n") == "[cell 1 of 2]\nsaid\n[cell 2 of 2]\nnext\n"
    assert outputs(run, 0) == [(name, "said\n")]
    assert run.errors == ""


def test_a_progress_bar_is_one_output_with_its_last_state(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]]
) -> None:
    bar = (
        "import sys, time\nfor i in range(300):\n"
        "    sys.stderr.write(f'\\r{i:4d}/300 ' + '#' * 60); sys.stderr.flush()"
    )
    run = start("a.ipynb", notebook(bar, "1/0"))
    assert run.finish() == 1
    assert outputs(run, 0) == [("stderr", " 299/300 " + "#" * 60)]
    assert run.output.stat().st_size < 10_000


def test_outputs_are_cleared_and_updated_wherever_they_are(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]]
) -> None:
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


def test_nothing_is_lost_of_very_many_outputs(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]]
) -> None:
    code = "for n in range(20_000): print(n, flush=True)"
    run = start("a.ipynb", notebook(code))
    assert run.finish(120) == 0
    assert run.log.count("\n") == 20_001
    ((_, text),) = outputs(run, 0)
    assert text.split() == [str(n) for n in range(20_000)]


def test_a_kernel_that_is_ahead_of_its_runner_waits(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]], home: Path
) -> None:
    # More than fits into all queues and the system's buffers.
    code = (
        "import os\nfor n in range(6000):\n    print(n, 'x' * 4000, flush=True)\n"
        "    open('at.part', 'w').write(str(n)); os.replace('at.part', 'at')"
    )
    run = start("a.ipynb", notebook(code))
    at = home / "at"
    run.until(at.exists)
    os.kill(run.process.pid, signal.SIGSTOP)
    try:
        began, last = time.monotonic(), ""
        # Until it waits or, if it does not, is done.
        while last != (last := at.read_text()) and last != "5999":
            time.sleep(1)
            assert time.monotonic() < began + 120
    finally:
        os.kill(run.process.pid, signal.SIGCONT)
    assert run.finish(120) == 0
    ((_, text),) = outputs(run, 0)
    assert text.split()[::2] == [str(n) for n in range(6000)]


def test_a_thread_that_prints_for_ever_does_not_keep_the_job(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]]
) -> None:
    code = (
        "import threading\ndef talk():\n    while True: print('on', flush=True)\n"
        "threading.Thread(target=talk, daemon=True).start()"
    )
    run = start("a.ipynb", notebook(code, "print('end')"))
    assert run.finish() == 0
    assert "end" in run.log  # its line break may come after what the thread prints


LOSES = """
from ipykernel.kernelapp import IPKernelApp
from ipykernel.kernelbase import Kernel


class Loses(Kernel):
    implementation = banner = "loses"
    implementation_version = "1"
    language_info = {"name": "python"}
    lost = False

    def do_execute(self, code, silent, *args, **more):
        self.lost = not silent
        if self.lost:
            self.send_response(self.iopub_socket, "stream", {"name": "stdout", "text": "said\\n"})
        return {"status": "ok", "execution_count": 1, "payload": [], "user_expressions": {}}

    def _publish_status(self, status, *args, **more):
        if not (status == "idle" and self.lost):
            super()._publish_status(status, *args, **more)
        self.lost = False


IPKernelApp.launch_instance(kernel_class=Loses)
"""


def test_a_kernel_that_drops_the_end_of_a_cells_outputs_is_told(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]], home: Path
) -> None:
    folder = home / ".local/share/jupyter/kernels/loses"
    folder.mkdir(parents=True)
    (folder / "loses.py").write_text(LOSES)
    argv = [sys.executable, str(folder / "loses.py"), "-f", "{connection_file}"]
    (folder / "kernel.json").write_text(
        json.dumps({"argv": argv, "display_name": "loses", "language": "python"})
    )
    run = start("a.ipynb", notebook("go", kernel="loses"), kernel="loses")
    assert run.finish() == 0, run.errors
    assert run.log == (
        "[cell 1 of 1]\nsaid\n"
        "[some outputs may be missing here: the kernel drops what it cannot send fast enough]\n"
    )
