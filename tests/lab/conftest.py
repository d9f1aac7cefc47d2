"""A real Jupyter server with the extension, and a peer on loopback that speaks vkd's contract."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from pydantic import ValidationError

from aiinfn_hub.contract.jobs import DryRun, HistoryEntry, Job, JobPage, JobRequest
from aiinfn_hub.contract.paths import output_path
from aiinfn_hub.contract.problem_model import Problem
from aiinfn_hub.contract.runner import Resources
from aiinfn_hub.contract.states import FINAL
from tests.ports import free_port

TOKEN = "t0ken-of-the-browser"
HUB_TOKEN = "s3cret-of-the-session"


class Listener(ThreadingHTTPServer):
    """What listens for one test after another; each request belongs to the test in which it came."""

    daemon_threads = True
    peer: ClassVar[Peer]
    """Of all of them: a request is answered by the one that there is then."""

    def __init__(self, *args: Any) -> None:
        self._connections: set[socket.socket] = set()
        super().__init__(*args)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self._connections.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def end_connections(self) -> None:
        """Cut the connections that clients keep, as they are when a process ends."""
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, *_: Any) -> None:
        """Clients that leave in the middle are part of the tests."""


@dataclass
class Peer:
    """What the stand-in for vkd was asked in a test, and how it is to behave."""

    port: int
    jobs: dict[str, Job] = field(default_factory=dict)
    keys: dict[str, tuple[str, str]] = field(default_factory=dict)
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    """Without those that a Jupyter server makes on its own in the background."""
    refuse: tuple[int, Any] | None = None
    """Status and body with which everything but health is answered."""
    retry_after: str | None = None
    delay: float = 0.0
    log: bytes = b"first line\nsecond line\n"
    complete: str = "0"
    follow: Callable[[BaseHTTPRequestHandler], None] | None = None
    answers: Callable[[str], Any] | None = None
    """Gives the answer to a path below the API's root, in place of what this stand-in would say; None leaves it that."""
    _server: Listener | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/services/vkd"

    def start(self) -> None:
        self._server = Listener(("127.0.0.1", self.port), _PeerHandler)
        Listener.peer = self
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server.end_connections()
            self._server = None

    def succeed(self, before: Peer) -> None:
        """Answer from now on, in place of another one: what is still on its way there changes nothing here."""
        if before._server is None:
            self.start()
        else:
            self._server, before._server = before._server, None
            Listener.peer = self

    def add_job(self, work: dict[str, Any], **values: Any) -> Job:
        identity = f"j{len(self.jobs)}{secrets.token_hex(3)}"
        now = datetime.now(UTC)
        given = {
            "id": identity,
            "name": "job",
            "owner": "ada",
            "project": "demo",
            "queue": "opportunistic",
            "state": "queued",
            "cause": "submitted",
            "sentence": "Waiting: 1st in line.",
            "accelerator": "none",
            "accelerator_title": "CPU only",
            "count": 0,
            "image": "standard",
            "size": "small",
            "priority": 0,
            "time_limit": 3600,
            "work": work,
            "attempt": 0,
            "preemptions": 0,
            "created": now,
            "updated": now,
            **values,
        }
        job = Job.model_validate({**given, "output": "x", "final": given["state"] in FINAL})
        job = job.model_copy(update={"output": output_path(job.work, job.id)})
        self.jobs[job.id] = job
        return job


class _PeerHandler(BaseHTTPRequestHandler):
    peer: Peer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None: ...

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        # A connection outlives a test; a request that comes late is still the earlier one's.
        peer = self.peer = Listener.peer
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        address = urlsplit(self.path)
        if address.path.endswith("/api/v1/tombstones"):
            self._say(200, [])
            return
        peer.requests.append((self.command, self.path, dict(self.headers), body))
        query = parse_qs(address.query)
        if address.path == "/services/vkd/health":
            self._say(200, {"status": "ok"})
            return
        if peer.delay:
            time.sleep(peer.delay)
        if self.headers.get("Authorization") != f"token {HUB_TOKEN}":
            self._problem(401, "unauthenticated", "Who are you?")
        elif peer.refuse:
            self._say(*peer.refuse, retry_after=peer.retry_after)
        else:
            self._route(address.path.removeprefix("/services/vkd/api/v1/"), query, body)

    def _route(self, path: str, query: dict[str, list[str]], body: bytes) -> None:
        peer = self.peer
        parts = path.split("/")
        asked = "jobs?dry_run" if query.get("dry_run") == ["1"] else path
        if peer.answers and (found := peer.answers(asked)) is not None:
            self._say(200, found)
        elif path == "jobs" and self.command == "POST":
            self._submit(query, body)
        elif path == "jobs":
            etag = f'"{len(peer.jobs)}"'
            if self.headers.get("If-None-Match") == etag:
                self._say(304, None, etag=etag)
                return
            page = JobPage(jobs=list(peer.jobs.values()), revision=len(peer.jobs), active=len(peer.jobs))
            self._say(200, page, etag=etag)
        elif path in {"platform", "queues", "usage"}:
            self._say(200, {"asked": path, "query": query})
        elif peer.answers and parts[2:] == ["logs"]:
            self._log(query)
        elif parts[0] == "jobs" and parts[1] in peer.jobs:
            self._job(peer.jobs[parts[1]], parts[2:], query)
        else:
            self._problem(404, "not_found", "There is no such job.")

    def _job(self, job: Job, rest: list[str], query: dict[str, list[str]]) -> None:
        if not rest:
            self._say(200, job)
        elif rest == ["cancel"]:
            self._say(202, job)
        elif rest == ["rerun"]:
            self._say(201, job)
        elif rest == ["events"]:
            entry = HistoryEntry(
                time=job.created, state=job.state, cause=job.cause, attempt=0, message="Submitted."
            )
            self._say(200, [entry.model_dump(mode="json")])
        elif rest == ["resources"]:
            asked = int(query.get("attempt", ["1"])[0])
            size: dict[str, Any] = {
                "cores": 1,
                "memory": 2**30,
                "accelerator": "none",
                "accelerator_title": "",
                "count": 0,
            }
            self._say(200, Resources(attempt=asked, final=False, **size))
        else:
            self._log(query)

    def _log(self, query: dict[str, list[str]]) -> None:
        if query.get("follow") == ["1"] and self.peer.follow:
            self.peer.follow(self)
        else:
            offset = int(query.get("offset", ["0"])[0])
            headers = {
                "X-Log-Attempt": "1",
                "X-Log-Offset": str(offset % (len(self.peer.log) + 1)),
                "X-Log-Complete": self.peer.complete,
            }
            limit = int(query.get("limit", [str(2**18)])[0])
            self._say(200, self.peer.log[offset:][:limit], **headers)

    def _submit(self, query: dict[str, list[str]], body: bytes) -> None:
        peer = self.peer
        try:
            request = JobRequest.model_validate_json(body)
        except ValidationError as error:
            self._problem(400, "invalid", str(error))
            return
        if query.get("dry_run") == ["1"]:
            self._say(200, DryRun(sentence="It would start now.", ahead=0))
            return
        key = self.headers.get("Idempotency-Key", "")
        if key in peer.keys:
            before, identity = peer.keys[key]
            if before != body.decode():
                self._problem(409, "conflict", "The key was used for something else.")
            else:
                self._say(200, peer.jobs[identity])
            return
        job = peer.add_job(request.work.model_dump(), name=request.name or "job")
        peer.keys[key] = (body.decode(), job.id)
        self._say(201, job)

    def _problem(self, status: int, reason: str, message: str) -> None:
        self._say(status, Problem(reason=reason, message=message))

    def _say(self, status: int, content: Any, **headers: str | None) -> None:
        if hasattr(content, "model_dump_json"):
            data = content.model_dump_json().encode()
        elif isinstance(content, bytes):
            data = content
        else:
            data = b"" if content is None else json.dumps(content).encode()
        self.send_response(status)
        for name, value in headers.items():
            if value is not None:
                self.send_header(name.replace("_", "-"), value)
        if status != 304:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@dataclass
class Reply:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Lab:
    """A running Jupyter server."""

    port: int
    home: Path
    process: subprocess.Popen[bytes]
    log: Path
    base: str = ""
    token: str = TOKEN

    def open(
        self,
        method: str,
        path: str,
        *,
        query: Any = (),
        body: Any = None,
        headers: Any = None,
        token: str | None = "",
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        encoded = urlencode(list(query.items()) if isinstance(query, dict) else query, doseq=True)
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        token = self.token if token == "" else token
        sent = {**({"Authorization": f"token {token}"} if token else {}), **(headers or {})}
        address = self.base + (path if path.startswith("/") else f"/aiinfn-lab/{path}")
        connection.request(method, address + (f"?{encoded}" if encoded else ""), data, sent)
        return connection, connection.getresponse()

    def ask(self, method: str, path: str, **options: Any) -> Reply:
        connection, response = self.open(method, path, **options)
        with contextlib.closing(connection):
            return Reply(response.status, response.headers, response.read())

    def get(self, path: str, /, **query: Any) -> Reply:
        return self.ask("GET", path, query=query)

    def submit(self, body: Any, *, key: str | None = None, **query: Any) -> Reply:
        return self.ask(
            "POST", "jobs", body=body, query=query, headers={"Idempotency-Key": key} if key else None
        )

    def write(self, path: str, content: bytes | str | dict[str, Any]) -> Path:
        target = self.home / path
        target.parent.mkdir(parents=True, exist_ok=True)
        data = json.dumps(content) if isinstance(content, dict) else content
        target.write_bytes(data.encode() if isinstance(data, str) else data)
        return target

    def snapshots(self) -> list[str]:
        root = self.home / ".aiinfn/jobs"
        return sorted(str(path.relative_to(root)) for path in root.rglob("*")) if root.exists() else []


@contextlib.contextmanager
def running_server(
    folder: Path,
    environment: dict[str, str],
    *options: str,
    root: str = ".",
    base: str = "",
    token: str = TOKEN,
    extensions: Iterable[str] = (),
    prefix: Iterable[str] = (),
) -> Iterator[Lab]:
    """Start a real ``jupyter server`` with a home of its own, and perhaps more extensions, and end it again.

    ``prefix`` goes before its command.
    """
    home = folder / "home"
    home.mkdir(exist_ok=True)
    port = free_port()
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "AIINFN"))}
    log = folder / "server.log"
    command = [
        *prefix,
        *(sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root", f"--port={port}"),
        *(
            "--ServerApp.port_retries=0",
            "--ServerApp.allow_unauthenticated_access=False",
            f"--ServerApp.root_dir={home / root}",
        ),
        *(
            f"--ServerApp.base_url={base}/",
            f"--IdentityProvider.token={token}",
            f"--ServerApp.jpserver_extensions={dict.fromkeys(('aiinfn_lab', *extensions), True)}",
            *options,
        ),
    ]
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, env={**clean, "HOME": str(home), **environment}, cwd=home, stdout=file, stderr=file
        )
    lab = Lab(port, home.resolve(), process, log, base, token)
    try:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError):
                if lab.get("status").status == 200:
                    break
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield lab
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="session")
def _peers() -> Iterator[list[Peer]]:
    """The one that answers now, as the only element; servers that outlive a test know its address."""
    peers = [Peer(free_port())]
    peers[0].start()
    yield peers
    peers[0].stop()


@pytest.fixture(scope="session")
def peer_port(_peers: list[Peer]) -> int:
    return _peers[0].port


@pytest.fixture
def peer(_peers: list[Peer], peer_port: int) -> Peer:
    """A stand-in for vkd that knows nothing of earlier tests."""
    fresh = Peer(peer_port)
    fresh.succeed(_peers[0])
    _peers[0] = fresh
    return fresh


@pytest.fixture(scope="session")
def _lab(peer_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    environment = {
        "AIINFN_VKD_URL": Peer(peer_port).url,
        "JUPYTERHUB_API_TOKEN": HUB_TOKEN,
        "JUPYTERHUB_USER": "ada",
        "AIINFN_PROJECT": "demo",
        "AIINFN_IMAGE": "standard",
        "AIINFN_SIZE": "small",
        "AIINFN_ACCELERATOR": "none",
        "AIINFN_COUNT": "0",
        "AIINFN_SESSION_END": "2026-11-24T18:40:00Z",
    }
    limits = (
        "--AiinfnLab.largest_input=300000",
        "--AiinfnLab.timeout=2",
        "--AiinfnLab.most_followed=2",
        "--AiinfnLab.largest_state=2000000",
    )
    with running_server(tmp_path_factory.mktemp("lab"), environment, *limits) as lab:
        yield lab


@pytest.fixture
def lab(_lab: Lab, peer: Peer) -> Lab:
    """The server, with a peer that has forgotten everything."""
    return _lab


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """vkd with real jobs, anna's Jupyter server, and the proxy in front of them; see `tests.lab.real`."""
    from .real import real_platform

    with real_platform(tmp_path_factory.mktemp("real")) as platform:
        yield platform


@pytest.fixture
def start_server() -> Callable[..., contextlib.AbstractContextManager[Lab]]:
    """To start another server than the common one."""
    return running_server


@pytest.fixture(scope="session")
def notebook() -> Callable[..., dict[str, Any]]:
    """Makes notebooks: source texts of code cells; the first one is tagged if ``tagged``."""

    def make(
        *sources: str, tagged: bool = False, kernel: str | None = "python3", language: str = "python"
    ) -> dict[str, Any]:
        cells: list[Any] = [
            {
                "cell_type": "code",
                "id": f"cell-{index}",
                "metadata": {"tags": ["parameters"]} if tagged and not index else {},
                "source": source,
                "outputs": [],
                "execution_count": None,
            }
            for index, source in enumerate(sources)
        ]
        metadata: dict[str, Any] = {"language_info": {"name": language}}
        if kernel:
            metadata["kernelspec"] = {"name": kernel, "display_name": kernel, "language": language}
        return {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells}

    return make
