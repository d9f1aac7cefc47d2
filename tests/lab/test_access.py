"""Nobody gets an answer who is not signed in and allowed."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from tornado.web import RequestHandler

from aiinfn_lab.handlers import routes
from aiinfn_lab.handlers.base import Handler
from tests.lab.conftest import Lab, Peer

VERBS = ("get", "head", "post", "put", "patch", "delete")


def test_every_verb_of_every_handler_is_protected() -> None:
    seen = 0
    for _, handler in routes():
        assert issubclass(handler, Handler)
        assert handler.auth_resource == "aiinfn-lab"
        for verb in VERBS:
            method = getattr(handler, verb)
            if method is getattr(RequestHandler, verb):
                continue
            seen += 1
            assert getattr(method, "__protected__", False), f"{handler.__name__}.{verb}"
    assert seen == len(routes()) + 4  # jobs and session-time have two, a job three


def test_the_protection_is_jupyters_own() -> None:
    source = inspect.getsource(inspect.getmodule(Handler).protected)
    assert "web.authenticated(authorized(" in source


ROUTES = [
    ("GET", "status"),
    ("GET", "platform"),
    ("GET", "queues"),
    ("GET", "usage"),
    ("GET", "inspect?path=a.py"),
    ("GET", "jobs"),
    ("POST", "jobs"),
    ("POST", "check"),
    ("GET", "jobs/x"),
    ("POST", "jobs/x/cancel"),
    ("POST", "jobs/x/rerun"),
    ("GET", "jobs/x/events"),
    ("GET", "jobs/x/logs"),
    ("GET", "jobs/x/logs?follow=1"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("token", [None, "wrong"])
def test_without_signing_in_there_is_no_answer(
    lab: Lab, peer: Peer, method: str, path: str, token: str | None
) -> None:
    reply = lab.ask(method, path, token=token, body=b"{}" if method == "POST" else None)
    assert reply.status in {401, 403}
    assert peer.requests == []
    assert reply.json["reason"] in {"forbidden", "unauthenticated"}
    assert set(reply.json) == {"reason", "message", "hint", "field"}


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_other_verbs_are_refused(lab: Lab, peer: Peer, method: str) -> None:
    reply = lab.ask(method, "jobs", body=b"{}")
    assert reply.status == 405
    assert reply.json["reason"] == "invalid"


def test_a_page_of_another_site_cannot_submit(lab: Lab, peer: Peer) -> None:
    headers = {"Origin": "https://evil.example", "Cookie": "username-x=1"}
    reply = lab.ask("POST", "jobs", token=None, headers=headers, body=b"{}")
    assert reply.status in {403, 404}
    assert peer.requests == []


DENIER = """
from jupyter_server.auth import Authorizer

class ReadOnly(Authorizer):
    def is_authorized(self, handler, user, action, resource):
        return not (resource == "aiinfn-lab" and action == "write")

c.ServerApp.authorizer_class = ReadOnly
"""


def test_the_servers_authorizer_decides(
    tmp_path: Path, start_server: Callable[..., AbstractContextManager[Lab]], peer: Peer
) -> None:
    (tmp_path / "config.py").write_text(DENIER)
    environment = {"AIINFN_VKD_URL": peer.url, "JUPYTERHUB_API_TOKEN": "s3cret-of-the-session"}
    with start_server(tmp_path, environment, f"--config={tmp_path / 'config.py'}") as lab:
        assert lab.get("jobs").status == 200
        reply = lab.ask("POST", "jobs/x/cancel")
        assert (reply.status, reply.json["reason"]) == (403, "forbidden")
        assert not [request for request in peer.requests if request[0] == "POST"]
