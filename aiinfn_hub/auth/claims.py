"""Read what IAM says about a person: user name and groups. Pure functions on decoded claims."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

from aiinfn_hub.platform import characters
from aiinfn_hub.platform.groups import LONGEST_GROUP, normalised

GROUP_CLAIMS: Final = ("groups", "wlcg.groups")
"""INDIGO IAM's own profile has ``groups`` without leading slashes, its WLCG profile ``wlcg.groups`` with them."""
ENTITLEMENT_CLAIMS: Final = ("entitlements", "eduperson_entitlement")
"""Where proxies that follow AARC put memberships, as URNs (AARC-G069, before it AARC-G002)."""

_KINDS: Final = {dict: "an object", bool: "a truth value", int: "a number", float: "a number", list: "a list"}
_ENTITLEMENT: Final = re.compile(
    r"urn:[^#]*?:group:(?P<groups>[^#=]+?)(?::role=(?P<role>[^:#]+))?(?:#.*)?\Z", re.IGNORECASE
)
_USERNAME: Final = re.compile(r"[^\s/\\\x00-\x1f\x7f]{1,200}\Z")


def username(claims: Mapping[str, Any], claim: str = "preferred_username") -> str | None:
    """Return the user name, or None if the claim is missing or cannot be a name."""
    value = claims.get(claim)
    if not isinstance(value, str) or not _USERNAME.match(value) or characters.forbidden(value):
        return None
    return value


def groups(claims: Mapping[str, Any]) -> frozenset[str]:
    """Return the groups as whole paths without leading slash.

    A plain string is one group: iterating over it would make each letter a group. Anything that is not text, or holds
    characters that cannot be seen, is left out, since a wrong group is worse than a missing one.
    """
    found = set(_texts(claims, GROUP_CLAIMS))
    for item in _texts(claims, ENTITLEMENT_CLAIMS):
        found |= entitlement(item)
    return frozenset(path for path in map(normalised, found) if path and len(path) <= LONGEST_GROUP)


def unusable(claims: Mapping[str, Any]) -> list[str]:
    """Return which of the claims about groups cannot be read, and how they are: a fault of the provider, not of the person."""
    found = []
    for name in GROUP_CLAIMS + ENTITLEMENT_CLAIMS:
        value = claims.get(name)
        if value is None or isinstance(value, str):
            continue
        if not isinstance(value, list | tuple):
            found.append(f"{name} is {_KINDS.get(type(value), 'of another kind')}, not a list of texts")
        elif wrong := [item for item in value if not isinstance(item, str)]:
            kind = _KINDS.get(type(wrong[0]), "of another kind")
            found.append(f"{name} is a list in which {len(wrong)} of {len(value)} are {kind}, not text")
    return found


def entitlement(urn: str) -> frozenset[str]:
    """Return the groups that an AARC entitlement stands for; none if it is about something else.

    ``urn:mace:infn.it:group:ai-infn:flavour:role=manager#iam.example.org`` is membership of ``ai-infn/flavour``, and the
    role is the group ``ai-infn/flavour/role=manager``; ``role=member`` says nothing more. The authority behind ``#`` is not
    looked at: that is the provider which the hub trusts with all its claims.
    """
    match = _ENTITLEMENT.match(urn.strip())
    if not match:
        return frozenset()
    names = [unquote(name) for name in match["groups"].split(":")]
    if any(not name.strip() or "/" in name for name in names):
        return frozenset()
    path = "/".join(names)
    role = unquote(match["role"] or "member")
    return (
        frozenset({path})
        if role.lower() == "member" or "/" in role
        else frozenset({path, f"{path}/role={role}"})
    )


def _texts(claims: Mapping[str, Any], names: tuple[str, ...]) -> list[str]:
    texts: list[str] = []
    for name in names:
        value = claims.get(name)
        if isinstance(value, str):
            texts.append(value)
        elif isinstance(value, list | tuple | set | frozenset):
            texts += [item for item in value if isinstance(item, str)]
    return texts
