"""What a submission is about: a file, a file in a folder that goes along, or a command in a folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, Final

from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_lab.i18n.language import gettext as _
from aiinfn_lab.paths import (
    HomeDocument,
    Places,
    is_printable,
    show,
)

from . import folder, snapshot
from .inspection import Inspection, inspect

LONGEST_COMMAND: Final = 4096


@dataclass(frozen=True)
class Target:
    """What is to be submitted.

    Attributes
    ----------
    document
        The file; of a command, the folder, without data.
    plan
        Of a folder that is submitted as a whole: what of it is copied.
    command
        A line for the shell.
    """

    document: HomeDocument
    inspection: Inspection
    plan: folder.CopyPlan | None = None
    command: str | None = None

    def planned(self, key: str) -> str:
        """Path that the copy of the file, or for a command of the folder, would have, relative to the home."""
        if self.plan is None:
            return snapshot.planned(key, self.document.name)
        return snapshot.planned(key, self.plan.name) + self._inner

    def take(self, places: Places, key: str) -> snapshot.Snapshot:
        """Make the copy. Blocks.

        Raises
        ------
        Refusal
            If there is no room, or something cannot be read or written. Nothing is left behind.
        """
        if self.plan is not None:
            return snapshot.take_folder(places.home, key, self.plan)
        return snapshot.take(places.home, key, self.document.name, self.document.data)

    def work(self) -> dict[str, Any]:
        """Return the keys of `aiinfn_hub.vkd.contract.Work` that only submissions of folders have."""
        found: dict[str, Any] = {} if self.plan is None else {"folder": self.plan.home_path}
        return found if self.command is None else {**found, "command": self.command}

    @property
    def _inner(self) -> str:
        assert self.plan is not None  # noqa: S101 - asked for folders only
        return self.document.home_path.removeprefix(self.plan.home_path)


def find(places: Places, body: Mapping[str, Any], limit: int) -> Target:
    """Read what a request is about: its keys ``path``, ``folder`` and ``command``. Blocks; call it in a thread.

    Parameters
    ----------
    limit
        Bytes that a file may have to be run.

    Raises
    ------
    Refusal
        If it is nothing to submit.
    """
    asked, command = body.get("folder"), body.get("command")
    if asked is None:
        if command is not None:
            raise Refusal(
                Reason.INVALID,
                _("A command needs a folder to run in."),
                _("Submit a folder."),
                field="command",
            )
        document = places.read(body.get("path"), limit)
        return Target(document, inspect(document))
    path, home_path, place = places.folder(asked)
    if command is not None:
        if body.get("path") is not None:
            raise Refusal(
                Reason.INVALID,
                _("A job runs either a file or a command."),
                _("Leave out one of them."),
                field="path",
            )
        document = HomeDocument(path, home_path, place, place.name, b"", datetime.now(UTC))
        line = check_command(command)
        return Target(document, Inspection("command", "shell"), folder.plan(path, home_path, place), line)
    document = places.read(body.get("path"), limit)
    inspection = inspect(document)
    inner = document.home_path.removeprefix(f"{home_path}/")
    if inner == document.home_path:
        raise Refusal(
            Reason.INVALID,
            _("{file} is not in the folder {folder}.").format(file=show(document.path), folder=show(path)),
            _("Choose a file of the folder."),
            field="path",
        )
    plan = folder.plan(path, home_path, place, inner)
    if not any(entry.path == inner and entry.kind != "folder" for entry in plan.copied):
        raise Refusal(
            Reason.INVALID,
            _("{file} is left out when the folder is copied.").format(file=show(inner)),
            _("Choose another file, or take it back in {rules}: !{file}").format(
                rules=folder.IGNORE_FILE, file=PurePosixPath(inner).name
            ),
            field="path",
        )
    return Target(document, inspection, plan)


def check_command(command: object) -> str:
    """Check a line for the shell.

    Raises
    ------
    Refusal
        If it is no text, empty, too long, or more than one line.
    """
    if not isinstance(command, str) or not command.strip():
        raise Refusal(
            Reason.INVALID, _("The command is empty."), _("Write what the shell is to run."), field="command"
        )
    if len(command) > LONGEST_COMMAND:
        raise Refusal(
            Reason.TOO_LARGE,
            _("The command is longer than {longest} characters.").format(longest=LONGEST_COMMAND),
            _("Put it into a script of the folder."),
            field="command",
        )
    if any(not is_printable(character) and character != "\t" for character in command):
        raise Refusal(
            Reason.INVALID,
            _("The command must be one line without control characters."),
            _("Put more than one line into a script of the folder."),
            field="command",
        )
    return command.strip().replace("\t", " ")
