"""The command ``aiinfn`` on a real hub: in a session as the hub starts it, and elsewhere with a token of the hub's token page."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hub.realhub import RealHub, real_hub, session_process, vkd_answers, xsrf

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def hub() -> Iterator[RealHub]:
    with real_hub(vkd=True) as running:
        yield running


def aiinfn(
    *words: str, environment: dict[str, str], code: int = 0, typed: str = "", **options: Any
) -> subprocess.CompletedProcess[str]:
    told = subprocess.run(
        [sys.executable, "-P", "-m", "aiinfn_lab.cli", *words],
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], **environment},
        input=typed,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        **options,
    )
    assert told.returncode == code, (told.stdout, told.stderr)
    assert "Traceback" not in told.stderr
    return told


async def token_of(hub: RealHub, user: str, *scopes: str) -> str:
    """Request a token as the token page does."""
    async with hub.browser(user) as http:
        body: dict[str, Any] = {"note": "laptop"} | ({"scopes": list(scopes)} if scopes else {})
        url = f"{hub.url}/hub/api/users/{user}/tokens"
        headers = {"X-XSRFToken": xsrf(http), "Referer": f"{hub.url}/hub/token"}
        async with http.post(url, json=body, headers=headers) as answer:
            assert answer.status == 201, await answer.text()
            return str((await answer.json())["token"])


async def test_the_same_command_in_a_session_and_elsewhere(hub: RealHub, tmp_path: Path) -> None:
    await vkd_answers(hub)
    await hub.begin("ada", {"accelerator": "none"})
    await hub.ready("ada")

    # In the session: with what the hub put into its environment, and as its user.
    process = session_process(hub.data / "homes/ada")
    session, home = process.environ(), hub.data / "homes/ada"
    as_its_user = {"user": process.uids().real, "group": process.gids().real, "cwd": home}
    inside: dict[str, Any] = {"environment": session, **as_its_user}
    told = aiinfn("submit", "-f", "--", "sh", "-c", "echo in $PWD; id -u", **inside)
    assert f"in {home}\n{process.uids().real}\n" in told.stdout
    assert aiinfn("list", "-q", **inside).stdout.split()

    # Elsewhere: nobody signed in, then with a token that may do all, then with one that may do too little.
    laptop = {"HOME": str(tmp_path)}
    (tmp_path / "fit.py").write_text("# AIINFN time=5m\nprint('from afar')\n")
    assert "aiinfn login" in aiinfn("list", environment=laptop, code=3).stderr
    everything = await token_of(hub, "ada")
    told = aiinfn("login", hub.url, "--token-stdin", environment=laptop, typed=everything)
    assert told.stdout.startswith("You are ada on ")
    assert "access:servers" not in told.stderr
    told = aiinfn("submit", "-f", "fit.py", environment=laptop, cwd=tmp_path)
    assert "from afar" in told.stdout
    assert (home / "submitted/fit.py").is_file()
    assert len(aiinfn("list", "-q", environment=laptop).stdout.split()) == 2

    useless = await token_of(hub, "ada", "read:users:name!user")
    told = aiinfn("login", hub.url, "--token-stdin", environment=laptop, typed=useless, code=3)
    assert "access:services!service=vkd" in told.stderr
    assert f"{hub.url}/hub/token" in told.stderr

    narrow = {
        **laptop,
        "AIINFN_URL": hub.url,
        "AIINFN_TOKEN": await token_of(hub, "ada", "access:services!service=vkd"),
    }
    assert len(aiinfn("list", "-q", environment=narrow).stdout.split()) == 2
    told = aiinfn("submit", "fit.py", environment=narrow, cwd=tmp_path, code=3)
    assert "access:servers!user" in told.stderr
    aiinfn("login", hub.url, "--token-stdin", environment=laptop, typed="0" * 32, code=3)

    # What login says to ask for is enough.
    advised = {**narrow, "AIINFN_TOKEN": await token_of(hub, "ada", "access:services!service=vkd", "access:servers!user")}  # fmt: skip
    assert "from afar" in aiinfn("submit", "-f", "fit.py", environment=advised, cwd=tmp_path).stdout

    await hub.end_session("ada")
    told = aiinfn("submit", "fit.py", environment=laptop, cwd=tmp_path, code=3)
    assert "No session of yours is running" in told.stderr
    told = aiinfn("submit", "fit.py", environment=advised, cwd=tmp_path, code=3)
    assert "Your session is not running" in told.stderr
    for secret in (everything, useless, narrow["AIINFN_TOKEN"]):
        assert secret not in hub.log
