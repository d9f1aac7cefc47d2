"""What somebody would see and why not the rest: the offer and the gate's reasons as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from aiinfn_hub.contract.units import format_duration, format_quantity
from aiinfn_hub.platform.model.fields import CPU_ONLY, show_moment
from aiinfn_hub.platform.selection import Door

from .offer import Offer

KINDS: Final = {
    "accelerators": "Accelerators",
    "images": "Images",
    "sizes": "Sizes",
    "queues": "Queues",
    "storage": "Storage",
}


def explain(sessions: Offer, jobs: Offer) -> str:
    """Return what a person is offered and, for each other thing of the platform, the one reason why not.

    Parameters
    ----------
    sessions, jobs
        Of the same platform, person and time, for the two doors. An accelerator for which only jobs are taken is told
        with the reason why no session is.
    """
    person, platform = sessions.person, sessions.platform
    who = f"{person.name}{', operator' if person.admin else ''}"
    lines = [
        f"{platform.title}: what {who} may use at {show_moment(sessions.now)}",
        f"IAM groups: {', '.join(sorted(person.groups)) or 'none'}",
        *_not_let_in(sessions),
        "",
    ]
    if sessions.projects:
        lines += ["OFFERED", ""]
        lines += _table("Projects", _projects(sessions))
        lines += _table("Accelerators", _accelerators(sessions, jobs))
        for kind in ("images", "sizes"):
            lines += _table(KINDS[kind], _choices(sessions, kind))
        lines += _table("Queues", _queues(jobs))
        lines += _table("Storage", _storage(sessions))
    lines += ["NOT OFFERED", ""]
    refused = [*_table("Projects", _denied_projects(sessions))]
    if sessions.projects:
        for kind, title in KINDS.items():
            refused += _table(title, _denied(sessions, jobs, kind))
    else:
        refused.append("Nothing else is offered to somebody who belongs to no project.")
    return "\n".join([*lines, *(refused or ["Everything there is is offered."])]).rstrip() + "\n"


def _not_let_in(offer: Offer) -> Iterator[str]:
    required = offer.platform.iam.required_groups
    if required and offer.person.groups.isdisjoint(required):
        yield f"CANNOT SIGN IN: everybody must be in one of the groups {', '.join(required)} (iam.required_groups)."


def _table(title: str, rows: Iterable[tuple[str, str]]) -> list[str]:
    """Lay names and what is said of them out in two columns, under a title; nothing if there are no rows."""
    found = list(rows)
    if not found:
        return []
    width = max(len(name) for name, _ in found)
    return [title, *(f"  {name:<{width}}  {text}".rstrip() for name, text in found), ""]


def _projects(offer: Offer) -> Iterator[tuple[str, str]]:
    managed = offer.person.managed_projects(offer.platform)
    for name, project in offer.projects.items():
        until = offer.access(name, CPU_ONLY).until
        notes = [
            project.title,
            "manages it" if name in managed else "",
            f"until {show_moment(until)}" if until else "",
        ]
        yield name, ", ".join(filter(None, notes))


def _accelerators(sessions: Offer, jobs: Offer) -> Iterator[tuple[str, str]]:
    for name in (CPU_ONLY, *(each for each in sessions.platform.accelerators if each in jobs.accelerators)):
        device = sessions.platform.accelerators.get(name)
        title = device.title if device else "CPU only"
        if device and name not in sessions.accelerators:
            yield name, f"{title}: {_most(jobs, name)} in a job of {_all(jobs.projects_of(name))}; no session"
            continue
        projects = sessions.projects_of(name)
        parts = [
            title
            + (f": {_most(sessions, name)} in a session, {_most(jobs, name)} in a job" if device else "")
        ]
        parts.append(f"sessions up to {_span(_longest(sessions, name))}")
        if len(sessions.projects) > 1:
            parts.append(f"in {_all(projects)}")
        if device and device.sizes is not None:
            names = {size for project in projects for size in sessions.sizes_of(project, name)}
            parts.append(f"sizes {_all(size for size in sessions.sizes if size in names)}")
        yield name, "; ".join(parts)


def _longest(offer: Offer, accelerator: str) -> list[Any]:
    return [
        offer.session_max(accelerator, project, size)
        for project in offer.projects_of(accelerator)
        for size in offer.sizes_of(project, accelerator)
    ]


def _span(times: list[Any]) -> str:
    """Return the longest time, and the shortest of the longest if they differ."""
    if not times:
        return "none: no size goes with it"
    least, most = format_duration(min(times)), format_duration(max(times))
    return most if least == most else f"{most} ({least} in some sizes or projects)"


def _most(offer: Offer, accelerator: str) -> str:
    numbers = {offer.most(accelerator, project) for project in offer.projects_of(accelerator)}
    return "none" if not numbers else f"up to {max(numbers)}" if max(numbers) > 1 else "1"


def _choices(offer: Offer, kind: str) -> Iterator[tuple[str, str]]:
    for name, value in getattr(offer, kind).items():
        text = value.title
        if kind == "sizes":
            text += f": {value.cores:g} cores, {format_quantity(value.memory)}"
        elif value.accelerators is not None:
            text += f": with {_all(each for each in value.accelerators if each == CPU_ONLY or each in offer.accelerators)}"
        yield name, text + _only_in(offer, kind, name)


def _queues(offer: Offer) -> Iterator[tuple[str, str]]:
    for name, queue in offer.queues.items():
        serves = ""
        if queue.accelerators is not None:
            usable = [
                each
                for each in queue.accelerators
                if any(name in offer.queues_of(project, each) for project in offer.projects_of(each))
            ]
            serves = f", for {_all(usable)}"
        longest = format_duration(offer.job_max(name))
        yield name, f"{queue.title}: jobs up to {longest}{serves}{_only_in(offer, 'queues', name)}"


def _storage(offer: Offer) -> Iterator[tuple[str, str]]:
    for name, value in offer.storage.items():
        note = ", to read" if value.read_only else ""
        yield name, f"{value.title} at {value.mount}{note}{_only_in(offer, 'storage', name)}"


def _only_in(offer: Offer, kind: str, name: str) -> str:
    """Explain in which of several projects something is offered, if not in all of them."""
    projects = [each for each in offer.projects if offer.why_not(kind, each, name) is None]
    return f"; only in {_all(projects)}" if len(projects) < len(offer.projects) else ""


def _denied_projects(offer: Offer) -> Iterator[tuple[str, str]]:
    for name in offer.platform.projects:
        if denial := offer.why_not_project(name):
            yield name, denial.sentence


def _denied(sessions: Offer, jobs: Offer, kind: str) -> Iterator[tuple[str, str]]:
    """Yield what is not offered, with the rule by which the gate would refuse it."""
    offer = jobs if kind == "queues" else sessions
    whole: Mapping[str, Any] = getattr(offer.platform, kind)
    for name in whole:
        if denial := offer.why_not_anywhere(kind, name):
            yield name, denial.sentence


def _all(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def both(offer: Offer) -> str:
    """Explain an offer for sessions together with that for jobs."""
    return explain(offer, Offer(offer.platform, offer.person, offer.now, offer.usage, Door.JOB))
