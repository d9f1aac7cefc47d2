"""Scripts in a job."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.runner.conftest import Run


def test_a_python_script_runs_with_arguments_in_the_folder_of_the_original(
    start: Callable[..., Run], home: Path
) -> None:
    (home / "work").mkdir()
    (home / "work/helper.py").write_text("word = 'found'\n")
    code = "import helper, os, sys\nprint(helper.word, os.getcwd(), sys.argv[1:])\nprint('err', file=sys.stderr)\n"
    run = start("work/fit.py", code, arguments=["--n", "a b;$(c)", "è"])
    assert run.finish() == 0
    expected = f"found {home / 'work'} ['--n', 'a b;$(c)', 'è']\nerr\n"
    assert run.log == expected
    assert run.output == home / "work/fit.k3x9.log"
    assert run.output.read_text() == expected
    assert run.records == []


def test_a_shell_script_runs_in_bash(start: Callable[..., Run]) -> None:
    run = start("a.sh", 'echo "$1" "${BASH_VERSION:+bash}"\n', arguments=["x y"])
    assert run.finish() == 0
    assert run.output.read_text() == "x y bash\n"


def test_what_the_script_prints_is_seen_at_once(start: Callable[..., Run], home: Path) -> None:
    run = start(
        "a.py",
        "import pathlib, time\nprint('begun')\nwhile not pathlib.Path('go').exists(): time.sleep(0.05)\n",
    )
    run.until(lambda: run.output.exists() and run.output.read_text() == "begun\n")
    (home / "go").touch()
    assert run.finish() == 0


def test_a_failing_script_tells_its_last_lines(start: Callable[..., Run]) -> None:
    run = start("a.py", "print('start')\nraise SystemExit('no data in /x')\n")
    assert run.finish() == 1
    assert run.error.name == "Exit code 1"
    assert "no data in /x" in run.error.message
    assert run.error.traceback == "start\nno data in /x"
    # The log has them once.
    assert run.log == "start\nno data in /x\n[exit code 1]\n"


def test_a_python_error_comes_with_its_traceback(start: Callable[..., Run]) -> None:
    run = start("a.py", "def f():\n    return 1 / 0\nf()\n")
    assert run.finish() == 1
    assert "ZeroDivisionError: division by zero" in run.error.message
    assert "Traceback" in run.error.traceback


def test_exit_codes_that_mean_something_here_are_not_passed_on(start: Callable[..., Run]) -> None:
    for code in (2, 75):
        run = start("a.sh", f"exit {code}\n")
        assert run.finish() == 1
        assert run.error.name == f"Exit code {code}"


def test_a_group_of_errors_is_told_by_an_error(start: Callable[..., Run]) -> None:
    run = start("a.py", "raise ExceptionGroup('several', [KeyError('a'), ValueError('no beam')])\n")
    assert run.finish() == 1
    assert run.error.message == "ValueError: no beam"


def test_a_script_that_is_killed_is_told(start: Callable[..., Run]) -> None:
    run = start("a.sh", "printf 'half a line'; kill -9 $$\n")
    assert run.finish() == 1
    assert "SIGKILL" in run.error.message
    # Only where the system says so.
    assert "memory" not in run.error.message
    assert run.log == f"half a line\n[{run.error.message}]\n"


def test_a_missing_interpreter_is_told(start: Callable[..., Run]) -> None:
    if shutil.which("Rscript"):
        pytest.skip("R is installed here")
    run = start("a.R", "1\n")
    assert run.finish() == 2
    assert run.error.name == "No Rscript"


def test_an_unknown_ending_is_told(start: Callable[..., Run]) -> None:
    run = start("a.pl", "1\n")
    assert run.finish() == 2


def test_a_script_told_to_stop_gets_the_signal_with_all_it_started(
    start: Callable[..., Run], home: Path
) -> None:
    code = "trap 'echo cleaning; exit 0' TERM\nsleep 600 &\necho $! > child\necho up\nwait\n"
    run = start("a.sh", code)
    run.until(lambda: run.output.exists() and "up" in run.output.read_text())
    assert run.stop() == 75
    assert run.output.read_text() == "up\ncleaning\n"
    assert_gone(int((home / "child").read_text()))


def test_a_killed_job_takes_its_script_with_it(start: Callable[..., Run], home: Path) -> None:
    run = start("a.sh", "echo $$ > pid\nexec sleep 600\n")
    run.until(lambda: (home / "pid").exists() and (home / "pid").read_text())
    run.process.kill()
    run.finish()
    assert_gone(int((home / "pid").read_text()))


def test_a_process_left_behind_does_not_hold_the_job(start: Callable[..., Run], home: Path) -> None:
    run = start("a.sh", "sleep 600 &\necho $! > child\necho done\n")
    assert run.finish(20) == 0
    assert run.output.read_text() == "done\n"
    assert_gone(int((home / "child").read_text()))


def test_what_a_script_prints_cannot_pass_for_a_record(start: Callable[..., Run]) -> None:
    run = start("a.sh", 'printf \'\\036{"type":"progress"}\\n\\377\\000x\'\n')
    assert run.finish() == 0
    assert run.records == []
    assert run.output.read_bytes().startswith(b"\x1e")


def test_a_lot_of_output_comes_through(start: Callable[..., Run]) -> None:
    run = start("a.py", "for i in range(50_000): print('line', i)\n")
    assert run.finish() == 0
    assert run.log.endswith("line 49999\n")
    assert run.output.stat().st_size == len(run.log)


@pytest.mark.parametrize("name", ["x" * 252 + ".py", "日本 {a} 'q'.py", "-c.sh"])
def test_a_name_may_be_long_or_odd(start: Callable[..., Run], name: str) -> None:
    run = start(name, "print(1)\n" if name.endswith(".py") else "echo 1\n")
    assert run.finish() == 0
    assert run.output.read_text() == "1\n"


def test_a_full_disk_neither_stops_the_script_nor_makes_it_fail_but_is_told(
    start: Callable[..., Run], home: Path
) -> None:
    place = home / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a small file system, and only on some machines")
    try:
        run = start("small/a.py", "for i in range(20_000): print('line', i)\nopen('../end', 'w').close()\n")
        assert run.finish() == 0
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
    assert (home / "end").exists()
    assert not [record for record in run.records if record.type == "error"]
    assert "line 19999" in run.log
    assert f"[The script succeeded. {run.output.name} in your home is not complete.]" in run.log


def assert_gone(pid: int) -> None:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return
        if state == "Z":
            return
        time.sleep(0.05)
    raise AssertionError(f"process {pid} is still there")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "a.py",
            "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)",
            "The script was ended by SIGSEGV",
        ),
        ("a.sh", "sh -c 'kill -ABRT $$'", "The last command of the script was ended by SIGABRT"),
    ],
)
def test_a_signal_that_ends_a_script_is_named(
    start: Callable[..., Run], name: str, text: str, message: str
) -> None:
    run = start(name, text)
    assert run.finish() == 1
    assert run.error.name == "Killed"
    assert run.error.message.startswith(message)


def test_all_that_a_stopped_script_printed_is_in_its_log(start: Callable[..., Run], home: Path) -> None:
    code = (
        "import signal, sys, time, os\n"
        "def end(*_):\n    for n in range(20_000): print('last', n)\n    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\nopen('ready', 'w')\ntime.sleep(600)"
    )
    run = start("a.py", code)
    run.until((home / "ready").exists)
    assert run.stop() == 75
    assert run.log.count("last") == 20_000
    assert run.output.read_text().count("last") == 20_000
