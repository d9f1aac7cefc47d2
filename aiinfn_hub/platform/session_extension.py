"""More time for a session that runs: how much, how often, and why not.

An extension is judged by the rights of its moment, as a new session with the same choices would be. It never leads past
the end of what the session rests on, and never takes a device from somebody who waits for one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.contract.units import format_duration
from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.i18n.language import ngettext

from . import gate
from .access.limits import MARGIN, QuotaUse, next_reservation
from .access.offer import Offer, offer
from .model.fields import show_moment
from .model.platform import Platform
from .model.settings import Limits
from .person import Person
from .selection import Door, Selection

_SHORT: Final = 10
"""A session warns in the last one of so many parts of its time at the earliest."""
_LAST: Final = 3
"""The second warning comes when one of so many parts of the first one's time is left."""


@dataclass(frozen=True, slots=True)
class Running:
    """A session that runs.

    Attributes
    ----------
    selection
        What was granted when it started.
    extensions
        How often it was extended.
    """

    selection: Selection
    began: datetime
    end: datetime
    extensions: int = 0


class Extension(NamedTuple):
    """What an extension gives: a new end, and how many may follow it."""

    end: datetime
    left: int


def warnings(limits: Limits, session: Running) -> tuple[timedelta, timedelta]:
    """Return how long before its end a session warns of it: first, and once more."""
    first = min(limits.session_warning, (session.end - session.began) / _SHORT)
    return first, first / _LAST


def opens(limits: Limits, session: Running) -> datetime | None:
    """Return from when a session can be extended; None if never again. Until then its end is certain."""
    if session.extensions >= limits.session_extensions:
        return None
    # Not before the first warning at the latest: who is warned can do something about it.
    return session.end - max(limits.session_extension, warnings(limits, session)[0])


def extend(
    session: Running,
    platform: Platform,
    person: Person,
    *,
    now: datetime,
    usage: QuotaUse | None = None,
    waiting: int = 0,
) -> Extension:
    """Grant an extension, or refuse it.

    Parameters
    ----------
    platform, person
        As they are now; the person is the session's owner, whoever asks.
    usage
        What all other sessions hold.
    waiting
        Sessions of other people that wait for this session's accelerator.

    Raises
    ------
    Refusal
        With what to do instead.
    """
    limits = platform.limits
    _in_time(session, limits, now)
    may = _rights(session, platform, person, now, usage)
    bound = min(_bounds(session, may), key=lambda each: each.moment)
    end = min(session.end + limits.session_extension, bound.moment)
    if end - session.end < min(MARGIN, limits.session_extension):
        raise Refusal(Reason.TOO_LARGE, bound.sentence, _start_anew())
    accelerator = session.selection.accelerator
    if waiting > 0 and accelerator is not None:
        raise Refusal(
            Reason.CAPACITY,
            ngettext(
                "Another session waits for {title}, so this one cannot be extended now.",
                "{number} other sessions wait for {title}, so this one cannot be extended now.",
                waiting,
            ).format(title=accelerator.title, number=waiting),
            _("Save your work. You can try again until the end: it works once nobody waits."),
        )
    return Extension(end, limits.session_extensions - session.extensions - 1)


def _in_time(session: Running, limits: Limits, now: datetime) -> None:
    """Refuse what no right could change."""
    if limits.session_extensions == 0:
        raise Refusal(Reason.FORBIDDEN, _("Sessions cannot be extended on this platform."), _start_anew())
    if now >= session.end:
        raise Refusal(Reason.CONFLICT, _("This session has reached its end."), _("Start a new one."))
    begin = opens(limits, session)
    if begin is None:
        raise Refusal(
            Reason.TOO_MANY,
            ngettext(
                "This session was extended once, which is as often as is allowed.",
                "This session was extended {number} times, which is as often as is allowed.",
                session.extensions,
            ).format(number=session.extensions),
            _start_anew(),
        )
    if now < begin:
        raise Refusal(
            Reason.CONFLICT,
            _("This session can be extended when less than {time} of it is left.").format(
                time=format_duration(session.end - begin)
            ),
            _("That is from {time} on.").format(time=show_moment(begin)),
        )


def _rights(
    session: Running, platform: Platform, person: Person, now: datetime, usage: QuotaUse | None
) -> Offer:
    """Pass the session's choices through the gate once more."""
    granted = session.selection
    choices = {
        "accelerator": granted.accelerator_name,
        "count": granted.count,
        "image": granted.image_name,
        "size": granted.size_name,
        "project": granted.project,
    }
    try:
        gate.resolve(choices, platform, person, Door.SESSION, now=now, usage=usage)
    except Refusal as refusal:
        # Its hint says what to choose instead, and here there is no choice.
        hint = _("Save your work before the session ends.")
        raise Refusal(refusal.reason, refusal.message, hint) from None
    return offer(platform, person, now=now, usage=usage)


class _Bound(NamedTuple):
    """When a session ends at the latest, and what is said to who would like more."""

    moment: datetime
    sentence: str


def _bounds(session: Running, may: Offer) -> Iterator[_Bound]:
    granted, platform = session.selection, may.platform
    name, project = granted.accelerator_name, granted.project
    longest = may.longest_whole_session(name, project, granted.size_name, granted.count)
    longest += platform.limits.session_overtime or timedelta()
    yield _Bound(
        session.began + longest,
        _("This session cannot last longer: with its choices, {time} is the most.").format(
            time=format_duration(longest)
        ),
    )
    if until := may.access(project, name).until:
        yield _Bound(
            until,
            _("What you were granted ends at {time}, and this session with it.").format(
                time=show_moment(until)
            ),
        )
    if granted.accelerator is None:
        return
    if kept := next_reservation(platform, project, name, granted.count, may.now):
        yield _Bound(
            kept.begin,
            _("{title} is reserved for {reservation} from {time} on, so this session ends then.").format(
                title=platform.accelerators[name].title, reservation=kept.title, time=show_moment(kept.begin)
            ),
        )


def _start_anew() -> str:
    return _("Save your work before it ends, then start a new session or submit it as batch.")
