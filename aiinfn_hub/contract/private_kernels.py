"""How the local back end tells sessions and jobs that other people of the machine must not reach their kernels."""

from __future__ import annotations

from typing import Final

VARIABLE: Final = "AIINFN_PRIVATE_KERNELS"
"""In the environment of sessions and jobs of the local back end. In a pod it is missing: loopback there is the pod's own."""
REQUIRED: Final = "required"
"""People have a uid each: a kernel that can only speak TCP in the clear is not started."""
PREFERRED: Final = "preferred"
"""All share a uid, so nothing is private among them: such a kernel is started, others are still hidden."""


def policy(separate: bool) -> str:
    """Return the variable's value, by whether people have a uid each."""
    return REQUIRED if separate else PREFERRED
