"""The table of the kinds of storage: a kind is its module and its line here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Union

from pydantic import Discriminator, Tag

from .base import StorageSource
from .claim import ClaimStorage
from .folder import FolderStorage
from .volume import VolumeStorage

STORAGE_KINDS: Final[dict[str, type[StorageSource]]] = {
    "claim": ClaimStorage,
    "folder": FolderStorage,
    "volume": VolumeStorage,
}


def _kind(value: Any) -> str | None:
    """Return the kind of what is written; files of an older form have a bare ``sub_path``."""
    if isinstance(value, StorageSource):
        return next(kind for kind, model in STORAGE_KINDS.items() if isinstance(value, model))
    if not isinstance(value, dict):
        return None
    kind = value.get("kind", "volume" if set(value) == {"sub_path"} else None)
    return kind if isinstance(kind, str) else None


if TYPE_CHECKING:
    AnyStorage = StorageSource
else:
    AnyStorage = Annotated[
        Union[tuple(Annotated[model, Tag(kind)] for kind, model in STORAGE_KINDS.items())],  # noqa: UP007 - of a table
        Discriminator(_kind),
    ]
"""A section of any kind, read by the model of its kind."""
