"""What holds for all tests."""

import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests import scheduling

# How fast examples are made or run says how busy the machine is, and nothing about the code.
settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("project")


# A shell without a terminal has what it starts in the background ignore Ctrl-C, and so all that comes of it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--record-durations",
        action="store_true",
        help="keep how long each file takes in tests/durations.json",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.option.record_durations and not hasattr(config, "workerinput"):
        config.pluginmanager.register(scheduling.Recorder())


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> scheduling.ByDuration:
    return scheduling.ByDuration(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Bear with the browser tests, and have the longest files first where several processes share the tests."""
    for item in items:
        if item.nodeid.startswith(f"{scheduling.BROWSER_TESTS}/"):
            item.add_marker(pytest.mark.timeout(400))
    if hasattr(config, "workerinput"):
        scheduling.in_order(items)


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
