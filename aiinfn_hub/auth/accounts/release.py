"""Giving a user name free: ``POST /hub/api/aiinfn/accounts/NAME/release``, which ``aiinfn-hub accounts release`` calls.

What was the person's must not become the next one's of that name: the hub's user goes, and with it every token, cookie and OAuth
session; jobs stay as history under a name that nobody can have; the home is put away; and only then the name is free.
Each step can be done again, so that a hub that is killed in between leaves nothing that a second call does not finish.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

from jupyterhub.apihandlers.base import APIHandler
from jupyterhub.user import User
from jupyterhub.utils import maybe_future
from tornado.web import HTTPError

from aiinfn_hub.auth.problems import SignInError
from aiinfn_hub.contract.problem import Refusal
from aiinfn_hub.host.accounts import AccountError, Accounts
from aiinfn_hub.spawner.session import forget_endings
from aiinfn_hub.vkd.client import VkdClient, VkdUnavailableError

SCOPE: Final = "custom:aiinfn:accounts"
"""Give names free. Only the token of the hub's own command has it."""
CUSTOM_SCOPES: Final = {SCOPE: {"description": "Give user names of the hub free."}}
"""For ``JupyterHub.custom_scopes``."""
SERVICE: Final = "aiinfn-accounts"
"""The service whose token that is."""
PATH: Final = r"/api/aiinfn/accounts/([^/]+)/release"
MARK: Final = "/released-"
"""Between a name and the time of its release; no user name of the hub holds a slash."""


@dataclass(frozen=True, slots=True)
class Release:
    """What a release did, or would do.

    Attributes
    ----------
    known
        Whether the hub has a user of that name.
    jobs
        Jobs that are kept under `released_as`.
    home
        Where the home is put, or "" if there is none on this machine.
    """

    name: str
    dry_run: bool
    known: bool
    released_as: str
    jobs: int
    home: str


class ReleaseHandler(APIHandler):
    """Give a user name free."""

    # No page needs it, so no browser's cookie opens it.
    _accept_cookie_auth = False

    def initialize(self, vkd: VkdClient, homes: Accounts | None) -> None:
        """Take what the handler works on; without ``homes`` sessions are pods, whose volumes the hub cannot reach."""
        self._vkd, self._homes = vkd, homes

    async def post(self, name: str) -> None:
        """Release it; the body may say ``{"dry_run": true, "home_moved": true}``."""
        if SCOPE not in self.parsed_scopes:
            raise HTTPError(403, "Only the command `aiinfn-hub accounts` may do this.")
        body = self.get_json_body() or {}
        if not isinstance(body, dict) or set(body) - {"dry_run", "home_moved"}:
            raise HTTPError(400, "The body is a JSON object with dry_run and home_moved.")
        dry_run, home_moved = body.get("dry_run") is True, body.get("home_moved") is True
        bindings = self.authenticator.accounts
        if name in bindings.releasing:
            raise HTTPError(409, f"{name} is being released just now.")
        bindings.releasing.add(name)
        try:
            done = await self._release(name, dry_run=dry_run, home_moved=home_moved)
        except Refusal as refusal:
            raise HTTPError(refusal.status, str(refusal)) from None
        except VkdUnavailableError as error:
            raise HTTPError(
                503, f"{str(error).capitalize()}. What is left to do is done by the same call again."
            ) from None
        except SignInError as problem:
            raise HTTPError(problem.status_code, problem.jupyterhub_message) from None
        except AccountError as error:
            raise HTTPError(409, str(error)) from None
        finally:
            bindings.releasing.discard(name)
        self.write(asdict(done))

    async def _release(self, name: str, *, dry_run: bool, home_moved: bool) -> Release:
        bindings = self.authenticator.accounts
        user = self.find_user(name)
        home = await asyncio.to_thread(self._homes.home_of, name) if self._homes else None
        if user is None and home is None and await bindings.get(name) is None:
            raise HTTPError(404, f"There is no account {name}.")
        _refuse_running(user)
        if self._homes is None and not home_moved and not dry_run:
            raise HTTPError(
                409,
                f"Homes are on volumes that the hub cannot reach. Move the folder of {name} away, so that the next person of that "
                "name finds none, and say so with --home-moved.",
            )
        if self._homes is not None and (alive := await asyncio.to_thread(self._homes.processes_of, name)):
            raise HTTPError(409, f"{alive} processes of {name} still run on this machine. End them first.")
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        released_as = f"{name}{MARK}{stamp}"
        # First a dry run at vkd: jobs that are not over refuse the release while everything is still as it was.
        jobs = await self._vkd.release_user(name, released_as, dry_run=True)
        archived = str(self._homes.archived(name, stamp)) if self._homes and home else ""
        done = Release(name, dry_run, user is not None, released_as, jobs, archived)
        if dry_run:
            return done
        # The person is still signed in, and may have started one meanwhile.
        _refuse_running(user)
        self.log.warning("The account %s is released: jobs=%d home=%s", name, jobs, archived or "none here")
        if user is not None:
            await maybe_future(self.authenticator.delete_user(user))
            await user.delete_spawners()
            self.users.delete(user)
            forget_endings(name)
        await self._vkd.release_user(name, released_as, dry_run=False)
        if self._homes is not None:
            await asyncio.to_thread(self._homes.archive, name, stamp)
        await bindings.release(name)
        return done

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Log a refusal in one line."""
        if isinstance(value, HTTPError):
            self.log.warning("An account was not released (%d): %s", value.status_code, value.log_message)
        else:
            super().log_exception(typ, value, tb)


def _refuse_running(user: User | None) -> None:
    running = [server for server, one in user.spawners.items() if one.active or one.pending] if user else []
    if user and running:
        named = ", ".join(server or "the default one" for server in running)
        raise HTTPError(409, f"Sessions of {user.name} run: {named}. Stop them first.")


def routes(vkd: VkdClient, homes: Accounts | None) -> list[tuple[Any, ...]]:
    """Return the handler, for ``JupyterHub.extra_handlers``."""
    return [(PATH, ReleaseHandler, {"vkd": vkd, "homes": homes})]
