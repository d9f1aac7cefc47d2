"""The client with ``await``, for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Self, TypeVar, Unpack, cast

import httpx

from aiinfn_hub.contract.changes import BulkResult
from aiinfn_hub.contract.jobs import DryRun, HistoryEntry, Job
from aiinfn_hub.contract.platform import PlatformView, QueueChoice, Usage
from aiinfn_hub.contract.runner import Resources
from aiinfn_hub.contract.sweeps import SweepPoint

from . import submit, transport
from .access import find
from .errors import AiinfnError
from .io import (
    BackgroundWork,
    Call,
    Emit,
    HttpAnswer,
    NoAnswerError,
    Open,
    Pause,
    Read,
    Step,
    Steps,
    resume,
)
from .logs import LogPart, last_lines, read_log
from .options import Options, submission
from .protocol import Protocol, Trouble

T = TypeVar("T")


class AsyncClient:
    """`Client` with ``await``: the same methods, those that iterate to be used with ``async for``."""

    def __init__(
        self, url: str | None = None, token: str | None = None, *, timeout: float = transport.TIMEOUT
    ) -> None:
        access = find(url, token)
        self._protocol = Protocol(access)
        self._http = httpx.AsyncClient(**transport.settings(access, timeout))

    def __repr__(self) -> str:
        return f"AsyncClient({self._protocol.access.vkd!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def platform(self) -> PlatformView:
        """Return what you may use, and what is free of it."""
        return await self._run(self._protocol.platform())

    async def queues(self) -> list[QueueChoice]:
        """Return the queues you may use, with their lengths."""
        return await self._run(self._protocol.queues())

    async def usage(self, since: datetime | None = None) -> Usage:
        """Sum the batch use of devices, of the last 30 days if ``since`` is None."""
        return await self._run(self._protocol.usage(since))

    async def submit(self, path: str | Path | None = None, **options: Unpack[Options]) -> Job:
        """Submit a notebook, a script or a command, and give the job, as `Client` does."""
        return await self._run(submit.submit(self._protocol, submission(path, options)))

    async def check(self, path: str | Path | None = None, **options: Unpack[Options]) -> DryRun:
        """Ask what would happen to a submission, with the arguments of `submit`; nothing is queued, as `Client` does."""
        return await self._run(submit.check(self._protocol, submission(path, options)))

    def jobs(
        self,
        state: str | Iterable[str] = (),
        *,
        project: str | None = None,
        owner: str | None = None,
        search: str | None = None,
        label: str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[Job]:
        """Iterate over the jobs you may see, newest first; further pages are read as they are needed, as `Client` does."""
        states = [state] if isinstance(state, str) else state
        return self._iterate(
            self._protocol.jobs(states, limit, project=project, owner=owner, search=search, label=label)
        )

    async def job(self, job_id: str) -> Job:
        """Return one job as it is now."""
        return await self._run(self._protocol.job(job_id))

    async def events(self, job_id: str) -> list[HistoryEntry]:
        """Return every change of a job's state, oldest first."""
        return await self._run(self._protocol.events(job_id))

    async def resources(self, job_id: str, attempt: int | None = None) -> Resources:
        """Return what an attempt of a job used: the last one unless another is named."""
        return await self._run(self._protocol.resources(job_id, attempt))

    def logs(
        self,
        job_id: str,
        *,
        follow: bool = False,
        offset: int = 0,
        attempt: int | None = None,
        on_trouble: Trouble | None = None,
    ) -> AsyncIterator[LogPart]:
        """Iterate over the parts of a job's log; ``print(part, end="")`` shows one, as `Client` does."""
        return self._iterate(
            read_log(
                self._protocol,
                job_id,
                attempt=attempt,
                offset=offset,
                follow=follow,
                on_trouble=on_trouble,
            )
        )

    async def tail(self, job_id: str, lines: int = 10, *, attempt: int | None = None) -> LogPart:
        """Return the last lines of a job's log, as far as they are in its last 4 MiB."""
        return await self._run(last_lines(self._protocol, job_id, attempt, lines))

    async def cancel(self, job_id: str) -> Job:
        """Ask for a job's end; the state changes when its process has ended."""
        return await self._run(self._protocol.cancel(job_id))

    async def delete(self, jobs: str | Job | Iterable[str | Job]) -> list[BulkResult]:
        """Delete jobs that are over, sweeps with their points; your own input and output files stay.

        Returns
        -------
        list of BulkResult
            For each one its id, and as ``problem`` why it was not deleted, or None.
        """
        return await self._run(self._protocol.bulk("delete", transport.ids(jobs)))

    async def label(
        self, jobs: str | Job | Iterable[str | Job], add: Iterable[str] = (), remove: Iterable[str] = ()
    ) -> list[BulkResult]:
        """Return jobs labels, and take some away; gives for each one the job, or as ``problem`` why not."""
        more = {"add_labels": list(add), "remove_labels": list(remove)}
        return await self._run(self._protocol.bulk("label", transport.ids(jobs), **more))

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
        return await self._run(self._protocol.edit(job_id, given))

    async def rerun(self, job_id: str, points: str | Iterable[int] | None = None) -> Job:
        """Submit a job that is over once more, with the same copy of its input; returns the new job.

        Parameters
        ----------
        points
            Of a sweep: ``"failed"``, ``"all"``, or their numbers. Default: those that did not succeed.
        """
        chosen = points if points is None or isinstance(points, str) else ",".join(map(str, points))
        return await self._run(self._protocol.rerun(job_id, chosen))

    async def points(self, job_id: str) -> list[SweepPoint]:
        """Return the points of a sweep by number, with their parameters, states and recorded values."""
        return (await self._run(self._protocol.points(job_id))).points

    async def points_csv(self, job_id: str) -> str:
        """Return the table of a sweep as CSV."""
        return await self._run(self._protocol.points_csv(job_id))

    async def wait(
        self,
        jobs: str | Job | Iterable[str | Job],
        timeout: float | None = None,  # noqa: ASYNC109 - the same exception as without await
        *,
        on_change: Callable[[Job], None] | None = None,
        on_trouble: Trouble | None = None,
    ) -> list[Job]:
        """Wait until jobs are over, well or not, and give them, as `Client` does."""
        return await self._run(self._protocol.wait(transport.ids(jobs), timeout, on_change, on_trouble))

    async def _run(self, steps: Steps[T]) -> T:
        async with _Talk(self._http) as talk:
            try:
                step = next(steps)
                while True:
                    step = resume(steps, await talk.outcome(step))
            except StopIteration as end:
                return cast("T", end.value)

    async def _iterate(self, steps: Steps[None]) -> AsyncIterator[Any]:
        async with _Talk(self._http) as talk:
            try:
                step = next(steps)
                while True:
                    if isinstance(step, Emit):
                        yield step.value
                        step = resume(steps, None)
                    else:
                        step = resume(steps, await talk.outcome(step))
            except StopIteration:
                return


class _Talk:
    """One conversation: carries its steps out."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._stream: httpx.Response | None = None
        self._bytes: AsyncIterator[bytes] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def outcome(self, step: Step) -> Any:
        """Carry a step out; returns what it gave, or the exception that the conversation has to know of."""
        try:
            with transport.explained(stream=isinstance(step, (Open, Read))):
                return await self._perform(step)
        except (NoAnswerError, AiinfnError) as error:
            return error

    async def _perform(self, step: Step) -> Any:
        match step:
            case Pause(seconds):
                return await asyncio.sleep(seconds)
            case BackgroundWork(do):
                return await asyncio.to_thread(do)
            case Open(call):
                return await self._open(call)
            case Read():
                return await self._read()
            case Call():
                response = await self._http.send(transport.request(self._http, step))
                return transport.answer(response, response.content)
        raise TypeError(step)

    async def _open(self, call: Call) -> HttpAnswer:
        await self._close()
        request = transport.request(self._http, call, stream=True)
        self._stream = await self._http.send(request, stream=True)
        body = b"" if self._stream.status_code == 200 else await self._stream.aread()
        self._bytes = self._stream.aiter_bytes()
        return transport.answer(self._stream, body)

    async def _read(self) -> bytes:
        if self._bytes is not None:
            async for data in self._bytes:
                if data:
                    return data
        return b""

    async def _close(self) -> None:
        if self._stream is not None:
            await self._stream.aclose()
            self._stream = None
