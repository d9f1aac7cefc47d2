"""The gate: the only way from a request to what is granted, for sessions and for jobs alike.

`Offer` says what a person may choose; the form draws it. `resolve` grants a request out of the same `Offer`, so what
is shown and what is granted cannot drift apart. Both are pure and total: any mapping yields a `Selection` or a
`Refusal`, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, TypeVar

from .model import CPU_ONLY, Accelerator, Platform
from .offer import Offer, offer
from .person import Person
from .refusal import Reason, Refusal
from .selection import Door, Selection
from .units import format_duration, parse_duration

__all__ = ["JOB_KEYS", "SESSION_KEYS", "Offer", "offer", "resolve"]

SESSION_KEYS: Final = frozenset({"accelerator", "count", "image", "size", "project", "time_limit"})
JOB_KEYS: Final = SESSION_KEYS | {"queue"}

T = TypeVar("T")


def resolve(request: Mapping[str, Any], platform: Platform, person: Person, door: Door) -> Selection:
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

    Raises
    ------
    Refusal
        With the field it is about. Nothing else is ever raised.
    """
    keys = SESSION_KEYS if door is Door.SESSION else JOB_KEYS
    if not isinstance(request, Mapping):
        raise Refusal(Reason.INVALID, f"A {door} is asked for with an object of choices.", _choices(keys))
    for key in request:
        if key not in keys:
            raise Refusal(
                Reason.INVALID,
                f"{_shown(key)} is no choice of a {door}.",
                _choices(keys),
                field=str(key)[:40],
            )

    may = offer(platform, person)
    if not may.projects:
        raise Refusal(
            Reason.FORBIDDEN,
            "You do not belong to any project of this platform.",
            "Ask the manager of your project to add you to its group in IAM, then sign in again.",
            field="project",
        )

    accelerator = _text(request, "accelerator") or CPU_ONLY
    if accelerator != CPU_ONLY:
        _known(accelerator, platform.accelerators, "accelerator", "accelerator")
    project = _project(request, may, accelerator)
    device = platform.accelerators[accelerator] if accelerator != CPU_ONLY else None
    count = _count(request, device, door)
    size = _one_of(request, "size", platform.sizes, may.sizes_of(project), "for this project")
    images = may.images_of(project, accelerator)
    image = _text(request, "image")
    if image and image in platform.images and image not in images and image in may.images:
        raise Refusal(
            Reason.IMPOSSIBLE,
            f"The image {_shown(image)} does not go with {device.title if device else 'a CPU-only ' + door} in this project.",
            _instead(images),
            field="image",
        )
    image = _one_of(request, "image", platform.images, images, "for this choice")

    queue: str | None = None
    if door is Door.SESSION:
        longest, usual = may.session_max(accelerator), may.session_default(accelerator)
    else:
        queue = _queue(request, may, project, accelerator)
        longest, usual = may.job_max(queue), may.job_default(queue)
    return Selection(
        door=door,
        person=person.name,
        project=project,
        image_name=image,
        image=platform.images[image],
        size_name=size,
        size=platform.sizes[size],
        accelerator_name=accelerator,
        accelerator=device,
        count=count,
        queue_name=queue,
        priority=platform.queues[queue].priority if queue else 0,
        time_limit=_time_limit(request, longest, usual),
    )


def _project(request: Mapping[str, Any], may: Offer, accelerator: str) -> str:
    usable = may.projects_of(accelerator)
    name = _text(request, "project")
    if not name:
        if usable:
            return next(iter(usable))
        raise Refusal(
            Reason.FORBIDDEN,
            f"None of your projects may use {may.platform.accelerators[accelerator].title}.",
            _instead(may.accelerators),
            field="accelerator",
        )
    _known(name, may.platform.projects, "project", "project", hide=True, mine=may.projects)
    if name not in may.projects:
        raise Refusal(
            Reason.FORBIDDEN,
            f"You are not a member of the project {_shown(name)}.",
            _instead(may.projects),
            field="project",
        )
    if name not in usable:
        raise Refusal(
            Reason.FORBIDDEN,
            f"The project {may.projects[name].title} may not use {may.platform.accelerators[accelerator].title}.",
            _instead(may.accelerators_of(name) or {CPU_ONLY: None}),
            field="accelerator",
        )
    return name


def _queue(request: Mapping[str, Any], may: Offer, project: str, accelerator: str) -> str:
    usable = may.queues_of(project, accelerator)
    name = _text(request, "queue")
    if name:
        _known(name, may.platform.queues, "queue", "queue", hide=True, mine=may.queues)
        queue = may.platform.queues[name]
        if queue.projects is not None and project not in queue.projects:
            raise Refusal(
                Reason.FORBIDDEN,
                f"The queue {queue.title} is not open to the project {may.projects[project].title}.",
                _instead(usable),
                field="queue",
            )
        if name not in usable:
            wanted = (
                "jobs without an accelerator"
                if accelerator == CPU_ONLY
                else may.platform.accelerators[accelerator].title
            )
            raise Refusal(
                Reason.IMPOSSIBLE,
                f"The queue {queue.title} does not serve {wanted}.",
                _instead(usable),
                field="queue",
            )
        return name
    if usable:
        return next(iter(usable))
    raise Refusal(
        Reason.IMPOSSIBLE,
        "No batch queue of this project serves this accelerator.",
        "Choose another accelerator, or use it in a session.",
        field="accelerator",
    )


def _count(request: Mapping[str, Any], device: Accelerator | None, door: Door) -> int:
    value = request.get("count")
    if value is None or value == "":
        return 1 if device else 0
    count = _integer(value, "count")
    if device is None:
        if count != 0:
            raise Refusal(
                Reason.IMPOSSIBLE,
                f"{count} accelerators were asked for, but no accelerator was chosen.",
                "Choose an accelerator, or leave the count out.",
                field="count",
            )
        return 0
    most = device.max_per_session if door is Door.SESSION else device.max_per_job
    allowed = "Ask for 1" if most == 1 else f"Ask for 1 to {most}"
    if count < 1:
        raise Refusal(
            Reason.IMPOSSIBLE if count == 0 else Reason.INVALID,
            f"{device.title} was chosen with a count of {count}.",
            f"{allowed}, or choose CPU only.",
            field="count",
        )
    if count > most:
        raise Refusal(
            Reason.TOO_LARGE,
            f"A {door} may have at most {most} {device.title}, not {count}.",
            f"{allowed}.",
            field="count",
        )
    return count


def _time_limit(request: Mapping[str, Any], longest: timedelta, usual: timedelta) -> timedelta:
    value = request.get("time_limit")
    if value is None or value == "":
        return usual
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 12:
        value = int(value)
    if isinstance(value, bool):
        raise Refusal(
            Reason.INVALID,
            "The time limit is no duration.",
            "Write for example 90m or 8h.",
            field="time_limit",
        )
    try:
        limit = parse_duration(value)
    except ValueError as error:
        message = str(error)
        raise Refusal(
            Reason.INVALID, f"{_printable(message[:1].upper() + message[1:], 120)}.", "", field="time_limit"
        ) from None
    if limit < timedelta(seconds=1):
        raise Refusal(Reason.INVALID, "A time limit is at least one second.", "", field="time_limit")
    if limit > longest:
        raise Refusal(
            Reason.TOO_LARGE,
            f"The time limit of {format_duration(limit)} is longer than the {format_duration(longest)} allowed here.",
            f"Ask for {format_duration(longest)} or less.",
            field="time_limit",
        )
    return timedelta(seconds=int(limit.total_seconds()))


def _one_of(
    request: Mapping[str, Any], key: str, known: Mapping[str, T], usable: Mapping[str, T], scope: str
) -> str:
    """Read a choice by name; missing means the first usable one."""
    name = _text(request, key)
    if not name:
        if not usable:
            raise Refusal(
                Reason.IMPOSSIBLE,
                f"There is no {key} {scope}.",
                "Choose another accelerator or project.",
                field=key,
            )
        return next(iter(usable))
    _known(name, known, key, key)
    if name not in usable:
        raise Refusal(
            Reason.FORBIDDEN,
            f"The {key} {_shown(name)} is not available {scope}.",
            _instead(usable),
            field=key,
        )
    return name


def _known(
    name: str,
    known: Mapping[str, Any],
    noun: str,
    field: str,
    *,
    hide: bool = False,
    mine: Mapping[str, Any] | None = None,
) -> None:
    """Refuse a name that the platform does not have; with ``hide`` the hint names only what is the person's own."""
    if name not in known:
        raise Refusal(
            Reason.UNKNOWN,
            f"There is no {noun} {_shown(name)} (any more).",
            _instead((mine or {}) if hide else known),
            field=field,
        )


def _text(request: Mapping[str, Any], key: str) -> str:
    value = request.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Refusal(Reason.INVALID, f"The {key} must be given by name.", "", field=key)
    return value


def _integer(value: Any, key: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif (
        isinstance(value, str)
        and len(value) <= 12
        and value.lstrip("+-").isascii()
        and value.lstrip("+-").isdigit()
    ):
        try:
            number = int(value)
        except ValueError:
            number = None
    else:
        number = None
    if number is None:
        raise Refusal(Reason.INVALID, f"The {key} {_shown(value)} is no whole number.", "", field=key)
    if abs(number) > 10**9:
        raise Refusal(
            Reason.TOO_LARGE if number > 0 else Reason.INVALID, f"The {key} is out of range.", "", field=key
        )
    return number


def _instead(choices: Mapping[str, Any]) -> str:
    """Say what could be chosen, by name and title; never more than a line or two."""
    names = [
        name if value is None else f"{name} ({value.title})" for name, value in list(choices.items())[:6]
    ]
    if not names:
        return "There is nothing of the kind that you may use."
    return f"Choose {names[0]}." if len(names) == 1 else f"Choose one of {', '.join(names)}."


def _choices(keys: frozenset[str]) -> str:
    return f"The choices are {', '.join(sorted(keys))}."


def _printable(text: str, length: int) -> str:
    return "".join(character if character.isprintable() else "?" for character in text[:length])


def _shown(value: Any) -> str:
    """Quote a foreign value: short, on one line, whatever it holds."""
    text = (
        value
        if isinstance(value, str)
        else str(value)
        if isinstance(value, (int, float)) and abs(value) < 1e15
        else type(value).__name__
    )
    return f"“{_printable(text, 40)}{'…' if len(text) > 40 else ''}”"
