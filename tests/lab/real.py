"""A small whole platform: vkd with real jobs, a person's Jupyter server and home, and the proxy in front of both."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml
from click.testing import CliRunner

from aiinfn_hub.host.accounts import Accounts
from aiinfn_lab.cli import main
from tests.vkd.world import PEOPLE, PLATFORM, Hub, free_port, user_model, vkd_environment

from .conftest import Lab, running_server

ROOT = Path(__file__).parents[2]
PROXY = ROOT / "deploy/proxy/node_modules/.bin/configurable-http-proxy"
TOKEN = "token-anna"
SCOPES = ("access:services!service=vkd", "access:servers!user=anna")


@dataclass
class Told:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Real:
    """The platform as anna sees it, from her session and from elsewhere."""

    folder: Path
    hub: Hub
    vkd_port: int
    proxy_port: int
    lab: Lab = None  # type: ignore[assignment]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Address that people open."""
        return f"http://127.0.0.1:{self.proxy_port}"

    @property
    def vkd_url(self) -> str:
        return f"http://127.0.0.1:{self.vkd_port}/services/vkd"

    @property
    def home(self) -> Path:
        return Accounts(self.folder / "data").get("anna").home

    @property
    def session(self) -> dict[str, str]:
        """What the spawner puts into a session's environment."""
        return {
            "HOME": str(self.home),
            "AIINFN_VKD_URL": self.vkd_url,
            "JUPYTERHUB_API_TOKEN": TOKEN,
            "JUPYTERHUB_USER": "anna",
            "AIINFN_PROJECT": "flavour",
            "AIINFN_IMAGE": "default",
            "AIINFN_SIZE": "small",
            "AIINFN_ACCELERATOR": "none",
            "AIINFN_COUNT": "0",
        }

    @property
    def outside(self) -> dict[str, str]:
        """The environment of anna's laptop."""
        place = self.folder / "laptop"
        place.mkdir(exist_ok=True)
        return {"HOME": str(place), "AIINFN_URL": self.url, "AIINFN_TOKEN": TOKEN}

    def popen(
        self, *words: str, environment: dict[str, str] | None = None, cwd: Path | None = None, **more: Any
    ) -> subprocess.Popen[bytes]:
        chosen = self.session if environment is None else environment
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "AIINFN", "XDG"))}
        return subprocess.Popen(
            # As the installed command: without the present folder among the modules.
            [sys.executable, "-P", "-m", "aiinfn_lab.cli", *words],
            env={**kept, "PYTHONPATH": str(ROOT), **chosen},
            cwd=cwd or Path(chosen["HOME"]),
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, **more},
        )

    def aiinfn(
        self,
        *words: str,
        code: int | None = 0,
        typed: bytes = b"",
        environment: dict[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Told:
        """Run the command, in this process: starting one costs more than all that it does."""
        chosen = self.session if environment is None else environment
        removed = [name for name in os.environ if name.startswith(("JUPYTER", "AIINFN", "XDG"))]
        with contextlib.chdir(cwd or Path(chosen["HOME"])):
            said = CliRunner().invoke(
                main, words, input=typed, env={**dict.fromkeys(removed), **chosen}, prog_name="aiinfn"
            )
        if said.exception is not None and not isinstance(said.exception, SystemExit):
            raise said.exception
        told = Told(said.exit_code, said.stdout, said.stderr)
        assert code is None or told.code == code, told
        assert "Traceback" not in told.err, told.err
        assert "token-anna" not in told.out + told.err
        return told

    def write(self, path: str, content: Any, home: Path | None = None) -> Path:
        target = (home or self.home) / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(content) if isinstance(content, dict) else content)
        return target

    def reach(self, job: str, *states: str, seconds: float = 60) -> dict[str, Any]:
        """Wait until a job is in one of some states, as the Lab tells it."""
        end = time.monotonic() + seconds
        while (found := self.lab.get(f"jobs/{job}").json)["state"] not in states:
            assert time.monotonic() < end, found
            time.sleep(0.05)
        return found

    def claim(self, person: str, accelerator: str) -> None:
        """Let a session of somebody ask for a device, as the hub does."""
        claim = {"owner": person, "project": "medical", "accelerator": accelerator, "count": 1, "until": "2099-01-01T00:00:00Z"}  # fmt: skip
        self._as_hub("PUT", person, json.dumps(claim).encode())

    def release(self, person: str) -> None:
        """End that session."""
        self._as_hub("DELETE", person, None)

    def _as_hub(self, method: str, person: str, body: bytes | None) -> None:
        request = urllib.request.Request(
            f"{self.vkd_url}/api/v1/claims/{person}",
            method=method,
            data=body,
            headers={"Authorization": "token token-hub", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10):
            pass

    def start_vkd(self) -> subprocess.Popen[bytes]:
        """Start vkd, again if it was ended."""
        with (self.folder / "vkd.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "aiinfn_hub.vkd"],
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, **vkd_environment(self.folder, self.hub.url, self.vkd_port)},
            )
        self.processes.append(process)
        wait_for(f"{self.vkd_url}/health", process, self.folder / "vkd.log")
        return process

    def start_proxy(self) -> None:
        """Start the platform's proxy, with routes as the hub gives it."""
        api = free_port()
        with (self.folder / "proxy.log").open("ab") as log:
            process = subprocess.Popen(
                [PROXY, f"--port={self.proxy_port}", "--ip=127.0.0.1", f"--api-port={api}", "--api-ip=127.0.0.1", f"--default-target={self.hub.url.removesuffix('/hub/api')}"],
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "CONFIGPROXY_AUTH_TOKEN": "proxy"},
            )  # fmt: skip
        self.processes.append(process)
        wait_for(f"http://127.0.0.1:{api}/api/routes", process, self.folder / "proxy.log")
        for path, port in (("/services/vkd", self.vkd_port), ("/user/anna", self.lab.port)):
            request = urllib.request.Request(
                f"http://127.0.0.1:{api}/api/routes{path}",
                method="POST",
                data=json.dumps({"target": f"http://127.0.0.1:{port}"}).encode(),
                headers={"Authorization": "token proxy"},
            )
            with urllib.request.urlopen(request, timeout=10):
                pass

    def end(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
        for left in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if str(self.folder) in " ".join([*left.cmdline(), left.cwd()]):
                    left.kill()


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until somebody answers."""
    end = time.monotonic() + 40
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except urllib.error.HTTPError as error:
            error.close()
            return
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.05)


@contextlib.contextmanager
def running_hub(people: dict[str, Any]) -> Iterator[Hub]:
    """Run the hub's one endpoint in a thread."""
    hub, ready, over = Hub(people=people), threading.Event(), []
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        stop = asyncio.Event()
        over.append(stop)
        async with hub.run():
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield hub
    finally:
        loop.call_soon_threadsafe(over[0].set)
        thread.join(10)
        loop.close()


@contextlib.contextmanager
def real_platform(folder: Path, *, extensions: Iterable[str] = ()) -> Iterator[Real]:
    """Run the platform, perhaps with more extensions of the Jupyter server."""
    anna = user_model("anna", "ai-infn/flavour", scopes=SCOPES)
    anna["servers"] = {"": {"name": "", "ready": True, "url": "/user/anna/"}}
    narrow = user_model("anna", "ai-infn/flavour")
    narrow["scopes"] = ["access:services!service=vkd"]
    people = {**PEOPLE, TOKEN: anna, "token-narrow": narrow}
    (folder / "platform.yaml").write_text(yaml.safe_dump(PLATFORM))
    with running_hub(people) as hub:
        real = Real(folder, hub, free_port(), free_port())
        try:
            real.start_vkd()
            (folder / "lab").mkdir()
            (folder / "lab" / "home").symlink_to(real.home)
            environment = real.session | {"PYTHONPATH": str(ROOT)}
            with running_server(
                folder / "lab", environment, base="/user/anna", token=TOKEN, extensions=extensions
            ) as lab:
                real.lab = lab
                real.start_proxy()
                yield real
        finally:
            real.end()
