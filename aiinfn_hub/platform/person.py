"""Who is asking: a name, IAM groups, and whether the person operates the platform."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .groups import normalised
from .model.platform import Platform
from .model.projects import Project


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who signed in.

    Attributes
    ----------
    name
        JupyterHub user name.
    groups
        IAM group paths without a leading slash, whole: ``a/x`` and ``b/x`` are two groups.
    admin
        Operators see all jobs. It gives no accelerator: for that they need a project like everybody else.
    """

    name: str
    groups: frozenset[str]
    admin: bool = False

    @classmethod
    def of(cls, name: str, groups: Iterable[str], *, admin: bool = False) -> Person:
        """Make a person from groups as a claim or the hub has them; they are normalised as sign-in does it."""
        return cls(name, frozenset(path for group in groups if (path := normalised(group))), admin)

    def projects(self, platform: Platform) -> dict[str, Project]:
        """Return the projects this person belongs to, as member or manager, in the order of the platform file."""
        return {
            name: project
            for name, project in platform.projects.items()
            if self.groups.intersection(project.groups) or self.groups.intersection(project.managers)
        }

    def managed_projects(self, platform: Platform) -> frozenset[str]:
        """Return the names of the projects whose jobs this person may see and stop."""
        return frozenset(
            name for name, project in platform.projects.items() if self.groups.intersection(project.managers)
        )
