"""Apps of the platform in a real Jupyter server: on a socket of the person, started when opened, ended with the server."""

from __future__ import annotations

import json
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from aiinfn_hub.contract import apps as contract
from tests.lab.conftest import TOKEN, Lab, Reply, running_server

PROGRAM = str(Path(__file__).parents[1] / "app_on_socket.py")
ICON = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 4 4"><path d="M0 0h4v4z"/></svg>'


def app(name: str, *more: Any, **values: Any) -> dict[str, Any]:
    return {
        "name": name,
        "title": f"The {name}",
        "command": [sys.executable, PROGRAM, "{unix_socket}", *more],
        **values,
    }


APPS = [
    app("plain", "--child", icon=ICON, environment={"WORD": "{base_url} is mine"}, of_a_newer_hub=1),
    app("whole", absolute_url=True, new_tab=False),
    app("refuses", "--refuse"),
    app("deaf", "--deaf", start_timeout=0.5),
    app("absent") | {"command": ["no-such-program-here", "{unix_socket}"]},
    app("needs", requires=["no-such-program-here"]),
    app("counted", keeps_session=True),
    app("no socket") | {"name": "nosocket", "command": [sys.executable]},
    {"name": "../up", "title": "Up", "command": ["true", "{unix_socket}"]},
    "not an app",
]


@contextmanager
def session(
    folder: Path, environment: dict[str, Any] | None = None, *options: Any, told: Any = APPS
) -> Iterator[Lab]:
    runtime = folder / "r"
    runtime.mkdir(mode=0o700, exist_ok=True)
    with running_server(
        folder,
        {"XDG_RUNTIME_DIR": str(runtime), contract.VARIABLE: json.dumps(told), **(environment or {})},
        *options,
        base="/user/eve",
    ) as lab:
        yield lab


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with session(tmp_path_factory.mktemp("apps")) as running:
        yield running


def get(lab: Lab, path: str, **headers: Any) -> Reply:
    return lab.ask("GET", f"/{path}", headers=headers)


def listening(lab: Lab) -> list[Any]:
    return [path for path in (lab.home.parent / "r").rglob("*") if path.is_socket()]


def gone(pid: Any) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_only_what_can_be_used_is_offered(lab: Lab) -> None:
    offered = get(lab, "server-proxy/servers-info").json["server_processes"]
    assert [each["name"] for each in offered] == [
        f"apps/{name}" for name in ("plain", "whole", "refuses", "deaf", "counted")
    ]
    plain, whole = offered[:2]
    assert plain["launcher_entry"]["title"] == "The plain"
    assert plain["launcher_entry"]["path_info"] == "apps/plain/"
    assert plain["new_browser_tab"] is True
    assert whole["new_browser_tab"] is False
    assert "icon_url" not in whole["launcher_entry"]
    icon = lab.ask("GET", plain["launcher_entry"]["icon_url"].removeprefix("/user/eve"))
    assert icon.body.decode() == ICON
    log = lab.log.read_text()
    assert "The app absent is not offered: there is no program no-such-program-here here" in log
    assert "The app needs is not offered: there is no program no-such-program-here here" in log
    assert "The app nosocket is left out: its command does not name {unix_socket}" in log
    assert "App 9 is left out: name:" in log
    assert "App 10 is left out:" in log
    assert get(lab, "apps/absent/x").status == 404


def test_an_app_starts_once_on_a_socket_that_nobody_else_can_open(lab: Lab) -> None:
    assert b"Hello from the app" in get(lab, "apps/plain/", Accept="text/html").body
    assert [stat.S_IMODE((lab.home / place).stat().st_mode) for place in (".aiinfn", ".aiinfn/apps")] == [
        0o700
    ] * 2
    told = get(lab, "apps/plain/told").json
    assert get(lab, "apps/plain/told").json["pid"] == told["pid"]
    assert told["path"] == "/told"
    assert told["word"] == "/user/eve/apps/plain is mine"
    assert told["headers"]["X-Forwarded-Prefix"] == "/user/eve/apps/plain"
    found = next(path for path in listening(lab) if path.name == "plain")
    assert stat.S_IMODE(found.stat().st_mode) == 0o600
    assert stat.S_IMODE(found.parent.stat().st_mode) == 0o700
    ports = [
        each for each in psutil.Process(told["pid"]).net_connections() if each.status == psutil.CONN_LISTEN
    ]
    assert ports == []
    # Addresses without their slash, and redirections, stay with the app.
    moved = get(lab, "apps/plain")
    assert (moved.status, moved.headers["Location"]) == (302, "/user/eve/apps/plain/")
    assert get(lab, "apps/plain/away").headers["Location"] == "/user/eve/apps/plain/told"
    assert get(lab, "apps/whole/told").json["path"] == "/user/eve/apps/whole/told"


def test_an_app_learns_nothing_of_what_jupyter_knows_the_person_by(lab: Lab) -> None:
    cookie = "jupyterhub-user-eve=secret; mine=1; username-127-0-0-1=secret"
    headers = get(lab, "apps/plain/told", Cookie=cookie).json["headers"]
    assert "secret" not in json.dumps(headers)
    assert TOKEN not in json.dumps(headers)
    assert headers["Cookie"] == "mine=1"


def test_who_is_not_signed_in_starts_nothing(lab: Lab) -> None:
    for path in ("apps/counted/", "server-proxy/servers-info", "server-proxy/icon/apps/plain"):
        assert lab.ask("GET", f"/{path}", token=None).status in {302, 401, 403}
    assert not any(path.name == "counted" for path in listening(lab))


def test_another_sites_page_changes_nothing(lab: Lab) -> None:
    def post(**headers: Any) -> Any:
        cookie = {"Cookie": f"username-127-0-0-1-{lab.port}={signed_in}", "Host": f"127.0.0.1:{lab.port}"}
        return lab.ask("POST", "/apps/plain/save", body={"a": 1}, token=None, headers=cookie | headers)

    signed_in = sign_in(lab)
    here, elsewhere = f"http://127.0.0.1:{lab.port}", "https://evil.example"
    assert post(Origin=here).body == b'got {"a": 1}'
    assert post(Referer=f"{here}/user/eve/apps/plain/").status == 200
    for headers in (
        {"Origin": elsewhere},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Referer": f"{here}/x"},
        {"Origin": here, "Sec-Fetch-Site": "same-site"},
        {"Referer": f"{elsewhere}/x"},
        {},
    ):
        refused = post(**headers)
        assert refused.status == 403, headers
        assert refused.json["message"] == "This request comes from a page that is not of this app."


def sign_in(lab: Lab) -> Any:
    """Sign in as a browser does; gives the cookie."""
    answer = lab.ask("GET", f"/lab?token={TOKEN}", token=None, headers={"Accept": "text/html"})
    return answer.headers["Set-Cookie"].partition("=")[2].partition(";")[0]


async def test_a_websocket_reaches_the_app(lab: Lab) -> None:
    url = f"ws://127.0.0.1:{lab.port}/user/eve/apps/plain/echo"
    connection = await websocket_connect(HTTPRequest(url, headers={"Authorization": f"token {TOKEN}"}))
    await connection.write_message("hello")
    assert await connection.read_message() == "echo hello"
    connection.close()


def test_an_app_that_does_not_start_says_so_in_words(lab: Lab) -> None:
    page = get(lab, "apps/refuses/", Accept="text/html")
    assert page.status == 503
    text = page.body.decode()
    assert "The refuses ended at its start (status 7)." in text
    assert "no &lt;licence&gt; found" in text
    assert "~/.aiinfn/apps/refuses.log" in text
    italian = get(lab, "apps/refuses/", **{"Accept": "text/html", "Accept-Language": "it"}).body.decode()
    assert "The refuses è terminata durante l&#x27;avvio (stato 7)." in italian
    program = get(lab, "apps/refuses/data")
    assert (program.status, program.json["message"]) == (503, "The refuses ended at its start (status 7).")
    late = get(lab, "apps/deaf/")
    assert (late.status, late.json["message"]) == (503, "The deaf did not begin to listen within 0.5 s.")
    assert "Traceback" not in lab.log.read_text()


def test_an_app_that_ended_is_started_again(lab: Lab) -> None:
    before = get(lab, "apps/whole/told").json["pid"]
    ended = get(lab, "apps/whole/end")
    assert (ended.status, ended.json["message"]) == (502, "The whole does not answer.")
    assert get(lab, "apps/whole/told").json["pid"] != before


def activity(lab: Lab) -> Any:
    return get(lab, "api/status").json["last_activity"]


def test_opening_an_app_is_use_of_the_session_and_its_polling_is_not(lab: Lab) -> None:
    get(lab, "apps/plain/told")
    before = activity(lab)
    script = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"}
    get(lab, "apps/plain/told", **script)
    get(lab, "apps/plain/told")
    # A page that loads itself again.
    get(lab, "apps/plain/", **{"Accept": "text/html", "Sec-Fetch-Mode": "navigate"})
    lab.ask("POST", "/apps/plain/save", body={}, headers=script)
    assert activity(lab) == before
    get(lab, "apps/plain/", **{"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-User": "?1"})
    opened = activity(lab)
    assert opened > before
    get(lab, "apps/counted/told", **script)
    assert activity(lab) > opened


@contextmanager
def somebody_elses_program() -> Iterator[tuple[Any, list[Any]]]:
    asked = []

    class Program(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(dict(self.headers))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = HTTPServer(("127.0.0.1", 0), Program)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port, asked
    finally:
        server.shutdown()
        server.server_close()


def test_no_port_of_the_machine_can_be_reached(lab: Lab) -> None:
    with somebody_elses_program() as (port, asked):
        for path in (
            f"proxy/{port}/",
            f"proxy/localhost:{port}/x",
            f"proxy/absolute/{port}/",
            f"proxy/absolute/127.0.0.1:{port}/x",
        ):
            for method in ("GET", "POST"):
                refused = lab.ask(method, f"/{path}", body=None if method == "GET" else {})
                assert refused.status == 403, path
        assert (
            b"other people of this machine may listen on them"
            in get(lab, f"proxy/{port}/", Accept="text/html").body
        )
        assert asked == []


def test_in_a_pod_the_persons_own_ports_can_be_reached(tmp_path: Path) -> None:
    with (
        session(tmp_path, {contract.PORT_PROXY: contract.OPEN}) as lab,
        somebody_elses_program() as (port, asked),
    ):
        assert get(lab, f"proxy/{port}/").status == 200
        assert len(asked) == 1
        assert get(lab, "proxy/10.0.0.1:80/").status == 403


def test_everything_ends_with_the_server_and_kernels_end_as_always(tmp_path: Path) -> None:
    with session(tmp_path) as lab:
        pid = get(lab, "apps/plain/told").json["pid"]
        family = [pid, *(each.pid for each in psutil.Process(pid).children())]
        assert len(family) == 2
        # The test's own folder has too long a path for a socket.
        folder = Path(psutil.Process(pid).cmdline()[2]).parent
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert all(gone(each) for each in family)
    assert not folder.exists()
    assert "Shutting down" in lab.log.read_text()


@pytest.mark.parametrize("value", ["{", "[" * 100_000, '"x"', "null", "[" + " " * 200_000 + "]"])
def test_a_list_that_is_none_offers_nothing_and_harms_nothing(value: str) -> None:
    assert contract.parse_apps(value) == ([], [f"{contract.VARIABLE} is no list of apps; none is offered"])
