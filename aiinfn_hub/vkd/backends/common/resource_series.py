"""What a job used over time: a bounded list of points, however long it runs. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from aiinfn_hub.contract.records import RecordRefusedError, check_point

MOST_POINTS: Final = 240
"""`contract.MOST_RESOURCE_POINTS`, which this must not import."""


class Series:
    """The points of one attempt.

    When there are too many, each two neighbours become one. The runner then measures half as often, so that points stay
    equally far apart.

    Attributes
    ----------
    points
        JSON objects as `contract.ResourcePoint` has them.
    """

    def __init__(self, points: list[dict[str, Any]] | None = None) -> None:
        self.points = checked(points or ())[:MOST_POINTS]

    def add(self, point: dict[str, Any]) -> bool:
        """Take in a point that was checked; False if it is known."""
        if self.points and point["time"] <= self.points[-1]["time"]:
            return False
        self.points.append(point)
        if len(self.points) > MOST_POINTS:
            self._halve()
        return True

    def _halve(self) -> None:
        began, halved = 0.0, []
        for first, second in zip(self.points[::2], self.points[1::2], strict=False):
            halved.append(_joined(began, first, second))
            began = second["time"]
        if len(self.points) % 2:
            halved.append(self.points[-1])
        self.points = halved


def _joined(began: float, first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Make one point of two: averages stay averages, and the most stays the most."""
    early, late = max(0.0, first["time"] - began), second["time"] - first["time"]
    whole = early + late or 1.0

    def mean(name: str) -> float:
        return float((first[name] * early + second[name] * late) / whole)

    joined = {
        "time": second["time"],
        "cores": round(mean("cores"), 3),
        "memory": max(first["memory"], second["memory"]),
    }
    if "busy" in first and "busy" in second:
        joined["busy"] = round(mean("busy"), 1)
    most = [point["accelerator_memory"] for point in (first, second) if "accelerator_memory" in point]
    if most:
        joined["accelerator_memory"] = max(most)
    return joined


def checked(points: Iterable[Any]) -> list[dict[str, Any]]:
    """Return those points that can be used."""
    found = []
    for point in points:
        if isinstance(point, dict):
            try:
                found.append(check_point(point))
            except RecordRefusedError:
                continue
    return found
