"""The HTTP API of the server extension; docs/lab-api.md describes it."""

from __future__ import annotations

from .base import Handler
from .check import CheckHandler
from .files import FolderHandler, InspectHandler
from .jobs import (
    ActionHandler,
    BulkHandler,
    EventsHandler,
    JobHandler,
    JobsHandler,
    PointsHandler,
    ResourcesHandler,
    SweepHandler,
)
from .kernel_state import KernelStateHandler
from .logs import LogsHandler
from .platform import PlatformHandler, QueuesHandler, StatusHandler, UsageHandler
from .session import LabSessionTimeHandler

_ID = r"(?P<job>[A-Za-z0-9][A-Za-z0-9_-]{0,63})"


def routes() -> list[tuple[str, type[Handler]]]:
    """Addresses below the server's base URL, with what answers there."""
    return [
        (r"/aiinfn-lab/status", StatusHandler),
        (r"/aiinfn-lab/session-time", LabSessionTimeHandler),
        (r"/aiinfn-lab/platform", PlatformHandler),
        (r"/aiinfn-lab/queues", QueuesHandler),
        (r"/aiinfn-lab/usage", UsageHandler),
        (r"/aiinfn-lab/inspect", InspectHandler),
        (r"/aiinfn-lab/folder", FolderHandler),
        (r"/aiinfn-lab/sweep", SweepHandler),
        (r"/aiinfn-lab/check", CheckHandler),
        (r"/aiinfn-lab/kernel-state", KernelStateHandler),
        (r"/aiinfn-lab/jobs", JobsHandler),
        (r"/aiinfn-lab/jobs/bulk", BulkHandler),
        (rf"/aiinfn-lab/jobs/{_ID}", JobHandler),
        (rf"/aiinfn-lab/jobs/{_ID}/(?P<action>cancel|rerun)", ActionHandler),
        (rf"/aiinfn-lab/jobs/{_ID}/events", EventsHandler),
        (rf"/aiinfn-lab/jobs/{_ID}/points", PointsHandler),
        (rf"/aiinfn-lab/jobs/{_ID}/resources", ResourcesHandler),
        (rf"/aiinfn-lab/jobs/{_ID}/logs", LogsHandler),
    ]
