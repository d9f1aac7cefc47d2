"""The proxy in front of sessions, which does not tell who works in one."""

from __future__ import annotations

from typing import Any

from jupyterhub.proxy import ConfigurableHTTPProxy


class SessionProxy(ConfigurableHTTPProxy):
    """configurable-http-proxy without its notion of activity.

    To it every good answer is activity of the session, also to a page that reads the list of jobs by itself; a session
    whose page is left open would never count as idle. What remains is what the session's own server reports to
    JupyterHub: kernels and terminals that do something, requests of people, and traffic of applications behind
    jupyter-server-proxy.
    """

    async def get_all_routes(self) -> dict[str, Any]:
        """Give the routes without the time of their last traffic."""
        routes: dict[str, Any] = await super().get_all_routes()
        for route in routes.values():
            route["data"].pop("last_activity", None)
        return routes
