"""Sessions as processes of this machine, each under its person's account."""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from jupyterhub.spawner import Spawner
from jupyterhub.utils import random_port
from traitlets import Instance, default

from aiinfn_hub.contract import posix_accounts, private_kernels
from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.contract.sessions import Claim
from aiinfn_hub.host.accounts import Account, AccountError, Accounts
from aiinfn_hub.i18n.language import Sentence, marked
from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.platform.model.accelerator_kinds import visible_devices
from aiinfn_hub.platform.selection import Selection
from aiinfn_hub.spawner.session import SERVER, SessionMixin, asked
from aiinfn_hub.storage import local_mounts
from aiinfn_hub.vkd.client import VkdUnavailableError

from . import device_claims, processes, runtime_folder
from .spawn_progress import SpawnStep

ENV_KEEP: Final = (
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "LD_LIBRARY_PATH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)
"""What a session inherits from the hub's environment, which otherwise holds the platform's secrets."""


class LocalSpawner(SessionMixin, Spawner):
    """Starts a session's server as a process of this machine.

    It stands on `Spawner` itself: JupyterHub's `LocalProcessSpawner` needs system users of the same name, knows a
    process by its number alone, passes the hub's environment on, and leaves kernels behind when a server is killed.
    """

    skeleton = Instance(
        Path, allow_none=True, help="Folder with examples that is copied into a new home, never overwriting."
    ).tag(config=True)

    steps: ClassVar[tuple[SpawnStep, ...]] = (
        SpawnStep("asked", marked("Request")),
        SpawnStep("placed", marked("Place")),
        SpawnStep("starting", marked("JupyterLab")),
        SpawnStep("ready", marked("Ready")),
    )

    if TYPE_CHECKING:
        port: int
    pid = 0
    pid_started = 0.0
    """Start of that process in seconds since the epoch: tells it from a later one of the same number."""
    cookie = ""
    _process: subprocess.Popen[bytes] | None = None
    _starting = False
    _claim_told = True
    """Whether vkd knows the process of the session that holds devices."""

    @default("env_keep")
    def _default_env_keep(self) -> list[str]:
        return list(ENV_KEEP)

    @default("poll_interval")
    def _default_poll_interval(self) -> int:
        return 10

    @default("cmd")
    def _default_cmd(self) -> None:
        """None: the Python of the image, which is known only once it was chosen."""

    # State

    def load_state(self, state: dict[str, Any]) -> None:
        """Find the process again after a restart of the hub."""
        super().load_state(state)
        self.pid = int(state.get("pid", 0))
        self.pid_started = float(state.get("pid_started", 0.0))
        self.cookie = str(state.get("cookie", ""))
        self._claim_told = not self._holds_devices()

    def get_state(self) -> dict[str, Any]:
        """Keep what finds the process again."""
        state = super().get_state()
        if self.pid:
            state |= {"pid": self.pid, "pid_started": self.pid_started, "cookie": self.cookie}
        return state

    def clear_state(self) -> None:
        """Forget the session and its process."""
        super().clear_state()
        self._forget_process()

    def _forget_process(self) -> None:
        if self._process is not None:
            self._process.poll()  # reaps it
        self._process = None
        self.pid, self.pid_started, self.cookie = 0, 0.0, ""
        self._claim_told = True

    # Start and stop

    async def start(self) -> tuple[str, int]:
        """Start the session; with an accelerator, once vkd granted it.

        Raises
        ------
        SessionRefusedError
            If vkd does not answer, or no device became free in time.
        """
        selection = self.granted()
        self._starting = True
        try:
            self.told.tell("asked", asked(selection))
            claim = await self._obtain(selection)
            account = await self._account()
            self.told.tell(
                "placed", Sentence("On this machine, with the size {size}", size=selection.size.title)
            )
            self._launch(selection, account, claim)
            self.told.tell("starting", Sentence("Starting with “{image}”", image=selection.image.title))
            await self._tell_process()
        except Refusal as refusal:
            await self._undo()
            self.refuse(refusal)
        except BaseException:
            # Also a cancelled start: nobody would end the process and give the devices back otherwise.
            await self._undo()
            raise
        finally:
            self._starting = False
        return self.ip or "127.0.0.1", self.port

    async def stop(self, now: bool = False) -> None:
        """End the session with everything that came from it, then give its devices back."""
        pid, started, cookie = self.pid, self.pid_started, self.cookie
        if pid and not await processes.end(pid, started, cookie, now=now):
            self.log.warning("Some processes of the session %s could not be ended", self.session_id)
        await asyncio.to_thread(runtime_folder.remove, cookie)
        self._forget_process()
        if self._holds_devices():
            device_claims.release(self.context.vkd, self.session_id)

    async def poll(self) -> int | None:
        """Return whether the session runs. What it left behind when its server ended by itself is ended too."""
        if self._starting:
            return None
        if self._process is not None:
            status = self._process.poll()
        else:
            status = None if self.pid and processes.alive(self.pid, self.pid_started) else 0
        status = await self.within_time(status)
        if status is None:
            await self._tell_process()
        elif self.pid:
            self.log.info("The server of the session %s has ended (status %s)", self.session_id, status)
            await self.stop(now=True)
        return status

    async def end_moved(self) -> None:
        """Report the new end to vkd, which shows others when this session's devices are free at the latest."""
        self._claim_told = not self._holds_devices()
        await self._tell_process()

    # The parts of a start

    def _holds_devices(self) -> bool:
        return self.selection is not None and self.selection.accelerator is not None

    async def _obtain(self, selection: Selection) -> Claim | None:
        """Get the devices of the selection from vkd; a session without an accelerator never asks it."""
        if selection.accelerator is None:
            return None
        patience = self.context.platform.limits.session_start
        claim = await device_claims.obtain(
            self.context.vkd,
            self.session_id,
            device_claims.request_of(selection, datetime.now(UTC) + patience + selection.time_limit),
            selection,
            patience,
            lambda sentence: self.told.tell("placed", sentence),
        )
        self._claim_told = False
        return claim

    async def _account(self) -> Account:
        if self.context.accounts is None:
            raise RuntimeError("The local spawner needs accounts in its context")
        try:
            return await asyncio.to_thread(self._account_with_storage, self.context.accounts)
        except (AccountError, OSError) as error:
            self.log.error("No account for %s: %s", self.user.name, error)  # noqa: TRY400 - it is told, not a fault here
            message = (
                str(error)
                if isinstance(error, AccountError)
                else _("Your home cannot be made on this machine.")
            )
            raise Refusal(Reason.UNAVAILABLE, message, _("Tell the operators of the platform.")) from error

    def _account_with_storage(self, accounts: Accounts) -> Account:
        """Return the account of the session's owner, with the storage that was granted in its home; blocks."""
        account = accounts.get(self.user.name)
        local_mounts.link(account, self.granted(), self.context.platform, accounts.data)
        return account

    def _launch(self, selection: Selection, account: Account, claim: Claim | None) -> None:
        self.port = self.port or random_port()
        self.begin_time()
        self.cookie = secrets.token_hex(16)
        prefix = Path(selection.image.local.prefix) if selection.image.local.prefix else Path(sys.prefix)
        python = prefix / "bin" / "python" if selection.image.local.prefix else Path(sys.executable)
        command = [*(self.cmd or [str(python), *SERVER]), *self.get_args()]
        if os.geteuid() == 0 and account.uid is None:
            command.append("--allow-root")
        separate = account.uid is not None
        login = posix_accounts.login_name(account.name, account.slug) if separate else account.name
        if separate:
            # Also without our extension: a kernel that cannot use the sockets then does not start.
            command.append("--KernelManager.transport=ipc")
        try:
            runtime = str(runtime_folder.make(self.cookie, account))
        except OSError as error:
            self.log.error("No runtime folder for %s: %s", self.user.name, error)  # noqa: TRY400 - it is told
            raise Refusal(
                Reason.UNAVAILABLE,
                _("This machine has no place for the sockets of your session."),
                _("Tell the operators of the platform."),
            ) from error
        env = self.get_env() | {
            "HOME": str(account.home),
            "USER": login,
            "LOGNAME": login,
            "SHELL": "/bin/bash" if Path("/bin/bash").exists() else "/bin/sh",
            "PATH": os.pathsep.join((str(prefix / "bin"), os.environ.get("PATH", os.defpath))),
            "JUPYTERHUB_ROOT_DIR": str(account.home),
            "XDG_RUNTIME_DIR": runtime,
            "JUPYTER_RUNTIME_DIR": runtime,
            private_kernels.VARIABLE: private_kernels.policy(separate),
            processes.COOKIE: self.cookie,
            # Of a session without a device, or with a simulated one, no device of this machine is visible.
            **visible_devices(None, ()),
            **(claim.environment if claim else {}),
        }
        self._process = processes.launch(command, env, account, self.skeleton)
        self.pid = self._process.pid
        self.pid_started = processes.started_at(self.pid)

    async def _tell_process(self) -> None:
        """Report to vkd which process holds the devices, so that it notices its end even while the hub is down.

        A vkd that is away hears of it at a later poll: a session must never wait for it, let alone end for it.
        """
        selection = self.selection
        if self._claim_told or selection is None or self.session_end is None or not self.pid:
            return
        request = device_claims.request_of(selection, self.session_end)
        request.pid, request.pid_started = self.pid, self.pid_started
        try:
            await self.context.vkd.claim(self.session_id, request)
            self._claim_told = True
        except (VkdUnavailableError, Refusal) as error:
            self.log.warning(
                "The process of the session %s is not known to vkd yet: %s", self.session_id, error
            )

    async def _undo(self) -> None:
        """Leave nothing of a start that failed."""
        self._starting = False
        # Shielded: this also runs while the start is being cancelled.
        await asyncio.shield(self.stop(now=True))
