"""The one exception of the client."""

from __future__ import annotations

from typing import Self

from aiinfn_hub.contract.problem import Refusal

TIMEOUT = "timeout"
"""Reason of an `AiinfnError` when `wait` ran out of time; all other reasons are those of the API."""


class AiinfnError(Exception):
    """What was asked for did not happen.

    Attributes
    ----------
    reason
        A word from `aiinfn_hub.contract.problem.Reason`, or ``timeout``.
    message
        One sentence: what is wrong.
    hint
        What to do.
    status
        HTTP status of the platform's answer; None if there was no answer or no question.
    field
        Key of the request that it is about, if it is about one.
    """

    def __init__(
        self,
        reason: str,
        message: str,
        hint: str = "",
        *,
        status: int | None = None,
        field: str | None = None,
    ) -> None:
        super().__init__(reason, message, hint)
        self.reason = str(reason)
        self.message = message
        self.hint = hint
        self.status = status
        self.field = field
        self.delivered = False
        """Whether the platform may have done it nevertheless."""
        self.foreign = False
        """Whether these are not the words of the platform, but of what stands before it."""

    @classmethod
    def of(cls, refusal: Refusal) -> Self:
        """Make one of a refusal that arose on this side."""
        return cls(refusal.reason, refusal.message, refusal.hint, field=refusal.field)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()
