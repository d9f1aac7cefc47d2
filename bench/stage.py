"""A real IAM, hub and vkd to measure, on free ports and in a folder that goes away."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from tests.hub.stack import HUB_CONFIG, ROOT, Hub, Iam, browser


@dataclass
class Stage:
    """What runs, and a token of an account for vkd."""

    hub: Hub
    iam: Iam

    def token(self, account: str, *scopes: str) -> str:
        """Make a token of an account that signed in before; without scopes one that may only use vkd."""
        wanted = list(scopes) or ["access:services!service=vkd"]
        status, answer = self.hub.api(f"/users/{account}/tokens", "POST", {"scopes": wanted})
        assert status == 201, answer
        return str(answer["token"])

    def sign_in(self, *accounts: str) -> None:
        """Let accounts sign in through IAM, as in a browser."""

        async def go(account: str) -> None:
            async with browser(self.hub) as client:
                seen = await client.sign_in(account)
                assert seen.status == 200, seen.text

        for account in accounts:
            asyncio.run(go(account))

    def process(self, *words: str) -> psutil.Process:
        """Find a process of the hub's tree by words of its command line."""
        assert self.hub.process is not None
        root = psutil.Process(self.hub.process.pid)
        for process in [root, *root.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                if all(word in " ".join(process.cmdline()) for word in words):
                    return process
        raise AssertionError(f"no process {words}")


@contextlib.contextmanager
def stage(
    prepare: Callable[[Path], None] | None = None, config: Path = HUB_CONFIG, **environment: str
) -> Iterator[Stage]:
    """Run IAM, hub and vkd; ``prepare`` fills the data folder before."""
    with tempfile.TemporaryDirectory(prefix="aiinfn-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        hub = Hub(folder)
        if prepare:
            prepare(hub.data)
        iam = Iam(folder, hub.callback)
        try:
            iam.start()
            hub.start(iam, config, AIINFN_PLATFORM=str(ROOT / "platform.yaml"), **environment)
            yield Stage(hub, iam)
        finally:
            hub.stop()
            iam.stop()


class Caller:
    """One kept-alive connection with a token: the least that a client can cost."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        self._prefix = parts.path
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        self._headers = {"Authorization": f"token {token}", "Content-Type": "application/json"}

    def call(self, path: str, method: str = "GET", body: Any = None, **headers: str) -> tuple[int, bytes]:
        """Send a request and read the whole answer."""
        data = None if body is None else json.dumps(body)
        self._connection.request(method, self._prefix + path, data, self._headers | headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def timed(self, path: str, times: int, warm: int = 20) -> list[float]:
        """Return the seconds of repeated GETs."""
        seconds = []
        for index in range(warm + times):
            started = time.perf_counter()
            status, body = self.call(path)
            if index >= warm:
                seconds.append(time.perf_counter() - started)
            assert status == 200, body
        return seconds


def resident(process: psutil.Process) -> float:
    """Return a process's resident memory in MB (10^6 bytes)."""
    return float(process.memory_info().rss) / 1e6
