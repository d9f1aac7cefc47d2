"""Reading a job's log, whole or as it grows, over cut connections and preemptions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiinfn_hub.contract.jobs import Job

from .errors import AiinfnError
from .io import (
    Call,
    Emit,
    HttpAnswer,
    NoAnswerError,
    Open,
    Pause,
    Read,
    Steps,
)
from .protocol import POLL, Patience, Protocol, Trouble, path_of

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

    def at(self, headers: dict[str, str]) -> None:
        """Take over where the answer begins."""
        # 0 is said of a job that has not started yet: what it will print is of the first attempt.
        attempt, offset = int(headers["x-log-attempt"]) or None, int(headers["x-log-offset"])
        if (self.attempt, self.position) != (attempt, offset):
            self.attempt, self.position, self.held = attempt, offset, b""


def read_log(
    protocol: Protocol,
    job_id: str,
    *,
    attempt: int | None,
    offset: int,
    follow: bool,
    on_trouble: Trouble | None,
) -> Steps[None]:
    """Emit the parts of a log."""
    reading = _Reading(attempt, offset)
    if follow:
        yield from _follow(protocol, job_id, reading, attempt, on_trouble)
    else:
        yield from _to_the_end(protocol, job_id, reading)
    if rest := reading.rest():
        yield Emit(rest)


def last_lines(protocol: Protocol, job_id: str, attempt: int | None, lines: int) -> Steps[LogPart]:
    """Read the last lines."""
    size = min(max(_LINE * lines, 65536), _LARGEST_TAIL)
    reading = _Reading(attempt, -size)
    data, _ = yield from _piece(protocol, job_id, reading, size)
    parts = data.splitlines(keepends=True)
    kept = b"".join(parts[-lines:]) if lines else b""
    return LogPart(reading.attempt or 1, reading.position + len(data) - len(kept), kept)


def _to_the_end(protocol: Protocol, job_id: str, reading: _Reading) -> Steps[bool]:
    """Emit what there is now; returns whether nothing will follow."""
    while True:
        data, complete = yield from _piece(protocol, job_id, reading, _PIECE)
        if not data:
            return complete
        if part := reading.take(data):
            yield Emit(part)
        if complete:
            return True


def _piece(protocol: Protocol, job_id: str, reading: _Reading, limit: int) -> Steps[tuple[bytes, bool]]:
    query = [("offset", str(reading.position)), ("limit", str(limit))]
    if reading.attempt is not None:
        query.append(("attempt", str(reading.attempt)))
    answer = yield from protocol.ask(Call("GET", _address(protocol, job_id), tuple(query)))
    _begin(protocol, answer, reading)
    return answer.body, answer.headers.get("x-log-complete") == "1"


def _follow(
    protocol: Protocol, job_id: str, reading: _Reading, wanted: int | None, on_trouble: Trouble | None
) -> Steps[None]:
    """Emit a log as it grows, then that of the next attempt, until the job or the wanted attempt is over."""
    patience = Patience(on_trouble)
    while True:
        try:
            yield from _stream(protocol, job_id, reading, patience)
            # The stream also ends when the service is restarted; only this says that nothing will follow.
            complete = yield from _to_the_end(protocol, job_id, reading)
            job = yield from protocol.job(job_id)
        except AiinfnError as error:
            patience.bear(error)
            yield Pause(patience.pause)
            continue
        patience.good()
        if not complete:
            yield Pause(POLL / 4)
            continue
        if wanted is not None or _over(job, reading):
            return
        if job.attempt <= (reading.attempt or 1):
            # It waits in its queue again.
            yield Pause(POLL)
            continue
        if rest := reading.rest():
            yield Emit(rest)
        reading.attempt, reading.position = (reading.attempt or 1) + 1, 0


def _over(job: Job, reading: _Reading) -> bool:
    return job.final and job.attempt <= (reading.attempt or 1)


def _stream(protocol: Protocol, job_id: str, reading: _Reading, patience: Patience) -> Steps[None]:
    query = [("follow", "1"), ("offset", str(reading.position))]
    if reading.attempt is not None:
        query.append(("attempt", str(reading.attempt)))
    try:
        answer: HttpAnswer = yield Open(Call("GET", _address(protocol, job_id), tuple(query)))
        if answer.status != 200:
            raise protocol.refusal(answer)
        _begin(protocol, answer, reading)
        patience.answered()
        while data := (yield Read()):
            patience.good()
            if part := reading.take(data):
                yield Emit(part)
    except NoAnswerError as lost:
        if not lost.quiet:
            raise protocol.silent() from None


def _begin(protocol: Protocol, answer: HttpAnswer, reading: _Reading) -> None:
    try:
        reading.at(dict(answer.headers))
    except (KeyError, ValueError):
        raise protocol.refusal(HttpAnswer(502, {})) from None


def _address(protocol: Protocol, job_id: str) -> str:
    return f"{protocol.api}/{path_of(job_id)}/logs"


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
