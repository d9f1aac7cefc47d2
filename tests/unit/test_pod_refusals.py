"""What keeps a cluster's pods from being made: texts of the API server's own admission, of webhooks and of policies.

Those of Kubernetes are as its source writes them (1.36: plugin/pkg/admission, apiserver/pkg/admission), those of Kyverno and
Gatekeeper as their documentation shows them.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aiinfn_hub.i18n.messages import Message
from aiinfn_hub.kube.reasons import pod_reasons
from aiinfn_hub.kube.reasons.pod_reasons import Explanation
from aiinfn_hub.kube.reasons.quota import exceeds_by_itself
from aiinfn_hub.platform import gate
from aiinfn_hub.platform.person import Person
from aiinfn_hub.platform.selection import Door
from aiinfn_hub.vkd.backends.kubernetes import pod_refusals, status_text
from aiinfn_hub.vkd.backends.kubernetes.facts import JobFacts, JobPodFacts, Seen, WorkloadFacts
from tests.vkd.world import platform

PLATFORM = platform()
SELECTION = gate.resolve(
    {"accelerator": "t4", "project": "flavour"}, PLATFORM, Person.of("anna", ["ai-infn/flavour"]), Door.JOB
)
AT = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
POD = 'pods "job-abc-x7k2p" is forbidden: '
KYVERNO = (
    'admission webhook "validate.kyverno.svc-fail" denied the request: \n\nresource Pod/aiinfn-batch/job-abc-x7k2p was blocked due '
    "to the following policies \n\nrequire-labels:\n  check-for-labels: 'validation error: label ''team'' is required.\n    rule "
    "check-for-labels failed at path /metadata/labels/team/'\n"
)
HOPELESS, PASSES = False, True

REFUSALS: list[tuple[int, str, str, str, dict[str, str], bool]] = [
    # status, reason, message, code, some of its facts, whether waiting may help
    (403, "Forbidden", POD + "exceeded quota: few, requested: pods=1, used: pods=4, limited: pods=4", "pod.quota", {"quota": "few"}, PASSES),
    (403, "Forbidden", POD + "exceeded quota: gpus, requested: requests.nvidia.com/gpu=1, used: requests.nvidia.com/gpu=2, limited: requests.nvidia.com/gpu=2", "pod.quota", {"quota": "gpus"}, PASSES),
    (403, "Forbidden", POD + "exceeded quota: gpus, requested: requests.nvidia.com/gpu=1, used: requests.nvidia.com/gpu=0, limited: requests.nvidia.com/gpu=0", "pod.quota_too_small", {"quota": "gpus"}, HOPELESS),
    (403, "Forbidden", POD + "exceeded quota: ram, requested: limits.memory=8Gi, used: limits.memory=0, limited: limits.memory=4Gi", "pod.quota_too_small", {"limited": "limits.memory=4Gi"}, HOPELESS),
    (403, "Forbidden", POD + "failed quota: cores: must specify limits.cpu for: job", "pod.quota_demands", {"quota": "cores", "missing": "limits.cpu"}, HOPELESS),
    (403, "Forbidden", POD + "failed quota: disk: must specify limits.ephemeral-storage for: job; requests.ephemeral-storage for: job", "pod.quota_demands", {"missing": "limits.ephemeral-storage"}, HOPELESS),
    (403, "Forbidden", POD + "insufficient quota to consume: nvidia.com/gpu", "pod.quota_none", {}, HOPELESS),
    (403, "Forbidden", POD + "status unknown for quota: few, resources: pods", "pod.not_yet", {}, PASSES),
    (500, "InternalError", "Internal error occurred: resource quota evaluation timed out", "pod.no_answer", {}, PASSES),
    (403, "Forbidden", POD + "maximum cpu usage per Container is 500m, but limit is 1", "pod.limit_range.most", {"amount": "500m"}, HOPELESS),
    (403, "Forbidden", POD + "[maximum memory usage per Pod is 1Gi, but limit is 8589934592, maximum cpu usage per Pod is 1.  No limit is specified]", "pod.limit_range.most", {"amount": "1Gi"}, HOPELESS),
    (403, "Forbidden", POD + "minimum memory usage per Container is 16Gi, but request is 8Gi", "pod.limit_range.least", {"amount": "16Gi"}, HOPELESS),
    (403, "Forbidden", POD + "cpu max limit to request ratio per Container is 2, but no limit is specified or limit is 0", "pod.limit_range.ratio", {"amount": "2"}, HOPELESS),
    (422, "Invalid", 'Pod "job-abc-x7k2p" is invalid: spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 500m', "pod.limit_range.default", {"amount": "500m"}, HOPELESS),
    (403, "Forbidden", POD + 'violates PodSecurity "restricted:latest": unrestricted capabilities (container "job" must set securityContext.capabilities.drop=["ALL"])', "pod.security", {"level": "restricted"}, HOPELESS),
    (403, "Forbidden", POD + "no PriorityClass with name aiinfn-batch was found", "pod.not_prepared", {}, HOPELESS),
    (403, "Forbidden", POD + 'error looking up service account aiinfn-batch/default: serviceaccount "default" not found', "pod.not_yet", {}, PASSES),
    (403, "Forbidden", POD + "unable to create new content in namespace aiinfn-batch because it is being terminated", "pod.namespace_ending", {}, HOPELESS),
    (403, "Forbidden", POD + "pod node label selector conflicts with its namespace node label selector", "pod.forbidden.why", {"text": "pod node label selector conflicts with its namespace node label selector"}, HOPELESS),
    (403, "Forbidden", POD + 'pod rejected: RuntimeClass "gvisor" not found', "pod.forbidden.why", {"text": 'pod rejected: RuntimeClass "gvisor" not found'}, HOPELESS),
    (403, "Forbidden", POD + "image policy webhook backend denied one or more images: unsigned", "pod.denied.image", {"text": "unsigned"}, HOPELESS),
    (422, "Invalid", POD + "ValidatingAdmissionPolicy 'no-gpu.example.org' with binding 'no-gpu-here' denied request: no GPU on Sundays.", "pod.denied.policy", {"policy": "no-gpu.example.org", "text": "no GPU on Sundays"}, HOPELESS),
    (403, "Forbidden", POD + "ValidatingAdmissionPolicy 'no-gpu.example.org' denied request: failed expression: false", "pod.denied.policy", {"policy": "no-gpu.example.org"}, HOPELESS),
    (400, "", KYVERNO, "pod.denied.policy", {"policy": "require-labels"}, HOPELESS),
    (403, "Forbidden", 'admission webhook "validation.gatekeeper.sh" denied the request: [ns-must-have-gk] you must provide labels: {"gatekeeper"}', "pod.denied.policy", {"policy": "ns-must-have-gk", "text": 'you must provide labels: {"gatekeeper"}'}, HOPELESS),
    (403, "Forbidden", 'admission webhook "validation.gatekeeper.sh" denied the request: [denied by no-root] root', "pod.denied.policy", {"policy": "no-root"}, HOPELESS),
    (400, "", 'admission webhook "w.example.org" denied the request: not here', "pod.denied.webhook", {"webhook": "w.example.org", "text": "not here"}, HOPELESS),
    (403, "Forbidden", 'admission webhook "w.example.org" denied the request: not here', "pod.denied.webhook", {"webhook": "w.example.org"}, HOPELESS),
    (418, "", 'admission webhook "w.example.org" denied the request: not here', "pod.denied.webhook", {"webhook": "w.example.org"}, HOPELESS),
    (400, "", 'admission webhook "w.example.org" denied the request without explanation', "pod.denied.silently", {"webhook": "w.example.org"}, HOPELESS),
    (500, "InternalError", 'Internal error occurred: failed calling webhook "w.example.org": failed to call webhook: Post "https://127.0.0.1:1/?timeout=10s": dial tcp 127.0.0.1:1: connect: connection refused', "pod.webhook_away", {"webhook": "w.example.org"}, PASSES),
]  # fmt: skip


@pytest.mark.parametrize(("status", "reason", "message", "code", "facts", "passes"), REFUSALS)
def test_a_refusal_is_told_alike_to_a_session_and_to_a_job(
    status: int, reason: str, message: str, code: str, facts: dict[str, str], passes: bool
) -> None:
    """The hub is answered with status and reason; of a job's pod there is only the text, in an event."""
    words = pod_reasons.words_of(SELECTION, PLATFORM)
    answered = pod_reasons.explain(pod_reasons.of_refusal(status, reason, message), words)
    assert answered is not None
    heard = pod_refusals.explain(f"Error creating: {message}", SELECTION, PLATFORM)
    assert heard is not None
    assert (answered.told.code, heard.told.code) == (code, code)
    assert answered.passes is heard.passes is passes
    assert facts.items() <= answered.told.facts.items()
    for found in (answered, heard):
        assert "{" not in found.sentence.replace('{"gatekeeper"}', "")
        assert found.sentence.endswith(".")
        assert "\n" not in found.sentence


def test_who_refuses_is_named_with_what_to_do() -> None:
    found = pod_refusals.explain(
        "Error creating: " + POD + "failed quota: cores: must specify limits.cpu for: job",
        SELECTION,
        PLATFORM,
    )
    assert found is not None
    assert (
        found.sentence
        == "The quota cores of the namespace demands limits.cpu of every job, which this platform does not set."
    )
    assert "kubernetes.cpu_limit_ratio" in found.hint
    assert str(status_text.pod_refused(found)).endswith(
        f"{found.sentence} Tell the operators of the platform."
    )


def test_the_words_of_a_stranger_are_cut_to_one_short_line() -> None:
    story = 'admission webhook "w" denied the request: ' + "a\tb\x1b[31m\n" * 500
    found = pod_refusals.explain(story, SELECTION, PLATFORM)
    assert found is not None
    assert len(found.sentence) < 400
    assert found.sentence.isprintable()


@pytest.mark.parametrize(
    ("requested", "limited", "never"),
    [
        ("pods=1", "pods=4", False),
        ("pods=1", "pods=0", True),
        ("cpu=1500m", "cpu=1", True),
        ("cpu=1500m", "cpu=2", False),
        ("limits.memory=1Gi", "limits.memory=1G", True),
        ("limits.memory=1e3,pods=1", "limits.memory=2k,pods=1", False),
        ("pods=1", "cpu=0", False),
        ("pods=many", "pods=0", False),
    ],
)
def test_what_a_quota_can_never_take(requested: str, limited: str, never: bool) -> None:
    assert exceeds_by_itself({"requested": requested, "limited": limited}) is never


def event(**more: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "x", "creationTimestamp": "2026-11-29T12:00:00Z"},
        "involvedObject": {"kind": "Job", "name": "job-abc"},
        "reason": "FailedCreate",
        "message": "Error creating: pods is forbidden: no",
        "firstTimestamp": "2026-11-29T12:00:00Z",
        "lastTimestamp": "2026-11-29T12:03:00Z",
        "count": 3,
    } | more


def test_what_is_read_of_an_event() -> None:
    read = pod_refusals.read_refusal(event())
    assert read is not None
    assert (read.job_id, read.time, read.count) == ("abc", AT + timedelta(minutes=3), 3)
    # Each repetition is news.
    assert pod_refusals.read_refusal(event(count=4)) != read
    newer = event(firstTimestamp=None, lastTimestamp=None, count=None, eventTime="2026-11-29T12:00:00.5Z")
    newer["series"] = {"count": 7, "lastObservedTime": "2026-11-29T12:05:00.25Z"}
    read = pod_refusals.read_refusal(newer)
    assert read is not None
    assert (read.count, read.time) == (7, AT + timedelta(minutes=5, seconds=0.25))
    assert pod_refusals.read_refusal(event(reason="SuccessfulCreate")) is None
    assert pod_refusals.read_refusal(event(involvedObject={"kind": "Job", "name": "others"})) is None
    assert pod_refusals.read_refusal(event(involvedObject={"kind": "ReplicaSet", "name": "job-abc"})) is None


RUNS = JobFacts("j", "abc", suspended=False, started=AT)
ADMITTED = WorkloadFacts("w", "w", "abc", admitted=True)
OVER = JobPodFacts("p", "job-abc-1", "abc", "2026-11-29T11:00:00Z", node="n", over=True)


def refusal(seconds: float) -> pod_refusals.PodRefusal:
    explanation = pod_refusals.explain(event()["message"], SELECTION, PLATFORM)
    assert isinstance(explanation, Explanation)
    return pod_refusals.PodRefusal(explanation, AT + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("seen", "seconds", "holds"),
    [
        (Seen(RUNS, ADMITTED), 0, True),
        (Seen(RUNS, ADMITTED, {"p": OVER}), 1, True),
        (Seen(RUNS, ADMITTED), -1, False),  # of an earlier start
        (Seen(RUNS, ADMITTED, {"p": replace(OVER, over=False)}), 1, False),
        (Seen(replace(RUNS, suspended=True), ADMITTED), 1, False),
        (Seen(RUNS, replace(ADMITTED, active=False)), 1, False),
        (Seen(RUNS, replace(ADMITTED, admitted=False)), 1, False),
        (Seen(replace(RUNS, failed="X"), ADMITTED), 1, False),
        (Seen(None, None), 1, False),
    ],
)
def test_a_refusal_holds_for_the_start_that_it_is_about(seen: Seen, seconds: float, holds: bool) -> None:
    assert pod_refusals.holds(refusal(seconds), seen) is holds


def test_a_job_is_tried_again_less_and_less_often() -> None:
    assert [pod_refusals.pause(number) for number in (1, 2, 3, 99)] == [5, 10, 20, 300]


def test_operators_read_what_was_refused_lately() -> None:
    kept = pod_refusals.RefusedPods(lambda: AT)
    explanation = refusal(0).explanation
    for job in ("a", "a", "b"):
        kept.note(job, explanation, AT - timedelta(minutes=9))
    kept.note("c", explanation, AT - timedelta(minutes=11))
    ((said, number),) = kept.lately()
    assert (Message.parse(said), number) == (explanation.told, 2)


def test_what_nobody_knows_is_told_in_its_own_words_and_tried_again() -> None:
    found = pod_refusals.explain("Error creating: something new", SELECTION, PLATFORM)
    assert found is not None
    assert found.sentence == "The cluster refused to start the job: something new."
    assert found.passes
