"""Whose access was withdrawn, as the hub tells it vkd."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from .base import Answer, Open, Request

_Owner = Annotated[str, Field(min_length=1, max_length=255)]


class HoldReason(StrEnum):
    """Why jobs are held."""

    WITHDRAWN = "withdrawn"
    """No group lets their owner in any more."""
    UNCONFIRMED = "unconfirmed"
    """IAM does not take the owner's tokens any more: suspended, deleted, or to be signed in again."""
    PROJECT = "project"
    """Their owner left the project."""


class Hold(Request):
    """Jobs that do not run until their owner has the access again."""

    owner: _Owner
    project: str = Field(default="", max_length=63, description="Empty: all projects.")
    reason: HoldReason = HoldReason.WITHDRAWN
    stop: bool = Field(
        default=False, description="Whether running jobs are stopped and held too; else only those that wait."
    )


class AccessUpdate(Request):
    """All holds that there are from now on; those that are not named any more are lifted."""

    holds: list[Hold] = Field(max_length=10_000)


class HoldReading(Answer):
    """A `Hold` that is in force."""

    owner: str
    project: str
    reason: Open[HoldReason]
    stop: bool


class AccessReading(Answer):
    """Who has jobs that are not over, and which of them are held."""

    holds: list[HoldReading]
    jobs: dict[str, list[str]] = Field(description="The projects of the unfinished jobs, by owner.")
