"""How the two halves and vkd are, and what the platform offers."""

from __future__ import annotations

from aiinfn_hub.contract.constants import API_VERSION
from aiinfn_hub.contract.problem import Refusal
from aiinfn_lab import __version__

from .base import Handler, protected


class StatusHandler(Handler):
    """Versions of the two halves, and whether vkd answers."""

    @protected
    async def get(self) -> None:
        """Answer always, so that the page can explain what is missing."""
        message, hint = "", ""
        try:
            await self.vkd.healthy()
        except Refusal as refusal:
            message, hint = refusal.message, refusal.hint
        self.answer(
            {
                "version": __version__,
                "api_version": API_VERSION,
                "vkd": "unavailable" if message else "ok",
                "message": message,
                "hint": hint,
                "root": str(self.places.root),
                "root_in_home": self.places.root.is_relative_to(self.places.home),
                "session": self.services.session.as_json(),
            }
        )


class _Forward(Handler):
    """Hands a question on to vkd and the answer back, unchanged."""

    path = ""
    names: tuple[str, ...] = ()

    async def forward(self) -> None:
        answer = await self.vkd.request("GET", self.path, query=self.query(*self.names))
        self.answer(answer.json())


class PlatformHandler(_Forward):
    """What the person may use."""

    path = "platform"

    @protected
    async def get(self) -> None:
        """Answer a `PlatformView`."""
        await self.forward()


class QueuesHandler(_Forward):
    """The person's queues."""

    path = "queues"

    @protected
    async def get(self) -> None:
        """Answer a list of `QueueChoice`."""
        await self.forward()


class UsageHandler(_Forward):
    """Accelerator time that was used."""

    path = "usage"
    names = ("since",)

    @protected
    async def get(self) -> None:
        """Answer a `Usage`."""
        await self.forward()
