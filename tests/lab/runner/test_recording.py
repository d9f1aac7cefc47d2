"""Values that jobs record and checkpoints that they keep, in any language."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aiinfn_hub.contract.records import check
from aiinfn_lab.recording import read
from tests.lab.runner.conftest import Run


def notebook(*sources: Any) -> dict[str, Any]:
    cells = [
        {"cell_type": "code", "id": f"c{n}", "metadata": {}, "source": source, "outputs": [], "execution_count": None}
        for n, source in enumerate(sources)
    ]  # fmt: skip
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return {"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}


def recorded(run: Run) -> dict[str, Any]:
    values: dict[Any, Any] = {}
    for record in run.records:
        values |= record.values or {}
    return values


def test_a_notebook_records_values_and_the_last_of_a_name_counts(start: Callable[..., Run]) -> None:
    run = start(
        "train.ipynb",
        notebook(
            "from aiinfn_lab import record\nimport math\nrecord(loss=0.5, epoch=1)",
            "record(loss=0.25, note='fine', good=True, bad=math.nan)",
        ),
    )
    assert run.finish() == 0, run.log
    assert recorded(run) == {"loss": 0.25, "epoch": 1, "note": "fine", "good": True, "bad": "nan"}


def test_a_script_in_any_language_records_by_appending_lines(start: Callable[..., Run]) -> None:
    run = start("run.sh", 'echo \'{"loss": 0.125}\' >> "$AIINFN_RECORDS"\necho said\n')
    assert run.finish() == 0, run.log
    assert recorded(run) == {"loss": 0.125}
    assert run.log == "said\n"


def test_values_of_a_job_that_fails_are_told_too(start: Callable[..., Run]) -> None:
    run = start("run.py", "from aiinfn_lab import record\nrecord(step=7)\nraise SystemExit(3)\n")
    assert run.finish() == 1
    assert recorded(run) == {"step": 7}


def test_values_are_told_while_the_job_runs(start: Callable[..., Run], home: Path) -> None:
    run = start(
        "run.py",
        "import time\nfrom aiinfn_lab import record\nrecord(step=1)\ntime.sleep(1.5)\nrecord(step=2)\n",
    )
    assert run.finish() == 0, run.log
    assert [record.values for record in run.records if record.values] == [{"step": 1}, {"step": 2}]


ODD = """
from aiinfn_lab import record
record(**{"caf\\udce9": "caf\\udce9", "n\\0l": "a\\0b"}, huge=10**5000, large=-(10**300), small=2**60)
raise ValueError("no file caf\\udce9")
"""


@pytest.mark.parametrize("name", ["run.ipynb", "run.py"])
def test_names_and_texts_that_are_no_utf8_end_no_job_and_can_be_kept(
    start: Callable[..., Run], name: str
) -> None:
    run = start(name, notebook(ODD) if name.endswith(".ipynb") else ODD)
    assert run.finish() == 1, run.log
    assert recorded(run) == {
        "caf\\udce9": "caf\\udce9",
        "n\\x00l": "a\\x00b",
        "huge": "about 1e+5000",
        "large": -1e300,
        "small": 2.0**60,
    }
    if name.endswith(".ipynb"):
        assert run.error.name == "ValueError"
    for record in run.records:
        check(json.loads(record.model_dump_json(exclude_unset=True)))


def test_a_full_disk_costs_a_recorded_value_and_not_the_job(start: Callable[..., Run]) -> None:
    code = (
        "import os\nfrom aiinfn_lab import record\nos.environ['AIINFN_RECORDS'] = '/dev/full'\n"
        "record(a=1)\nprint('done')\n"
    )
    run = start("run.py", code)
    assert run.finish() == 0, run.log
    assert "record(): not recorded: No space left on device\n" in run.log
    assert "done\n" in run.log


KILLING = """
import os, pathlib, signal
from aiinfn_lab import record
record(a=1)
pathlib.Path("where").write_text(os.environ["AIINFN_RECORDS"])
os.kill(os.getppid(), signal.SIGKILL)
"""


def test_a_job_that_is_killed_leaves_no_file_behind(
    start: Callable[..., Run], home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    run = start("run.py", KILLING)
    assert run.finish() == -signal.SIGKILL
    assert (home / "where").read_text()
    assert not list(tmp_path.glob("aiinfn-records-*"))


@pytest.mark.parametrize(
    ("line", "values"),
    [
        (b'{"a": 1, "b": [1], "c": {"d": 2}, "e": null}', {"a": 1, "e": None}),
        (b"[1, 2]", {}),
        (b"not json", {}),
        (b"", {}),
        (b'{"": 1}', {}),
        (b'{"x": Infinity}', {"x": "inf"}),
        (b'{"long": "' + b"y" * 900 + b'"}', {"long": "y" * 500}),
        (b"[" * 100_000, {}),
    ],
)
def test_what_is_no_value_is_left_out(line: bytes, values: dict[str, Any]) -> None:
    assert read(line) == values


def test_outside_of_a_job_recording_does_nothing_but_check(tmp_path: Path) -> None:
    code = (
        "import numpy\nfrom aiinfn_lab import record\nrecord(a=numpy.float32(0.5), b='x')\n"
        "try:\n    record(bad=[1])\nexcept TypeError as error:\n    print(error)\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "AIINFN_RECORDS"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        env=environment,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.stdout == "record(bad=...): a number, a text or a boolean is expected, not list.\n"
    assert (done.returncode, list(tmp_path.iterdir())) == (0, [])


CHECKPOINTING = """
import json, time
from aiinfn_lab import checkpoint, record
done = json.loads(checkpoint.read("state.json") or b"0")
print(f"from {done}", flush=True)
for step in range(done, 20):
    open("work", "a").write(f"{step}\\n")
    checkpoint.write("state.json", json.dumps(step + 1).encode())
    time.sleep(0.1)
record(steps=step + 1)
"""


def test_a_job_that_is_stopped_goes_on_where_its_checkpoint_is(start: Callable[..., Run], home: Path) -> None:
    """The work of the two attempts together is that of one that was never stopped, but for the step in progress."""
    first = start("run.py", CHECKPOINTING)
    first.until(lambda: (home / "work").exists() and len((home / "work").read_text().split()) >= 5)
    assert first.stop() == 75
    folder = home / ".aiinfn/checkpoints/k3x9"
    assert [place.stat().st_mode & 0o777 for place in (folder, folder.parent)] == [0o700, 0o700]
    kept = json.loads((folder / "state.json").read_text())
    second = start("run.py", CHECKPOINTING, attempt=2)
    assert second.finish() == 0, second.log
    assert second.log == f"from {kept}\n"
    steps = [int(step) for step in (home / "work").read_text().split()]
    assert sorted(set(steps)) == list(range(20))
    assert len(steps) <= 21
    assert recorded(second) == {"steps": 20}
    assert not folder.exists()


def test_a_home_in_which_no_folder_can_be_made_does_not_stop_a_job(
    start: Callable[..., Run], home: Path
) -> None:
    (home / ".aiinfn").mkdir()
    (home / ".aiinfn/checkpoints").write_text("in the way")
    run = start("run.py", "from aiinfn_lab import checkpoint\nprint(checkpoint.read('state'))\n")
    assert run.finish() == 0, run.log
    assert run.log == "None\n"
