"""HTTP connections that cannot be held open by sending next to nothing."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS: Final = 20.0
"""Seconds for the first line and the headers of a request."""
REST_SECONDS: Final = 10.0
"""Seconds to send the rest of a body that was answered already, so that the answer can be read."""


class BoundedProtocol(H11Protocol):
    """uvicorn's protocol with the time limits that it lacks: for headers, and for a body that nobody reads any more.

    The body that is read has its limit in `errors.Guard`.
    """

    _deadline: asyncio.TimerHandle | None = None
    _waits_for = ""

    def connection_made(self, transport: Any) -> None:
        """Start the clock of the first headers."""
        super().connection_made(transport)
        self._set_deadline()

    def data_received(self, data: bytes) -> None:
        """Look at how far the request is."""
        super().data_received(data)
        self._set_deadline()

    def on_response_complete(self) -> None:
        """Look at whether the request is still being sent."""
        super().on_response_complete()
        self._set_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        super().connection_lost(exc)
        self._stop()

    def _set_deadline(self) -> None:
        """Keep the clock that runs if it still measures the same thing: more data is no new deadline."""
        waits_for, seconds = "", 0.0
        if self.transport is None or self.transport.is_closing():
            pass
        elif self.conn.their_state is h11.IDLE and (self.cycle is None or self.conn.trailing_data[0]):
            waits_for, seconds = "headers", HEADER_SECONDS
        elif self.conn.their_state is h11.SEND_BODY and self.conn.our_state is h11.DONE:
            waits_for, seconds = "rest", REST_SECONDS
        if waits_for == self._waits_for:
            return
        self._stop()
        if waits_for:
            self._waits_for = waits_for
            self._deadline = self.loop.call_later(seconds, self._too_slow)

    def _stop(self) -> None:
        self._waits_for = ""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._stop()
        if not self.transport.is_closing():
            self.transport.close()
