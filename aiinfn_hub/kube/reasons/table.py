"""The table of `aiinfn_hub.kube.reasons.pod_reasons`: what Kubernetes says -> what people read.

A template may use ``{what}`` (session or job), ``{devices}``, ``{accelerator}``, ``{choice}``, ``{size}``, ``{memory}``,
``{image}``, ``{image_size}``, and the named groups of its message pattern; ``resource`` and ``volume`` among these become
words.
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
    template: str
    hint: str = ""
    hopeless: Reason | None = None
    field: str | None = None
    field_path: re.Pattern[str] | None = None


def _rule(
    said: str,
    message: str,
    step: str,
    template: str,
    hint: str = "",
    *,
    hopeless: Reason | None = None,
    field: str | None = None,
) -> ReasonRule:
    """Make a row; ``said`` is ``component: reason``."""
    component, _, reason = said.rpartition(": ")
    pattern = re.compile(message, re.DOTALL) if message else _ANY
    return ReasonRule(component, re.compile(reason), pattern, step, template, hint, hopeless, field)


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
        marked("A batch job is making room on {node}."),
    ),
    _rule(
        _SCHEDULING,
        r"^0/(?P<nodes>\d+) nodes are available: (?P=nodes) node\(s\) didn't match Pod's node affinity",
        "placed",
        marked("No node of the cluster has the model {accelerator} now."),
        marked("Choose another accelerator, or try again when the operators have added one."),
        hopeless=Reason.IMPOSSIBLE,
        field="accelerator",
    ),
    _rule(
        _SCHEDULING,
        _NEVER,
        "placed",
        marked("No node of the cluster could hold {choice}, not even an empty one."),
        _FEWER,
        hopeless=Reason.IMPOSSIBLE,
        field="size",
    ),
    _rule(
        _SCHEDULING,
        r'persistentvolumeclaim "(?P<claim>[^"]+)" not found',
        "placed",
        marked("The storage {claim} of this {what} does not exist in the cluster."),
        _TELL,
        hopeless=Reason.UNAVAILABLE,
    ),
    _rule(
        _SCHEDULING,
        "unbound immediate PersistentVolumeClaims",
        "placed",
        marked("Its storage is being made ready."),
    ),
    _rule(
        _SCHEDULING,
        r"\d+ Insufficient (?P<resource>[^ ,]+/[^ ,]+?)[,.](?: |$)",
        "placed",
        marked("No node has {devices} free now; the {what} waits for the next."),
    ),
    _rule(
        _SCHEDULING,
        r"\d+ (?:Insufficient|Too many) (?P<resource>[a-z-]+)",
        "placed",
        marked("No node has enough free {resource} now; the {what} waits."),
    ),
    _rule(
        _SCHEDULING,
        r"node\(s\) were unschedulable",
        "placed",
        marked("The nodes that it could use are closed for maintenance; the {what} waits."),
    ),
    _rule(
        _SCHEDULING,
        r"node\(s\) had untolerated taint",
        "placed",
        marked("The nodes that it could use are reserved for others or not ready; the {what} waits."),
    ),
    _rule(_SCHEDULING, "", "placed", marked("No node can take the {what} now; it waits.")),
    _rule("default-scheduler: Scheduled", r"to (?P<node>\S+)$", "placed", marked("On {node}.")),
    _rule(
        "cluster-autoscaler: TriggeredScaleUp",
        "",
        "placed",
        marked("A node is being added for it: a few minutes."),
    ),
)

_IMAGE: Final = (
    _rule(
        "kubelet: Pulling",
        "",
        "image",
        marked("Fetching “{image}”{image_size}: it is used for the first time on this node."),
    ),
    _rule(
        "kubelet: Pulled",
        r"Successfully pulled .* in (?P<time>[\d.]+m?s)",
        "image",
        marked("Fetched “{image}” in {time}."),
    ),
    _rule("kubelet: Pulled", "", "image", marked("“{image}” is on this node already.")),
    _rule(
        "kubelet: ErrImageNeverPull",
        "",
        "image",
        marked("“{image}” is not on the node, and this platform fetches no images."),
        marked("Choose another environment, and tell the operators of the platform."),
        hopeless=Reason.UNKNOWN,
        field="image",
    ),
    _rule(
        "kubelet: (?:InvalidImageName|InspectFailed)",
        "",
        "image",
        marked("“{image}” has no valid name in the platform's file."),
        marked("Choose another environment, and tell the operators of the platform."),
        hopeless=Reason.UNKNOWN,
        field="image",
    ),
    _rule(
        _PULL,
        rf"pull.*image.*(?:{_NO_SUCH_IMAGE})",
        "image",
        marked("“{image}” does not exist in its registry, or not for this platform."),
        marked("Choose another environment, and tell the operators of the platform."),
        hopeless=Reason.UNKNOWN,
        field="image",
    ),
    _rule(
        _PULL,
        r"(?i:pull.*image.*(?:unauthorized|denied|forbidden|authentication required))",
        "image",
        marked("The registry does not hand out “{image}” to this platform."),
        marked("Choose another environment, and tell the operators of the platform."),
        hopeless=Reason.UNAVAILABLE,
        field="image",
    ),
    _rule(
        _PULL,
        "pull.*image.*(?:dial tcp|timeout|no such host|EOF|5[0-9][0-9] )",
        "image",
        marked("“{image}” cannot be fetched, its registry does not answer; it is tried again."),
    ),
    _rule(_PULL, "pull.*image", "image", marked("“{image}” could not be fetched yet; it is tried again.")),
)

_STARTING: Final = (
    _rule(
        "kubelet: (?:Failed|StartError|RunContainerError|CreateContainerError)",
        'exec: "(?P<program>[^"]{1,60})": (?:executable file not found|stat .* no such file)',
        "starting",
        marked("“{image}” cannot run a {what}: it has no {program}."),
        marked("Choose another environment, and tell the operators of the platform."),
        hopeless=Reason.UNAVAILABLE,
        field="image",
    ),
    _rule(
        "kubelet: (?:StartError|RunContainerError|CreateContainerError|ContainerCannotRun)",
        "",
        "starting",
        marked("“{image}” cannot be started on this node."),
        _AGAIN,
        hopeless=Reason.UNAVAILABLE,
        field="image",
    ),
    _rule(
        "kubelet: CreateContainerConfigError",
        "",
        "starting",
        marked("Something that the {what} needs is missing in the cluster."),
        _TELL,
        hopeless=Reason.UNAVAILABLE,
    ),
    _rule(
        "kubelet: FailedMount",
        r'for volume "(?P<volume>[^"]+)" : (?:secret|configmap) "(?P<object>[^"]+)" not found',
        "starting",
        marked("{volume} cannot be mounted: {object} does not exist in the cluster."),
        _TELL,
        hopeless=Reason.UNAVAILABLE,
    ),
    _rule(
        ": (?:FailedMount|FailedAttachVolume)",
        r'for volume "(?P<volume>[^"]+)"',
        "starting",
        marked("{volume} cannot be mounted on this node yet; it is tried again."),
    ),
    _rule(
        ": (?:FailedMount|FailedAttachVolume)",
        "",
        "starting",
        marked("A folder cannot be mounted on this node yet; it is tried again."),
    ),
    _rule(
        "kubelet: FailedCreatePodSandBox",
        "",
        "starting",
        marked("The node cannot set the {what} up yet; it is tried again."),
    ),
    _rule("kubelet: (?:Created|Started)", "", "starting", marked("Starting with “{image}”.")),
)

_ENDED: Final = (
    _rule(
        "kubelet: OOMKilled",
        "",
        "ended",
        marked("The {what} was ended because it used more than its {memory} of memory."),
        marked("Choose a larger size, or load less at once."),
    ),
    _rule(
        "kubelet: Evicted",
        'EmptyDir volume "(?P<volume>[^"]+)" exceeds the limit "(?P<limit>[^"]+)"',
        "ended",
        marked("The {what} was ended because {volume} held more than {limit}."),
        marked("Keep large files elsewhere."),
    ),
    _rule(
        "kubelet: Evicted",
        r"low on resource: (?P<resource>[a-z-]+)",
        "ended",
        marked("The {what} was ended because its node ran out of {resource}."),
        _AGAIN,
    ),
    _rule(
        "kubelet: Evicted",
        "",
        "ended",
        marked("The {what} was ended by its node, which lacked something."),
        _AGAIN,
    ),
    _rule(
        "kubelet: (?:UnexpectedAdmissionError|OutOf.*|NodeAffinity|AdmissionError)",
        "",
        "ended",
        marked("The node did not take the {what} in: a device or memory was not there any more."),
        marked("Start it again."),
    ),
    _rule(
        ": PreemptionByScheduler",
        "",
        "ended",
        marked("The {what} was ended to make room for something that goes first."),
    ),
    _rule(
        ": EvictionByEvictionAPI",
        "",
        "ended",
        marked("The {what} was ended because the operators are emptying its node."),
        marked("Start it again: it gets another node."),
    ),
    _rule(
        ": (?:DeletionByTaintManager|DeletionByPodGC|NodeLost)",
        "",
        "ended",
        marked("The {what} was ended because its node failed or was taken out."),
        marked("Start it again: it gets another node."),
    ),
    _rule(
        ": (?:TerminationByKubelet|NodeShutdown|Terminated)",
        "",
        "ended",
        marked("The {what} was ended because its node shut down."),
        marked("Start it again: it gets another node."),
    ),
    _rule("kubelet: Completed", "", "ended", marked("The {what} has ended by itself.")),
    _rule(
        "kubelet: Error",
        r"^exit code (?P<code>\d+)$",
        "ended",
        marked("The {what} ended by itself with exit status {code}."),
        _AGAIN,
    ),
    _rule(
        "kubelet: (?:Error|ContainerStatusUnknown)",
        "",
        "ended",
        marked("The {what} ended by itself."),
        _AGAIN,
    ),
)

_REFUSED: Final = (
    _rule(
        "kube-apiserver: Forbidden",
        r"exceeded quota: (?P<quota>[^,]+), requested: (?P<requested>[^:]*?), used: ",
        "placed",
        marked(
            "All {what}s together have used up the quota {quota} of their namespace ({requested} more was asked for)."
        ),
        marked("Try again when others have ended, or tell the operators of the platform."),
        hopeless=Reason.CAPACITY,
    ),
    _rule(
        "kube-apiserver: Forbidden",
        r"violates PodSecurity \"(?P<level>[^\":]+)",
        "placed",
        marked("The cluster refuses the {what}: it does not keep to the {level} Pod Security Standard."),
        _TELL,
        hopeless=Reason.UNAVAILABLE,
    ),
    _rule(
        "kube-apiserver: Forbidden",
        "no PriorityClass with name",
        "placed",
        marked("The cluster has not been prepared for {what}s."),
        marked("Tell the operators of the platform: they run `aiinfn-hub kueue apply`."),
        hopeless=Reason.UNAVAILABLE,
    ),
    _rule(
        "kube-apiserver: Forbidden",
        "(?:cpu|memory|storage) usage per",
        "placed",
        marked("The cluster does not allow {choice} in one {what}."),
        _FEWER,
        hopeless=Reason.TOO_LARGE,
        field="size",
    ),
    # An API server that has just started does not know its roles for a moment.
    _rule(
        "kube-apiserver: (?:Forbidden|Unauthorized)",
        "cannot [a-z]+ resource|^Unauthorized",
        "placed",
        marked("The cluster does not let the platform start a {what} yet; it is asked again."),
    ),
    _rule(
        "kube-apiserver: (?:Forbidden|Unauthorized)",
        "",
        "placed",
        marked("The cluster does not let the platform start a {what}."),
        _TELL,
        hopeless=Reason.UNAVAILABLE,
    ),
    _rule(
        "kube-apiserver: NotFound",
        "namespaces",
        "placed",
        marked("The cluster has not been prepared for {what}s."),
        marked("Tell the operators of the platform: they run `aiinfn-hub kueue apply`."),
        hopeless=Reason.UNAVAILABLE,
    ),
    _rule(
        "kube-apiserver: (?:Invalid|BadRequest)",
        "",
        "placed",
        marked(
            "The cluster cannot read what was asked of it: the platform's file names something that it does not allow."
        ),
        _TELL,
        hopeless=Reason.UNAVAILABLE,
    ),
    _rule("kube-apiserver: .*", "", "placed", marked("The cluster does not answer now; it is asked again.")),
)

RULES: Final[tuple[ReasonRule, ...]] = (*_PLACING, *_IMAGE, *_STARTING, *_ENDED, *_REFUSED)
