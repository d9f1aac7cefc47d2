"""Names in the cluster: labels, annotations, and what people's names become in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiinfn_hub.platform.slugs import slug as slug  # noqa: PLC0414 - for those who name objects

FIELD_MANAGER: Final = "aiinfn"
"""Under this name the suite applies objects server-side; what somebody else manages is left alone."""

QUEUE_LABEL: Final = "kueue.x-k8s.io/queue-name"
QUEUE_PRIORITY_LABEL: Final = "kueue.x-k8s.io/priority-class"
MANAGED_NAMESPACE_LABEL: Final = "kueue-managed"
"""On the namespace of batch only: Kueue's webhooks look for it, so a dead Kueue blocks no session."""
HOSTNAME_LABEL: Final = "kubernetes.io/hostname"
VIRTUAL_NODE_LABELS: Final = {"type": "virtual-kubelet", "virtual-node.interlink/type": "virtual-kubelet"}
"""A node with one of these stands for a remote site: no session can run there."""

SESSION_PRIORITY_CLASS: Final = "aiinfn-session"
BATCH_PRIORITY_CLASS: Final = "aiinfn-batch"
"""Of pods: who may be evicted for whom. The order of the queue is a separate knob, `queue_priority_class`."""

_LONGEST: Final = 63
"""Of a DNS label, and of a label's value."""


@dataclass(frozen=True, slots=True)
class Labels:
    """Keys of labels and annotations under the platform's prefix.

    A label holds the slug of a name, an annotation of the same key the name itself.
    """

    prefix: str = "ai.infn.it"

    @property
    def kind(self) -> str:
        """``session`` or ``job``, on every pod of the suite."""
        return f"{self.prefix}/kind"

    @property
    def user(self) -> str:
        """Who it belongs to."""
        return f"{self.prefix}/user"

    @property
    def project(self) -> str:
        """Which project it counts for."""
        return f"{self.prefix}/project"

    @property
    def accelerator(self) -> str:
        """Name in the platform file; ``none`` for CPU only."""
        return f"{self.prefix}/accelerator"

    @property
    def count(self) -> str:
        """Number of devices."""
        return f"{self.prefix}/count"

    @property
    def job(self) -> str:
        """Id of the batch job."""
        return f"{self.prefix}/job"

    @property
    def session(self) -> str:
        """The session's id at vkd; the label holds its slug."""
        return f"{self.prefix}/session"

    @property
    def until(self) -> str:
        """Annotation of a session's pod: when it ends at the latest, ISO 8601 in UTC."""
        return f"{self.prefix}/until"

    @property
    def run_spec(self) -> str:
        """Annotation of a job's pods: the `RunSpec` as JSON, which the runner reads through the downward API."""
        return f"{self.prefix}/run-spec"

    def account_file(self, name: str) -> str:
        """Annotation of every pod: the text of one of its account files, which it has through the downward API."""
        return f"{self.prefix}/{name}"

    @property
    def managed(self) -> str:
        """On everything that ``aiinfn-hub kueue apply`` made; only what has it is ever pruned."""
        return f"{self.prefix}/managed"


def local_queue(queue: str, project: str) -> str:
    """Name the LocalQueue in which the jobs of a project wait in a queue of the platform."""
    # A name of the platform file has no slash, so two pairs never get one name.
    return slug(f"{queue}/{project}")


def cluster_queue(queue: str) -> str:
    """Name the ClusterQueue of a queue of the platform."""
    return _ours(queue)


def flavor(accelerator: str) -> str:
    """Name the ResourceFlavor of an accelerator, or of ``none``: processor cores and memory alone."""
    return _ours(accelerator)


def queue_priority_class(queue: str) -> str:
    """Name the WorkloadPriorityClass of a queue of the platform."""
    return _ours(queue)


def _ours(name: str) -> str:
    """Set the names of objects that no namespace holds apart; a name that is also a label's value has 63 letters."""
    found = f"aiinfn-{slug(name)}"
    return found if len(found) <= _LONGEST else slug(found)


def job_name(job_id: str) -> str:
    """Name the Job object of a batch job; there is one for all its attempts."""
    return f"job-{job_id}"
