"""The demonstration: IAM, hub, vkd, sessions and jobs of one machine, started and ended as one thing."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import secrets
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Final

import click
import psutil

from aiinfn_hub.auth.database.accounts import AccountStore, StoreError
from aiinfn_hub.auth.database.migrations import SchemaError
from aiinfn_hub.config import hub_config
from aiinfn_hub.config.environment import ConfigurationError, accounts_url
from aiinfn_hub.contract.platform import Availability
from aiinfn_hub.host.accounts import AccountError, Accounts
from aiinfn_hub.host.private_files import keep_private
from aiinfn_hub.platform.loading import loader
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.vkd.client import VkdClient

from .identity_provider.people import ACCOUNTS

START_TIME: Final = 120.0
"""Seconds until a start counts as failed. Usually it takes a few; a first start compiles Python's byte code."""
STOP_TIME: Final = 45.0
"""Seconds for the hub to end sessions and vkd to end jobs."""
GRACE: Final = 5.0
"""Seconds between SIGTERM and SIGKILL for what is left then."""

INHERITED: Final = frozenset(
    {
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "LANG",
        "LANGUAGE",
        "TZ",
        "TMPDIR",
        "LD_LIBRARY_PATH",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
    }
)
"""What the processes get of the caller's environment: settings of another JupyterHub or a proxy would break them."""

_SPARE: Final = range(20_000, 32_000)
"""Ports that may take the place of those: Linux hands out others by itself."""
INTERNAL_PORTS: Final = {
    "AIINFN_HUB_PORT": 8081,
    "AIINFN_PROXY_API_PORT": 8001,
    "AIINFN_VKD_PORT": 8082,
    "AIINFN_IAM_PORT": 8090,
}


class DemoError(Exception):
    """The demonstration cannot start or go on; the message is for the person at the terminal."""


def keep_accounts(data: Path, issuer: str) -> None:
    """Let the accounts of earlier starts be those of this one's provider, whose address has a port that was free.

    The invented people keep their subjects; without this nobody would get into an account of the day before.

    Raises
    ------
    DemoError
        If the table of accounts cannot be used.
    """
    store = AccountStore(accounts_url({}, data))
    try:
        for former in {each.identity.issuer for each in store.all() if each.identity} - {issuer}:
            store.move(former, issuer)
    except (StoreError, SchemaError, ValueError) as error:
        raise DemoError(f"{error}. Delete {data} to start afresh.") from None
    finally:
        store.close()


class Demo:
    """One demonstration.

    Parameters
    ----------
    port
        Where the browser goes, on loopback.
    data
        Folder for everything it writes.
    platform_file
        What there is and who may use it.
    """

    def __init__(self, port: int, data: Path, platform_file: Path) -> None:
        self.port = port
        self.data = data.absolute()
        self.platform_file = platform_file.absolute()
        self.url = f"http://127.0.0.1:{port}/"
        self._id = uuid.uuid4().hex
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._asked = threading.Event()
        self._hurry = False
        self._lock: IO[str] | None = None

    def run(self, *, hint: bool = True) -> int:
        """Start everything, say so, wait for Ctrl-C or SIGTERM, and end everything.

        Returns
        -------
        int
            0 if nothing is left running.

        Raises
        ------
        DemoError
            If something is wrong; whatever had started is ended then.
        """
        platform, proxy = self._check()
        ports = self._ports()
        self._reserve()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._ask)
        clean = False
        try:
            started = time.monotonic()
            click.echo("Starting …")
            self._start(ports, proxy, platform.title)
            reading = self._until_ready(ports)
            if reading is not None:
                notice = str(Accounts(self.data).notice)
                click.echo(_banner(self, platform, reading, notice, time.monotonic() - started, hint=hint))
                self._watch()
            click.echo("\nStopping …")
        except AccountError as error:
            raise DemoError(str(error)) from None
        finally:
            clean = self._stop()
        if clean:
            click.echo("Stopped. Nothing is left running.")
        return 0 if clean else 1

    # Before the start

    def _check(self) -> tuple[Platform, list[str]]:
        try:
            return loader.load(self.platform_file), hub_config.proxy_command(os.environ)
        except (loader.PlatformError, ConfigurationError) as error:
            raise DemoError(str(error)) from None

    def _ports(self) -> dict[str, int]:
        """Choose the internal ports; a usual one that is taken is replaced, since nobody has to know it."""
        if not _free(self.port):
            raise DemoError(f"Port {self.port} is taken; choose another one with --port.")
        chosen: dict[str, int] = {}
        for name, usual in INTERNAL_PORTS.items():
            told = os.environ.get(name)
            if told is not None:
                if not told.isdecimal() or not 0 < int(told) < 65536 or not _free(int(told)):
                    raise DemoError(f"Port {told}, from {name}, is taken or is no port; choose another one.")
                chosen[name] = int(told)
            elif usual != self.port and usual not in chosen.values() and _free(usual):
                chosen[name] = usual
            else:
                chosen[name] = _spare({self.port, *chosen.values()})
        return chosen

    def _reserve(self) -> None:
        """Make the data folder this demonstration's own, and end what a killed one left running in it."""
        try:
            (self.data / "logs").mkdir(mode=0o700, parents=True, exist_ok=True)
            keep_private(self.data)
            self._lock = (self.data / "demo.lock").open("w", encoding="utf-8")
        except OSError as error:
            raise DemoError(f"The folder {self.data} cannot be used ({error.strerror}).") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoError(
                f"Another demonstration runs in {self.data}; stop it, or choose another folder with --data."
            ) from None
        _end(_marked(lambda env: "AIINFN_DEMO_ID" in env and env.get("AIINFN_DATA") == str(self.data)), GRACE)

    # Start

    def _start(self, ports: dict[str, int], proxy: Sequence[str], title: str) -> None:
        issuer = f"http://127.0.0.1:{ports['AIINFN_IAM_PORT']}"
        environment = {
            key: value for key, value in os.environ.items() if key in INHERITED or key.startswith("LC_")
        }
        environment |= {
            "AIINFN_DEMO_ID": self._id,
            "AIINFN_DEMO_PEOPLE": json.dumps(
                [{"username": one.username, "who": one.who} for one in ACCOUNTS]
            ),
            "AIINFN_DATA": str(self.data),
            "AIINFN_IAM_CLIENT_SECRET": secrets.token_hex(32),
        }
        keep_accounts(self.data, issuer)
        returns = [
            f"--redirect-uri=http://{host}:{self.port}/hub/oauth_callback"
            for host in ("127.0.0.1", "localhost")
        ]
        self._spawn(
            "iam",
            [
                "-m",
                "aiinfn_hub.demo.identity_provider",
                f"--port={ports['AIINFN_IAM_PORT']}",
                f"--client-title={title}",
                *returns,
            ],
            environment,
        )
        hub = environment | {name: str(port) for name, port in ports.items()}
        hub |= {
            "AIINFN_PORT": str(self.port),
            "AIINFN_PLATFORM": str(self.platform_file),
            "AIINFN_IAM_ISSUER": issuer,
            "AIINFN_PROXY_COMMAND": shlex.join(proxy),
            "AIINFN_JOBS_END_WITH_VKD": "1",
        }
        examples = Path(__file__).parents[2] / "examples"
        if examples.is_dir():
            hub["AIINFN_SKELETON"] = str(examples)
        self._spawn("hub", ["-m", "jupyterhub", "-f", str(hub_config.CONFIG_FILE)], hub)

    def _spawn(self, name: str, arguments: list[str], environment: dict[str, str]) -> None:
        """Start a child in its own session: Ctrl-C reaches this process only, and it decides about the order."""
        with self._log(name).open("wb") as log:
            self._children[name] = subprocess.Popen(
                [sys.executable, "-P", *arguments],
                cwd=self.data,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _until_ready(self, ports: dict[str, int]) -> list[Availability] | None:
        """Wait until people can sign in and vkd answers; None if somebody asked to stop meanwhile."""
        vkd = f"http://127.0.0.1:{ports['AIINFN_VKD_PORT']}/services/vkd"
        issuer = f"http://127.0.0.1:{ports['AIINFN_IAM_PORT']}"
        pending = [
            f"{issuer}/.well-known/openid-configuration",
            # The hub lets people in once vkd listens, so vkd is asked first.
            f"{vkd}/health",
            f"{self.url}hub/login",
        ]
        deadline = time.monotonic() + START_TIME
        while not self._asked.is_set():
            self._check_children()
            while pending and _answers(pending[0]):
                pending.pop(0)
            if not pending and (reading := asyncio.run(self._reading(vkd))) is not None:
                return reading
            if time.monotonic() > deadline:
                raise DemoError(
                    f"It did not start within {START_TIME:.0f} s. The hub's last words:\n{self._tail('hub')}"
                )
            self._asked.wait(0.1)
        return None

    async def _reading(self, vkd: str) -> list[Availability] | None:
        client = VkdClient(vkd, hub_config.secret_file(self.data / "hub" / "hub-service.token"))
        try:
            reading = await client.availability()
        finally:
            await client.close()
        return reading.accelerators if reading else None

    def _check_children(self) -> None:
        for name, child in self._children.items():
            if child.poll() is not None:
                what = {"iam": "IAM", "hub": "the hub"}[name]
                raise DemoError(
                    f"{what[:1].upper()}{what[1:]} ended by itself (status {child.returncode}). "
                    f"Its last words, from {self._log(name)}:\n{self._tail(name)}"
                )

    def _watch(self) -> None:
        while not self._asked.wait(0.5):
            self._check_children()

    # Stop

    def _ask(self, *_: object) -> None:
        """Handle a signal; the second one asks to hurry."""
        self._hurry = self._asked.is_set()
        self._asked.set()

    def _stop(self) -> bool:
        """End the hub, which ends sessions and vkd, then IAM, then whatever is left. Tells whether all is gone."""
        for name, patience in (("hub", STOP_TIME), ("iam", GRACE)):
            child = self._children.get(name)
            if child is not None and child.poll() is None:
                child.terminate()
                deadline = time.monotonic() + patience
                while child.poll() is None and time.monotonic() < deadline and not self._hurry:
                    time.sleep(0.05)
        left = _end(_marked(lambda env: env.get("AIINFN_DEMO_ID") == self._id), 0.5 if self._hurry else GRACE)
        for child in self._children.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(GRACE)
        if self._lock is not None:
            self._lock.close()
        if left:
            numbers = ", ".join(str(process.pid) for process in left)
            click.echo(f"These processes could not be ended: {numbers}.", err=True)
        return not left

    # Words

    def _log(self, name: str) -> Path:
        return self.data / "logs" / f"{name}.log"

    def _tail(self, name: str, lines: int = 15) -> str:
        with contextlib.suppress(OSError):
            text = self._log(name).read_text(encoding="utf-8", errors="replace")
            return "\n".join(f"  {line}" for line in text.splitlines()[-lines:])
        return ""


def _banner(
    demo: Demo, platform: Platform, reading: list[Availability], notice: str, seconds: float, *, hint: bool
) -> str:
    """Print what runs, who one can be, and what is not real."""

    def devices(*, simulated: bool) -> str:
        return ", ".join(
            f"{item.total} {accelerator.title}"
            for item in reading
            if (accelerator := platform.accelerators.get(item.accelerator)) is not None
            and item.total
            and (bool(accelerator.local.simulated) if item.simulated is None else item.simulated) is simulated
        )

    rows: list[tuple[str, str]] = [("Open", demo.url)]
    if hint:
        rows.append(("", "Sign in as ada, start a session, and submit a notebook as a batch job."))
    rows += [("", "")]
    rows += [
        ("People" if account is ACCOUNTS[0] else "", f"{account.username:<6} {account.who}")
        for account in ACCOUNTS
    ]
    rows += [("", "")]
    if real := devices(simulated=False):
        rows.append(("Accelerators", real))
    if pretended := devices(simulated=True):
        rows.append(("" if real else "Accelerators", pretended))
        rows.append(
            ("", "simulated: they are given out like real ones, but there is no hardware behind them")
        )
    rows.append(("Files", f"{demo.data} (logs in {demo.data / 'logs'})"))
    if notice:
        rows.append(("Note", notice))
    rows += [("", ""), ("Stop", "Ctrl-C")]
    body = "\n".join(f"  {label:<13} {text}".rstrip() for label, text in rows)
    return f"\n{click.style(platform.title, bold=True)} is ready ({seconds:.1f} s)\n\n{body}\n"


def _free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: a connection that lingers in TIME_WAIT does not keep the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _spare(taken: Iterable[int]) -> int:
    """Find a free port that the system does not hand out by itself meanwhile, for example to a kernel."""
    ports = [port for port in _SPARE if port not in set(taken)]
    secrets.SystemRandom().shuffle(ports)
    return next(port for port in ports if _free(port))


def _answers(url: str) -> bool:
    # No proxy of the environment: everything is on loopback.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=2) as response:
            return bool(response.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _marked(match: Callable[[dict[str, str]], bool]) -> list[psutil.Process]:
    """Find processes by their environment: they carry the mark also when their parent is long gone."""

    def candidates() -> Iterator[psutil.Process]:
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if (
                    process.pid != os.getpid()
                    and process.status() != psutil.STATUS_ZOMBIE
                    and match(process.environ())
                ):
                    yield process

    return list(candidates())


def _end(processes: Sequence[psutil.Process], grace: float) -> list[Any]:
    """End processes, by SIGTERM first, and return those that stay."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=grace)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    _, alive = psutil.wait_procs(alive, timeout=GRACE)
    return [process for process in alive if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
