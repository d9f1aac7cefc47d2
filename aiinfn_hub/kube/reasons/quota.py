"""Whether a ResourceQuota could ever take in what was refused, out of the API server's sentence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

_UNITS: Final = {
    "": Decimal(1),
    "n": Decimal(10) ** -9,
    "u": Decimal(10) ** -6,
    "m": Decimal(10) ** -3,
    **{unit: Decimal(1000) ** power for power, unit in enumerate("kMGTPE", 1)},
    **{f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", 1)},
}
_AMOUNT: Final = re.compile(r"(\d+(?:\.\d+)?(?:[eE][+-]?\d{1,2})?)([A-Za-z]{0,2})")


def exceeds_by_itself(found: Mapping[str, str]) -> bool:
    """Return whether more was requested than a quota allows in all, so that waiting for others cannot help.

    Parameters
    ----------
    found
        ``requested`` and ``limited``, as in ``exceeded quota: q, requested: cpu=2,pods=1, used: ..., limited: cpu=1,pods=9``.
    """
    limited = _amounts(found["limited"])
    return any(
        name in limited and amount > limited[name] for name, amount in _amounts(found["requested"]).items()
    )


def _amounts(text: str) -> dict[str, Decimal]:
    """Read amounts by resource; one that cannot be read is left out."""
    amounts = {}
    for each in text.split(","):
        name, _, value = each.strip().partition("=")
        if (read := _AMOUNT.fullmatch(value)) and read[2] in _UNITS:
            amounts[name] = Decimal(read[1]) * _UNITS[read[2]]
    return amounts
