"""How a refusal is written in an answer."""

from __future__ import annotations

from .base import Answer


class Problem(Answer):
    """Every error of the API: a reason from `problem.Reason`, one sentence, and what to do."""

    reason: str
    message: str
    hint: str = ""
    field: str | None = None
