"""A real JupyterHub for tests: its own process, the real proxy, real sessions, and where wanted the real vkd."""

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import psutil

from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
PROXY = ROOT / "deploy/proxy/node_modules/.bin/configurable-http-proxy"

PEOPLE = {
    "ada": ["ai-infn/flavour"],
    "ben": ["ai-infn/flavour", "ai-infn/medphys"],
    "cleo": ["ai-infn/flavour/managers"],
    "olga": ["ai-infn/operators"],
    "nora": [],
    "eve<b>": ["ai-infn/flavour"],
}
"""Who can sign in, with their IAM groups: the five kinds of people, and one with a name that wants escaping."""

PLATFORM = """\
title: Test platform
admin_groups: [ai-infn/operators]
use_real_devices: false
accelerators:
  t4: {title: NVIDIA T4, kind: gpu, resource: nvidia.com/gpu, memory: 16Gi, description: Small models, max_per_session: 2, simulated: 2}
  slice: {title: A100 slice 1g.5gb, kind: mig, resource: nvidia.com/mig-1g.5gb, memory: 5Gi, simulated: 7, session_time: 4h}
  v70: {title: AMD Alveo V70, kind: fpga, resource: amd.com/v70, memory: 16Gi, max_per_person: 1, simulated: 1}
images:
  standard: {title: Standard Python, reference: registry.example.org/standard:1}
  fpga-tools: {title: FPGA tools, reference: registry.example.org/fpga:1, accelerators: [v70]}
sizes:
  small: {title: Small, cores: 1, memory: 2Gi}
  large: {title: Large, cores: 8, memory: 32Gi}
projects:
  flavour: {title: Flavour physics, groups: [ai-infn/flavour], managers: [ai-infn/flavour/managers], accelerators: [t4, slice], sizes: [small]}
  medphys: {title: Medical physics, groups: [ai-infn/medphys], accelerators: [slice, v70]}
queues:
  opportunistic: {title: Opportunistic}
limits: {session_start: %(session_start)s, session_default: 8h, session_max: 24h, grace: 2s}
apps:
  hello: {title: Hello, command: [python, "%(root)s/tests/app_on_socket.py", "{unix_socket}", --child]}
"""

CONFIG = """\
import json, os, sys
from pathlib import Path
from jupyterhub.auth import DummyAuthenticator
from aiinfn_hub.auth import identity
from aiinfn_hub.config.proxy import SessionProxy, guarded
from aiinfn_hub.config.service_start import keep_starting
from aiinfn_hub.host.accounts import Accounts
from aiinfn_hub.platform.loading.reload import PlatformFile
from aiinfn_hub.spawner import session_time
from aiinfn_hub.spawner.context import TEMPLATES, SpawnContext
from aiinfn_hub.spawner.local import LocalSpawner
from aiinfn_hub.spawner.operator_notices import node_notices
from aiinfn_hub.vkd.client import VkdClient
from aiinfn_hub.web import page_language

t = json.loads(Path(os.environ["TEST_HUB"]).read_text())
data = Path(t["data"])

class People(DummyAuthenticator):
    async def authenticate(self, handler, form):
        groups = t["people"].get(form["username"])
        if groups is None or form["password"] != t["password"]:
            return None
        return {"name": form["username"], "groups": groups, "admin": "ai-infn/operators" in groups}

    def normalize_username(self, name):
        return name

url = f"http://127.0.0.1:{t['vkd_port']}/services/vkd"
c.JupyterHub.authenticator_class = People
c.Authenticator.manage_groups = True
c.Authenticator.allow_all = True
c.JupyterHub.bind_url = f"http://127.0.0.1:{t['port']}/"
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{t['hub_port']}/"
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{t['proxy_port']}"
c.JupyterHub.proxy_class = SessionProxy
c.ConfigurableHTTPProxy.command = guarded([t["proxy"]], os.environ)
keep_starting()
c.ConfigurableHTTPProxy.pid_file = str(data / "hub/proxy.pid")
c.JupyterHub.db_url = f"sqlite:///{data}/hub/hub.sqlite"
c.JupyterHub.cookie_secret_file = str(data / "hub/cookie")
c.JupyterHub.cleanup_servers = t["cleanup_servers"]
c.JupyterHub.allow_named_servers = True
c.Spawner.http_timeout = 120  # several servers start at the same time on a busy machine
c.JupyterHub.tornado_settings = {"slow_spawn_timeout": t["slow_spawn_timeout"]}
c.JupyterHub.spawner_class = LocalSpawner
page_language.configure_pages(c, str(TEMPLATES))
c.JupyterHub.extra_handlers = [*identity.routes(), *session_time.routes(), *page_language.routes()]
platform_file = PlatformFile.open(Path(t["platform"]))
platform_file.follow()
context = c.LocalSpawner.context = SpawnContext(
    file=platform_file, vkd=VkdClient(url, t["vkd_token"]), vkd_url=url,
    accounts=Accounts(data, t["separate"]), ticket_key=t["ticket_key"],
)
identity.Revocations(c.LocalSpawner.context.vkd.forget_tokens).watch()
c.JupyterHub.template_vars = {
    "platform_problem": lambda reader: platform_file.problem if reader and reader.admin else "",
    "node_notices": lambda reader: node_notices(context, reader),
}
c.LocalSpawner.skeleton = Path(t["skeleton"]) if t["skeleton"] else None
c.LocalSpawner.poll_interval = 1
scope = "access:services!service=vkd"
c.Spawner.server_token_scopes = ["users:activity!user", "access:servers!server", scope]
c.JupyterHub.services = [
    {"name": "operator", "api_token": t["admin_token"]},
    {"name": "aiinfn-hub", "api_token": t["vkd_token"]},
]
c.JupyterHub.load_roles = [
    {"name": "operator", "services": ["operator"], "scopes": ["admin:users", "admin:servers", "admin:server_state", "read:metrics", "access:servers", "tokens"]},
    {"name": "hub", "services": ["aiinfn-hub"], "scopes": [scope]},
]
c.JupyterHub.extra_user_scopes = {scope}
if t["vkd"]:
    c.JupyterHub.services.append({
        "name": "vkd", "url": f"http://127.0.0.1:{t['vkd_port']}", "command": [sys.executable, "-m", "aiinfn_hub.vkd"],
        "environment": {"AIINFN_PLATFORM": t["platform"], "AIINFN_DATA": t["data"], "AIINFN_TICKET_KEY": t["ticket_key"]},
    })
"""


@dataclass
class RealHub:
    """A running hub, and how to reach it."""

    folder: Path
    settings: dict[str, Any]
    secrets_in_environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.settings['port']}"

    @property
    def log(self) -> str:
        return (self.folder / "hub.log").read_text(errors="replace")

    @property
    def told(self) -> str:
        """The log without the requests."""
        return "\n".join(line for line in self.log.splitlines() if "JupyterHub log:" not in line)

    @property
    def data(self) -> Path:
        return Path(self.settings["data"])

    def start(self) -> None:
        (self.folder / "settings.json").write_text(json.dumps(self.settings))
        environment = {
            key: value for key, value in os.environ.items() if not key.startswith(("JUPYTERHUB_", "AIINFN_"))
        }
        environment |= self.secrets_in_environment | {"TEST_HUB": str(self.folder / "settings.json")}
        with (self.folder / "hub.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "jupyterhub", "-f", str(self.folder / "config.py")],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 60
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the hub did not start:\n{self.log}")
            time.sleep(0.1)

    def _answers(self) -> bool:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.settings["port"]), 1) as proxy,
        ):
            proxy.sendall(b"GET /hub/health HTTP/1.0\r\n\r\n")
            return b"200" in proxy.recv(100)
        return False

    def stop(self, how: int = signal.SIGTERM) -> None:
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        self.process = None

    def end(self) -> list[str]:
        """Stop the hub; whatever is left of it and its sessions is killed and named."""
        self.stop()
        left = []
        mark = os.fsencode(str(self.folder))
        for process in psutil.process_iter():
            with contextlib.suppress(OSError, psutil.Error):
                if mark in Path(f"/proc/{process.pid}/environ").read_bytes() and process.pid != os.getpid():
                    left.append(" ".join(process.cmdline()))
                    process.kill()
        return left

    # What a person or an operator does

    async def api(self, method: str, path: str, **kwargs: Any) -> tuple[int, Any]:
        """Call the hub's API as its operator."""
        headers = {"Authorization": f"token {self.settings['admin_token']}"}
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.request(method, f"{self.url}/hub/api{path}", **kwargs) as answer,
        ):
            text = await answer.text()
            return answer.status, json.loads(text) if text.startswith(("{", "[")) else text

    async def begin(
        self, user: str, options: dict[str, Any] | None = None, server: str = ""
    ) -> tuple[int, Any]:
        """Ask over REST for a session; None leaves the options out."""
        await self.know(user)
        body = {} if options is None else {"user_options": options}
        return await self.api("POST", server_path(user, server), json=body)

    async def know(self, user: str) -> None:
        """Sign somebody in once, so that the hub knows the person with their groups."""
        async with self.browser(user):
            pass

    async def server(self, user: str, server: str = "") -> dict[str, Any] | None:
        _, model = await self.api("GET", f"/users/{quote(user)}?include_stopped_servers=1")
        return model["servers"].get(server)

    async def ready(self, user: str, server: str = "", seconds: float = 120) -> dict[str, Any]:
        """Wait until a session runs."""
        deadline = time.monotonic() + seconds
        while True:
            model = await self.server(user, server)
            if model and model["ready"]:
                return model
            if time.monotonic() > deadline:
                raise AssertionError(f"the session did not come up: {model}\n{self.told[-4000:]}")
            await pause()

    async def end_session(self, user: str, server: str = "") -> None:
        """Stop a session and wait until it is gone."""
        await self.api("DELETE", server_path(user, server))
        deadline = time.monotonic() + 30
        while model := await self.server(user, server):
            if model["stopped"] and not model["pending"]:
                return
            if time.monotonic() > deadline:
                raise AssertionError(f"the session did not end: {model}")
            await pause()

    @contextlib.asynccontextmanager
    async def browser(self, user: str) -> AsyncIterator[aiohttp.ClientSession]:
        """Give an HTTP session that is signed in."""
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(cookie_jar=jar) as http:
            async with http.get(f"{self.url}/hub/login") as page:
                assert page.status == 200
            form = {"username": user, "password": self.settings["password"], "_xsrf": xsrf(http)}
            async with http.post(f"{self.url}/hub/login", data=form, allow_redirects=False) as answer:
                assert answer.status == 302, await answer.text()
            yield http


def xsrf(http: aiohttp.ClientSession) -> str:
    """Give the cookie that every form of the hub must send back."""
    return next(
        cookie.value for cookie in http.cookie_jar if cookie.key == "_xsrf" and cookie["path"] == "/hub/"
    )


def server_path(user: str, server: str = "") -> str:
    return f"/users/{quote(user)}/" + (f"servers/{quote(server)}" if server else "server")


async def pause() -> None:
    await asyncio.sleep(0.2)


def session_process(home: Path) -> psutil.Process:
    """Find the server of the session that has this home."""
    return next(each for each in processes_of(home) if "aiinfn_lab.singleuser" in each.cmdline())


def processes_of(home: Path) -> list[psutil.Process]:
    """Find all that runs in a home."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("HOME") == str(home) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


async def vkd_answers(hub: RealHub) -> None:
    """Wait for vkd, which the hub starts after itself."""
    async with aiohttp.ClientSession() as http:
        for _ in range(150):
            with contextlib.suppress(aiohttp.ClientError):
                async with http.get(
                    f"http://127.0.0.1:{hub.settings['vkd_port']}/services/vkd/health"
                ) as answer:
                    if answer.status == 200:
                        return
            await pause()
    raise AssertionError(f"vkd does not answer:\n{hub.told[-3000:]}")


@contextlib.contextmanager
def real_hub(*, vkd: bool, session_start: str = "30s", limits: str = "", **changes: Any) -> Iterator[RealHub]:
    """Run a hub; ``limits`` goes on with those of the platform file, as ``, key: value``.

    The data folder is below ``/tmp`` and can be passed through by everybody, so that people really get a uid each
    where this runs as root.
    """
    assert PROXY.exists(), f"{PROXY} is missing: run `npm ci` in deploy/proxy"
    folder = Path(tempfile.mkdtemp(prefix="aiinfn-hub-"))
    folder.chmod(0o711)
    data = folder / "data"
    (data / "hub").mkdir(parents=True)
    (folder / "platform.yaml").write_text(
        (PLATFORM % {"session_start": session_start, "root": ROOT}).replace(
            "grace: 2s}", f"grace: 2s{limits}}}"
        )
    )
    (folder / "config.py").write_text(CONFIG)
    settings = {
        "data": str(data),
        "platform": str(folder / "platform.yaml"),
        "people": PEOPLE,
        "password": secrets.token_hex(8),
        "admin_token": secrets.token_hex(16),
        "vkd_token": secrets.token_hex(16),
        "ticket_key": secrets.token_hex(16),
        "proxy": str(PROXY),
        "vkd": vkd,
        "separate": None,
        "skeleton": None,
        "cleanup_servers": True,
        "slow_spawn_timeout": 10,
    } | {name: free_port() for name in ("port", "hub_port", "proxy_port", "vkd_port")}
    hub = RealHub(folder, settings | changes)
    try:
        hub.start()
        yield hub
        left = hub.end()
        assert not left, f"processes were left behind: {left}"
    finally:
        hub.end()
        shutil.rmtree(folder, ignore_errors=True)
