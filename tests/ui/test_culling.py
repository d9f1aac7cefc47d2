"""An open jobs panel does not keep an idle session from being culled."""

from __future__ import annotations

from tests.ui import culling


def test_a_session_whose_page_only_reads_jobs_is_culled_and_one_in_use_is_not() -> None:
    seen = culling.run(30, (culling.WORKING, culling.PANEL))
    assert seen.asked[200] > 0, "the panel read the list, and there was something new"
    assert culling.PANEL in seen.culled
    assert seen.alive == {culling.WORKING}
