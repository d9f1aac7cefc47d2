"""What the platform file says about signing in, as the authenticator needs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from aiinfn_hub.platform.model.platform import Platform

PROJECT_SESSIONS: Final = "custom:aiinfn:project-sessions"
"""Scope: see and stop the sessions that people have in the projects which one manages."""
MANAGERS_OF: Final = "managers-of-"
"""What the names of the managers' roles begin with."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Who may sign in, and what sessions get from IAM.

    Attributes
    ----------
    title
        The platform's name on the pages.
    allowed
        Groups of which one is needed, since each belongs to a project or to the operators.
    admins
        Groups of the operators.
    required
        Groups of which everybody needs one besides; empty needs none.
    support
        Whom people can ask; may be empty.
    clock_skew
        Seconds that the clocks of IAM and hub may differ.
    withdrawn_grace
        Seconds that the sessions of somebody who lost the access go on.
    token_scopes
        Scopes of IAM tokens that sessions may ask for.
    manager_roles
        The roles of the projects' managers, as ``JupyterHub.load_roles`` takes them.
    """

    title: str
    allowed: frozenset[str]
    admins: frozenset[str]
    required: frozenset[str] = frozenset()
    support: str = ""
    clock_skew: float = 60.0
    withdrawn_grace: float = 900.0
    token_scopes: frozenset[str] = frozenset()
    manager_roles: tuple[dict[str, Any], ...] = ()

    @classmethod
    def of(cls, platform: Platform) -> Rules:
        """Take them from a platform."""
        projects = platform.projects.values()
        return cls(
            title=platform.title,
            admins=frozenset(platform.admin_groups),
            allowed=frozenset(platform.admin_groups).union(
                *(project.groups + project.managers for project in projects)
            ),
            required=frozenset(platform.iam.required_groups),
            support=platform.support,
            clock_skew=platform.iam.clock_skew.total_seconds(),
            withdrawn_grace=platform.iam.withdrawn_grace.total_seconds(),
            token_scopes=frozenset(platform.iam.session_token_scopes),
            manager_roles=manager_roles(platform),
        )


def manager_roles(platform: Platform) -> tuple[dict[str, Any], ...]:
    """Return a role for each project that has managers; the groups of these hold it."""
    return tuple(
        {
            "name": f"{MANAGERS_OF}{name}",
            "description": f"See and stop the sessions of the project {project.title}",
            "scopes": [
                f"{PROJECT_SESSIONS}!group={group}"
                for group in dict.fromkeys((*project.groups, *project.managers))
            ],
            "groups": list(project.managers),
        }
        for name, project in platform.projects.items()
        if project.managers
    )
