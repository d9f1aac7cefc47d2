"""What a supervisor writes down of an attempt's end, and which ends may have been asked for. Needs nothing but Python."""

from __future__ import annotations

import signal
from typing import Final

SUPERVISOR_KILLED: Final = "supervisor_killed"
SUPERVISOR_FAILED: Final = "supervisor_failed"

_TOLD_TO_STOP: Final = frozenset({signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGHUP})
_RUNNER_STOPPED: Final = 75
"""The runner's exit code when it was told to stop."""


def ends_as_told(code: int | None, number: int | None) -> bool:
    """Return whether a job with this exit code, or ended by this signal, may have been told to end by somebody."""
    codes = {_RUNNER_STOPPED, *(128 + each for each in _TOLD_TO_STOP)}
    return code in codes or number in _TOLD_TO_STOP
