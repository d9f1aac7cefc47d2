"""Jobs: list, look at, submit, cancel, run again."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_lab.i18n.language import gettext as _
from aiinfn_lab.paths import look
from aiinfn_lab.precheck.checks import refuse
from aiinfn_lab.submission import job_request, parameters, sweep
from aiinfn_lab.submission import kernel_state as from_here
from aiinfn_lab.vkd_client import Answer, Unanswered

from .base import Handler, protected
from .files import FileHandler
from .kernel_state import save

_KEY_HEADER = "Idempotency-Key"
# A double click sends two requests with one key. One after the other, so that they share one snapshot.
_submitting: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()


class _JobAnswers(Handler):
    """A handler whose answers are jobs."""

    async def add_lab(self, jobs: list[dict[str, Any]]) -> None:
        """Add to each job where its files are for JupyterLab. One trip to a thread for all: the home may be slow."""
        person, places = self.services.session.person, self.places

        def look_at(home_path: str, *, folder: bool = False) -> tuple[str | None, bool, str | None]:
            path = places.to_root(home_path)
            if path is None:
                return None, False, None
            return path, *look(Path(places.home, home_path), folder=folder)

        def look_all() -> None:
            for job in jobs:
                # Another person's job, which a manager sees, is in another home.
                own = person is None or job.get("owner") == person
                command = job["work"].get("kind") == "command"
                source, has_source, unreadable = (
                    look_at(job["work"]["path"], folder=command) if own else (None, False, None)
                )
                output, has_output, why = (
                    look_at(job["output"], folder=bool(job.get("sweep"))) if own else (None, False, None)
                )
                job["lab"] = {
                    "input": source,
                    "output": output,
                    "input_exists": has_source,
                    "output_exists": has_output,
                    "unreadable": unreadable or why,
                }

        await asyncio.to_thread(look_all)

    async def answer_job(self, answer: Answer) -> None:
        """Send one job with vkd's status."""
        job = answer.json()
        await self.add_lab([job])
        self.answer(job, status=answer.status)


class JobsHandler(_JobAnswers, FileHandler):
    """All jobs that the person may see."""

    @protected
    async def get(self) -> None:
        """Answer a `JobPage`, or 304."""
        known = self.request.headers.get("If-None-Match")
        answer = await self.vkd.request(
            "GET",
            "jobs",
            query=self.query(
                "sweep", "state", "project", "owner", "search", "label", "since_revision", "limit", "cursor"
            ),
            headers={"If-None-Match": known} if known else None,
        )
        etag = answer.headers.get("ETag")
        headers = [("ETag", etag)] if etag else []
        self.set_header("Cache-Control", "no-cache")
        if answer.status == 304:
            self.set_status(304)
            if etag:
                self.set_header("ETag", etag)
            self.finish()
            return
        page = answer.json()
        await self.add_lab(page["jobs"])
        self.answer(page, headers=headers, cache=True)
        self.services.tidy.soon()

    def compute_etag(self) -> None:
        """Leave the ETag to vkd: tornado would compare its own with the client's."""

    @protected
    async def post(self) -> None:
        """Submit a file, or with ``?dry_run=1`` say whether it would be accepted."""
        body = job_request.check_keys(self.body())
        key = job_request.check_idempotency_key(
            self.request.headers.get(_KEY_HEADER, "") or str(uuid.uuid4())
        )
        subject = await self.examine(body)
        if body.get("image") in (None, self.services.session.image):
            # In another image there may be other kernels; the runner tells.
            _title, available = await self.kernel(subject.inspection)
            if refusal := job_request.check_kernel(subject.inspection, available=available):
                raise refusal
        request = job_request.build(body, subject, self.services.session, key)
        if self.get_query_argument("dry_run", "0") not in {"", "0", "false"}:
            with own_fields():
                answer = await self.vkd.request("POST", "jobs", query=[("dry_run", "1")], body=request)
            self.answer(answer.json(), status=answer.status)
            return
        lock = _submitting.setdefault(key, asyncio.Lock())
        async with lock:
            if body.get("anyway") is not True:
                refuse(await self.look(await self.subject(body, subject, request)))
            copy = await asyncio.to_thread(subject.take, self.places, key)
            try:
                wanted = from_here.read(body, subject.document, subject.inspection)
                if wanted is not None:
                    await save(self, wanted, subject.inspection, self.places.home / request["work"]["state"])
                with own_fields():
                    answer = await self.vkd.request("POST", "jobs", headers={_KEY_HEADER: key}, body=request)
            except Refusal as refusal:
                if not _may_exist(refusal):
                    await asyncio.to_thread(copy.discard)
                raise
        await self.answer_job(answer)


class JobHandler(_JobAnswers):
    """One job."""

    @protected
    async def get(self, job: str) -> None:
        """Answer a `Job`."""
        await self.answer_job(await self.vkd.request("GET", f"jobs/{job}"))

    @protected
    async def patch(self, job: str) -> None:
        """Change name, labels or pin of a job."""
        await self.answer_job(await self.vkd.request("PATCH", f"jobs/{job}", body=self.body()))

    @protected
    async def delete(self, job: str) -> None:
        """Delete a job that is over, and what it left in the home."""
        await self.vkd.request("DELETE", f"jobs/{job}")
        self.set_status(204)
        self.finish()
        self.services.tidy.soon(now=True)


class BulkHandler(_JobAnswers):
    """The same for many jobs."""

    @protected
    async def post(self) -> None:
        """Answer `BulkResults`."""
        body = self.body()
        key = self.request.headers.get(_KEY_HEADER)
        headers = {_KEY_HEADER: job_request.check_idempotency_key(key)} if key else None
        answer = await self.vkd.request("POST", "jobs/bulk", headers=headers, body=body)
        found = answer.json()
        await self.add_lab([result["job"] for result in found["results"] if result.get("job")])
        self.answer(found)
        if isinstance(body, dict) and body.get("action") == "delete":
            self.services.tidy.soon(now=True)


class ActionHandler(_JobAnswers):
    """What can be done with a job."""

    @protected
    async def post(self, job: str, action: str) -> None:
        """Cancel a job, or submit it again."""
        key = self.request.headers.get(_KEY_HEADER)
        headers = {_KEY_HEADER: job_request.check_idempotency_key(key)} if key else None
        query = self.query("points") if action == "rerun" else []
        await self.answer_job(
            await self.vkd.request("POST", f"jobs/{job}/{action}", query=query, headers=headers)
        )


class PointsHandler(Handler):
    """The table of a sweep."""

    @protected
    async def get(self, job: str) -> None:
        """Answer a `SweepTable` with where each result is for JupyterLab, or with ``?format=csv`` the table as CSV."""
        answer = await self.vkd.request("GET", f"jobs/{job}/points", query=self.query("format"))
        if answer.headers.get("Content-Type", "").startswith("text/csv"):
            self.set_header("Content-Disposition", f'attachment; filename="{job}.csv"')
            self.set_header("Cache-Control", "no-store")
            self.finish(answer.body, set_content_type="text/csv; charset=utf-8")
            return
        table = answer.json()
        for point in table["points"]:
            point["lab_output"] = self.places.to_root(point["output"])
        self.answer(table)


class SweepHandler(FileHandler):
    """Makes the points of a sweep out of what was typed."""

    @protected
    async def post(self) -> None:
        """Answer ``{points}`` for ``{path, grid}`` or ``{path, table}``."""
        body = self.body()
        if not isinstance(body, dict) or not body.keys() <= {"path", "grid", "table"}:
            raise Refusal(Reason.INVALID, _("The request must have a path, and a grid or a table."))
        inspection = (await self.examine({"path": body.get("path")})).inspection
        grid, table = body.get("grid"), body.get("table")
        if isinstance(table, str) and grid is None:
            points = await asyncio.to_thread(sweep.table, table, inspection.parameters)
        elif (
            isinstance(grid, dict) and all(isinstance(text, str) for text in grid.values()) and table is None
        ):
            points = await asyncio.to_thread(sweep.grid, grid, inspection.parameters)
        else:
            raise Refusal(
                Reason.INVALID, _("A grid of texts or the text of a table is expected."), field="sweep"
            )
        if inspection.kind == "notebook":
            for point in points[:1]:
                parameters.check(point, inspection.parameters, inspection.note)
        self.answer({"points": points})


class EventsHandler(Handler):
    """A job's history."""

    @protected
    async def get(self, job: str) -> None:
        """Answer a list of `HistoryEntry`."""
        self.answer((await self.vkd.request("GET", f"jobs/{job}/events")).json())


class ResourcesHandler(Handler):
    """What a job used."""

    @protected
    async def get(self, job: str) -> None:
        """Answer `Resources`."""
        self.answer(
            (await self.vkd.request("GET", f"jobs/{job}/resources", query=self.query("attempt"))).json()
        )


@contextlib.contextmanager
def own_fields() -> Iterator[None]:
    """Name the fields of a refusal as in the request that the page sent: vkd's `Work` is flat there."""
    try:
        yield
    except Refusal as refusal:
        if refusal.field is not None:
            refusal.field = refusal.field.removeprefix("work.")
        raise


def _may_exist(refusal: Refusal) -> bool:
    """Whether vkd may have accepted the job in spite of the error; then its input must stay."""
    if isinstance(refusal, Unanswered):
        return refusal.delivered
    return refusal.reason is Reason.INTERNAL
