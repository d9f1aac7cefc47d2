"""How ``aiinfn`` ends when something comes between, and what it does for a shell."""

import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from aiinfn_lab.cli import main


def ended(process: Any) -> tuple[Any, str]:
    _, err = process.communicate(timeout=30)
    assert b"Traceback" not in err
    return process.returncode, err.decode()


@pytest.fixture(scope="module")
def job(real: Any) -> str:
    real.write("said.sh", "seq 1 1000")
    job = real.aiinfn("submit", "-q", "said.sh").out.strip()
    real.reach(job, "succeeded")
    return job


@pytest.mark.parametrize(
    "words", [["list"], ["list", "-o", "json"], ["logs"], ["wait"], ["platform"], ["show"]]
)
def test_a_reader_that_goes_away_is_not_told_as_a_failed_job(real: Any, job: str, words: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    target = [job] if words[0] in {"logs", "wait", "show"} else []
    process = real.popen(*words, *target, stdout=writing)
    os.close(writing)
    code, err = ended(process)
    assert code == 141
    assert "Error" not in err


@pytest.mark.parametrize("words", [["list", "-o", "json"], ["list"], ["logs"]])
def test_a_full_disk_is_told_in_words(real: Any, job: str, words: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        code, err = ended(real.popen(*words, *([job] if words == ["logs"] else []), stdout=full))
    assert code == 3
    assert "cannot be written: No space left on device" in err
    assert "What to do: " in err


@pytest.fixture
def silent_platform(real: Any) -> Iterator[tuple[Any, dict[str, Any]]]:
    """A platform that takes a request and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/services/vkd"
        yield server, {**real.session, "AIINFN_VKD_URL": url}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["list"], "Jobs are not affected."),
        (["wait", "a"], "The waiting ended; jobs go on."),
        (["submit", "said.sh"], "It may have been done already; to see: aiinfn list"),
        (["cancel", "a"], "It may have been done already; to see: aiinfn list"),
    ],
)
def test_ctrl_c_before_an_answer_says_what_became_of_it(
    real: Any, job: str, silent_platform: tuple[Any, dict[str, Any]], words: list[str], said: str
) -> None:
    server, environment = silent_platform
    process = real.popen(*words, environment=environment)
    asking, _ = server.accept()
    with asking:
        asking.recv(4096)
        process.send_signal(signal.SIGINT)
        code, err = ended(process)
    assert code == 130
    if words[0] != "wait":
        assert said in err


@pytest.mark.parametrize(
    "words",
    [
        ["submit", "said.sh", "-a", ""],
        ["submit", "said.sh", "--project", " "],
        ["submit", "said.sh", "-t", ""],
        ["submit", "said.sh", "--key", ""],
        ["submit", ""],
        ["list", "--owner", ""],
        ["wait", "a", "-t", ""],
    ],
)
def test_an_unset_variable_of_a_shell_does_not_mean_the_default(
    real: Any, job: str, words: list[str]
) -> None:
    assert "is empty" in real.aiinfn(*words, code=2).err
    assert real.aiinfn("list", "-q", "-n", "1").out.strip() == job


@pytest.mark.parametrize("verb", ["show", "logs", "cancel", "rerun", "wait", "points"])
def test_a_wrong_id_is_told_where_to_find_the_right_one(real: Any, verb: str) -> None:
    assert "aiinfn list" in real.aiinfn(verb, "nosuchjob1", code=3).err


def test_a_file_elsewhere_is_named_as_it_was_given(real: Any) -> None:
    told = real.aiinfn("submit", "/etc/hostname", code=3)
    assert told.err.startswith("Error: '/etc/hostname' is outside of your home folder.\n")


@pytest.mark.parametrize("words", [["list"], ["submit", "said.sh"]])
def test_a_token_that_expired_is_told_the_same_way_by_all(real: Any, job: str, words: list[str]) -> None:
    laptop = {**real.outside, "AIINFN_TOKEN": "token-expired"}
    real.write("said.sh", "", Path(laptop["HOME"]))
    told = real.aiinfn(*words, environment=laptop, code=3)
    assert "The hub does not know this token" in told.err
    assert f"{laptop['AIINFN_URL']}/hub/token" in told.err
    # What login would keep comes after the variable.
    assert "put it into AIINFN_TOKEN" in told.err


def test_saying_no_changes_nothing(real: Any, job: str) -> None:
    terminal, end = pty.openpty()
    process = real.popen("delete", job, stdin=end)
    os.close(end)
    os.write(terminal, b"n\n")
    code, err = ended(process)
    os.close(terminal)
    assert code == 130
    assert "Nothing was done." in err
    assert real.aiinfn("show", "-q", job).out == "succeeded\n"


@pytest.mark.parametrize("name", ["", *main.commands])
def test_the_help_fits_a_terminal_and_names_what_is_wanted(name: str) -> None:
    command = main.commands[name] if name else main
    text = command.get_help(click.Context(command, terminal_width=80, info_name=f"aiinfn {name}".strip()))
    assert [line for line in text.splitlines() if len(line) > 80] == []
    assert not {"TEXT", "INTEGER", "RANGE"} & set(text.split())


SHELLS = {
    "bash": """
        eval "$(aiinfn completion bash)"
        complete_line() {
            COMP_WORDS=($1 ""); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=()
            "$(complete -p aiinfn | sed 's/.* -F \\([^ ]*\\) .*/\\1/')" aiinfn && printf '%s\\n' "${COMPREPLY[@]}"
        }
        complete_line "$LINE"
        """,
    "zsh": """
        zmodload zsh/zpty
        zpty inner zsh -f -i
        zpty -w inner 'autoload -Uz compinit; compinit -u; source <(aiinfn completion zsh); echo be"gun"'
        while zpty -r inner said; do [[ $said == *begun* ]] && break; done
        zpty -w -n inner "$LINE "$'\\t'
        end=$((SECONDS + 20))
        while (( SECONDS < end )); do zpty -r -t inner said && print -r -- "$said" || sleep 0.1
            [[ $said == *$WANTED* ]] && break; done
        zpty -d inner
        """,
    "fish": """
        aiinfn completion fish | source
        complete -C "$LINE " | string split -f 1 \\t
        """,
}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("line", ["aiinfn submit -a", "aiinfn show"])
def test_a_real_shell_completes_names_and_jobs(
    real: Any, job: str, tmp_path: Path, shell: str, line: str
) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed here")
    command = tmp_path / "aiinfn"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m aiinfn_lab.cli "$@"\n')
    command.chmod(0o755)
    wanted = "v70" if line.endswith("-a") else job
    environment = {
        **real.session,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "LINE": line,
        "WANTED": wanted,
        "TERM": "dumb",
        "SHELL": program,
    }
    script = tmp_path / "script"
    script.write_text(textwrap.dedent(SHELLS[shell]))
    quiet = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["-N"]}[shell]
    done = subprocess.run(
        [program, *quiet, script], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert wanted in done.stdout, (done.stdout, done.stderr)
    if shell != "zsh":
        # One name a line, and no path of the present folder among them.
        assert set(done.stdout.split()) >= ({"t4", "v70"} if line.endswith("-a") else {"last", job})
