"""A job that goes on from a session: the cells that ran there keep their outputs, and the kernel gets the session's variables."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError
from nbformat.v4 import new_markdown_cell

from aiinfn_hub.contract.constants import TOOK_OVER
from aiinfn_lab.kernel_state import asking
from aiinfn_lab.kernel_state.kernel_side.words import UNREAD
from aiinfn_lab.kernel_state.loading import SUFFIX
from aiinfn_lab.runner.protocol import CannotRunError, Reporter

_NAME: Final = re.compile(r"name '([^']+)' is not defined")
_SHOWN: Final = 20
_MOST: Final = 4 * 2**30
"""Bytes of the variables that are kept at the end."""


def mark(notebook: Any, start: int, job: str, state: Path) -> int:
    """Put a cell before the first that the job executes, which says so, and give the index of the one behind it."""
    cells = notebook.cells
    while start and cells[start - 1].get("id") == TOOK_OVER:
        # Of a former job that went on from the same place.
        start -= 1
        del cells[start]
    for cell in cells:
        if cell.get("id") == TOOK_OVER:
            cell["id"] = f"{TOOK_OVER}-{job}"[:64]
    when = datetime.fromtimestamp(state.stat().st_mtime, UTC)
    new_cell: Any = new_markdown_cell
    marker = new_cell(
        f"**The job took over here.** The cells above ran in the session, and their outputs are from there. Those below ran "
        f"in job `{job}`, with the variables of the session as they were on {when:%-d %B %Y at %H:%M} UTC.",
        id=TOOK_OVER,
        metadata={
            "tags": [TOOK_OVER],
            "aiinfn": {"took_over": {"job": job, "cell": start, "time": when.isoformat(timespec="seconds")}},
        },
    )
    cells.insert(start, marker)
    return start + 1


def keep(notebook: Any, start: int) -> list[Any]:
    """Copy the cells before the start, whose outputs papermill would clear, with the notes that it needs."""
    kept: list[Any] = copy.deepcopy(notebook.cells[:start])
    for cell in kept:
        cell.metadata.papermill = {
            "exception": None,
            "start_time": None,
            "end_time": None,
            "duration": None,
            "status": "completed",
        }
    return kept


def tell(notebook: Any, start: int, job: str) -> None:
    """Add to the cell that says where the job took over how to have its variables in a session."""
    cell = notebook.cells[start - 1]
    cell.source += (
        f"\n\nIn a kernel of a session, this brings back the variables that it had at its end: `{call(job)}`"
    )


def call(job: str) -> str:
    """Return the code that brings back the variables of a job."""
    return f'import aiinfn_lab; aiinfn_lab.load_variables("{job}")'


class Variables:
    """The session's variables, as the job's kernel is given them."""

    def __init__(self, state: Path, reporter: Reporter) -> None:
        self._state = state
        self._reporter = reporter
        self._left_out: dict[str, str] = {}

    async def restore(self, client: NotebookClient, why_ended: Callable[[], tuple[str, str]]) -> None:
        """Have the kernel read the file.

        Parameters
        ----------
        why_ended
            Says why the kernel ended: the error's name, and a sentence.

        Raises
        ------
        CannotRunError
            If it cannot: nothing that the cells would do then could be right.
        """
        assert client.kc is not None  # noqa: S101 - it was started before
        request = asking.expressions({"do": "restore", "path": str(self._state)})
        try:
            number = client.kc.execute(
                "", silent=True, store_history=False, user_expressions=request, allow_stdin=False
            )
            reply = await client.async_wait_for_reply(number)
        except DeadKernelError as error:
            name, message = why_ended()
            raise CannotRunError(name, f"{message} It was reading the session's variables.") from error
        found = asking.answer(reply["content"] if reply else {})
        if "restored" not in found:
            raise CannotRunError("Variables", _why(found))
        self._left_out = {each["name"]: each["reason"] for each in found["left_out"]}
        self._say(found)

    async def keep(self, client: NotebookClient, job: str) -> bool:
        """Have the kernel write its variables at the end, so that a session can go on with them.

        It is told in the log if it cannot; the job succeeded all the same.
        """
        assert client.kc is not None  # noqa: S101 - it was started before
        path = self._state.with_name(f"{job}{SUFFIX}")
        request = {"do": "save", "path": str(path), "leave_out": [], "limit": _MOST}
        try:
            number = client.kc.execute(
                "",
                silent=True,
                store_history=False,
                user_expressions=asking.expressions(request),
                allow_stdin=False,
            )
            reply = await client.async_wait_for_reply(number)
        except DeadKernelError:
            reply = None
        found = asking.answer(reply["content"] if reply else {})
        if "carried" not in found:
            why = {"too_large": "they are too large"}.get(found.get("problem", ""), found.get("message"))
            self._reporter.line(
                f"[the variables at the end were not kept: {why or 'the kernel gave no answer'}]"
            )
            return False
        self._reporter.line(f"[to have the variables back in a session: {call(job)}]")
        return True

    def explain(self, name: str, message: str) -> str:
        """Add to an error's message that the name it is about was not carried."""
        match = _NAME.search(message) if name == "NameError" else None
        reason = self._left_out.get(match[1]) if match else None
        return f"{message}. It was not carried from the session. {reason}" if reason else message

    def _say(self, found: dict[str, Any]) -> None:
        number = len(found["restored"])
        self._reporter.line(f"[goes on from the session, with {number} name{'s' if number != 1 else ''}]")
        if self._left_out:
            names = list(self._left_out)
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            self._reporter.line(f"[not carried: {', '.join(names[:_SHOWN])}{more}]")
        for each in found["left_out"][:_SHOWN]:
            if each["reason"].startswith(UNREAD):
                self._reporter.line(f"[{each['name']}: {each['reason']}]")
        for line in [*found["differences"], *found["warnings"]][:_SHOWN]:
            self._reporter.line(f"[{line}]")


def _why(found: dict[str, Any]) -> str:
    error = found.get("error") or found.get("message") or found.get("problem", "it gave no answer")
    what = f"The variable '{found['name']}'" if found.get("name") else "The session's variables"
    differences = "; ".join(found.get("differences", [])[:5])
    return f"{what} cannot be read here: {error}." + (f" Note that {differences}." if differences else "")
