"""Reading a job's log, whole or as it grows, over cut connections and preemptions."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from aiinfn_hub.contract.jobs import Job
from aiinfn_lab.transport import Call, HttpAnswer, NoAnswerError

from .api import POLL, Api, Patience, Trouble, path_of
from .errors import AiinfnError

_PIECE: Final = 1024 * 1024
_LARGEST_TAIL: Final = 4 * 1024 * 1024
_LINE: Final = 256
"""Bytes that a line is taken to have at most when the last lines are looked for."""


@dataclass(frozen=True)
class LogPart:
    """A piece of a job's log.

    Attributes
    ----------
    attempt
        Of which attempt, from 1: a job that gave way to a session starts again with the next one.
    offset
        Position of the first byte in that attempt's log.
    data
        UTF-8, never cut within a character, as the job wrote it.
    """

    attempt: int
    offset: int
    data: bytes

    @property
    def text(self) -> str:
        """The piece as text."""
        return self.data.decode("utf-8", "replace")

    @property
    def end(self) -> int:
        """Position behind the last byte: where reading goes on."""
        return self.offset + len(self.data)

    def __str__(self) -> str:
        return self.text


@dataclass
class _Reading:
    """How far a log was read; holds back the bytes of a character that is not complete yet."""

    attempt: int | None
    position: int
    held: bytes = b""
    complete: bool = False
    """Whether nothing will follow, as far as the last answer said."""

    def query(self) -> list[tuple[str, str]]:
        """Return where to read on, as the API is asked for it."""
        attempt = [] if self.attempt is None else [("attempt", str(self.attempt))]
        return [("offset", str(self.position)), *attempt]

    def take(self, data: bytes) -> LogPart | None:
        """Go on by some bytes; returns what can be handed out."""
        whole = self.held + data
        begin = self.position - len(self.held)
        self.position += len(data)
        cut = len(whole) - _incomplete(whole)
        self.held = whole[cut:]
        return LogPart(self.attempt or 1, begin, whole[:cut]) if cut else None

    def rest(self) -> LogPart | None:
        """Return what was held back, at the end."""
        held, self.held = self.held, b""
        return LogPart(self.attempt or 1, self.position - len(held), held) if held else None

    def at(self, headers: Mapping[str, str]) -> None:
        """Take over where the answer begins."""
        # 0 is said of a job that has not started yet: what it will print is of the first attempt.
        attempt, offset = int(headers["x-log-attempt"]) or None, int(headers["x-log-offset"])
        if (self.attempt, self.position) != (attempt, offset):
            self.attempt, self.position, self.held = attempt, offset, b""


async def read_log(
    api: Api,
    job_id: str,
    *,
    attempt: int | None,
    offset: int,
    follow: bool,
    on_trouble: Trouble | None,
) -> AsyncGenerator[LogPart, None]:
    """Iterate over the parts of a log."""
    reading = _Reading(attempt, offset)
    parts = (
        _follow(api, job_id, reading, attempt, on_trouble) if follow else _to_the_end(api, job_id, reading)
    )
    async with aclosing(parts):
        async for part in parts:
            yield part
    if rest := reading.rest():
        yield rest


async def last_lines(api: Api, job_id: str, attempt: int | None, lines: int) -> LogPart:
    """Read the last lines."""
    size = min(max(_LINE * lines, 65536), _LARGEST_TAIL)
    reading = _Reading(attempt, -size)
    data = await _piece(api, job_id, reading, size)
    parts = data.splitlines(keepends=True)
    kept = b"".join(parts[-lines:]) if lines else b""
    return LogPart(reading.attempt or 1, reading.position + len(data) - len(kept), kept)


async def _to_the_end(api: Api, job_id: str, reading: _Reading) -> AsyncGenerator[LogPart, None]:
    """Read what there is now; the reading knows afterwards whether nothing will follow."""
    while data := await _piece(api, job_id, reading, _PIECE):
        if part := reading.take(data):
            yield part
        if reading.complete:
            return


async def _piece(api: Api, job_id: str, reading: _Reading, limit: int) -> bytes:
    query = [*reading.query(), ("limit", str(limit))]
    answer = await api.ask(Call("GET", _address(api, job_id), tuple(query)))
    _begin(api, answer, reading)
    reading.complete = answer.headers.get("x-log-complete") == "1"
    return answer.body


async def _follow(
    api: Api, job_id: str, reading: _Reading, wanted: int | None, on_trouble: Trouble | None
) -> AsyncGenerator[LogPart, None]:
    """Read a log as it grows, then that of the next attempt, until the job or the wanted attempt is over."""
    patience = Patience(on_trouble, api.transport.sleep)
    while True:
        try:
            # The stream also ends when the service is restarted; only the second says that nothing will follow.
            for parts in (_stream(api, job_id, reading, patience), _to_the_end(api, job_id, reading)):
                async with aclosing(parts):
                    async for part in parts:
                        yield part
            job = await api.read(Job, path_of(job_id))
        except AiinfnError as error:
            patience.bear(error)
            await api.transport.sleep(patience.pause)
            continue
        patience.good()
        if not reading.complete:
            await api.transport.sleep(POLL / 4)
            continue
        if wanted is not None or _over(job, reading):
            return
        if job.attempt <= (reading.attempt or 1):
            # It waits in its queue again.
            await api.transport.sleep(POLL)
            continue
        if rest := reading.rest():
            yield rest
        reading.attempt, reading.position = (reading.attempt or 1) + 1, 0


def _over(job: Job, reading: _Reading) -> bool:
    return job.final and job.attempt <= (reading.attempt or 1)


async def _stream(
    api: Api, job_id: str, reading: _Reading, patience: Patience
) -> AsyncGenerator[LogPart, None]:
    call = Call("GET", _address(api, job_id), (("follow", "1"), *reading.query()))
    try:
        async with api.transport.stream(call) as (answer, body):
            if answer.status != 200:
                raise api.refusal(answer)
            _begin(api, answer, reading)
            patience.answered()
            async for data in body:
                patience.good()
                if part := reading.take(data):
                    yield part
    except NoAnswerError as lost:
        if not lost.quiet:
            raise api.silent() from None


def _begin(api: Api, answer: HttpAnswer, reading: _Reading) -> None:
    try:
        reading.at(answer.headers)
    except (KeyError, ValueError):
        raise api.refusal(HttpAnswer(502, {})) from None


def _address(api: Api, job_id: str) -> str:
    return f"{api.root}/{path_of(job_id)}/logs"


def _incomplete(data: bytes) -> int:
    """Count the bytes at the end that begin a UTF-8 character without ending it."""
    for back in range(1, min(4, len(data) + 1)):
        byte = data[-back]
        if byte < 0x80:
            return 0
        if byte >= 0xC0:
            length = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return back if byte < 0xF8 and length > back else 0
    return 0
