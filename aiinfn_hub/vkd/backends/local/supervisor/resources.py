"""What a job used over time: a bounded list of points, however long it runs. Standard library only."""

from __future__ import annotations

from typing import Any, Final

MOST_POINTS: Final = 240
"""`contract.MOST_RESOURCE_POINTS`, which this must not import."""
_FIELDS: Final = ("time", "cores", "memory", "busy", "accelerator_memory")


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
        self.points = [point for point in points or () if _is_point(point)]

    def add(self, record: dict[str, Any]) -> bool:
        """Take in a record of the runner; False if it is none, or known."""
        point: dict[str, Any] = record.get("resources") or {}
        if not _is_point(point) or (self.points and point["time"] <= self.points[-1]["time"]):
            return False
        self.points.append({name: point[name] for name in _FIELDS if point.get(name) is not None})
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


def _is_point(point: Any) -> bool:
    return isinstance(point, dict) and all(
        isinstance(point.get(name), (int, float)) for name in ("time", "cores", "memory")
    )
