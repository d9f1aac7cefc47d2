"""Every rule by which something is not offered, with its reason and its words.

The form leaves out what a rule denies, the gate refuses it, and ``aiinfn-hub explain`` says why: all three ask the same
`Offer`, which answers with a `Denial`, and the sentences stand here once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple

from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.i18n.language import marked


class Rule(StrEnum):
    """What can stand in the way of a choice."""

    NOT_MEMBER = "not-member"
    MEMBERSHIP_ENDED = "membership-ended"
    MEMBERSHIP_LATER = "membership-later"
    PROJECT_ACCELERATOR = "project-accelerator"
    GRANT_ENDED = "grant-ended"
    GRANT_LATER = "grant-later"
    GRANT_WITHOUT = "grant-without"
    GROUPS = "groups"
    RESERVED = "reserved"
    RESERVED_SOME = "reserved-some"
    REST_IN_USE = "rest-in-use"
    DOOR_MOST = "door-most"
    PERSON_MOST = "person-most"
    PERSON_HOLDS = "person-holds"
    PROJECT_MOST = "project-most"
    PROJECT_HOLDS = "project-holds"
    PROJECT_SIZE = "project-size"
    SIZE_PAIR = "size-pair"
    PROJECT_IMAGE = "project-image"
    IMAGE_PAIR = "image-pair"
    IMAGE_NEEDS = "image-needs"
    QUEUE_PROJECT = "queue-project"
    QUEUE_PAIR = "queue-pair"
    QUEUE_NEEDS = "queue-needs"
    STORAGE_PROJECT = "storage-project"


class _Words(NamedTuple):
    reason: Reason
    field: str | None
    sentence: str


WORDS: Final[Mapping[Rule, _Words]] = {
    Rule.NOT_MEMBER: _Words(
        Reason.FORBIDDEN, "project", marked("You are not a member of the project “{project}”.")
    ),
    Rule.MEMBERSHIP_ENDED: _Words(
        Reason.FORBIDDEN, "project", marked("Your time in the project {project} ended at {time}.")
    ),
    Rule.MEMBERSHIP_LATER: _Words(
        Reason.FORBIDDEN, "project", marked("Your time in the project {project} begins at {time}.")
    ),
    Rule.PROJECT_ACCELERATOR: _Words(
        Reason.FORBIDDEN, "accelerator", marked("The project {project} may not use {title}.")
    ),
    Rule.GRANT_ENDED: _Words(
        Reason.FORBIDDEN,
        "accelerator",
        marked("The grant of {title} to the project {project} ended at {time}."),
    ),
    Rule.GRANT_LATER: _Words(
        Reason.FORBIDDEN,
        "accelerator",
        marked("The grant of {title} to the project {project} begins at {time}."),
    ),
    Rule.GRANT_WITHOUT: _Words(
        Reason.FORBIDDEN,
        "accelerator",
        marked("What you were granted in the project {project} does not include {title}."),
    ),
    Rule.GROUPS: _Words(Reason.FORBIDDEN, None, marked("{title} is only for members of {groups} in IAM.")),
    Rule.RESERVED: _Words(
        Reason.FORBIDDEN, "accelerator", marked("All {title} are reserved for {reservation} until {time}.")
    ),
    Rule.RESERVED_SOME: _Words(
        Reason.TOO_LARGE,
        "count",
        marked(
            "{count} {title} were asked for, but the reservation for {reservation} leaves {rest} until {time}."
        ),
    ),
    Rule.REST_IN_USE: _Words(
        Reason.CAPACITY,
        "accelerator",
        marked("Sessions leave {rest} of the {title} that are not reserved for {reservation} until {time}."),
    ),
    Rule.DOOR_MOST: _Words(
        Reason.TOO_LARGE, "count", marked("A {door} may have at most {most} {title}, not {count}.")
    ),
    Rule.PERSON_MOST: _Words(
        Reason.TOO_LARGE,
        "count",
        marked("Your sessions may hold at most {most} {what} at once, not {count}."),
    ),
    Rule.PERSON_HOLDS: _Words(
        Reason.TOO_MANY,
        "accelerator",
        marked("Your sessions hold {held} {what} already, of at most {most} at once."),
    ),
    Rule.PROJECT_MOST: _Words(
        Reason.TOO_LARGE,
        "count",
        marked("The sessions of the project {project} may hold at most {most} {what} at once, not {count}."),
    ),
    Rule.PROJECT_HOLDS: _Words(
        Reason.TOO_MANY,
        "accelerator",
        marked(
            "The sessions of the project {project} hold {held} {what} already, of at most {most} at once."
        ),
    ),
    Rule.PROJECT_SIZE: _Words(
        Reason.FORBIDDEN, "size", marked("The size “{name}” is not available for this project ({project}).")
    ),
    Rule.SIZE_PAIR: _Words(
        Reason.IMPOSSIBLE, "size", marked("The size {title} does not go with {accelerator}.")
    ),
    Rule.PROJECT_IMAGE: _Words(
        Reason.FORBIDDEN, "image", marked("The image “{name}” is not available for this project ({project}).")
    ),
    Rule.IMAGE_PAIR: _Words(
        Reason.IMPOSSIBLE, "image", marked("The image {title} is not made for {accelerator}.")
    ),
    Rule.IMAGE_NEEDS: _Words(
        Reason.IMPOSSIBLE, "image", marked("The image {title} is made for {needs}, which you cannot use.")
    ),
    Rule.QUEUE_PROJECT: _Words(
        Reason.FORBIDDEN, "queue", marked("The queue {title} is not open to the project {project}.")
    ),
    Rule.QUEUE_PAIR: _Words(
        Reason.IMPOSSIBLE, "queue", marked("The queue {title} does not serve {accelerator}.")
    ),
    Rule.QUEUE_NEEDS: _Words(
        Reason.IMPOSSIBLE, "queue", marked("The queue {title} serves {needs}, which you cannot use.")
    ),
    Rule.STORAGE_PROJECT: _Words(
        Reason.FORBIDDEN, None, marked("The storage {title} is not for the project {project}.")
    ),
}


@dataclass(frozen=True, slots=True)
class Denial:
    """Something is not offered.

    Attributes
    ----------
    facts
        What the rule's sentence names.
    field
        The key of a request that it is about, where the rule alone does not tell.
    """

    rule: Rule
    facts: Mapping[str, Any]
    field: str | None = None

    @property
    def sentence(self) -> str:
        """Why, in one sentence to the person whom it concerns."""
        return _(WORDS[self.rule].sentence).format_map(self.facts)

    def refusal(self, instead: str = "") -> Refusal:
        """Make the gate's answer of it; ``instead`` says what to choose."""
        words = WORDS[self.rule]
        return Refusal(words.reason, self.sentence, instead, field=self.field or words.field)


def named(names: Collection[str]) -> str:
    """Join names as people do: ``a, b or c``."""
    parts = list(names)
    if len(parts) < 2:
        return "".join(parts)
    return _("{names} or {last}").format(names=", ".join(parts[:-1]), last=parts[-1])
