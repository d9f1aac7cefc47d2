"""Nodes that do not fit the platform file are told to operators on the hub's pages, and to nobody else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from aiohttp import web

from aiinfn_hub.contract.platform import AvailabilityReading, NodeNotice
from tests.hub.realhub import RealHub, real_hub

NOTICES = [
    NodeNotice(code="no_labels", accelerator="t4", nodes=("n1",), number=1, label="product", found=("A<b>",)),
    NodeNotice(code="shared", accelerator="slice", nodes=("n1", "n2"), number=7),
    NodeNotice(code="no_resource", accelerator="v70"),
    NodeNotice(code="no_resource", accelerator="gone"),
    NodeNotice(code="credentials_refused", accelerator=""),
    NodeNotice(code="rights_missing", accelerator="", found=("workloads", "job pods")),
]


@pytest.fixture
async def hub() -> AsyncIterator[RealHub]:
    """A hub whose vkd answers for a cluster with such nodes."""

    async def availability(_: web.Request) -> web.Response:
        reading = AvailabilityReading(accelerators=[], read_at=datetime.now(UTC), age=0.1, notices=NOTICES)
        return web.json_response(text=reading.model_dump_json())

    application = web.Application()
    application.router.add_get("/services/vkd/api/v1/availability", availability)
    runner = web.AppRunner(application)
    await runner.setup()
    with real_hub(vkd=False) as running:
        await web.TCPSite(runner, "127.0.0.1", running.settings["vkd_port"]).start()
        yield running
        await runner.cleanup()


async def test_operators_read_on_every_page_what_does_not_fit(hub: RealHub) -> None:
    async with hub.browser("olga") as http:
        async with http.get(f"{hub.url}/hub/home") as page:
            text = await page.text()
        assert "The cluster needs an operator" in text
        assert "NVIDIA T4 (t4): no node with nvidia.com/gpu has the label product=" in text
        assert "A&lt;b&gt;" in text
        assert "the nodes n1, n2, … hand one device out several times" in text
        assert "AMD Alveo V70 (v70): no node has amd.com/v70" in text
        assert "refuses the credentials of vkd (401 Unauthorized)" in text
        assert "does not let vkd read workloads, job pods (403 Forbidden)" in text
        assert "gone" not in text.partition('id="node-notices"')[2].partition("</ul>")[0]
        async with http.get(f"{hub.url}/hub/home", headers={"Accept-Language": "it"}) as page:
            assert "attenzione di un operatore." in await page.text()
        async with http.get(f"{hub.url}/hub/nowhere") as page:
            assert page.status == 404
    async with hub.browser("ada") as http, http.get(f"{hub.url}/hub/home") as page:
        assert 'id="node-notices"' not in await page.text()
    assert "never awaited" not in hub.log
    assert "Traceback" not in hub.log
