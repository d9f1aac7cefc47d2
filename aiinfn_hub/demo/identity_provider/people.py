"""The accounts of the demonstration. Their groups are those of the demonstration's ``platform.yaml``."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any, Final

from aiinfn_hub.i18n.language import marked

_ORGANISATION: Final = "ai-infn-demo"


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """Somebody who can be chosen on the sign-in page.

    Attributes
    ----------
    who
        Their part on the platform, in one line.
    groups
        IAM group paths without leading slash.
    """

    username: str
    given_name: str
    family_name: str
    who: str
    groups: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Full name."""
        return f"{self.given_name} {self.family_name}"

    @property
    def claims(self) -> dict[str, Any]:
        """What userinfo says about this account; the subject stays the same over restarts."""
        return {
            "sub": str(uuid.uuid5(uuid.NAMESPACE_URL, f"https://demo.invalid/{self.username}")),
            "preferred_username": self.username,
            "name": self.name,
            "given_name": self.given_name,
            "family_name": self.family_name,
            "email": f"{self.username}@demo.invalid",
            "email_verified": True,
            "organisation_name": _ORGANISATION,
            "groups": list(self.groups),
        }


ACCOUNTS: Final = (
    DemoAccount("ada", "Ada", "Rossi", marked("Scientist in Flavour physics"), ("ai-infn/flavour",)),
    DemoAccount(
        "bruno",
        "Bruno",
        "Conti",
        marked("Scientist in two projects: Flavour physics and Medical physics"),
        ("ai-infn/flavour", "ai-infn/medphys"),
    ),
    DemoAccount(
        "carla",
        "Carla",
        "Ferri",
        marked("Manager of the project Flavour physics"),
        ("ai-infn/flavour", "ai-infn/flavour/managers"),
    ),
    DemoAccount(
        "dora", "Dora", "Greco", marked("Operator of the platform"), ("ai-infn/operators", "ai-infn/flavour")
    ),
    DemoAccount("nemo", "Nemo", "Vitale", marked("In no project: shows how somebody is turned away")),
)
"""Five people that cover what the platform tells apart."""
