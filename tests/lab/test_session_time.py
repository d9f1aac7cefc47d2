"""The session's end in the server half: asked of a hub with the session's own token, and only when somebody asks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from aiinfn_lab.session.end import HubClient
from tests.lab.conftest import HUB_TOKEN, TOKEN, Lab, Peer, running_server

VIEW = {
    "now": "2026-11-24T18:00:00Z", "end": "2026-11-24T18:40:00Z", "warnings": [900.0, 300.0],
    "extends_at": "2026-11-24T17:40:00Z", "extensions_left": 3, "extension": None, "refusal": None,
}  # fmt: skip
REFUSED = {
    "reason": "capacity",
    "message": "Another session waits.",
    "hint": "Save your work.",
    "field": None,
}


@pytest.fixture(scope="module")
def session(peer_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A server that a hub started, whose API is the peer's."""
    environment = {
        "JUPYTERHUB_API_URL": f"http://127.0.0.1:{peer_port}/hub/api",
        "JUPYTERHUB_API_TOKEN": HUB_TOKEN,
        "JUPYTERHUB_USER": "eve<b>",
        "JUPYTERHUB_SERVER_NAME": "night run",
        "AIINFN_SESSION_END": "2026-11-24T18:40:00Z",
        "AIINFN_SESSION_END_CERTAIN_UNTIL": "2026-11-24T17:40:00Z",
    }
    with running_server(tmp_path_factory.mktemp("session"), environment) as lab:
        yield lab


def page_config(lab: Lab) -> Any:
    page = lab.ask("GET", "/lab", headers={"Accept": "text/html"}).body.decode()
    found = re.search(r'<script id="jupyter-config-data" type="application/json">(.*?)</script>', page, re.S)
    return json.loads(found[1]).get("aiinfnSession")  # type: ignore[index]


@contextmanager
def answering(peer: Peer, status: int, body: Any) -> Iterator[None]:
    peer.refuse = (status, body)
    try:
        yield
    finally:
        peer.refuse = None


def test_the_page_knows_the_end_without_asking_anybody(session: Lab, peer: Peer) -> None:
    assert page_config(session) == {"end": "2026-11-24T18:40:00Z", "certainUntil": "2026-11-24T17:40:00Z"}
    assert peer.requests == []


def test_the_hub_is_asked_with_the_sessions_token_in_the_readers_language(session: Lab, peer: Peer) -> None:
    with answering(peer, 200, VIEW):
        reply = session.ask("GET", "session-time", headers={"Accept-Language": "it"})
    assert (reply.status, reply.json) == (200, VIEW)
    assert HUB_TOKEN.encode() not in reply.body
    ((method, path, headers, _),) = peer.requests
    assert (method, path) == ("GET", "/hub/api/aiinfn/session-time/eve%3Cb%3E/night%20run")
    assert headers["Authorization"] == f"token {HUB_TOKEN}"
    assert headers["Accept-Language"] == "it"
    # The end may have been put off on the home page a moment ago.
    with answering(peer, 200, VIEW | {"end": "2026-11-24T19:40:00Z"}):
        assert session.ask("GET", "session-time").json["end"] == "2026-11-24T19:40:00Z"
    assert page_config(session)["end"] == "2026-11-24T19:40:00Z"


def test_an_extension_is_asked_for_each_time_and_the_page_knows_it(session: Lab, peer: Peer) -> None:
    later = VIEW | {"end": "2026-11-24T19:40:00Z", "extends_at": "2026-11-24T18:40:00Z", "extensions_left": 0}
    with answering(peer, 200, later):
        for _ in range(2):
            assert session.ask("POST", "session-time").json == later
    assert [method for method, *_ in peer.requests] == ["POST", "POST"]
    assert page_config(session) == {"end": later["end"], "certainUntil": later["extends_at"]}
    with answering(peer, 200, later | {"extends_at": None}):
        session.ask("POST", "session-time")
    assert page_config(session)["certainUntil"] == ""


@pytest.mark.parametrize(
    ("status", "body", "reason", "message"),
    [
        (503, REFUSED, "capacity", "Another session waits."),
        (404, {"status": 404, "message": "This session does not run."}, "not_found", "This session does not run."),
        (403, {"status": 403, "message": "Sign in to the hub again."}, "forbidden", "Sign in to the hub again."),
        (500, {"status": 500, "message": "Internal Server Error"}, "unavailable", "The hub does not answer."),
        (200, b"<html>", "unavailable", "The hub does not answer."),
        (200, [1], "unavailable", "The hub does not answer."),
        (409, {"reason": "new", "message": "Not now."}, "conflict", "Not now."),
    ],
)  # fmt: skip
def test_what_the_hub_refuses_is_told_in_its_words(
    session: Lab, peer: Peer, status: int, body: Any, reason: str, message: str
) -> None:
    with answering(peer, status, body):
        reply = session.ask("POST", "session-time")
    assert (reply.json["reason"], reply.json["message"]) == (reason, message)
    assert reply.status == {"unavailable": 503}.get(reason, status)
    assert "Traceback" not in session.log.read_text()


def test_a_hub_that_is_away_is_told(session: Lab, peer: Peer) -> None:
    peer.stop()
    try:
        reply = session.ask("POST", "session-time")
    finally:
        peer.start()
    assert (reply.status, reply.json["message"]) == (503, "The hub does not answer.")


def test_nobody_extends_who_is_not_signed_in_to_the_server(session: Lab, peer: Peer) -> None:
    for token in (None, TOKEN + "x", HUB_TOKEN):
        assert session.ask("POST", "session-time", token=token).status in {401, 403}
    assert peer.requests == []


def test_a_server_that_no_hub_started_has_no_end() -> None:
    hub = HubClient.from_environment({"JUPYTERHUB_API_TOKEN": HUB_TOKEN})
    assert hub.url == ""
    assert HUB_TOKEN not in repr(hub)
