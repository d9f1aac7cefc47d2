"""The command from outside of a session: signing in, and files that go through a running session into the home."""

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aiinfn_lab.client import api
from tests.vkd.world import user_model

from .real import TOKEN


@pytest.fixture
def laptop(real: Any, tmp_path: Path) -> dict[str, Any]:
    """A machine on which nobody signed in."""
    return {"HOME": str(tmp_path)}


def test_signing_in_asks_checks_and_tells_what_one_may(
    real: Any, laptop: dict[str, Any], tmp_path: Path
) -> None:
    told = real.aiinfn(
        "login", f"{real.url}/hub/home", "--token-stdin", environment=laptop, typed=b"token-anna\n"
    )
    assert told.out.splitlines() == [
        "You are anna on Test platform.",
        "  projects: flavour",
        "  queues: opportunistic",
        "  accelerators: t4, v70",
    ]
    path = tmp_path / ".config/aiinfn/login.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text()) == {"url": real.url, "token": TOKEN}
    assert real.aiinfn("queues", "-q", environment=laptop).out == "opportunistic\n"
    # Again, without saying where.
    real.aiinfn("login", "--token-stdin", environment=laptop, typed=b"token-anna")
    told = real.aiinfn("logout", environment=laptop)
    assert f"{real.url}/hub/token" in told.err
    assert not path.exists()
    assert "Nobody was signed in" in real.aiinfn("logout", environment=laptop).err
    assert "aiinfn login" in real.aiinfn("queues", environment=laptop, code=3).err


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("token-noscope", ["may not use the batch service", "access:services!service=vkd", "Permissions"]),
        ("token-nobody", ["does not know this token", "/hub/token"]),
        ("token-other", ["token of a service", "/hub/token"]),
        ("", ["no token of a hub", "/hub/token"]),
        ("two words", ["no token of a hub"]),
    ],
)
def test_a_token_that_is_of_no_use_is_refused_and_not_kept(
    real: Any, laptop: dict[str, Any], tmp_path: Path, token: str, words: list[str]
) -> None:
    told = real.aiinfn("login", real.url, "--token-stdin", environment=laptop, typed=token.encode(), code=3)
    for part in words:
        assert part in told.err
    assert not token or token not in told.out + told.err
    assert not (tmp_path / ".config").exists()


def test_the_token_is_asked_for_without_showing_it(real: Any, laptop: dict[str, Any]) -> None:
    """click reads it with getpass, which on a pipe says that it cannot hide; so it is asked on a terminal."""
    import os
    import pty

    main, terminal = pty.openpty()
    process = real.popen("login", real.url, environment=laptop, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True)  # fmt: skip
    os.close(terminal)
    shown = b""
    while b"Token: " not in shown:
        shown += os.read(main, 4096)
    os.write(main, b"token-anna\n")
    while True:
        try:
            shown += os.read(main, 4096)
        except OSError:
            break
    os.close(main)
    assert process.wait(20) == 0
    assert b"You are anna" in shown
    assert b"token-anna" not in shown
    assert f"{real.url}/hub/token".encode() in shown


def test_where_nothing_of_ours_answers_is_told(
    real: Any, laptop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "_PAUSES", (0.01,))
    told = real.aiinfn("login", "http://127.0.0.1:1", "--token-stdin", environment=laptop, typed=b"x", code=4)
    assert "does not answer" in told.err
    told = real.aiinfn(
        "login", real.hub.url, "--token-stdin", environment=laptop, typed=b"token-noscope", code=3
    )
    assert "aiinfn login" in real.aiinfn("login", environment=laptop, code=2).err
    assert "not encrypted" in real.aiinfn("login", "http://hub.example.org", environment=laptop, code=3).err


def test_a_file_of_another_machine_runs_in_the_home(
    real: Any, notebook: Callable[..., dict[str, Any]]
) -> None:
    laptop = real.outside
    here = Path(laptop["HOME"])
    script = real.write(
        "fit.py", "# AIINFN accelerator=v70 time=2m\nimport sys\nprint('afar', sys.argv[1])\n", here
    )
    told = real.aiinfn("submit", "-f", "fit.py", "--", "è", environment=laptop)
    assert "afar è" in told.out
    job = real.aiinfn("show", "last", "-o", "json", environment=laptop).json
    assert (job["work"]["path"], job["accelerator"], job["time_limit"]) == ("submitted/fit.py", "v70", 120)
    assert (real.home / "submitted/fit.py").read_bytes() == script.read_bytes()
    assert (real.home / job["output"]).read_text() == "afar è\n"

    script.write_text("print('changed')")
    told = real.aiinfn("submit", "fit.py", environment=laptop, code=3)
    assert "another file 'submitted/fit.py' already" in told.err
    assert "--replace" in told.err
    assert "afar" in (real.home / "submitted/fit.py").read_text()
    assert "changed" in real.aiinfn("submit", "-f", "fit.py", "--replace", environment=laptop).out
    assert "changed" in real.aiinfn("submit", "-f", "fit.py", "--folder", "deep/er", environment=laptop).out
    assert (real.home / "deep/er/fit.py").is_file()
    assert (
        "leaves your home"
        in real.aiinfn("submit", "fit.py", "--folder", "../x", environment=laptop, code=3).err
    )

    real.write("n.ipynb", notebook("x = 1", "print(x * 2)", tagged=True), here)
    told = real.aiinfn("submit", "-f", "n.ipynb", "-p", "x=21", environment=laptop)
    assert "42" in told.out
    told = real.aiinfn("submit", "n.ipynb", "-p", "x=many", environment=laptop, code=3)
    assert "must be a number" in told.err


def test_a_file_that_is_in_the_home_already_and_a_command(real: Any) -> None:
    real.write("there/in.py", "print('at home')")
    assert "at home" in real.aiinfn("submit", "-f", "home:there/in.py", environment=real.outside).out
    assert "at home" in real.aiinfn("submit", "-f", "home:there/in.py").out
    told = real.aiinfn("submit", "home:there/none.py", environment=real.outside, code=3)
    assert told.err.startswith("Error: There is no file 'there/none.py' in your home.")
    assert "x y\n" in real.aiinfn("submit", "-f", "--", "echo", "x y", environment=real.outside).out
    assert real.aiinfn("submit", "--dry-run", "--", "echo", environment=real.outside).out.startswith("Starts")


def test_without_a_session_it_is_told_how_to_get_one(real: Any) -> None:
    laptop = real.outside
    real.write("one.py", "", Path(laptop["HOME"]))
    anna = real.hub.people[TOKEN]
    idle = {**anna, "servers": {}}
    for token, model, words in (
        ("token-idle", idle, ["No session of yours is running", "/hub/home"]),
        ("token-narrow", None, ["may not use your session", "access:servers!user"]),
        ("token-bruno", user_model("bruno", "ai-infn/flavour"), ["not running"]),
    ):
        if model:
            real.hub.people[token] = model
        told = real.aiinfn("submit", "one.py", environment={**laptop, "AIINFN_TOKEN": token}, code=None)
        assert told.code in {3, 4}
        for part in words if token != "token-bruno" else ():
            assert part in told.err
        assert "What to do: " in told.err
    told = real.aiinfn("submit", "one.py", "--session", "other", environment=laptop, code=3)
    assert "No session 'other' of yours is running." in told.err
    narrow = {**laptop, "AIINFN_TOKEN": "token-narrow"}
    assert real.aiinfn("queues", "-q", environment=narrow).out == "opportunistic\n"
