"""From a granted job to a batch/v1 Job that Kueue admits, and from pods of it back to what happened."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from aiinfn_hub.contract.jobs import RunSpec, Work
from aiinfn_hub.kube import names
from aiinfn_hub.kube.client import path_of
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.selection import Selection

from .pods import avoiding, pod_parts, pod_spec

Json = dict[str, Any]

JOBS: Final = "batch/v1"
KUEUE: Final = "kueue.x-k8s.io/v1beta2"
SPEC_FOLDER: Final = "/run/aiinfn"
SPEC_FILE: Final = "run-spec.json"
RUNNER: Final = ("python", "-P", "-s", "-m", "aiinfn_lab.runner", f"{SPEC_FOLDER}/{SPEC_FILE}")
"""``-P`` keeps the home, its working folder, off its module path: a person's ``random.py`` must not break it."""
CONTAINER: Final = "job"
LONGEST_GRACE: Final = 10.0
"""Seconds that a session waits at most for a job that does not want to end."""
LONGEST_START: Final = timedelta(minutes=30)
"""From the Job's start to that of its container, the image's pull included: its time limit does not run meanwhile."""
MOST_BYTES: Final = 200_000
"""Of the run's description: Kubernetes takes 256 KiB for all annotations of an object together."""


def job(
    job_id: str,
    selection: Selection,
    work: Work,
    output: str,
    platform: Platform,
    *,
    command: Sequence[str] = RUNNER,
    avoid: Iterable[str] = (),
) -> Json:
    """Make the Job object of a batch job: there is one for all its attempts.

    Parameters
    ----------
    command
        What runs in the container; the runner, unless it is a test.
    avoid
        Nodes that must not take it.

    Notes
    -----
    Each field has a reason that was measured (tests/cluster):

    - ``suspend``: Kueue starts it. Its own webhook would set this too, but not while Kueue is down.
    - ``backoffLimit`` 0 with a rule that ignores disruptions: a job whose own code fails is not tried again, one that
      was evicted is.
    - ``activeDeadlineSeconds`` counts from the Job's startTime, which Kubernetes sets again when Kueue resumes the Job. The
      image's pull would count, so it begins as `first_deadline`, and vkd sets it anew once the container runs.
    """
    parts = pod_parts(selection, platform)
    parts = replace(parts, affinity=avoiding(parts.affinity, avoid))
    labels = names.Labels(platform.label_prefix)
    own = {**parts.labels, labels.job: job_id}
    spec = RunSpec(job=job_id, attempt=0, home=parts.home, work=work, output=output)
    queue = selection.queue_name or ""
    template = {
        "metadata": {
            "labels": own,
            "annotations": {
                **parts.annotations,
                labels.job: job_id,
                labels.run_spec: spec.model_dump_json(),
            },
        },
        "spec": pod_spec(
            parts,
            name=CONTAINER,
            command=command,
            environment={"AIINFN_JOB_ID": job_id, "AIINFN_MEASURE": "container"},
            grace_seconds=grace_seconds(platform),
            extra_volumes=[_spec_volume(labels)],
            extra_mounts=[{"name": "run-spec", "mountPath": SPEC_FOLDER, "readOnly": True}],
        ),
    }
    return {
        "apiVersion": JOBS,
        "kind": "Job",
        "metadata": {
            "name": names.job_name(job_id),
            "labels": {
                **own,
                names.QUEUE_LABEL: names.local_queue(queue, selection.project),
                names.QUEUE_PRIORITY_LABEL: names.Instance.of(platform).queue_priority_class(queue),
            },
            "annotations": {**parts.annotations, labels.job: job_id},
        },
        "spec": {
            "suspend": True,
            "parallelism": 1,
            "completions": 1,
            "backoffLimit": 0,
            "podFailurePolicy": {
                "rules": [
                    {
                        "action": "Ignore",
                        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                    }
                ]
            },
            "activeDeadlineSeconds": first_deadline(selection),
            "ttlSecondsAfterFinished": round(platform.kubernetes.job_time_to_live.total_seconds()),
            "template": template,
        },
    }


def _spec_volume(labels: names.Labels) -> Json:
    item = {"path": SPEC_FILE, "fieldRef": {"fieldPath": f"metadata.annotations['{labels.run_spec}']"}}
    return {"name": "run-spec", "downwardAPI": {"items": [item]}}


def first_deadline(selection: Selection) -> int:
    """Return the seconds from its start after which a Job ends whose container was not seen running yet."""
    return max(1, round((selection.time_limit + LONGEST_START).total_seconds()))


def deadline(selection: Selection, job_started: datetime, container_started: datetime) -> int:
    """Return the seconds from its start after which a Job ends, so that its container has its whole time limit."""
    waited = max(timedelta(0), container_started - job_started)
    return max(1, round((waited + selection.time_limit).total_seconds()))


def grace_seconds(platform: Platform) -> int:
    """Return the seconds between SIGTERM and SIGKILL of a job."""
    return max(1, round(min(platform.limits.grace.total_seconds(), LONGEST_GRACE)))


def jobs_path(platform: Platform, name: str | None = None) -> str:
    """Return the path of a Job, or of all."""
    return path_of(JOBS, "jobs", namespace=platform.kubernetes.batch_namespace, name=name)


def pods_path(platform: Platform, name: str | None = None, part: str = "") -> str:
    """Return the path of a pod of batch, or of all."""
    return path_of("v1", "pods", namespace=platform.kubernetes.batch_namespace, name=name, part=part)


def events_path(platform: Platform) -> str:
    """Return the path of what happened in batch."""
    return path_of("v1", "events", namespace=platform.kubernetes.batch_namespace)


def workloads_path(platform: Platform, name: str | None = None) -> str:
    """Return the path of a Workload, or of all."""
    return path_of(KUEUE, "workloads", namespace=platform.kubernetes.batch_namespace, name=name)


def pending_path(platform: Platform, queue: str, project: str) -> str:
    """Return the path at which Kueue tells the places of a project's jobs in a queue of the platform."""
    return path_of(
        "visibility.kueue.x-k8s.io/v1beta2",
        "localqueues",
        namespace=platform.kubernetes.batch_namespace,
        name=names.local_queue(queue, project),
        part="pendingworkloads",
    )


def moment(text: str | None) -> datetime | None:
    """Read a time as Kubernetes writes it."""
    return datetime.fromisoformat(text) if text else None
