"""People whose user name is given free."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from .base import Answer, Request


class UserRelease(Request):
    """Body of ``POST users/{name}/release``, which only the hub sends.

    Attributes
    ----------
    released_as
        Whose the person's jobs are from now on: the name with something behind a slash, which no user name holds.
    dry_run
        Whether to say only what would be done.
    """

    released_as: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    dry_run: bool = False


class UserReleaseResult(Answer):
    """Answer of ``POST users/{name}/release``."""

    jobs: int
    """Jobs of the person that are kept under the other name."""
