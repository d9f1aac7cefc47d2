"""What the hub granted this session, as its server's environment tells it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

INHERITED: Final = ("project", "image", "size")
"""What a job gets from its session if the request does not say otherwise."""


@dataclass(frozen=True)
class Session:
    """The session this server is; everything is None where the platform did not start it."""

    person: str | None = None
    project: str | None = None
    accelerator: str | None = None
    count: int | None = None
    image: str | None = None
    size: str | None = None
    end: str | None = None
    """ISO 8601, UTC."""
    certain_until: str | None = None
    """Until then the end stays where it is; ISO 8601, UTC."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Session:
        """Read the variables that the spawner sets."""
        count = environment.get("AIINFN_COUNT", "")
        return cls(
            person=environment.get("JUPYTERHUB_USER") or None,
            project=environment.get("AIINFN_PROJECT") or None,
            accelerator=environment.get("AIINFN_ACCELERATOR") or None,
            count=int(count) if re.fullmatch(r"\d{1,6}", count) else None,
            image=environment.get("AIINFN_IMAGE") or None,
            size=environment.get("AIINFN_SIZE") or None,
            end=environment.get("AIINFN_SESSION_END") or None,
            certain_until=environment.get("AIINFN_SESSION_END_CERTAIN_UNTIL") or None,
        )

    def as_json(self) -> dict[str, Any]:
        """Return what the browser may know."""
        values = asdict(self)
        values.pop("person")
        values.pop("certain_until")
        return values
