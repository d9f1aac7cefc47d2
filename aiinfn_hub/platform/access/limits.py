"""How many devices may be asked for: limits of a session, a person and a project, and reservations of others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.platform.model.accelerators import Accelerator
from aiinfn_hub.platform.model.fields import show_moment
from aiinfn_hub.platform.model.periods import Reservation
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.selection import DOORS, Door

from .denials import Denial, Rule

MARGIN: Final = timedelta(minutes=1)
"""What begins or ends within it counts as begun or ended: nobody starts a session for less."""


@dataclass(frozen=True, slots=True)
class QuotaUse:
    """What sessions hold at the moment; jobs do not count, since they are preempted.

    Attributes
    ----------
    person
        Devices by accelerator, in all sessions of the person who asks.
    projects
        Devices by project and accelerator, in the sessions of everybody.
    """

    person: Mapping[str, int] = field(default_factory=dict)
    projects: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


class Bound(NamedTuple):
    """A largest number of devices, and what is said to who asks for more."""

    most: int
    rule: Rule
    facts: Mapping[str, Any]

    def denial(self, count: int) -> Denial:
        """Explain why so many are not granted."""
        return Denial(self.rule, {**self.facts, "count": count})


def bounds(
    platform: Platform,
    project: str,
    accelerator: str,
    door: Door,
    now: datetime,
    usage: QuotaUse | None,
    *,
    reserved: bool = True,
) -> Iterator[Bound]:
    """Yield every bound on the devices of one session or job; the smallest holds, the first of equal ones.

    ``reserved`` is false if it is known that no reservation, past or to come, is about the accelerator.
    Limits on what is held at once, and reservations with `batch`, are about sessions: a job is preempted by them.
    """
    device = platform.accelerators[accelerator]
    most = device.max_per_session if door is Door.SESSION else device.max_per_job
    yield Bound(most, Rule.DOOR_MOST, {"door": _(DOORS[door]), "most": most, "title": device.title})
    if door is Door.SESSION:
        yield from _at_once(platform, project, accelerator, device, usage)
    if not reserved:
        return
    for at in (now, now + MARGIN):
        if (bound := rest(platform, project, accelerator, door, at, usage)) is not None:
            yield bound


def _at_once(
    platform: Platform, project: str, accelerator: str, device: Accelerator, usage: QuotaUse | None
) -> Iterator[Bound]:
    whole, limits = platform.projects[project], platform.limits
    mine, ours = (
        (device.max_per_person, limits.accelerators_per_person),
        (
            device.max_per_project,
            whole.max_accelerators,
            limits.accelerators_per_project,
        ),
    )
    if all(most is None for most in (*mine, *ours)):
        return
    person = usage.person if usage else {}
    others = usage.projects.get(project, {}) if usage else {}
    every = _("accelerators")
    table = (
        (mine[0], person.get(accelerator, 0), device.title, ""),
        (mine[1], sum(person.values()), every, ""),
        (ours[0], others.get(accelerator, 0), device.title, whole.title),
        (ours[1], sum(others.values()), every, whole.title),
        (ours[2], sum(others.values()), every, whole.title),
    )
    for most, held, what, title in table:
        if most is None:
            continue
        if title:
            rule = Rule.PROJECT_HOLDS if held else Rule.PROJECT_MOST
        else:
            rule = Rule.PERSON_HOLDS if held else Rule.PERSON_MOST
        yield Bound(max(0, most - held), rule, {"most": most, "held": held, "what": what, "project": title})


def rest(
    platform: Platform,
    project: str,
    accelerator: str,
    door: Door,
    at: datetime,
    usage: QuotaUse | None = None,
) -> Bound | None:
    """Return how many devices reservations leave to a project at a time; None if no other project has one."""
    device = platform.accelerators[accelerator]
    kept = [
        each
        for each in platform.reservations.values()
        if each.accelerator == accelerator
        and each.holds(at)
        and (each.project == project or door is Door.SESSION or not each.batch)
    ]
    others = [each for each in kept if each.project != project]
    if not others:
        return None
    devices = device.known_devices or 0
    left = max(0, devices - sum(_count(each, devices) for each in others))
    facts = {
        "title": device.title,
        "rest": left or _("none"),
        "reservation": others[0].title,
        "time": show_moment(others[0].end),
    }
    if usage is None or door is Door.JOB or not left:
        return Bound(left, Rule.RESERVED_SOME if left else Rule.RESERVED, facts)
    own: dict[str, int] = {}
    for each in kept:
        own[each.project] = own.get(each.project, 0) + _count(each, devices)
    beyond = sum(max(0, held.get(accelerator, 0) - own.get(name, 0)) for name, held in usage.projects.items())
    mine = max(0, own.get(project, 0) - usage.projects.get(project, {}).get(accelerator, 0))
    now_left = mine + max(0, devices - sum(own.values()) - beyond)
    if now_left >= left:
        return Bound(left, Rule.RESERVED_SOME, facts)
    return Bound(now_left, Rule.REST_IN_USE, facts | {"rest": now_left or _("none")})


def next_reservation(
    platform: Platform, project: str, accelerator: str, count: int, now: datetime
) -> Reservation | None:
    """Return the next reservation of another project that would leave a session less than it has."""
    later = (
        each
        for each in platform.reservations.values()
        if each.accelerator == accelerator and each.project != project and each.begin > now
    )
    for each in sorted(later, key=lambda reservation: reservation.begin):
        bound = rest(platform, project, accelerator, Door.SESSION, each.begin)
        if bound is not None and bound.most < count:
            return each
    return None


def _count(reservation: Reservation, devices: int) -> int:
    return devices if reservation.count is None else reservation.count
