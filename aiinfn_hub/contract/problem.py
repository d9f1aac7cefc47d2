"""Refusals: one exception with a reason from a closed set and sentences for the person who reads them."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a request is refused. A small fixed set: it labels metrics and is part of the API."""

    INVALID = "invalid"
    """The request cannot be understood: unknown key, wrong type, out of range."""
    UNKNOWN = "unknown"
    """A name that the platform does not have (or no longer has)."""
    FORBIDDEN = "forbidden"
    """It exists, but not for this person or project."""
    IMPOSSIBLE = "impossible"
    """Each choice is fine, the pair is not."""
    TOO_LARGE = "too_large"
    """More than the limit allows."""
    UNAUTHENTICATED = "unauthenticated"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    """The state does not allow it, or the idempotency key was used for something else."""
    TOO_MANY = "too_many"
    CAPACITY = "capacity"
    """Allowed, but every device is taken."""
    UNAVAILABLE = "unavailable"
    """A part of the platform does not answer now."""
    STORAGE_FULL = "storage_full"
    INTERNAL = "internal"
    """A fault of the platform itself."""


STATUS: dict[Reason, int] = {
    Reason.INVALID: 400,
    Reason.UNKNOWN: 422,
    Reason.FORBIDDEN: 403,
    Reason.IMPOSSIBLE: 422,
    Reason.TOO_LARGE: 422,
    Reason.UNAUTHENTICATED: 401,
    Reason.NOT_FOUND: 404,
    Reason.CONFLICT: 409,
    Reason.TOO_MANY: 429,
    Reason.CAPACITY: 503,
    Reason.UNAVAILABLE: 503,
    Reason.STORAGE_FULL: 507,
    Reason.INTERNAL: 500,
}
"""The HTTP status of each reason."""
_REASON_OF = {status: reason for reason, status in reversed(STATUS.items())}


def reason_of(word: object, status: int, otherwise: Reason = Reason.INTERNAL) -> Reason:
    """Return the reason that an answer names; one that only a newer service knows is told by the answer's status."""
    try:
        return Reason(str(word))
    except ValueError:
        return _REASON_OF.get(status, otherwise)


class Refusal(Exception):  # noqa: N818 - a refusal is an answer, not an error of the program
    """A request that is not granted.

    Parameters
    ----------
    reason
        From the closed set.
    message
        One sentence: what is wrong.
    hint
        One sentence: what to do. May be empty.
    field
        The key of the request it is about, so that a form can show it there.
    """

    def __init__(self, reason: Reason, message: str, hint: str = "", *, field: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.hint = hint
        self.field = field

    @property
    def status(self) -> int:
        """The HTTP status that goes with the reason."""
        return STATUS[self.reason]

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()
