"""Keys of the platform file that have moved: files of the older form are read on, and ``aiinfn-hub check`` says what to write now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

Key = tuple[str | int, ...]

TOP: Final[dict[str, tuple[str, ...]]] = {"backend": ("sessions", "backend")}
"""The old keys at the top of the file, and where each stands now."""
MOVED: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "accelerators": {
        "resource": ("kubernetes", "resource"),
        "node_labels": ("kubernetes", "node_labels"),
        "tolerations": ("kubernetes", "tolerations"),
        "quota": ("kubernetes", "quota"),
        "product": ("local", "product"),
        "simulated": ("local", "simulated"),
    },
    "images": {
        "reference": ("kubernetes", "reference"),
        "environment": ("kubernetes", "environment"),
        "local_prefix": ("local", "prefix"),
    },
    "storage": {
        "kind": ("use",),
        "volume": ("kubernetes", "volume"),
        "sub_path": ("kubernetes", "sub_path"),
        "path": ("local", "path"),
    },
}
"""The old keys of the parts of a section, and where in the same part each stands now."""
_IMPLIED: Final = {
    ("storage", "volume"): (("kubernetes", "kind"), "volume"),
    ("storage", "path"): (("local", "kind"), "folder"),
}
"""What an old key says besides its own value."""


@dataclass(frozen=True, slots=True)
class Move:
    """A key that stands where older files have it.

    Attributes
    ----------
    old, new
        Where it stands, and where it should.
    remedy
        What to write now.
    conflict
        Whether the new key is there too; the old one was left out then.
    """

    old: Key
    new: Key
    remedy: str
    conflict: bool = False


def modernised(data: Mapping[Any, Any]) -> tuple[dict[Any, Any], list[Move]]:
    """Return a platform file, as YAML gives it, with each key where it stands now; anything may be wrong with it."""
    result, moves = _moved(data, TOP)
    for section, moved in MOVED.items():
        parts = data.get(section)
        if not isinstance(parts, Mapping):
            continue
        result[section] = dict(parts)
        for name, part in parts.items():
            if isinstance(part, Mapping) and not moved.keys().isdisjoint(part):
                result[section][name], found = modernised_part(section, part)
                at: Key = (section, str(name))
                moves += [
                    Move((*at, *each.old), (*at, *each.new), each.remedy, each.conflict) for each in found
                ]
    return result, moves


def modernised_part(section: str, part: Mapping[Any, Any]) -> tuple[dict[Any, Any], list[Move]]:
    """Return one part of a section, such as one accelerator, with each key where it stands now."""
    return _moved(part, MOVED[section], section)


def _moved(
    part: Mapping[Any, Any], moved: Mapping[str, tuple[str, ...]], section: str = ""
) -> tuple[dict[Any, Any], list[Move]]:
    result = {key: value for key, value in part.items() if key not in moved}
    moves = []
    for old, new in moved.items():
        if old not in part:
            continue
        conflict = not _put(result, new, part[old])
        moves.append(Move((old,), new, _remedy(section, old, part[old], new), conflict))
        if not conflict and (implied := _IMPLIED.get((section, old))):
            _put(result, *implied)
    return result, moves


def _put(part: dict[Any, Any], key: tuple[str, ...], value: Any) -> bool:
    """Put a value where it belongs; return False, and change nothing, if something is there."""
    *above, last = key
    holder: Any = part
    for name in above:
        inner = holder.get(name, {})
        if not isinstance(inner, Mapping) or last in inner:
            return False
        holder[name] = holder = dict(inner)
    if last in holder:
        return False
    holder[last] = value
    return True


def _remedy(section: str, old: str, value: Any, new: tuple[str, ...]) -> str:
    now = ".".join(new)
    if (section, old) == ("storage", "volume"):
        claim = value.get("persistentVolumeClaim") if isinstance(value, Mapping) else None
        if isinstance(claim, Mapping) and set(claim) == {"claimName"} and isinstance(claim["claimName"], str):
            return f"write kubernetes: {{kind: claim, claim: {claim['claimName'][:60]}}} instead"
        return "write kubernetes: {kind: volume, volume: ...} instead, with the same volume"
    if (section, old) == ("storage", "path") and isinstance(value, str):
        return f"write local: {{kind: folder, path: {value[:60]}}} instead"
    return f"this key is now {now}"
