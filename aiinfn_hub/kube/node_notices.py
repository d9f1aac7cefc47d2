"""What an operator should know about the cluster, in words."""

from __future__ import annotations

from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.i18n.language import ngettext
from aiinfn_hub.i18n.messages import Message
from aiinfn_hub.platform.model.platform import Platform

from .inventory import NodeWarning


def sentence(notice: NodeWarning, platform: Platform) -> str:
    """Return a notice in the reader's language; empty for an accelerator that the platform file has no more."""
    if notice.code == "credentials_refused":
        return _(
            "The cluster refuses the credentials of vkd (401 Unauthorized), so no job starts or ends and what is shown grows old. "
            "Renew its token or kubeconfig; vkd reads the file again by itself."
        )
    if notice.code == "rights_missing":
        return _(
            "The cluster does not let vkd read {kinds} (403 Forbidden), so what is shown of them is old. "
            "Run `aiinfn-hub kueue apply`, which gives vkd its rights."
        ).format(kinds=", ".join(notice.found))
    if notice.code == "pod_refused":
        text = ngettext(
            "In the last ten minutes the cluster refused the pod of {number} job: {why}",
            "In the last ten minutes the cluster refused the pods of {number} jobs: {why}",
            notice.number,
        )
        return text.format(number=notice.number, why=Message.parse(notice.found[0] if notice.found else ""))
    if notice.code == "refuses":
        text = ngettext(
            "The node {node} turned {number} pod away in the last ten minutes ({why}). Jobs avoid it for a while; look at its "
            "device plugin and its kubelet.",
            "The node {node} turned {number} pods away in the last ten minutes ({why}). Jobs avoid it for a while; look at its "
            "device plugin and its kubelet.",
            notice.number,
        )
        node = ", ".join(notice.nodes)
        return text.format(node=node, number=notice.number, why=", ".join(notice.found))
    device = platform.accelerators.get(notice.accelerator)
    if device is None:
        return ""
    nodes = ", ".join(notice.nodes) + (", …" if notice.number > len(notice.nodes) else "")
    facts = {
        "title": device.title,
        "name": notice.accelerator,
        "resource": device.kubernetes.resource,
        "nodes": nodes,
    }
    if notice.code == "no_resource":
        text = _(
            "{title} ({name}): no node has {resource}, so nothing with it can start. Is the device plugin running, and is "
            "the name of the resource right?"
        )
        return text.format_map(facts)
    if notice.code == "no_labels":
        label = notice.label or ", ".join(device.kubernetes.node_labels)
        facts |= {
            "label": label,
            "value": device.kubernetes.node_labels.get(notice.label, ""),
            "found": ", ".join(notice.found),
        }
        if notice.label and notice.found:
            text = _(
                "{title} ({name}): no node with {resource} has the label {label}={value}, so nothing with it can start; what "
                "nodes have is {found}. Correct node_labels in the platform file."
            )
        else:
            text = _(
                "{title} ({name}): no node with {resource} ({nodes}) has the labels {label} as required, so nothing with it can "
                "start. Correct node_labels in the platform file."
            )
        return text.format_map(facts)
    if notice.code != "shared":
        # The word of a newer vkd, which is better than none.
        return f"{device.title} ({notice.accelerator}): {notice.code} {nodes}".rstrip()
    text = ngettext(
        "{title} ({name}): the node {nodes} hands one device out several times (time-slicing or MPS), so sessions and jobs share "
        "memory and time of a device that is shown as theirs alone. Set replicas to 1 in the device plugin there.",
        "{title} ({name}): the nodes {nodes} hand one device out several times (time-slicing or MPS), so sessions and jobs share "
        "memory and time of a device that is shown as theirs alone. Set replicas to 1 in the device plugin there.",
        notice.number,
    )
    return text.format_map(facts)
