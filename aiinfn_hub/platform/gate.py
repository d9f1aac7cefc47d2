"""The gate: the only way from a request to what is granted, for sessions and for jobs alike.

`Offer` says what a person may choose; the form draws it. `resolve` grants a request out of the same `Offer`, so what
is shown and what is granted cannot drift apart. Both are pure and total: any mapping yields a `Selection` or a
`Refusal`, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NoReturn, TypeVar

from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.contract.units import format_duration
from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.i18n.language import marked, ngettext

from . import request_fields
from .access.denials import Denial
from .access.limits import QuotaUse
from .access.offer import Offer, offer
from .model.fields import CPU_ONLY
from .model.platform import Platform
from .person import Person
from .selection import DOORS, Door, Selection

__all__ = ["JOB_KEYS", "SESSION_KEYS", "Offer", "QuotaUse", "offer", "resolve"]

SESSION_KEYS: Final = frozenset({"accelerator", "count", "image", "size", "project", "time_limit"})
JOB_KEYS: Final = SESSION_KEYS | {"queue"}

T = TypeVar("T")
_ASK_IN_IAM: Final = marked(
    "Ask the manager of your project to add you to its group in IAM, then sign in again."
)
_NO_SUCH: Final = {
    "accelerator": marked("There is no accelerator {name} (any more)."),
    "image": marked("There is no image {name} (any more)."),
    "size": marked("There is no size {name} (any more)."),
    "project": marked("There is no project {name} (any more)."),
    "queue": marked("There is no queue {name} (any more)."),
}
_NOTHING_GOES: Final = {
    "image": marked("There is no image for this choice."),
    "size": marked("There is no size for this choice."),
}


def resolve(
    request: Mapping[str, Any],
    platform: Platform,
    person: Person,
    door: Door,
    *,
    now: datetime | None = None,
    usage: QuotaUse | None = None,
) -> Selection:
    """Grant a request, or refuse it.

    Parameters
    ----------
    request
        Plain JSON: a session's ``user_options`` or the choices of a job. Values may be strings, as a form sends
        them. A key that is missing, None or empty gets the first value that the person may use.
    platform, person
        What there is, and who asks.
    door
        Sessions have no queue, jobs have one.
    now
        Reservations and grants are judged at this time; without a zone it is UTC. Default: the current time.
    usage
        What sessions hold now. Without it, limits on what a person and a project hold at once are not checked, except
        against what the request alone asks for; and of reserved accelerators, sessions are granted what is not
        reserved as if no other session held it.

    Raises
    ------
    Refusal
        With the field it is about. Nothing else is ever raised.
    """
    keys = SESSION_KEYS if door is Door.SESSION else JOB_KEYS
    if not isinstance(request, Mapping):
        raise Refusal(
            Reason.INVALID,
            _("A {door} is asked for with an object of choices.").format(door=_(DOORS[door])),
            request_fields.keys(keys),
        )
    for key in request:
        if key not in keys:
            raise Refusal(
                Reason.INVALID,
                _("{key} is no choice of a {door}.").format(
                    key=request_fields.shown(key), door=_(DOORS[door])
                ),
                request_fields.keys(keys),
                field=str(key)[:40],
            )

    may = offer(platform, person, now=now, usage=usage, door=door)
    if not may.projects:
        _refuse_stranger(may)
    accelerator = request_fields.name_in(request, "accelerator") or CPU_ONLY
    if accelerator != CPU_ONLY:
        _known(accelerator, platform.accelerators, "accelerator", may.accelerators or {CPU_ONLY: None})
    project = _project(request, may, accelerator)
    count = _count(request, may, project, accelerator)
    size = _one_of(
        request,
        "size",
        platform.sizes,
        may.sizes_of(project, accelerator),
        lambda name: may.why_not_size(project, accelerator, name),
    )
    image = _one_of(
        request,
        "image",
        platform.images,
        may.images_of(project, accelerator),
        lambda name: _why_not_image(may, project, accelerator, name),
    )
    queue: str | None = None
    if door is Door.SESSION:
        limit = _session_time(request, may, accelerator, project, size, count)
    else:
        queue = _queue(request, may, project, accelerator)
        limit = _job_time(request, may, queue)
    return Selection(
        door=door,
        person=person.name,
        project=project,
        image_name=image,
        image=platform.images[image],
        size_name=size,
        size=platform.sizes[size],
        accelerator_name=accelerator,
        accelerator=platform.accelerators.get(accelerator),
        count=count,
        queue_name=queue,
        priority=platform.queues[queue].priority if queue else 0,
        time_limit=limit,
        storage=tuple(may.storage_of(project)),
    )


def _refuse_stranger(may: Offer) -> NoReturn:
    """Refuse somebody without a project; whose time in one is over or to come is told that."""
    timed = (
        denial
        for name in may.platform.projects
        if (denial := may.why_not_project(name)) and "time" in denial.facts
    )
    if denial := next(timed, None):
        raise denial.refusal(_(_ASK_IN_IAM))
    raise Refusal(
        Reason.FORBIDDEN,
        _("You do not belong to any project of this platform."),
        _(_ASK_IN_IAM),
        field="project",
    )


def _project(request: Mapping[str, Any], may: Offer, accelerator: str) -> str:
    name = request_fields.name_in(request, "project")
    if not name:
        return _usual_project(request, may, accelerator)
    _known(name, may.platform.projects, "project", may.projects)
    if denial := may.why_not_project(name):
        raise denial.refusal(request_fields.instead(may.projects))
    if denial := may.why_not_accelerator(name, accelerator):
        raise denial.refusal(request_fields.instead(may.accelerators_of(name) or {CPU_ONLY: None}))
    return name


def _usual_project(request: Mapping[str, Any], may: Offer, accelerator: str) -> str:
    """Return the first project that may use an accelerator, rather one with which the other choices go."""
    usable = may.projects_of(accelerator)
    if not usable:
        hint = request_fields.instead(may.accelerators or {CPU_ONLY: None})
        denial = may.why_not_anywhere("accelerators", accelerator)
        if denial and (len(may.projects) == 1 or "time" in denial.facts or "held" in denial.facts):
            raise denial.refusal(hint)
        title = may.platform.accelerators[accelerator].title
        message = _("None of your projects may use {title}.").format(title=title)
        raise Refusal(Reason.FORBIDDEN, message, hint, field="accelerator")

    def suits(project: str) -> bool:
        lists: dict[str, Mapping[str, Any]] = {
            "image": may.images_of(project, accelerator),
            "size": may.sizes_of(project, accelerator),
        }
        if request.get("queue"):
            lists["queue"] = may.queues_of(project, accelerator)
        return all(
            choices and (not request.get(key) or request[key] in list(choices))
            for key, choices in lists.items()
        )

    return next(filter(suits, usable), next(iter(usable)))


def _count(request: Mapping[str, Any], may: Offer, project: str, accelerator: str) -> int:
    count = request_fields.integer_in(request, "count")
    if accelerator == CPU_ONLY:
        if count:
            raise Refusal(
                Reason.IMPOSSIBLE,
                ngettext(
                    "{count} accelerator was asked for, but no accelerator was chosen.",
                    "{count} accelerators were asked for, but no accelerator was chosen.",
                    count,
                ).format(count=count),
                _("Choose an accelerator, or leave the count out."),
                field="count",
            )
        return 0
    if count is None:
        return 1
    bound = may.bounds(project, accelerator)[0]
    if count < 1:
        raise Refusal(
            Reason.IMPOSSIBLE if count == 0 else Reason.INVALID,
            _("{title} was chosen with a count of {count}.").format(
                title=may.platform.accelerators[accelerator].title, count=count
            ),
            _("Ask for 1, or choose CPU only.")
            if bound.most == 1
            else _("Ask for 1 to {most}, or choose CPU only.").format(most=bound.most),
            field="count",
        )
    if count > bound.most:
        less = _("Ask for 1.") if bound.most == 1 else _("Ask for 1 to {most}.").format(most=bound.most)
        raise bound.denial(count).refusal(less)
    return count


def _why_not_image(may: Offer, project: str, accelerator: str, image: str) -> Denial | None:
    """Explain why an image cannot be chosen, before all that there is nothing it goes with."""
    denial = may.why_not_image(project, accelerator, image)
    if denial and not may.why_not_image(project, None, image):
        return may.why_not_anywhere("images", image) or denial
    return denial


def _queue(request: Mapping[str, Any], may: Offer, project: str, accelerator: str) -> str:
    usable = may.queues_of(project, accelerator)
    name = request_fields.name_in(request, "queue")
    if name:
        _known(name, may.platform.queues, "queue", may.queues)
        if denial := may.why_not_queue(project, accelerator, name):
            raise denial.refusal(request_fields.instead(usable))
        return name
    if usable:
        return next(iter(usable))
    raise Refusal(
        Reason.IMPOSSIBLE,
        _("No batch queue of this project serves this accelerator."),
        _("Choose another accelerator, or use it in a session."),
        field="accelerator",
    )


def _session_time(
    request: Mapping[str, Any], may: Offer, accelerator: str, project: str, size: str, count: int
) -> timedelta:
    longest = may.longest_session(accelerator, project, size, count)
    limit = request_fields.duration_in(request, "time_limit")
    if limit is None:
        return may.session_default(accelerator, project, size, count)
    return _within(limit, longest.time, longest.scope)


def _job_time(request: Mapping[str, Any], may: Offer, queue: str) -> timedelta:
    limit = request_fields.duration_in(request, "time_limit")
    return may.job_default(queue) if limit is None else _within(limit, may.job_max(queue), _("here"))


def _within(limit: timedelta, longest: timedelta, scope: str) -> timedelta:
    if limit > longest:
        raise Refusal(
            Reason.TOO_LARGE,
            _("The time limit of {time} is longer than the {longest} allowed {where}.").format(
                time=format_duration(limit), longest=format_duration(longest), where=scope
            ),
            _("Ask for {longest} or less.").format(longest=format_duration(longest)),
            field="time_limit",
        )
    return limit


def _one_of(
    request: Mapping[str, Any],
    key: str,
    known: Mapping[str, T],
    usable: Mapping[str, T],
    why_not: Callable[[str], Denial | None],
) -> str:
    """Read a choice by name; missing means the first usable one."""
    name = request_fields.name_in(request, key)
    if not name:
        if not usable:
            raise Refusal(
                Reason.IMPOSSIBLE,
                _(_NOTHING_GOES[key]),
                _("Choose another accelerator or project."),
                field=key,
            )
        return next(iter(usable))
    _known(name, known, key, usable)
    if denial := why_not(name):
        raise denial.refusal(request_fields.instead(usable))
    return name


def _known(name: str, known: Mapping[str, Any], key: str, usable: Mapping[str, Any]) -> None:
    """Refuse a name that the platform does not have. Here as everywhere the hint names what the person may use."""
    if name not in known:
        raise Refusal(
            Reason.UNKNOWN,
            _(_NO_SUCH[key]).format(name=request_fields.shown(name)),
            request_fields.instead(usable),
            field=key,
        )
