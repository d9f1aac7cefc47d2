"""Presets: choices that the platform file gives a name, and the gate grants like any other."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from aiinfn_hub.contract.problem import Refusal

from .access.limits import QuotaUse
from .gate import resolve
from .model.fields import FindingError
from .model.platform import Platform
from .model.presets import Preset
from .person import Person
from .selection import Door, Selection

_KEYS: Final = ("accelerator", "count", "project", "image", "size", "time_limit")
_FOR_GOOD: Final = datetime(9000, 1, 1, tzinfo=UTC)


def request_of(preset: Preset) -> dict[str, Any]:
    """Return the request that a preset makes."""
    return {key: value for key in _KEYS if (value := getattr(preset, key)) is not None}


def granted(
    platform: Platform, person: Person, *, now: datetime | None = None, usage: QuotaUse | None = None
) -> dict[str, Selection]:
    """Return the presets that a person may use now, each with what its choice leads to."""
    found = {}
    for name, preset in platform.presets.items():
        try:
            found[name] = resolve(request_of(preset), platform, person, Door.SESSION, now=now, usage=usage)
        except Refusal:
            continue
    return found


def impossible(platform: Platform) -> Iterator[FindingError]:
    """Find presets that the gate grants nobody, ever: neither to somebody who is in every group, nor by any grant."""
    if not platform.presets:
        return
    # As if no reservation were in the way and every grant were everybody's.
    widest = platform.model_copy(
        update={
            "reservations": {},
            "grants": {
                name: grant.model_copy(update={"begin": None, "until": _FOR_GOOD, "groups": (), "people": ()})
                for name, grant in platform.grants.items()
            },
        }
    )
    everybody = Person.of("everybody", _groups(platform))
    for name, preset in platform.presets.items():
        request = request_of(preset)
        projects = [preset.project] if preset.project else [None, *platform.projects]
        refused = None
        for project in projects:
            try:
                resolve(request | {"project": project}, widest, everybody, Door.SESSION)
                break
            except Refusal as refusal:
                refused = refused or refusal
        else:
            assert refused is not None  # noqa: S101 - there is a project at least
            field = refused.field if refused.field in request else None
            yield FindingError(
                ("presets", name, *([field] if field else [])),
                f"nobody can be granted this: {refused.message} {refused.hint}".strip(),
            )


def _groups(platform: Platform) -> Iterator[str]:
    """Name every group that opens something."""
    for project in platform.projects.values():
        yield from (*project.groups, *project.managers)
    for section in (platform.accelerators, platform.images, platform.sizes):
        for value in section.values():
            yield from value.groups or ()
