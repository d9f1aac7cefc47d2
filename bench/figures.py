"""Figures and how they are shown."""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Figure:
    """One measured value.

    Attributes
    ----------
    aim
        What it should be, as text; empty if there is no aim.
    met
        Whether the aim is met; None without an aim.
    """

    name: str
    value: float
    unit: str
    aim: str = ""
    met: bool | None = None


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which a share (0 to 1) of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def timings(name: str, seconds: Sequence[float], *, p95_aim: float | None = None) -> Iterable[Figure]:
    """Yield median and 95th percentile of some durations, in milliseconds."""
    yield Figure(f"{name}, median", statistics.median(seconds) * 1000, "ms")
    p95 = percentile(seconds, 0.95) * 1000
    aim = "" if p95_aim is None else f"<= {p95_aim:g} ms"
    yield Figure(f"{name}, p95", p95, "ms", aim, None if p95_aim is None else p95 <= p95_aim)


def show(title: str, figures: Sequence[Figure]) -> None:
    """Print a table."""
    print(f"\n{title}")
    for figure in figures:
        verdict = "" if figure.met is None else ("  ok" if figure.met else "  MISSED")
        aim = f"  (aim {figure.aim})" if figure.aim else ""
        print(f"  {figure.name:<66} {figure.value:>10.4g} {figure.unit}{aim}{verdict}", flush=True)


def save(results: dict[str, list[Figure]]) -> Path:
    """Keep the figures as JSON, with the machine they were measured on."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.json"
    figures = {name: [asdict(figure) for figure in group] for name, group in results.items()}
    machine = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.system(),
    }
    path.write_text(json.dumps({"machine": machine, "figures": figures}, indent=2))
    return path
