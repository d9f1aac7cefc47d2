"""Runs that a newer platform describes: what the runner does not know is left out, and work it cannot do is told."""

import json

import pytest

from tests.newer import WORDS


@pytest.fixture
def described(home):
    """Describe a script with keys that nobody knows."""
    snapshot = home / ".aiinfn/jobs/x/a.py"
    snapshot.parent.mkdir(parents=True)
    snapshot.write_text("print('it ran')\n")

    def make(kind):
        work = {"kind": kind, "path": "a.py", "snapshot": ".aiinfn/jobs/x/a.py", "colour": {"red": [1]}}
        spec = {"job": "j", "attempt": 1, "home": str(home), "work": work, "output": "a.j.log"}
        return json.dumps({**spec, "colour": "blue"})

    return make


def test_unknown_keys_are_left_out(start_raw, described):
    run = start_raw(described("script"))
    assert run.finish() == 0, run.errors
    assert "it ran" in run.log


def test_work_of_an_unknown_kind_is_told_and_not_run_as_something_else(start_raw, described, home):
    run = start_raw(described(WORDS["kind"]))
    assert run.finish() == 2
    assert "'qpu'" in run.error.message
    assert "newer image" in run.error.message
    assert "it ran" not in run.log
    assert not (home / "a.j.log").exists()
