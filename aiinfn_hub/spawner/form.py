"""The options form as HTML: one form for all spawners.

It works without JavaScript: every choice has a value that means "the usual", the gate judges what was combined, and
its refusal is shown at the field it is about. The script in ``form.js`` disables what does not go together and
refreshes the figures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from aiinfn_hub.platform.gate import offer
from aiinfn_hub.platform.model import CPU_ONLY, Platform
from aiinfn_hub.platform.person import Person
from aiinfn_hub.platform.refusal import Refusal
from aiinfn_hub.platform.units import format_duration, parse_duration
from aiinfn_hub.spawner.context import TEMPLATES
from aiinfn_hub.spawner.profiles import (
    GROUPS,
    Profile,
    brief_of,
    profiles,
    spoken,
    spoken_memory,
    words_of,
)
from aiinfn_hub.vkd.contract import AvailabilityReading

FIELDS: Final = {
    "accelerator": "Accelerator",
    "count": "Number",
    "project": "Project",
    "image": "Environment",
    "size": "Size",
    "time_limit": "Time limit",
}
"""What is chosen, with the words on the form."""


@dataclass
class _Chosen:
    """What is selected when the form is drawn, and what is said at each field."""

    values: dict[str, str] = field(default_factory=dict)
    notices: dict[str, str] = field(default_factory=dict)


def render(
    platform: Platform,
    person: Person,
    reading: AvailabilityReading | None,
    previous: Mapping[str, Any],
    refusal: Refusal | None,
    url: str,
) -> str:
    """Draw the form.

    Parameters
    ----------
    reading
        None if what is free is unknown now.
    previous
        What this person chose last; it may hold anything, and things that do not exist any more.
    refusal
        Why ``previous`` was refused just now.
    url
        Where the script reads what is free, ticket included; empty: nowhere.
    """
    cards = profiles(platform, person, reading)
    if not cards:
        return _environment().get_template("aiinfn/no_project.html").render(platform=platform, person=person)
    may = offer(platform, person)
    chosen = _chosen(platform, person, cards, previous, refusal)
    return (
        _environment()
        .get_template("aiinfn/session_form.html")
        .render(
            groups=[
                (GROUPS[key], list(members)) for key, members in groupby(cards, key=lambda card: card.group)
            ],
            projects=may.projects,
            images={name: image for name, image in may.images.items() if name in _images(cards)},
            sizes=may.sizes,
            times=_times(cards),
            most=max(card.most for card in cards),
            chosen=chosen.values,
            notices=chosen.notices,
            refusal=refusal,
            fields=FIELDS,
            reading=reading,
            accelerators=any(card.name != CPU_ONLY for card in cards),
            brief=brief_of(platform),
            rules=_rules(platform, cards, url),
        )
    )


def _chosen(
    platform: Platform,
    person: Person,
    cards: list[Profile],
    previous: Mapping[str, Any],
    refusal: Refusal | None,
) -> _Chosen:
    """Keep the choices that still exist. What is gone is said, unless the refusal says it already."""
    may = offer(platform, person)
    offered = {
        "accelerator": {card.name for card in cards},
        "project": may.projects.keys(),
        "image": _images(cards),
        "size": may.sizes.keys(),
        "time_limit": {format_duration(time) for time in _times(cards)},
        "count": {str(number) for number in range(1, max(card.most for card in cards) + 1)},
    }
    result = _Chosen({"accelerator": cards[0].name})
    for key, names in offered.items():
        value = _as_text(key, previous.get(key))
        if value in names:
            result.values[key] = value
        elif value and not (key == "count" and value == "0") and not (refusal and refusal.field == key):
            shown = value if len(value) <= 40 else value[:39] + "…"
            result.notices[key] = (
                f"Your last choice “{shown}” is not offered any more; the usual one is selected."
            )
    return result


def _as_text(key: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return ""
    if key == "time_limit":
        try:
            return format_duration(parse_duration(int(value) if str(value).isdigit() else value))
        except ValueError:
            return str(value)
    return str(value)


def _times(cards: list[Profile]) -> list[timedelta]:
    return sorted({time for card in cards for time in card.times})


def _images(cards: list[Profile]) -> set[str]:
    """Give the images that go with at least one card: one for an accelerator that is not offered is not either."""
    return {image for card in cards for images in card.projects.values() for image in images}


def _rules(platform: Platform, cards: list[Profile], url: str) -> dict[str, Any]:
    """Give the script what goes with what, and the words."""
    return {
        "url": url,
        "words": words_of(platform),
        "brief": brief_of(platform),
        "grace": spoken(platform.limits.grace),
        "patience": spoken(platform.limits.session_start),
        "seconds": {format_duration(time): int(time.total_seconds()) for time in _times(cards)},
        "cards": {
            card.name: {
                "title": card.title,
                "most": card.most,
                "projects": card.projects,
                "sizes": card.sizes,
                "times": [format_duration(time) for time in card.times],
                "shorter": _shorter(card),
                "usual": format_duration(card.usual),
                "availability": card.availability.model_dump(mode="json") if card.availability else None,
            }
            for card in cards
        },
    }


def _shorter(card: Profile) -> dict[str, dict[str, int]]:
    """Give the longest time, in seconds, of the projects and sizes that may not have the card's longest."""
    found = {
        project: {
            size: int(longest.total_seconds()) for size, longest in of.items() if longest < card.times[-1]
        }
        for project, of in card.longest.items()
    }
    return {project: of for project, of in found.items() if of}


@cache
def _environment() -> Environment:
    """Names from IAM and the platform file are text: everything is escaped unless it is one of our own files."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"spoken": spoken, "duration": format_duration, "memory": spoken_memory}
    environment.globals |= {"asset": _asset}
    return environment


@cache
def _asset(name: str) -> Markup:
    """Give one of our own style sheets or scripts, to stand in the page: JupyterHub serves static files of its own only."""
    return Markup((Path(TEMPLATES) / "aiinfn" / name).read_text("utf-8"))  # noqa: S704 - a file of this package
