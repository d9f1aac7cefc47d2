"""The proxy in front of sessions: what it is started with, and what it tells of their activity."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from jupyterhub.proxy import ConfigurableHTTPProxy

ERRORS: Final = Path(__file__).with_name("proxy_errors.mjs")
"""Loaded into the proxy: while a part of the platform is away, programs read JSON."""
_PASSED_ON: Final = frozenset(
    {
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "LANG",
        "TZ",
        "TMPDIR",
        "LD_LIBRARY_PATH",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "NODE_EXTRA_CA_CERTS",
        "NODE_PATH",
        "CONFIGPROXY_AUTH_TOKEN",
        "CONFIGPROXY_SSL_KEY_PASSPHRASE",
        # By these two the processes of a demonstration are found.
        "AIINFN_DATA",
        "AIINFN_DEMO_ID",
    }
)
"""What the proxy gets of the hub's environment, which also holds the secrets of the hub; beside ``LC_*``."""


class SessionProxy(ConfigurableHTTPProxy):
    """configurable-http-proxy without its notion of activity.

    To it every good answer is activity of the session, also to a page that reads the list of jobs by itself; a session
    whose page is left open would never count as idle. What remains is what the session's own server reports to
    JupyterHub: kernels and terminals that do something, requests of people, and apps that they open.
    """

    async def get_all_routes(self) -> dict[str, Any]:
        """Return the routes without the time of their last traffic."""
        routes: dict[str, Any] = await super().get_all_routes()
        for route in routes.values():
            route["data"].pop("last_activity", None)
        return routes

    async def restore_routes(self) -> None:
        """Return a new proxy its routes, the hub's last.

        The hub's is that of all addresses without one of their own: a program that asks vkd or a session in the moment
        between would be told by the hub, for good, that there is nothing. Without any route the proxy says "try again".
        """
        try:
            await self.add_all_users(self.app.users)
            await self.add_all_services(self.app._service_map)  # noqa: SLF001 - as JupyterHub's own does
        finally:
            await self.add_hub_route(self.app.hub)

    async def check_routes(
        self, user_dict: Any, service_dict: Any, routes: dict[str, Any] | None = None
    ) -> None:
        """Add missing routes and delete those of nobody; a hub's that is missing is added last, as in `restore_routes`."""
        if not routes:
            routes = await self.get_all_routes()
        hub = self.app.hub
        if hub.routespec in routes:
            await super().check_routes(user_dict, service_dict, routes)
            return
        own = {"routespec": hub.routespec, "target": hub.host, "data": {"hub": True}}
        try:
            await super().check_routes(user_dict, service_dict, {**routes, hub.routespec: own})
        finally:
            await self.add_hub_route(hub)


def guarded(command: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Return the command that runs the proxy with what it needs of an environment, and with JSON for programs.

    JupyterHub hands its whole environment to the proxy, hence the detour over ``env``, which becomes the proxy.
    """
    dropped = sorted(name for name in environment if name not in _PASSED_ON and not name.startswith("LC_"))
    options = [option for name in dropped if "=" not in name for option in ("-u", name)]
    return [shutil.which("env") or "env", *options, f"NODE_OPTIONS=--import={ERRORS.as_uri()}", *command]
