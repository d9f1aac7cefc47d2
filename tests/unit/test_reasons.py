"""What Kubernetes says -> what people read. The texts come from a real cluster (Kubernetes 1.36), but for those of registries."""

from collections.abc import Sequence
from typing import Any

import pytest

from aiinfn_hub.contract.problem import Reason
from aiinfn_hub.kube.objects.pods import storage_volume
from aiinfn_hub.kube.reasons import pod_reasons
from aiinfn_hub.kube.reasons.pod_reasons import Statement, Words, explain
from aiinfn_hub.kube.reasons.table import RULES, ReasonRule

WORDS = Words(
    what="session",
    devices="1 NVIDIA T4",
    accelerator="NVIDIA T4",
    choice="1 NVIDIA T4, 2 cores and 8 GiB",
    size="Small",
    memory="8 GiB",
    image="Standard Python",
    image_size=4_500_000_000,
    volumes={storage_volume("home"): "Home"},
)
NOT_HELPFUL = "no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
PULL = 'Failed to pull image "r/x:1": failed to pull and unpack image "r/x:1": failed to resolve reference "r/x:1": '

PLACING = [
    ("0/1 nodes are available: 1 Insufficient nvidia.com/gpu.", "No node has 1 NVIDIA T4 free", None),
    (
        (
            "0/1 nodes are available: 1 Insufficient nvidia.com/gpu. no new claims to deallocate, preemption: 0/1 nodes "
            "are available: 1 No preemption victims found for incoming pod."
        ),
        "No node has 1 NVIDIA T4 free now; the session waits for the next.",
        None,
    ),
    (
        f"0/1 nodes are available: 1 Insufficient nvidia.com/gpu. {NOT_HELPFUL}",
        "could hold 1 NVIDIA T4, 2 cores and 8 GiB, not even an empty one",
        Reason.IMPOSSIBLE,
    ),
    (
        (
            "0/3 nodes are available: 1 Insufficient cpu, 1 Insufficient nvidia.com/mig-1g.5gb, 2 node(s) didn't match Pod's "
            "node affinity/selector. no new claims to deallocate, preemption: 0/3 nodes are available: 3 Preemption is "
            "not helpful for scheduling."
        ),
        "not even an empty one",
        Reason.IMPOSSIBLE,
    ),
    (
        (
            "0/2 nodes are available: 1 Insufficient nvidia.com/gpu, 1 node(s) were unschedulable. no new claims to deallocate, "
            "preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."
        ),
        "No node has 1 NVIDIA T4 free",
        None,
    ),
    (
        (
            "0/2 nodes are available: 2 Insufficient nvidia.com/gpu. preemption: 0/2 nodes are available: 1 No preemption "
            "victims found for incoming pod, 1 Preemption is not helpful for scheduling."
        ),
        "No node has 1 NVIDIA T4 free",
        None,
    ),
    (
        f"0/1 nodes are available: 1 Insufficient cpu. {NOT_HELPFUL}",
        "not even an empty one",
        Reason.IMPOSSIBLE,
    ),
    (
        (
            "0/1 nodes are available: 1 Insufficient memory. preemption: 0/1 nodes are available: 1 No preemption victims "
            "found for incoming pod."
        ),
        "enough free memory",
        None,
    ),
    ("0/1 nodes are available: 1 Insufficient cpu.", "enough free processor cores", None),
    ("0/1 nodes are available: 1 Too many pods.", "enough free places for pods", None),
    (
        f"0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. {NOT_HELPFUL}",
        "No node of the cluster has the model NVIDIA T4 now.",
        Reason.IMPOSSIBLE,
    ),
    (
        "0/2 nodes are available: 1 Insufficient nvidia.com/gpu, 1 node(s) didn't match Pod's node affinity/selector.",
        "No node has 1 NVIDIA T4 free",
        None,
    ),
    (f"0/1 nodes are available: 1 node(s) were unschedulable. {NOT_HELPFUL}", "closed for maintenance", None),
    (
        f"0/1 nodes are available: 1 node(s) had untolerated taint(s). {NOT_HELPFUL}",
        "reserved for others",
        None,
    ),
    (
        '0/1 nodes are available: persistentvolumeclaim "nope" not found. not found',
        "The storage nope of this session does not exist",
        Reason.UNAVAILABLE,
    ),
    (
        "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found",
        "storage is being made ready",
        None,
    ),
    ("no nodes available to schedule pods", "No node can take the session now", None),
]


@pytest.mark.parametrize(("message", "says", "hopeless"), PLACING)
def test_why_it_has_no_node(message: str, says: str, hopeless: Reason | None) -> None:
    explanation = explain(Statement("default-scheduler", "FailedScheduling", message), WORDS)
    assert explanation.step == "placed"
    assert says in explanation.sentence
    assert explanation.hopeless == hopeless


@pytest.mark.parametrize(
    ("reason", "message", "step", "says", "hopeless"),
    [
        (
            "Pulling",
            'Pulling image "r/x:1"',
            "image",
            "Fetching “Standard Python” (4.2 GiB): it is used for",
            None,
        ),
        (
            "Pulled",
            'Successfully pulled image "r/x:1" in 12.4s (12.4s including waiting). Image size: 4500000000 bytes.',
            "image",
            "Fetched “Standard Python” in 12.4s.",
            None,
        ),
        (
            "Pulled",
            'Container image "r/x:1" already present on machine and can be accessed by the pod',
            "image",
            "on this node already",
            None,
        ),
        ("Failed", PULL + "r/x:1: not found", "image", "does not exist in its registry", Reason.UNKNOWN),
        (
            "ImagePullBackOff",
            f'Back-off pulling image "r/x:1": ErrImagePull: {PULL}manifest unknown',
            "image",
            "does not exist",
            Reason.UNKNOWN,
        ),
        (
            "Failed",
            PULL
            + "pull access denied, repository does not exist or may require authorization: server message: "
            "insufficient_scope: authorization failed",
            "image",
            "does not exist in its registry, or not for this platform",
            Reason.UNKNOWN,
        ),
        (
            "Failed",
            PULL + "unexpected status from HEAD request to https://r/v2/x/manifests/1: 401 Unauthorized",
            "image",
            "does not hand out",
            Reason.UNAVAILABLE,
        ),
        (
            "Failed",
            PULL
            + 'failed to do request: Head "https://r/v2/x/manifests/1": dial tcp: lookup r on 10.255.255.53:53: '
            "no such host",
            "image",
            "its registry does not answer; it is tried again",
            None,
        ),
        (
            "ErrImagePull",
            (
                'failed to pull and unpack image "127.0.0.1:1/missing:1": failed to resolve reference '
                '"127.0.0.1:1/missing:1": failed to do request: Head "http://127.0.0.1:1/v2/missing/manifests/1": dial tcp '
                "127.0.0.1:1: connect: connection refused"
            ),
            "image",
            "its registry does not answer",
            None,
        ),
        ("BackOff", 'Back-off pulling image "r/x:1"', "image", "could not be fetched yet", None),
        (
            "ErrImageNeverPull",
            'Container image "localhost/missing:1" is not present with pull policy of Never',
            "image",
            "“Standard Python” is not on the node",
            Reason.UNKNOWN,
        ),
        (
            "InspectFailed",
            (
                'Failed to apply default image tag "Bad Name::": couldn\'t parse image name "Bad Name::": invalid reference '
                "format: repository name (library/Bad Name) must be lowercase"
            ),
            "image",
            "no valid name",
            Reason.UNKNOWN,
        ),
        (
            "StartError",
            (
                "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create "
                'failed: unable to start container process: exec: "jupyterhub-singleuser": executable file not found in '
                "$PATH: unknown"
            ),
            "starting",
            "cannot run a session: it has no jupyterhub-singleuser",
            Reason.UNAVAILABLE,
        ),
        (
            "RunContainerError",
            "failed to create containerd task",
            "starting",
            "cannot be started",
            Reason.UNAVAILABLE,
        ),
        (
            "FailedMount",
            'MountVolume.SetUp failed for volume "licence" : secret "nope" not found',
            "starting",
            "“licence” cannot be mounted: nope does not exist",
            Reason.UNAVAILABLE,
        ),
        (
            "FailedMount",
            'MountVolume.SetUp failed for volume "storage-home" : mount failed: exit status 32',
            "starting",
            "“Home” cannot be mounted on this node yet",
            None,
        ),
        ("FailedMount", "Unable to attach or mount volumes", "starting", "A folder cannot be mounted", None),
        (
            "CreateContainerConfigError",
            'secret "x" not found',
            "starting",
            "is missing in the cluster",
            Reason.UNAVAILABLE,
        ),
        ("FailedCreatePodSandBox", "rpc error", "starting", "cannot set the session up yet", None),
        ("Created", "Container created", "starting", "Starting with “Standard Python”.", None),
        ("OOMKilled", "exit code 137", "ended", "more than its 8 GiB of memory", None),
        (
            "Evicted",
            'Usage of EmptyDir volume "storage-scratch" exceeds the limit "10Mi". ',
            "ended",
            "“storage-scratch” held more than 10Mi",
            None,
        ),
        (
            "Evicted",
            "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. ",
            "ended",
            "its node ran out of memory",
            None,
        ),
        (
            "UnexpectedAdmissionError",
            (
                "Allocate failed due to no healthy devices present; cannot allocate unhealthy devices nvidia.com/gpu, which "
                "is unexpected"
            ),
            "ended",
            "a device or memory was not there any more",
            None,
        ),
        ("Error", "exit code 3", "ended", "ended by itself with exit status 3", None),
        ("Completed", "exit code 0", "ended", "has ended by itself", None),
    ],
)
def test_what_the_node_says(reason: str, message: str, step: str, says: str, hopeless: Reason | None) -> None:
    explanation = explain(Statement("kubelet", reason, message), WORDS)
    assert (explanation.step, explanation.hopeless) == (step, hopeless)
    assert says in explanation.sentence.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("reason", "message", "says", "hopeless"),
    [
        (
            "Forbidden",
            'pods "quota" is forbidden: exceeded quota: compute, requested: pods=1, used: pods=14, limited: pods=1',
            "All sessions together have used up the quota compute of their namespace (pods=1 more was asked for).",
            Reason.CAPACITY,
        ),
        (
            "Forbidden",
            (
                'pods "pss" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false '
                '(container "x" must set securityContext.allowPrivilegeEscalation=false)'
            ),
            "does not keep to the restricted Pod Security Standard",
            Reason.UNAVAILABLE,
        ),
        (
            "Forbidden",
            'pods "noprio" is forbidden: no PriorityClass with name aiinfn-session was found',
            "has not been prepared",
            Reason.UNAVAILABLE,
        ),
        (
            "Forbidden",
            (
                'pods is forbidden: User "system:serviceaccount:aiinfn-system:aiinfn-hub" cannot create resource "pods" in '
                'API group "" in the namespace "x"'
            ),
            "does not let the platform start a session yet; it is asked again",
            None,
        ),
        ("Unauthorized", "Unauthorized", "does not accept the platform's credentials", None),
        (
            "Forbidden",
            'pods "x" is forbidden: by a policy of the site',
            "does not let the platform start a session: by a policy of the site.",
            Reason.UNAVAILABLE,
        ),
        ("NotFound", 'namespaces "nowhere" not found', "has not been prepared", Reason.UNAVAILABLE),
        (
            "Invalid",
            (
                'Pod "invalid" is invalid: [spec.containers[0].resources.limits[nvidia.com/gpu]: Invalid value: "500m": '
                "must be an integer]"
            ),
            "cannot read what was asked of it",
            Reason.UNAVAILABLE,
        ),
        ("InternalError", "failed calling webhook", "does not answer now", None),
        ("NoAnswer", "", "does not answer now", None),
    ],
)
def test_what_the_api_server_refuses(reason: str, message: str, says: str, hopeless: Reason | None) -> None:
    explanation = explain(pod_reasons.of_refusal(403, reason, message), WORDS)
    assert says in explanation.sentence
    assert explanation.hopeless == hopeless


def pod(
    phase: str = "Pending",
    *,
    node: str | None = None,
    nominated: str | None = None,
    conditions: Sequence[dict[str, Any]] = (),
    state: dict[str, Any] | None = None,
    **status: Any,
) -> dict[str, Any]:
    status |= {"phase": phase, "conditions": list(conditions)}
    if nominated:
        status["nominatedNodeName"] = nominated
    if state:
        status["containerStatuses"] = [{"name": "notebook", "state": state}]
    return {"spec": {"nodeName": node}, "status": status}


def scheduled(status: str, message: str = "") -> dict[str, Any]:
    reason = "Unschedulable" if status == "False" else None
    return {"type": "PodScheduled", "status": status, "reason": reason, "message": message}


def disruption(reason: str) -> dict[str, Any]:
    return {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": "x: y"}


def deleted(pod: dict[str, Any]) -> Any:
    return pod | {"metadata": {"deletionTimestamp": "2026-11-24T18:40:00Z"}}


KILLED = {"terminated": {"reason": "Error", "exitCode": 137}}
OOM_KILLED = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}
BUSY = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (pod(conditions=[scheduled("False", BUSY)]), "No node has 1 NVIDIA T4 free"),
        (
            pod(conditions=[scheduled("False", BUSY)], nominated="node-0"),
            "A batch job is making room on node-0.",
        ),
        (
            pod(
                node="node-0",
                conditions=[scheduled("True")],
                state={"waiting": {"reason": "ContainerCreating"}},
            ),
            "On node-0.",
        ),
        (
            pod(
                node="node-0",
                conditions=[scheduled("True")],
                state={
                    "waiting": {"reason": "ErrImageNeverPull", "message": "Container image is not present"}
                },
            ),
            "is not on the node",
        ),
        (
            pod(
                "Failed",
                node="node-0",
                conditions=[scheduled("True")],
                state={"terminated": {"reason": "OOMKilled", "exitCode": 137}},
            ),
            "more than its 8 GiB of memory",
        ),
    ],
)
def test_what_the_status_of_a_pod_says_first(status: dict[str, Any], says: str) -> None:
    first = next(iter(pod_reasons.of_pod(status)))
    assert says in explain(first, WORDS).sentence


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (pod("Running", conditions=[disruption("PreemptionByScheduler")]), "to make room"),
        (pod("Running", conditions=[disruption("EvictionByEvictionAPI")]), "operators are emptying its node"),
        (
            pod("Running", conditions=[disruption("DeletionByTaintManager")]),
            "its node failed or was taken out",
        ),
        (
            pod("Failed", reason="Evicted", message="The node was low on resource: memory."),
            "ran out of memory",
        ),
        (pod("Failed", conditions=[disruption("TerminationByKubelet")]), "its node shut down"),
        (pod("Running", state={"running": {}}, conditions=[scheduled("True")]), None),
        # What ended the pod ended its container, whatever that made of it.
        (
            pod("Running", conditions=[disruption("EvictionByEvictionAPI")], state=KILLED),
            "operators are emptying its node",
        ),
        (
            pod("Failed", conditions=[disruption("EvictionByEvictionAPI")], state=OOM_KILLED),
            "more than its 8 GiB of memory",
        ),
        (
            pod("Failed", state=KILLED),
            "was killed (exit status 137), as happens when it uses more than its 8 GiB",
        ),
        (
            pod("Failed", state={"terminated": {"reason": "ContainerStatusUnknown", "exitCode": 137}}),
            "its node was restarted under it",
        ),
        (
            pod("Failed", state={"terminated": {"reason": "Unknown", "exitCode": 255}}),
            "its node was restarted under it",
        ),
        (deleted(pod("Running", state=KILLED)), None),
        (deleted(pod("Succeeded", state={"terminated": {"reason": "Completed", "exitCode": 0}})), None),
        (
            deleted(pod("Running", state=KILLED, conditions=[disruption("PreemptionByScheduler")])),
            "make room",
        ),
        (deleted(pod("Failed", state=OOM_KILLED)), "more than its 8 GiB of memory"),
    ],
)
def test_why_a_pod_ends(status: dict[str, Any], says: str | None) -> None:
    explanation = pod_reasons.ending(status, WORDS)
    assert explanation is None if says is None else says in explanation.sentence


def test_an_event_is_read_in_both_its_forms() -> None:
    old = {
        "reason": "Pulling",
        "message": 'Pulling image "x"',
        "source": {"component": "kubelet", "host": "node-0"},
        "reportingComponent": "",
        "involvedObject": {"fieldPath": "spec.containers{notebook}"},
    }
    new = {
        "reason": "Scheduled",
        "message": "m",
        "source": {},
        "reportingComponent": "default-scheduler",
        "involvedObject": {},
    }
    assert pod_reasons.of_event(old) == (
        "kubelet",
        "Pulling",
        'Pulling image "x"',
        "spec.containers{notebook}",
    )
    assert pod_reasons.of_event(new) == ("default-scheduler", "Scheduled", "m", "")


def test_what_nobody_needs_to_know_is_not_said() -> None:
    assert (
        explain(Statement("kubelet", "MissingClusterDNS", "pod: kubelet does not have ClusterDNS IP"), WORDS)
        is None
    )
    assert explain(Statement("somebody", "FailedScheduling", BUSY), WORDS) is None


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.reason.pattern)
def test_every_rule_gives_a_whole_sentence_without_kubernetes_words(rule: ReasonRule) -> None:
    found = dict.fromkeys(rule.message.groupindex, "x")
    sentence = str(pod_reasons._message(rule, pod_reasons._said(found, WORDS)))
    assert sentence[0].isupper() or sentence[0] == "“"
    assert sentence.endswith((".", "minutes."))
    assert not rule.hint or rule.hint.endswith(".")
    for word in ("pod ", "Pod ", "container ", "PVC", "kubelet", "affinity"):
        assert word not in sentence.replace("Pod Security", "")
    # What cannot succeed says what to do.
    assert not rule.hopeless or rule.hint


def test_where_evicting_helps_nowhere() -> None:
    said = {
        message: pod_reasons.eviction_helps_nowhere(
            Statement("default-scheduler", "FailedScheduling", message)
        )
        for message, *_ in PLACING
    }
    assert all(said[message] for message in said if NOT_HELPFUL in message)
    assert not any(said[message] for message in said if "not helpful" not in message)
    assert not said[
        next(message for message in said if "1 No preemption victims found for incoming pod, 1" in message)
    ]


def test_the_size_of_an_image_is_read_where_it_is_said() -> None:
    assert pod_reasons.image_size("Successfully pulled image in 1s. Image size: 123 bytes.") == 123
    assert pod_reasons.image_size("already present") is None
