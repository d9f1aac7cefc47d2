"""What one person may choose: drawn by the form, granted by the gate, explained by ``aiinfn-hub explain``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from operator import attrgetter
from typing import Final, NamedTuple

from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.platform.model.accelerators import Accelerator
from aiinfn_hub.platform.model.fields import CPU_ONLY, show_moment
from aiinfn_hub.platform.model.images import Image
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.model.projects import Project, Queue, Size
from aiinfn_hub.platform.model.storage import Storage
from aiinfn_hub.platform.person import Person
from aiinfn_hub.platform.selection import Door

from .denials import Denial, Rule
from .limits import MARGIN, QuotaUse, next_reservation
from .policy import AccessPolicy

TIMES: Final = tuple(timedelta(hours=hours) for hours in (1, 2, 4, 8, 12, 24, 48, 96))
"""Session lengths that a form offers, up to the longest."""
_TIME_OF: Final = attrgetter("time")
_STEP: Final = timedelta(minutes=15)
_SLACK: Final = timedelta(minutes=10)
"""How long a form may stay open before the last of its times, up to the end of a period, is refused."""
_LISTS: Final = frozenset(
    {
        Rule.PROJECT_ACCELERATOR,
        Rule.PROJECT_SIZE,
        Rule.PROJECT_IMAGE,
        Rule.QUEUE_PROJECT,
        Rule.STORAGE_PROJECT,
    }
)
"""Lists of the platform file, which say less than any other rule why something is not offered."""


class Longest(NamedTuple):
    """The longest session, and what says so: words that follow "allowed", in the language of the request.

    ``fixed`` is false where a moment is the bound, so that it shrinks as time goes on.
    """

    time: timedelta
    scope: str
    fixed: bool = True


@dataclass(frozen=True)
class Offer(AccessPolicy):
    """What one person may choose on one platform at one time, in the order of the platform file.

    What is offered is exactly what nothing stands in the way of. See `AccessPolicy` for the attributes.
    """

    @cached_property
    def projects(self) -> dict[str, Project]:
        """The person's projects."""
        return {
            name: project
            for name, project in self.platform.projects.items()
            if self.why_not_project(name) is None
        }

    @cached_property
    def accelerators(self) -> dict[str, Accelerator]:
        """Accelerators that at least one of the projects may use."""
        return {name: value for name, value in self.platform.accelerators.items() if self.projects_of(name)}

    @cached_property
    def sizes(self) -> dict[str, Size]:
        """Sizes that at least one of the projects may use."""
        allowed = {name for project in self.projects for name in self.sizes_of(project)}
        return {name: value for name, value in self.platform.sizes.items() if name in allowed}

    @cached_property
    def images(self) -> dict[str, Image]:
        """Images that at least one of the projects may use, with an accelerator of it or none."""
        return {name: value for name, value in self.platform.images.items() if self._can_be_had(name, value)}

    def _can_be_had(self, name: str, image: Image) -> bool:
        """Return whether a project of the person may use an image with something that the image is made for."""
        projects = [project for project in self.projects if name in self.images_in(project)]
        devices = image.accelerators if image.accelerators is not None else (CPU_ONLY, *self.accelerators)
        return any(
            self.why_not_accelerator(project, device) is None for device in devices for project in projects
        )

    @cached_property
    def queues(self) -> dict[str, Queue]:
        """Queues in which at least one of the projects may submit something."""
        allowed = {
            name
            for device in (CPU_ONLY, *self.accelerators)
            for project in self.projects_of(device)
            for name in self.queues_of(project, device)
        }
        return {name: value for name, value in self.platform.queues.items() if name in allowed}

    @cached_property
    def storage(self) -> dict[str, Storage]:
        """Storage that sessions of at least one of the projects see."""
        allowed = {name for project in self.projects for name in self.storage_of(project)}
        return {name: value for name, value in self.platform.storage.items() if name in allowed}

    def projects_of(self, accelerator: str) -> dict[str, Project]:
        """Return the person's projects that may use an accelerator."""
        return {
            name: project
            for name, project in self.projects.items()
            if self.why_not_accelerator(name, accelerator) is None
        }

    def accelerators_of(self, project: str) -> dict[str, Accelerator]:
        """Return the accelerators that a project may use."""
        return {
            name: value
            for name, value in self.platform.accelerators.items()
            if self.why_not_accelerator(project, name) is None
        }

    def sizes_of(self, project: str, accelerator: str | None = None) -> dict[str, Size]:
        """Return the sizes that a project may use, and that go with an accelerator if one is given."""
        return {
            name: value
            for name, value in self.platform.sizes.items()
            if self.why_not_size(project, accelerator, name) is None
        }

    def sizes_with(self, accelerator: str) -> dict[str, Size]:
        """Return the sizes that go with an accelerator, in whatever project."""
        device = self.platform.accelerators.get(accelerator)
        return {
            name: value
            for name, value in self.platform.sizes.items()
            if device is None or device.sizes is None or name in device.sizes
        }

    def images_of(self, project: str, accelerator: str) -> dict[str, Image]:
        """Return the images that a project may use and that are made for an accelerator."""
        return {
            name: image
            for name, image in self.images_in(project).items()
            if image.accelerators is None or accelerator in image.accelerators
        }

    def images_in(self, project: str) -> dict[str, Image]:
        """Return the images that a project may use, with whatever accelerator."""
        return self._images_for(project)

    def images_with(self, accelerator: str) -> dict[str, Image]:
        """Return the images that are made for an accelerator, in whatever project."""
        return {
            name: image
            for name, image in self.platform.images.items()
            if image.accelerators is None or accelerator in image.accelerators
        }

    def queues_of(self, project: str, accelerator: str) -> dict[str, Queue]:
        """Return the queues that are open to a project and serve an accelerator."""
        return {
            name: queue
            for name, queue in self.platform.queues.items()
            if self.why_not_queue(project, accelerator, name) is None
        }

    def storage_of(self, project: str) -> dict[str, Storage]:
        """Return the storage that sessions and jobs of a project see."""
        return {
            name: value
            for name, value in self.platform.storage.items()
            if self.why_not_storage(project, name) is None
        }

    def why_not_anywhere(self, kind: str, name: str) -> Denial | None:
        """Explain why something is offered in none of the person's projects; None if it is, or if there is no project.

        Parameters
        ----------
        kind
            Section of the platform file: ``accelerators``, ``sizes``, ``images``, ``queues`` or ``storage``.
        """
        if name in getattr(self, kind) or not self.projects:
            return None
        denials = [self.why_not(kind, project, name) for project in self.projects]
        found = [denial for denial in denials if denial is not None]
        if len(found) == len(denials):
            return next((denial for denial in found if denial.rule not in _LISTS), found[0])
        # It is for a project, so it fails because something that goes with it is missing.
        value = getattr(self.platform, kind)[name]
        rule = Rule.IMAGE_NEEDS if kind == "images" else Rule.QUEUE_NEEDS
        return Denial(rule, {"title": value.title, "needs": self._titles(value.accelerators or ())})

    def why_not(self, kind: str, project: str, name: str) -> Denial | None:
        """Explain why something is not for a project of the person; kinds as in `why_not_anywhere`."""
        match kind:
            case "accelerators":
                return self.why_not_accelerator(project, name)
            case "sizes":
                return self.why_not_size(project, None, name)
            case "images":
                return self.why_not_image(project, None, name)
            case "queues":
                return self.why_not_queue(project, None, name)
            case _:
                return self.why_not_storage(project, name)

    # How many, and for how long

    def most(self, accelerator: str, project: str | None = None) -> int:
        """Return how many devices may be asked for: in a project, or in each of the projects that may use it."""
        if accelerator == CPU_ONLY:
            return 0
        projects = self.projects_of(accelerator) if project is None else (project,)
        return min((self.access(each, accelerator).most for each in projects), default=0)

    def longest_session(self, accelerator: str, project: str, size: str, count: int | None = None) -> Longest:
        """Return the longest session, and what sets the limit; without a count, with the most devices there may be."""
        longest, cores = self._longest_in(project, accelerator, count), self.platform.sizes[size]
        if cores.session_time and cores.session_time < longest.time:
            return Longest(cores.session_time, _("for the size {title}").format(title=cores.title))
        return longest

    def longest_whole_session(self, accelerator: str, project: str, size: str, count: int) -> timedelta:
        """Return the longest session that began at any time: the ends of grants and reservations left aside."""
        limits = [limit.time for limit in self._session_limits(project, accelerator, count) if limit.fixed]
        cores = self.platform.sizes[size]
        return min([*limits, cores.session_time] if cores.session_time else limits)

    def session_max(
        self, accelerator: str, project: str | None = None, size: str | None = None, count: int | None = None
    ) -> timedelta:
        """Return the longest session with an accelerator; what is not given may be anything that is offered."""
        return self._longest(accelerator, project, size, count).time

    def session_default(
        self, accelerator: str, project: str | None = None, size: str | None = None, count: int | None = None
    ) -> timedelta:
        """Return the length of a session with an accelerator when nothing is said."""
        longest = _shown(self._longest(accelerator, project, size, count))
        return min(self.platform.limits.session_default, longest)

    def longest_offered(
        self, accelerator: str, project: str | None = None, size: str | None = None
    ) -> timedelta:
        """Return the longest session that a form offers; what is not given may be anything that is offered.

        Up to the end of a period it leaves some minutes, so that it can still be had when the form is sent.
        """
        return _shown(self._longest(accelerator, project, size, None))

    def longest_offered_in(self, project: str, accelerator: str) -> timedelta:
        """Return the longest session that a form offers, but for what its size says."""
        return _shown(self._longest_in(project, accelerator, None))

    def times_up_to(self, longest: timedelta) -> list[timedelta]:
        """Return the session lengths that a form offers up to the longest, the default among them, ascending."""
        default = min(self.platform.limits.session_default, longest)
        return sorted({time for time in TIMES if time < longest} | {longest, default})

    def session_times(
        self, accelerator: str, project: str | None = None, size: str | None = None
    ) -> list[timedelta]:
        """Return the session lengths that a form offers, the default and the longest among them, ascending."""
        return self.times_up_to(self.longest_offered(accelerator, project, size))

    def job_max(self, queue: str) -> timedelta:
        """Return the longest job of a queue."""
        return self.platform.queues[queue].max_time or self.platform.limits.job_max

    def job_default(self, queue: str) -> timedelta:
        """Return the time limit of a job in a queue when nothing is said."""
        return min(self.platform.limits.job_default, self.job_max(queue))

    def _longest(self, accelerator: str, project: str | None, size: str | None, count: int | None) -> Longest:
        """Return the longest session that is allowed whatever of the offered is chosen for what is not given."""
        if project is not None and size is not None:
            return self.longest_session(accelerator, project, size, count)
        projects = self.projects_of(accelerator) if project is None else (project,)
        found = [
            self.longest_session(accelerator, each, one, count)
            for each in projects
            for one in (self.sizes_of(each, accelerator) if size is None else (size,))
        ]
        whole = Longest(self.platform.limits.session_max, _("here"))
        return min(found, key=_TIME_OF, default=whole)

    def _longest_in(self, project: str, accelerator: str, count: int | None) -> Longest:
        key = (project, accelerator, count if accelerator in self._reserved else None)
        found = self._longests.get(key)
        if found is None:
            found = self._longests[key] = min(self._session_limits(*key), key=_TIME_OF)
        return found

    def _session_limits(self, project: str, accelerator: str, count: int | None) -> Iterator[Longest]:
        """Yield the limits of a session of any size."""
        platform = self.platform
        device = platform.accelerators.get(accelerator)
        for kept, name, give in (
            (self._devices_longest, accelerator, self._longest_of_device),
            (self._projects_longest, project, self._longest_of_project),
        ):
            if name not in kept:
                kept[name] = give(name)
            if longest := kept[name]:
                yield longest
        if end := self.access(project, accelerator).until:
            yield self._until(end, _("until your grant ends at {time}").format(time=show_moment(end)))
        if device and accelerator in self._reserved:
            most = self.most(accelerator, project) if count is None else count
            if held := next_reservation(platform, project, accelerator, most, self.now):
                scope = _("until the reservation for {reservation} begins at {time}")
                facts = {"reservation": held.title, "time": show_moment(held.begin)}
                yield self._until(held.begin, scope.format_map(facts))

    def _longest_of_device(self, accelerator: str) -> Longest:
        """Return the longest session with an accelerator, in whatever project."""
        device = self.platform.accelerators.get(accelerator)
        if device and device.session_time and device.session_time < self.platform.limits.session_max:
            return Longest(device.session_time, _("with {title}").format(title=device.title))
        return Longest(self.platform.limits.session_max, _("here"))

    def _longest_of_project(self, project: str) -> Longest | None:
        whole = self.platform.projects[project]
        if whole.session_time is None:
            return None
        return Longest(whole.session_time, _("in the project {title}").format(title=whole.title))

    def _until(self, moment: datetime, scope: str) -> Longest:
        """Return the whole minutes up to a moment, at least one."""
        return Longest(max(MARGIN, (moment - self.now) // MARGIN * MARGIN), scope, fixed=False)

    @cached_property
    def _devices_longest(self) -> dict[str, Longest | None]:
        return {}

    @cached_property
    def _projects_longest(self) -> dict[str, Longest | None]:
        return {}

    @cached_property
    def _longests(self) -> dict[tuple[str, str, int | None], Longest]:
        return {}


def offer(
    platform: Platform,
    person: Person,
    *,
    now: datetime | None = None,
    usage: QuotaUse | None = None,
    door: Door = Door.SESSION,
) -> Offer:
    """Return what a person may choose.

    Parameters
    ----------
    now
        Without a zone it is UTC; default: the current time.
    usage, door
        See `Offer`.
    """
    moment = now or datetime.now(UTC)
    return Offer(platform, person, moment if moment.tzinfo else moment.replace(tzinfo=UTC), usage, door)


def _shown(longest: Longest) -> timedelta:
    """Return what a form offers of a longest session: of one that ends with a period, what will do for some minutes yet."""
    if longest.fixed or longest.time < _STEP + _SLACK:
        return longest.time
    return (longest.time - _SLACK) // _STEP * _STEP
