"""Lists in sentences for operators, of which the first few are named."""

from __future__ import annotations

from collections.abc import Sequence


def first_few(found: Sequence[object], most: int) -> str:
    """Return the first of some things with commas between them, and how many there are beside them."""
    shown = ", ".join(map(str, found[:most]))
    return f"{shown} and {len(found) - most} more" if len(found) > most else shown
