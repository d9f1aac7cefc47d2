"""Numbers, amounts of memory and lists of names, as the language that is spoken now writes them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from aiinfn_hub.contract.languages import ENGLISH

from .language import current, gettext, ngettext

SHOWN: Final = 5
"""Names that one sentence lists."""


def number(value: float) -> str:
    """Write a number with the signs of the language: ``50,000`` and ``3.1``, or ``50.000`` and ``3,1``."""
    if isinstance(value, int):
        return f"{value:,}" if current() == ENGLISH else _localized(str(value))
    return _localized(f"{value:g}")


def _localized(text: str) -> str:
    if current() == ENGLISH or not text[-1:].isdigit():  # infinite, or no number
        return text
    from babel.numbers import format_decimal  # noqa: PLC0415 - not needed for English

    return format_decimal(Decimal(text), locale=current(), decimal_quantization=False)


def bytes_in_words(size: int) -> str:
    """Write a number of bytes, such as ``3.1 MiB``."""
    if size < 1024:
        return ngettext("{size} byte", "{size} bytes", size).format(size=size)
    value, unit = float(size), ""
    for unit in ("KiB", "MiB", "GiB", "TiB"):  # noqa: B007 - the last one is used
        value /= 1024
        if value < 1024:
            break
    digits = f"{value:.0f}" if value >= 100 else f"{value:.2g}" if value < 10 else f"{value:.3g}"
    return f"{_localized(digits)} {unit}"


def names_in_words(names: Sequence[object]) -> str:
    """List names, of which a sentence shows the first few."""
    shown = ", ".join(str(name) for name in names[:SHOWN])
    more = len(names) - SHOWN
    if more <= 0:
        return shown
    return gettext("{names} and {number} more").format(names=shown, number=number(more))
