"""What every kind of storage is: a model of its fields, and two projections that a session and a job share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final

from aiinfn_hub.platform.model.fields import Section

PERSON: Final = "{person}"
PROJECT: Final = "{project}"


@dataclass(frozen=True, slots=True)
class Whose:
    """For whom a storage is made ready.

    Attributes
    ----------
    person, project
        Slugs, which have no slash and no dot: nobody's name leads out of a folder.
    """

    person: str
    project: str

    def fill(self, template: str) -> str:
        """Return a template with the slugs in the places of ``{person}`` and ``{project}``."""
        return template.replace(PERSON, self.person).replace(PROJECT, self.project)


ANYBODY: Final = Whose("person", "project")
"""For checks, which ask whether there is a projection at all."""


class NoProjectionError(ValueError):
    """A back end cannot have a storage of this kind; the text says why and what to write instead."""


class StorageSource(Section):
    """Where the files of a storage are: the one interface of all kinds.

    A kind has a literal ``kind`` and answers at least one of `pod_volume` and `local_folder`; the texts below say why not the
    other. Both are pure: what they give is mounted by `aiinfn_hub.kube.objects.pods` and linked by
    `aiinfn_hub.storage.local_mounts`.
    """

    not_in_a_pod: ClassVar[str] = "no pod can have it"
    not_on_a_machine: ClassVar[str] = (
        "one machine has no such thing; write for example {kind: folder, path: /srv/shares}"
    )

    def pod_volume(self, whose: Whose) -> dict[str, Any]:
        """Return the volume as in a pod, without its name.

        Raises
        ------
        NoProjectionError
            If no pod can have it.
        """
        raise NoProjectionError(self.not_in_a_pod)

    def pod_mount(self, whose: Whose) -> dict[str, Any]:
        """Return what a pod's mount has besides name and place."""
        return {}

    def local_folder(self, whose: Whose) -> str:
        """Return the folder of this machine.

        Raises
        ------
        NoProjectionError
            If no machine by itself has it.
        """
        raise NoProjectionError(self.not_on_a_machine)

    @property
    def passing(self) -> str | None:
        """What the files go away with the pod in; None if they stay."""
        return None

    @property
    def read_only_by_nature(self) -> str | None:
        """What nobody can write to; None if files can be written."""
        return None

    def key_of(self, key: tuple[str | int, ...]) -> tuple[str | int, ...]:
        """Return the key in the platform file for one in the pod's volume, in which the cluster's rules find a fault."""
        return ()

    def is_one_for_each(self, template: str) -> bool:
        """Return whether it differs with the person or the project, as `PERSON` or `PROJECT` says."""
        return any(isinstance(value, str) and template in value for value in dict(self).values())
