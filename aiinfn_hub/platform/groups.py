"""IAM groups as text: the one normal form that sign-in, the platform file and ``aiinfn-hub explain`` share."""

from __future__ import annotations

import re
from typing import Final

from . import characters

LONGEST_GROUP: Final = 255
"""Characters; what JupyterHub's database takes. Sign-in leaves longer ones out."""
_ENDS: Final = re.compile(r"\A[\s/]+|[\s/]+\Z")


def normalised(text: str) -> str:
    """Return a group as its whole path without slashes and spaces at its ends.

    It is empty if nothing is left, or if the path holds a character that cannot be seen, which makes it look like another one.
    """
    path = _ENDS.sub("", text)
    return "" if characters.forbidden(path) else path
