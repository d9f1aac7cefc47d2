"""The Python client, with and without ``await``, against a real vkd, and against one that misbehaves."""

import asyncio
import contextlib
import inspect
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from aiinfn_lab import AiinfnError, AsyncClient, Client
from aiinfn_lab.client import JobState, Options, api
from aiinfn_lab.client.access import PlatformAccess
from aiinfn_lab.client.logs import LogPart, read_log
from aiinfn_lab.transport import Call, HttpAnswer, NoAnswerError

from .conftest import HUB_TOKEN, Peer

T = TypeVar("T")

JOB = Peer(0).add_job({"kind": "script", "path": "a.py", "snapshot": ".aiinfn/jobs/x/a.py"})


@pytest.fixture
def session(real: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make this process one of anna's session."""
    for name, value in real.session.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(real.home)
    return real


@pytest.fixture
def own(peer: Peer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Client]:
    """A client of the peer that speaks vkd's contract and misbehaves on demand."""
    monkeypatch.setenv("AIINFN_VKD_URL", peer.url)
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", HUB_TOKEN)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(api, "_PAUSES", (0.01, 0.01, 0.3))
    (tmp_path / "a.py").write_text("")
    with Client() as client:
        yield client


def test_both_clients_have_the_same_methods_with_the_same_arguments() -> None:
    def methods(client: Any) -> dict[str, Any]:
        return {
            name: [(p.name, p.kind, p.default) for p in inspect.signature(method).parameters.values()]
            for name, method in inspect.getmembers(client, inspect.isfunction)
            if not name.startswith("_")
        }

    assert methods(Client) == methods(AsyncClient)
    assert "submit" in methods(Client)


def test_a_script_is_submitted_waited_for_and_read(session: Any) -> None:
    session.write("api/run.py", "import sys\nprint('ran', sys.argv[1:])\n")
    with Client() as client:
        assert client.platform().user == "anna"
        assert [queue.name for queue in client.queues()] == ["opportunistic"]
        assert "free T4" in client.check("api/run.py", accelerator="t4").sentence
        job = client.submit("api/run.py", arguments=["x y"], accelerator="t4", time_limit=120)
        assert (job.project, job.time_limit) == ("flavour", 120)
        seen = []
        (job,) = client.wait(job, on_change=lambda changed: seen.append(changed.state.value))  # type: ignore[attr-defined]
        assert (job.state, seen[-1]) == ("succeeded", "succeeded")
        assert "".join(map(str, client.logs(job.id))) == "ran ['x y']\n"
        (part,) = client.logs(job.id, offset=4)
        assert (part.text, part.offset, part.end, part.attempt) == ("['x y']\n", 4, 12, 1)
        assert client.tail(job.id, 1).text == "ran ['x y']\n"
        assert [entry.state.value for entry in client.events(job.id)] == [  # type: ignore[attr-defined]
            "queued",
            "starting",
            "running",
            "succeeded",
        ]
        again = client.rerun(job.id)
        assert again.rerun_of == job.id
        client.wait([again.id])
        assert [found.id for found in client.jobs(limit=2)] == [again.id, job.id]
        assert {
            entry.accelerator for entry in client.usage(datetime.now(UTC) - timedelta(days=1)).entries
        } >= {"t4"}


async def test_the_same_with_await(session: Any) -> None:
    session.write("api/other.sh", "echo a; sleep 0.5; echo b")
    async with AsyncClient() as client:
        job = await client.submit("api/other.sh")
        text = "".join([part.text async for part in client.logs(job.id, follow=True)])
        assert text == "a\nb\n"
        (job,) = await client.wait(job)
        assert (await client.job(job.id)).state == "succeeded"
        assert [found.id async for found in client.jobs("succeeded", limit=1)] == [job.id]
        assert (await client.submit(command=["echo", "c"], name="an echo")).name == "an echo"
        with pytest.raises(AiinfnError) as told:
            await client.submit("api/nothing.sh")
        assert (told.value.reason, told.value.status, told.value.field) == ("not_found", None, "path")
        with pytest.raises(AiinfnError) as told:
            await client.cancel(job.id)
        assert (told.value.reason, told.value.status) == ("conflict", 409)


async def test_waiting_holds_nothing_up(session: Any) -> None:
    session.write("api/slow.sh", "sleep 0.6")
    async with AsyncClient() as client:
        jobs = [await client.submit("api/slow.sh") for _ in range(2)]
        waiting = asyncio.create_task(client.wait(jobs, 30))
        pauses, before = [], time.monotonic()
        while not waiting.done():
            await asyncio.sleep(0.01)
            now = time.monotonic()
            pauses.append(now - before)
            before = now
        assert [job.id for job in await waiting] == [job.id for job in jobs]
        # Not the longest pause: a busy machine makes anybody wait now and then, but one that blocks does so for most of the time.
        assert sum(each for each in pauses if each > 0.3) < sum(pauses) / 2


def test_waiting_gives_up_when_the_time_is_over_and_leaves_the_job_alone(session: Any) -> None:
    session.write("api/long.sh", "sleep 60")
    with Client() as client:
        job = client.submit("api/long.sh")
        began = time.monotonic()
        with pytest.raises(AiinfnError) as told:
            client.wait(job, 0.4)
        assert time.monotonic() - began < 30, "the job takes longer"
        assert told.value.reason == "timeout"
        assert job.id in told.value.message
        assert client.job(job.id).state in {"starting", "running", "queued"}
        client.cancel(job.id)
        assert client.wait(job.id)[0].state == "cancelled"


def test_all_pages_are_read_and_only_those_that_are_needed(
    session: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with Client() as client:
        every = [job.id for job in client.jobs()]
        assert len(every) == len(set(every)) > 2
        assert [job.id for job in client.jobs(limit=2)] == every[:2]
        with caplog.at_level(logging.INFO, logger="httpx"):
            assert next(iter(client.jobs())).id == every[0]
        assert len(caplog.records) == 1
        assert "token-anna" not in caplog.text


def test_what_is_safe_is_asked_again_and_what_is_not_is_not(own: Client, peer: Peer) -> None:
    threading.Timer(0.1, lambda: setattr(peer, "refuse", None)).start()
    peer.refuse = (503, {"reason": "unavailable", "message": "Away.", "hint": ""})
    job = own.submit("a.py")
    posts = [request for request in peer.requests if request[0] == "POST"]
    assert len(posts) > 1
    assert len({request[2]["Idempotency-Key"] for request in posts}) == 1
    assert list(peer.jobs) == [job.id]
    peer.requests.clear()
    peer.refuse = (503, {"reason": "unavailable", "message": "Away.", "hint": ""})
    with pytest.raises(AiinfnError) as told:
        own.cancel(job.id)
    assert (told.value.message, told.value.status) == ("Away.", 503)
    with pytest.raises(AiinfnError):
        own.job(job.id)
    assert [request[0] for request in peer.requests] == ["POST", "GET", "GET", "GET", "GET"]


@pytest.mark.parametrize(
    ("answer", "reason", "words"),
    [
        ((409, {"reason": "conflict", "message": "No.", "hint": "Wait."}), "conflict", "No."),
        ((403, "<html>"), "forbidden", "may not"),
        ((404, "<html>"), "unavailable", "something else"),
        ((500, "<html>"), "unavailable", "something else"),
        ((200, "<html>"), "unavailable", "another version"),
        ((302, "<html>"), "unavailable", "something else"),
        ((429, {"reason": "too_many", "message": "Slowly.", "hint": "Wait."}), "too_many", "Slowly."),
    ],
)
def test_every_answer_is_a_sentence_with_something_to_do(
    own: Client, peer: Peer, answer: tuple[Any, ...], reason: str, words: str
) -> None:
    peer.refuse = answer
    with pytest.raises(AiinfnError) as told:
        own.platform()
    assert told.value.reason == reason
    assert words in told.value.message
    assert told.value.hint
    assert HUB_TOKEN not in f"{told.value!r} {told.value} {told.value.__dict__} {own!r}"
    assert told.value.__cause__ is None


def test_the_copy_of_the_input_is_kept_only_if_the_job_may_exist(
    own: Client, peer: Peer, tmp_path: Path
) -> None:
    snapshots = tmp_path / ".aiinfn/jobs"
    peer.refuse = (422, {"reason": "unknown", "message": "No such accelerator.", "hint": "Choose t4."})
    with pytest.raises(AiinfnError, match="No such accelerator"):
        own.submit("a.py", accelerator="h100")
    assert list(snapshots.iterdir()) == []
    peer.refuse = (500, {"reason": "internal", "message": "A fault.", "hint": "Again."})
    with pytest.raises(AiinfnError, match="A fault"):
        own.submit("a.py")
    assert len(list(snapshots.iterdir())) == 1
    peer.refuse, peer.delay = None, 1.0
    with Client(timeout=0.2) as hasty, pytest.raises(AiinfnError, match="does not answer"):
        hasty.submit("a.py", key="hasty")
    assert len(list(snapshots.iterdir())) == 2
    peer.delay = 0
    time.sleep(1)
    assert own.submit("a.py", key="hasty").id in peer.jobs
    peer.stop()
    with Client() as another, pytest.raises(AiinfnError, match="does not answer") as told:
        another.submit("a.py")
    assert told.value.status is None
    assert len(list(snapshots.iterdir())) == 2


async def test_with_await_too_what_may_have_arrived_is_told_from_what_did_not(
    own: Client, peer: Peer, tmp_path: Path
) -> None:
    snapshots = tmp_path / ".aiinfn/jobs"
    peer.delay = 1.0
    async with AsyncClient(timeout=0.2) as hasty:
        with pytest.raises(AiinfnError, match="does not answer") as told:
            await hasty.submit("a.py")
    assert HUB_TOKEN not in f"{told.value!r} {told.value.__dict__} {told.value.__cause__} {hasty!r}"
    assert len(list(snapshots.iterdir())) == 1
    peer.stop()
    async with AsyncClient() as another:
        with pytest.raises(AiinfnError, match="does not answer"):
            await another.submit("a.py")
    assert len(list(snapshots.iterdir())) == 1


async def test_the_client_without_await_works_where_an_event_loop_runs_already(
    own: Client, peer: Peer
) -> None:
    """As in a notebook."""
    job = own.submit("a.py")
    assert [found.id for found in own.jobs()] == [job.id]
    for found in own.jobs():
        assert found.id == job.id
        break
    assert own.job(job.id).id == job.id


@pytest.mark.parametrize("cut", [1, 4, 7])
def test_a_log_that_is_cut_anywhere_is_read_on_without_loss(own: Client, peer: Peer, cut: int) -> None:
    """Each connection breaks after some bytes, within a character too; the last one ends as it should."""
    peer.log = "è la fine, à bientôt\n".encode()
    job = peer.add_job(
        {"kind": "script", "path": "a.py", "snapshot": ".aiinfn/jobs/x/a.py"}, attempt=1, state="succeeded"
    )

    def follow(handler: Any) -> None:
        offset = int(handler.path.partition("offset=")[2].partition("&")[0])
        handler.send_response(200)
        for name, value in (
            ("X-Log-Attempt", "1"),
            ("X-Log-Offset", str(offset)),
            ("Transfer-Encoding", "chunked"),
        ):
            handler.send_header(name, value)
        handler.end_headers()
        piece = peer.log[offset : offset + cut]
        if piece:
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            handler.wfile.flush()
            handler.connection.shutdown(2)
        else:
            handler.wfile.write(b"0\r\n\r\n")

    peer.follow, peer.complete = follow, "1"

    async def read() -> list[LogPart]:
        async with AsyncClient() as client:
            return [part async for part in client.logs(job.id, follow=True)]

    for parts in (list(own.logs(job.id, follow=True)), asyncio.run(read())):
        assert b"".join(part.data for part in parts) == peer.log
        assert [part.offset for part in parts[1:]] == [part.end for part in parts[:-1]]
        for part in parts:
            part.data.decode()


class Scripted:
    """A transport that gives one answer after the other, and keeps what was asked."""

    def __init__(self, *script: tuple[str, Any]) -> None:
        self.script = list(script)
        self.asked: list[dict[str, str]] = []

    def _next(self, kind: str) -> Any:
        expected, outcome = self.script.pop(0)
        assert kind == expected
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def send(self, call: Call) -> HttpAnswer:
        self.asked.append(dict(call.query))
        answer: HttpAnswer = self._next("send")
        return answer

    @contextlib.asynccontextmanager
    async def stream(
        self, call: Call, *, silence: float | None = None
    ) -> AsyncIterator[tuple[HttpAnswer, AsyncIterator[bytes]]]:
        self.asked.append(dict(call.query))
        yield self._next("stream"), self._body()

    async def _body(self) -> AsyncIterator[bytes]:
        while data := self._next("read"):
            yield data

    async def sleep(self, seconds: float) -> None:
        self._next("sleep")

    async def in_background(self, work: Callable[[], T]) -> T:
        return work()

    async def close(self) -> None:
        pass


async def test_a_job_that_stays_silent_or_does_not_start_for_long_is_followed_all_the_same() -> None:
    """Behind a proxy even the headers of a silent stream come late, and of no attempt there is nothing to read."""
    waiting = JOB.model_copy(update={"state": JobState.QUEUED, "attempt": 0})
    over = JOB.model_copy(update={"state": JobState.SUCCEEDED, "final": True, "attempt": 1})
    transport = Scripted(
        ("stream", NoAnswerError(delivered=True, quiet=True)),
        ("send", HttpAnswer(200, log_headers(attempt=0, complete=0))),
        ("send", HttpAnswer(200, {}, waiting.model_dump_json().encode())),
        ("sleep", None),
        ("stream", HttpAnswer(200, log_headers(attempt=1))),
        ("read", NoAnswerError(delivered=True, quiet=True)),
        ("send", HttpAnswer(200, log_headers(attempt=1, complete=0))),
        ("send", HttpAnswer(200, {}, over.model_dump_json().encode())),
        ("sleep", None),
        ("stream", HttpAnswer(200, log_headers(attempt=1))),
        ("read", b"at last\n"),
        ("read", b""),
        ("send", HttpAnswer(200, log_headers(attempt=1, offset=8, complete=1))),
        ("send", HttpAnswer(200, {}, over.model_dump_json().encode())),
    )
    service = api.Api(PlatformAccess("http://127.0.0.1/services/vkd", None, "t"), transport)
    parts = read_log(
        service, "j", attempt=None, offset=0, follow=True, on_trouble=lambda error: pytest.fail(str(error))
    )
    assert [(part.text, part.attempt, part.offset) async for part in parts] == [("at last\n", 1, 0)]
    assert transport.script == []
    assert "0" not in {query.get("attempt") for query in transport.asked}


def log_headers(attempt: int, offset: int = 0, **complete: Any) -> Any:
    headers = {"x-log-attempt": str(attempt), "x-log-offset": str(offset)}
    return headers | {f"x-log-{name}": str(value) for name, value in complete.items()}


def test_following_can_be_left_at_any_moment(session: Any) -> None:
    session.write("api/chatty.sh", "while true; do echo more; sleep 0.05; done")
    with Client() as client:
        job = client.submit("api/chatty.sh")
        for part in client.logs(job.id, follow=True):
            assert part.text.startswith("more")
            break
        client.cancel(job.id)
        client.wait(job)


def test_options_are_those_of_a_submission() -> None:
    from aiinfn_hub.contract.jobs import JobRequest

    assert set(JobRequest.model_fields) - {"work"} <= set(Options.__annotations__)


def test_the_client_costs_a_session_no_memory() -> None:
    """JupyterHub's part of a session has aiohttp in memory; httpx, and the contract's models, stay out."""
    import subprocess
    import sys

    program = (
        "import sys, jupyterhub.singleuser.extension; before = 'aiohttp' in sys.modules\n"
        "import aiinfn_lab.app; print(before, 'httpx' in sys.modules, 'aiinfn_lab.client' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["True", "False", "False"]


def test_a_command_does_not_load_what_only_sessions_need() -> None:
    import subprocess
    import sys

    program = "import sys, aiinfn_lab.client; print('aiohttp' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"
