"""Presets: choices that the form offers ready-made."""

from __future__ import annotations

from pydantic import Field

from aiinfn_hub.contract.units import Duration

from .fields import (
    Name,
    Section,
)


class Preset(Section):
    """A choice with a name, above the cards of the form: it fills the form in. People to whom the gate would not grant it do not see it.

    What it leaves out is the usual one of who uses it.
    """

    title: str = Field(min_length=1, max_length=60, description="Its name on the form.")
    description: str = Field(default="", max_length=200, description="What it is for, in one line.")
    accelerator: Name | None = Field(default=None, description="Accelerator; `none` stands for CPU only.")
    count: int | None = Field(default=None, ge=1, description="How many of them. Default: 1.")
    image: Name | None = Field(default=None, description="Image.")
    size: Name | None = Field(default=None, description="Size.")
    project: Name | None = Field(
        default=None, description="Project. Default: the first of the person's that may."
    )
    time_limit: Duration | None = Field(
        default=None, description="After what time the session ends. Default: `limits.session_default`."
    )
