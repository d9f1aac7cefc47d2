"""This suite against jupyter-scheduler: the same tasks with the same notebooks, before the same browser.

Run by ``python -m bench comparison``. `measure` does it, `result` keeps it and writes the tables of docs/comparison.md.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from bench.comparison import result
from bench.comparison.measuring import compare
from bench.figures import Figure


def measure() -> Iterator[Figure]:
    """Compare; the whole is kept in a file of its own, of which the documentation's tables are made."""
    found = compare(result.save)
    print(result.tables(found))
    for name, measured in found.systems.items():
        yield Figure(
            f"{name}: open notebook to open output, median",
            statistics.median(run.to_open for run in measured.plain),
            "s",
        )
    ours, peer = (found.systems[name] for name in (result.OURS, result.PEER))
    ratio = statistics.median(run.to_open for run in ours.plain) / statistics.median(
        run.to_open for run in peer.plain
    )
    yield Figure("ratio", ratio, "x", "<= 1", ratio <= 1)
