"""Values that a job records, to be seen beside it and in the table of its sweep: ``aiinfn_lab.record(loss=0.12)``.

Any language can do the same: ``AIINFN_RECORDS`` names a file, and each line appended to it is a JSON object of values,
for example ``echo '{"loss": 0.12}' >> "$AIINFN_RECORDS"``.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Mapping
from typing import Any, Final

from aiinfn_hub.contract.runner import Scalar

RECORDS: Final = "AIINFN_RECORDS"
"""Environment variable with the path of the file; not set outside of a job."""
LONGEST_TEXT: Final = 500
LONGEST_LINE: Final = 64 * 1024


def record(**values: Any) -> None:
    """Record values of this job; later ones replace earlier ones of the same name.

    Outside of a job nothing happens, so that the same notebook runs in a session.

    Parameters
    ----------
    **values
        Numbers, texts or booleans; what has an ``item()`` that gives one, as NumPy's and PyTorch's scalars, is taken too.

    Raises
    ------
    TypeError
        For anything else.
    """
    line = json.dumps({name: _plain(name, value) for name, value in values.items()})
    path = os.environ.get(RECORDS)
    if path and values:
        try:
            with open(path, "ab", buffering=0) as file:  # noqa: PTH123 - one unbuffered write, so that lines do not mix
                file.write(line.encode() + b"\n")
        except OSError as error:
            # What the job is there for goes on: a full disk costs a figure beside it, and says so.
            sys.stderr.write(f"record(): not recorded: {error.strerror}\n")


def _plain(name: str, value: Any) -> Scalar:
    if not isinstance(value, (bool, int, float, str)) and value is not None and hasattr(value, "item"):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return _cell(value)
    raise TypeError(
        f"record({name}=...): a number, a text or a boolean is expected, not {type(value).__name__}."
    )


def _cell(value: Scalar) -> Scalar:
    """Return what JSON and a table can hold: infinities and NaN as words, no endless text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str):
        return storable(value)[:LONGEST_TEXT]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 2**53:
        try:
            return float(value)
        except OverflowError:
            # Python itself writes no number of more than 4,300 digits as text.
            return f"about {'-' if value < 0 else ''}1e+{int(math.log10(abs(value)))}"
    return value


def storable(text: str) -> str:
    """Write text so that it can be kept and sent: what is no character is written as its number.

    The name of a file that is not UTF-8 has such: Python reads it with lone surrogates.
    """
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\x00")


def read(line: bytes) -> Mapping[str, Scalar]:
    """Read a line of the file; what is no object of values is left out."""
    try:
        # Decoded here: `json` would guess other encodings.
        found = json.loads(line.decode(errors="replace"))
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {
        storable(name)[:100]: _cell(value)
        for name, value in found.items()
        if name and (value is None or isinstance(value, (bool, int, float, str)))
    }
