"""Read what IAM says about a person: user name and groups. Pure functions on decoded claims."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

GROUP_CLAIMS: Final = ("groups", "wlcg.groups")
"""INDIGO IAM's own profile has ``groups`` without leading slashes, its WLCG profile ``wlcg.groups`` with them."""

_USERNAME: Final = re.compile(r"[^\s/\\\x00-\x1f\x7f]{1,200}\Z")
_LONGEST_GROUP: Final = 255
"""What JupyterHub's database takes."""


def username(claims: Mapping[str, Any], claim: str = "preferred_username") -> str | None:
    """Give the user name, or None if the claim is missing or cannot be a name."""
    value = claims.get(claim)
    return value if isinstance(value, str) and _USERNAME.match(value) else None


def groups(claims: Mapping[str, Any]) -> frozenset[str]:
    """Give the groups as whole paths without leading slash.

    A plain string is one group: iterating over it would make each letter a group. Anything that is not text is left
    out, since a wrong group is worse than a missing one.
    """
    found: set[str] = set()
    for claim in GROUP_CLAIMS:
        value = claims.get(claim)
        if isinstance(value, str):
            value = [value]
        if isinstance(value, list | tuple | set | frozenset):
            found.update(item.strip().strip("/") for item in value if isinstance(item, str))
    return frozenset(path for path in found if path and len(path) <= _LONGEST_GROUP)
