"""One IAM and one hub for all tests that do not break them, and browsers to sign in with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.hub.stack import Client, Hub, Iam, browser


@pytest.fixture(scope="module")
def hub_and_iam(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Hub, Iam]]:
    folder = tmp_path_factory.mktemp("stack")
    hub = Hub(folder)
    iam = Iam(folder, hub.callback)
    try:
        iam.start()
        hub.start(iam)
        yield hub, iam
    finally:
        hub.stop()
        iam.stop()


@pytest.fixture
def hub(hub_and_iam: tuple[Hub, Iam]) -> Hub:
    return hub_and_iam[0]


@pytest.fixture
def iam(hub_and_iam: tuple[Hub, Iam]) -> Iam:
    return hub_and_iam[1]


@pytest_asyncio.fixture
async def client(hub: Hub) -> AsyncIterator[Client]:
    async with browser(hub) as signed_out:
        yield signed_out
