"""The one table of messages: each code with its English sentence; see :mod:`.messages`.

A code is never given another meaning: databases hold it. ``make messages`` finds the sentences here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aiinfn_hub.contract.templates import NOTHING, Template, counted, table, template

_GENERAL: Final = (
    Template(NOTHING, ""),
    # What was kept as text before there were codes, and what others say in their own words.
    template("text", "{text}"),
    template("and", "{first} {second}"),
    template("noun.session", "session"),
    template("noun.job", "job"),
    template("noun.accelerator", "accelerator"),
    template("noun.an_accelerator", "an accelerator"),
    template("noun.cores", "processor cores"),
    template("noun.disk", "disk space"),
    template("noun.memory", "memory"),
    template("noun.pods", "places for pods"),
    counted(
        "size.cores_and_memory",
        "{cores:number} core and {memory:bytes}",
        "{cores:number} cores and {memory:bytes}",
        count="cores",
    ),
    template("size.with_devices", "{devices}, {size}"),
)

_STATES: Final = (
    template("state.cancelling", "Being cancelled"),
    template("state.cancelling.by", "Being cancelled by {person}"),
    template("state.waiting", "Waiting in {queue}"),
    template("state.waiting.place", "Waiting: {place}"),
    template("state.again", "{why}, in {queue}"),
    template("state.again.place", "{why}, {place}"),
    template("state.because", "{state}; {reason}"),
    template("place.next", "next in line in {queue}"),
    template("place.nth", "{position:ordinal} in line in {queue}"),
    template("again.preempted", "Made room for a session; waiting again"),
    template("again.interrupted", "Stopped with the platform; waiting again"),
    template("again.device_lost", "Its device vanished; waiting again"),
    template("again.lost", "Its process disappeared; waiting again"),
    template("again.held", "Stopped, because its owner lost the access"),
    template("again.start_failed", "It could not be started; waiting again"),
    template("state.starting", "Starting"),
    template("state.starting.again", "Starting again, {attempt:ordinal} attempt"),
    template("state.running", "Running"),
    template("state.running.cell", "Running: cell {cell} of {cells}"),
    template("state.finished", "Finished"),
    template("state.cancelled", "Cancelled"),
    template("state.cancelled.by", "Cancelled by {person}"),
    template("state.failed", "Failed"),
    template("state.failed.lost", "Failed: its process disappeared"),
    template("state.failed.as_told", "{told:phrase}"),
    template("state.failed.never_fits", "Failed: the platform does not have what it asks for"),
    template("state.failed.start", "Failed: it could not be started"),
    template("state.failed.device_lost", "Failed: its device vanished"),
    template("state.failed.error", "Failed: {error}"),
    template("state.failed.cell_error", "Failed in cell {cell}: {error}"),
    template("state.failed.exit_code", "Failed with exit code {code}"),
    template("state.time_limit", "Stopped at its time limit"),
    template("state.time_limit.of", "Stopped at its time limit of {limit:duration}"),
    template("state.unreadable", "What is kept of this job cannot be read. Tell the operators its id."),
)

_SWEEPS: Final = (
    template("sweep.finished", "Finished: all {points} points"),
    template("sweep.failed", "Finished, but {failed} of {points} points failed"),
    template("sweep.cancelled", "Cancelled: {succeeded} of {points} points finished"),
    template("sweep.cancelled.by", "Cancelled by {person}: {succeeded} of {points} points finished"),
    template("sweep.cancelling", "Being cancelled: {done}"),
    template("sweep.cancelling.by", "Being cancelled by {person}: {done}"),
    template("sweep.waiting", "Waiting in {queue}: {done}"),
    template("sweep.again", "{why} in {queue}: {done}"),
    template("sweep.running", "Running: {done}"),
    template("sweep.starting", "Starting: {done}"),
    template("sweep.done", "{over} of {points} points done"),
    counted("sweep.part.running", "{number} running", "{number} running", count="number"),
    counted("sweep.part.finished", "{number} finished", "{number} finished", count="number"),
    counted("sweep.part.failed", "{number} failed", "{number} failed", count="number"),
    counted("sweep.part.cancelled", "{number} cancelled", "{number} cancelled", count="number"),
    template("sweep.ended", "{points} points: {parts}"),
)

_REASONS: Final = (
    # Why a job waits: the end of a sentence.
    template("reason.turn", "it comes when others of its sweep have ended"),
    template("reason.held.withdrawn", "held, because IAM lets its owner in no more"),
    template("reason.held.unconfirmed", "held, until its owner has signed in again"),
    template("reason.held.project", "held, because its owner left the project"),
    template("reason.admitted", "it is about to start"),
    template("reason.queue_stopped", "its queue is stopped by the operators"),
    template(
        "reason.queue_missing",
        "its queue is not set up in the cluster, and the operators must apply the platform file",
    ),
    template("reason.quota", "it asks for more than batch may ever use"),
    template("reason.no_node", "no node has {accelerator} now"),
    template("reason.no_node_enough", "no node has {devices}, the most is {largest}"),
    template("reason.in_use", "all {accelerator} are in use"),
    template("reason.nodes_busy", "all nodes are busy"),
    template(
        "reason.cluster_quota",
        "the cluster takes no more jobs for now, since the quota of its namespace is used up",
    ),
    template(
        "reason.cluster_not_set_up",
        "the cluster is not set up for batch jobs: the operators have to run `aiinfn-hub kueue apply`",
    ),
    template(
        "reason.cluster_credentials",
        "the cluster does not accept the platform's credentials, which the operators have to renew",
    ),
    template("reason.pod_refused", "the cluster refused to start it, and is asked again: {told:phrase}"),
    template(
        "reason.limit_range",
        "a LimitRange of its namespace in the cluster does not allow what it asks for: the operators have to change that",
    ),
    template("reason.node_avoided", "it avoids {nodes} for a while, which did not take it in"),
    template("reason.cluster_silent", "the cluster does not answer"),
    template(
        "reason.cluster_refuses",
        "the cluster does not take this job; the operators find the reason in vkd's log",
    ),
)

_HISTORY: Final = (
    template("history.submitted", "Submitted to {queue}"),
    template("history.submitted.again", "Submitted to {queue} again, as {job} was"),
    template("history.cancelled", "Cancelled."),
    template("history.cancelled.by", "Cancelled by {person}."),
    template("history.cancelled.waiting", "Cancelled while it waited."),
    template("history.deleted", "Its Job was deleted in the cluster by an operator."),
    template("history.running", "Running."),
    template("history.finished", "Finished."),
    template("history.starting", "Starting."),
    template("history.starting.on", "Starting on {place}."),
    template("history.starting.with", "Starting with {devices}."),
    template("history.starting.on_with", "Starting on {place} with {devices}."),
    template("history.time_limit", "Stopped: it reached its time limit of {limit:duration}."),
)

_AGAIN: Final = (
    template("again.gave", "Gave its {devices} to a session at {at:time}; waiting again."),
    template("again.gave.place", "Gave its place to a session at {at:time}; waiting again."),
    template("again.no_device", "Its {accelerator} is no longer there; waiting again."),
    template("again.withheld", "Stopped, because its owner lost the access; it waits."),
    template("again.platform_stopped", "The platform was stopped under it; waiting again."),
    template("again.suspended", "The platform stopped it; waiting again."),
    template(
        "again.machine_stops",
        "Its supervisor was told to stop, as when the machine is shut down; waiting again.",
    ),
    template("again.vkd_restarted", "vkd was restarted just when this was started; waiting again."),
    template(
        "again.disk_full", "Could not start because no space is left on the platform's disk; waiting again."
    ),
    template("again.overloaded", "Could not start because the machine is overloaded; waiting again."),
    template("again.pod_gone", "Its pod disappeared; waiting again."),
    template("again.node_emptied", "Its node is being emptied; waiting again."),
    template("again.node_silent", "Its node does not answer any more; waiting again."),
    template("again.node_gone", "Its node is gone; waiting again."),
    template("again.node_shut_down", "Its node was shut down or ran out of room; waiting again."),
    template("again.node_failed", "Its node failed; waiting again."),
    template("again.node_refused", "Its node {node} did not take it in ({why}); waiting again."),
    template("again.node_restarted", "Its node {node} was restarted under it; waiting again."),
    template("again.place_taken", "Its place went to another job; waiting again."),
    template("again.not_ready", "It was not ready in time; waiting again."),
    template("again.operator", "An operator stopped it; waiting again."),
    template("again.queue_stopped", "An operator stopped its queue; waiting again."),
)

_FAILED: Final = (
    template("failed.error", "Failed: {error}"),
    template("failed.cell", "Failed in cell {cell}: {error}"),
    template("failed.exit_code", "Failed: its process ended with exit code {code}."),
    template("failed.signal", "Failed: its process was ended by {signal}."),
    template(
        "failed.machine_memory",
        "Failed: its machine ran out of memory. Choose a larger size, or load less at once.",
    ),
    template(
        "failed.memory",
        "Failed: it needed more than the {memory:bytes} of memory of its size {size}. Choose a larger size.",
    ),
    template(
        "failed.killed",
        "Failed: its process was killed (SIGKILL), as happens when it uses more than the {memory:bytes} of memory of its size "
        "{size}. Choose a larger size, or load less at once.",
    ),
    template("failed.rebooted", "Failed: the machine was restarted while it ran. Run it again."),
    template(
        "failed.supervisor_killed",
        "Failed: the process that supervises it was killed, and the job was ended with it. Run it again.",
    ),
    template(
        "failed.supervisor_killed.by",
        "Failed: the process that supervises it was killed by {signal}, and the job was ended with it. Run it again.",
    ),
    template(
        "failed.supervisor",
        "Failed: the process that supervises it ended by a fault. Tell the operators, and run it again.",
    ),
    template("failed.node_room", "Failed: its node ran out of memory or disk and ended it. Run it again."),
    template("failed.node_shut_down", "Failed: its node was shut down under it. Run it again."),
    template(
        "failed.node_restarts",
        "Failed: its node was restarted or lost it {times} times while it ran. Tell the operators, and run it again.",
    ),
    template(
        "failed.pod_refused",
        "Failed: the cluster does not let it start. {told} Tell the operators of the platform.",
    ),
    template(
        "failed.pod_too_large",
        "Failed: the cluster does not let it start. {told} Choose a smaller size or fewer accelerators.",
    ),
    template("failed.node_refused", "Failed: its node refused it at the last moment. Run it again."),
    template("failed.lost", "Its process disappeared without a word, perhaps with its node. Run it again."),
    template("failed.start", "Its process could not be started: {why}"),
    template("failed.start.unknown", "Its process could not be started, for an unknown reason."),
    template("failed.start.supervisor", "Its process could not be started: its supervisor ended at once."),
    template(
        "failed.start.accounts", "All system accounts of this machine ({first} to {last}) are given away."
    ),
    template(
        "failed.platform",
        "The platform made a mistake while it ran this. The operators find it in vkd's log.",
    ),
    template("failed.never_fits", "It can never start: it asks for {devices}, and there are {there} here."),
    template("failed.no_such_device", "It can never start: this platform has no {accelerator} any more."),
    template("failed.quota", "It can never start: batch may use {quota} {title} in all."),
    template("failed.too_large", "The parameters or arguments are too large for a job."),
    template(
        "failed.refused", "The cluster does not take this job; the operators find the reason in vkd's log."
    ),
    template(
        "failed.image.name",
        "The image {image} has no valid name. Choose another image, and tell the operators.",
    ),
    template(
        "failed.image.absent",
        "The image {image} is not on the node, which may not fetch it. Choose another image, and tell the operators.",
    ),
    template(
        "failed.image.missing",
        "The image {image} does not exist. Choose another image, and tell the operators.",
    ),
    template(
        "failed.image.denied",
        "The registry does not give the image {image} to the platform. Choose another image, and tell the operators.",
    ),
    template(
        "failed.image.registry",
        "The image {image} could not be fetched for two minutes. Run it again later.",
    ),
    template(
        "failed.image.container",
        "Its container could not be made from the image {image}. Tell the operators.",
    ),
    template(
        "failed.image.python",
        "The image {image} has no Python that starts the job. Choose another image.",
    ),
)

_STARTUP: Final = (
    template("startup.process", "Its process was started."),
    counted(
        "startup.granted",
        "It was given {cores:number} core and {memory:bytes} of this machine.",
        "It was given {cores:number} cores and {memory:bytes} of this machine.",
        count="cores",
    ),
    counted(
        "startup.granted.devices",
        "It was given {devices} ({names}), {cores:number} core and {memory:bytes} of this machine.",
        "It was given {devices} ({names}), {cores:number} cores and {memory:bytes} of this machine.",
        count="cores",
    ),
)

_DRY_RUN: Final = (
    counted("dry_run.behind", "Waits behind {ahead} job in {queue}.", "Waits behind {ahead} jobs in {queue}.", count="ahead"),
    template("dry_run.now.cpu", "Starts now, without an accelerator."),
    template("dry_run.now.one", "Starts now on a free {title}."),
    template("dry_run.now", "Starts now on {count} free {title}."),
    template("dry_run.waits.one", "Waits for a free {title}, next in line in {queue}."),
    template("dry_run.waits", "Waits for {count} free {title}, next in line in {queue}."),
)  # fmt: skip

# Pods: by the rules of `aiinfn_hub.kube.reasons.table`
_PODS: Final = (
    template("pod.making_room", "A batch job is making room on {node}."),
    template("pod.no_node_model", "No node of the cluster has the model {accelerator} now."),
    template("pod.no_node_ever", "No node of the cluster could hold {choice}, not even an empty one."),
    template("pod.no_storage", "The storage {claim} of this {what} does not exist in the cluster."),
    template("pod.storage_pending", "Its storage is being made ready."),
    template("pod.waits_device", "No node has {devices} free now; the {what} waits for the next."),
    template("pod.waits_resource", "No node has enough free {resource} now; the {what} waits."),
    template("pod.nodes_closed", "The nodes that it could use are closed for maintenance; the {what} waits."),
    template(
        "pod.nodes_tainted",
        "The nodes that it could use are reserved for others or not ready; the {what} waits.",
    ),
    template("pod.waits", "No node can take the {what} now; it waits."),
    template("pod.on_node", "On {node}."),
    template("pod.scaling_up", "A node is being added for it: a few minutes."),
    template(
        "pod.image_pulling", "Fetching “{image}”{image_size}: it is used for the first time on this node."
    ),
    template("pod.image_pulled", "Fetched “{image}” in {time}."),
    template("pod.image_there", "“{image}” is on this node already."),
    template("pod.image_never_pull", "“{image}” is not on the node, and this platform fetches no images."),
    template("pod.image_invalid", "“{image}” has no valid name in the platform's file."),
    template("pod.image_missing", "“{image}” does not exist in its registry, or not for this platform."),
    template("pod.image_denied", "The registry does not hand out “{image}” to this platform."),
    template(
        "pod.image_unreachable",
        "“{image}” cannot be fetched, its registry does not answer; it is tried again.",
    ),
    template("pod.image_retry", "“{image}” could not be fetched yet; it is tried again."),
    template("pod.no_program", "“{image}” cannot run a {what}: it has no {program}."),
    template("pod.cannot_start", "“{image}” cannot be started on this node."),
    template("pod.config_missing", "Something that the {what} needs is missing in the cluster."),
    template("pod.mount_missing", "{volume} cannot be mounted: {object} does not exist in the cluster."),
    template("pod.mount_retry", "{volume} cannot be mounted on this node yet; it is tried again."),
    template("pod.mount_retry_unnamed", "A folder cannot be mounted on this node yet; it is tried again."),
    template("pod.sandbox_retry", "The node cannot set the {what} up yet; it is tried again."),
    template("pod.starting", "Starting with “{image}”."),
    template("pod.out_of_memory", "The {what} was ended because it used more than its {memory} of memory."),
    template("pod.evicted_volume", "The {what} was ended because {volume} held more than {limit}."),
    template("pod.evicted_resource", "The {what} was ended because its node ran out of {resource}."),
    template("pod.evicted", "The {what} was ended by its node, which lacked something."),
    template(
        "pod.not_admitted", "The node did not take the {what} in: a device or memory was not there any more."
    ),
    template("pod.preempted", "The {what} was ended to make room for something that goes first."),
    template("pod.drained", "The {what} was ended because the operators are emptying its node."),
    template("pod.node_failed", "The {what} was ended because its node failed or was taken out."),
    template("pod.node_shutdown", "The {what} was ended because its node shut down."),
    template("pod.completed", "The {what} has ended by itself."),
    template(
        "pod.killed",
        "The {what} was killed (exit status 137), as happens when it uses more than its {memory} of memory.",
    ),
    template("pod.node_restarted", "The {what} was ended because its node was restarted under it."),
    template("pod.exit_code", "The {what} ended by itself with exit status {code}."),
    template("pod.ended", "The {what} ended by itself."),
    template(
        "pod.quota",
        "All {what}s together have used up the quota {quota} of their namespace ({requested} more was asked for).",
    ),
    template(
        "pod.security",
        "The cluster refuses the {what}: it does not keep to the {level} Pod Security Standard.",
    ),
    template(
        "pod.quota_too_small",
        "The quota {quota} of the namespace is too small for this {what}: {requested} was asked for, and it allows {limited} in all.",
    ),
    template(
        "pod.quota_demands",
        "The quota {quota} of the namespace demands {missing} of every {what}, which this platform does not set.",
    ),
    template(
        "pod.quota_none",
        "The cluster takes such a {what} only in a namespace with a quota for it, and there is none.",
    ),
    template("pod.denied.policy", "The policy “{policy}” of the cluster does not allow this {what}: {text}."),
    template(
        "pod.denied.webhook", "The webhook “{webhook}” of the cluster does not allow this {what}: {text}."
    ),
    template(
        "pod.denied.silently",
        "The webhook “{webhook}” of the cluster does not allow this {what}, and gives no reason.",
    ),
    template("pod.denied.image", "The cluster's policy for images does not allow “{image}”: {text}."),
    template(
        "pod.webhook_away",
        "The webhook “{webhook}”, which the cluster asks about every {what}, does not answer; it is asked again.",
    ),
    template(
        "pod.limit_range.most", "A LimitRange of the cluster allows a {what} at most {amount} of {resource}."
    ),
    template(
        "pod.limit_range.least",
        "A LimitRange of the cluster demands at least {amount} of {resource} of a {what}.",
    ),
    template(
        "pod.limit_range.ratio",
        "A LimitRange of the cluster lets a {what} have {amount} times what it requests of {resource} at most.",
    ),
    template(
        "pod.limit_range.default",
        "A LimitRange of the cluster limits {resource} to {amount} where nothing is said, which is less than this {what} needs.",
    ),
    template("pod.namespace_ending", "The namespace of the {what}s is being deleted in the cluster."),
    template("pod.forbidden.why", "The cluster does not let the platform start a {what}: {text}."),
    template("pod.refused", "The cluster refused to start the {what}: {text}."),
    template("pod.not_prepared", "The cluster has not been prepared for {what}s."),
    template("pod.too_large", "The cluster does not allow {choice} in one {what}."),
    template("pod.not_yet", "The cluster does not let the platform start a {what} yet; it is asked again."),
    template(
        "pod.credentials",
        "The cluster does not accept the platform's credentials, which the operators have to renew; it is asked again.",
    ),
    template("pod.forbidden", "The cluster does not let the platform start a {what}."),
    template(
        "pod.invalid",
        "The cluster cannot read what was asked of it: the platform's file names something that it does not allow.",
    ),
    template("pod.no_answer", "The cluster does not answer now; it is asked again."),
)

CATALOGUE: Final[Mapping[str, Template]] = table(
    _GENERAL,
    _STATES,
    _SWEEPS,
    _REASONS,
    _HISTORY,
    _AGAIN,
    _FAILED,
    _STARTUP,
    _DRY_RUN,
    _PODS,
)
