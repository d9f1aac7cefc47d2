"""Sessions on the real cluster: a real hub, real JupyterLab in real containers, with the rights that the platform gives."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.cluster.harness import wait_for
from tests.cluster.hub_world import ClusterHub, Lab, cluster_hub, post_form
from tests.hub.stack import browser

GPU = "nvidia.com/gpu"
PREFIX = "ai.infn.it"


@pytest.fixture(scope="module")
def world(site, tmp_path_factory):
    with cluster_hub(tmp_path_factory.mktemp("hub"), site) as both:
        yield both


@pytest.fixture
def hub(world) -> ClusterHub:
    hub = world[0]
    yield hub
    hub.alive()
    hub.clear()


@pytest.fixture(scope="module", autouse=True)
def known(world):
    """Everybody signed in once, so that the hub knows their groups."""
    hub, _ = world

    async def sign_in() -> None:
        for who in ("ada", "bruno", "dora"):
            async with browser(hub) as client:
                assert (await client.sign_in(who)).status == 200

    asyncio.run(sign_in())


async def test_from_sign_in_to_jupyterlab_in_a_container(hub, site, figure):
    site.home("ada")
    begin = time.monotonic()
    async with browser(hub) as client:
        await client.sign_in("ada")
        signed_in = time.monotonic()
        form = await client.get("/hub/spawn")
        assert "NVIDIA T4" in form.text
        figure("hub: sign-in, s", signed_in - begin)
        posted = time.monotonic()
        fields = {"accelerator": "t4", "count": "1", "image": "standard", "size": "large", "project": "flavour"}
        page = await post_form(client, fields)
        assert page.status == 200
        wait_for("the pod", lambda: hub.pod("ada"), 20, 0.02)
        created = time.monotonic()
        hub.until_ready("ada")
        figure("hub: form sent to pod created, s", created - posted)
        figure("hub: form sent to hub says ready, s", time.monotonic() - posted)
        lab = Lab(client, "ada")
        assert "JupyterLab" in await lab.open()
        figure("hub: form sent to JupyterLab's page, s", time.monotonic() - posted)
        session = (await lab.ask("aiinfn-lab/status"))["session"]
        assert (session["project"], session["accelerator"]) == ("flavour", "t4")
        about = await lab.ask("api/contents/", "GET")
        assert about["type"] == "directory"
