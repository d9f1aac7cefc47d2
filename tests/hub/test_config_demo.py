"""`aiinfn-hub`: the demonstration starts, says what it is, and leaves nothing behind."""

import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from aiinfn_hub.auth.database.accounts import AccountStore, Identity
from aiinfn_hub.demo.launcher import DemoError, keep_accounts
from tests.hub.stack import PLATFORM, answers, clean_environment, free_ports, wait_for

COMMAND = [sys.executable, "-m", "aiinfn_hub.cli"]
PORTS = ("AIINFN_HUB_PORT", "AIINFN_PROXY_API_PORT", "AIINFN_VKD_PORT", "AIINFN_IAM_PORT")


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        env=clean_environment() | {"AIINFN_PLATFORM": str(PLATFORM)} | environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


class Running:
    """One demonstration as it is started in a terminal."""

    def __init__(self, folder: Path) -> None:
        self.port, *internal = free_ports(1 + len(PORTS))
        self.data = folder / "data"
        self.output = folder / "out"
        with self.output.open("w") as stream:
            self.process = subprocess.Popen(
                [*COMMAND, "demo", f"--port={self.port}", f"--data={self.data}", f"--platform={PLATFORM}"],
                env=clean_environment() | dict(zip(PORTS, map(str, internal), strict=True)),
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        return self.output.read_text()

    def ready(self) -> None:
        wait_for("the banner", lambda: "Ctrl-C" in self.said or self.process.poll() is not None, 100)
        assert self.process.poll() is None, self.said

    def processes(self) -> list[psutil.Process]:
        """Find all that works for it, by the data folder in the environment or on the command line."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                words = (*process.cmdline(), *process.environ().values(), process.cwd())
                if process.pid != self.process.pid and str(self.data) in " ".join(words):
                    found.append(process)
        return found

    def named(self, word: str) -> psutil.Process:
        (found,) = (process for process in self.processes() if word in process.cmdline())
        return found

    def end(self) -> None:
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                process.kill()
        self.process.kill()
        self.process.wait()


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path)
    yield running
    running.end()


def test_it_says_who_one_can_be_and_what_is_not_real_and_ends_without_a_trace(demo: Running) -> None:
    demo.ready()
    assert f"http://127.0.0.1:{demo.port}/" in demo.said
    for words in (
        "ada",
        "bruno",
        "carla",
        "dora",
        "nemo",
        "2 NVIDIA T4",
        "no hardware behind them",
        str(demo.data),
    ):
        assert words in demo.said
    assert answers(f"http://127.0.0.1:{demo.port}/hub/login")
    assert len(demo.processes()) >= 4
    private = [demo.data / name for name in ("hub", "vkd", "logs", "demo.lock")]
    for path in (*private, *(demo.data / "logs").iterdir(), *(demo.data / "hub").iterdir()):
        assert not path.stat().st_mode & 0o077, path
    assert not demo.data.stat().st_mode & 0o066
    second = run("demo", f"--port={free_ports(1)[0]}", f"--data={demo.data}")
    assert second.returncode == 1
    assert "Another demonstration runs in" in second.stderr

    demo.process.send_signal(signal.SIGTERM)
    assert demo.process.wait(60) == 0
    assert "Nothing is left running." in demo.said
    assert demo.processes() == []


def test_a_part_that_dies_ends_the_rest_with_a_sentence(demo: Running) -> None:
    demo.ready()
    demo.named("aiinfn_hub.demo.identity_provider").kill()
    assert demo.process.wait(60) == 1
    assert "Error: IAM ended by itself (status -9)." in demo.said
    assert "Traceback" not in demo.said
    assert demo.processes() == []


def test_what_a_killed_one_left_is_ended_by_the_next(demo: Running, tmp_path: Path) -> None:
    demo.ready()
    demo.process.kill()
    demo.process.wait()
    left = demo.processes()
    assert left
    again = Running(tmp_path)
    try:
        again.ready()
        assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in left)
        again.process.send_signal(signal.SIGINT)
        assert again.process.wait(60) == 0
        assert again.processes() == []
    finally:
        again.end()


def test_ctrl_c_during_the_start_ends_it_at_once(demo: Running) -> None:
    wait_for("the first processes", lambda: len(demo.processes()) >= 2)
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(60) == 0
    assert demo.processes() == []


def test_a_hub_that_cannot_start_shows_its_last_words(tmp_path: Path) -> None:
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "cookie.secret").write_text("damaged")
    (tmp_path / "hub" / "cookie.secret").chmod(0o600)
    internal = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
    ended = run("demo", f"--port={free_ports(1)[0]}", f"--data={tmp_path}", **internal)
    assert ended.returncode == 1
    assert "The hub ended by itself" in ended.stderr
    assert "cookie.secret holds no secret; delete it to get a new one." in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_taken_port_is_named_with_the_option_that_chooses_another(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        started = time.monotonic()
        ended = run("demo", f"--port={port}", f"--data={tmp_path / 'data'}")
        assert ended.returncode == 1
        assert f"Port {port} is taken; choose another one with --port." in ended.stderr
        assert time.monotonic() - started < 30
        ended = run(
            "demo", f"--port={free_ports(1)[0]}", f"--data={tmp_path / 'data'}", AIINFN_VKD_PORT=str(port)
        )
        assert f"Port {port}, from AIINFN_VKD_PORT, is taken" in ended.stderr


def test_a_mistake_in_the_platform_file_is_shown_before_anything_starts(tmp_path: Path) -> None:
    wrong = tmp_path / "platform.yaml"
    wrong.write_text("titel: x\n")
    first = f"Error: {wrong}, line 1, titel: this key is unknown; is title meant?"
    missing = [f"Error: {wrong}, {key}: this key is missing" for key in ("images", "sizes", "projects")]
    for ended, told in (
        (run("check", str(wrong)), [first, *missing]),
        (run("demo", f"--platform={wrong}", f"--data={tmp_path / 'data'}"), [first]),
    ):
        assert ended.returncode == 1
        assert ended.stderr.splitlines() == told
    assert not (tmp_path / "data").exists()


def test_check_lists_what_a_good_file_declares() -> None:
    ended = run("check")
    assert ended.returncode == 0
    assert "is in order: Test platform" in ended.stdout
    assert "flavour, medphys" in ended.stdout


def test_accounts_of_an_earlier_start_are_those_of_this_ones_provider(tmp_path: Path) -> None:
    keep_accounts(tmp_path, "http://127.0.0.1:8090")
    url = f"sqlite:///{tmp_path / 'hub' / 'accounts.sqlite'}"
    store = AccountStore(url)
    store.bind("ada", Identity.of("http://127.0.0.1:8090", "1"))
    store.close()
    keep_accounts(tmp_path, "http://127.0.0.1:20001")
    assert store.account_for("ada", Identity.of("http://127.0.0.1:20001", "1")).identity is not None
    store.close()
    for file in (tmp_path / "hub").iterdir():
        file.write_bytes(b"no database" * 1000)
    with pytest.raises(DemoError, match="start afresh"):
        keep_accounts(tmp_path, "http://127.0.0.1:20001")
