"""Runs vkd: ``python -m aiinfn_hub.vkd``, as a service that the hub starts and starts again."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import uvicorn
from fastapi import FastAPI
from sqlalchemy.exc import DBAPIError

from aiinfn_hub.contract.problem import Refusal
from aiinfn_hub.host.accounts import AccountError
from aiinfn_hub.host.private_files import keep_private
from aiinfn_hub.platform.loading import loader
from aiinfn_hub.platform.loading.reload import PlatformFile

from . import app as application
from .api.authentication import Auth
from .api.http_protocol import BoundedProtocol
from .backends import registry
from .database.jobs import JobStore
from .database.migrations import SchemaError
from .services.jobs import JobService
from .settings import SettingsError, VkdSettings, from_environment

logger = logging.getLogger("aiinfn_hub.vkd")

_GRACE_SECONDS: Final = 5
"""How long requests in progress may take to end when vkd stops."""
_DATE_SECONDS: Final = 1.0
_PATIENCE: Final = 20.0
"""Seconds to wait for a vkd that is just ending."""


class _Server(uvicorn.Server):
    """A server that leaves signals to `_serve`: uvicorn would end the process by the signal, not with status 0."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ending = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def end(self) -> None:
        """Have `serve` return once requests in progress are over."""
        self.should_exit = True
        self._ending.set()

    async def main_loop(self) -> None:
        """Keep the date of answers current until the end; uvicorn wakes up ten times a second for both."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_DATE_SECONDS):
                    await self._ending.wait()


def _alone(data: Path) -> int:
    """Make sure that one vkd at a time works on a data folder; returns the descriptor that holds the lock. Blocks.

    It comes before the store is read: what another one still writes would be missed.
    """
    folder = data / "vkd"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder / "service.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                os.close(descriptor)
                raise SettingsError(
                    f"another vkd works on {data}. End it, or set AIINFN_DATA to another folder."
                ) from None
            time.sleep(0.05)
        else:
            return descriptor


async def build(settings: VkdSettings, file: PlatformFile) -> FastAPI:
    """Put vkd together; nothing runs yet."""
    backends = await registry.make(file.current, settings.data, settings.kubeconfig)
    store = await JobStore.open(settings.database)
    service = JobService(file, store, backends)
    auth = Auth(settings.hub_api, settings.service_name, admin_groups=lambda: service.platform.admin_groups)
    return application.create(
        service,
        auth,
        prefix=settings.prefix,
        ticket_key=settings.ticket_key,
        open_metrics=settings.open_metrics,
    )


async def _serve(settings: VkdSettings, file: PlatformFile) -> int:
    lock = await asyncio.to_thread(_alone, settings.data)
    try:
        app = await build(settings, file)
        file.follow()
        return await _run(settings, app)
    finally:
        os.close(lock)


async def _run(settings: VkdSettings, app: FastAPI) -> int:
    service: JobService = app.state.service
    server = _Server(
        uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,  # it would write queries, and a query may hold a ticket
            server_header=False,
            ws="none",
            http=BoundedProtocol,
            lifespan="on",
            timeout_graceful_shutdown=_GRACE_SECONDS,
            # Longer than clients wait between two questions: with uvicorn's 5 s a question now and then meets a closing door.
            timeout_keep_alive=75,
        )
    )
    ending: list[asyncio.Task[None]] = []

    async def end() -> None:
        if settings.end_jobs and not service.recorder.failed:
            try:
                await service.backends.jobs.interrupt()
            except Exception:
                logger.exception("jobs could not be stopped")
        service.recorder.end_streams()
        server.end()

    def on_signal() -> None:
        if not ending:
            ending.append(asyncio.create_task(end()))

    service.recorder.on_failure = on_signal
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, on_signal)
    await server.serve()
    return 1 if service.recorder.failed or not server.started else 0


def main() -> int:
    """Run until told to stop; returns the exit status: 2 if vkd cannot start, 1 if it failed."""
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s vkd %(message)s"
    )
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        settings = from_environment()
        keep_private(settings.data, ["vkd"])
        file = PlatformFile.open(settings.platform)
        logger.info("vkd listens host=%s port=%d prefix=%s", settings.host, settings.port, settings.prefix)
        return asyncio.run(_serve(settings, file))
    except DBAPIError as error:
        logger.critical("vkd cannot start: the job database cannot be opened (%s)", error.orig)
    except (
        SettingsError,
        registry.BackendUnavailableError,
        loader.PlatformError,
        SchemaError,
        AccountError,
        Refusal,
        OSError,
    ) as error:
        logger.critical("vkd cannot start: %s", error)
    return 2


if __name__ == "__main__":
    sys.exit(main())
