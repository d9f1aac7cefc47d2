"""Names that are safe as a folder, a DNS label, a label's value and the name of a Kubernetes object."""

from __future__ import annotations

import hashlib
import re
from typing import Final

_SLUG: Final = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?\Z")
_HASHED: Final = 32
"""Length of a slug that is not the name itself, as in kubespawner."""
_DIGEST: Final = 8


def slug(name: str) -> str:
    """Return the DNS label that stands for a name: the name itself where it is one, else a readable part and a hash.

    Two names never share a slug. A name with ``--`` is always hashed, because it could look like such a result.

    Notes
    -----
    This is ``kubespawner.slugs.safe_slug``, so that folders, labels and the names that kubespawner gives agree in both
    back ends. That module cannot be imported without the whole of kubespawner and its Kubernetes client (some 40 MB),
    which vkd has no room for and the local back end no use for; a property test holds the two together.
    """
    if _SLUG.match(name) and "--" not in name:
        return name
    longest = _HASHED - _DIGEST - 3
    readable = re.sub(r"[^a-z0-9]+", "-", name.lower()).lstrip("-")[:longest].rstrip("-")
    if readable and not readable[0].isalpha():
        readable = f"x-{readable[: longest - 2]}"
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST]
    return f"{readable or 'x'}---{digest}"
