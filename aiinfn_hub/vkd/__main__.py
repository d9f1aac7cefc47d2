"""Runs vkd: ``python -m aiinfn_hub.vkd``, as a service that the hub starts and starts again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Iterator
from typing import Final

import uvicorn
from fastapi import FastAPI

from aiinfn_hub.accounts import Accounts
from aiinfn_hub.platform import loader
from aiinfn_hub.platform.model import Platform

from . import app as application
from .auth import Auth
from .backends.local.backend import LocalBackend
from .migrations import SchemaError
from .service import Service
from .settings import Settings, SettingsError, from_environment
from .store import Store

logger = logging.getLogger("aiinfn_hub.vkd")

_GRACE_SECONDS: Final = 5
"""How long requests in progress may take to end when vkd stops."""


class _Server(uvicorn.Server):
    """A server that leaves signals to `_serve`: uvicorn would end the process by the signal, not with status 0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def build(settings: Settings, platform: Platform) -> FastAPI:
    """Put vkd together."""

    async def service() -> Service:
        store = await Store.open(settings.database)
        accounts = Accounts(settings.data)
        backend = LocalBackend(platform=platform, data=settings.data, accounts=accounts)
        return Service(platform, store, backend)

    auth = Auth(settings.hub_api, settings.service_name, admin_groups=platform.admin_groups)
    return application.create(service, auth, prefix=settings.prefix, ticket_key=settings.ticket_key)


async def _serve(settings: Settings, platform: Platform) -> int:
    app = build(settings, platform)
    server = _Server(
        uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,  # it would write queries, and a query may hold a ticket
            server_header=False,
            ws="none",
            lifespan="on",
            timeout_graceful_shutdown=_GRACE_SECONDS,
            # Longer than clients wait between two questions: with uvicorn's 5 s a question now and then meets a closing door.
            timeout_keep_alive=75,
        )
    )
    ending: list[asyncio.Task[None]] = []
    failed = False

    async def end() -> None:
        service: Service | None = getattr(app.state, "service", None)
        if service is not None:
            if settings.end_jobs and not failed:
                with contextlib.suppress(Exception):
                    await service.backend.interrupt()
            service.follower.end_streams()
        server.should_exit = True

    def on_signal() -> None:
        if not ending:
            ending.append(asyncio.create_task(end()))

    def on_failure() -> None:
        nonlocal failed
        failed = True
        on_signal()

    app.state.on_failure = on_failure
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, on_signal)
    await server.serve()
    return 1 if failed or not server.started else 0


def main() -> int:
    """Run until told to stop; gives the exit status."""
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s vkd %(message)s"
    )
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        settings = from_environment()
        platform = loader.load(settings.platform)
    except (SettingsError, loader.PlatformError) as error:
        logger.critical("vkd cannot start: %s", error)
        return 2
    logger.info("vkd listens host=%s port=%d prefix=%s", settings.host, settings.port, settings.prefix)
    try:
        return asyncio.run(_serve(settings, platform))
    except SchemaError as error:
        logger.critical("vkd cannot start: %s", error)
        return 2


if __name__ == "__main__":
    sys.exit(main())
