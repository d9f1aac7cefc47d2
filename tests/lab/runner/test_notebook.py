"""Notebooks in a job, with a real kernel."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aiinfn_hub.contract.private_kernels import REQUIRED, VARIABLE
from tests.lab.runner.conftest import Run


def test_a_notebook_runs_beside_its_input_with_its_parameters(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]], home: Path
) -> None:
    (home / "work").mkdir()
    (home / "work/helper.py").write_text("def twice(x): return 2 * x\n")
    content = notebook(
        "epochs = 3  # passes",
        "import os, helper\nprint(helper.twice(epochs), os.getcwd())",
        "",
        "print('to stderr', file=__import__('sys').stderr)\nname, flag, rates",
        tagged=True,
    )
    content["cells"][1]["metadata"]["tags"] = []
    content["cells"][0]["source"] += "\nname = 'a'; flag = True; rates = []"
    content["cells"].insert(1, {"cell_type": "markdown", "id": "m", "metadata": {}, "source": "# text"})
    values = {"epochs": 21, "name": 'è "quoted" \\ \n\'', "flag": False, "rates": [0.5, None, {"a": 1}]}
    run = start("work/train.ipynb", content, parameters=values)
    assert run.finish() == 0
    assert run.output == home / "work/train.k3x9.ipynb"
    assert "42 " + str(home / "work") in run.texts()
    result = run.notebook
    assert result["cells"][1]["metadata"]["tags"] == ["injected-parameters"]
    shown = result["cells"][-1]["outputs"][-1]["data"]["text/plain"]
    assert eval("".join(shown)) == (values["name"], False, [0.5, None, {"a": 1}])
    # Code cells with content count, the injected one is among them: the numbers are those of In [n].
    assert run.progress == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert [cell["execution_count"] for cell in result["cells"] if cell["cell_type"] == "code"] == [
        1,
        2,
        3,
        None,
        4,
    ]
    assert "42 " in run.log
    assert run.log.count("to stderr") == 1
    assert not (home / "work/train.ipynb").exists()
    assert {path.name for path in (home / "work").iterdir()} - {"__pycache__"} == {
        "helper.py",
        "train.k3x9.ipynb",
    }


def test_the_result_opens_in_jupyterlab_and_says_where_it_comes_from(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]]
) -> None:
    import nbformat

    run = start("a.ipynb", notebook("x = 1", tagged=True), parameters={"x": 2}, attempt=3)
    assert run.finish() == 0
    result = nbformat.read(run.output, as_version=4)
    nbformat.validate(result)
    assert result.metadata.kernelspec.name == "python3"
    assert result.metadata.language_info.name == "python"
    assert result.metadata.papermill.parameters == {"x": 2}
    assert result.metadata.papermill.exception is None
    assert result.metadata.papermill.input_path == "a.ipynb"
    assert dict(result.metadata.aiinfn)["state"] == "succeeded"
    assert dict(result.metadata.aiinfn)["attempt"] == 3


def test_nothing_but_the_work_is_in_the_log(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]], home: Path
) -> None:
    run = start("a.ipynb", notebook("print('only this')"))
    assert run.finish() == 0
    assert run.log == "[cell 1 of 1]\nonly this\n"
    assert not list(home.rglob("history.sqlite"))
    assert run.errors == ""


def test_the_output_grows_while_a_cell_runs(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]], home: Path
) -> None:
    code = "import time, pathlib\nprint('first', flush=True)\nwhile not pathlib.Path('go').exists(): time.sleep(0.05)\nprint('last')"
    run = start("a.ipynb", notebook("print('before')", code))
    run.until(lambda: run.output.exists() and "first" in run.texts())
    json.loads(run.output.read_text())
    assert "last" not in run.texts()
    assert run.notebook["metadata"]["aiinfn"]["state"] == "running"
    (home / "go").touch()
    assert run.finish() == 0
    assert run.texts() == "before\nfirst\nlast\n"


def test_an_error_names_its_cell_and_the_rest_is_not_run(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]], home: Path
) -> None:
    content = notebook("1", "", "def f():\n    raise ValueError('of è')\nf()", "open('never', 'w')")
    run = start("a.ipynb", content)
    assert run.finish() == 1
    assert (run.error.name, run.error.message, run.error.cell) == ("ValueError", "of è", 2)
    assert "f()" in run.error.traceback
    assert "\x1b" not in run.error.traceback
    assert "ValueError: of è" in run.log
    assert not (home / "never").exists()
    outputs = run.notebook["cells"][2]["outputs"]
    assert outputs[-1]["ename"] == "ValueError"
    assert run.notebook["metadata"]["aiinfn"]["state"] == "failed"


def test_a_long_error_is_shortened(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]]
) -> None:
    run = start("a.ipynb", notebook("raise ValueError('x' * 100_000)"))
    assert run.finish() == 1
    assert len(run.error.message) <= 2000
    assert len(run.error.traceback) <= 20_000


def test_an_error_that_a_cell_expects_is_none(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]]
) -> None:
    content = notebook("1/0", "print('went on')")
    content["cells"][0]["metadata"]["tags"] = ["raises-exception"]
    run = start("a.ipynb", content)
    assert run.finish() == 0
    assert "went on" in run.texts()


def test_a_kernel_that_dies_is_told_with_its_cell(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]]
) -> None:
    run = start(
        "a.ipynb",
        notebook("print('alive', flush=True)", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"),
    )
    assert run.finish() == 1
    assert (run.error.name, run.error.cell) == ("The kernel died", 2)
    assert run.error.message == "The kernel was ended by SIGKILL."
    assert run.notebook["cells"][1]["outputs"][-1]["ename"] == "DeadKernel"
    assert "alive" in run.texts()


def test_a_job_told_to_stop_saves_what_there_is_and_ends_its_kernel(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]], home: Path
) -> None:
    code = "import os, time\nopen('pid', 'w').write(str(os.getpid()))\nprint('so far', flush=True)\ntime.sleep(600)"
    run = start("a.ipynb", notebook("print('done')", code))
    run.until(lambda: (home / "pid").exists() and (home / "pid").read_text())
    time.sleep(0.3)  # the output travels to the runner
    assert run.stop() == 75
    assert run.texts() == "done\nso far\n"
    assert run.notebook["metadata"]["aiinfn"]["state"] == "stopped"
    assert not [record for record in run.records if record.type == "error"]
    assert_gone(int((home / "pid").read_text()))


def test_a_job_told_to_stop_at_its_very_beginning_does_not_end_well(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]], home: Path
) -> None:
    run = start("a.ipynb", notebook("import time; time.sleep(60)"))
    time.sleep(0.4)
    # Before Python has the handler, the signal ends it as it does any process.
    assert run.stop() in {75, -signal.SIGTERM}


def test_a_killed_job_takes_its_kernel_with_it(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]], home: Path
) -> None:
    run = start(
        "a.ipynb", notebook("import os, time\nopen('pid', 'w').write(str(os.getpid()))\ntime.sleep(600)")
    )
    run.until(lambda: (home / "pid").exists() and (home / "pid").read_text())
    run.process.kill()
    run.finish()
    assert_gone(int((home / "pid").read_text()))


def test_a_missing_kernel_is_told(start: Callable[..., Run], notebook: Callable[..., dict[str, Any]]) -> None:
    run = start("a.ipynb", notebook("1"), kernel="no-such-kernel")
    assert run.finish() == 2
    assert run.error.name == "Kernel missing"
    assert "'no-such-kernel'" in run.error.message


def test_a_kernel_that_cannot_start_is_told(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]], home: Path
) -> None:
    folder = home / ".local/share/jupyter/kernels/broken"
    folder.mkdir(parents=True)
    spec = {"argv": [sys.executable, "-c", "raise SystemExit(3)"], "display_name": "B", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))
    run = start("a.ipynb", notebook("1"), kernel="broken")
    assert run.finish() == 2
    assert run.error.name == "Kernel not starting"


@pytest.mark.parametrize("content", ["not json", "{}", '{"nbformat": 4, "nbformat_minor": 5}'])
def test_what_is_no_notebook_is_told(start: Callable[..., Run], content: str) -> None:
    run = start("a.ipynb", content)
    assert run.finish() == 2
    assert run.error.message


def test_what_a_cell_prints_cannot_pass_for_a_record(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]]
) -> None:
    forged = '{"type":"progress","progress":{"cell":9,"cells":9}}'
    run = start("a.ipynb", notebook(f"print('\\x1e{forged}')\nprint('no newline', end='')", "2"))
    assert run.finish() == 0
    assert run.progress == [(1, 2), (2, 2)]
    assert "no newline\n[cell 2 of 2]" in run.log


def test_a_runner_that_is_not_told_its_attempt_counts_on_from_the_output(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]]
) -> None:
    first = start("a.ipynb", notebook("x = 1"), attempt=0)
    assert first.finish() == 0
    assert first.notebook["metadata"]["aiinfn"]["attempt"] == 1
    second = start("a.ipynb", notebook("x = 1"), attempt=0)
    assert second.finish() == 0
    assert second.notebook["metadata"]["aiinfn"]["attempt"] == 2


def test_a_second_attempt_replaces_the_output_of_the_first(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]]
) -> None:
    run = start("a.ipynb", notebook("print('one')"))
    assert run.finish() == 0
    run.output.chmod(0o600)
    again = start("a.ipynb", notebook("print('two')"), attempt=2)
    assert again.finish() == 0
    assert again.texts() == "two\n"


def test_the_output_is_as_private_as_the_person_wants_new_files(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]]
) -> None:
    before = os.umask(0o077)
    try:
        run = start("a.ipynb", notebook("1"))
    finally:
        os.umask(before)
    assert run.finish() == 0
    assert stat.S_IMODE(run.output.stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["x" * 249 + ".ipynb", "日" * 80 + ".ipynb", "{a} 'q' $(x)\".ipynb"])
def test_a_name_may_be_long_or_odd(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]], name: str
) -> None:
    run = start(name, notebook("print('fine')"))
    assert run.finish() == 0
    assert run.texts() == "fine\n"
    assert len(run.output.name.encode()) <= 255


def test_results_with_figures_and_updates_are_kept(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]]
) -> None:
    code = "from IPython.display import display, HTML\nh = display(HTML('<b>1</b>'), display_id=True)\nh.update(HTML('<b>2</b>'))"
    run = start("a.ipynb", notebook(code))
    assert run.finish() == 0
    (output,) = run.notebook["cells"][0]["outputs"]
    assert output["data"]["text/html"] == ["<b>2</b>"] or output["data"]["text/html"] == "<b>2</b>"


def test_an_input_that_is_gone_is_told(
    start: Callable[..., Run],
    start_raw: Callable[[str], Run],
    notebook: Callable[..., dict[str, Any]],
    home: Path,
) -> None:
    work = {"kind": "notebook", "path": "a.ipynb", "snapshot": ".aiinfn/jobs/x/a.ipynb", "kernel": "python3"}
    spec = {"job": "j", "attempt": 1, "home": str(home), "work": work, "output": "a.j.ipynb"}
    run = start_raw(json.dumps(spec))
    assert run.finish() == 2
    assert run.error.name == "Input missing"
    spec["work"]["path"] = "gone/a.ipynb"  # type: ignore[index]
    run = start_raw(json.dumps(spec))
    assert run.finish() == 2
    assert run.error.name == "Folder missing"


def test_a_spec_that_cannot_be_read_is_told(start_raw: Callable[[str], Run]) -> None:
    for spec in ("", "{", '{"job": 1}'):
        run = start_raw(spec)
        assert run.finish() == 2
        assert run.error.name == "Bad job"


@pytest.fixture
def small_disk(home: Path) -> Iterator[Path]:
    place = home / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=96k", "tmpfs", str(place)]
    if (
        os.geteuid()
        or not shutil.which("mount")
        or subprocess.run(mount, capture_output=True, check=False).returncode
    ):
        pytest.skip("only root can mount a small file system, and only on some machines")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_disk_that_fills_while_running_is_told_and_the_last_good_output_stays(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]], small_disk: Path
) -> None:
    run = start(
        "small/a.ipynb", notebook("print('early')\nimport time; time.sleep(1.5)", "print('y' * 200_000)")
    )
    assert run.finish() == 1
    assert run.error.name == "Disk full"
    assert "no room left" in run.error.message
    assert "early" in run.texts()
    assert [path.name for path in small_disk.iterdir()] == ["a.k3x9.ipynb"]


def test_a_disk_that_is_full_from_the_start_is_told_before_anything_runs(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]], small_disk: Path
) -> None:
    with (small_disk / "fill").open("wb") as file, contextlib.suppress(OSError):
        file.write(b"x" * 200_000)
    run = start("small/a.ipynb", notebook("open('../ran', 'w')"))
    assert run.finish() == 2
    assert run.error.name == "Disk full"
    assert not (small_disk.parent / "ran").exists()


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


def test_what_a_dying_kernel_says_is_told_and_what_an_ending_one_says_is_not(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]]
) -> None:
    # ipykernel shows what reaches descriptor 2 in the cell, and keeps the process's own standard error aside.
    own = "import atexit, os, sys\nown = os.dup(sys.stderr._original_stdstream_copy)\n"
    run = start("a.ipynb", notebook(own + "atexit.register(os.write, own, b'torn down')\nprint('work')"))
    assert run.finish() == 0
    assert run.log.endswith("work\n")
    assert run.errors == ""
    run = start("b.ipynb", notebook(own + "os.write(own, b'out of luck')\nos._exit(9)"), job="second")
    assert run.finish() == 1
    assert run.errors == "out of luck"


def test_a_kernel_without_encryption_uses_private_sockets_which_go_with_it(
    start: Callable[..., Run],
    notebook: Callable[..., dict[str, Any]],
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv(VARIABLE, REQUIRED)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    kernel(home, "plain", [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"])
    code = "import json, sys; told = json.load(open(sys.argv[sys.argv.index('-f') + 1])); print(told['transport'], told['ip'])"
    run = start("a.ipynb", notebook(code), kernel="plain")
    assert run.finish() == 0, run.errors
    transport, prefix = run.texts().split()
    assert transport == "ipc"
    assert Path(prefix).parent.parent == tmp_path
    assert not Path(prefix).parent.exists()


def test_a_kernel_that_others_could_listen_to_is_not_started_on_a_shared_machine(
    start: Callable[..., Run],
    notebook: Callable[..., dict[str, Any]],
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kernel(home, "loud", ["touch", str(home / "started"), "{connection_file}"])
    monkeypatch.setenv(VARIABLE, REQUIRED)
    run = start("a.ipynb", notebook("1"), kernel="loud")
    assert run.finish() == 2
    assert run.error.name == "Kernel not private"
    assert "others who work here could read its code" in run.error.message
    assert not (home / "started").exists()


def test_modules_beside_a_notebook_keep_its_kernel_from_starting_no_more(
    start: Callable[..., Run], notebook: Callable[..., dict[str, Any]], home: Path
) -> None:
    for name in ("types", "random", "json", "logging", "warnings", "contextlib"):
        (home / f"{name}.py").write_text("raise SystemExit('imported from the home')\n")
    (home / "helper.py").write_text("here = 'beside'\n")
    run = start("a.ipynb", notebook("import random, helper; print(helper.here)"))
    assert run.finish() == 0, run.errors
    assert run.texts() == "beside\n"


def kernel(home: Path, name: str, argv: list[str]) -> None:
    folder = home / ".local/share/jupyter/kernels" / name
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(
        json.dumps({"argv": argv, "display_name": name, "language": "python"})
    )
