"""The platform file changes while forms are open and sessions start: nobody notices but by the new choices."""

import asyncio
import html
import json
import re
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest

from tests.hub.realhub import RealHub, real_hub, vkd_answers

FORMS, STARTS = 20, 5
PEOPLE = {f"u{number}": ["ai-infn/flavour"] for number in range(FORMS)} | {"olga": ["ai-infn/operators"]}
NEW = "  rtx5000: {title: Quadro RTX 5000, kind: gpu, resource: nvidia.com/gpu, memory: 16Gi, simulated: 3}\n"


@pytest.fixture(scope="module")
def hub() -> Iterator[RealHub]:
    with real_hub(vkd=True, people=PEOPLE) as running:
        yield running


def with_new_accelerator(text: str) -> str:
    return text.replace("accelerators:\n", f"accelerators:\n{NEW}", 1).replace(
        "accelerators: [t4, slice]", "accelerators: [t4, slice, rtx5000]"
    )


class Form:
    """An open form: it asks for what is free again and again, as its script does."""

    def __init__(self, hub: RealHub, http: aiohttp.ClientSession) -> None:
        self.hub, self.http = hub, http
        self.statuses: list[int] = []
        self.version = ""
        self.url = ""

    async def open(self) -> str:
        async with self.http.get(f"{self.hub.url}/hub/spawn") as answer:
            self.statuses.append(answer.status)
            text = await answer.text()
        self.url = json.loads(html.unescape(re.search(r'"url": ("[^"]+")', text)[1]))  # type: ignore[index]
        return text

    async def ask(self) -> None:
        async with self.http.get(self.hub.url + self.url) as answer:
            self.statuses.append(answer.status)
            self.version = (await answer.json())["platform"]

    async def keep_asking(self) -> None:
        while True:
            await self.ask()
            await asyncio.sleep(0.3)


async def test_twenty_open_forms_and_five_starting_sessions(
    hub: RealHub, capsys: pytest.CaptureFixture[str]
) -> None:
    await vkd_answers(hub)
    file = hub.folder / "platform.yaml"
    async with AsyncExitStack() as stack:
        forms = [
            Form(hub, await stack.enter_async_context(hub.browser(f"u{number}"))) for number in range(FORMS)
        ]
        for form in forms:
            assert "Quadro RTX 5000" not in await form.open()
            await form.ask()
        before = forms[0].version
        assert before
        assert {form.version for form in forms} == {before}
        asking = [asyncio.create_task(form.keep_asking()) for form in forms]
        choice = {"accelerator": "none", "project": "flavour", "image": "standard", "size": "small"}
        begun = await asyncio.gather(*(hub.begin(f"u{number}", choice) for number in range(STARTS)))
        assert {status for status, _ in begun} <= {201, 202}
        file.write_text(with_new_accelerator(file.read_text()))
        changed = time.monotonic()
        while {form.version for form in forms} & {before}:
            assert time.monotonic() < changed + 20
            await asyncio.sleep(0.05)
        assert "Quadro RTX 5000" in await forms[-1].open()
        within = time.monotonic() - changed
        with capsys.disabled():
            print(f"\nplatform file changed to new choices on all forms: {within:.2f} s")
        await asyncio.gather(*(hub.ready(f"u{number}") for number in range(STARTS)))
        for task in asking:
            assert not task.done(), task.exception()
            task.cancel()
        assert {status for form in forms for status in form.statuses} == {200}
        assert within < 2
    assert "Traceback" not in hub.told
    # What is new can be had at once, through the hub, vkd and the ledger.
    status, said = await hub.begin("u9", choice | {"accelerator": "rtx5000"})
    assert status in {201, 202}, said
    await hub.ready("u9")
    # Nothing that ran was lost by it.
    assert all([(await hub.server(f"u{number}"))["ready"] for number in range(STARTS)])  # type: ignore[index]


async def test_a_broken_change_is_told_to_operators_only_and_changes_nothing(hub: RealHub) -> None:
    file = hub.folder / "platform.yaml"
    good = file.read_text()
    file.write_text(good.replace("projects:", "projetcs:", 1))
    async with hub.browser("olga") as olga, hub.browser("u11") as other:
        deadline = time.monotonic() + 10
        while "but the change is not in force" not in (page := await text_of(hub, olga, "home")):
            assert time.monotonic() < deadline, page
            await asyncio.sleep(0.2)
        assert "projetcs" in html.unescape(page)
        assert "not in force" not in await text_of(hub, other, "home")
        assert "NVIDIA T4" in await text_of(hub, other, "spawn")
        file.write_text(good)
        while "but the change is not in force" in await text_of(hub, olga, "home"):
            assert time.monotonic() < deadline + 10
            await asyncio.sleep(0.2)


async def text_of(hub: RealHub, http: aiohttp.ClientSession, page: str) -> Any:
    async with http.get(f"{hub.url}/hub/{page}") as answer:
        assert answer.status == 200
        return await answer.text()
