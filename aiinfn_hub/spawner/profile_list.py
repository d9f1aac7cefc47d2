"""The same offer in kubespawner's words: its profile list, and choices made of it.

People see our own form. This is for programs that know kubespawner: what reads ``profile_list``, and scripts that start
sessions with ``{"profile": NAME}``. Nothing is applied from a profile; its name is a request like any other, and the
gate judges it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from markupsafe import escape

from aiinfn_hub.contract.platform import AvailabilityReading
from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.i18n.language import ngettext
from aiinfn_hub.platform.gate import offer
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.model.projects import Size
from aiinfn_hub.platform.person import Person
from aiinfn_hub.spawner.profiles import profiles, spoken_memory

PROFILE: Final = "profile"
_OPTION: Final = "profile-option-"

Json = dict[str, Any]


def profile_list(platform: Platform, person: Person, reading: AvailabilityReading | None) -> list[Json]:
    """Draw what one person may start, as kubespawner's ``profile_list``: one profile per card of the form.

    Titles are escaped, because kubespawner puts them into its pages as HTML.
    """
    may = offer(platform, person)
    found: list[Json] = []
    for card in profiles(platform, person, reading):
        images = {image for names in card.projects.values() for image in names}
        sizes = {size for names in card.sizes.values() for size in names}
        options = {
            "project": _option(_("Project"), {name: may.projects[name].title for name in card.projects}),
            "image": _option(_("Environment"), {n: i.title for n, i in may.images.items() if n in images}),
            "size": _option(
                _("Size"),
                {name: _size(size) for name, size in may.sizes.items() if name in sizes},
            ),
        }
        if card.most > 1:
            options["count"] = _option(_("Number"), {str(n): str(n) for n in range(1, card.most + 1)})
        about = (card.memory, card.description, card.outlook.sentence if not card.outlook.time else "")
        found.append(
            {
                "slug": card.name,
                "display_name": str(escape(card.title)),
                "description": str(escape(" · ".join(part for part in about if part))),
                "default": not found,
                "profile_options": options,
            }
        )
    return found


def request_of(options: Any) -> Any:
    """Read choices that were made of a profile list as a request for the gate; anything else stays as it is.

    Both forms are known: what kubespawner makes of its form (``{"profile": NAME, "image": …}``), and the fields of that
    form themselves (``profile-option-NAME--image``), of which those of other profiles say nothing.
    """
    if not isinstance(options, Mapping) or PROFILE not in options or "accelerator" in options:
        return options
    profile = options[PROFILE]
    request = {}
    for key, value in options.items():
        if key == PROFILE:
            request["accelerator"] = value
        elif not isinstance(key, str) or not key.startswith(_OPTION):
            request[key] = value
        elif key.startswith(own := f"{_OPTION}{profile}--"):
            request[key.removeprefix(own)] = value
    return request


def _size(size: Size) -> str:
    cores = 1 if size.cores == 1 else 2
    text = ngettext("{title}: {cores} core, {memory}", "{title}: {cores} cores, {memory}", cores)
    return text.format(title=size.title, cores=f"{size.cores:g}", memory=spoken_memory(size.memory))


def _option(title: str, choices: Mapping[str, str]) -> Json:
    return {
        "display_name": title,
        "choices": {
            name: {"display_name": str(escape(text)), "default": not place}
            for place, (name, text) in enumerate(choices.items())
        },
    }
