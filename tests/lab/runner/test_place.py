"""A script in a job sees its own place, never the copy that was made at submission."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.runner.conftest import Run

LOOKS = """
import inspect, os, sys, traceback
from pathlib import Path
print('file', __file__)
print('argv', sys.argv)
print('path', sys.path[0])
print('text', (Path(__file__).resolve().parent / 'data.txt').read_text())
print('name', __name__, __spec__, __package__)
def shown():
    return 'the source of shown'
print(inspect.getsource(shown))
print(inspect.getsourcefile(shown))
class Kept: pass
import pickle
print(type(pickle.loads(pickle.dumps(Kept()))) is Kept)
import helper
print(helper.word)
"""


@pytest.fixture
def beside(home: Path) -> Path:
    (home / "work").mkdir()
    (home / "work/data.txt").write_text("payload")
    (home / "work/helper.py").write_text("word = 'found'\n")
    return home / "work"


def unseen(run: Run) -> bool:
    """Nothing that a person reads names the copy or the launcher."""
    for text in (run.log, run.output.read_text(), run.errors):
        assert ".aiinfn" not in text
        assert "launcher" not in text
        assert "aiinfn-script" not in text
    return True


def test_a_python_script_sees_its_own_place(start: Callable[..., Run], beside: Path) -> None:
    run = start("work/here.py", LOOKS, arguments=["--n", "1"])
    assert run.finish() == 0, run.log
    place = beside / "here.py"
    assert f"file {place}\n" in run.log
    assert f"argv ['{place}', '--n', '1']\n" in run.log
    assert f"path {beside}\n" in run.log
    assert "text payload\n" in run.log
    assert "name __main__ None None\n" in run.log
    assert "return 'the source of shown'\n" in run.log
    assert f"\n{place}\nTrue\nfound\n" in run.log
    assert unseen(run)


def test_a_traceback_names_the_script_and_shows_the_lines_that_ran(
    start: Callable[..., Run], beside: Path
) -> None:
    # Meanwhile the original was changed; what was submitted runs and is shown.
    (beside / "fit.py").write_text("# changed\n" * 9)
    run = start("work/fit.py", "def inner():\n    return 1 / 0\n\n\ninner()  # the call\n")
    assert run.finish() == 1
    lines = run.log.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1] == f'  File "{beside / "fit.py"}", line 5, in <module>'
    assert lines[2] == "    inner()  # the call"
    assert f'  File "{beside / "fit.py"}", line 2, in inner' in lines
    assert "    return 1 / 0" in lines
    assert run.error.message == "ZeroDivisionError: division by zero"
    assert lines.count("Traceback (most recent call last):") == 1
    assert unseen(run)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("x = (\n", "SyntaxError"),
        ("raise SystemExit('no data')\n", "no data"),
        ("import sys\nsys.exit(3)\n", "[exit code 3]"),
        ("assert False, 'checked'\n", "AssertionError: checked"),
        ("import sys\nsys.excepthook = lambda *told: print('own', told[2].tb_lineno, told[1])\nint('x')\n", "own 3 invalid literal"),
        ("try:\n    int('x')\nexcept ValueError as e:\n    raise KeyError('k') from e\n", "The above exception was the direct cause"),
        (b"# -*- coding: latin-1 -*-\nraise ValueError('perch\xe9')\n", "ValueError: perché"),
        (b"print('\xe9')\n", "SyntaxError"),
        ("import atexit, threading, time\natexit.register(print, 'at exit')\nthreading.Thread(target=lambda: (time.sleep(.1), print('thread'))).start()\nint('x')\n", "thread\nat exit"),
    ],
)  # fmt: skip
def test_a_script_ends_as_it_would_in_a_terminal(
    start: Callable[..., Run], beside: Path, code: bytes | str, words: str
) -> None:
    run = start("work/fit.py", code)
    assert run.finish() == 1
    assert words in run.log
    assert run.log.count("Traceback") == (2 if "direct cause" in words else run.log.count("Traceback") and 1)
    assert unseen(run)


def test_a_script_that_interrupts_itself_ends_as_in_a_terminal(
    start: Callable[..., Run], beside: Path
) -> None:
    run = start("work/fit.py", "raise KeyboardInterrupt\n")
    assert run.finish() == 1
    assert "SIGINT" in run.error.message
    assert run.log.count("Traceback") == 1


SPAWNS = """
import multiprocessing, pathlib, sys
from concurrent.futures import ProcessPoolExecutor
HERE = pathlib.Path(__file__).parent
WORD = 'submitted'
class Sum:
    def __init__(self, a): self.a = a
    def __reduce__(self): return Sum, (self.a,)
def work(x):
    return x * x, WORD, __name__, __file__, (HERE / 'data.txt').read_text()
def twice(x):
    # A process of a process.
    with multiprocessing.get_context('spawn').Pool(1) as pool:
        return pool.map(work, [x])
def fails(x):
    raise ValueError('in the child')
if __name__ == '__main__':
    for way in ('spawn', 'forkserver', 'fork'):
        with multiprocessing.get_context(way).Pool(1) as pool:
            print(way, pool.map(work, [3]))
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context('spawn')) as pool:
        print('nested', pool.submit(twice, 2).result())
        print(pool.submit(fails, 1).exception().__cause__)
"""


def test_processes_that_a_script_spawns_run_what_was_submitted(
    start: Callable[..., Run], beside: Path
) -> None:
    place = beside / "many.py"
    place.write_text(SPAWNS.replace("'submitted'", "'changed since'"))
    run = start("work/many.py", SPAWNS)
    assert run.finish() == 0, run.log
    for way in ("spawn", "forkserver"):
        assert f"{way} [(9, 'submitted', '__mp_main__', '{place}', 'payload')]\n" in run.log
    assert f"fork [(9, 'submitted', '__main__', '{place}', 'payload')]\n" in run.log
    assert f"nested [(4, 'submitted', '__mp_main__', '{place}', 'payload')]\n" in run.log
    assert f'File "{place}", line 16, in fails' in run.log
    assert unseen(run)


def test_a_script_whose_original_is_gone_runs(start: Callable[..., Run], beside: Path) -> None:
    run = start("work/gone.py", "import inspect\ndef f(): pass\nprint(__file__, inspect.getsource(f))\n")
    assert not (beside / "gone.py").exists()
    assert run.finish() == 0
    assert run.log == f"{beside / 'gone.py'} def f(): pass\n\n"


def test_a_folder_of_the_person_shadows_nothing_of_ours(start: Callable[..., Run], beside: Path) -> None:
    # Modules of the folder are the script's own; the runner and its launcher do not take them.
    for name in ("importlib.py", "linecache.py", "runpy.py", "traceback.py", "signal.py", "json.py"):
        (beside / name).write_text("raise RuntimeError('of the person')\n")
    run = start("work/fit.py", "print('ran')\n")
    assert run.finish() == 0, run.log
    assert run.log == "ran\n"


SHELL = """#!/bin/bash
# a comment
set -euo pipefail
echo "0=$0 src=${BASH_SOURCE[0]} line=$LINENO pwd=$PWD old=${OLDPWD-none} args=$*"
cat "$(dirname "${BASH_SOURCE[0]}")/data.txt"
here=$(cd -- "$(dirname "$0")" && pwd); echo " $here"
main() { echo "main of ${BASH_SOURCE[0]}"; }
[[ "${BASH_SOURCE[0]}" == "$0" ]] && main
nosuchcommand
"""


def test_a_shell_script_sees_its_own_place(start: Callable[..., Run], beside: Path) -> None:
    run = start("work/a b.sh", SHELL, arguments=["x y", "z"])
    assert run.finish() == 1
    assert f"0=./a b.sh src=./a b.sh line=4 pwd={beside} old=none args=x y z\n" in run.log
    assert f"payload {beside}\nmain of ./a b.sh\n" in run.log
    assert "./a b.sh: line 9: nosuchcommand: command not found\n" in run.log
    assert run.error.name == "Exit code 127"
    assert unseen(run)


def test_a_shell_script_is_not_taken_for_one_that_another_reads(
    start: Callable[..., Run], beside: Path
) -> None:
    run = start("work/a.sh", "(return 0 2>/dev/null) && exit\nreturn 2>/dev/null\necho main\n")
    assert run.finish() == 0
    assert run.log == "main\n"


def test_a_long_shell_script_is_read_to_its_end(start: Callable[..., Run], beside: Path) -> None:
    run = start("work/a.sh", f"{'# a comment that is long' * 40}\n" * 500 + "echo end\n")
    assert run.finish() == 0
    assert run.log == "end\n"


def test_a_shell_script_leaves_no_folder_behind(
    start: Callable[..., Run], beside: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    # Whoever is killed cannot tidy up any more.
    run = start("work/a.sh", 'ls "$TMPDIR" > seen; kill -9 $PPID; sleep 1\n')
    run.finish()
    assert "home of ada" in (beside / "seen").read_text()
    assert not list(tmp_path.glob("aiinfn-script-*"))


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
@pytest.mark.parametrize("code", ["exit 4\n", "set -e\n(exit 4)\n", "trap 'exit 4' EXIT\n"])
def test_a_shell_script_ends_with_its_own_code(start: Callable[..., Run], code: str) -> None:
    run = start("a.sh", code)
    assert run.finish() == 1
    assert run.error.name == "Exit code 4"
