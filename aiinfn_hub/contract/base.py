"""What the models of the contract have in common: requests are strict, answers are tolerant.

Whoever reads a request is the newest part of the platform, so an unknown key in it is a mistake, and is refused. Whoever reads
an answer may be older than who wrote it: user images are pinned for months. So answers drop keys that they do not know, and
their closed sets of words are `Open`: a word that is not in the set is kept as the text that it is.
"""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field


class Request(BaseModel):
    """Body of a request: what it does not name is refused."""

    model_config = ConfigDict(extra="forbid")


class Answer(BaseModel):
    """Answer to a request: what it does not name is left out, for it comes from a newer service."""

    # All keys are always sent, so that the published schema promises them.
    model_config = ConfigDict(extra="ignore", json_schema_serialization_defaults_required=True)


T = TypeVar("T")

Open = Annotated[T | str, Field(union_mode="left_to_right")]
"""A word out of a set of an answer, or a newer one, as text: ``Open[JobState]``."""
