"""A terminal of a session, typed into as JupyterLab's page does."""

from __future__ import annotations

import asyncio
import json
import re

import aiohttp


class Terminal:
    """A terminal as JupyterLab's page has it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.count = 0

    async def type(self, line: str) -> str:
        """Type a line, and return what it prints."""
        self.count += 1
        # The end is computed, so that the echo of what was typed does not have it.
        await self.socket.send_json(["stdin", f"echo; {line}; echo end$((40 + 2))-{self.count}-$?.\r"])
        text = ""
        async with asyncio.timeout(60):
            while not (end := re.search(rf"end42-{self.count}-(\d+)\.", text)):
                kind, *rest = json.loads((await self.socket.receive()).data)
                if kind == "stdout":
                    text += rest[0]
        plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\].*?(\x07|\x1b\\)", "", text[: end.start()])
        return plain.replace("\r", "").rpartition(f"-{self.count}-$?.\n")[2].strip()
