"""What there is but is not offered to somebody: why, in the gate's own sentence, and what to do about it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.platform.access.denials import Denial, Rule
from aiinfn_hub.platform.gate import Offer
from aiinfn_hub.platform.model.settings import BackendKind
from aiinfn_hub.storage.local_mounts import is_missing


class Unavailable(NamedTuple):
    """One thing that is not offered."""

    title: str
    reason: str
    remedy: str


class Group(NamedTuple):
    """Things of one kind about which the same can be done."""

    things: list[Unavailable]
    remedy: str


def missing(may: Offer, cards: Collection[str]) -> list[tuple[str, list[Group]]]:
    """Return what is not offered, by kind, in the order of the platform file.

    Projects of others are not named, nor is who is in them: it is no more than what the gate answers who asks for the
    thing, and what ``aiinfn-hub explain`` says.

    Parameters
    ----------
    cards
        The accelerators that the form has a card of.
    """
    kinds = [
        (_("Accelerators"), list(_accelerators(may, cards))),
        (_("Environments"), list(_things(may, "images"))),
        (_("Sizes"), list(_things(may, "sizes"))),
        (_("Projects"), list(projects_in_time(may))),
        (_("Folders"), list(_folders(may))),
    ]
    return [(title, _by_remedy(found)) for title, found in kinds if found]


def _by_remedy(things: list[Unavailable]) -> list[Group]:
    """Put together what has the same remedy, so that it is said once."""
    remedies = dict.fromkeys(thing.remedy for thing in things)
    return [Group([thing for thing in things if thing.remedy == each], each) for each in remedies]


def projects_in_time(may: Offer) -> Iterator[Unavailable]:
    """Yield the projects to which the person belonged, or will belong."""
    for name, project in may.platform.projects.items():
        denial = may.why_not_project(name)
        if denial and denial.rule in {Rule.MEMBERSHIP_ENDED, Rule.MEMBERSHIP_LATER}:
            yield Unavailable(project.title, denial.sentence, remedy(denial, may))


def _accelerators(may: Offer, cards: Collection[str]) -> Iterator[Unavailable]:
    for name, device in may.platform.accelerators.items():
        if name in cards:
            continue
        if denial := may.why_not_anywhere("accelerators", name):
            yield Unavailable(device.title, denial.sentence, remedy(denial, may))
        elif may.projects:
            reason = _("No environment or no size of your projects goes with {title}.")
            yield Unavailable(device.title, reason.format(title=device.title), _ask(may))


def _folders(may: Offer) -> Iterator[Unavailable]:
    """Yield the shares of the person's projects that one machine does not have."""
    if may.platform.sessions.backend is BackendKind.LOCAL:
        for storage in may.storage.values():
            if is_missing(storage):
                reason = _("{title} is not on this machine.").format(title=storage.title)
                yield Unavailable(storage.title, reason, _ask(may))


def _things(may: Offer, kind: str) -> Iterator[Unavailable]:
    for name, value in getattr(may.platform, kind).items():
        if denial := may.why_not_anywhere(kind, name):
            yield Unavailable(value.title, denial.sentence, remedy(denial, may))


def remedy(denial: Denial, may: Offer) -> str:
    """Return what can be done about a denial; empty if nothing need be."""
    match denial.rule:
        case Rule.GROUPS:
            return _(
                "Who can change that: those who manage the group in IAM. It counts here some minutes later, without a new sign-in."
            )
        case Rule.GRANT_LATER | Rule.MEMBERSHIP_LATER:
            return _("Offered to you from then on.")
        case Rule.RESERVED | Rule.RESERVED_SOME:
            return _("Offered to you again after that.")
        case Rule.REST_IN_USE:
            return _("Try again when one of these sessions has ended.")
        case Rule.PERSON_HOLDS:
            return _("Stop a session of yours that has one.")
        case Rule.PROJECT_HOLDS:
            return _("Somebody in the project has to stop a session that has one.")
        case Rule.IMAGE_NEEDS:
            return _("Offered to you together with that.")
        case _:
            return _ask(may)


def _ask(may: Offer) -> str:
    if may.platform.support:
        return _("Who can change that: {support}.").format(support=may.platform.support)
    return _("Who can change that: the operators of the platform.")
