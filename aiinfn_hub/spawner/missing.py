"""What there is but is not offered to somebody: why, in the gate's own sentence, and what to do about it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from aiinfn_hub.language import gettext as _
from aiinfn_hub.platform.gate import Offer
from aiinfn_hub.platform.rules import Denial, Rule


class Missing(NamedTuple):
    """One thing that is not offered."""

    title: str
    reason: str
    remedy: str


def missing(may: Offer, cards: Collection[str]) -> list[tuple[str, list[Missing]]]:
    """Give what is not offered, by kind, in the order of the platform file.

    Projects of others are not named, nor is who is in them: it is no more than what the gate answers who asks for the
    thing, and what ``aiinfn-hub explain`` says.

    Parameters
    ----------
    cards
        The accelerators that the form has a card of.
    """
    groups = [
        (_("Accelerators"), list(_accelerators(may, cards))),
        (_("Environments"), list(_things(may, "images"))),
        (_("Sizes"), list(_things(may, "sizes"))),
        (_("Projects"), list(projects_in_time(may))),
    ]
    return [(title, found) for title, found in groups if found]


def projects_in_time(may: Offer) -> Iterator[Missing]:
    """Give the projects to which the person belonged, or will belong."""
    for name, project in may.platform.projects.items():
        denial = may.why_not_project(name)
        if denial and denial.rule in {Rule.MEMBERSHIP_ENDED, Rule.MEMBERSHIP_LATER}:
            yield Missing(project.title, denial.sentence, remedy(denial, may))


def _accelerators(may: Offer, cards: Collection[str]) -> Iterator[Missing]:
    for name, device in may.platform.accelerators.items():
        if name in cards:
            continue
        if denial := may.why_not_anywhere("accelerators", name):
            yield Missing(device.title, denial.sentence, remedy(denial, may))
        elif may.projects:
            reason = _("No environment or no size of your projects goes with {title}.")
            yield Missing(device.title, reason.format(title=device.title), _ask(may))


def _things(may: Offer, kind: str) -> Iterator[Missing]:
    for name, value in getattr(may.platform, kind).items():
        if denial := may.why_not_anywhere(kind, name):
            yield Missing(value.title, denial.sentence, remedy(denial, may))


def remedy(denial: Denial, may: Offer) -> str:
    """Say what can be done about a denial; empty if nothing need be."""
    match denial.rule:
        case Rule.GROUPS:
            return _(
                "Ask to be added to it in IAM. It counts here some minutes later, without a new sign-in."
            )
        case Rule.GRANT_LATER | Rule.MEMBERSHIP_LATER:
            return _("It is offered to you from then on.")
        case Rule.RESERVED | Rule.RESERVED_SOME:
            return _("It is offered to you again after that.")
        case Rule.REST_IN_USE:
            return _("Try again when one of these sessions has ended.")
        case Rule.PERSON_HOLDS:
            return _("Stop a session of yours that has one.")
        case Rule.PROJECT_HOLDS:
            return _("Somebody in the project has to stop a session that has one.")
        case Rule.IMAGE_NEEDS:
            return _("It is offered to you together with that.")
        case _:
            return _ask(may)


def _ask(may: Offer) -> str:
    if may.platform.support:
        return _("Ask {support} to open it to your project.").format(support=may.platform.support)
    return _("Ask the operators of the platform to open it to your project.")
