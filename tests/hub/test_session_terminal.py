"""What one finds in JupyterLab's terminal, typed into a real one."""

import asyncio
import contextlib
import os
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from aiinfn_hub.host.accounts import Accounts
from tests.hub.realhub import RealHub, real_hub
from tests.hub.terminals import Terminal


@contextlib.asynccontextmanager
async def terminal_of(hub: RealHub, user: str) -> AsyncIterator[Terminal]:
    headers = {"Authorization": f"token {hub.settings['admin_token']}"}
    async with aiohttp.ClientSession(headers=headers) as http:
        url = f"{hub.url}/user/{user}"
        async with http.post(f"{url}/api/terminals") as answer:
            assert answer.status == 200, await answer.text()
            name = (await answer.json())["name"]
        async with http.ws_connect(f"{url}/terminals/websocket/{name}") as socket:
            yield Terminal(socket)


@pytest.fixture(
    scope="module",
    params=[pytest.param(True, marks=pytest.mark.skipif(os.geteuid() != 0, reason="needs root")), False],
)
def hub(request: pytest.FixtureRequest) -> Iterator[RealHub]:
    with real_hub(vkd=False, separate=request.param) as running:
        yield running


@pytest.fixture
async def terminal(hub: RealHub) -> AsyncIterator[Terminal]:
    await hub.begin("ada", {})
    await hub.ready("ada")
    async with terminal_of(hub, "ada") as opened:
        yield opened
    await hub.end_session("ada")


async def test_the_commands_of_the_image_are_found_in_any_shell(hub: RealHub, terminal: Terminal) -> None:
    # Else this test proves nothing.
    assert "PATH=" in await asyncio.to_thread(Path("/etc/profile").read_text)
    shells = ["", "bash -c ", "bash -lc ", "sh -lc "] if hub.settings["separate"] else ["", "bash -c "]
    for shell in shells:
        for command in ("aiinfn", "python", "jupyter"):
            asked = f"command -v {command}"
            found = await terminal.type(f"{shell}'{asked}'" if shell else asked)
            assert found.endswith(f"/.venv/bin/{command}"), (shell, found)
    assert await terminal.type("python -c 'print(6 * 7)'") == "42"
    assert "Usage: aiinfn" in await terminal.type("aiinfn --help")


async def test_ones_own_profile_is_read_and_has_the_last_word(hub: RealHub) -> None:
    home = Accounts(hub.data, separate=hub.settings["separate"]).get("ben").home
    (home / ".profile").write_text("export MINE=profile PATH=/opt/mine:$PATH\n. ~/.bashrc\n")
    (home / ".bashrc").write_text("export ALSO=bashrc\n")
    for each in home.iterdir():
        os.chown(each, home.stat().st_uid, home.stat().st_gid)
    await hub.begin("ben", {})
    await hub.ready("ben")
    async with terminal_of(hub, "ben") as terminal:
        assert await terminal.type("echo $MINE $ALSO") == "profile bashrc"
        if hub.settings["separate"]:
            assert (await terminal.type("echo $PATH")).startswith("/opt/mine:")
        assert (await terminal.type("command -v aiinfn")).endswith("/bin/aiinfn")
    await hub.end_session("ben")


async def test_a_person_has_a_name(hub: RealHub, terminal: Terminal) -> None:
    if not hub.settings["separate"]:
        me = await asyncio.to_thread(subprocess.check_output, ["id", "-un"], text=True)
        assert await terminal.type("whoami") == me.strip()
        return
    assert await terminal.type("whoami") == "ada"
    assert await terminal.type("id -un; id -gn") == "ada\nada"
    home = hub.data / "homes/ada"
    asked = "import getpass, os, pwd; me = pwd.getpwuid(os.getuid()); print(me.pw_name, me.pw_dir, getpass.getuser())"
    assert await terminal.type(f"python -c '{asked}'") == f"ada {home} ada"
    assert await terminal.type("cd; echo ~ada") == str(home)
    # Where the machine's name has no domain, git wants to be told an address.
    assert (await terminal.type("git -c user.email=a@b.org var GIT_COMMITTER_IDENT")).startswith(
        "ada <a@b.org>"
    )
    assert await terminal.type("stat -c %U ~ /etc") == "ada\nroot"
    assert "I have no name" not in await terminal.type("echo $PS1")
    # Of the machine itself, nothing was changed.
    passwd = await asyncio.to_thread(Path("/etc/passwd").read_text)
    assert str(home) not in passwd


async def test_an_odd_name_gets_an_account_too(hub: RealHub) -> None:
    if not hub.settings["separate"]:
        pytest.skip("all share the account of the hub")
    await hub.begin("eve<b>", {})
    await hub.ready("eve<b>")
    async with terminal_of(hub, "eve%3Cb%3E") as terminal:
        assert re.fullmatch(r"eve-b---[0-9a-f]{8}", await terminal.type("whoami"))
        assert await terminal.type("getent passwd $(id -u) | cut -d: -f5") == "eve<b>"
        assert (await terminal.type("echo $USER")) == (await terminal.type("whoami"))
    await hub.end_session("eve<b>")
