"""A real IAM and a real hub on free ports, and a client that signs in as a browser does."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from tests.ports import free_ports

ROOT = Path(__file__).parents[2]
PLATFORM = Path(__file__).with_name("platform.yaml")
HUB_CONFIG = Path(__file__).with_name("hub_config.py")
T = TypeVar("T")


def wait_for(what: str, check: Callable[[], T], seconds: float = 60, step: float = 0.1) -> T:
    """Wait until ``check`` gives something true, and give that."""
    deadline = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(step)
    return found


def answers(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=2) as response:
            return response.status == 200
    except (OSError, urllib.error.URLError):
        return False


def clean_environment() -> dict[str, str]:
    """Give this process's environment without settings of other hubs; the proxy and this Python are in its path."""
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("AIINFN_", "JUPYTER", "OAUTH", "PYTEST_"))
    }
    path = (ROOT / "deploy/proxy/node_modules/.bin", Path(sys.executable).parent, os.environ["PATH"])
    return kept | {"PATH": os.pathsep.join(map(str, path))}


class Server:
    """A process of its own session with its output in a file."""

    def __init__(self, log: Path) -> None:
        self.log_file = log
        self.process: subprocess.Popen[bytes] | None = None

    def launch(self, command: list[str], environment: dict[str, str], cwd: Path) -> None:
        with self.log_file.open("ab") as stream:
            self.process = subprocess.Popen(
                command,
                cwd=cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def alive(self) -> None:
        assert self.process is not None
        assert self.process.poll() is None, f"it ended with {self.process.returncode}:\n{self.log[-4000:]}"

    def stop(self) -> int:
        """End it and everything in its session."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(40)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        return self.process.wait(10)


class Iam(Server):
    """The demonstration's provider."""

    def __init__(self, folder: Path, redirect_uri: str, token_lifetime: int = 3600, *more: str) -> None:
        super().__init__(folder / "iam.log")
        (self.port,) = free_ports(1)
        self.issuer = f"http://127.0.0.1:{self.port}"
        self.client_secret = secrets.token_hex(16)
        self.token_client_secret = secrets.token_hex(16)
        self._admin_token = secrets.token_hex(16)
        self._folder = folder
        self._command = [
            sys.executable,
            "-m",
            "aiinfn_hub.demo.identity_provider",
            f"--port={self.port}",
            f"--redirect-uri={redirect_uri}",
            f"--token-lifetime={token_lifetime}",
            *more,
        ]

    def start(self) -> None:
        environment = clean_environment() | {
            "AIINFN_IAM_CLIENT_SECRET": self.client_secret,
            "AIINFN_IAM_TOKEN_CLIENT_SECRET": self.token_client_secret,
            "AIINFN_IAM_ADMIN_TOKEN": self._admin_token,
        }
        self.launch(self._command, environment, self._folder)
        wait_for("IAM answers", lambda: self.alive() or answers(f"{self.issuer}/jwk"), step=0.05)  # type: ignore[func-returns-value]

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            f"{self.issuer}/admin/{path}",
            method=method,
            data=json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self._admin_token}", "Content-Type": "application/json"},
        )
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            request, timeout=10
        ) as response:
            return json.loads(response.read() or "null")

    def fault(self, **what: Any) -> None:
        """Let something be wrong from now on; nothing puts it right again."""
        self.admin("PUT", "fault", what)

    @contextlib.contextmanager
    def claims(self, who: str, **changes: Any) -> Any:
        """Change an account's claims for a while; None takes a claim away."""
        before = self.admin("PATCH", f"accounts/{who}", {})
        self.admin("PATCH", f"accounts/{who}", changes)
        try:
            yield
        finally:
            added = dict.fromkeys(changes.keys() - before.keys())
            self.admin("PATCH", f"accounts/{who}", before | added)


class Hub(Server):
    """JupyterHub with the whole configuration of `aiinfn_hub.config`, its proxy and vkd."""

    def __init__(self, folder: Path, address: str = "127.0.0.1") -> None:
        super().__init__(folder / "hub.log")
        self.port, self.hub_port, self.proxy_port, self.vkd_port = free_ports(4)
        self.address = address
        self.url = f"http://127.0.0.1:{self.port}"
        self.callback = f"{self.url}/hub/oauth_callback"
        self.vkd_url = f"http://{address}:{self.vkd_port}/services/vkd"
        self.data = folder / "data"
        self.probe_token = secrets.token_hex(16)
        self._folder = folder

    def environment(self, iam: Iam | None, **more: str) -> dict[str, str]:
        known = {
            "AIINFN_PLATFORM": str(PLATFORM),
            "AIINFN_DATA": str(self.data),
            "AIINFN_PORT": str(self.port),
            "AIINFN_HUB_PORT": str(self.hub_port),
            "AIINFN_PROXY_API_PORT": str(self.proxy_port),
            "AIINFN_VKD_PORT": str(self.vkd_port),
            "AIINFN_JOBS_END_WITH_VKD": "1",
            "TEST_PROBE_TOKEN": self.probe_token,
        }
        if iam is not None:
            known |= {"AIINFN_IAM_ISSUER": iam.issuer, "AIINFN_IAM_CLIENT_SECRET": iam.client_secret}
        return clean_environment() | known | more

    def start(self, iam: Iam, config: Path = HUB_CONFIG, **more: str) -> None:
        self.launch(
            [sys.executable, "-m", "jupyterhub", "-f", str(config)],
            self.environment(iam, **more),
            self._folder,
        )
        wait_for("vkd answers", lambda: self.alive() or answers(f"{self.vkd_url}/health"), 120)  # type: ignore[func-returns-value]
        wait_for("the hub answers", lambda: self.alive() or answers(f"{self.url}/hub/login"))  # type: ignore[func-returns-value]

    def api(
        self, path: str, method: str = "GET", body: Any = None, token: str | None = None
    ) -> tuple[int, Any]:
        """Call the REST API, as an operator's tool unless a token is given."""
        request = urllib.request.Request(
            f"http://{self.address}:{self.hub_port}/hub/api{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"token {token or self.probe_token}"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=30) as response:
                return response.status, json.loads(response.read() or "null")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or "null")


@dataclass
class Seen:
    """A page as a person sees it."""

    status: int
    url: str
    html: str

    @property
    def text(self) -> str:
        body = re.sub(r"<(style|script|noscript)\b.*?</\1>", " ", self.html, flags=re.DOTALL)
        return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


class Client:
    """A browser without scripts: keeps cookies, follows redirects."""

    def __init__(self, session: aiohttp.ClientSession, hub: Hub) -> None:
        self._session = session
        self.hub = hub
        self.codes: list[str] = []

    async def get(self, url: str, **kwargs: Any) -> Seen:
        address = url if url.startswith("http") else self.hub.url + url
        async with self._session.get(URL(address, encoded=True), **kwargs) as response:
            return Seen(response.status, str(response.url), await response.text())

    async def post(self, url: str, form: dict[str, str]) -> Seen:
        async with self._session.post(URL(self.hub.url + url, encoded=True), data=form) as response:
            return Seen(response.status, str(response.url), await response.text())

    async def redirect_of(self, url: str, method: str = "GET", **kwargs: Any) -> str:
        """Give where a page sends people, without going there."""
        address = url if url.startswith("http") else self.hub.url + url
        async with self._session.request(
            method, URL(address, encoded=True), allow_redirects=False, **kwargs
        ) as response:
            assert response.status in {302, 303}, f"{response.status}: {await response.text()}"
            return response.headers["Location"]

    async def choose(self, who: str, login: str = "/hub/oauth_login") -> str:
        """Go to IAM, choose an account, and give the address that leads back."""
        authorize = await self.redirect_of(login)
        back = await self.redirect_of(authorize, "POST", data={"account": who})
        self.codes += re.findall(r"code=([^&]+)", urlsplit(back).query)
        return back

    async def sign_out(self, where: str = "here", *, follow: bool = True) -> Seen:
        """Press one of the buttons of the page that asks where to sign out."""
        page = await self.get("/hub/logout")
        xsrf = re.search(r'name="_xsrf" value="([^"]+)"', page.html)
        assert xsrf, page.text
        form = {"_xsrf": unescape(xsrf[1]), "where": where}
        address = URL(f"{self.hub.url}/hub/logout")
        async with self._session.post(address, data=form, allow_redirects=follow) as response:
            target = response.headers.get("Location", str(response.url))
            return Seen(response.status, target, await response.text())

    async def sign_in(self, who: str, login: str = "/hub/oauth_login") -> Seen:
        return await self.get(await self.choose(who, login))


@contextlib.asynccontextmanager
async def browser(hub: Hub) -> AsyncIterator[Client]:
    jar = aiohttp.CookieJar(unsafe=True)
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(cookie_jar=jar, timeout=timeout) as session:
        yield Client(session, hub)
