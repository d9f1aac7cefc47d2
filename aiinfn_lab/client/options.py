"""The keywords of ``submit`` and ``check``, the same for both clients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypedDict

from .submission import Submission


class Options(TypedDict, total=False):
    """What a submission may say beside its file.

    What is left out is what a header comment in the file says (``# AIINFN accelerator=t4 time=2h``); else for project,
    image and size what the session has; else the platform's default.

    Attributes
    ----------
    command
        Program and arguments, instead of a file, or one text that is a line of the shell; it runs in the present folder. With
        a folder as the path it runs in a copy of that folder.
    with_folder
        Whether the folder that the file is in goes along: a copy of it is made, and the job runs in that.
    arguments
        Of a script.
    parameters
        Of a notebook: values for names that its cell tagged ``parameters`` sets.
    sweep
        Makes a sweep of it: for each name several values, as a sequence or as text such as ``"1..10"`` or
        ``"log(1e-4, 1e-1, 4)"``; or a list of points; or a table as CSV. A script gets each value as ``--name=value``.
    parallelism
        Points of the sweep that wait or run at a time.
    name
        Under which the job is shown.
    labels
        Short words by which it is found again, such as ``paper-2026``.
    accelerator, count, size, image, project, queue
        As ``platform()`` names them.
    time_limit
        Such as ``"90m"``, or seconds.
    key
        Submitting again with the same key gives the same job. Default: a new one each time.
    folder
        From outside: into which folder of the home the file is put. Default: ``submitted``.
    replace
        From outside: whether the file may take the place of another one there.
    anyway
        Submit it although something was found that is sure to fail, such as a missing package.
    session
        From outside: name of the running session through which it goes; the usual one has an empty name.
    """

    command: Sequence[str] | str
    with_folder: bool
    arguments: Sequence[str]
    parameters: Mapping[str, Any]
    sweep: Mapping[str, str | Sequence[Any]] | Sequence[Mapping[str, Any]] | str
    parallelism: int
    name: str | None
    labels: Sequence[str]
    accelerator: str | None
    count: int | None
    size: str | None
    image: str | None
    project: str | None
    queue: str | None
    time_limit: str | float | None
    key: str
    folder: str
    replace: bool
    session: str | None
    anyway: bool


def submission(path: str | Path | None, options: Options) -> Submission:
    """Make a submission of what was given.

    Raises
    ------
    TypeError
        If there is an option that does not exist.
    """
    if unknown := options.keys() - Options.__annotations__.keys():
        raise TypeError(f"a submission has no {', '.join(sorted(unknown))}")
    given: dict[str, Any] = {key: value for key, value in options.items() if value is not None}
    own = {each.name for each in fields(Submission)}
    command = given.get("command")
    return Submission(
        path=None if path is None else str(path),
        command=None
        if command is None
        else (command,)
        if isinstance(command, str)
        else tuple(str(word) for word in command),
        arguments=tuple(str(word) for word in given.get("arguments", ())),
        parameters=dict(given.get("parameters") or {}),
        choices={key: value for key, value in given.items() if key not in own},
        **{key: value for key, value in given.items() if key in own - {"command", "arguments", "parameters"}},
    )
