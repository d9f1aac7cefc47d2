"""What a comparison found, kept as JSON, and the tables of docs/comparison.md made of it.

``python -m bench.comparison.result`` writes the newest result into the documentation.
"""

from __future__ import annotations

import json
import os
import platform
import re
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import psutil

from bench.comparison.person import Person
from bench.figures import RESULTS, percentile
from tests.ui.demo import ROOT

DOCUMENT: Final = ROOT / "docs" / "comparison.md"
KEPT: Final = RESULTS / "comparison.json"
UNMEASURED: Final = "Not measured yet."
OURS, PEER = "aiinfn", "jupyter-scheduler"


@dataclass(frozen=True)
class Acts:
    """What a person did."""

    clicks: int
    keys: int
    scrolls: int

    @classmethod
    def of(cls, person: Person) -> Acts:
        """Count up to now."""
        return cls(person.clicks, person.keys, person.scrolls)

    def __sub__(self, other: Acts) -> Acts:
        return Acts(self.clicks - other.clicks, self.keys - other.keys, self.scrolls - other.scrolls)


@dataclass(frozen=True)
class Run:
    """One job, from the notebook that is open to its output that is open; times in seconds, memory in MB.

    Attributes
    ----------
    to_sent, to_over, to_open
        From the first click until the server accepted the job, its user knows or could know that it is over, and its
        executed notebook is shown.
    over_to_open
        The last part of it.
    queued_for, ran_for
        As the system itself recorded it: from created to started, and from started to ended.
    acts
        Of the whole; of a failed job those after it failed.
    cpu, peak_mb
        Of the server processes, from the first click to the open output.
    """

    to_sent: float
    to_over: float
    to_open: float
    over_to_open: float
    queued_for: float
    ran_for: float
    acts: Acts
    cpu: float
    peak_mb: float


@dataclass
class Measured:
    """All that was measured of one system; bytes without compression, processor time in seconds, memory in MB.

    Attributes
    ----------
    window
        Seconds in which `idle_requests`, `idle_cpu`, `busy_requests` and `busy_cpu` were counted.
    """

    plain: list[Run] = field(default_factory=list)
    parameter: list[Run] = field(default_factory=list)
    failing: list[Run] = field(default_factory=list)
    window: float = 60
    start_bytes: int = 0
    start_requests: int = 0
    form_bytes: int = 0
    list_bytes: int = 0
    list_ms: list[float] = field(default_factory=list)
    idle_requests: float = 0
    idle_cpu: float = 0
    idle_mb: float = 0
    busy_requests: float = 0
    busy_cpu: float = 0
    busy_mb: float = 0
    shared_mb: float = 0


@dataclass(frozen=True)
class Machine:
    """Where and when it was measured."""

    at: str
    cores: int
    memory_gib: float
    load: tuple[float, float, float]
    python: str
    jupyterlab: str
    peer: str
    chromium: str


@dataclass(frozen=True)
class Comparison:
    """A whole comparison."""

    began: Machine
    ended: Machine
    history: int
    systems: dict[str, Measured]


def machine(peer: str, chromium: str) -> Machine:
    """Describe this machine now."""
    return Machine(
        at=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        cores=len(os.sched_getaffinity(0)),
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        load=os.getloadavg(),
        python=platform.python_version(),
        jupyterlab=version("jupyterlab"),
        peer=peer,
        chromium=chromium,
    )


def save(found: Comparison) -> Path:
    """Keep it as JSON."""
    RESULTS.mkdir(exist_ok=True)
    KEPT.write_text(json.dumps(asdict(found), indent=2))
    return KEPT


def load(path: Path = KEPT) -> Comparison:
    """Read what was kept."""
    read = json.loads(path.read_text())
    systems = {}
    for name, measured in read["systems"].items():
        for kind in ("plain", "parameter", "failing"):
            measured[kind] = [Run(**{**run, "acts": Acts(**run["acts"])}) for run in measured[kind]]
        systems[name] = Measured(**measured)
    places = (Machine(**{**read[when], "load": tuple(read[when]["load"])}) for when in ("began", "ended"))
    return Comparison(*places, read["history"], systems)  # type: ignore[arg-type, call-arg]


def spread(values: Sequence[float], digits: int = 1) -> str:
    """Write a median and a range, or the only value."""
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def _acts(runs: Sequence[Run]) -> str:
    # The same every time, or it is no count of what is needed: more would be a ValueError.
    (acts,) = {run.acts for run in runs}
    return f"{acts.clicks} + {acts.keys} + {acts.scrolls}"


Row = tuple[str, Callable[[Measured], str]]


def _of(kind: str, value: str, digits: int = 1) -> Callable[[Measured], str]:
    return lambda measured: spread([getattr(run, value) for run in getattr(measured, kind)], digits)


TABLES: Final[dict[str, tuple[Row, ...]]] = {
    "What a person does": (
        ("open notebook to open output: clicks + keys + scrolls", lambda found: _acts(found.plain)),
        ("the same with one parameter changed", lambda found: _acts(found.parameter)),
        ("failed job to the error at its cell", lambda found: _acts(found.failing)),
    ),
    "How long it takes, s": (
        ("open notebook to open output", _of("plain", "to_open")),
        ("the same with one parameter changed", _of("parameter", "to_open")),
        ("first click to accepted by the server", _of("plain", "to_sent")),
        ("created to started, as recorded", _of("plain", "queued_for")),
        ("started to ended, as recorded", _of("plain", "ran_for")),
        ("over to open output", _of("plain", "over_to_open")),
        ("failed to the error at its cell on the screen", _of("failing", "over_to_open")),
    ),
    "What it costs the browser": (
        ("fetched at JupyterLab's start, kB", lambda found: f"{found.start_bytes / 1000:.0f}"),
        ("requests to the server half at the start", lambda found: f"{found.start_requests}"),
        ("fetched when the form is first opened, kB", lambda found: f"{found.form_bytes / 1000:.0f}"),
        ("fetched when the list is first opened, kB", lambda found: f"{found.list_bytes / 1000:.0f}"),
        (
            "requests a minute, list open, nothing runs",
            lambda found: f"{60 * found.idle_requests / found.window:.0f}",
        ),
        (
            "requests a minute, list open, a job runs",
            lambda found: f"{60 * found.busy_requests / found.window:.0f}",
        ),
    ),
    "What it costs the servers": (
        ("list of 25 among the history, median, ms", lambda found: f"{statistics.median(found.list_ms):.0f}"),
        ("list of 25 among the history, p95, ms", lambda found: f"{percentile(found.list_ms, 0.95):.0f}"),
        ("processor for one job, s", _of("plain", "cpu")),
        ("memory at most during one job, PSS, MB", _of("plain", "peak_mb", 0)),
        ("memory with nothing running, PSS, MB", lambda found: f"{found.idle_mb:.0f}"),
        ("memory of hub and proxy, which serve everybody, PSS, MB", lambda found: f"{found.shared_mb:.0f}"),
        (
            "processor a minute, list open, nothing runs, s",
            lambda found: f"{60 * found.idle_cpu / found.window:.2f}",
        ),
        (
            "processor a minute, list open, a sleeping job runs, s",
            lambda found: f"{60 * found.busy_cpu / found.window:.2f}",
        ),
    ),
}


def tables(found: Comparison) -> str:
    """Write everything as Markdown."""
    ours, peer = found.systems[OURS], found.systems[PEER]
    at, then = found.began, found.ended
    runs = "one run" if len(ours.plain) == 1 else f"{len(ours.plain)} runs"
    idle = at.load[0] < at.cores / 2
    lines = [
        (
            f"Measured on {at.at}: {at.cores} cores, {at.memory_gib:g} GiB of memory, Python {at.python}, JupyterLab "
            f"{at.jupyterlab}, jupyter-scheduler {at.peer}, chromium {at.chromium}; {runs} of each, in turn; "
            f"{found.history:,} ended jobs of history in each. Load of the machine (1 min) {at.load[0]:.1f} before and "
            f"{then.load[0]:.1f} after"
            + (
                "."
                if idle
                else ": it was not idle, so the times are long for both, and their ratio is what counts."
            )
        ),
    ]
    for title, rows in TABLES.items():
        lines += ["", f"| {title} | {OURS} | {PEER} |", "|---|---|---|"]
        lines += [f"| {name} | {write(ours)} | {write(peer)} |" for name, write in rows]
    return "\n".join(lines)


_MARKS: Final = re.compile(r"(?<=<!-- figures -->\n).*?(?=\n<!-- end of figures -->)", re.DOTALL)


def figures_of(text: str) -> dict[str, dict[str, tuple[str, str]]]:
    """Read the tables of a document again: title, row, and the cells of both systems."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    block = _MARKS.search(text)
    for line in block[0].splitlines() if block else ():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != 3 or set(cells[0]) == {"-"}:
            continue
        name, ours, peer = cells
        if (ours, peer) == (OURS, PEER):
            rows = found.setdefault(name, {})
        else:
            rows[name] = (ours, peer)
    return found


def document(found: Comparison) -> Any:
    """Write the tables into the documentation."""
    text = DOCUMENT.read_text()
    assert _MARKS.search(text), f"{DOCUMENT} has no place for figures"
    DOCUMENT.write_text(_MARKS.sub(lambda _: tables(found), text))


if __name__ == "__main__":
    document(load())
