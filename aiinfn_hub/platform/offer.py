"""What one person may choose: drawn by the form, granted by the gate."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Final

from .model import CPU_ONLY, Accelerator, Image, Platform, Project, Queue, Size
from .person import Person

_TIMES: Final = tuple(timedelta(hours=hours) for hours in (1, 2, 4, 8, 12, 24, 48, 96))


@dataclass(frozen=True)
class Offer:
    """What one person may choose on one platform, in the order of the platform file.

    An accelerator name may be `CPU_ONLY` wherever a method takes one.
    """

    platform: Platform
    person: Person

    @cached_property
    def projects(self) -> dict[str, Project]:
        """The person's projects."""
        return self.person.projects(self.platform)

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
        """Images that at least one of the projects may use, with any accelerator or none."""
        return {
            name: value
            for name, value in self.platform.images.items()
            if any(project.images is None or name in project.images for project in self.projects.values())
        }

    @cached_property
    def queues(self) -> dict[str, Queue]:
        """Queues that at least one of the projects may use."""
        return {
            name: queue
            for name, queue in self.platform.queues.items()
            if queue.projects is None or not self.projects.keys().isdisjoint(queue.projects)
        }

    def projects_of(self, accelerator: str) -> dict[str, Project]:
        """Give the person's projects that may use an accelerator."""
        return {
            name: project
            for name, project in self.projects.items()
            if accelerator == CPU_ONLY or project.accelerators is None or accelerator in project.accelerators
        }

    def accelerators_of(self, project: str) -> dict[str, Accelerator]:
        """Give the accelerators that a project may use."""
        return {name: value for name, value in self.accelerators.items() if project in self.projects_of(name)}

    def sizes_of(self, project: str) -> dict[str, Size]:
        """Give the sizes that a project may use."""
        allowed = self.platform.projects[project].sizes
        return {
            name: value for name, value in self.platform.sizes.items() if allowed is None or name in allowed
        }

    def images_of(self, project: str, accelerator: str) -> dict[str, Image]:
        """Give the images that a project may use and that are built for an accelerator."""
        allowed = self.platform.projects[project].images
        return {
            name: image
            for name, image in self.platform.images.items()
            if (allowed is None or name in allowed)
            and (image.accelerators is None or accelerator in image.accelerators)
        }

    def queues_of(self, project: str, accelerator: str) -> dict[str, Queue]:
        """Give the queues that are open to a project and serve an accelerator."""
        return {
            name: queue
            for name, queue in self.platform.queues.items()
            if (queue.projects is None or project in queue.projects)
            and (queue.accelerators is None or accelerator in queue.accelerators)
        }

    def session_max(self, accelerator: str) -> timedelta:
        """Give the longest session with an accelerator."""
        device = self.platform.accelerators.get(accelerator)
        return (device.session_time if device else None) or self.platform.limits.session_max

    def session_default(self, accelerator: str) -> timedelta:
        """Give the length of a session with an accelerator when nothing is said."""
        return min(self.platform.limits.session_default, self.session_max(accelerator))

    def session_times(self, accelerator: str) -> list[timedelta]:
        """Give the session lengths that a form offers, the default and the longest among them, ascending."""
        longest = self.session_max(accelerator)
        return sorted(
            {time for time in _TIMES if time < longest} | {longest, self.session_default(accelerator)}
        )

    def job_max(self, queue: str) -> timedelta:
        """Give the longest job of a queue."""
        return self.platform.queues[queue].max_time or self.platform.limits.job_max

    def job_default(self, queue: str) -> timedelta:
        """Give the time limit of a job in a queue when nothing is said."""
        return min(self.platform.limits.job_default, self.job_max(queue))


def offer(platform: Platform, person: Person) -> Offer:
    """Say what a person may choose."""
    return Offer(platform, person)
