"""A disk that is really full: the whole data folder of a hub with its vkd lies on a file system without room."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from tests.hub.stack import HUB_CONFIG, Hub, Iam, browser, wait_for
from tests.hub.test_auth_session import hub_token
from tests.hub.test_config_hub import started

JOBS = "/services/vkd/api/v1/jobs"
SIZE = "24m"
FULL = "The platform's disk is full. Tell the operators, and try again when there is room."

FILLING = """\
import os, time
print("filling", flush=True)
with open("big", "ab", buffering=0) as file:
    while True:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                pass
        time.sleep(0.01)
"""
COUNTING = """\
import os, time
from aiinfn_lab import record
while not os.path.exists({go!r}):
    time.sleep(0.05)
print("x" * 100_000)
record(answer=42)
"""


class FullDisk:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.disk = folder / "disk"
        self.hub = Hub(folder)
        self.hub.data = self.disk / "data"
        self.iam = Iam(folder, self.hub.callback)
        self.go = folder / "go"

    def start(self) -> None:
        self.disk.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=711", "aiinfn-test", str(self.disk)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
        config = self.folder / "config.py"
        config.write_text(
            f"load_subconfig({str(HUB_CONFIG)!r})\n"
            "c = get_config()\n"
            # Each request notes that its token was used, as all of those that come now and then do.
            "c.JupyterHub.activity_resolution = 0\n"
        )
        self.iam.start()
        self.hub.start(self.iam, config)

    def stop(self) -> None:
        self.hub.stop()
        self.iam.stop()
        subprocess.run(["umount", "--lazy", str(self.disk)], check=False, capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def room(self) -> int:
        found = os.statvfs(self.disk)
        return found.f_bavail * found.f_frsize

    def fill(self) -> None:
        with contextlib.suppress(OSError), (self.disk / "full").open("ab", buffering=0) as file:
            while file.write(bytes(1 << 12)):
                pass

    def call(self, token: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.hub.port}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"token {token}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as a:
                return a.status, json.loads(a.read() or "null")
        except urllib.error.HTTPError as error:
            with error:
                text = error.read().decode()
            return error.code, json.loads(text) if text.startswith("{") else text

    def snapshot(self, session: psutil.Process, name: str, code: str) -> dict[str, Any]:
        script = Path(session.environ()["HOME"], ".aiinfn/jobs", name, "job.py")
        script.parent.mkdir(parents=True)
        script.write_text(code)
        for each in (script, *script.parents[:3]):
            os.chown(each, *session.uids()[:1], *session.gids()[:1])
        work = {"kind": "script", "path": "job.py", "snapshot": f".aiinfn/jobs/{name}/job.py"}
        return {"work": work, "name": name, "project": "flavour", "accelerator": "t4", "count": 1}

    def submit(self, session: psutil.Process, name: str, code: str) -> str:
        status, job = self.call(hub_token(session), "POST", JOBS, self.snapshot(session, name, code))
        assert status == 201, job
        return job["id"]

    def job(self, session: psutil.Process, job_id: str) -> dict[str, Any]:
        status, job = self.call(hub_token(session), "GET", f"{JOBS}/{job_id}")
        assert status == 200, job
        return job

    def reaches(self, session: psutil.Process, job_id: str, state: str) -> dict[str, Any]:
        wait_for(f"{job_id} is {state}", lambda: self.job(session, job_id)["state"] == state, 60)
        return self.job(session, job_id)


@pytest.fixture
def place() -> Iterator[FullDisk]:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    folder = Path(tempfile.mkdtemp(prefix="aiinfn-full-", dir="/tmp"))
    folder.chmod(0o711)
    found = FullDisk(folder)
    try:
        found.start()
        yield found
    finally:
        found.stop()


def answered(answer: tuple[int, Any]) -> None:
    """See that what was asked was done, or that it was said in words why not."""
    status, body = answer
    if status not in {201, 202}:
        assert (status, body["message"]) == (507, FULL)


async def test_on_a_full_disk_people_get_words_and_can_make_room_and_then_all_goes_on(
    place: FullDisk,
) -> None:
    hub = place.hub
    ada = await started(hub, "ada")
    mine = hub.api("/users/ada/tokens", "POST", {})[1]["token"]
    home = Path(ada.environ()["HOME"])
    async with browser(hub) as of_ada, browser(hub) as of_dora:
        await of_ada.sign_in("ada")
        await of_dora.sign_in("dora")
        counting = place.submit(ada, "counting", COUNTING.format(go=str(place.go)))
        place.reaches(ada, counting, "running")
        filling = place.submit(ada, "filling", FILLING)
        waiting = place.submit(ada, "waiting", "print('hello')\n")
        later = place.snapshot(ada, "later", "print('hello')\n")
        place.reaches(ada, filling, "running")
        wait_for("the disk is full", lambda: place.room == 0)

        # Who is in stays in, and who comes is told.
        assert (await of_ada.get("/hub/home")).status == 200
        page = await of_dora.get("/hub/spawn")
        assert page.status == 200
        form = {"_xsrf": re.search(r'name="_xsrf" value="([^"]+)"', page.html)[1], "accelerator": "none"}  # type: ignore[index]
        page = await of_dora.post("/hub/spawn/dora", form)
        assert page.status == 507
        assert FULL in page.text
        for who in ("ada", "bruno"):
            async with browser(hub) as client:
                page = await client.sign_in(who)
            assert page.status in {200, 507}, page.text
            assert page.status == 200 or FULL in page.text
        answered(hub.api("/users/dora/server", "POST", {"user_options": {"accelerator": "none"}}))
        answered(hub.api("/users/ada/servers/two", "POST", {"user_options": {"accelerator": "none"}}))
        status, problem = place.call(mine, "POST", JOBS, later)
        assert (status, problem["reason"]) == (507, "storage_full")

        # A job that succeeds has succeeded.
        place.go.touch()
        ended = place.disk / "data/vkd/local/jobs" / counting / "1/exit.json"
        wait_for("the job has ended", ended.exists)

        # Who filled it can stop that, and make room. This token was not seen by vkd before.
        status, job = place.call(mine, "POST", f"{JOBS}/{filling}/cancel", {})
        assert (status, job["sentence"]) == (202, "Being cancelled")
        ended = place.disk / "data/vkd/local/jobs" / filling / "1/exit.json"
        wait_for("the job is stopped", ended.exists)
        assert place.job(ada, filling)["sentence"] in {"Being cancelled", "Cancelled"}
        assert place.room < 2**20
        assert (home / "big").exists()
        status, problem = place.call(mine, "DELETE", "/user/ada/api/contents/big")
        assert (status, problem) == (204, None)
        wait_for("there is room again", lambda: place.room > 2**22, 10)

        # All goes on by itself.
        assert place.reaches(ada, counting, "succeeded")["values"] == {"answer": 42}
        assert place.reaches(ada, filling, "cancelled")["sentence"] == "Cancelled"
        place.reaches(ada, waiting, "succeeded")
        async with browser(hub) as client:
            page = await client.sign_in("bruno")
            assert (page.status, urlsplit(page.url).path) == (200, "/hub/spawn")
        await started(hub, "dora")
        assert place.call(mine, "POST", JOBS, later)[0] == 201
    # And whose disk is full can stop the hub.
    place.fill()
    assert hub.process is not None
    hub.process.terminate()
    hub.process.wait(60)
    assert "...done" in hub.log
    assert "Traceback" not in hub.log
