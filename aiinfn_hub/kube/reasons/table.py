"""The table of `aiinfn_hub.kube.reasons.pod_reasons`: what Kubernetes says -> what people read.

A rule names a code of :mod:`aiinfn_hub.i18n.message_catalogue`, whose sentence may use ``{what}`` (session or job), ``{devices}``,
``{accelerator}``, ``{choice}``, ``{size}``, ``{memory}``, ``{image}``, ``{image_size}``, and the named groups of the rule's message
pattern; ``resource`` and ``volume`` among these become words. A hint is a sentence with the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from aiinfn_hub.contract.problem import Reason
from aiinfn_hub.i18n.language import marked

_ANY: Final = re.compile("")
_TELL: Final = marked("Tell the operators of the platform.")
_AGAIN: Final = marked("Try again; if it stays, tell the operators of the platform.")
_FEWER: Final = marked("Choose a smaller size, fewer accelerators or another one.")


@dataclass(frozen=True, slots=True)
class ReasonRule:
    """One row; see `aiinfn_hub.kube.reasons.pod_reasons.Explanation` for what it becomes.

    Attributes
    ----------
    component
        Who says it; empty: anybody.
    reason
        Matches Kubernetes' own word in full.
    message, field_path
        Found anywhere in them.
    """

    component: str
    reason: re.Pattern[str]
    message: re.Pattern[str]
    step: str
    code: str
    hint: str = ""
    hopeless: Reason | None = None
    field: str | None = None
    field_path: re.Pattern[str] | None = None


def _rule(
    said: str,
    message: str,
    step: str,
    code: str,
    hint: str = "",
    *,
    hopeless: Reason | None = None,
    field: str | None = None,
) -> ReasonRule:
    """Make a row; ``said`` is ``component: reason``."""
    component, _, reason = said.rpartition(": ")
    pattern = re.compile(message, re.DOTALL) if message else _ANY
    return ReasonRule(component, re.compile(reason), pattern, step, code, hint, hopeless, field)


_SCHEDULING: Final = "default-scheduler: FailedScheduling"
# Nodes whose lack nothing on them can make good: too small, or without the labels. One that is closed or not ready may come back.
_TOO_SMALL: Final = r"\d+ (?:Insufficient [^ ,]+?|node\(s\) didn't match Pod's node affinity/selector)"
_NEVER: Final = (
    rf"^0/(?P<nodes>\d+) nodes are available: {_TOO_SMALL}(?:, {_TOO_SMALL})*\. "
    r".*preemption: 0/(?P=nodes) nodes are available: (?P=nodes) Preemption is not helpful"
)
_NO_SUCH_IMAGE: Final = r"not found|manifest unknown|name unknown|NAME_UNKNOWN|does not exist"
_PULL: Final = "kubelet: (?:Failed|ErrImagePull|ImagePullBackOff|BackOff)"

_PLACING: Final = (
    _rule(
        "default-scheduler: Nominated",
        "^(?P<node>.*)$",
        "placed",
        "pod.making_room",
    ),
    _rule(
        _SCHEDULING,
        r"^0/(?P<nodes>\d+) nodes are available: (?P=nodes) node\(s\) didn't match Pod's node affinity",
        "placed",
        "pod.no_node_model",
        marked("Choose another accelerator, or try again when the operators have added one."),
        hopeless=Reason.IMPOSSIBLE,
        field="accelerator",
    ),
    _rule(
        _SCHEDULING,
        _NEVER,
        "placed",
        "pod.no_node_ever",
        _FEWER,
        hopeless=Reason.IMPOSSIBLE,
        field="size",
    ),
    _rule(
        _SCHEDULING,
        r'persistentvolumeclaim "(?P<claim>[^"]+)" not found',
        "placed",
        "pod.no_storage",
        _TELL,
        hopeless=Reason.UNAVAILABLE,
    ),
    _rule(
        _SCHEDULING,
        "unbound immediate PersistentVolumeClaims",
        "placed",
        "pod.storage_pending",
    ),
    _rule(
        _SCHEDULING,
        r"\d+ Insufficient (?P<resource>[^ ,]+/[^ ,]+?)[,.](?: |$)",
        "placed",
        "pod.waits_device",
    ),
    _rule(
        _SCHEDULING,
        r"\d+ (?:Insufficient|Too many) (?P<resource>[a-z-]+)",
        "placed",
        "pod.waits_resource",
    ),
    _rule(
        _SCHEDULING,
        r"node\(s\) were unschedulable",
        "placed",
        "pod.nodes_closed",
    ),
    _rule(
        _SCHEDULING,
        r"node\(s\) had untolerated taint",
        "placed",
        "pod.nodes_tainted",
    ),
    _rule(_SCHEDULING, "", "placed", "pod.waits"),
    _rule("default-scheduler: Scheduled", r"to (?P<node>\S+)$", "placed", "pod.on_node"),
    _rule(
        "cluster-autoscaler: TriggeredScaleUp",
        "",
        "placed",
        "pod.scaling_up",
    ),
)

_IMAGE: Final = (
    _rule(
        "kubelet: Pulling",
        "",
        "image",
        "pod.image_pulling",
    ),
    _rule(
        "kubelet: Pulled",
        r"Successfully pulled .* in (?P<time>[\d.]+m?s)",
        "image",
        "pod.image_pulled",
    ),
    _rule("kubelet: Pulled", "", "image", "pod.image_there"),
    _rule(
        "kubelet: ErrImageNeverPull",
        "",
        "image",
        "pod.image_never_pull",
        marked("Choose another environment, and tell the operators of the platform."),
        hopeless=Reason.UNKNOWN,
        field="image",
    ),
    _rule(
        "kubelet: (?:InvalidImageName|InspectFailed)",
        "",
        "image",
        "pod.image_invalid",
        marked("Choose another environment, and tell the operators of the platform."),
        hopeless=Reason.UNKNOWN,
        field="image",
    ),
    _rule(
        _PULL,
        rf"pull.*image.*(?:{_NO_SUCH_IMAGE})",
        "image",
        "pod.image_missing",
        marked("Choose another environment, and tell the operators of the platform."),
        hopeless=Reason.UNKNOWN,
        field="image",
    ),
    _rule(
        _PULL,
        r"(?i:pull.*image.*(?:unauthorized|denied|forbidden|authentication required))",
        "image",
        "pod.image_denied",
        marked("Choose another environment, and tell the operators of the platform."),
        hopeless=Reason.UNAVAILABLE,
        field="image",
    ),
    _rule(
        _PULL,
        "pull.*image.*(?:dial tcp|timeout|no such host|EOF|5[0-9][0-9] )",
        "image",
        "pod.image_unreachable",
    ),
    _rule(_PULL, "pull.*image", "image", "pod.image_retry"),
)

_STARTING: Final = (
    _rule(
        "kubelet: (?:Failed|StartError|RunContainerError|CreateContainerError)",
        'exec: "(?P<program>[^"]{1,60})": (?:executable file not found|stat .* no such file)',
        "starting",
        "pod.no_program",
        marked("Choose another environment, and tell the operators of the platform."),
        hopeless=Reason.UNAVAILABLE,
        field="image",
    ),
    _rule(
        "kubelet: (?:StartError|RunContainerError|CreateContainerError|ContainerCannotRun)",
        "",
        "starting",
        "pod.cannot_start",
        _AGAIN,
        hopeless=Reason.UNAVAILABLE,
        field="image",
    ),
    _rule(
        "kubelet: CreateContainerConfigError",
        "",
        "starting",
        "pod.config_missing",
        _TELL,
        hopeless=Reason.UNAVAILABLE,
    ),
    _rule(
        "kubelet: FailedMount",
        r'for volume "(?P<volume>[^"]+)" : (?:secret|configmap) "(?P<object>[^"]+)" not found',
        "starting",
        "pod.mount_missing",
        _TELL,
        hopeless=Reason.UNAVAILABLE,
    ),
    _rule(
        ": (?:FailedMount|FailedAttachVolume)",
        r'for volume "(?P<volume>[^"]+)"',
        "starting",
        "pod.mount_retry",
    ),
    _rule(
        ": (?:FailedMount|FailedAttachVolume)",
        "",
        "starting",
        "pod.mount_retry_unnamed",
    ),
    _rule(
        "kubelet: FailedCreatePodSandBox",
        "",
        "starting",
        "pod.sandbox_retry",
    ),
    _rule("kubelet: (?:Created|Started)", "", "starting", "pod.starting"),
)

_ENDED: Final = (
    _rule(
        "kubelet: OOMKilled",
        "",
        "ended",
        "pod.out_of_memory",
        marked("Choose a larger size, or load less at once."),
    ),
    _rule(
        "kubelet: Evicted",
        'EmptyDir volume "(?P<volume>[^"]+)" exceeds the limit "(?P<limit>[^"]+)"',
        "ended",
        "pod.evicted_volume",
        marked("Keep large files elsewhere."),
    ),
    _rule(
        "kubelet: Evicted",
        r"low on resource: (?P<resource>[a-z-]+)",
        "ended",
        "pod.evicted_resource",
        _AGAIN,
    ),
    _rule(
        "kubelet: Evicted",
        "",
        "ended",
        "pod.evicted",
        _AGAIN,
    ),
    _rule(
        "kubelet: (?:UnexpectedAdmissionError|OutOf.*|NodeAffinity|AdmissionError)",
        "",
        "ended",
        "pod.not_admitted",
        marked("Start it again."),
    ),
    _rule(
        ": PreemptionByScheduler",
        "",
        "ended",
        "pod.preempted",
    ),
    _rule(
        ": EvictionByEvictionAPI",
        "",
        "ended",
        "pod.drained",
        marked("Start it again: it gets another node."),
    ),
    _rule(
        ": (?:DeletionByTaintManager|DeletionByPodGC|NodeLost)",
        "",
        "ended",
        "pod.node_failed",
        marked("Start it again: it gets another node."),
    ),
    _rule(
        ": (?:TerminationByKubelet|NodeShutdown|Terminated)",
        "",
        "ended",
        "pod.node_shutdown",
        marked("Start it again: it gets another node."),
    ),
    _rule("kubelet: Completed", "", "ended", "pod.completed"),
    _rule(
        "kubelet: Error",
        r"^exit code (?P<code>\d+)$",
        "ended",
        "pod.exit_code",
        _AGAIN,
    ),
    _rule(
        "kubelet: (?:Error|ContainerStatusUnknown)",
        "",
        "ended",
        "pod.ended",
        _AGAIN,
    ),
)

_REFUSED: Final = (
    _rule(
        "kube-apiserver: Forbidden",
        r"exceeded quota: (?P<quota>[^,]+), requested: (?P<requested>[^:]*?), used: ",
        "placed",
        "pod.quota",
        marked("Try again when others have ended, or tell the operators of the platform."),
        hopeless=Reason.CAPACITY,
    ),
    _rule(
        "kube-apiserver: Forbidden",
        r"violates PodSecurity \"(?P<level>[^\":]+)",
        "placed",
        "pod.security",
        _TELL,
        hopeless=Reason.UNAVAILABLE,
    ),
    _rule(
        "kube-apiserver: Forbidden",
        "no PriorityClass with name",
        "placed",
        "pod.not_prepared",
        marked("Tell the operators of the platform: they run `aiinfn-hub kueue apply`."),
        hopeless=Reason.UNAVAILABLE,
    ),
    _rule(
        "kube-apiserver: Forbidden",
        "(?:cpu|memory|storage) usage per",
        "placed",
        "pod.too_large",
        _FEWER,
        hopeless=Reason.TOO_LARGE,
        field="size",
    ),
    # Whoever renews the credentials helps all that wait.
    _rule("kube-apiserver: Unauthorized", "", "placed", "pod.credentials"),
    # An API server that has just started does not know its roles for a moment.
    _rule(
        "kube-apiserver: Forbidden",
        "cannot [a-z]+ resource",
        "placed",
        "pod.not_yet",
    ),
    _rule(
        "kube-apiserver: Forbidden",
        "",
        "placed",
        "pod.forbidden",
        _TELL,
        hopeless=Reason.UNAVAILABLE,
    ),
    _rule(
        "kube-apiserver: NotFound",
        "namespaces",
        "placed",
        "pod.not_prepared",
        marked("Tell the operators of the platform: they run `aiinfn-hub kueue apply`."),
        hopeless=Reason.UNAVAILABLE,
    ),
    _rule(
        "kube-apiserver: (?:Invalid|BadRequest)",
        "",
        "placed",
        "pod.invalid",
        _TELL,
        hopeless=Reason.UNAVAILABLE,
    ),
    _rule("kube-apiserver: .*", "", "placed", "pod.no_answer"),
)

RULES: Final[tuple[ReasonRule, ...]] = (*_PLACING, *_IMAGE, *_STARTING, *_ENDED, *_REFUSED)
