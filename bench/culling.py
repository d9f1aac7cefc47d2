"""Whether an open jobs panel keeps an idle session from being culled: jupyterhub-idle-culler, a browser, and time."""

from __future__ import annotations

from collections.abc import Iterator

from bench.figures import Figure
from tests.ui import culling


def measure(hours: float = 1 / 60) -> Iterator[Figure]:
    """Leave four sessions alone until the culler takes them.

    Parameters
    ----------
    hours
        The culler's timeout.
    """
    timeout = hours * 3600
    seen = culling.run(timeout)
    closed = seen.culled.get(culling.CLOSED)
    assert closed is not None, "not even the session without a page was culled"
    panel = seen.culled.get(culling.PANEL, float("inf"))
    yield Figure("timeout of the culler", timeout, "s")
    yield Figure("culled after: no page", closed, "s")
    yield Figure("culled after: a page without the panel", seen.culled.get(culling.PLAIN, float("inf")), "s")
    yield Figure("culled after: a page with the panel, a job and its log", panel, "s")
    # The panel's session was used last, and the culler looks every now and then.
    aim = closed + 0.1 * timeout + 90
    yield Figure(
        "ratio of the last to the first", panel / closed, "x", f"<= {aim / closed:.2f}x", panel <= aim
    )
    yield Figure("times the open panel read the list", sum(seen.asked.values()), "")
    yield Figure("of these with something new", seen.asked[200], "", "> 0", seen.asked[200] > 0)
    alive = culling.WORKING in seen.alive
    yield Figure("a session in which somebody works is still there", int(alive), "", "1", alive)
