"""Two builds speak to each other: the wheel of ``contract-1`` with a newer vkd, and today's with the vkd of ``contract-1``.

What the page does with newer words is in ``tolerance.spec.tsx`` of the labextension, what Python and the Lab server do in
``test_newer_platform.py``.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from aiinfn_hub.contract.jobs import RunSpec, Work
from aiinfn_hub.vkd.backends.common.runner_output import Splitter
from tests.newer import newer
from tests.other_build import OtherBuild, other_build
from tests.vkd.world import PLATFORM, free_port

from .real import PEOPLE, TOKEN, Real, running_hub

SCRIPT = """\
import sys, aiinfn_lab
from aiinfn_lab import record
record(answer=42)
print("ran by", aiinfn_lab.__file__)
"""


@pytest.fixture(scope="module")
def other() -> OtherBuild:
    return other_build()


@pytest.fixture
def platform(tmp_path: Path, other: OtherBuild) -> Iterator[Any]:
    """A hub, and a vkd that is started by the test, with an image that has the other build."""
    images = {
        **PLATFORM["images"],
        "pinned": {
            "title": "Pinned",
            "reference": "registry.example/pinned:1",
            "local_prefix": str(other.prefix(tmp_path / "pinned")),
        },
    }
    (tmp_path / "platform.yaml").write_text(yaml.safe_dump({**PLATFORM, "images": images}))
    with running_hub(dict(PEOPLE)) as hub:
        real = Real(tmp_path, hub, free_port(), 0)
        try:
            yield real
        finally:
            real.end()


class Newer(BaseHTTPRequestHandler):
    """Hands requests on to a vkd, and puts into its answers what nobody knows yet."""

    protocol_version = "HTTP/1.1"
    vkd = ""

    def _hand_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or None
        kept = {
            key: value
            for key, value in self.headers.items()
            if key.lower() not in {"host", "content-length", "accept-encoding", "connection"}
        }
        request = urllib.request.Request(
            f"{self.vkd}{self.path}", method=self.command, data=body, headers=kept
        )
        try:
            answer = urllib.request.urlopen(request, timeout=60)
        except urllib.error.HTTPError as error:
            answer = error
        with contextlib.closing(answer):
            said = answer.read()
            if answer.headers.get_content_type() == "application/json" and said:
                said = json.dumps(newer(json.loads(said))).encode()
            self.send_response(answer.status)
            for key, value in answer.headers.items():
                if key.lower() not in {"content-length", "transfer-encoding", "connection", "server", "date"}:
                    self.send_header(key, value)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

    do_GET = do_POST = do_PATCH = do_DELETE = _hand_on  # noqa: N815 - http.server's names

    def log_message(self, *_args: Any) -> None:
        pass


@contextlib.contextmanager
def made_newer(vkd: Any) -> Iterator[str]:
    handler = type("Handler", (Newer,), {"vkd": vkd})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def command(real: Any, environment: dict[str, Any], url: str, *words: Any, code: int = 0) -> Any:
    """Run ``aiinfn`` as a process of the build that an environment has."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("JUPYTER", "AIINFN", "XDG", "PYTHON"))
    }
    chosen = {**kept, **real.session, "AIINFN_VKD_URL": f"{url}/services/vkd", "NO_COLOR": "1", **environment}
    said = subprocess.run(
        [sys.executable, "-m", "aiinfn_lab.cli", *words], env=chosen, cwd=real.home, capture_output=True, text=True, timeout=90, check=False
    )  # fmt: skip
    assert "Traceback" not in said.stderr, said.stderr
    assert code is None or said.returncode == code, (said.stdout, said.stderr)
    return said.stdout


def test_an_older_wheel_works_with_a_newer_vkd(platform: Any, other: OtherBuild) -> None:
    platform.start_vkd()
    platform.write("fit.py", SCRIPT)
    root = platform.vkd_url.removesuffix("/services/vkd")
    with made_newer(root) as url:

        def aiinfn(*words: Any, code: int = 0) -> Any:
            return command(platform, other.environment, url, *words, code=code)

        assert "pinned" in aiinfn("platform")
        assert "licences" in aiinfn("submit", "--dry-run", "-o", "json", "--image", "pinned", "fit.py")
        job = aiinfn("submit", "-q", "--image", "pinned", "fit.py").strip()
        # It ends because the answer says that it is over; a state that nobody knows is no success.
        aiinfn("wait", job, code=1)
        assert job in (listed := aiinfn("list"))
        assert "dreaming" in listed
        shown = json.loads(aiinfn("show", "-o", "json", job))
        assert (shown["state"], shown["values"]) == ("dreaming", {"answer": 42})
        log = aiinfn("logs", job)
        assert f"ran by {other.packages}/" in log, "its runner was the older one as well"
    said = urllib.request.Request(
        f"{platform.vkd_url}/api/v1/jobs/{job}", headers={"Authorization": f"token {TOKEN}"}
    )
    with urllib.request.urlopen(said, timeout=20) as answer:
        assert json.load(answer)["state"] == "succeeded"


def test_todays_wheel_works_with_an_older_vkd(
    platform: Any, other: OtherBuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in other.environment.items():
        monkeypatch.setenv(name, value)
    platform.start_vkd()
    platform.write("fit.py", SCRIPT)
    root = platform.vkd_url.removesuffix("/services/vkd")
    today = {"PYTHONPATH": str(os.path.realpath(f"{__file__}/../../..")), "PYTHONSAFEPATH": "1"}

    def aiinfn(*words: Any, code: int = 0) -> Any:
        return command(platform, today, root, *words, code=code)

    assert "pinned" in aiinfn("platform")
    sweep = aiinfn("submit", "-q", "--parallelism", "2", "--sweep", "x=1,2", "fit.py").strip()
    aiinfn("wait", sweep)
    rows = json.loads(aiinfn("points", "-o", "json", sweep))
    assert [row["state"] for row in rows] == ["succeeded", "succeeded"]
    assert sweep in aiinfn("list")
    assert "Finished" in aiinfn("show", sweep)
    assert str(other.packages) not in aiinfn("logs", rows[0]["job"]), "its runner was today's"


@pytest.mark.parametrize("which", ["older", "today"])
def test_the_runner_reads_what_a_newer_vkd_says_of_a_job(
    tmp_path: Path, other: OtherBuild, which: str
) -> None:
    home = tmp_path / "home"
    place = home / ".aiinfn/jobs/a/fit.py"
    place.parent.mkdir(parents=True)
    place.write_text(SCRIPT)
    work = Work(kind="script", path="fit.py", snapshot=".aiinfn/jobs/a/fit.py")
    told = RunSpec(job="j1", attempt=1, home=str(home), work=work, output="fit.j1.log").model_dump(
        mode="json"
    )
    told = newer(told) | {"work": newer(told["work"]) | {"kind": "script"}}
    environment = other.environment if which == "older" else {}
    ended = subprocess.run(
        [sys.executable, "-P", "-s", "-m", "aiinfn_lab.runner", "-"],
        input=json.dumps(told).encode(),
        env={**os.environ, "HOME": str(home), **environment},
        cwd=home,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    text, records = Splitter().feed(ended.stdout)
    assert [record["values"] for record in records if record["type"] == "values"] == [{"answer": 42}]
    assert (str(other.packages) in text.decode()) is (which == "older")


@pytest.mark.parametrize("which", ["older", "today"])
def test_the_runner_refuses_work_of_an_unknown_kind_in_a_sentence(
    tmp_path: Path, other: OtherBuild, which: str
) -> None:
    work = Work(kind="container", path="fit.sif", snapshot=".aiinfn/jobs/a/fit.sif")
    told = RunSpec(job="j1", attempt=1, home=str(tmp_path), work=work, output="fit.j1.log")
    ended = subprocess.run(
        [sys.executable, "-P", "-s", "-m", "aiinfn_lab.runner", "-"],
        input=told.model_dump_json().encode(),
        env={**os.environ, "HOME": str(tmp_path), **(other.environment if which == "older" else {})},
        cwd=tmp_path,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode != 0
    assert b"Traceback" not in ended.stdout + ended.stderr
    assert b"container" in ended.stdout + ended.stderr
