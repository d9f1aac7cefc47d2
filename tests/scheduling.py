"""Which process runs which tests, and in what order: the longest files first, by durations that were recorded.

The durations are seconds of each file, in ``durations.json``. ``pytest --record-durations`` writes anew those of the files that
it runs. They decide nothing but the order: a file without one comes after those that have one.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

DURATIONS = Path(__file__).with_name("durations.json")
LEAST = 1.0
"""Seconds that are worth an entry."""
BROWSER_TESTS = PurePosixPath("tests/ui")
HUB_OF_ITS_OWN = "tests/ui/test_culling.py"
DEMONSTRATIONS = 3
"""How many run side by side for the browser tests. Each takes a start, and the tests that share one run one after the other."""


def recorded() -> dict[str, float]:
    """Return the seconds of each file, as they are kept."""
    return json.loads(DURATIONS.read_text())


def dealt(files: Iterable[str], seconds: Mapping[str, float], hands: int) -> dict[str, int]:
    """Share files among so many hands, such that none has much more to do: each, the longest first, to who has least.

    Returns
    -------
    dict
        The number of the hand that has each file, from 0.
    """
    load = [0.0] * hands
    given = {}
    for file in sorted(files, key=lambda file: (-seconds.get(file, LEAST), file)):
        hand = load.index(min(load))
        load[hand] += seconds.get(file, LEAST)
        given[file] = hand
    return given


class Order:
    """What runs together in one process, and when.

    The tests of a file share a hub, and so do the browser tests that share a demonstration.

    Parameters
    ----------
    files
        The files with tests, relative to the checkout.
    seconds
        What each is known to take.
    """

    def __init__(self, files: Iterable[str], seconds: Mapping[str, float]) -> None:
        of_demonstrations = {file for file in files if PurePosixPath(file).parent == BROWSER_TESTS}
        self._demonstration = dealt(of_demonstrations - {HUB_OF_ITS_OWN}, seconds, DEMONSTRATIONS)
        self._seconds: Counter[str] = Counter()
        for file in files:
            self._seconds[self.scope(file)] += seconds.get(file, 0)  # type: ignore[assignment]

    def scope(self, file: str) -> str:
        """Return the name of what a file runs together with."""
        hand = self._demonstration.get(file)
        return file if hand is None else f"{BROWSER_TESTS}, demonstration {hand + 1}"

    def key(self, file: str) -> tuple[float, str]:
        """Return by what files are sorted, so that what takes long is not left at the end."""
        scope = self.scope(file)
        return -self._seconds[scope], scope


class ByDuration(LoadFileScheduling):
    """Gives each process the next of what runs together, in the order of the collection."""

    def __init__(self, config: pytest.Config, log: Any) -> None:
        super().__init__(config, log)
        self._order: Order | None = None

    def _split_scope(self, nodeid: str) -> str:
        if self._order is None:
            self._order = Order({file_of(each) for each in self.collection}, recorded())
        return self._order.scope(file_of(nodeid))


class Recorder:
    """Notes how long the tests of each file take, and keeps it when all are over."""

    def __init__(self) -> None:
        self._seconds: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add a test's preparation, the test or its clearing up."""
        self._seconds[file_of(report.nodeid)] += report.duration  # type: ignore[assignment]

    def pytest_sessionfinish(self) -> None:
        """Write the durations of the files that ran; those of the others stay."""
        seconds = recorded() | self._seconds
        kept = {
            file: round(seconds[file], 1)
            for file in sorted(seconds)
            if seconds[file] >= LEAST and Path(file).exists()
        }
        DURATIONS.write_text(json.dumps(kept, indent=1) + "\n")


def file_of(nodeid: str) -> str:
    """Return the file that a test is in."""
    return nodeid.partition("::")[0]


def in_order(items: list[pytest.Item]) -> None:
    """Sort tests for processes that each take the next: the order within a file, and what runs together, stays."""
    order = Order({file_of(item.nodeid) for item in items}, recorded())
    items.sort(key=lambda item: order.key(file_of(item.nodeid)))
