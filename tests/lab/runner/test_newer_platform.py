"""Runs that a newer platform describes: what the runner does not know is left out, and work it cannot do is told."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.lab.runner.conftest import Run
from tests.newer import WORDS


@pytest.fixture
def described(home: Path) -> Callable[..., Any]:
    """Describe a script with keys that nobody knows."""
    snapshot = home / ".aiinfn/jobs/x/a.py"
    snapshot.parent.mkdir(parents=True)
    snapshot.write_text("print('it ran')\n")

    def make(kind: Any) -> Any:
        work = {"kind": kind, "path": "a.py", "snapshot": ".aiinfn/jobs/x/a.py", "colour": {"red": [1]}}
        spec = {"job": "j", "attempt": 1, "home": str(home), "work": work, "output": "a.j.log"}
        return json.dumps({**spec, "colour": "blue"})

    return make


def test_unknown_keys_are_left_out(start_raw: Callable[[str], Run], described: Callable[..., Any]) -> None:
    run = start_raw(described("script"))
    assert run.finish() == 0, run.errors
    assert "it ran" in run.log


def test_work_of_an_unknown_kind_is_told_and_not_run_as_something_else(
    start_raw: Callable[[str], Run], described: Callable[..., Any], home: Path
) -> None:
    run = start_raw(described(WORDS["kind"]))
    assert run.finish() == 2
    assert "'qpu'" in run.error.message
    assert "newer image" in run.error.message
    assert "it ran" not in run.log
    assert not (home / "a.j.log").exists()
