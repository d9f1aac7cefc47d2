"""Images: the environments of sessions and jobs."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from .fields import (
    GROUPS,
    EnvironmentName,
    GroupPath,
    Name,
    Section,
)
from .moved_keys import modernised_part


class ImageOnKubernetes(Section):
    """The OCI image of an environment."""

    reference: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._/:@-]*$",
        description="OCI image reference, which pods need, e.g. `harbor.example.org/ai/standard:2026.11`. A digest keeps it the same for good.",
    )
    environment: dict[EnvironmentName, str] = Field(
        default_factory=dict,
        description="Environment variables of its sessions and jobs, e.g. PATH. People can read them: no secrets.",
    )


class ImageOnOneMachine(Section):
    """The Python environment that stands for an environment on one machine."""

    prefix: str | None = Field(
        default=None,
        description="`sys.prefix` of the Python environment to use. Default: the hub's own.",
    )


class Image(Section):
    """An environment: an OCI image on Kubernetes, an interpreter prefix on the local back end."""

    title: str = Field(min_length=1, max_length=80, description="Its name on the form.")
    description: str = Field(default="", max_length=200, description="What is in it, in one line.")
    groups: tuple[GroupPath, ...] | None = Field(default=None, description=GROUPS)
    accelerators: tuple[Name, ...] | None = Field(
        default=None,
        description="Accelerators it is built for; `none` stands for CPU only. Default: all of them, and none.",
    )
    kubernetes: ImageOnKubernetes = Field(
        default=ImageOnKubernetes(), description="Its OCI image; with that back end it is needed."
    )
    local: ImageOnOneMachine = Field(
        default=ImageOnOneMachine(), description="The Python environment that it is on one machine."
    )

    @model_validator(mode="before")
    @classmethod
    def _older_form(cls, data: Any) -> Any:
        """Read what an older version granted to a session or a job, and kept."""
        return modernised_part("images", data)[0] if isinstance(data, dict) else data
