"""What is said of jobs is kept as codes and facts instead of English sentences.

The columns stay texts: what was a sentence in them is now the JSON of a message. The sentences of which the code and all
facts are certain become that code; others stay what they were, as the fact of the code ``text``.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_BATCH: Final = 2000
_TABLES: Final = {"jobs": "number", "history": "id", "startup": "id"}
"""With the key by which their rows are taken in their order."""

_EXACT: Final = {
    "": "nothing",
    "Cancelled.": "history.cancelled",
    "Cancelled while it waited.": "history.cancelled.waiting",
    "Its Job was deleted in the cluster by an operator.": "history.deleted",
    "Running.": "history.running",
    "Finished.": "history.finished",
    "Starting.": "history.starting",
    "Its process was started.": "startup.process",
    "Stopped, because its owner lost the access; it waits.": "again.withheld",
    "The platform was stopped under it; waiting again.": "again.platform_stopped",
    "The platform stopped it; waiting again.": "again.suspended",
    "Its supervisor was told to stop, as when the machine is shut down; waiting again.": "again.machine_stops",
    "vkd was restarted just when this was started; waiting again.": "again.vkd_restarted",
    "Could not start because no space is left on the platform's disk; waiting again.": "again.disk_full",
    "Could not start because the machine is overloaded; waiting again.": "again.overloaded",
    "Its pod disappeared; waiting again.": "again.pod_gone",
    "Its node is being emptied; waiting again.": "again.node_emptied",
    "Its node does not answer any more; waiting again.": "again.node_silent",
    "Its node is gone; waiting again.": "again.node_gone",
    "Its node was shut down or ran out of room; waiting again.": "again.node_shut_down",
    "Its node failed; waiting again.": "again.node_failed",
    "Its place went to another job; waiting again.": "again.place_taken",
    "It was not ready in time; waiting again.": "again.not_ready",
    "An operator stopped it; waiting again.": "again.operator",
    "An operator stopped its queue; waiting again.": "again.queue_stopped",
    "Failed: its machine ran out of memory. Choose a larger size, or load less at once.": "failed.machine_memory",
    "Failed: the machine was restarted while it ran. Run it again.": "failed.rebooted",
    "Failed: the process that supervises it was killed, and the job was ended with it. Run it again.": "failed.supervisor_killed",
    "Failed: the process that supervises it ended by a fault. Tell the operators, and run it again.": "failed.supervisor",
    "Failed: its node ran out of memory or disk and ended it. Run it again.": "failed.node_room",
    "Failed: its node was shut down under it. Run it again.": "failed.node_shut_down",
    "Failed: its node refused it at the last moment. Run it again.": "failed.node_refused",
    "Its process disappeared without a word, perhaps with its node. Run it again.": "failed.lost",
    "Its process could not be started: for an unknown reason.": "failed.start.unknown",
    "Its process could not be started: its supervisor ended at once.": "failed.start.supervisor",
    "The platform made a mistake while it ran this. The operators find it in vkd's log.": "failed.platform",
    "Its storage is being made ready.": "pod.storage_pending",
    "A node is being added for it: a few minutes.": "pod.scaling_up",
    "A folder cannot be mounted on this node yet; it is tried again.": "pod.mount_retry_unnamed",
}
_PATTERNS: Final = tuple(
    (code, re.compile(pattern))
    for code, pattern in (
        ("history.submitted.again", r"Submitted to (?P<queue>\S+) again, as (?P<job>\w+) was"),
        ("history.submitted", r"Submitted to (?P<queue>\S+)"),
        ("history.cancelled.by", r"Cancelled by (?P<person>.+)\."),
        ("history.starting.on_with", r"Starting on (?P<place>\S+) with (?P<devices>.+)\."),
        ("history.starting.on", r"Starting on (?P<place>.+)\."),
        ("pod.starting", r"Starting with “(?P<image>.+)”\."),
        ("history.starting.with", r"Starting with (?P<devices>.+)\."),
        ("failed.exit_code", r"Failed: its process ended with exit code (?P<code>-?\d+)\."),
        ("failed.signal", r"Failed: its process was ended by (?P<signal>SIG[A-Z0-9]+|signal \d+)\."),
        ("failed.cell", r"Failed in cell (?P<cell>\d+): (?P<error>.+)"),
        ("failed.no_such_device", r"It can never start: this platform has no (?P<accelerator>.+) any more\."),
        ("again.no_device", r"Its (?P<accelerator>.+) is no longer there; waiting again\."),
        ("pod.on_node", r"On (?P<node>\S+)\."),
        ("pod.image_there", r"“(?P<image>.+)” is on this node already\."),
        ("pod.image_pulled", r"Fetched “(?P<image>.+)” in (?P<time>\S+)\."),
    )
)
_NUMBERS: Final = frozenset({"code", "cell"})


def upgrade() -> None:
    """Make messages of the sentences, some at a time."""
    connection = op.get_bind()
    for table, key in _TABLES.items():
        query = sa.text(f"SELECT {key}, message FROM {table} WHERE {key} > :last ORDER BY {key} LIMIT :batch")  # noqa: S608 - names of ours
        change = sa.text(f"UPDATE {table} SET message = :message WHERE {key} = :key")  # noqa: S608
        last = -1
        while rows := connection.execute(query, {"last": last, "batch": _BATCH}).all():
            last = rows[-1][0]
            connection.execute(change, [{"key": row[0], "message": message_of(row[1])} for row in rows])


def downgrade() -> None:
    """Leave them: an older version shows the JSON."""


def message_of(text: str) -> str:
    """Return the JSON of the message that says what a sentence says."""
    if text.startswith('{"code":') and _is_message(text):
        return text  # the database was here before, and went back
    if text in _EXACT:
        return _json(_EXACT[text], {})
    for code, pattern in _PATTERNS:
        if found := pattern.fullmatch(text):
            facts = found.groupdict()
            return _json(
                code, {name: int(fact) if name in _NUMBERS else fact for name, fact in facts.items()}
            )
    return _json("text", {"text": text})


def _is_message(text: str) -> bool:
    try:
        value = json.loads(text)
    except ValueError:
        return False
    return isinstance(value, dict) and value.keys() == {"code", "facts"}


def _json(code: str, facts: dict[str, Any]) -> str:
    return json.dumps(
        {"code": code, "facts": facts}, sort_keys=True, ensure_ascii=False, separators=(",", ":")
    )
