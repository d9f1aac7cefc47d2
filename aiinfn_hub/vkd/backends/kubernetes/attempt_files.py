"""What the back end keeps on disk: which pods were a job's attempts, and the logs of the attempts.

``jobs/JOB/job.json`` is small and written before anything that it says is told, so that a vkd that was killed counts the
same attempts afterwards. ``jobs/JOB/ATTEMPT/`` has ``log``, ``records.json``, ``resources.json`` and
``archive.json``.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from aiinfn_hub.vkd.backends.common.attempt_files import JobFolders
from aiinfn_hub.vkd.backends.common.system import write_atomically


@dataclass(slots=True)
class AttemptNote:
    """What is kept of a job.

    Attributes
    ----------
    created
        Its Job was made in the cluster.
    attempts
        Uids of its pods, in their order.
    yielded
        Those of them that were told to make room for a session.
    over
        Its end was told, or is about to be.
    remake
        Its Job is to be deleted and made anew, since Kubernetes ended it for a fault of the cluster.
    first
        It had its turn already: its new Workload goes before those of its queue that wait.
    avoid
        Nodes that its Job keeps off.
    restarts, boot
        How often a node was restarted under it, and the boot id of the node of its attempt.
    """

    created: bool = False
    attempts: list[str] = field(default_factory=list)
    yielded: list[str] = field(default_factory=list)
    over: bool = False
    remake: bool = False
    first: bool = False
    avoid: list[str] = field(default_factory=list)
    restarts: int = 0
    boot: str = ""


class KubernetesFiles(JobFolders):
    """The folder ``vkd/kueue`` in the data folder."""

    def __init__(self, data: Path) -> None:
        self.root = data.absolute() / "vkd" / "kueue"
        self.jobs = self.root / "jobs"

    def prepare(self) -> None:
        """Make the folders, private to vkd's account: logs are people's."""
        for folder in (self.root.parent, self.root, self.jobs):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.root.parent.chmod(0o700)  # it may be older than this, and also holds the store

    def load(self, job_id: str) -> AttemptNote:
        """Read what is kept of a job; nothing if there is nothing, or it cannot be read."""
        with contextlib.suppress(OSError, ValueError, TypeError):
            return AttemptNote(**json.loads((self.job(job_id) / "job.json").read_bytes()))
        return AttemptNote()

    def save(self, job_id: str, note: AttemptNote) -> None:
        """Keep a note. Blocks.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        folder = self.job(job_id)
        folder.mkdir(exist_ok=True, mode=0o700)
        write_atomically(str(folder / "job.json"), asdict(note))
