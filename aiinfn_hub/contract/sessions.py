"""What the hub tells vkd of sessions: their devices, and tokens that are no longer valid."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from .base import Answer, Open, Request
from .constants import MOST_REVOKED_TOKENS


class ClaimRequest(Request):
    """Body of ``PUT claims/{session_id}``, sent by the hub when a session with an accelerator starts.

    ``pid`` and ``pid_started`` are sent by a second PUT once the session runs, so that vkd notices its end even
    while the hub is down.
    """

    owner: str
    project: str
    accelerator: str
    count: int = Field(ge=1)
    until: datetime
    """When the session ends at the latest."""
    pid: int | None = None
    pid_started: float | None = None
    """Start of that process, seconds since the epoch, as psutil gives it."""


class ClaimState(StrEnum):
    """How far a session's claim is."""

    GRANTED = "granted"
    MAKING_ROOM = "making_room"
    """Batch jobs were told to stop."""
    WAITING = "waiting"
    """Everything is in use by sessions."""


class Claim(Answer):
    """A session's hold on devices."""

    id: str
    state: Open[ClaimState]
    sentence: str
    devices: list[str] = Field(default_factory=list)
    """Device ids, once granted."""
    environment: dict[str, str] = Field(default_factory=dict)
    """What the session's process gets, e.g. CUDA_VISIBLE_DEVICES."""
    position: int | None = None
    """Place among waiting sessions, from 1."""


class TokenRevocation(Request):
    """Body of ``POST token-revocations``, sent by the hub when it deletes tokens before their time."""

    token_ids: list[Annotated[str, Field(max_length=64)]] = Field(max_length=MOST_REVOKED_TOKENS)
