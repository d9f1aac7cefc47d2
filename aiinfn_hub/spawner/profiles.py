"""What one person may start, as cards: the form draws them and a KubeSpawner profile list is made of them.

Nothing here decides who may use what. That is `aiinfn_hub.platform.gate.Offer`, out of which the gate grants, so what is
shown and what is granted cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from aiinfn_hub.platform.gate import Offer, Usage, offer
from aiinfn_hub.platform.model import CPU_ONLY, Accelerator, Backend, Platform
from aiinfn_hub.platform.person import Person
from aiinfn_hub.platform.units import format_duration, format_quantity
from aiinfn_hub.vkd.contract import Availability, AvailabilityReading

WORDS: Final[dict[str, str]] = {
    "cpu": "Starts now, without an accelerator.",
    "now": "Starts now on a free {title}.",
    "now-several": "Starts now on {count} free {title}.",
    "room": "A batch job will make room: about {grace}.",
    "room-several": "{needed} batch jobs will make room: about {grace}.",
    "wait": "All are in use by sessions. Yours waits up to {patience}.",
    "wait-until": "All are in use by sessions; the first ends at {time} at the latest. Yours waits up to {patience}.",
    "wait-part": "Sessions leave only {left} of them. Yours waits up to {patience}.",
    "line": "{waiting} already in line. Yours waits behind, up to {patience}.",
    "none": "None of them is in operation now.",
    "few": "Only {working} of them in operation now.",
    "unknown": "Accelerators cannot be handed out while the delegation service does not answer. CPU sessions start.",
}
"""Sentences on what happens if something is chosen; the form's script fills in the same ones."""

BRIEF: Final[dict[str, str]] = {
    "cpu": "Starts now",
    "now": "Starts now",
    "room": "Batch makes room",
    "wait": "All in use",
    "line": "Others in line",
    "none": "Out of operation",
    "few": "Not enough",
    "unknown": "Cannot start now",
}
"""The same in two words, for a card."""

KUBERNETES_WORDS: Final = {
    "unknown": "What is free is not known now. The session starts as soon as there is one; batch makes room for it."
}
KUBERNETES_BRIEF: Final = {"unknown": "Not known now"}
"""What differs there: a cluster hands devices out by itself."""

GROUPS: Final[dict[str, str]] = {"cpu": "CPU", "gpu": "GPU", "mig": "MIG slices", "fpga": "FPGA"}
"""Kinds of cards in the order of the form."""


def words_of(platform: Platform) -> dict[str, str]:
    """Give the sentences of a platform."""
    return WORDS | (KUBERNETES_WORDS if platform.backend is Backend.KUBERNETES else {})


def brief_of(platform: Platform) -> dict[str, str]:
    """Give the words for cards of a platform."""
    return BRIEF | (KUBERNETES_BRIEF if platform.backend is Backend.KUBERNETES else {})


@dataclass(frozen=True, slots=True)
class Outlook:
    """What happens if something is chosen now.

    Attributes
    ----------
    key
        One of `BRIEF`.
    sentence
        In words; it may hold ``{time}``, to be filled in the reader's own zone.
    time
        UTC.
    """

    key: str
    sentence: str
    time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """One card: an accelerator that the person may use, or none.

    Attributes
    ----------
    name
        Value of the request's ``accelerator``.
    group
        Key of `GROUPS`.
    projects, sizes
        For each project that may use it, the images and the sizes that go with it there.
    times
        Session lengths to offer, ascending; ``usual`` is among them. Not every project and size may have the longest.
    longest
        The longest of them for each project and size.
    availability
        None for CPU only, and while it is unknown.
    """

    name: str
    group: str
    title: str
    memory: str
    description: str
    simulated: bool
    most: int
    projects: dict[str, list[str]]
    sizes: dict[str, list[str]]
    times: list[timedelta]
    longest: dict[str, dict[str, timedelta]]
    usual: timedelta
    availability: Availability | None
    outlook: Outlook

    def times_of(self, project: str, size: str) -> list[timedelta]:
        """Give the session lengths to offer for a project and a size."""
        return [time for time in self.times if time <= self.longest[project][size]]


def profiles(
    platform: Platform,
    person: Person,
    reading: AvailabilityReading | None,
    *,
    now: datetime | None = None,
    usage: Usage | None = None,
) -> list[Profile]:
    """Give the cards of one person, in the order of the groups and then of the platform file.

    An accelerator that none of the person's projects can start anything with has no card; somebody without a project
    has none at all. ``now`` and ``usage`` are those of the gate.
    """
    may = offer(platform, person, now=now, usage=usage)
    known = {entry.accelerator: entry for entry in reading.accelerators} if reading else {}
    cards = []
    for name in (CPU_ONLY, *may.accelerators):
        projects = {
            project: images
            for project in may.projects_of(name)
            if (images := list(may.images_of(project, name))) and may.sizes_of(project, name)
        }
        if projects:
            cards.append(_card(may, name, projects, known.get(name)))
    order = list(GROUPS)
    return sorted(cards, key=lambda card: order.index(card.group))


def outlook(
    device: Accelerator | None,
    availability: Availability | None,
    count: int,
    grace: timedelta,
    patience: timedelta,
    sentences: Mapping[str, str] = WORDS,
) -> Outlook:
    """Say what happens if ``count`` devices are asked for now.

    The form's script decides in the same order (``form.js``); a test holds the two together.
    """
    if device is None:
        return Outlook("cpu", sentences["cpu"])
    if availability is None:
        return Outlook("unknown", sentences["unknown"])
    working = availability.total - availability.offline
    needed = count - availability.free
    words: dict[str, Any] = {
        "title": device.title,
        "count": count,
        "needed": needed,
        "working": working,
        "left": availability.free + availability.batch,
        "grace": spoken(grace),
        "patience": spoken(patience),
        "waiting": f"{availability.waiting_sessions} session{'s are' if availability.waiting_sessions > 1 else ' is'}",
        "time": "{time}",
    }
    time = availability.next_session_end
    if working <= 0:
        key, form = "none", "none"
    elif working < count:
        key, form = "few", "few"
    elif availability.waiting_sessions:
        key, form = "line", "line"
    elif needed <= 0:
        key, form = "now", "now" if count == 1 else "now-several"
    elif needed <= availability.batch:
        key, form = "room", "room" if needed == 1 else "room-several"
    else:
        key, form = "wait", "wait-part" if words["left"] else "wait-until" if time else "wait"
    return Outlook(key, sentences[form].format(**words), time if form == "wait-until" else None)


def spoken(time: timedelta) -> str:
    """Write a duration as people say it: ``8 hours``, ``1 day``, ``10 s``."""
    seconds = int(time.total_seconds())
    for size, word in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds % size == 0:
            amount = seconds // size
            return f"{amount} {word}{'s' if amount != 1 else ''}"
    return f"{seconds} s" if seconds < 60 else format_duration(time)


def spoken_memory(size: int) -> str:
    """Write a number of bytes as people read it: ``16 GiB``."""
    text = format_quantity(size)
    digits = text.rstrip("KMGTi")
    return f"{digits}\N{NO-BREAK SPACE}{text[len(digits) :]}B"


def _card(
    may: Offer, name: str, projects: dict[str, list[str]], availability: Availability | None
) -> Profile:
    limits = may.platform.limits
    device = may.platform.accelerators.get(name)
    sizes = {project: list(may.sizes_of(project, name)) for project in projects}
    longest = {
        project: {size: may.longest_offered(name, project, size) for size in names}
        for project, names in sizes.items()
    }
    ends = {time for of in longest.values() for time in of.values()}
    times = sorted({time for end in ends for time in may.times_up_to(end)})
    return Profile(
        name=name,
        group=device.kind.value if device else "cpu",
        title=device.title if device else "CPU only",
        memory=spoken_memory(device.memory) if device and device.memory else "",
        description=device.description if device else "Reading, plotting, preparing data and batch jobs",
        simulated=_simulated(device, availability),
        most=may.most(name),
        projects=projects,
        sizes=sizes,
        times=times,
        longest=longest,
        usual=min(limits.session_default, times[-1]),
        availability=availability,
        outlook=outlook(device, availability, 1, limits.grace, limits.session_start, words_of(may.platform)),
    )


def _simulated(device: Accelerator | None, availability: Availability | None) -> bool:
    if device is None:
        return False
    if availability is not None and availability.simulated is not None:
        return availability.simulated
    return device.simulated > 0
