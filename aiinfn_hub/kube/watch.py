"""A list of objects that follows the cluster: LIST once, then WATCH, whatever happens to the connection.

Only what ``WatchedKind.keep`` makes of an object stays in memory, so that ten thousand pods take a few megabytes. Listeners are
called on the event loop with the object before and after each change; a change that ``keep`` does not show is none.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, Generic, TypeVar

from .client import KubeClient, KubeError

_log = logging.getLogger(__name__)
_PAGE: Final = 500
"""Objects in one answer of a LIST."""
_WATCH_SECONDS: Final = (240, 300)
"""How long one WATCH lasts; at random, so that not all end together."""
_IDLE: Final = 150.0
"""Seconds without a byte after which a WATCH counts as broken: the server sends a bookmark every minute."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.5
_PIECE: Final = 200
"""Changes that are reported before others get their turn on the loop."""
_START_ANEW: Final = frozenset({HTTPStatus.GONE, HTTPStatus.BAD_REQUEST, HTTPStatus.GATEWAY_TIMEOUT})
"""What a server says to a version that it does not have any more, or not yet (after a restore of its data)."""

T = TypeVar("T")
Listener = Callable[[T | None, T | None], None]
"""Called with an object before and after a change: None where it did not exist, or does no more."""


@dataclass(frozen=True)
class WatchedKind(Generic[T]):
    """What is watched.

    Attributes
    ----------
    title
        For the log.
    path
        Of the collection.
    keep
        Makes what is kept of an object; None if nothing about it is of interest.
    query
        Selectors.
    """

    title: str
    path: str
    keep: Callable[[Mapping[str, Any]], T | None]
    query: Mapping[str, str] = field(default_factory=dict)


class ObjectWatch(Generic[T]):
    """The objects of a kind as the cluster has them now.

    Attributes
    ----------
    items
        What is kept, by uid: an object that was deleted and made again under its name is another one.
    synced
        Set once the first LIST is complete and told.
    connected
        Whether the server tells changes at this moment.
    error
        What the server refused last, or that it did not answer; None while it tells changes.
    """

    @property
    def title(self) -> str:
        """The kind of the objects, as the log names it."""
        return self._kind.title

    def __init__(
        self, client: KubeClient, kind: WatchedKind[T], listener: Listener[T], *, page: int = _PAGE
    ) -> None:
        self._client = client
        self._kind = kind
        self._listener = listener
        self._page = page
        self._version: str | None = None
        self._pause = _FIRST_PAUSE
        self._complained = False
        self.items: dict[str, T] = {}
        self.synced = asyncio.Event()
        self.connected = False
        self.error: KubeError | None = None

    async def run(self) -> None:
        """Follow the cluster until cancelled."""
        while True:
            try:
                if self._version is None:
                    self._version = await self._list()
                    self.synced.set()
                await self._follow(self._version)
                await asyncio.sleep(
                    _FIRST_PAUSE
                )  # a server that ends each WATCH at once must not be hammered
            except KubeError as error:
                self.error = error
                if error.status in _START_ANEW:
                    self._version = None
                self._complain(error)
                # Many watches, and many programs, lose the same server at the same moment.
                await asyncio.sleep(self._pause * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
                self._pause = min(2 * self._pause, _LONGEST_PAUSE)
            finally:
                self.connected = False

    def _complain(self, error: KubeError) -> None:
        level = logging.DEBUG if self._complained or error.status == HTTPStatus.GONE else logging.WARNING
        self._complained = self._complained or level == logging.WARNING
        _log.log(
            level, "watch lost kind=%s status=%d reason=%s", self._kind.title, error.status, error.reason
        )

    def _well(self) -> None:
        if self._complained:
            _log.info("watch found again kind=%s", self._kind.title)
        self._complained = False
        self._pause = _FIRST_PAUSE
        self.connected = True
        self.error = None

    # LIST

    async def _list(self) -> str:
        """Read everything, page by page, and tell what differs from what was known."""
        found: dict[str, T] = {}
        token = None
        while True:
            query = {**self._kind.query, "limit": self._page, "continue": token}
            page = await self._client.get(self._kind.path, **query)
            for item in page.get("items") or ():
                if (kept := self._kind.keep(item)) is not None:
                    found[item["metadata"]["uid"]] = kept
            version, token = str(page["metadata"]["resourceVersion"]), page["metadata"].get("continue")
            del page
            if not token:
                break
        # What is gone comes first: a name may have been given to another object meanwhile.
        for number, uid in enumerate([uid for uid in self.items if uid not in found]):
            self._tell(uid, None)
            await _breathe(number)
        for number, (uid, kept) in enumerate(found.items()):
            self._tell(uid, kept)
            await _breathe(number)
        return version

    # WATCH

    async def _follow(self, version: str) -> None:
        query = {
            **self._kind.query,
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": random.randint(*_WATCH_SECONDS),  # noqa: S311 - no secret
        }
        async with self._client.stream(self._kind.path, idle=_IDLE, **query) as stream:
            self._well()
            held = b""
            async for chunk in stream.iter_any():
                *lines, held = (held + chunk).split(b"\n")
                for line in lines:
                    if line.strip():
                        self._take(_parsed(line))
                # A server with much to say would otherwise hold up everything else on the loop.
                await asyncio.sleep(0)

    def _take(self, event: Mapping[str, Any]) -> None:
        item = event["object"]
        if event["type"] == "ERROR":
            raise KubeError(
                int(item.get("code") or 500), str(item.get("reason", "")), str(item.get("message", ""))
            )
        metadata = item["metadata"]
        if event["type"] != "BOOKMARK":
            kept = self._kind.keep(item)
            uid = metadata["uid"]
            if event["type"] == "DELETED":
                if kept is not None and uid in self.items:
                    self._tell(uid, kept)  # its last state may be news
                self._tell(uid, None)
            else:
                self._tell(uid, kept)
        # Only now: what was not taken must come again.
        self._version = str(metadata["resourceVersion"])

    def _tell(self, uid: str, after: T | None) -> None:
        before = self.items.get(uid)
        if before == after:
            return
        if after is None:
            del self.items[uid]
        else:
            self.items[uid] = after
        try:
            self._listener(before, after)
        except Exception:
            # One object that is not understood must not cost all others.
            _log.exception("change not understood kind=%s", self._kind.title)


def _parsed(line: bytes) -> Mapping[str, Any]:
    try:
        event: Mapping[str, Any] = json.loads(line)
    except ValueError as error:
        raise KubeError(0, "NotJson", "The API server sent something that is no JSON.") from error
    return event


async def _breathe(number: int) -> None:
    if number % _PIECE == _PIECE - 1:
        await asyncio.sleep(0)
