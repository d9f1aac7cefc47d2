"""A kernel is asked for its variables while its person works with it: their own cells are never hit. With real kernels."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.multikernelmanager import AsyncMultiKernelManager

from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_lab.kernel_state import asking, kernels
from aiinfn_lab.kernel_state.kernel_side.limit import TooSlowError, limited


class Person:
    """Runs cells in a kernel."""

    def __init__(self, manager: AsyncMultiKernelManager, kernel: str) -> None:
        self.manager = manager
        self.kernel = kernel
        self.client: Any = manager.get_kernel(kernel).client()

    def begin(self, code: str, **options: Any) -> str:
        number: str = self.client.execute(code, allow_stdin=False, **options)
        return number

    async def reply(self, number: str) -> dict[str, Any]:
        while True:
            told = await self.client.get_shell_msg(timeout=60)
            if told["parent_header"]["msg_id"] == number:
                return dict(told["content"])

    async def run(self, code: str) -> dict[str, Any]:
        return await self.reply(self.begin(code))

    async def look(self) -> dict[str, Any]:
        return await kernels.look(self.manager, self.kernel, [], "python")


@pytest.fixture
async def person(tmp_path: Path) -> AsyncIterator[Person]:
    manager = AsyncMultiKernelManager(connection_dir=str(tmp_path))
    kernel = await manager.start_kernel(
        kernel_name="python3", cwd=str(tmp_path), extra_arguments=["--HistoryManager.hist_file=:memory:"]
    )
    one = Person(manager, kernel)
    one.client.start_channels()
    try:
        await one.client.wait_for_ready(timeout=60)
        yield one
    finally:
        one.client.stop_channels()
        await manager.shutdown_all(now=True)


CELL = "import os, time\nwhile not os.path.exists('go'): time.sleep(0.05)\ndone = 1"


async def test_a_cell_that_was_started_just_before_goes_on(
    person: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "_QUEUED", 0.5)
    monkeypatch.setattr(kernels, "_LOOK_AT_MOST", 1.0)
    cell = person.begin(CELL)
    with pytest.raises(Refusal) as told:
        await person.look()
    monkeypatch.setattr(kernels, "_SAVE_AT_MOST", 1.0)
    with pytest.raises(Refusal):
        await kernels.save(person.manager, person.kernel, str(tmp_path / "state"), [], 10**9, "python")
    # The next cells wait behind what was asked, which is void when its turn comes.
    after = person.begin("after = done + 1")
    (tmp_path / "go").touch()
    assert (await person.reply(cell))["status"] == "ok"
    assert (await person.reply(after))["status"] == "ok"
    monkeypatch.undo()
    assert {each["name"] for each in (await person.look())["variables"]} == {"done", "after"}
    assert not (tmp_path / "state").exists()
    assert (told.value.reason, told.value.message) == (Reason.CONFLICT, "The kernel is busy.")


STUCK = """
import time
class Stuck:
    def __reduce__(self):
        time.sleep(600)
stuck = Stuck()
"""


async def test_what_takes_too_long_is_interrupted_and_the_next_cell_is_not(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "_LOOK_AT_MOST", 1.0)
    assert (await person.run(STUCK))["status"] == "ok"
    asked = asyncio.ensure_future(person.look())
    while not asked.done():
        # Cells that stand behind the request, or begin in the moment it ends.
        assert (await person.run("x = 1\nfor _ in range(20): time.sleep(0.002)"))["status"] == "ok"
    with pytest.raises(Refusal) as told:
        await asked
    assert told.value.message == "The kernel gave no answer in time."


async def test_a_request_whose_time_is_over_does_nothing(person: Person, tmp_path: Path) -> None:
    request = {"do": "save", "path": str(tmp_path / "state"), "leave_out": [], "limit": 10**9}
    for until, answer in ((time.time() - 1, {"problem": "late"}), (time.time() + 60, None)):
        expressions = asking.expressions({**request, "until": until, "at_most": 60})
        number = person.begin("", silent=True, store_history=False, user_expressions=expressions)
        told = asking.answer(await person.reply(number))
        assert (tmp_path / "state").exists() == (answer is None)
        assert told == (answer or told)
        assert json.dumps(told)


def watching() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "aiinfn-limit"]


def test_a_limit_ends_what_waits() -> None:
    with pytest.raises(TooSlowError):
        limited(0.05, lambda: time.sleep(60))
    assert limited(60, lambda: 7) == 7


def test_a_limit_that_is_reached_as_the_work_ends_hits_nothing_that_comes_after() -> None:
    for turn in range(400):
        with contextlib.suppress(TooSlowError):
            limited(0.002, lambda turn=turn: time.sleep(0.0016 + turn % 10 * 0.0001))  # type: ignore[misc]
        # An interrupt here would end all tests.
        time.sleep(0.0005)
    end = time.monotonic() + 60
    while watching():
        assert time.monotonic() < end, "something is still to be interrupted"
        time.sleep(0.01)


def test_an_interrupt_that_comes_as_the_limit_is_lifted_leaves_nothing_armed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lift, turns = threading.Event.set, []

    def interrupted(event: Any) -> None:
        turns.append(event)
        if len(turns) == 1:
            raise KeyboardInterrupt
        lift(event)

    # Where the person's own interrupt may come.
    before = len(watching())
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        limited(60, lambda: patch.setattr(threading.Event, "set", interrupted))
    end = time.monotonic() + 60
    while len(watching()) > before:
        assert time.monotonic() < end
        time.sleep(0.01)
