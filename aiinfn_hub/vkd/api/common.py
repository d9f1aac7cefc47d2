"""What the routes share: who is calling, and how answers are written."""

from __future__ import annotations

import logging
from enum import Enum
from typing import Annotated, Any, cast

from fastapi import Depends, Header, Request, Response, Security
from fastapi.security import HTTPBearer
from pydantic import BaseModel
from pydantic_core import to_json

from aiinfn_hub.platform.person import Person
from aiinfn_hub.vkd.services.bulk import JobActions
from aiinfn_hub.vkd.services.jobs import JobService

from .authentication import Auth

logger = logging.getLogger(__name__)

# Only for the documentation: `Auth` reads the header itself, because Jupyter also says "token".
_scheme = HTTPBearer(auto_error=False, description="A token of the hub, as Bearer or as token")


# async although they do not wait: FastAPI would send plain functions to a thread, for each request.
async def service_of(request: Request) -> JobService:
    """Return the service of the application."""
    return cast("JobService", request.app.state.service)


async def actions_of(request: Request) -> JobActions:
    """Return what changes jobs of the application."""
    return cast("JobActions", request.app.state.actions)


async def auth_of(request: Request) -> Auth:
    """Return what identifies callers."""
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


Serving = Annotated[JobService, Depends(service_of)]
Acting = Annotated[JobActions, Depends(actions_of)]
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
    try:
        body = model.model_dump_json().encode()
    except ValueError:
        # One text that is no text, written by an older version, would hide all the rest of the answer.
        logger.warning("answer with text that cannot be written as UTF-8 model=%s", type(model).__name__)
        body = to_json(_writable(model.model_dump()), inf_nan_mode="null")
    return Response(
        body,
        status,
        {"Cache-Control": "no-store", **(headers or {})},
        "application/json",
    )


def _writable(value: Any) -> Any:
    """Replace what cannot be written as UTF-8 in all texts of a value."""
    if isinstance(value, str):
        return value if isinstance(value, Enum) else value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_writable(key): _writable(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_writable(entry) for entry in value]
    return value
