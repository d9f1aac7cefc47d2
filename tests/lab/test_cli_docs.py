"""The examples of the documentation: command lines are understood, and the Python ones run."""

import ast
import inspect
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from aiinfn_lab import Client
from aiinfn_lab.cli import main
from aiinfn_lab.cli.common import ExitCode
from aiinfn_lab.client import Options

ROOT = Path(__file__).parents[2]
CLI = (ROOT / "docs/cli.md").read_text()
API = (ROOT / "docs/python-api.md").read_text()
HELP = "\n".join(command.get_help(click.Context(command)) for command in main.commands.values())


def blocks(text: str, language: str) -> Any:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def command_lines(text: str) -> Iterator[Any]:
    """Every call of the command in a shell's text; what stands in $( ) and behind && is one of its own."""
    for line in text.replace('"$job"', "JOB").splitlines():
        for call in re.findall(r"\baiinfn (?!\()([^()&|]*)", line.partition("  # ")[0]):
            if call.split()[0] in main.commands:
                yield re.split(r" >>? ", call.strip())[0]


EXAMPLES = re.findall(r"^ +aiinfn .*?(?=   |$)", HELP, re.MULTILINE)
LINES = sorted({*command_lines("\n".join([*blocks(CLI, "sh"), *EXAMPLES]))})


@pytest.mark.parametrize("line", LINES)
def test_command_lines_of_the_documentation_and_the_help_are_understood(line: str) -> None:
    name, *words = shlex.split(line)
    main.commands[name].make_context(name, words)


def test_there_are_lines_to_check() -> None:
    assert {line.split()[0] for line in LINES} == main.commands.keys()


def test_every_option_is_documented_or_in_the_help_with_words() -> None:
    for command in main.commands.values():
        assert command.help
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, (command.name, parameter.name)


def test_the_exit_statuses_of_help_and_documentation_are_those_of_the_code() -> None:
    for text in (CLI, main.get_help(click.Context(main))):
        told = {int(found) for found in re.findall(r"^[| ]+(\d+)[ |]", text, re.MULTILINE)}
        assert told == {int(status) for status in ExitCode}


def test_the_examples_in_python_run(
    real: Any,
    notebook: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in real.session.items():
        monkeypatch.setenv(name, value)
    folder = real.home / "documented"
    real.write("documented/train.ipynb", notebook("epochs = 3", "print(epochs)", tagged=True))
    real.write("documented/fit.py", "import sys\nprint('fitted', sys.argv[1:])\n")
    real.write("documented/project/main.py", "print('as a whole')\n")
    monkeypatch.chdir(folder)
    names: dict[Any, Any] = {}
    for block in blocks(API, "python"):
        code = compile(block, "python-api.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        coroutine = eval(code, names)
        if inspect.iscoroutine(coroutine):
            import asyncio

            asyncio.run(coroutine)
    said = capsys.readouterr().out
    for part in (
        "succeeded documented/train.",
        "fitted ['--seed', '0']",
        "/command.",
        "['opportunistic']",
        "unknown\n",
        "accelerator\n",
    ):
        assert part in said


def test_the_documentation_names_every_keyword_and_method() -> None:
    for name in Options.__annotations__:
        assert f"`{name}`" in API or f"{name}=" in API, name
    for name, _ in inspect.getmembers(Client, inspect.isfunction):
        if not name.startswith("_"):
            assert f".{name}(" in API, name
