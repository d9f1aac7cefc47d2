"""The web application: routes under the hub's prefix, around one service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI, Response

from aiinfn_hub.contract.constants import API_VERSION, PREFIX
from aiinfn_hub.contract.problem import Reason

from .api import (
    access,
    bulk,
    claims,
    errors,
    jobs,
    logs,
    platform,
    token_revocations,
    users,
)
from .api.authentication import Auth
from .api.common import Serving, metrics_only
from .api.metrics import CONTENT_TYPE, Metrics
from .presentation.job_view import VERSION
from .services.bulk import JobActions
from .services.jobs import JobService


def create(
    service: JobService,
    auth: Auth,
    *,
    prefix: str = "/services/vkd",
    ticket_key: str | None = None,
    open_metrics: bool = False,
) -> FastAPI:
    """Make the application.

    Parameters
    ----------
    service
        It starts and stops with the application, and its store is closed then.
    prefix
        Path under which the hub's proxy forwards here.
    ticket_key
        Checks the tickets of forms.
    open_metrics
        Whether the figures for Prometheus need no token.
    """

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        try:
            await auth.start()
            await service.start()
            yield
        finally:
            await service.stop()
            await auth.stop()
            await service.store.close()

    metrics = Metrics()
    app = _application(prefix, metrics, open_metrics=open_metrics, lifespan=lifespan)
    app.state.service = service
    app.state.actions = JobActions(service)
    app.state.auth = auth
    app.state.ticket_key = ticket_key
    errors.install(app)

    def observe(method: str, route: str, status: int, seconds: float) -> None:
        metrics.observe(method, route.removeprefix(prefix).removeprefix(PREFIX), status, seconds)

    app.add_middleware(errors.Guard, observe=observe)
    return app


def openapi(prefix: str = "/services/vkd") -> dict[str, Any]:
    """Return the published description of the API, which docs/api/vkd.json is."""
    return _application(prefix, Metrics()).openapi()


def _application(
    prefix: str,
    metrics: Metrics,
    *,
    open_metrics: bool = False,
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]] | None = None,
) -> FastAPI:
    """Build the application with its routes, which find what they serve in its state."""
    app = FastAPI(
        title="vkd",
        summary="The delegation service of AI_INFN: batch jobs out of JupyterLab sessions.",
        # Of the API, not of the package: the description changes when the API does.
        version=API_VERSION,
        # The usual pages load their scripts from the internet, which many sites do not let servers' users reach.
        docs_url=None,
        redoc_url=None,
        openapi_url=f"{prefix}/openapi.json",
        # Names of operations are part of the API: without the path, which FastAPI would add.
        generate_unique_id_function=lambda route: route.name,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    api = APIRouter(prefix=prefix + PREFIX)
    for part in (platform, bulk, jobs, logs, claims, token_revocations, users, access):
        api.include_router(part.router)
    app.include_router(api)
    app.include_router(_own(prefix, metrics, open_metrics=open_metrics))
    return app


def _own(prefix: str, metrics: Metrics, *, open_metrics: bool) -> APIRouter:
    """Return the routes about vkd itself."""
    router = APIRouter(prefix=prefix, tags=["vkd"])

    @router.get(
        "/health", summary="Whether vkd works", responses={503: {"description": "It is about to restart"}}
    )
    async def get_health(service: Serving, response: Response) -> dict[str, str]:
        """Return whether vkd follows its jobs."""
        failed = service.recorder.failed
        response.status_code = 503 if failed else 200
        return {"status": "failed" if failed else "ok", "version": VERSION}

    @router.get(
        "/metrics",
        summary="Figures for Prometheus",
        response_class=Response,
        dependencies=[] if open_metrics else [metrics_only],
        responses=errors.problems(Reason.UNAUTHENTICATED, Reason.FORBIDDEN, Reason.UNAVAILABLE),
    )
    async def get_metrics(service: Serving) -> Response:
        """Return sums by state, accelerator and queue, to tokens with the scope ``read:metrics`` and to operators."""
        text = metrics.expose(
            await service.store.states(),
            service.backends.inventory.inventory(),
            service.backends.queues.queues(),
            file_in_force=service.file_in_force,
        )
        return Response(text, media_type=CONTENT_TYPE)

    return router
