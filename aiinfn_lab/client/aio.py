"""The client of the batch service, with ``await``; `sync` has the same without."""

from __future__ import annotations

import functools
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import aclosing
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self, Unpack

from aiinfn_hub.contract.changes import BulkResult, BulkResults
from aiinfn_hub.contract.constants import MOST_TOGETHER
from aiinfn_hub.contract.jobs import DryRun, HistoryEntry, Job, JobPage
from aiinfn_hub.contract.platform import PlatformView, QueueChoice, Usage
from aiinfn_hub.contract.runner import Resources
from aiinfn_hub.contract.sweeps import SweepPoint, SweepTable
from aiinfn_lab import transport
from aiinfn_lab.cleanup import garbage
from aiinfn_lab.transport import Call

from . import submit
from .access import find
from .api import POLL, Api, Patience, Trouble, path_of, read_model, too_slow
from .errors import AiinfnError
from .logs import LogPart, last_lines, read_log
from .options import Options, submission

_KEY: Final = "Idempotency-Key"


class AsyncClient:
    """`Client` with ``await``: the same methods, those that iterate to be used with ``async for``."""

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        timeout: float = transport.TIMEOUT,
        language: str = "",
        zone: str = "",
    ) -> None:
        access = find(url, token)
        self._api = Api(access, self._transport(access.connection(timeout, language=language, zone=zone)))

    @staticmethod
    def _transport(to: transport.Connection) -> transport.Transport:
        from aiinfn_lab.transport.asynchronous import AsyncTransport  # noqa: PLC0415 - commands do without aiohttp

        return AsyncTransport(to)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._api.access.vkd!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._api.transport.close()

    async def platform(self) -> PlatformView:
        """Return what you may use, and what is free of it."""
        return await self._api.read(PlatformView, "platform")

    async def queues(self) -> list[QueueChoice]:
        """Return the queues you may use, with their lengths."""
        return await self._api.read(list[QueueChoice], "queues")

    async def usage(self, since: datetime | None = None) -> Usage:
        """Sum the batch use of devices, of the last 30 days if ``since`` is None."""
        return await self._api.read(Usage, "usage", [] if since is None else [("since", since.isoformat())])

    async def submit(self, path: str | Path | None = None, **options: Unpack[Options]) -> Job:
        """Submit a notebook, a script, a folder or a command, and give the job.

        Parameters
        ----------
        path
            Notebook, script or folder; what is queued is a copy of it as it is now. Of a folder, ``command`` runs in a copy
            of it, or else the file in it that is clearly meant, such as ``main.py``. ``home:`` before it means a path in the
            home on the platform, which from outside is another one than here.
        **options
            See `Options`.
        """
        return await submit.submit(self._api, submission(path, options))

    async def check(self, path: str | Path | None = None, **options: Unpack[Options]) -> DryRun:
        """Ask what would happen to a submission, with the arguments of `submit`; nothing is queued.

        From outside the file is put into the home nevertheless, where the platform looks at it.
        """
        return await submit.check(self._api, submission(path, options))

    async def jobs(
        self,
        state: str | Iterable[str] = (),
        *,
        project: str | None = None,
        owner: str | None = None,
        search: str | None = None,
        label: str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[Job]:
        """Iterate over the jobs you may see, newest first; further pages are read as they are needed.

        Parameters
        ----------
        state
            One state or several; ``active`` means all that are not over.
        search
            Words that must all be in the name, path, labels, id or error of a job; parts of words will do.
        label
            Only jobs with this label.
        limit
            Jobs to give at most; None gives all.
        """
        chosen = {"project": project, "owner": owner, "search": search, "label": label}
        query = [("state", str(each)) for each in ([state] if isinstance(state, str) else state)]
        query += [(key, value) for key, value in chosen.items() if value is not None]
        left = limit
        cursor: str | None = None
        while left is None or left > 0:
            size = 100 if left is None else min(left, 100)
            more = [("limit", str(size)), *([("cursor", cursor)] if cursor else [])]
            page = await self._api.read(JobPage, "jobs", [*query, *more])
            for job in page.jobs:
                yield job
            left = None if left is None else left - len(page.jobs)
            cursor = page.next_cursor
            if cursor is None:
                return

    async def job(self, job_id: str) -> Job:
        """Return one job as it is now."""
        return await self._api.read(Job, path_of(job_id))

    async def events(self, job_id: str) -> list[HistoryEntry]:
        """Return every change of a job's state, oldest first."""
        return await self._api.read(list[HistoryEntry], f"{path_of(job_id)}/events")

    async def resources(self, job_id: str, attempt: int | None = None) -> Resources:
        """Return what an attempt of a job used: the last one unless another is named."""
        query = [] if attempt is None else [("attempt", str(attempt))]
        return await self._api.read(Resources, f"{path_of(job_id)}/resources", query)

    async def logs(
        self,
        job_id: str,
        *,
        follow: bool = False,
        offset: int = 0,
        attempt: int | None = None,
        on_trouble: Trouble | None = None,
    ) -> AsyncIterator[LogPart]:
        """Iterate over the parts of a job's log; ``print(part, end="")`` shows one.

        Parameters
        ----------
        follow
            Go on until the job is over, over cut connections, restarts of the service and preemptions: each part
            says of which attempt it is.
        offset
            Bytes to leave out at the beginning; negative: begin so many bytes before the end.
        attempt
            Only this one. Default: the latest, and those that follow it.
        on_trouble
            Called when the platform does not answer for a while; reading goes on.
        """
        parts = read_log(
            self._api, job_id, attempt=attempt, offset=offset, follow=follow, on_trouble=on_trouble
        )
        async with aclosing(parts):
            async for part in parts:
                yield part

    async def tail(self, job_id: str, lines: int = 10, *, attempt: int | None = None) -> LogPart:
        """Return the last lines of a job's log, as far as they are in its last 4 MiB."""
        return await last_lines(self._api, job_id, attempt, lines)

    async def cancel(self, job_id: str) -> Job:
        """Ask for a job's end; the state changes when its process has ended."""
        return await self._change("POST", f"{path_of(job_id)}/cancel", repeatable=False)

    async def delete(self, jobs: str | Job | Iterable[str | Job]) -> list[BulkResult]:
        """Delete jobs that are over, sweeps with their points; your own input and output files stay.

        Returns
        -------
        list of BulkResult
            For each one its id, and as ``problem`` why it was not deleted, or None.
        """
        results = await self._bulk("delete", jobs)
        if self._api.access.in_session:
            await self._clear()
        return results

    async def label(
        self, jobs: str | Job | Iterable[str | Job], add: Iterable[str] = (), remove: Iterable[str] = ()
    ) -> list[BulkResult]:
        """Give jobs labels, and take some away; returns for each one the job, or as ``problem`` why not."""
        return await self._bulk("label", jobs, add_labels=list(add), remove_labels=list(remove))

    async def edit(
        self,
        job_id: str,
        *,
        name: str | None = None,
        labels: Iterable[str] | None = None,
        pinned: bool | None = None,
    ) -> Job:
        """Change a job's name or labels, or whether it is kept whatever its age; gives it as it is then."""
        change = {"name": name, "labels": None if labels is None else list(labels), "pinned": pinned}
        given = {key: value for key, value in change.items() if value is not None}
        return await self._change("PATCH", path_of(job_id), body=given)

    async def rerun(self, job_id: str, points: str | Iterable[int] | None = None) -> Job:
        """Submit a job that is over once more, with the same copy of its input; returns the new job.

        Parameters
        ----------
        points
            Of a sweep: ``"failed"``, ``"all"``, or their numbers. Default: those that did not succeed.
        """
        chosen = points if points is None or isinstance(points, str) else ",".join(map(str, points))
        query = () if chosen is None else (("points", chosen),)
        # The key makes it safe to repeat.
        key = {_KEY: str(uuid.uuid4())}
        return await self._change("POST", f"{path_of(job_id)}/rerun", query=query, headers=key)

    async def points(self, job_id: str) -> list[SweepPoint]:
        """Return the points of a sweep by number, with their parameters, states and recorded values."""
        return (await self._api.read(SweepTable, f"{path_of(job_id)}/points")).points

    async def points_csv(self, job_id: str) -> str:
        """Return the table of a sweep as CSV."""
        return (await self._api.get(f"{path_of(job_id)}/points", [("format", "csv")])).decode()

    async def wait(
        self,
        jobs: str | Job | Iterable[str | Job],
        timeout: float | None = None,  # noqa: ASYNC109 - the same exception as without await
        *,
        on_change: Callable[[Job], None] | None = None,
        on_trouble: Trouble | None = None,
    ) -> list[Job]:
        """Wait until jobs are over, well or not, and give them.

        Parameters
        ----------
        timeout
            Seconds; then an `AiinfnError` with the reason ``timeout`` is raised. The jobs go on.
        on_change
            Called with every job at first, and again when it changed.
        on_trouble
            Called when the platform does not answer for a while; waiting goes on, for ten minutes at most.
        """
        # Only what changed is asked for, however many they are. If there is no answer to the first question that is
        # told at once; from then on it is borne.
        ids = _ids(jobs)
        deadline = None if timeout is None else time.monotonic() + timeout
        patience = Patience(on_trouble, self._api.transport.sleep)
        page = await self._api.read(JobPage, "jobs", [("limit", "1")])
        known: dict[str, Job] = {}
        for job_id in ids:
            known[job_id] = await patience.insist(functools.partial(self.job, job_id))
            if on_change is not None:
                on_change(known[job_id])
        seen, pause = page.revision, POLL / 4
        while open_ids := [job_id for job_id in ids if not known[job_id].final]:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise too_slow(open_ids, len(ids), timeout or 0)
            await self._api.transport.sleep(pause if left is None else min(pause, left))
            pause = min(pause * 2, POLL)
            try:
                changed, seen = await self._changed(seen)
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

    async def _changed(self, since: int) -> tuple[list[Job], int]:
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
            page = await self._api.read(JobPage, "jobs", query)
            if cursor is None:
                through = page.revision
            found += page.jobs
            cursor = page.next_cursor
            if cursor is None:
                return found, through

    async def _change(self, method: str, path: str, **more: Any) -> Job:
        call = Call(method, f"{self._api.root}/{path}", **more)
        return read_model(Job, (await self._api.ask(call)).body)

    async def _bulk(
        self, action: str, jobs: str | Job | Iterable[str | Job], **more: Any
    ) -> list[BulkResult]:
        """Do the same with many jobs."""
        ids = _ids(jobs)
        for job_id in ids:
            path_of(job_id)
        found: list[BulkResult] = []
        # The key makes running again safe to repeat, and the rest is so by itself.
        key = {_KEY: str(uuid.uuid4())}
        for first in range(0, len(ids), MOST_TOGETHER):
            body = {"action": action, "ids": ids[first : first + MOST_TOGETHER], **more}
            call = Call("POST", f"{self._api.root}/jobs/bulk", headers=key, body=body)
            found += read_model(BulkResults, (await self._api.ask(call)).body).results
        return found

    async def _clear(self) -> None:
        """Remove what deleted jobs left in this home."""
        while True:
            left = json.loads(await self._api.get("tombstones"))
            done = await self._api.background(functools.partial(garbage.clear, Path.home(), left))
            if not done:
                return
            await self._api.ask(Call("POST", f"{self._api.root}/tombstones/acknowledge", body={"ids": done}))


def _ids(jobs: str | Job | Iterable[str | Job]) -> list[str]:
    """Return the ids of one job or several, each once."""
    several = [jobs] if isinstance(jobs, (str, Job)) else jobs
    return list(dict.fromkeys(job.id if isinstance(job, Job) else job for job in several))
