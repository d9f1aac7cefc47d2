"""Names in the cluster: labels, annotations, and what people's names become in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.slugs import slug as slug  # noqa: PLC0414 - for those who name objects

FIRST_INSTANCE: Final = "aiinfn"
"""What a platform without an instance name of its own was called by older versions: their objects are this instance's."""
FIRST_MARK: Final = "true"
"""Value of the label `Labels.managed` on the objects of those versions."""
_FIELD_MANAGER: Final = "aiinfn"

QUEUE_LABEL: Final = "kueue.x-k8s.io/queue-name"
QUEUE_PRIORITY_LABEL: Final = "kueue.x-k8s.io/priority-class"
MANAGED_NAMESPACE_LABEL: Final = "kueue-managed"
"""On the namespace of batch only: Kueue's webhooks look for it, so a dead Kueue blocks no session."""
HOSTNAME_LABEL: Final = "kubernetes.io/hostname"
VIRTUAL_NODE_LABELS: Final = {"type": "virtual-kubelet", "virtual-node.interlink/type": "virtual-kubelet"}
"""A node with one of these stands for a remote site: no session can run there."""

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
        """Holds the instance's name, on everything that ``aiinfn-hub kueue apply`` made and on every pod."""
        return f"{self.prefix}/managed"


@dataclass(frozen=True, slots=True)
class Instance:
    """One platform among those of a cluster, and its names for what no namespace holds.

    Attributes
    ----------
    name
        Also the value of `Labels.managed`.
    """

    name: str

    @classmethod
    def of(cls, platform: Platform) -> Self:
        """Return the instance that a platform file describes."""
        return cls(platform.kubernetes.instance_name)

    @property
    def field_manager(self) -> str:
        """Under this name objects are applied server-side; what somebody else manages is left alone."""
        return _FIELD_MANAGER if self.name == FIRST_INSTANCE else f"{_FIELD_MANAGER}-{self.name}"

    @property
    def marks(self) -> tuple[str, ...]:
        """Values of `Labels.managed` on its objects."""
        return (self.name, FIRST_MARK) if self.name == FIRST_INSTANCE else (self.name,)

    @property
    def topology(self) -> str:
        """Name of the Topology."""
        return self.name

    @property
    def cohort(self) -> str:
        """Name of the Cohort that holds the quota."""
        return self.name

    @property
    def session_priority_class(self) -> str:
        """Name of the PriorityClass of sessions' pods: who may be evicted for whom."""
        return self._own("session")

    @property
    def batch_priority_class(self) -> str:
        """Name of the PriorityClass of jobs' pods; the order of a queue is a separate knob, `queue_priority_class`."""
        return self._own("batch")

    def cluster_role(self, account: str) -> str:
        """Name the ClusterRole of a service account, and its binding."""
        return self._own(account)

    def cluster_queue(self, queue: str) -> str:
        """Name the ClusterQueue of a queue of the platform."""
        return self._own(queue)

    def flavor(self, accelerator: str) -> str:
        """Name the ResourceFlavor of an accelerator, or of ``none``: processor cores and memory alone."""
        return self._own(accelerator)

    def queue_priority_class(self, queue: str) -> str:
        """Name the WorkloadPriorityClass of a queue of the platform."""
        return self._own(queue)

    def _own(self, name: str) -> str:
        """Put the instance before a name; one that is also a label's value has 63 letters."""
        found = f"{self.name}-{slug(name)}"
        return found if len(found) <= _LONGEST else slug(found)


def instance_of_manager(manager: str) -> str | None:
    """Return the instance that applies objects under the name of a field manager; None for everybody else's."""
    if manager == _FIELD_MANAGER:
        return FIRST_INSTANCE
    name = manager.removeprefix(f"{_FIELD_MANAGER}-")
    return name if name != manager else None


def local_queue(queue: str, project: str) -> str:
    """Name the LocalQueue in which the jobs of a project wait in a queue of the platform."""
    # A name of the platform file has no slash, so two pairs never get one name.
    return slug(f"{queue}/{project}")


def job_name(job_id: str) -> str:
    """Name the Job object of a batch job; there is one for all its attempts."""
    return f"job-{job_id}"
