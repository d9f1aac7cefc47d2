"""When this session ends, and more time for it."""

from __future__ import annotations

from typing import Any

from .base import Handler, protected


class LabSessionTimeHandler(Handler):
    """The session's end, of which the hub decides."""

    @protected
    async def get(self) -> None:
        """Answer with what the hub says; docs/lab-api.md describes it."""
        self._give(await self.services.hub.session_time(self._language()))

    @protected
    async def post(self) -> None:
        """Put the end off."""
        self._give(await self.services.hub.extend(self._language()))

    def _give(self, answer: Any) -> None:
        self.services.know_end(answer)
        self.answer(answer)

    def _language(self) -> str:
        return str(self.request.headers.get("Accept-Language", ""))[:200]
