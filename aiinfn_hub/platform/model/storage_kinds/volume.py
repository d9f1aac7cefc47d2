"""Storage in any volume that a pod may have."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import Field

from aiinfn_hub.platform.model.fields import Folder, VolumeSource

from .base import StorageSource, Whose

PASSING: Final = ("emptyDir", "ephemeral")
"""Volumes that go with the pod."""


class VolumeStorage(StorageSource):
    """Storage of kind `volume`: a volume in Kubernetes' own words, for what has no kind of its own here."""

    kind: Literal["volume"] = Field(default="volume", description="It is written as in a pod.")
    volume: VolumeSource | None = Field(
        default=None,
        description="The volume as in a pod, e.g. `{csi: {driver: nfs.csi.k8s.io}}`. Default: an emptyDir.",
    )
    sub_path: Folder | None = Field(
        default=None, description="Folder in the volume; `{person}` and `{project}` become their slugs."
    )

    def pod_volume(self, whose: Whose) -> dict[str, Any]:
        """Return the volume as it is written."""
        return {key: value for key, value in (self.volume or {"emptyDir": {}}).items() if key != "name"}

    def pod_mount(self, whose: Whose) -> dict[str, Any]:
        """Return the folder in the volume."""
        return {"subPath": whose.fill(self.sub_path)} if self.sub_path else {}

    @property
    def passing(self) -> str | None:
        """The volume that goes with the pod."""
        return self._source if self._source in PASSING else None

    @property
    def read_only_by_nature(self) -> str | None:
        """The volume that Kubernetes alone writes."""
        return None if self._source in {*PASSING, "persistentVolumeClaim", "csi"} else self._source

    @property
    def _source(self) -> str:
        return next(key for key in self.volume or {"emptyDir": {}} if key != "name")

    def key_of(self, key: tuple[str | int, ...]) -> tuple[str | int, ...]:
        """Return the same key below ``volume``."""
        return ("volume", *key)
