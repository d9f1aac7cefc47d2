"""Kubernetes' events about the pods of jobs, as a real cluster wrote them, and what people read of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from aiinfn_hub.platform import gate
from aiinfn_hub.platform.person import Person
from aiinfn_hub.platform.selection import Door
from aiinfn_hub.vkd.backends.kubernetes.startup_events import read_event, step_of
from tests.vkd.world import platform

PLATFORM = platform()
SELECTION = gate.resolve(
    {"accelerator": "t4", "project": "flavour"}, PLATFORM, Person.of("anna", ["ai-infn/flavour"]), Door.JOB
)


def event(
    component: str, reason: str, message: str, *, pod: str = "job-k3x9abcdef-7xk2p", kind: str = "Pod"
) -> dict[str, Any]:
    return {
        "metadata": {"name": "x", "uid": "e1", "creationTimestamp": "2026-11-26T12:00:05Z"},
        "involvedObject": {"kind": kind, "name": pod, "uid": "p1", "fieldPath": "spec.containers{job}"},
        "reason": reason,
        "message": message,
        "source": {"component": component},
        "reportingComponent": component,
        "firstTimestamp": "2026-11-26T12:00:01Z",
        "lastTimestamp": "2026-11-26T12:09:00Z",
        "count": 17,
    }


@pytest.mark.parametrize(
    ("component", "reason", "message", "said"),
    [
        ("default-scheduler", "Scheduled", "Successfully assigned batch/job-k3x9abcdef-7xk2p to node-3", "On node-3."),
        ("default-scheduler", "FailedScheduling", "0/3 nodes are available: 3 Insufficient nvidia.com/gpu. preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod.", "No node has 1 T4 free now; the job waits for the next."),
        ("kubelet", "Pulling", 'Pulling image "example.org/default:1"', "Fetching “Default”: it is used for the first time on this node."),
        ("kubelet", "Pulled", 'Successfully pulled image "example.org/default:1" in 41.2s (41.2s including waiting). Image size: 1234 bytes.', "Fetched “Default” in 41.2s."),
        ("kubelet", "Pulled", 'Container image "example.org/default:1" already present on machine', "“Default” is on this node already."),
        ("kubelet", "FailedMount", 'MountVolume.SetUp failed for volume "home" : mount failed: exit status 32', "“home” cannot be mounted on this node yet; it is tried again."),
        ("kubelet", "Started", "Started container job", "Starting with “Default”."),
        ("kubelet", "Killing", "Stopping container job", None),
        ("kubelet", "Evicted", "The node was low on resource: memory.", None),
    ],
)  # fmt: skip
def test_what_an_event_says_of_a_start(component: str, reason: str, message: str, said: str | None) -> None:
    facts = read_event(event(component, reason, message))
    assert facts is not None
    assert (facts.pod, facts.job_id) == ("p1", "k3x9abcdef")
    step = step_of(facts, SELECTION, PLATFORM)
    assert (str(step.message) if step else None) == said
    if step:
        assert step.time == datetime(2026, 11, 26, 12, 0, 1, tzinfo=UTC)


def test_a_repetition_is_no_news() -> None:
    once = event("kubelet", "BackOff", "Back-off pulling image")
    again = {**once, "count": 18, "lastTimestamp": "2026-11-26T12:10:00Z"}
    assert read_event(once) == read_event(again)


def test_what_is_not_about_a_pod_of_a_job_is_left_out() -> None:
    assert read_event(event("kubelet", "Started", "x", pod="jupyter-anna")) is None
    assert read_event(event("job-controller", "SuccessfulCreate", "x", kind="Job")) is None
