"""Logs: a piece of them, or followed while they grow."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from tests.lab.conftest import Lab, Peer

WORK = {"kind": "script", "path": "a.sh", "snapshot": ".aiinfn/jobs/x/a.sh"}


def chunks(*pieces: bytes, end: bool = True, gate: threading.Event | None = None) -> Callable[..., Any]:
    """A peer's way to stream: the first piece at once, the others when the gate opens."""

    def follow(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.send_header("X-Log-Attempt", "2")
        handler.send_header("X-Log-Offset", "10")
        handler.end_headers()
        for index, piece in enumerate(pieces):
            if index and gate is not None:
                gate.wait(10)
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            handler.wfile.flush()
        if end:
            handler.wfile.write(b"0\r\n\r\n")
        handler.close_connection = True

    return follow


def until(condition: Callable[..., Any], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_a_piece_of_a_log_is_handed_on_as_it_is(lab: Lab, peer: Peer) -> None:
    job = peer.add_job(WORK)
    peer.log = b"caf\xc3\xa9 \x00\xff\n"
    reply = lab.get(f"jobs/{job.id}/logs", offset="2", attempt="1", limit="100")
    assert reply.status == 200
    assert reply.body == peer.log[2:]
    assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert (reply.headers["X-Log-Attempt"], reply.headers["X-Log-Offset"]) == ("1", "2")
    assert reply.headers["X-Log-Complete"] == "0"
    assert "attempt=1&offset=2&limit=100" in peer.requests[-1][1]


def test_a_followed_log_arrives_while_it_is_written(lab: Lab, peer: Peer) -> None:
    job = peer.add_job(WORK)
    gate = threading.Event()
    peer.follow = chunks(b"one\n", b"two\n", gate=gate)
    connection, response = lab.open("GET", f"jobs/{job.id}/logs", query={"follow": "1", "offset": "10"})
    assert response.headers["X-Log-Attempt"] == "2"
    assert response.headers["X-Log-Offset"] == "10"
    assert response.readline() == b"one\n"
    gate.set()
    assert response.read() == b"two\n"
    connection.close()


def test_leaving_ends_the_stream_to_vkd_although_the_job_is_silent(lab: Lab, peer: Peer) -> None:
    job = peer.add_job(WORK)
    left = threading.Event()

    def silent(handler: Any) -> None:
        chunks(b"begin\n", end=False)(handler)
        handler.connection.settimeout(10)
        if handler.connection.recv(1) == b"":
            left.set()

    peer.follow = silent
    connection, response = lab.open("GET", f"jobs/{job.id}/logs", query={"follow": "1"})
    assert response.readline() == b"begin\n"
    response.close()
    connection.close()
    assert left.wait(5)


def test_a_slow_reader_slows_vkd_down_instead_of_filling_the_servers_memory(lab: Lab, peer: Peer) -> None:
    job = peer.add_job(WORK)
    sent = 0

    def flood(handler: Any) -> None:
        nonlocal sent
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.connection.settimeout(2)
        piece = b"x" * 65536
        for _ in range(2000):
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            sent += len(piece)
        handler.wfile.write(b"0\r\n\r\n")

    peer.follow = flood
    connection, response = lab.open("GET", f"jobs/{job.id}/logs", query={"follow": "1"})
    # Nobody reads; of the 125 MiB only what the sockets hold leaves the peer.
    assert until(lambda: sent > 0)
    before = -1
    while before != sent:
        before = sent
        time.sleep(0.3)
    assert sent < 40 * 2**20
    response.close()
    connection.close()


def test_a_stream_that_breaks_off_is_not_taken_for_the_end(lab: Lab, peer: Peer) -> None:
    import http.client

    import pytest

    job = peer.add_job(WORK)
    peer.follow = chunks(b"half", end=False)
    connection, response = lab.open("GET", f"jobs/{job.id}/logs", query={"follow": "1"})
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        response.read()
    connection.close()


def test_a_refusal_of_a_followed_log_is_a_sentence(lab: Lab, peer: Peer) -> None:
    reply = lab.get("jobs/nothere/logs", follow="1")
    assert (reply.status, reply.json["reason"]) == (404, "not_found")
    peer.stop()
    reply = lab.get("jobs/nothere/logs", follow="1")
    assert (reply.status, reply.json["reason"]) == (503, "unavailable")


def test_too_many_followed_logs_are_refused(lab: Lab, peer: Peer) -> None:
    job = peer.add_job(WORK)
    gate = threading.Event()
    peer.follow = chunks(b"1\n", b"2\n", gate=gate)
    opened = [lab.open("GET", f"jobs/{job.id}/logs", query={"follow": "1"}) for _ in range(2)]
    for _, response in opened:
        assert response.readline() == b"1\n"
    reply = lab.get(f"jobs/{job.id}/logs", follow="1")
    assert (reply.status, reply.json["reason"]) == (429, "too_many")
    gate.set()
    for connection, response in opened:
        assert response.read() == b"2\n"
        connection.close()
    assert lab.get(f"jobs/{job.id}/logs", follow="1").status == 200


def test_a_download_is_the_whole_log_as_a_file_fetched_in_pieces(lab: Lab, peer: Peer) -> None:
    job = peer.add_job(WORK)
    peer.log = b"0123456789abcdef" * (5 * 2**16) + b"end\n"
    reply = lab.get(f"jobs/{job.id}/logs", download="1")
    assert reply.status == 200
    assert reply.body == peer.log
    assert reply.headers["Content-Disposition"] == f'attachment; filename="{job.id}.1.log"'
    assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"
    pieces = [path for _, path, _, _ in peer.requests if "/logs" in path]
    assert len(pieces) == 6
    assert all("limit=1048576" in path and "follow" not in path for path in pieces)
    assert all("attempt=1" in path for path in pieces[1:])


def test_a_download_of_a_job_that_is_not_there_is_refused_in_a_sentence(lab: Lab, peer: Peer) -> None:
    reply = lab.get("jobs/nosuchjob/logs", download="1")
    assert (reply.status, reply.json["reason"]) == (404, "not_found")


def test_what_a_job_used_is_handed_on(lab: Lab, peer: Peer) -> None:
    job = peer.add_job(WORK)
    reply = lab.get(f"jobs/{job.id}/resources", attempt="2")
    assert (reply.status, reply.json["attempt"], reply.json["memory"]) == (200, 2, 2**30)
