"""Storage in a folder of the machine."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from aiinfn_hub.platform.model.fields import LocalPath

from .base import StorageSource, Whose


class FolderStorage(StorageSource):
    """Storage of kind `folder`: a folder of this machine, to which sessions and jobs find a link in the home.

    The link is named as the storage and, with `{project}`, the project. A pod cannot have it: the restricted Pod Security Standard forbids it.
    """

    not_in_a_pod: ClassVar[str] = (
        "the restricted Pod Security Standard forbids folders of a node in a pod; make it a PersistentVolume, "
        "and name its claim here as {kind: claim, claim: shares}"
    )

    kind: Literal["folder"] = Field(description="It is a folder of this machine.")
    path: LocalPath = Field(
        description="The folder as an absolute path; `{person}` and `{project}` become their slugs."
    )

    def local_folder(self, whose: Whose) -> str:
        """Return the folder."""
        return whose.fill(self.path)
