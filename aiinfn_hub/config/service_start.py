"""Services that the hub starts: one that is killed or slow while the hub starts does not end the hub."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from jupyterhub.app import JupyterHub
from jupyterhub.services.service import Service, _ServiceSpawner

POLL: Final = 2
"""Seconds between two looks at whether a service still runs."""
CANNOT_START: Final = 2
"""Exit status of a service that said why it cannot start: the same would happen again."""
_ATTEMPTS: Final = 5
_PAUSE: Final = 0.5

_start = JupyterHub.start_service


def keep_starting() -> None:
    """Let hubs of this process insist on their services.

    JupyterHub ends itself when a service that it starts has not come up, for whatever reason. Once it runs it starts
    them again by itself.
    """
    JupyterHub.start_service = _insist
    # Services are made without any configuration, and their end would be noticed after half a minute only.
    _ServiceSpawner.poll_interval = POLL


async def _insist(self: JupyterHub, service_name: str, service: Service, ssl_context: Any = None) -> bool:
    """Start a service like `JupyterHub.start_service`, again where it was killed; False only if it cannot start."""
    for _attempt in range(_ATTEMPTS):
        if await _start(self, service_name, service, ssl_context):
            return True
        if not service.managed or service.spawner is None or service.proc is None:
            return False
        status = service.proc.poll()
        if status is None:
            self.log.warning(
                "The service %s is slow; the hub goes on without it until it answers", service_name
            )
            return True
        if status == CANNOT_START:
            return False
        self.log.warning("The service %s ended while it started (status %d); once more", service_name, status)
        # Else it would be started twice.
        service.spawner.stop_polling()
        await asyncio.sleep(_PAUSE)
    self.log.error("The service %s does not start; the hub goes on without it and tries again", service_name)
    await service.start()
    return True
