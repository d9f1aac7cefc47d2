"""What in a notebook's cells is not Python: IPython's magics and shell commands. Pure functions of text."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from typing import Final

_PYTHON_CELLS: Final = frozenset({"time", "timeit", "capture", "prun", "memit", "mprun", "lprun", "debug"})
"""Cell magics whose cell is Python all the same."""
_SHELL_CELLS: Final = frozenset({"bash", "sh", "script", "system", "sx", "!"})
_FILE_CELLS: Final = frozenset({"writefile", "file"})
_TARGET: Final = re.compile(r"[\w.\[\]'\", \t]+")
_LONGEST: Final = 2000
"""Characters of a command that are looked at."""
_INSTALLS: Final = re.compile(r"\b(pip3?|conda|mamba|micromamba|uv|apt|apt-get)\b.*\b(install|add|sync)\b")
_FETCHES: Final = re.compile(
    r"(^|[\s;&|(])(wget|curl|git|tar|unzip|gunzip|bunzip2|gdown|kaggle|rclone|xrdcp|scp|rsync|aws|gsutil|mc|dvc|cp|mv|make|"
    r"python[\d.]*|bash|sh|Rscript|touch|\.{1,2}/\S+)\b"
)


@dataclass
class Shell:
    """What magics and commands do.

    Attributes
    ----------
    installs, fetches, moves
        They install packages, may bring files, change the folder.
    written, run
        Files that they write, and that they execute.
    """

    installs: bool = False
    fetches: bool = False
    moves: bool = False
    written: list[str] = field(default_factory=list)
    run: list[str] = field(default_factory=list)

    def take(self, command: str) -> None:
        """Take down a shell command."""
        command = command[:_LONGEST]
        self.installs = self.installs or bool(_INSTALLS.search(command))
        self.fetches = self.fetches or bool(_FETCHES.search(command)) or ">" in command

    def magic(self, line: str) -> None:
        """Take down a line that begins with ``%`` or ``!``."""
        if line.startswith("!"):
            self.take(line.lstrip("!"))
            return
        words = _words(line.lstrip("%")[:_LONGEST])
        if not words:
            return
        name, rest = words[0], words[1:]
        if name in {"cd", "pushd", "popd"}:
            self.moves = True
        elif name == "run":
            files = [word for word in rest if not word.startswith("-")]
            self.run.extend(files[:1])
        elif name in _FILE_CELLS:
            self.written.extend(rest[-1:])
        else:
            self.take(" ".join(words))


def strip(source: str, shell: Shell) -> str | None:
    """Make plain Python of a cell, line for line; None if it is none.

    Parameters
    ----------
    shell
        Takes down what the magics and commands do.
    """
    lines = source.replace("\r\n", "\n").split("\n")
    first = next((index for index, line in enumerate(lines) if line.strip()), None)
    if first is None:
        return ""
    if lines[first].lstrip().startswith("%%"):
        words = _words(lines[first].lstrip().lstrip("%")[:_LONGEST])
        name = words[0] if words else ""
        if name in _SHELL_CELLS:
            for line in lines[first + 1 :]:
                shell.take(line)
        elif name in _FILE_CELLS:
            shell.magic(lines[first].lstrip())
        if name not in _PYTHON_CELLS:
            return None
        lines[first] = ""
    return "\n".join(_stripped(lines, shell))


def _stripped(lines: list[str], shell: Shell) -> list[str]:
    found: list[str] = []
    goes_on = False
    quote = ""
    for line in lines:
        text = line.strip()
        indent = line[: len(line) - len(line.lstrip())]
        if goes_on:
            shell.take(text)
            found.append("")
        elif quote or not _is_magic(text):
            quote = _open_quote(line, quote)
            found.append(line if quote else _assigned(line, shell))
            continue
        else:
            shell.magic(text)
            found.append(f"{indent}pass")
        goes_on = text.endswith("\\")
    return found


def _assigned(line: str, shell: Shell) -> str:
    """Make Python of ``files = !ls``; everything else stays as it is."""
    target, sign, value = line.partition("=")
    if (
        not sign
        or not value.lstrip().startswith(("!", "%"))
        or value.startswith("=")
        or not _TARGET.fullmatch(target)
    ):
        return line
    shell.magic(value.strip())
    return f"{target}= None"


def _is_magic(text: str) -> bool:
    if text.startswith(("!", "?")) or (text.startswith("%") and re.match(r"%{1,2}\w", text)):
        return True
    return text.endswith("?") and "#" not in text and re.fullmatch(r"[\w.]+\?{1,2}", text) is not None


def _open_quote(line: str, quote: str) -> str:
    """Return the triple quote that is open behind a line: what is inside a text is no magic."""
    place = 0
    while place < len(line):
        if quote:
            end = line.find(quote, place)
            if end < 0:
                return quote
            place, quote = end + 3, ""
        elif line.startswith(('"""', "'''"), place):
            quote, place = line[place : place + 3], place + 3
        elif line[place] == "#":
            return ""
        elif line[place] in "\"'":
            place = _behind(line, place)
        else:
            place += 1
    return quote


def _behind(line: str, place: int) -> int:
    """Return the place behind a short text that begins here."""
    mark, place = line[place], place + 1
    while place < len(line) and line[place] != mark:
        place += 2 if line[place] == "\\" else 1
    return place + 1


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        return line.split()
