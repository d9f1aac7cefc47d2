"""The steps of a start, as the pending page shows them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from aiinfn_hub.i18n.language import Text
from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.i18n.messages import Message


@dataclass(frozen=True, slots=True)
class SpawnStep:
    """One thing that a start has to get done; its title is looked up where it is shown."""

    key: str
    title: str


class SpawnProgress:
    """What a start has told so far; any number of pages may read along, each in its reader's language."""

    def __init__(self, steps: Sequence[SpawnStep]) -> None:
        self.steps = tuple(steps)
        self._told: list[tuple[float, str, Text | Message]] = []
        self._news = asyncio.Event()

    def begin(self) -> None:
        """Forget an earlier start; pages that read along follow the new one."""
        self._told = []
        self._wake()

    def tell(self, step: str, message: Text | Message) -> None:
        """Report what is being done; the same again, or something about a step that is over, changes nothing."""
        if self._told:
            last = self._told[-1]
            if last[1:] == (step, message) or self._place(step) < self._place(last[1]):
                return
        self._told.append((time.monotonic(), step, message))
        self._wake()

    @property
    def last(self) -> str:
        """What was said last; empty at the beginning."""
        return str(self._told[-1][2]) if self._told else ""

    @property
    def step(self) -> str:
        """The step that goes on; empty at the beginning."""
        return self._told[-1][1] if self._told else ""

    def _place(self, step: str) -> int:
        return next((place for place, known in enumerate(self.steps) if known.key == step), 0)

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    def now(self) -> list[dict[str, Any]]:
        """Return the steps as they are now: each done, going on or to come, with its last message."""
        current = self._told[-1][1] if self._told else ""
        index = self._place(current)
        rows = []
        for place, step in enumerate(self.steps):
            said = [entry for entry in self._told if entry[1] == step.key]
            state = "done" if place < index else "now" if place == index else "todo"
            elapsed = int(time.monotonic() - said[0][0]) if said and state == "now" else 0
            message = str(said[-1][2]) if said else ""
            rows.append(
                {
                    "key": step.key,
                    "title": _(step.title),
                    "state": state,
                    "message": message,
                    "elapsed": elapsed,
                }
            )
        return rows

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        """Stream JupyterHub progress events, with the step each belongs to and its age, until nobody listens."""
        told, place = self._told, 0
        while True:
            news = self._news
            if told is not self._told:
                told, place = self._told, 0
            while place < len(told):
                at, step, message = told[place]
                place += 1
                share = self._place(step) / max(len(self.steps), 1)
                yield {
                    "progress": 5 + int(90 * share),
                    "message": str(message),
                    "step": step,
                    "age": round(time.monotonic() - at, 1),
                }
            await news.wait()
