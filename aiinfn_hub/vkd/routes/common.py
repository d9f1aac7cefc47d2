"""What the routes share: who is calling, and how answers are written."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Header, Request, Response, Security
from fastapi.security import HTTPBearer
from pydantic import BaseModel

from aiinfn_hub.platform.person import Person
from aiinfn_hub.vkd.auth import Auth
from aiinfn_hub.vkd.service import Service

# Only for the documentation: `Auth` reads the header itself, because Jupyter also says "token".
_scheme = HTTPBearer(auto_error=False, description="A token of the hub, as Bearer or as token")


# async although they do not wait: FastAPI would send plain functions to a thread, for each request.
async def service_of(request: Request) -> Service:
    """Give the service of the application."""
    return cast("Service", request.app.state.service)


async def auth_of(request: Request) -> Auth:
    """Give what identifies callers."""
    return cast("Auth", request.app.state.auth)


async def _caller(
    request: Request,
    auth: Annotated[Auth, Depends(auth_of)],
    _documented: Annotated[object, Security(_scheme)],
) -> Person:
    return await auth.person(request.headers.get("Authorization"))


async def _hub(
    request: Request,
    auth: Annotated[Auth, Depends(auth_of)],
    _documented: Annotated[object, Security(_scheme)],
) -> None:
    await auth.hub_service(request.headers.get("Authorization"))


async def _metrics(
    request: Request,
    auth: Annotated[Auth, Depends(auth_of)],
    _documented: Annotated[object, Security(_scheme)],
) -> None:
    await auth.metrics_reader(request.headers.get("Authorization"))


Serving = Annotated[Service, Depends(service_of)]
Authentication = Annotated[Auth, Depends(auth_of)]
Caller = Annotated[Person, Depends(_caller)]
hub_only = Depends(_hub)
metrics_only = Depends(_metrics)
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="The same request with the same key is the same job, so a double click makes one.",
    ),
]


def answer(model: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Write a model at once; FastAPI would validate it a second time on its way out, at several times the cost."""
    return Response(
        model.model_dump_json(),
        status,
        {"Cache-Control": "no-store", **(headers or {})},
        "application/json",
    )
