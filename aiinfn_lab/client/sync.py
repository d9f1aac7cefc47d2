"""The client without ``await``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
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
from .access import PlatformAccess, find
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


class Client:
    """Submits jobs and follows them. In a session it needs no set-up.

    Parameters
    ----------
    url, token
        Address of the platform and a token of its hub, from outside of a session. Default: ``AIINFN_URL`` and
        ``AIINFN_TOKEN``, else the session's own, else what ``aiinfn login`` kept.
    timeout
        Seconds to wait for an answer.

    Raises
    ------
    AiinfnError
        From every method, if what was asked for did not happen. Questions that are safe to repeat were repeated.

    Examples
    --------
    >>> with Client() as client:  # doctest: +SKIP
    ...     job = client.submit("train.ipynb", accelerator="t4", parameters={"epochs": 20})
    ...     (job,) = client.wait(job)
    """

    def __init__(
        self, url: str | None = None, token: str | None = None, *, timeout: float = transport.TIMEOUT
    ) -> None:
        access = find(url, token)
        self._protocol = Protocol(access)
        self._http = httpx.Client(**transport.settings(access, timeout))

    def __repr__(self) -> str:
        return f"Client({self._protocol.access.vkd!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def platform(self) -> PlatformView:
        """Return what you may use, and what is free of it."""
        return self._run(self._protocol.platform())

    def queues(self) -> list[QueueChoice]:
        """Return the queues you may use, with their lengths."""
        return self._run(self._protocol.queues())

    def usage(self, since: datetime | None = None) -> Usage:
        """Sum the batch use of devices, of the last 30 days if ``since`` is None."""
        return self._run(self._protocol.usage(since))

    def submit(self, path: str | Path | None = None, **options: Unpack[Options]) -> Job:
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
        return self._run(submit.submit(self._protocol, submission(path, options)))

    def check(self, path: str | Path | None = None, **options: Unpack[Options]) -> DryRun:
        """Ask what would happen to a submission, with the arguments of `submit`; nothing is queued.

        From outside the file is put into the home nevertheless, where the platform looks at it.
        """
        return self._run(submit.check(self._protocol, submission(path, options)))

    def jobs(
        self,
        state: str | Iterable[str] = (),
        *,
        project: str | None = None,
        owner: str | None = None,
        search: str | None = None,
        label: str | None = None,
        limit: int | None = None,
    ) -> Iterator[Job]:
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
        states = [state] if isinstance(state, str) else state
        return self._iterate(
            self._protocol.jobs(states, limit, project=project, owner=owner, search=search, label=label)
        )

    def job(self, job_id: str) -> Job:
        """Return one job as it is now."""
        return self._run(self._protocol.job(job_id))

    def events(self, job_id: str) -> list[HistoryEntry]:
        """Return every change of a job's state, oldest first."""
        return self._run(self._protocol.events(job_id))

    def resources(self, job_id: str, attempt: int | None = None) -> Resources:
        """Return what an attempt of a job used: the last one unless another is named."""
        return self._run(self._protocol.resources(job_id, attempt))

    def logs(
        self,
        job_id: str,
        *,
        follow: bool = False,
        offset: int = 0,
        attempt: int | None = None,
        on_trouble: Trouble | None = None,
    ) -> Iterator[LogPart]:
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

    def tail(self, job_id: str, lines: int = 10, *, attempt: int | None = None) -> LogPart:
        """Return the last lines of a job's log, as far as they are in its last 4 MiB."""
        return self._run(last_lines(self._protocol, job_id, attempt, lines))

    def cancel(self, job_id: str) -> Job:
        """Ask for a job's end; the state changes when its process has ended."""
        return self._run(self._protocol.cancel(job_id))

    def delete(self, jobs: str | Job | Iterable[str | Job]) -> list[BulkResult]:
        """Delete jobs that are over, sweeps with their points; your own input and output files stay.

        Returns
        -------
        list of BulkResult
            For each one its id, and as ``problem`` why it was not deleted, or None.
        """
        return self._run(self._protocol.bulk("delete", transport.ids(jobs)))

    def label(
        self, jobs: str | Job | Iterable[str | Job], add: Iterable[str] = (), remove: Iterable[str] = ()
    ) -> list[BulkResult]:
        """Return jobs labels, and take some away; gives for each one the job, or as ``problem`` why not."""
        more = {"add_labels": list(add), "remove_labels": list(remove)}
        return self._run(self._protocol.bulk("label", transport.ids(jobs), **more))

    def edit(
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
        return self._run(self._protocol.edit(job_id, given))

    def rerun(self, job_id: str, points: str | Iterable[int] | None = None) -> Job:
        """Submit a job that is over once more, with the same copy of its input; returns the new job.

        Parameters
        ----------
        points
            Of a sweep: ``"failed"``, ``"all"``, or their numbers. Default: those that did not succeed.
        """
        chosen = points if points is None or isinstance(points, str) else ",".join(map(str, points))
        return self._run(self._protocol.rerun(job_id, chosen))

    def points(self, job_id: str) -> list[SweepPoint]:
        """Return the points of a sweep by number, with their parameters, states and recorded values."""
        return (self._run(self._protocol.points(job_id))).points

    def points_csv(self, job_id: str) -> str:
        """Return the table of a sweep as CSV."""
        return self._run(self._protocol.points_csv(job_id))

    def wait(
        self,
        jobs: str | Job | Iterable[str | Job],
        timeout: float | None = None,
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
        return self._run(self._protocol.wait(transport.ids(jobs), timeout, on_change, on_trouble))

    def _run(self, steps: Steps[T]) -> T:
        return _converse(self._http, steps)

    def _iterate(self, steps: Steps[None]) -> Iterator[Any]:
        with _Talk(self._http) as talk:
            try:
                step = next(steps)
                while True:
                    if isinstance(step, Emit):
                        yield step.value
                        step = resume(steps, None)
                    else:
                        step = resume(steps, talk.outcome(step))
            except StopIteration:
                return


def converse(access: PlatformAccess, steps: Steps[T]) -> T:
    """Carry one conversation out and close the connections."""
    with httpx.Client(**transport.settings(access, transport.TIMEOUT)) as http:
        return _converse(http, steps)


def _converse(http: httpx.Client, steps: Steps[T]) -> T:
    with _Talk(http) as talk:
        try:
            step = next(steps)
            while True:
                step = resume(steps, talk.outcome(step))
        except StopIteration as end:
            return cast("T", end.value)


class _Talk:
    """One conversation: carries its steps out."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        self._stream: httpx.Response | None = None
        self._bytes: Iterator[bytes] = iter(())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def outcome(self, step: Step) -> Any:
        """Carry a step out; returns what it gave, or the exception that the conversation has to know of."""
        try:
            with transport.explained(stream=isinstance(step, (Open, Read))):
                return self._perform(step)
        except (NoAnswerError, AiinfnError) as error:
            return error

    def _perform(self, step: Step) -> Any:
        match step:
            case Pause(seconds):
                return time.sleep(seconds)
            case BackgroundWork(do):
                return do()
            case Open(call):
                return self._open(call)
            case Read():
                return next((data for data in self._bytes if data), b"")
            case Call():
                response = self._http.send(transport.request(self._http, step))
                return transport.answer(response, response.content)
        raise TypeError(step)

    def _open(self, call: Call) -> HttpAnswer:
        self._close()
        self._stream = self._http.send(transport.request(self._http, call, stream=True), stream=True)
        body = b"" if self._stream.status_code == 200 else self._stream.read()
        self._bytes = self._stream.iter_bytes()
        return transport.answer(self._stream, body)

    def _close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None
