"""What stands in the way of a choice: one method for each kind of thing, and the number of devices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from operator import attrgetter
from typing import Final, NamedTuple

from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.platform.model.fields import CPU_ONLY
from aiinfn_hub.platform.model.images import Image
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.person import Person
from aiinfn_hub.platform.selection import Door

from .denials import Denial, Rule, named
from .limits import Bound, QuotaUse, bounds
from .membership import Membership, not_in_groups

_MOST_OF: Final = attrgetter("most")


class AccessWindow(NamedTuple):
    """Why a project may not use an accelerator, else until when (None: no end) and how many devices at once."""

    denial: Denial | None
    until: datetime | None
    most: int


@dataclass(frozen=True)
class AccessPolicy:
    """What stands in one person's way on one platform at one time.

    Every ``why_not`` method answers with the rule that stands in the way, or None. An accelerator name may be `CPU_ONLY`
    wherever a method takes one.

    Attributes
    ----------
    now
        Reservations, grants and their ends are judged at this time.
    usage
        What sessions hold. If it is None, limits on what is held at once are only compared with a single request, and
        reservations as if no other session ran.
    door
        Sessions and jobs differ in how many devices they may have, and jobs may use idle devices that are reserved.
    """

    platform: Platform
    person: Person
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    usage: QuotaUse | None = None
    door: Door = Door.SESSION

    def why_not_project(self, project: str) -> Denial | None:
        """Explain why a project is not the person's."""
        return self._rights.project(project)

    def why_not_accelerator(self, project: str, accelerator: str) -> Denial | None:
        """Explain why a project of the person may not use an accelerator now, not even one device."""
        return self.access(project, accelerator).denial

    def why_not_size(self, project: str, accelerator: str | None, size: str) -> Denial | None:
        """Explain why a size is not for a project, or does not go with an accelerator if one is given."""
        allowed, value = self.platform.projects[project].sizes, self.platform.sizes[size]
        if allowed is not None and size not in allowed:
            return Denial(Rule.PROJECT_SIZE, {"name": size, "project": self._project_title(project)})
        if denial := not_in_groups(
            self.person, _("The size {title}").format(title=value.title), value.groups, "size"
        ):
            return denial
        device = self.platform.accelerators.get(accelerator or CPU_ONLY)
        if device and device.sizes is not None and size not in device.sizes:
            return Denial(Rule.SIZE_PAIR, {"title": value.title, "accelerator": device.title})
        return None

    def why_not_image(self, project: str, accelerator: str | None, image: str) -> Denial | None:
        """Explain why an image is not for a project, or is not made for an accelerator if one is given."""
        allowed, value = self.platform.projects[project].images, self.platform.images[image]
        if allowed is not None and image not in allowed:
            return Denial(Rule.PROJECT_IMAGE, {"name": image, "project": self._project_title(project)})
        if denial := not_in_groups(
            self.person, _("The image {title}").format(title=value.title), value.groups, "image"
        ):
            return denial
        if accelerator and value.accelerators is not None and accelerator not in value.accelerators:
            return Denial(Rule.IMAGE_PAIR, {"title": value.title, "accelerator": self._titles([accelerator])})
        return None

    def why_not_queue(self, project: str, accelerator: str | None, queue: str) -> Denial | None:
        """Explain why a queue is not open to a project, or does not serve an accelerator if one is given."""
        value = self.platform.queues[queue]
        if value.projects is not None and project not in value.projects:
            return Denial(Rule.QUEUE_PROJECT, {"title": value.title, "project": self._project_title(project)})
        if denial := not_in_groups(
            self.person, _("The queue {title}").format(title=value.title), value.groups, "queue"
        ):
            return denial
        if accelerator and value.accelerators is not None and accelerator not in value.accelerators:
            return Denial(Rule.QUEUE_PAIR, {"title": value.title, "accelerator": self._titles([accelerator])})
        return None

    def why_not_storage(self, project: str, storage: str) -> Denial | None:
        """Explain why sessions of a project do not see a storage."""
        value = self.platform.storage[storage]
        if value.projects is not None and project not in value.projects:
            return Denial(
                Rule.STORAGE_PROJECT, {"title": value.title, "project": self._project_title(project)}
            )
        return not_in_groups(
            self.person, _("The storage {title}").format(title=value.title), value.groups, "storage"
        )

    def bounds(self, project: str, accelerator: str) -> list[Bound]:
        """Return the bounds on the devices of one request, the smallest first."""
        return sorted(self._bounds(project, accelerator), key=_MOST_OF)

    def _bounds(self, project: str, accelerator: str) -> Iterator[Bound]:
        reserved = accelerator in self._reserved
        return bounds(self.platform, project, accelerator, self.door, self.now, self.usage, reserved=reserved)

    # Kept, because a form asks the same many times

    @cached_property
    def _reserved(self) -> frozenset[str]:
        return frozenset(each.accelerator for each in self.platform.reservations.values())

    @cached_property
    def _rights(self) -> Membership:
        return Membership(self.platform, self.person, self.now)

    @cached_property
    def _accesses(self) -> dict[tuple[str, str], AccessWindow]:
        return {}

    def access(self, project: str, accelerator: str) -> AccessWindow:
        """Judge a project's use of an accelerator by one request."""
        key = (project, accelerator)
        if key not in self._accesses:
            denial, until = self._rights.accelerator(project, accelerator)
            most = 0
            if denial is None and accelerator != CPU_ONLY:
                smallest = min(
                    self._bounds(project, accelerator),
                    key=_MOST_OF,
                )
                most = smallest.most
                denial = smallest.denial(1) if most < 1 else None
            self._accesses[key] = AccessWindow(denial, until, most)
        return self._accesses[key]

    @cached_property
    def _project_images(self) -> dict[tuple[str, ...] | None, dict[str, Image]]:
        return {}

    def _images_for(self, project: str) -> dict[str, Image]:
        allowed = self.platform.projects[project].images
        if allowed not in self._project_images:
            self._project_images[allowed] = {
                name: image
                for name, image in self.platform.images.items()
                if self.why_not_image(project, None, name) is None
            }
        return self._project_images[allowed]

    def _titles(self, accelerators: Iterable[str]) -> str:
        devices = self.platform.accelerators
        return named(
            [
                devices[name].title if name in devices else _("work without an accelerator")
                for name in accelerators
            ]
        )

    def _project_title(self, project: str) -> str:
        return self.platform.projects[project].title
