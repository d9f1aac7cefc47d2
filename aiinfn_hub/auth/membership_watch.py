"""Access that was withdrawn in IAM ends, also for somebody who only has a session or a job.

JupyterHub asks the authenticator again when a person, or a session, asks it for something. A session in which nothing
happens does not ask, and neither does a job. So the hub looks by itself after people with sessions or unfinished jobs whom nobody
asked about for ``auth_refresh_age``. Who lost the access, or one project, has the sessions concerned warned of their end and the
waiting jobs held; after a grace the sessions end and the running jobs are stopped, unless IAM says otherwise by then.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, Final, Protocol

from jupyterhub import orm
from jupyterhub.user import User

from aiinfn_hub.contract.access import AccessReading, Hold, HoldReason
from aiinfn_hub.contract.problem import Refusal
from aiinfn_hub.i18n.language import Sentence, Text, marked
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.person import Person
from aiinfn_hub.vkd.client import VkdUnavailableError

_SETTLING: Final = 1.0
"""Seconds between two looks at whether a session that starts or stops has done so."""
_AGAIN: Final = 10.0
"""Seconds until what vkd did not take is sent again, and until IAM is asked again that did not answer."""
_EVERYTHING: Final = ""
"""Stands for all projects."""

_ENDED: Final = {
    HoldReason.WITHDRAWN: marked("Your access to the platform was withdrawn in IAM."),
    HoldReason.UNCONFIRMED: marked(
        "IAM did not confirm your sign-in any more, and you did not sign in again."
    ),
    HoldReason.PROJECT: marked("You do not belong to its project any more."),
}
_WARNING: Final = {
    HoldReason.WITHDRAWN: marked("Your access was withdrawn in IAM."),
    HoldReason.UNCONFIRMED: marked("Sign in to the hub again to keep it."),
    HoldReason.PROJECT: marked("You left its project."),
}
_LOGGED: Final = {
    HoldReason.WITHDRAWN: "has no access any more",
    HoldReason.UNCONFIRMED: "is not confirmed by IAM any more (invalid_grant)",
    HoldReason.PROJECT: "does not belong to the project any more",
}


class MembershipVerdict(Enum):
    """What IAM's answer means for somebody, if it is no new auth model."""

    HOLDS = "IAM does not answer; what it said last counts"
    SIGN_IN = "there are no tokens to ask with, so nothing is known"
    REVOKED = "IAM does not take the tokens any more: suspended, deleted, revoked, or too old"
    LOST = "no group gives access any more"


Look = Callable[[User], Awaitable[dict[str, Any] | MembershipVerdict]]
"""Asks IAM about somebody: a new auth model, or what else it means."""


class JobAccess(Protocol):
    """What vkd does about jobs; see `aiinfn_hub.vkd.client.VkdClient`."""

    async def access(self) -> AccessReading:
        """Return who has unfinished jobs, and which are held."""

    async def hold(self, holds: Iterable[Hold]) -> AccessReading:
        """Replace what is held."""


@dataclass(slots=True)
class _Loss:
    """Access that somebody lost.

    Attributes
    ----------
    ended
        The grace is over: sessions were ended, running jobs are to be stopped.
    """

    reason: HoldReason
    ends: datetime
    ended: bool = False
    task: asyncio.Task[None] | None = None


class MembershipWatch:
    """Looks after the people with sessions or jobs.

    Parameters
    ----------
    app
        JupyterHub itself, with its users and its proxy.
    look
        How to ask.
    newest
        Returns the state to save instead of one that was made a moment ago, by user name.
    age
        Returns how old an answer may be, in seconds; 0 never looks.
    grace
        Returns how long the sessions and jobs of somebody who lost the access go on, in seconds.
    platform
        Returns the platform in force; without one only the loss of all access counts.
    jobs
        Gives whom to tell about jobs; None if there are none.
    tidy
        Done after each round.
    """

    def __init__(
        self,
        app: Any,
        look: Look,
        log: logging.Logger,
        *,
        newest: Callable[[str, dict[str, Any]], dict[str, Any] | None],
        age: Callable[[], float],
        grace: Callable[[], float],
        platform: Callable[[], Platform] | None = None,
        jobs: Callable[[], JobAccess] | None = None,
        tidy: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._app, self._look, self._log = app, look, log
        self._newest, self._age, self._grace = newest, age, grace
        self._platform, self._vkd, self._tidy = platform, jobs, tidy
        self._losses: dict[str, dict[str, _Loss]] = {}
        self._jobs: Mapping[str, list[str]] = {}
        self._known = jobs is None
        """Whether it is known what vkd holds: before that nothing is sent to it."""
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to look."""
        if self._age() > 0:
            loop = asyncio.get_running_loop()
            self._tasks = [loop.create_task(self._keep_looking()), loop.create_task(self._keep_telling())]

    async def needed(self, user: User) -> bool:
        """Return whether IAM has to be asked about somebody: a session or a job is not over, or that is not known."""
        if user.active:
            return True
        fresh = await self._read_jobs()
        return user.active or not fresh or user.name in self._jobs

    # What IAM's answers mean

    def judged(self, user: User, found: dict[str, Any] | MembershipVerdict) -> None:
        """Take an answer about somebody in: sessions and jobs that it concerns end, unless the next one says otherwise."""
        lost = self._lost_by(user, found)
        if lost is not None:
            self._settle(user.name, lost)

    def _lost_by(self, user: User, found: dict[str, Any] | MembershipVerdict) -> dict[str, HoldReason] | None:
        """Return what is lost, by project; None if the answer does not tell."""
        if found is MembershipVerdict.LOST:
            return {_EVERYTHING: HoldReason.WITHDRAWN}
        if found is MembershipVerdict.REVOKED:
            return {_EVERYTHING: HoldReason.UNCONFIRMED}
        if isinstance(found, MembershipVerdict):
            return None
        if self._platform is None:
            return {}
        platform = self._platform()
        person = Person.of(user.name, found["groups"] or (), admin=bool(found["admin"]))
        mine = person.projects(platform)
        # A project that left the platform file was not lost by the person.
        return {
            project: HoldReason.PROJECT
            for project in self._projects_of(user.name, user)
            if project in platform.projects and project not in mine
        }

    def _projects_of(self, name: str, user: User | None) -> set[str]:
        sessions = {
            granted.project
            for spawner in (user.spawners.values() if user else ())
            if spawner.active and (granted := getattr(spawner, "selection", None)) is not None
        }
        return sessions | set(self._jobs.get(name, ()))

    def _settle(self, name: str, lost: Mapping[str, HoldReason]) -> None:
        losses = self._losses.setdefault(name, {})
        user = self._user(name)
        concerned = bool(user and user.active) or name in self._jobs
        if not concerned:
            lost = {}  # Nothing of this person can end.
        before = {project: (loss.reason, loss.ended) for project, loss in losses.items()}
        for project in [project for project in losses if project not in lost]:
            loss = losses.pop(project)
            if loss.task is not None:
                loss.task.cancel()
            if concerned:
                self._log.info("The sessions of %s go on%s", name, _of(project))
        for project, reason in lost.items():
            if project in losses:
                losses[project].reason = reason
                continue
            self._begin(name, project, reason, losses)
        if not losses:
            del self._losses[name]
        self._warn(user, losses)
        if before != {project: (loss.reason, loss.ended) for project, loss in losses.items()}:
            self._news.set()

    def _begin(self, name: str, project: str, reason: HoldReason, losses: dict[str, _Loss]) -> None:
        grace = self._grace()
        self._log.warning(
            "%s %s%s; the sessions end in %.0f s if that stays so", name, _LOGGED[reason], _of(project), grace
        )
        loss = _Loss(reason, datetime.now(UTC) + timedelta(seconds=grace))
        loss.task = asyncio.get_running_loop().create_task(self._end_later(name, project, loss, grace))
        losses[project] = loss

    def _warn(self, user: User | None, losses: Mapping[str, _Loss]) -> None:
        """Have the sessions concerned show when they end, and why."""
        for spawner in user.spawners.values() if user else ():
            granted = getattr(spawner, "selection", None)
            loss = losses.get(_EVERYTHING) or (losses.get(granted.project) if granted else None)
            if hasattr(spawner, "withdrawn"):
                spawner.withdrawn = (loss.ends, Sentence(_WARNING[loss.reason])) if loss else None

    # Ending

    async def _end_later(self, name: str, project: str, loss: _Loss, grace: float) -> None:
        await asyncio.sleep(grace)
        loss.task = None
        while self._losses.get(name, {}).get(project) is loss:
            user = self._user(name)
            try:
                found = await self._look(user) if user else MembershipVerdict.LOST
            except Exception:
                self._log.exception("Whether %s still has access could not be found out", name)
                found = MembershipVerdict.HOLDS
            if found is not MembershipVerdict.HOLDS and found is not MembershipVerdict.SIGN_IN:
                break
            # Nobody loses work to an outage of IAM, and nobody keeps what was withdrawn because of one.
            await asyncio.sleep(_AGAIN)
        if user is not None:
            self.judged(user, found)
        if self._losses.get(name, {}).get(project) is not loss:
            return
        loss.ended = True
        self._news.set()
        for server in list(user.spawners) if user else ():
            try:
                await self._stop(user, server, project, Sentence(_ENDED[loss.reason]))
            except Exception:
                self._log.exception("The session %s/%s could not be ended", name, server)

    async def _stop(self, user: User, name: str, project: str, why: Text) -> None:
        spawner = user.spawners[name]
        while spawner.pending:  # noqa: ASYNC110 - JupyterHub tells nobody
            await asyncio.sleep(_SETTLING)
        granted = getattr(spawner, "selection", None)
        if not spawner.active or (project and (granted is None or granted.project != project)):
            return
        if remember := getattr(spawner, "remember_ending", None):
            remember(why)
        await self._app.proxy.delete_user(user, name)
        await user.stop(name)

    # Looking

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(self._age())
            try:
                await self._read_jobs()
                await self._look_at_all()
                if self._tidy is not None:
                    await self._tidy()
            except Exception:
                self._log.exception("The access of people with sessions and jobs could not be checked")

    async def _look_at_all(self) -> None:
        names = {user.name for user in self._app.users.values() if user.active}
        for name in sorted(names | self._jobs.keys() | self._losses.keys()):
            user = self._user(name)
            if user is None:
                self._settle(name, {_EVERYTHING: HoldReason.WITHDRAWN})
                continue
            if not user.active and name not in self._jobs:
                self._settle(name, {})
                continue
            asked = user._auth_refreshed  # noqa: SLF001 - JupyterHub's own note of when it asked last
            if asked and time.monotonic() - asked < self._age() and name not in self._losses:
                continue
            found = await self._look(user)
            self.judged(user, found)
            if isinstance(found, dict):
                # JupyterHub's note stays as it is: what else changes with a sign-in is left to the next request.
                user.sync_groups(found["groups"])
                await user.save_auth_state(self._newest(user.name, found["auth_state"]))

    def _user(self, name: str) -> User | None:
        found = orm.User.find(self._app.db, name)
        return self._app.users[found] if found is not None else None

    # vkd

    async def _read_jobs(self) -> bool:
        """Ask vkd who has jobs; False if it does not answer."""
        if self._vkd is None:
            return True
        try:
            reading = await self._vkd().access()
        except (VkdUnavailableError, Refusal) as problem:
            self._log.debug("vkd does not say who has jobs: %s", problem)
            return False
        self._jobs = reading.jobs
        if self._known:
            return True
        # What an earlier hub held stays so until IAM has been asked.
        for hold in reading.holds:
            losses = self._losses.setdefault(hold.owner, {})
            # A newer hub may have known more reasons. Held they stay; IAM will say why.
            reason = hold.reason if isinstance(hold.reason, HoldReason) else HoldReason.WITHDRAWN
            if hold.stop:
                losses[hold.project] = _Loss(reason, datetime.now(UTC), ended=True)
            else:
                self._begin(hold.owner, hold.project, reason, losses)
        self._known = True
        return True

    async def _keep_telling(self) -> None:
        told: list[Hold] | None = None
        while True:
            await self._news.wait()
            self._news.clear()
            if self._vkd is None:
                continue
            if self._known:
                holds = [
                    Hold(owner=name, project=project, reason=loss.reason, stop=loss.ended)
                    for name, losses in sorted(self._losses.items())
                    for project, loss in sorted(losses.items())
                ]
                if holds == told:
                    continue
                try:
                    await self._vkd().hold(holds)
                except (VkdUnavailableError, Refusal) as problem:
                    self._log.warning("vkd could not be told whose jobs are held: %s", problem)
                else:
                    told = holds
                    continue
            await asyncio.sleep(_AGAIN if self._known else _SETTLING)
            self._news.set()


def _of(project: str) -> str:
    return f" (project {project})" if project else ""
