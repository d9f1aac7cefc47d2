"""Storage in a PersistentVolumeClaim."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from aiinfn_hub.platform.model.fields import Folder

from .base import ANYBODY, StorageSource, Whose


class ClaimStorage(StorageSource):
    """Storage of kind `claim`: a PersistentVolumeClaim, one for everybody or one for each person or project.

    The claims are there already; nothing makes them. One belongs to a namespace, so each is in that of sessions and in that of batch.
    """

    kind: Literal["claim"] = Field(description="It is a PersistentVolumeClaim.")
    claim: str = Field(
        min_length=1,
        max_length=253,
        description="Name of the claim, e.g. `homes` or `home-{person}`; `{person}` and `{project}` become their slugs.",
    )
    sub_path: Folder | None = Field(
        default=None,
        description="Folder in the claim; `{person}` and `{project}` become their slugs. The kubelet makes it like the top folder, "
        "which `kubernetes.group_id` must therefore be able to write to.",
    )

    @field_validator("claim")
    @classmethod
    def _one_name(cls, value: str) -> str:
        if "{" in ANYBODY.fill(value):
            raise ValueError(
                f"'{value[:60]}' has another name in braces than {{person}} and {{project}}; write for example home-{{person}}"
            )
        return value

    def pod_volume(self, whose: Whose) -> dict[str, Any]:
        """Return the claim."""
        return {"persistentVolumeClaim": {"claimName": whose.fill(self.claim)}}

    def pod_mount(self, whose: Whose) -> dict[str, Any]:
        """Return the folder in the claim."""
        return {"subPath": whose.fill(self.sub_path)} if self.sub_path else {}

    def key_of(self, key: tuple[str | int, ...]) -> tuple[str | int, ...]:
        """Return where the claim's name stands."""
        return ("claim",)
