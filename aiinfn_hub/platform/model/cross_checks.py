"""What holds between the sections of a platform file: names exist, and reservations can be kept."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final

from .accelerators import Accelerator
from .fields import CPU_ONLY, FindingError
from .periods import Reservation
from .projects import Project

REFERENCES: Final = (
    ("accelerators", "sizes", "sizes"),
    ("images", "accelerators", "accelerators or none"),
    ("projects", "accelerators", "accelerators"),
    ("projects", "sizes", "sizes"),
    ("projects", "images", "images"),
    ("queues", "projects", "projects"),
    ("queues", "accelerators", "accelerators or none"),
    ("storage", "projects", "projects"),
    ("reservations", "project", "projects"),
    ("reservations", "accelerator", "accelerators"),
    ("grants", "project", "projects"),
    ("grants", "accelerators", "accelerators"),
    ("presets", "accelerator", "accelerators or none"),
    ("presets", "image", "images"),
    ("presets", "size", "sizes"),
    ("presets", "project", "projects"),
)
"""Where a name of another section stands: section, key in it, and the section that must have it."""


def unknown_names(data: Any) -> Iterator[FindingError]:
    """Find names that nothing in the file has.

    Parameters
    ----------
    data
        A `Platform`, or the file as YAML gives it, of which anything may be wrong.
    """
    for section, field, target in REFERENCES:
        known = _section(data, target.removesuffix(" or none"))
        names = [*known, CPU_ONLY] if target.endswith(" or none") else list(known)
        for name, value in _section(data, section).items():
            said = _get(value, field)
            if isinstance(said, str):
                yield from _check(said, (section, str(name), field), names, target)
            elif isinstance(said, (list, tuple)):
                for index, each in enumerate(said):
                    yield from _check(each, (section, str(name), field, index), names, target)


def _check(
    name: Any, key: tuple[str | int, ...], known: Collection[Any], target: str
) -> Iterator[FindingError]:
    if isinstance(name, str) and name not in known:
        yield FindingError(
            key,
            f"there is no {name} under {target.removesuffix(' or none')} in this file{meant(name, known)}",
        )


def meant(name: str, known: Collection[Any]) -> str:
    """Guess what was meant instead of a name that is unknown; empty if nothing is like it."""
    near = get_close_matches(name, [str(each) for each in known], n=1, cutoff=0.5)
    return f"; is {near[0]} meant?" if near else ""


def reservations(
    held_for: Mapping[str, Reservation],
    projects: Mapping[str, Project],
    accelerators: Mapping[str, Accelerator],
) -> Iterator[FindingError]:
    """Find reservations that could not be kept or that serve nobody."""
    for name, held in held_for.items():
        project, device = projects.get(held.project), accelerators.get(held.accelerator)
        if project is None or device is None:
            continue  # an unknown name, which is found anyway
        if project.accelerators is not None and held.accelerator not in project.accelerators:
            yield FindingError(
                ("reservations", name, "accelerator"),
                f"the project {held.project} may not use {held.accelerator}; add it to the accelerators of the project",
            )
        if held.count is None:
            rivals = [
                other
                for other, value in held_for.items()
                if value.accelerator == held.accelerator
                and value.project != held.project
                and value.begin < held.end
                and held.begin < value.end
            ]
            if rivals:
                yield FindingError(
                    ("reservations", name),
                    f"it keeps all {held.accelerator} while {rivals[0]} keeps some for another project; give a count",
                )
        elif (devices := device.known_devices) is None:
            yield FindingError(
                ("reservations", name, "count"),
                f"how many {held.accelerator} there are is not said; give devices of that accelerator, or leave count out",
            )
        elif (kept := _kept_at_begin(held_for, name)) > devices:
            yield FindingError(
                ("reservations", name, "count"),
                f"{kept} {held.accelerator} are reserved at the same time, but there are {devices}",
            )


def back_ends(sessions: str, batch: str) -> Iterator[FindingError]:
    """Find back ends that do not go together: batch makes room for sessions, on devices that it counts itself."""
    if sessions != batch:
        yield FindingError(
            ("batch", "backend"),
            f"sessions run with the back end {sessions}, and batch cannot make room for them from {batch}; write {sessions}, or leave batch.backend out",
        )


def _kept_at_begin(held_for: Mapping[str, Reservation], name: str) -> int:
    """Return the devices that are kept when a reservation begins, with its own: the sum is largest at such a time."""
    held = held_for[name]
    return sum(
        other.count or 0
        for other in held_for.values()
        if other.accelerator == held.accelerator and other.holds(held.begin)
    )


def _section(data: Any, name: str) -> Mapping[Any, Any]:
    value = _get(data, name)
    return value if isinstance(value, Mapping) else {}


def _get(value: Any, field: str) -> Any:
    return value.get(field) if isinstance(value, Mapping) else getattr(value, field, None)
