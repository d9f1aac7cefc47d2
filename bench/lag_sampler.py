"""A Jupyter server extension that measures how late its server's event loop is."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from jupyter_server.base.handlers import JupyterHandler
from tornado import web

STEP = 0.005
"""Seconds between two looks."""


class LagHandler(JupyterHandler):
    """Gives the lags since the last time it was asked, in milliseconds."""

    @web.authenticated
    async def get(self) -> None:
        lags: list[float] = self.settings["bench_lags"]
        self.finish(json.dumps(lags))
        lags.clear()


async def sample(lags: list[float]) -> None:
    """Ask to be woken after a moment, and write down how much later it was."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + STEP
        await asyncio.sleep(STEP)
        lags.append((loop.time() - due) * 1000)


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "bench.lag_sampler"}]


async def _start_jupyter_server_extension(serverapp: Any) -> None:
    settings = serverapp.web_app.settings
    settings["bench_sampler"] = asyncio.create_task(sample(settings["bench_lags"]))


def _load_jupyter_server_extension(serverapp: Any) -> None:
    serverapp.web_app.settings["bench_lags"] = []
    serverapp.web_app.add_handlers(".*", [(f"{serverapp.web_app.settings['base_url']}bench-lag", LagHandler)])
