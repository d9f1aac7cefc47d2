"""Images: the environments of sessions and jobs."""

from __future__ import annotations

from pydantic import Field

from .fields import (
    GROUPS,
    EnvironmentName,
    GroupPath,
    Name,
    Section,
)


class Image(Section):
    """An environment: an OCI image on Kubernetes, an interpreter prefix on the local back end."""

    title: str = Field(min_length=1, max_length=80, description="Its name on the form.")
    reference: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._/:@-]*$",
        description="OCI image reference, e.g. `harbor.example.org/ai/standard:2026.11`. A digest keeps it the same for good.",
    )
    description: str = Field(default="", max_length=200, description="What is in it, in one line.")
    groups: tuple[GroupPath, ...] | None = Field(default=None, description=GROUPS)
    local_prefix: str | None = Field(
        default=None,
        description="Local back end: `sys.prefix` of the Python environment to use. Default: the hub's own.",
    )
    accelerators: tuple[Name, ...] | None = Field(
        default=None,
        description="Accelerators it is built for; `none` stands for CPU only. Default: all of them, and none.",
    )
    environment: dict[EnvironmentName, str] = Field(
        default_factory=dict,
        description="Kubernetes: environment variables of its sessions and jobs, e.g. PATH. People can read them: no secrets.",
    )
