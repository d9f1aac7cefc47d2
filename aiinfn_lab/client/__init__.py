"""The typed client of the batch service, for Python and for the command line.

    from aiinfn_lab import Client

    with Client() as client:
        job = client.submit("train.ipynb", accelerator="t4")
        (job,) = client.wait(job)

In a session nothing is to be set up; outside, ``aiinfn login`` or ``AIINFN_URL`` and ``AIINFN_TOKEN`` say where and who.
"""

from __future__ import annotations

from aiinfn_hub.contract.changes import BulkResult
from aiinfn_hub.contract.jobs import DryRun, HistoryEntry, Job
from aiinfn_hub.contract.platform import PlatformView, QueueChoice, Usage
from aiinfn_hub.contract.runner import Resources
from aiinfn_hub.contract.states import JobState
from aiinfn_hub.contract.sweeps import SweepPoint

from .aio import AsyncClient
from .errors import AiinfnError
from .logs import LogPart
from .options import Options
from .sync import Client

__all__ = [
    "AiinfnError",
    "AsyncClient",
    "BulkResult",
    "Client",
    "DryRun",
    "HistoryEntry",
    "Job",
    "JobState",
    "LogPart",
    "Options",
    "PlatformView",
    "QueueChoice",
    "Resources",
    "SweepPoint",
    "Usage",
]
