"""The options form as HTML: one form for all spawners.

It works without JavaScript: every choice has a value that means "the usual", the gate judges what was combined, and
its refusal is shown at the field it is about. The scripts ``form.js`` and ``form_tools.js`` disable what does not go
together, refresh the figures, and find cards.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jupyterhub.utils import url_path_join
from markupsafe import Markup

from aiinfn_hub.contract.constants import PREFIX
from aiinfn_hub.contract.platform import Availability, AvailabilityReading
from aiinfn_hub.contract.problem import Refusal
from aiinfn_hub.contract.units import format_duration, parse_duration
from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.i18n.language import ngettext
from aiinfn_hub.platform import gate, presets
from aiinfn_hub.platform.gate import Offer, offer
from aiinfn_hub.platform.model.fields import CPU_ONLY
from aiinfn_hub.platform.selection import Door
from aiinfn_hub.spawner.context import TEMPLATES, SpawnContext
from aiinfn_hub.spawner.profiles import (
    Profile,
    brief_of,
    cards_of,
    group_title,
    spoken,
    spoken_memory,
)
from aiinfn_hub.vkd import tickets

from . import deep_links, form_rules, unavailable

MANY: Final = 8
"""With more cards than these, they can be searched and their groups folded."""


@dataclass(frozen=True)
class Opening:
    """How a form comes to be opened.

    Attributes
    ----------
    choice
        What is to be filled in, what this person chose last at least; it may hold anything, and things that do not exist
        any more.
    linked
        Whether it comes from a link.
    refusal
        Why it was refused just now.
    availability_url
        Where the script reads what is free, ticket included; empty: nowhere.
    version
        Short name of the platform file in force.
    spawn_url
        Address of the form for whoever opens it, for links.
    keep
        What else the address of this form holds, for links on it.
    by_other
        Whether an operator opens it for the person.
    """

    choice: Mapping[str, Any] = field(default_factory=dict)
    linked: bool = False
    refusal: Refusal | None = None
    availability_url: str = ""
    version: str = ""
    spawn_url: str = ""
    keep: Mapping[str, str] = field(default_factory=dict)
    by_other: bool = False


@dataclass
class _Chosen:
    """What is selected when the form is drawn, and what is said at each field."""

    values: dict[str, str] = field(default_factory=dict)
    notices: dict[str, str] = field(default_factory=dict)


async def draw(spawner: Any) -> str:
    """Draw the form of a spawner's owner, whoever opens it."""
    context: SpawnContext = spawner.context
    refused, linked = spawner.take_refusal(), spawner.take_link()
    reading = await context.vkd.availability()
    may = offer(context.platform, spawner.person, usage=context.held.usage(spawner.user.name))
    base_url = spawner.hub.base_url.removesuffix("hub/")
    url = ""
    if context.ticket_key and may.accelerators:
        ticket = tickets.issue(context.ticket_key, list(may.accelerators))
        url = f"{url_path_join(base_url, 'services/vkd', PREFIX, 'availability')}?ticket={ticket}"
    choice = refused[1] if refused else spawner.user_options if linked is None else linked
    opening = Opening(
        choice=spawner.request_of(choice),
        linked=linked is not None and not refused,
        refusal=refused[0] if refused else None,
        availability_url=url,
        version=context.file.version,
        spawn_url=url_path_join(spawner.hub.base_url, "spawn"),
        keep=_kept(spawner.handler),
        by_other=_reader(spawner.handler) not in ("", spawner.user.name),
    )
    return await asyncio.to_thread(render, may, reading, opening)


def selected(may: Offer, last: Mapping[str, Any]) -> dict[str, str]:
    """Return what the form has selected when it is opened: the last choice as far as it is offered, else the usual.

    The form's script settles the rest in the same order: what can be chosen next depends on what is chosen already.

    Parameters
    ----------
    last
        The last choice of the person, in the words of a request; it may be of any type and age.
    """
    cards = cards_of(may, None)
    if not cards:
        return {}
    choices = _choices(may, cards)
    chosen = _chosen(may, cards, Opening(choice=last if isinstance(last, Mapping) else {}), choices).values
    card = next(card for card in cards if card.name == chosen["accelerator"])
    project = _among(chosen.get("project"), (name for name in may.projects if name in card.projects))
    image = _among(chosen.get("image"), (name for name in choices["image"] if name in card.projects[project]))
    size = _among(chosen.get("size"), (name for name in choices["size"] if name in card.sizes[project]))
    found = {"accelerator": card.name, "project": project, "image": image, "size": size}
    times = {format_duration(time) for time in card.times_of(project, size)}
    if (time := chosen.get("time_limit")) in times:
        found["time_limit"] = time
    if 1 < int(chosen.get("count") or 1) <= card.most:
        found["count"] = chosen["count"]
    return {key: value for key, value in found.items() if value}


def _among(value: str | None, allowed: Iterable[str]) -> str:
    """Return a value if it is allowed, else the first that is; empty if none is."""
    names = list(allowed)
    return value if value in names else next(iter(names), "")


def _kept(handler: Any) -> dict[str, str]:
    """Return what an address says to JupyterHub: where to go afterwards, and how a server is called."""
    if handler is None:
        return {}
    return {key: value for key in ("next", "display_name") if (value := handler.get_query_argument(key, ""))}


def _reader(handler: Any) -> str:
    """Name who reads the page; empty if that is not known."""
    reader = handler.current_user if handler is not None else None
    return reader.name if reader else ""


def render(may: Offer, reading: AvailabilityReading | None, opening: Opening) -> str:
    """Draw the form out of an offer.

    Parameters
    ----------
    reading
        None if what is free is unknown now.
    """
    platform = may.platform
    cards = cards_of(may, reading)
    template = _environment().get_template
    if not cards:
        return template("aiinfn/no_project.html").render(
            platform=platform,
            person=may.person,
            opening=opening,
            past=list(unavailable.projects_in_time(may)),
        )
    choices = _choices(may, cards)
    times, most = choices["times"], choices["most"]
    chosen = _chosen(may, cards, opening, choices)
    ready = presets.granted(platform, may.person, now=may.now, usage=may.usage)
    return template("aiinfn/session_form.html").render(
        groups=[
            (group_title(key), list(members)) for key, members in groupby(cards, key=lambda card: card.group)
        ],
        projects=may.projects,
        images=choices["image"],
        sizes=choices["size"],
        times=times,
        most=most,
        chosen=chosen.values,
        notices=chosen.notices,
        opening=opening,
        refusal=opening.refusal,
        fields=fields(),
        reading=reading,
        accelerators=any(card.name != CPU_ONLY for card in cards),
        many=len(cards) > MANY,
        brief=brief_of(platform.sessions.backend),
        presets=[
            (name, platform.presets[name], deep_links.choice_from(selection))
            for name, selection in ready.items()
        ],
        missing=unavailable.missing(may, {card.name for card in cards}),
        rules={
            **form_rules.rules(may, cards, choices["image"], choices["size"], times),
            "words": form_rules.words(may),
            "url": opening.availability_url,
            "version": opening.version,
            "spawn": opening.spawn_url,
        },
    )


def fields() -> dict[str, str]:
    """Return what is chosen, with the words on the form."""
    return {
        "accelerator": _("Accelerator"),
        "count": _("Number"),
        "project": _("Project"),
        "image": _("Environment"),
        "size": _("Size"),
        "time_limit": _("Ends after"),
    }


def _choices(may: Offer, cards: list[Profile]) -> dict[str, Any]:
    """Return what the selects of the form hold."""
    images, sizes = _used(cards, "projects"), _used(cards, "sizes")
    return {
        "image": {name: image for name, image in may.platform.images.items() if name in images},
        "size": {name: size for name, size in may.platform.sizes.items() if name in sizes},
        "times": sorted({time for card in cards for time in card.times}),
        "most": max(card.most for card in cards),
    }


def _used(cards: Iterable[Profile], key: str) -> set[str]:
    """Return the images or sizes that go with at least one card: one for an accelerator that is not offered is not either."""
    lists = {names for card in cards for names in getattr(card, key).values()}
    return set().union(*lists)


def _chosen(may: Offer, cards: list[Profile], opening: Opening, choices: Mapping[str, Any]) -> _Chosen:
    """Keep the choices that there are. What is not there is said, unless the refusal says it already."""
    offered: dict[str, Any] = {
        "accelerator": {card.name for card in cards},
        "project": may.projects,
        "image": choices["image"],
        "size": choices["size"],
        "time_limit": {format_duration(time) for time in choices["times"]},
        "count": {str(number) for number in range(1, choices["most"] + 1)},
    }
    result = _Chosen({"accelerator": cards[0].name})
    for key, names in offered.items():
        value = _as_text(key, opening.choice.get(key))
        if value in names:
            result.values[key] = value
        elif (
            value
            and not (key == "count" and value == "0")
            and not (opening.refusal and opening.refusal.field == key)
        ):
            result.notices[key] = _absent(may, key, value, linked=opening.linked)
    if opening.linked and not result.notices:
        _judge_link(may, result)
    return result


_SECTIONS: Final = {"accelerator": "accelerators", "image": "images", "size": "sizes"}


def _absent(may: Offer, key: str, value: str, *, linked: bool) -> str:
    """Explain that a choice is not offered and, if it is known, why."""
    shown = value if len(value) <= 40 else value[:39] + "…"
    if not linked:
        return _("Your last choice “{choice}” is not offered any more; the usual one is selected.").format(
            choice=shown
        )
    section = _SECTIONS.get(key)
    known = getattr(may.platform, section) if section else {}
    denial = may.why_not_anywhere(section, value) if section and value in known else None
    if denial is None:
        return _(
            "The link asks for “{choice}”, which is not offered to you; the usual one is selected."
        ).format(choice=shown)
    return _("{reason} The link asks for it; the usual one is selected.").format(reason=denial.sentence)


def _judge_link(may: Offer, chosen: _Chosen) -> None:
    """Explain of a link whose choices are all there why they cannot be had together."""
    try:
        gate.resolve(chosen.values, may.platform, may.person, Door.SESSION, now=may.now, usage=may.usage)
    except Refusal as refusal:
        key = refusal.field if refusal.field in fields() else "accelerator"
        chosen.notices[key or "accelerator"] = _("{reason} The link asks for it.").format(
            reason=refusal.message
        )


def _figures(now: Availability) -> tuple[str, str]:
    """Return how many are free, and what the others do; the script says the same."""
    others = (
        (now.batch, _("{count} in batch")),
        (now.sessions, _("{count} in sessions")),
        (now.others, _("{count} held by others")),
        (now.waiting_sessions, _("{count} waiting")),
        (now.offline, _("{count} offline")),
    )
    free = _("{free} of {total} free").format(free=now.free, total=now.total)
    return free, " · ".join(words.format(count=count) for count, words in others if count)


def _as_text(key: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return ""
    if key == "time_limit":
        try:
            return format_duration(parse_duration(int(value) if str(value).isdigit() else value))
        except ValueError:
            return str(value)
    return str(value)


@cache
def _environment() -> Environment:
    """Names from IAM and the platform file are text: everything is escaped unless it is one of our own files."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.policies["ext.i18n.trimmed"] = True
    environment.install_gettext_callables(_, ngettext, newstyle=True)  # type: ignore[attr-defined]
    environment.filters |= {
        "spoken": spoken,
        "duration": format_duration,
        "memory": spoken_memory,
        "figures": _figures,
    }
    environment.globals |= {"asset": _asset, "link": deep_links.query}
    return environment


@cache
def _asset(name: str) -> Markup:
    """Return one of our own style sheets or scripts, to stand in the page: JupyterHub serves static files of its own only."""
    return Markup((Path(TEMPLATES) / "aiinfn" / name).read_text("utf-8"))  # noqa: S704 - a file of this package
