"""What the hub's pages tell operators about the cluster's nodes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from jinja2 import Environment, pass_environment

from .context import SpawnContext

Notices = Callable[[Environment], Awaitable[list[str]] | list[str]]


def node_notices(context: SpawnContext, reader: Any) -> Notices | None:
    """Return what a page calls for its notices; None for a reader who is no operator."""
    if reader is None or not reader.admin:
        return None

    @pass_environment
    def notices(environment: Environment) -> Awaitable[list[str]] | list[str]:
        # Error pages are drawn without waiting for anything.
        return context.vkd.notices(context.platform) if environment.is_async else []

    return notices
