"""Whatever comes in, out of the published description or against it: an answer as described, never a fault."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.vkd.memory_backend import MemoryBackend
from tests.vkd.world import Hub, notebook, vkd

OPERATIONS = [
    "GET /platform",
    "GET /queues",
    "GET /availability",
    "GET /usage",
    "POST /jobs",
    "GET /jobs",
    "POST /jobs/bulk",
    "GET /jobs/{job_id}",
    "PATCH /jobs/{job_id}",
    "DELETE /jobs/{job_id}",
    "POST /jobs/{job_id}/cancel",
    "POST /jobs/{job_id}/rerun",
    "GET /jobs/{job_id}/points",
    "GET /jobs/{job_id}/events",
    "GET /jobs/{job_id}/resources",
    "GET /jobs/{job_id}/logs",
    "GET /tombstones",
    "POST /tombstones/acknowledge",
    "PUT /claims/{session_id}",
    "GET /claims/{session_id}",
    "DELETE /claims/{session_id}",
    "POST /token-revocations",
    "POST /users/{name}/release",
    "GET /access",
    "PUT /access",
]
PREFIX = "/services/vkd/api/v1"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """vkd on an event loop of another thread, because schemathesis waits for its answers."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def do(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(60)

    stack = AsyncExitStack()

    async def start() -> Any:
        hub = await stack.enter_async_context(Hub().run())
        world = await stack.enter_async_context(vkd(tmp_path_factory.mktemp("vkd"), MemoryBackend, hub=hub))
        await world.as_("anna").post("/jobs", notebook())
        return world

    try:
        yield do(start())
    finally:
        do(stack.aclose())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
        loop.close()


@pytest.fixture(scope="module")
def schema(running: Any) -> Any:
    return schemathesis.openapi.from_url(f"{running.root}/services/vkd/openapi.json")


def test_every_operation_is_described_and_tried(schema: Any) -> None:
    found = {result.ok().label for result in schema.get_all_operations()}
    ours = {f"{method} {PREFIX}{path}" for method, path in (name.split() for name in OPERATIONS)}
    assert found - ours == {"GET /services/vkd/health", "GET /services/vkd/metrics"}
    assert ours <= found


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("name", OPERATIONS)
def test_answers_are_as_described_and_errors_are_problems(
    running: Any, schema: Any, name: str, mode: schemathesis.GenerationMode
) -> None:
    method, path = name.split()
    operation = schema[PREFIX + path][method]
    own = {"claims", "availability", "users", "access"}
    token = "token-hub" if path.split("/")[1] in own else "token-anna"
    session = requests.Session()

    @settings(
        max_examples=12,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def attack(case: Any) -> None:
        case.headers = {
            key: value for key, value in (case.headers or {}).items() if key.lower() != "authorization"
        }
        if "follow" in (case.query or {}):
            case.query["follow"] = "0"
        response = case.call(session=session, headers={"Authorization": f"token {token}"}, timeout=20)
        case.validate_response(
            response,
            checks=[
                not_a_server_error,
                status_code_conformance,
                content_type_conformance,
                response_schema_conformance,
            ],
        )
        if response.status_code >= 400:
            assert set(response.json()) == {"reason", "message", "hint", "field"}

    try:
        attack()
    finally:
        session.close()
