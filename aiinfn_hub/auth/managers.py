"""Managers of a project see the sessions of its people, and can stop them: hub roles out of the platform file.

A role for each project is given to the groups of its managers. Its one scope is our own, limited to the people of the
project's groups; JupyterHub's own scopes (``read:servers``, ``delete:servers``) would open the sessions that the same people
have in other projects. It gives no access to a session, no token, and no start.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from jupyterhub import orm, roles, scopes
from jupyterhub.apihandlers.base import APIHandler
from jupyterhub.handlers import BaseHandler
from jupyterhub.user import User
from jupyterhub.utils import isoformat
from tornado.web import HTTPError, authenticated

from aiinfn_hub.i18n.language import Sentence
from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.person import Person

from .rules import MANAGERS_OF, PROJECT_SESSIONS

LIST_PATH: Final = "/api/aiinfn/project-sessions"
ONE_PATH: Final = r"/api/aiinfn/project-sessions/([^/]+)/([^/]*)"
PAGE_PATH: Final = "/project-sessions"


def sync_manager_roles(db: Any, specs: Sequence[dict[str, Any]], log: logging.Logger) -> None:
    """Bring the hub's roles in line with a platform file that has changed since the hub was started.

    Parameters
    ----------
    specs
        The roles, as `Rules.manager_roles` has them.
    """
    wanted = {spec["name"]: spec for spec in specs}
    for role in db.query(orm.Role).filter(orm.Role.name.startswith(MANAGERS_OF)):
        if role.name not in wanted:
            log.info("The role %s is gone", role.name)
            db.delete(role)
    for name, spec in wanted.items():
        role = roles.create_role(db, spec, commit=False)
        groups = [orm.Group.find(db, path) or orm.Group(name=path) for path in spec["groups"]]
        if {group.name for group in role.groups} != {group.name for group in groups}:
            log.info("The role %s is held by the groups %s", name, ", ".join(spec["groups"]))
            role.groups = groups
    db.commit()


class _Sessions:
    """What the manager who asks may see; goes before a handler of JupyterHub."""

    current_user: Any
    parsed_scopes: Any
    users: Any
    db: Any

    def initialize(self, platform: Callable[[], Platform]) -> None:
        """Take what gives the platform in force."""
        self._platform = platform

    def operates(self) -> bool:
        """Return whether who asks may stop every session anyway."""
        return bool(self.parsed_scopes.get("delete:servers") is scopes.Scope.ALL)

    def managed(self) -> frozenset[str]:
        """Return the names of the projects that are managed by who asks."""
        user = self.current_user
        if self.operates():
            return frozenset(self._platform().projects)
        if not isinstance(user, User) or PROJECT_SESSIONS not in self.parsed_scopes:
            return frozenset()
        person = Person.of(user.name, (group.name for group in user.groups))
        return person.managed_projects(self._platform())

    def visible(self) -> Iterator[tuple[User, Any]]:
        """Yield the sessions that run, start or stop, each with its owner."""
        managed = self.managed()
        if not managed:
            return
        running = self.db.query(orm.Spawner).filter(orm.Spawner.server != None)  # noqa: E711 - it is SQL
        for found in running.join(orm.User).order_by(orm.User.name, orm.Spawner.name):
            owner = self.users[found.user]
            spawner = owner.spawners.get(found.name)
            if self._sees(managed, owner, spawner):
                yield owner, spawner

    def _sees(self, managed: frozenset[str], owner: User, spawner: Any) -> bool:
        granted = getattr(spawner, "selection", None) if spawner is not None and spawner.active else None
        return (
            granted is not None
            and granted.project in managed
            # The scope besides: a token may have less than its owner, and membership may have ended.
            and (
                self.operates()
                or scopes.has_scope(f"{PROJECT_SESSIONS}!user={owner.name}", self.parsed_scopes, db=self.db)
            )
        )

    def one(self, user_name: str, server_name: str) -> tuple[User, Any]:
        """Return a session.

        Raises
        ------
        HTTPError
            If there is none that may be seen.
        """
        managed = self.managed()
        found = orm.User.find(self.db, user_name) if managed else None
        if found is not None:
            owner = self.users[found]
            spawner = owner.spawners.get(server_name)
            if self._sees(managed, owner, spawner):
                return owner, spawner
        raise HTTPError(404, _("There is no such session in a project that you manage."))

    def model(self, owner: User, spawner: Any) -> dict[str, Any]:
        """Describe a session."""
        granted = spawner.selection
        project = self._platform().projects.get(granted.project)
        ends = getattr(spawner, "session_end", None)
        started = spawner.orm_spawner.started
        return {
            "user": owner.name,
            "server": spawner.name,
            "project": granted.project,
            "project_title": project.title if project else granted.project,
            "accelerator": granted.accelerator_name,
            "accelerator_title": granted.accelerator.title if granted.accelerator else "",
            "count": granted.count,
            "size_title": granted.size.title,
            "state": "stopping"
            if spawner.pending == "stop"
            else "starting"
            if spawner.pending
            else "running",
            "started": isoformat(started) if started else None,
            "ends": ends.isoformat().replace("+00:00", "Z") if ends else None,
        }


class ProjectSessionsHandler(_Sessions, APIHandler):
    """``GET /hub/api/aiinfn/project-sessions``: the sessions of the projects that one manages."""

    async def get(self) -> None:
        """Answer with a list; empty if nothing runs."""
        if not self.managed():
            raise HTTPError(403, _("You manage no project."))
        self.write({"sessions": [self.model(*each) for each in self.visible()]})


class ProjectSessionHandler(_Sessions, APIHandler):
    """``DELETE /hub/api/aiinfn/project-sessions/USER/SERVER``: stop one of them."""

    async def delete(self, user_name: str, server_name: str) -> None:
        """Stop it; 202 if that takes longer than the answer."""
        owner, spawner = self.one(user_name, server_name)
        if spawner.pending == "stop":
            self.set_status(202)
            return
        if spawner.pending or not spawner.ready:
            raise HTTPError(409, _("It is just starting. Try again when it runs."))
        manager = self.current_user.name
        title = self.model(owner, spawner)["project_title"]
        self.log.info("%s stops the session %s/%s of the project %s", manager, owner.name, server_name, title)
        if remember := getattr(spawner, "remember_ending", None):
            remember(
                Sentence("{manager}, who manages {project}, stopped it.", manager=manager, project=title)
            )
        await self.stop_single_user(owner, server_name)
        self.set_status(202 if spawner.pending else 204)


class ProjectSessionsPage(_Sessions, BaseHandler):
    """``/hub/project-sessions``: the same as a page."""

    @authenticated
    async def get(self) -> None:
        """Show them."""
        if not self.managed():
            raise HTTPError(403, _("You manage no project."))
        titles = [self._platform().projects[name].title for name in sorted(self.managed())]
        sessions = [self.model(*each) for each in self.visible()]
        self.finish(
            await self.render_template(
                "project_sessions.html", user=self.current_user, projects=titles, sessions=sessions
            )
        )
