"""A small world for the tests of vkd: a platform, people, a hub that knows their tokens, and vkd on a port."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import uvicorn
from aiohttp import web

from aiinfn_hub.platform.loading.reload import PlatformFile
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.vkd import app as application
from aiinfn_hub.vkd.api.authentication import Auth
from aiinfn_hub.vkd.api.http_protocol import BoundedProtocol
from aiinfn_hub.vkd.database.jobs import JobStore
from aiinfn_hub.vkd.domain.backend import Backends, CompleteBackend
from aiinfn_hub.vkd.services.jobs import JobService
from tests.ports import free_port

TICKET_KEY = "a key of the tests"
API = "/services/vkd/api/v1"

PLATFORM: dict[str, Any] = {
    "title": "Test platform",
    "admin_groups": ["operators"],
    "use_real_devices": False,
    "accelerators": {
        "t4": {
            "title": "T4",
            "kind": "gpu",
            "resource": "nvidia.com/gpu",
            "memory": "16Gi",
            "simulated": 2,
            "max_per_job": 2,
        },
        "v70": {"title": "Alveo V70", "kind": "fpga", "resource": "amd.com/v70", "simulated": 1},
    },
    "images": {"default": {"title": "Default", "reference": "example.org/default:1"}},
    "sizes": {
        "small": {"title": "Small", "cores": 1, "memory": "1Gi"},
        "large": {"title": "Large", "cores": 2, "memory": "2Gi"},
    },
    "projects": {
        "flavour": {
            "title": "Flavour physics",
            "groups": ["ai-infn/flavour"],
            "managers": ["ai-infn/flavour-managers"],
        },
        "medical": {"title": "Medical imaging", "groups": ["ai-infn/medical"]},
    },
    "queues": {
        "opportunistic": {"title": "Opportunistic"},
        "urgent": {"title": "Urgent", "priority": 10, "projects": ["medical"]},
    },
    "limits": {"grace": "2s", "jobs_waiting_per_person": 50, "job_default": "10m"},
}


def platform(**changes: Any) -> Platform:
    return Platform.model_validate({**PLATFORM, **changes})


def user_model(
    name: str, *groups: str, scopes: tuple[str, ...] = ("access:services!service=vkd",)
) -> dict[str, Any]:
    """What the hub answers to ``GET /hub/api/aiinfn/identity`` for a server's token, as recorded."""
    return {
        "kind": "user",
        "name": name,
        "groups": list(groups),
        "session_id": None,
        "token_id": "a27",
        "scopes": sorted({*scopes, f"access:servers!server={name}/", f"users:activity!user={name}"}),
    }


PEOPLE: dict[str, dict[str, Any]] = {
    "token-anna": user_model("anna", "ai-infn/flavour"),
    "token-bruno": user_model("bruno", "ai-infn/flavour", "ai-infn/medical"),
    "token-mara": user_model("mara", "/ai-infn/flavour-managers"),
    "token-oscar": user_model("oscar", "operators"),
    "token-nina": user_model("nina"),
    "token-noscope": user_model("anna", "ai-infn/flavour", scopes=()),
    "token-hub": {"kind": "service", "name": "aiinfn-hub", "roles": [], "admin": False, "url": "", "prefix": None, "info": {}, "scopes": [], "session_id": None, "token_id": "a3"},
    "token-metrics": {"kind": "service", "name": "metrics", "roles": ["metrics"], "admin": False, "url": "", "prefix": None, "info": {}, "scopes": ["read:metrics"], "session_id": None, "token_id": "a5"},
    "token-other": {"kind": "service", "name": "other", "roles": [], "admin": False, "url": "", "prefix": None, "info": {}, "scopes": ["access:services!service=vkd"], "session_id": None, "token_id": "a4"},
}  # fmt: skip


@dataclass
class Hub:
    """The one endpoint of a hub that vkd asks, answering as the real one does."""

    url: str = ""
    people: dict[str, dict[str, Any]] = field(default_factory=lambda: dict(PEOPLE))
    asked: list[str] = field(default_factory=list)
    broken: bool = False
    hold: asyncio.Event | None = None

    async def _user(self, request: web.Request) -> web.Response:
        scheme, _, token = request.headers["Authorization"].partition(" ")
        assert scheme == "token"
        self.asked.append(token)
        if self.broken:
            return web.json_response({"status": 500, "message": "Internal Server Error"}, status=500)
        if token not in self.people:
            return web.json_response({"status": 403, "message": "Forbidden"}, status=403)
        answer = web.json_response(self.people[token])
        if self.hold is not None:
            await self.hold.wait()
        return answer

    @contextlib.asynccontextmanager
    async def run(self) -> AsyncIterator[Hub]:
        app = web.Application()
        app.router.add_get("/hub/api/aiinfn/identity", self._user)
        app.router.add_get("/hub/api/user", self._user)  # what people's programs ask
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}/hub/api"
        try:
            yield self
        finally:
            await runner.cleanup()


class Client:
    """One person's requests."""

    def __init__(self, http: aiohttp.ClientSession, root: str, token: str | None) -> None:
        self.http = http
        self.root = root
        self.headers = {"Authorization": f"token {token}"} if token else {}

    async def ask(
        self, method: str, path: str, *, status: int | None = None, **options: Any
    ) -> tuple[int, Any]:
        headers = {**self.headers, **options.pop("headers", {})}
        async with self.http.request(method, self.root + API + path, headers=headers, **options) as response:
            text = await response.read()
            body = await response.json() if response.content_type == "application/json" else text
            if status is not None:
                assert response.status == status, (response.status, body)
            return response.status, body

    async def get(self, path: str, **options: Any) -> Any:
        return (await self.ask("GET", path, **{"status": 200, **options}))[1]

    async def post(self, path: str, body: Any = None, **options: Any) -> Any:
        return (await self.ask("POST", path, **{"status": 201, **options}, json=body))[1]

    def stream(self, path: str, **options: Any) -> Any:
        return self.http.get(self.root + API + path, headers=self.headers, **options)


@dataclass
class World:
    """vkd on a port of this machine, with everything around it."""

    hub: Hub
    service: JobService
    backend: Any
    root: str
    http: aiohttp.ClientSession
    port: int

    def as_(self, name: str | None) -> Client:
        return Client(self.http, self.root, f"token-{name}" if name else None)


def vkd_environment(folder: Path, hub_api: str, port: int) -> dict[str, str]:
    """Give the environment in which the hub starts vkd, with ``platform.yaml`` and the data in a folder."""
    return {
        "AIINFN_DATA": str(folder / "data"),
        "AIINFN_PLATFORM": str(folder / "platform.yaml"),
        "AIINFN_TICKET_KEY": TICKET_KEY,
        "JUPYTERHUB_API_URL": hub_api,
        "JUPYTERHUB_SERVICE_URL": f"http://127.0.0.1:{port}",
        "JUPYTERHUB_SERVICE_PREFIX": "/services/vkd/",
        "JUPYTERHUB_SERVICE_NAME": "vkd",
    }


async def until(condition: Callable[[], Awaitable[Any]], what: str, seconds: float = 20) -> Any:
    """Ask again and again until something holds."""
    end = asyncio.get_running_loop().time() + seconds
    while True:
        found = await condition()
        if found:
            return found
        assert asyncio.get_running_loop().time() < end, f"not in time: {what}"
        await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def vkd(
    folder: Path,
    backend: Callable[[Platform], CompleteBackend | Backends],
    /,
    *,
    hub: Hub | None = None,
    keep: float = 60,
    **changes: Any,
) -> AsyncIterator[World]:
    """Run vkd in this process, on a real port, with a back end of the test's choice: one, or its parts."""
    what = platform(**changes)
    made = backend(what)
    backends = made if isinstance(made, Backends) else Backends.complete(made)
    store = await JobStore.open(f"sqlite+aiosqlite:///{folder / 'vkd.sqlite'}")
    service = JobService(PlatformFile.fixed(what), store, backends)
    async with contextlib.AsyncExitStack() as stack:
        if hub is None:
            hub = await stack.enter_async_context(Hub().run())
        auth = Auth(hub.url, "vkd", admin_groups=lambda: what.admin_groups, keep=keep)
        app = application.create(service, auth, ticket_key=TICKET_KEY)
        port = free_port()
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                host="127.0.0.1",
                port=port,
                log_config=None,
                access_log=False,
                ws="none",
                http=BoundedProtocol,
                timeout_graceful_shutdown=3,
                # On a busy machine more than the usual 5 s pass between two requests of a client.
                timeout_keep_alive=75,
            )
        )
        server.capture_signals = contextlib.nullcontext  # type: ignore[assignment, method-assign]
        task = asyncio.create_task(server.serve())

        async def started() -> bool:
            assert not task.done(), task
            return server.started

        await until(started, "vkd starts")
        http = await stack.enter_async_context(aiohttp.ClientSession())
        try:
            yield World(hub, service, backends.jobs, f"http://127.0.0.1:{port}", http, port)
        finally:
            service.recorder.end_streams()
            server.should_exit = True
            await task


def notebook(path: str = "analysis/train.ipynb", **more: Any) -> dict[str, Any]:
    """A request to run a notebook."""
    name = path.rpartition("/")[2]
    work = {"kind": "notebook", "path": path, "snapshot": f".aiinfn/jobs/x7f/{name}", "kernel": "python3"}
    return {"work": {**work, **more.pop("work", {})}, **more}


async def reaches(client: Client, job_id: str, state: str) -> Any:
    async def there() -> Any:
        job = await client.get(f"/jobs/{job_id}")
        return job if job["state"] == state else None

    return await until(there, f"{job_id} is {state}")


async def silent_job(v: World) -> str:
    """Give a running job that printed ten bytes and is silent now, of a back end in memory."""
    job_id: str = (await v.as_("anna").post("/jobs", notebook()))["id"]
    v.backend.run(job_id)
    await reaches(v.as_("anna"), job_id, "running")
    await v.backend.print(job_id, b"0123456789")
    return job_id
