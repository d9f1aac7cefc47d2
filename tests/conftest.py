"""What holds for all tests."""

import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadFileScheduling

# How fast examples are made or run says how busy the machine is, and nothing about the code.
settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("project")


# A shell without a terminal has what it starts in the background ignore Ctrl-C, and so all that comes of it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# Browser tests take longest: two demonstrations side by side, each with about half of them.
SECOND_DEMONSTRATION = frozenset(
    {"afterwards", "dialog", "follow", "interactive_first", "pictures", "run_from_here"}
)


class ByFile(LoadFileScheduling):
    """The tests of a file run in one process, because they share a hub; so do the browser tests that share a demonstration."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        name = Path(file).stem.removeprefix("test_")
        if not file.startswith("tests/ui/") or name == "culling":  # it has a hub of its own
            return file
        return f"tests/ui, demonstration {2 if name in SECOND_DEMONSTRATION else 1}"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the browser tests, so that none of the processes has them left at the end, and bear with them."""
    for item in items:
        if item.nodeid.startswith("tests/ui/"):
            item.add_marker(pytest.mark.timeout(400))
    items.sort(key=lambda item: not item.nodeid.startswith("tests/ui/"))


def umask() -> int:
    """Return the mask of this process, which can only be read by setting it."""
    found = os.umask(0o077)
    os.umask(found)
    return found


UMASK, FOLDER = umask(), Path.cwd()


@pytest.fixture
def restored_umask() -> Iterator[None]:
    """Undo what code that makes this process private does to it."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    """Have a test fail that changes the whole process, instead of one that comes after it."""
    yield
    left = [
        what
        for what, changed in (("the umask", umask() != UMASK), ("the working folder", Path.cwd() != FOLDER))
        if changed
    ]
    if left:
        os.umask(UMASK)
        os.chdir(FOLDER)
        pytest.fail(f"{item.nodeid} leaves {' and '.join(left)} of the process changed", pytrace=False)
