"""The table of `aiinfn_hub.kube.reasons.pod_reasons`: what Kubernetes says -> what people read.

A rule names a code of :mod:`aiinfn_hub.i18n.message_catalogue`, whose sentence may use ``{what}`` (session or job), ``{devices}``,
``{accelerator}``, ``{choice}``, ``{size}``, ``{memory}``, ``{image}``, ``{image_size}``, and the named groups of the rule's message
pattern; ``resource`` and ``volume`` among these become words, and ``text``, which somebody else wrote, is cut to one short
line. A hint is a sentence with the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from aiinfn_hub.contract.problem import Reason
from aiinfn_hub.i18n.language import marked

from .quota import exceeds_by_itself

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
    when
        Of what the message's groups found, whether the rule holds; None: always.
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
    when: Callable[[Mapping[str, str]], bool] | None = None


def _rule(
    said: str,
    message: str,
    step: str,
    code: str,
    hint: str = "",
    *,
    hopeless: Reason | None = None,
    field: str | None = None,
    when: Callable[[Mapping[str, str]], bool] | None = None,
) -> ReasonRule:
    """Make a row; ``said`` is ``component: reason``."""
    component, _, reason = said.rpartition(": ")
    pattern = re.compile(message, re.DOTALL) if message else _ANY
    return ReasonRule(component, re.compile(reason), pattern, step, code, hint, hopeless, field, when=when)


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
    # What containerd and the kubelet say of a container that a restart of the node ended.
    _rule(
        "kubelet: (?:ContainerStatusUnknown|Unknown)",
        "",
        "ended",
        "pod.node_restarted",
        marked("Start it again."),
    ),
    _rule("kubelet: Completed", "", "ended", "pod.completed"),
    _rule(
        "kubelet: Error",
        r"^exit code 137$",
        "ended",
        "pod.killed",
        marked("Choose a larger size, or load less at once."),
    ),
    _rule(
        "kubelet: Error",
        r"^exit code (?P<code>\d+)$",
        "ended",
        "pod.exit_code",
        _AGAIN,
    ),
    _rule(
        "kubelet: Error",
        "",
        "ended",
        "pod.ended",
        _AGAIN,
    ),
)

_FORBIDDEN: Final = "kube-apiserver: Forbidden"
_SAYS_NO: Final = 'admission webhook "(?P<webhook>[^"]+)" denied the request'
_QUANTITY: Final = r"(?P<amount>\d+(?:\.\d+)?[A-Za-z]*)"
_CPU_LIMIT: Final = marked(
    "Tell the operators of the platform: `kubernetes.cpu_limit_ratio` in the platform file gives every session and job a limit."
)

# Whoever refuses says it in any of the API server's reasons, or in none.
_DENIED: Final = (
    _rule(  # Kyverno
        "kube-apiserver: .*",
        rf"{_SAYS_NO}:.*blocked due to the following policies\s+(?P<policy>[^\s:]+):\s*(?P<text>.+)",
        "placed",
        "pod.denied.policy",
        _TELL,
        hopeless=Reason.UNAVAILABLE,
    ),
    _rule(  # Gatekeeper
        "kube-apiserver: .*",
        rf"{_SAYS_NO}: \[(?:denied by )?(?P<policy>[^\]\s]+)\]\s*(?P<text>.+)",
        "placed",
        "pod.denied.policy",
        _TELL,
        hopeless=Reason.UNAVAILABLE,
    ),
    _rule(
        "kube-apiserver: .*",
        rf"{_SAYS_NO}: (?P<text>.+)",
        "placed",
        "pod.denied.webhook",
        _TELL,
        hopeless=Reason.UNAVAILABLE,
    ),
    _rule(
        "kube-apiserver: .*",
        _SAYS_NO,
        "placed",
        "pod.denied.silently",
        _TELL,
        hopeless=Reason.UNAVAILABLE,
    ),
    _rule(
        "kube-apiserver: .*",
        r"ValidatingAdmissionPolicy '(?P<policy>[^']+)'(?: with binding '[^']*')? denied request: (?P<text>.+)",
        "placed",
        "pod.denied.policy",
        _TELL,
        hopeless=Reason.UNAVAILABLE,
    ),
    _rule(
        _FORBIDDEN,
        r"image policy webhook backend denied one or more images: (?P<text>.+)",
        "placed",
        "pod.denied.image",
        marked("Choose another environment, and tell the operators of the platform."),
        hopeless=Reason.UNAVAILABLE,
        field="image",
    ),
    _rule(
        "kube-apiserver: .*",
        r'failed calling webhook "(?P<webhook>[^"]+)"',
        "placed",
        "pod.webhook_away",
    ),
)

_QUOTA: Final = (
    _rule(
        _FORBIDDEN,
        r"failed quota: (?P<quota>[^:]+): must specify (?P<missing>limits\.cpu)\b",
        "placed",
        "pod.quota_demands",
        _CPU_LIMIT,
        hopeless=Reason.UNAVAILABLE,
    ),
    _rule(
        _FORBIDDEN,
        r"failed quota: (?P<quota>[^:]+): must specify (?P<missing>\S+)",
        "placed",
        "pod.quota_demands",
        _TELL,
        hopeless=Reason.UNAVAILABLE,
    ),
    _rule(
        _FORBIDDEN,
        r"exceeded quota: (?P<quota>[^,]+), requested: (?P<requested>[^:]*?), used: (?P<used>[^:]*?), limited: (?P<limited>.*)",
        "placed",
        "pod.quota_too_small",
        _FEWER,
        hopeless=Reason.TOO_LARGE,
        field="size",
        when=exceeds_by_itself,
    ),
    _rule(
        _FORBIDDEN,
        r"exceeded quota: (?P<quota>[^,]+), requested: (?P<requested>[^:]*?), used: ",
        "placed",
        "pod.quota",
        marked("Try again when others have ended, or tell the operators of the platform."),
        hopeless=Reason.CAPACITY,
    ),
    _rule(
        _FORBIDDEN,
        "insufficient quota to (?:consume|match)",
        "placed",
        "pod.quota_none",
        _TELL,
        hopeless=Reason.UNAVAILABLE,
    ),
    _rule(_FORBIDDEN, "status unknown for quota", "placed", "pod.not_yet"),
)

_LIMIT_RANGE: Final = (
    _rule(
        _FORBIDDEN,
        rf"maximum (?P<resource>\S+) usage per (?:Container|Pod) is {_QUANTITY}",
        "placed",
        "pod.limit_range.most",
        _FEWER,
        hopeless=Reason.TOO_LARGE,
        field="size",
    ),
    _rule(
        _FORBIDDEN,
        rf"minimum (?P<resource>\S+) usage per (?:Container|Pod) is {_QUANTITY}",
        "placed",
        "pod.limit_range.least",
        marked("Choose a larger size, or tell the operators of the platform."),
        hopeless=Reason.UNAVAILABLE,
        field="size",
    ),
    _rule(
        _FORBIDDEN,
        rf"(?P<resource>\S+) max limit to request ratio per (?:Container|Pod) is {_QUANTITY}",
        "placed",
        "pod.limit_range.ratio",
        _TELL,
        hopeless=Reason.UNAVAILABLE,
    ),
    # The default of a LimitRange is put in where nothing stands, and then is less than what is asked for.
    _rule(
        "kube-apiserver: Invalid",
        rf"must be less than or equal to (?P<resource>\S+) limit of {_QUANTITY}",
        "placed",
        "pod.limit_range.default",
        _TELL,
        hopeless=Reason.TOO_LARGE,
        field="size",
    ),
)

_REFUSED: Final = (
    *_DENIED,
    *_QUOTA,
    *_LIMIT_RANGE,
    _rule(
        _FORBIDDEN,
        r"violates PodSecurity \"(?P<level>[^\":]+)",
        "placed",
        "pod.security",
        _TELL,
        hopeless=Reason.UNAVAILABLE,
    ),
    _rule(
        _FORBIDDEN,
        "no PriorityClass with name",
        "placed",
        "pod.not_prepared",
        marked("Tell the operators of the platform: they run `aiinfn-hub kueue apply`."),
        hopeless=Reason.UNAVAILABLE,
    ),
    _rule(
        _FORBIDDEN,
        "because it is being terminated",
        "placed",
        "pod.namespace_ending",
        _TELL,
        hopeless=Reason.UNAVAILABLE,
    ),
    # A namespace that was just made has no service account for a moment, and a controller its caches.
    _rule(
        _FORBIDDEN,
        "error looking up service account|not yet ready to handle request",
        "placed",
        "pod.not_yet",
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
        _FORBIDDEN,
        r"is forbidden: (?P<text>.+)",
        "placed",
        "pod.forbidden.why",
        _TELL,
        hopeless=Reason.UNAVAILABLE,
    ),
    _rule(
        _FORBIDDEN,
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
    # What the Job controller says of a pod that it could not make, and none of the above explains.
    _rule("kube-apiserver: FailedCreate", r"^(?P<text>.+)", "placed", "pod.refused"),
    _rule("kube-apiserver: .*", "", "placed", "pod.no_answer"),
)

RULES: Final[tuple[ReasonRule, ...]] = (*_PLACING, *_IMAGE, *_STARTING, *_ENDED, *_REFUSED)
