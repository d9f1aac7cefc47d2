"""Logs of jobs, whole or followed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from tornado import iostream

from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_lab.i18n.language import gettext as _

from .base import Handler, protected

_TYPE: Final = "text/plain; charset=utf-8"
_HANDED_ON: Final = ("X-Log-Attempt", "X-Log-Offset", "X-Log-Complete")
_NAMES: Final = ("attempt", "offset", "limit")
_PIECE: Final = 2**20
"""Bytes of a download that are held at a time."""
_FALSE: Final = frozenset({"", "0", "false"})


class LogsHandler(Handler):
    """What a job printed."""

    _task: asyncio.Task[bool] | None = None

    @protected
    async def get(self, job: str) -> None:
        """Send the log as vkd gives it; with ``follow=1`` while it grows, with ``download=1`` all of it as a file."""
        path = f"jobs/{job}/logs"
        query = self.query(*_NAMES)
        if self.get_query_argument("follow", "0") not in _FALSE:
            await self._follow(path, [*query, ("follow", "1")])
            return
        if self.get_query_argument("download", "0") not in _FALSE:
            await self._download(job, path, self.query("attempt"))
            return
        answer = await self.vkd.request("GET", path, query=query, headers={"Accept": "text/plain"})
        self._begin(answer.headers)
        self.finish(answer.body, set_content_type=_TYPE)

    async def _download(self, job: str, path: str, query: list[tuple[str, str]]) -> None:
        """Send all there is now as a file, a piece at a time and at the pace of the reader."""
        position = 0
        while True:
            piece = [*query, ("offset", str(position)), ("limit", str(_PIECE))]
            try:
                answer = await self.vkd.request("GET", path, query=piece, headers={"Accept": "text/plain"})
            except Refusal:
                if position == 0:
                    raise
                self._break_off()
                return
            if position == 0:
                self._begin(answer.headers)
                attempt = answer.headers.get("X-Log-Attempt", "1")
                self.set_header("Content-Disposition", f'attachment; filename="{job}.{attempt}.log"')
                # A job that goes on printing must not make it endless; the attempt stays the same one.
                query = [("attempt", attempt)] if attempt.isdigit() and int(attempt) else query
            if not answer.body:
                break
            position += len(answer.body)
            self.write(answer.body)
            try:
                await self.flush()
            except iostream.StreamClosedError:
                return
            if len(answer.body) < _PIECE:
                break
        self.finish(set_content_type=_TYPE)

    def on_connection_close(self) -> None:
        """End the request to vkd as soon as nobody reads any more, however silent the job is."""
        super().on_connection_close()
        if self._task is not None:
            self._task.cancel()

    async def _follow(self, path: str, query: list[tuple[str, str]]) -> None:
        followed: set[LogsHandler] = self.settings.setdefault("aiinfn_lab_followed", set())
        if len(followed) >= self.services.most_followed:
            raise Refusal(
                Reason.TOO_MANY,
                _("{count} logs are being followed already.").format(count=len(followed)),
                _("Close the log of another job first."),
            )
        followed.add(self)
        self._task = asyncio.ensure_future(self.vkd.stream(path, query, self._begin_stream, self._pass))
        try:
            complete = await self._task
        except asyncio.CancelledError:
            # Only `on_connection_close` cancels: there is nobody to answer.
            return
        finally:
            followed.discard(self)
        if complete:
            self.finish(set_content_type=_TYPE)
        else:
            self._break_off()

    def _break_off(self) -> None:
        """Close the connection: the headers are out, so nothing else is an honest sign of what is missing."""
        if self.request.connection is not None:
            self.request.connection.stream.close()  # type: ignore[attr-defined]

    def _begin(self, headers: Mapping[str, str]) -> None:
        self.set_header("Content-Type", _TYPE)
        self.set_header("Cache-Control", "no-store")
        # Proxies that gather an answer before they send it would make a live log useless.
        self.set_header("X-Accel-Buffering", "no")
        for name in _HANDED_ON:
            if name in headers:
                self.set_header(name, headers[name])

    def _begin_stream(self, headers: Mapping[str, str]) -> None:
        self._begin(headers)
        self.flush()

    async def _pass(self, chunk: bytes) -> None:
        self.write(chunk)
        try:
            await self.flush()
        except iostream.StreamClosedError:
            if self._task is not None:
                self._task.cancel()
