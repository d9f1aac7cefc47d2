"""The conversations with the batch service, step by step."""

from __future__ import annotations

import functools
import json
import os
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote

from pydantic import TypeAdapter, ValidationError

from aiinfn_hub.contract.changes import BulkResult, BulkResults
from aiinfn_hub.contract.constants import MOST_TOGETHER, PREFIX
from aiinfn_hub.contract.jobs import HistoryEntry, Job, JobPage
from aiinfn_hub.contract.platform import PlatformView, QueueChoice, Usage
from aiinfn_hub.contract.problem import Reason, reason_of
from aiinfn_hub.contract.runner import Resources
from aiinfn_hub.contract.sweeps import SweepTable
from aiinfn_lab.cleanup import garbage

from .access import SCOPE, PlatformAccess
from .errors import TIMEOUT, AiinfnError
from .io import (
    BackgroundWork,
    Call,
    Emit,
    HttpAnswer,
    NoAnswerError,
    Pause,
    Steps,
)

T = TypeVar("T")

POLL: Final = 2.0
"""Seconds between two looks at jobs that are waited for, as the platform asks its clients to do."""
OUTAGE: Final = 600.0
"""Seconds without an answer after which waiting for jobs or following a log is given up: a service is restarted sooner."""
_PAUSES: Final = (0.2, 0.6, 1.5)
_FIRST_PAUSE: Final = 0.05
_PASSING: Final = frozenset({502, 503, 504})

Trouble = Callable[[AiinfnError], None]


class Protocol:
    """What can be asked of the batch service, as one person."""

    def __init__(self, access: PlatformAccess) -> None:
        self.access = access
        self.api = f"{access.vkd}{PREFIX}"

    def ask(self, call: Call) -> Steps[HttpAnswer]:
        """Ask, a few times if that is safe, and give a good answer.

        Raises
        ------
        AiinfnError
            If there is none, or it is a refusal.
        """
        delivered = False
        for pause in (*_PAUSES, None):
            try:
                answer: HttpAnswer = yield call
            except NoAnswerError as lost:
                delivered = delivered or lost.delivered
                again = call.repeatable or not lost.delivered
                error = self.silent()
            else:
                if answer.status < 300 or answer.status == 304:
                    return answer
                error = self.refusal(answer)
                again = call.repeatable and answer.status in _PASSING and error.reason == Reason.UNAVAILABLE
            # After a fault nobody knows how far the platform got.
            error.delivered = delivered or error.reason == Reason.INTERNAL
            if pause is None or not again:
                raise error
            yield Pause(pause)
        raise AssertionError

    def get(self, path: str, query: Iterable[tuple[str, str]] = ()) -> Steps[bytes]:
        """Read something below the API's root."""
        answer = yield from self.ask(Call("GET", f"{self.api}/{path}", tuple(query)))
        return answer.body

    def platform(self) -> Steps[PlatformView]:
        """Read what the caller may use."""
        return read_model(PlatformView, (yield from self.get("platform")))

    def queues(self) -> Steps[list[QueueChoice]]:
        """Read the caller's queues."""
        return read_model(list[QueueChoice], (yield from self.get("queues")))

    def usage(self, since: datetime | None) -> Steps[Usage]:
        """Read the batch use of devices."""
        query = [] if since is None else [("since", since.isoformat())]
        return read_model(Usage, (yield from self.get("usage", query)))

    def job(self, job_id: str) -> Steps[Job]:
        """Read one job."""
        return read_model(Job, (yield from self.get(path_of(job_id))))

    def events(self, job_id: str) -> Steps[list[HistoryEntry]]:
        """Read a job's history."""
        return read_model(list[HistoryEntry], (yield from self.get(f"{path_of(job_id)}/events")))

    def resources(self, job_id: str, attempt: int | None = None) -> Steps[Resources]:
        """Read what an attempt of a job used."""
        query = [] if attempt is None else [("attempt", str(attempt))]
        return read_model(Resources, (yield from self.get(f"{path_of(job_id)}/resources", query)))

    def jobs(self, states: Iterable[str], limit: int | None, **chosen: str | None) -> Steps[None]:
        """Emit jobs, newest first, page by page.

        Parameters
        ----------
        **chosen
            ``project``, ``owner``, ``search``, ``label``.
        """
        query = [("state", str(state)) for state in states]
        query += [(key, value) for key, value in chosen.items() if value is not None]
        left = limit
        cursor: str | None = None
        while left is None or left > 0:
            size = 100 if left is None else min(left, 100)
            more = [("limit", str(size)), *([("cursor", cursor)] if cursor else [])]
            page = read_model(JobPage, (yield from self.get("jobs", [*query, *more])))
            for job in page.jobs:
                yield Emit(job)
            left = None if left is None else left - len(page.jobs)
            cursor = page.next_cursor
            if cursor is None:
                return

    def cancel(self, job_id: str) -> Steps[Job]:
        """Ask for a job's end."""
        call = Call("POST", f"{self.api}/{path_of(job_id)}/cancel", repeatable=False)
        return read_model(Job, (yield from self.ask(call)).body)

    def edit(self, job_id: str, change: Mapping[str, Any]) -> Steps[Job]:
        """Change what a person may change of a job."""
        call = Call("PATCH", f"{self.api}/{path_of(job_id)}", body=dict(change))
        return read_model(Job, (yield from self.ask(call)).body)

    def bulk(self, action: str, job_ids: Iterable[str], **more: Any) -> Steps[list[BulkResult]]:
        """Do the same with many jobs. Of what is deleted, a session removes what is left in the home."""
        ids = list(dict.fromkeys(job_ids))
        for job_id in ids:
            path_of(job_id)
        found: list[BulkResult] = []
        # The key makes running again safe to repeat, and the rest is so by itself.
        key = {"Idempotency-Key": str(uuid.uuid4())}
        for first in range(0, len(ids), MOST_TOGETHER):
            body = {"action": action, "ids": ids[first : first + MOST_TOGETHER], **more}
            answer = yield from self.ask(Call("POST", f"{self.api}/jobs/bulk", headers=key, body=body))
            found += read_model(BulkResults, answer.body).results
        if action == "delete" and self.access.in_session:
            yield from self._clear()
        return found

    def _clear(self) -> Steps[None]:
        while True:
            left = json.loads((yield from self.get("tombstones")))
            done = yield BackgroundWork(functools.partial(garbage.clear, Path.home(), left))
            if not done:
                return
            yield from self.ask(Call("POST", f"{self.api}/tombstones/acknowledge", body={"ids": done}))

    def points(self, job_id: str) -> Steps[SweepTable]:
        """Read the table of a sweep."""
        return read_model(SweepTable, (yield from self.get(f"{path_of(job_id)}/points")))

    def points_csv(self, job_id: str) -> Steps[str]:
        """Read the table of a sweep as CSV."""
        return (yield from self.get(f"{path_of(job_id)}/points", [("format", "csv")])).decode()

    def rerun(self, job_id: str, points: str | None) -> Steps[Job]:
        """Submit a job that is over once more. The key makes the question safe to repeat."""
        call = Call(
            "POST",
            f"{self.api}/{path_of(job_id)}/rerun",
            () if points is None else (("points", points),),
            {"Idempotency-Key": str(uuid.uuid4())},
        )
        return read_model(Job, (yield from self.ask(call)).body)

    def wait(
        self,
        job_ids: Iterable[str],
        timeout: float | None,
        on_change: Callable[[Job], None] | None,
        on_trouble: Trouble | None,
    ) -> Steps[list[Job]]:
        """Wait until jobs are over; asks only for what changed, however many they are.

        If there is no answer to the first question that is told at once; from then on it is borne.
        """
        ids = list(dict.fromkeys(job_ids))
        deadline = None if timeout is None else time.monotonic() + timeout
        patience = Patience(on_trouble)
        page = read_model(JobPage, (yield from self.get("jobs", [("limit", "1")])))
        known: dict[str, Job] = {}
        for job_id in ids:
            known[job_id] = yield from patience.insist(functools.partial(self.job, job_id))
            if on_change is not None:
                on_change(known[job_id])
        seen, pause = page.revision, POLL / 4
        while open_ids := [job_id for job_id in ids if not known[job_id].final]:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise _too_slow(open_ids, len(ids), timeout or 0)
            yield Pause(pause if left is None else min(pause, left))
            pause = min(pause * 2, POLL)
            try:
                changed, seen = yield from self._changed(seen)
            except AiinfnError as error:
                patience.bear(error)
                continue
            patience.good()
            for job in reversed(changed):
                before = known.get(job.id)
                if before is not None and job.updated >= before.updated:
                    known[job.id] = job
                    if on_change is not None and job != before:
                        on_change(job)
        return [known[job_id] for job_id in ids]

    def _changed(self, since: int) -> Steps[tuple[list[Job], int]]:
        """Read all jobs that changed, last changed first, and up to what that is."""
        found: list[Job] = []
        cursor: str | None = None
        through = since
        while True:
            query = [
                ("since_revision", str(since)),
                ("limit", "200"),
                *([("cursor", cursor)] if cursor else []),
            ]
            page = read_model(JobPage, (yield from self.get("jobs", query)))
            if cursor is None:
                through = page.revision
            found += page.jobs
            cursor = page.next_cursor
            if cursor is None:
                return found, through

    def silent(self) -> AiinfnError:
        """Explain that nobody answers."""
        hint = "Running and queued jobs are not affected; try again in a moment."
        if self.access.hub is not None:
            hint = f"{hint} If it stays so, see whether {self.access.hub} opens in a browser."
        return AiinfnError(Reason.UNAVAILABLE, "The batch service does not answer.", hint)

    def refusal(self, answer: HttpAnswer) -> AiinfnError:
        """Turn an answer that is no good one into an error for a person."""
        try:
            problem = json.loads(answer.body)
        except ValueError:
            problem = None
        if not isinstance(problem, dict) or not isinstance(problem.get("message"), str):
            problem = {}
        if answer.status == 401:
            error = self._not_known()
        elif not problem:
            error = self._foreign(answer)
        else:
            error = self._told(answer, problem)
        error.foreign = not isinstance(problem.get("reason"), str)
        return error

    def _told(self, answer: HttpAnswer, problem: dict[str, Any]) -> AiinfnError:
        reason = str(problem.get("reason") or reason_of(None, answer.status))
        hint, field = problem.get("hint"), problem.get("field")
        if answer.status == 403 and "access:services" in str(hint) and self.access.hub is not None:
            hint = self.scope_hint()
        return AiinfnError(
            reason,
            problem["message"],
            hint if isinstance(hint, str) else "",
            status=answer.status,
            field=field.removeprefix("work.") if isinstance(field, str) else None,
        )

    def scope_hint(self) -> str:
        """Return how to get a token that may use the batch service."""
        return (
            f"Request another token at {self.access.hub}/hub/token, with {SCOPE} in the field Permissions "
            f"(or with that field empty: it may then do all that you may), and {self._use_it()}"
        )

    def _not_known(self) -> AiinfnError:
        if self.access.hub is None:
            return AiinfnError(
                Reason.UNAUTHENTICATED,
                "The batch service no longer knows this session's sign-in.",
                "Save your work, then stop and start your server from the hub (File > Hub Control Panel).",
                status=401,
            )
        return AiinfnError(
            Reason.UNAUTHENTICATED,
            "The hub does not know this token (any more).",
            f"Get a new one at {self.access.hub}/hub/token, then {self._use_it()}",
            status=401,
        )

    def _use_it(self) -> str:
        """Return where a new token belongs: one in the environment comes before one that login keeps."""
        if os.environ.get("AIINFN_TOKEN") == self.access.token:
            return "put it into AIINFN_TOKEN."
        return "run: aiinfn login"

    def _foreign(self, answer: HttpAnswer) -> AiinfnError:
        if answer.status == 403:
            return AiinfnError(
                Reason.FORBIDDEN,
                "This token may not do that.",
                self.scope_hint() if self.access.hub else "Stop and start your server from the hub.",
                status=403,
            )
        if self.access.hub is not None and (300 <= answer.status < 400 or answer.status == 404):
            return AiinfnError(
                Reason.UNAVAILABLE,
                f"At {self.access.hub} there is no batch service of this kind.",
                "Check the address: it is the one of the hub, as in the browser. Then run: aiinfn login ADDRESS",
                status=answer.status,
            )
        return AiinfnError(
            Reason.UNAVAILABLE,
            "The batch service is starting, or its address leads to something else.",
            "Try again in a moment; if it stays so, ask the operators.",
            status=answer.status,
        )


class Patience:
    """Bears that the platform does not answer for a while, which a conversation of hours must.

    Attributes
    ----------
    pause
        Seconds to wait before the next question: more from one failure to the next.
    """

    def __init__(self, tell: Trouble | None) -> None:
        self.pause = _FIRST_PAUSE
        self._tell = tell
        self._since: float | None = None
        self._told = False

    def answered(self) -> None:
        """Note that it answered."""
        self._since, self._told = None, False

    def good(self) -> None:
        """Note that it answered and got on."""
        self.answered()
        self.pause = _FIRST_PAUSE

    def bear(self, error: AiinfnError) -> None:
        """Take an error that passes, or raise it. A connection that is cut once is not worth a word."""
        if error.reason != Reason.UNAVAILABLE:
            raise error
        now = time.monotonic()
        if self._since is None:
            self._since = now
        elif not self._told and self._tell is not None:
            self._told = True
            self._tell(error)
        if now - self._since > OUTAGE:
            raise error
        self.pause = min(2 * self.pause, POLL)

    def insist(self, ask: Callable[[], Steps[T]]) -> Steps[T]:
        """Ask until there is an answer."""
        while True:
            try:
                answer = yield from ask()
            except AiinfnError as error:
                self.bear(error)
                yield Pause(self.pause)
            else:
                self.good()
                return answer


def path_of(job_id: str) -> str:
    """Return the path of a job below the API's root."""
    if not job_id or "/" in job_id or job_id in {".", ".."}:
        raise AiinfnError(
            Reason.NOT_FOUND, "There is no such job.", "Ids look like h7k2m9x4wq; see the list of your jobs."
        )
    return f"jobs/{quote(job_id, safe='')}"


def _too_slow(open_ids: list[str], total: int, timeout: float) -> AiinfnError:
    names = ", ".join(open_ids[:5]) + (" and others" if len(open_ids) > 5 else "")
    return AiinfnError(
        TIMEOUT,
        f"{len(open_ids)} of {total} jobs {'are' if len(open_ids) != 1 else 'is'} not over after {timeout:g} s: {names}.",
        "They go on. Wait again, with more time.",
    )


def read_model(model: type[T], body: bytes) -> T:
    """Read an answer of the contract from JSON.

    Raises
    ------
    AiinfnError
        If it cannot be read.
    """
    try:
        return TypeAdapter(model).validate_json(body)
    except ValidationError:
        # Without the cause: it quotes the answer.
        raise AiinfnError(
            Reason.UNAVAILABLE,
            "The batch service answers in another version's words.",
            "Update the package aiinfn here, or restart your session to get the present one.",
        ) from None
