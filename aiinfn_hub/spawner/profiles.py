"""What one person may start, as cards: the form draws them and a KubeSpawner profile list is made of them.

Nothing here decides who may use what. That is `aiinfn_hub.platform.gate.Offer`, out of which the gate grants, so what is
shown and what is granted cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from aiinfn_hub.contract.platform import Availability, AvailabilityReading
from aiinfn_hub.contract.units import format_duration, format_quantity
from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.i18n.language import ngettext
from aiinfn_hub.platform.access.limits import QuotaUse
from aiinfn_hub.platform.gate import Offer, offer
from aiinfn_hub.platform.model.accelerator_kinds import AcceleratorKind
from aiinfn_hub.platform.model.accelerators import Accelerator
from aiinfn_hub.platform.model.fields import CPU_ONLY
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.model.settings import BackendKind
from aiinfn_hub.platform.person import Person

CPU: Final = "cpu"
"""Group of the card without an accelerator."""
GROUPS: Final = (CPU, *AcceleratorKind)
"""Groups of cards in the order of the form: one for each kind of accelerator."""


def group_title(group: str) -> str:
    """Name a group of cards."""
    return {CPU: _("CPU"), **{kind.value: kind.heading for kind in AcceleratorKind}}[group]


def words_of(backend: BackendKind) -> dict[str, str]:
    """Return the sentences on what happens if something is chosen; the form's script fills in the same ones."""
    unknown = (
        # A cluster hands devices out by itself.
        _(
            "What is free is not known now. The session starts as soon as there is one; batch makes room for it."
        )
        if backend is BackendKind.KUBERNETES
        else _(
            "Accelerators cannot be handed out while the delegation service does not answer. CPU sessions start."
        )
    )
    return {
        "cpu": _("Starts now, without an accelerator."),
        "now": _("Starts now on a free {title}."),
        "now-several": _("Starts now on {count} free {title}."),
        "room": _("A batch job will make room: about {grace}."),
        "room-several": _("{needed} batch jobs will make room: about {grace}."),
        "wait": _("All are in use by sessions. Yours waits up to {patience}."),
        "wait-until": _(
            "All are in use by sessions; the first ends at {time} at the latest. Yours waits up to {patience}."
        ),
        "wait-part": _("Sessions leave only {left} of them. Yours waits up to {patience}."),
        "wait-others": _(
            "All are in use, {others} of them by something else in the cluster. Yours waits up to {patience}."
        ),
        "wait-part-others": _(
            "Of them {left} can be had, and something else in the cluster holds {others}. Yours waits up to {patience}."
        ),
        "line": _("1 session is already in line. Yours waits behind, up to {patience}."),
        "line-several": _("{waiting} sessions are already in line. Yours waits behind, up to {patience}."),
        "none": _("None of them is in operation now."),
        "few": _("Only {working} of them in operation now."),
        "unknown": unknown,
    }


def brief_of(backend: BackendKind) -> dict[str, str]:
    """Return the same in two words, for a card."""
    return {
        "cpu": _("Starts now"),
        "now": _("Starts now"),
        "room": _("Batch makes room"),
        "wait": _("All in use"),
        "line": _("Others in line"),
        "none": _("Out of operation"),
        "few": _("Not enough"),
        "unknown": _("Not known now") if backend is BackendKind.KUBERNETES else _("Cannot start now"),
    }


@dataclass(frozen=True, slots=True)
class Outlook:
    """What happens if something is chosen now.

    Attributes
    ----------
    key
        One of `brief_of`.
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
    made, fitting
        The images and the sizes that go with it in whatever project; `projects` and `sizes` are the part of them that a
        project has.
    times
        Session lengths to offer, ascending; ``usual`` is among them. Not every project and size may have the longest.
    longest
        The longest session of each project, but for what its size says.
    of_sizes
        The longest session of those sizes that say one.
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
    projects: dict[str, tuple[str, ...]]
    sizes: dict[str, tuple[str, ...]]
    made: tuple[str, ...]
    fitting: tuple[str, ...]
    times: list[timedelta]
    longest: dict[str, timedelta]
    of_sizes: dict[str, timedelta]
    usual: timedelta
    availability: Availability | None
    outlook: Outlook

    def times_of(self, project: str, size: str) -> list[timedelta]:
        """Return the session lengths to offer for a project and a size."""
        longest = min(self.longest[project], self.of_sizes.get(size, timedelta.max))
        return [time for time in self.times if time <= longest]


def profiles(
    platform: Platform,
    person: Person,
    reading: AvailabilityReading | None,
    *,
    now: datetime | None = None,
    usage: QuotaUse | None = None,
) -> list[Profile]:
    """Return the cards of one person; ``now`` and ``usage`` are those of the gate. See `cards_of`."""
    return cards_of(offer(platform, person, now=now, usage=usage), reading)


def cards_of(may: Offer, reading: AvailabilityReading | None) -> list[Profile]:
    """Draw the cards of an offer, in the order of the groups and then of the platform file.

    An accelerator that none of the person's projects can start anything with has no card; somebody without a project
    has none at all.
    """
    known = {entry.accelerator: entry for entry in reading.accelerators} if reading else {}
    draw = _Drawing(may)
    cards = [draw.card(name, known.get(name)) for name in (CPU_ONLY, *may.platform.accelerators)]
    return sorted((card for card in cards if card), key=lambda card: GROUPS.index(card.group))


def outlook(
    device: Accelerator | None,
    availability: Availability | None,
    count: int,
    grace: timedelta,
    patience: timedelta,
    sentences: Mapping[str, str] | None = None,
) -> Outlook:
    """Return what happens if ``count`` devices are asked for now.

    The form's script decides in the same order (``form.js``); a test holds the two together.
    """
    sentences = sentences or words_of(BackendKind.LOCAL)
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
        "others": availability.others,
        "grace": spoken(grace),
        "patience": spoken(patience),
        "waiting": availability.waiting_sessions,
        "time": "{time}",
    }
    time = availability.next_session_end
    if working <= 0:
        key, form = "none", "none"
    elif working < count:
        key, form = "few", "few"
    elif availability.waiting_sessions:
        key, form = "line", "line" if availability.waiting_sessions == 1 else "line-several"
    elif needed <= 0:
        key, form = "now", "now" if count == 1 else "now-several"
    elif needed <= availability.batch:
        key, form = "room", "room" if needed == 1 else "room-several"
    elif availability.others:
        key, form = "wait", "wait-part-others" if words["left"] else "wait-others"
    else:
        key, form = "wait", "wait-part" if words["left"] else "wait-until" if time else "wait"
    return Outlook(key, sentences[form].format(**words), time if form == "wait-until" else None)


def spoken(time: timedelta) -> str:
    """Write a duration as people say it: ``8 hours``, ``1 day``, ``10 s``."""
    seconds = int(time.total_seconds())
    if seconds % 86400 == 0:
        days = seconds // 86400
        return ngettext("{count} day", "{count} days", days).format(count=days)
    if seconds % 3600 == 0:
        hours = seconds // 3600
        return ngettext("{count} hour", "{count} hours", hours).format(count=hours)
    if seconds % 60 == 0:
        minutes = seconds // 60
        return ngettext("{count} minute", "{count} minutes", minutes).format(count=minutes)
    return f"{seconds} s" if seconds < 60 else format_duration(time)


def spoken_memory(size: int) -> str:
    """Write a number of bytes as people read it: ``16 GiB``."""
    text = format_quantity(size)
    digits = text.rstrip("KMGTi")
    return f"{digits}\N{NO-BREAK SPACE}{text[len(digits) :]}B"


class _Drawing:
    """Draws cards. Each accelerator meets each project once; lists of images and sizes are made once for all that share them."""

    def __init__(self, may: Offer) -> None:
        self._may = may
        self._images = {project: tuple(may.images_in(project)) for project in may.projects}
        self._sizes = {project: tuple(may.sizes_of(project)) for project in may.projects}
        self._of_sizes = {
            name: size.session_time for name, size in may.platform.sizes.items() if size.session_time
        }
        self._words = words_of(may.platform.sessions.backend)
        self._commons: dict[tuple[tuple[str, ...], tuple[str, ...]], tuple[str, ...]] = {}
        self._ends: dict[tuple[timedelta, tuple[str, ...]], frozenset[timedelta]] = {}
        self._times: dict[frozenset[timedelta], list[timedelta]] = {}

    def card(self, name: str, availability: Availability | None) -> Profile | None:
        """Draw one; None if no project can start anything with it."""
        may, limits = self._may, self._may.platform.limits
        device = may.platform.accelerators.get(name)
        made, fitting = tuple(may.images_with(name)), tuple(may.sizes_with(name))
        projects: dict[str, tuple[str, ...]] = {}
        sizes: dict[str, tuple[str, ...]] = {}
        for project in may.projects_of(name):
            images = self._common(self._images[project], made)
            some = self._common(self._sizes[project], fitting)
            if images and some:
                projects[project], sizes[project] = images, some
        if not projects:
            return None
        longest = {project: may.longest_offered_in(project, name) for project in projects}
        pairs = {(longest[project], sizes[project]) for project in projects}
        times = self._times_up_to(frozenset().union(*(self._ends_of(*pair) for pair in pairs)))
        return Profile(
            name=name,
            group=device.kind.value if device else CPU,
            title=device.title if device else _("CPU only"),
            memory=spoken_memory(device.memory) if device and device.memory else "",
            description=device.description
            if device
            else _("Reading, plotting, preparing data and batch jobs"),
            simulated=_simulated(device, availability),
            most=min((may.access(project, name).most for project in projects), default=0),
            projects=projects,
            sizes=sizes,
            made=made,
            fitting=fitting,
            times=times,
            longest=longest,
            of_sizes=self._of_sizes,
            usual=min(limits.session_default, times[-1]),
            availability=availability,
            outlook=outlook(device, availability, 1, limits.grace, limits.session_start, self._words),
        )

    def _common(self, some: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
        key = (some, others)
        if key not in self._commons:
            among = frozenset(others)
            self._commons[key] = tuple(name for name in some if name in among)
        return self._commons[key]

    def _ends_of(self, longest: timedelta, sizes: tuple[str, ...]) -> frozenset[timedelta]:
        """Return the longest sessions with one of these sizes."""
        key = (longest, sizes)
        if key not in self._ends:
            self._ends[key] = frozenset(min(longest, self._of_sizes.get(size, longest)) for size in sizes)
        return self._ends[key]

    def _times_up_to(self, ends: frozenset[timedelta]) -> list[timedelta]:
        if ends not in self._times:
            self._times[ends] = sorted({time for end in ends for time in self._may.times_up_to(end)})
        return self._times[ends]


def _simulated(device: Accelerator | None, availability: Availability | None) -> bool:
    if device is None:
        return False
    if availability is not None and availability.simulated is not None:
        return availability.simulated
    return device.local.simulated > 0
