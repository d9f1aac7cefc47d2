"""A small form of `make drill-kill`: each kind of process is killed once."""

import pytest

from tests.drills.kill import Drill, drill_folder


@pytest.mark.timeout(400)
def test_kills_lose_no_job_and_double_none_and_every_reason_is_true() -> None:
    with drill_folder() as folder:
        result = Drill(folder, seed=1, kills=6, jobs=8).run()
    print(result.table())
    assert result.good, result.table()
    # Otherwise it would have shown less than it is there for.
    assert set(result.kills.values()) == {1}
    assert {"completed", "lost", "preempted"} <= set(result.ends)
