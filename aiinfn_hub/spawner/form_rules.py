"""What the form's script knows: what goes with what, the figures and the words.

It grows with the cards, images and projects, and not with their product: each list of images, sizes or projects is
written once, as positions in the select it is about, and what a card and a project have in common is left to the script.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from aiinfn_hub.contract.units import format_duration
from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.i18n.language import ngettext
from aiinfn_hub.platform.access.offer import TIMES
from aiinfn_hub.platform.gate import Offer
from aiinfn_hub.spawner.profiles import Profile, brief_of, spoken, words_of

Json = dict[str, Any]

_FIGURES: Final = {
    "total",
    "free",
    "batch",
    "sessions",
    "others",
    "offline",
    "waiting_sessions",
    "next_session_end",
}
"""What the script looks at of vkd's answer."""


class _Lists:
    """Lists that are written once and named by their number."""

    def __init__(self) -> None:
        self.all: list[list[int]] = []
        self._numbers: dict[tuple[int, ...], int] = {}

    def number_of(self, names: Iterable[str], positions: Mapping[str, int]) -> int:
        """Return the number of a list of those names that have a position."""
        key = tuple(positions[name] for name in names if name in positions)
        if key not in self._numbers:
            self._numbers[key] = len(self.all)
            self.all.append(list(key))
        return self._numbers[key]


def rules(
    may: Offer,
    cards: Sequence[Profile],
    images: Iterable[str],
    sizes: Iterable[str],
    times: Iterable[timedelta],
) -> Json:
    """Write what goes with what.

    Parameters
    ----------
    images, sizes, times
        What the selects of the form offer, in their order; the projects are those of the offer.
    """
    lists = _Lists()
    of_projects = {name: place for place, name in enumerate(may.projects)}
    of_images = {name: place for place, name in enumerate(images)}
    of_sizes = {name: place for place, name in enumerate(sizes)}
    longest_of_project = {
        project: max((card.longest[project] for card in cards if project in card.longest), default=None)
        for project in may.projects
    }
    return {
        "lists": lists.all,
        "projects": [
            {
                "images": lists.number_of(may.images_in(project), of_images),
                "sizes": lists.number_of(may.sizes_of(project), of_sizes),
                "longest": _seconds(longest),
            }
            for project, longest in longest_of_project.items()
        ],
        "sizes": {
            of_sizes[name]: _seconds(time) for name, time in cards[0].of_sizes.items() if name in of_sizes
        },
        "usual": _seconds(may.platform.limits.session_default),
        "times": [_seconds(time) for time in TIMES],
        "seconds": {format_duration(time): _seconds(time) for time in times},
        "cards": {
            card.name: {
                "title": card.title,
                "most": card.most,
                "projects": lists.number_of(card.projects, of_projects),
                "images": lists.number_of(card.made, of_images),
                "sizes": lists.number_of(card.fitting, of_sizes),
                "availability": card.availability.model_dump(mode="json", include=_FIGURES, exclude_none=True)
                if card.availability
                else None,
                **_longest(card, of_projects, longest_of_project),
            }
            for card in cards
        },
    }


def _longest(
    card: Profile, of_projects: Mapping[str, int], of_project: Mapping[str, timedelta | None]
) -> Json:
    """Write the longest sessions of a card: one number, and the projects in which it is less than both it and theirs."""
    most = max(card.longest.values())
    less = {
        of_projects[project]: _seconds(time)
        for project, time in card.longest.items()
        if time < most and time != of_project[project]
    }
    return {"longest": _seconds(most), **({"less": less} if less else {})}


def _seconds(time: timedelta | None) -> int:
    return int(time.total_seconds()) if time is not None else 0


def words(may: Offer) -> Json:
    """Return the script its sentences, in the language of the request."""
    limits = may.platform.limits
    return {
        "outlook": words_of(may.platform.sessions.backend),
        "brief": brief_of(may.platform.sessions.backend),
        "grace": spoken(limits.grace),
        "patience": spoken(limits.session_start),
        "free": _("{free} of {total} free"),
        "batch": _("{count} in batch"),
        "sessions": _("{count} in sessions"),
        "others": _("{count} held by others"),
        "waiting": _("{count} waiting"),
        "offline": _("{count} offline"),
        "noFigures": _("Availability unknown"),
        "age": _("Availability read {age} ago"),
        "noAnswer": _("Availability unknown: the delegation service does not answer"),
        "stale": _("Load this page again to see what is free now"),
        "start": _("Start"),
        "starting": _("Starting…"),
        # For one and for several.
        "hits": [ngettext("{count} of {total} fits", "{count} of {total} fit", number) for number in (1, 2)],
        "noHit": _("Nothing fits. Look for fewer words."),
        "copied": _("The link is copied. Who opens it finds this choice filled in."),
        "copyThis": _("Copy this address:"),
        "filled": _("Filled in: {title}"),
        "changed": _("The choices have changed, and this page with them."),
        "gone": _("“{choice}” is not offered any more; the usual one is selected."),
        "reload": _("The choices have changed. Load this page again."),
    }
