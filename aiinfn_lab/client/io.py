"""What a conversation with the platform consists of, without saying how it is done.

A conversation is a generator that yields steps and is sent what they gave, so that the client with and the one without
``await`` are the same code except for a few lines each that carry steps out.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Call:
    """A request; its `HttpAnswer` is sent back.

    Attributes
    ----------
    url
        Whole address.
    repeatable
        Whether asking twice does the same as asking once.
    """

    method: str
    url: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    """Sent as JSON; None sends none."""
    repeatable: bool = True


@dataclass(frozen=True)
class Open:
    """A request whose body is read in pieces, by `Read`; its `HttpAnswer` comes without one, except if it is an error."""

    call: Call


@dataclass(frozen=True)
class Read:
    """The next bytes of what was opened; none at its regular end."""


@dataclass(frozen=True)
class Pause:
    """Some seconds of waiting."""

    seconds: float


@dataclass(frozen=True)
class BackgroundWork:
    """Something on this machine that may take a moment; its result is sent back."""

    do: Callable[[], Any]


@dataclass(frozen=True)
class Emit:
    """A value for the caller, of a conversation that gives many."""

    value: Any


Step = Call | Open | Read | Pause | BackgroundWork | Emit
Steps = Generator[Step, Any, T]


def resume(steps: Generator[Step, Any, Any], outcome: Any) -> Step:
    """Go on with a conversation: with what a step gave, or with the exception that it ended with.

    Raises
    ------
    StopIteration
        At the end, with the conversation's result.
    """
    return steps.throw(outcome) if isinstance(outcome, Exception) else steps.send(outcome)


@dataclass(frozen=True)
class HttpAnswer:
    """What the platform said, of any status. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


class NoAnswerError(Exception):
    """There was no answer, or it broke off.

    Attributes
    ----------
    delivered
        Whether the request may have arrived.
    quiet
        Whether nothing was wrong except that there was nothing to say for a while.
    """

    def __init__(self, *, delivered: bool, quiet: bool = False) -> None:
        super().__init__()
        self.delivered = delivered
        self.quiet = quiet
