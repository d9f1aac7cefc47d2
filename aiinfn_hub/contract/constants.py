"""Names, limits and places that both halves of the suite agree on. Needs nothing but Python."""

from __future__ import annotations

from typing import Final

API_VERSION: Final = "v1"
"""Version of vkd's API: within it no name is removed or renamed."""
PREFIX: Final = f"/api/{API_VERSION}"
"""Start of all paths of vkd's API below vkd's own root, which behind JupyterHub is ``/services/vkd``."""
SNAPSHOT_ROOT: Final = ".aiinfn/jobs"
"""Folder in the person's home under which inputs are snapshotted; relative to the home."""
CHECKPOINTS: Final = ".aiinfn/checkpoints"
"""Folder in the person's home with one for each job that is not over, kept from one attempt to the next."""
RECORD_SEPARATOR: Final = "\x1e"
"""Starts a `RunnerRecord` in a job's standard output (RFC 7464); it ends with the line, and log text goes on behind it."""
TOOK_OVER: Final = "aiinfn-took-over"
"""Id and tag of the cell in a result that says where the job took over from a session."""

MOST_LABELS: Final = 10
"""Labels that one job may have."""
MOST_POINTS: Final = 1000
"""Points that one sweep may have."""
MOST_RESOURCE_POINTS: Final = 240
"""Points of an attempt's resource use that are kept; of longer attempts each stands for more time."""
MOST_REVOKED_TOKENS: Final = 1000
"""Tokens that one message about revoked ones names."""
MOST_STARTUP_STEPS: Final = 30
"""Messages about the start of one attempt that are kept."""
MOST_TOGETHER: Final = 500
"""Jobs that one request may be about."""
