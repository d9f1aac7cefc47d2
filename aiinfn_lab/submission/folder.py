"""A folder that is submitted as a whole: what of it is copied, what is left out, what is only linked, and what could run.

Rules, in this order:

- What `LEFT_OUT` names, virtual environments, and what a ``.aiinfnignore`` at the top of the folder matches is left out.
- At most `MOST_FILES` files of `MOST_BYTES` bytes together are copied. What is largest is linked to the original until the
  rest fits, so that the job finds its data.
- Links stay links; one that leads out of the folder by a relative way is made absolute, as the copy is elsewhere.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final, Literal

from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.contract.templates import NOTHING
from aiinfn_lab.i18n.formats import bytes_in_words, number
from aiinfn_lab.i18n.language import gettext as _
from aiinfn_lab.i18n.messages import Message
from aiinfn_lab.paths import look, show

from .inspection import LANGUAGES

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

MOST_FILES: Final = 2000
MOST_BYTES: Final = 100 * 2**20
IGNORE_FILE: Final = ".aiinfnignore"
LEFT_OUT: Final = (
    *(".git/", ".hg/", ".svn/", ".aiinfn/", ".ipynb_checkpoints/", "__pycache__/", "node_modules/"),
    *(".mypy_cache/", ".pytest_cache/", ".ruff_cache/", ".tox/", ".nox/", ".DS_Store"),
)
"""Patterns as in a ``.gitignore``; ``!`` in a ``.aiinfnignore`` takes one back."""
_ENVIRONMENT: Final = ("pyvenv.cfg", "conda-meta")
"""What a virtual environment has at its top."""
_MOST_SEEN: Final = 50_000
"""Names that are looked at in all."""
_MOST_BELOW: Final = 5 * MOST_FILES
"""Names that are looked at below one that is at the top: so large a part is not copied in any case."""
_MOST_LINKED: Final = 20
_DEEPEST: Final = 60
_LARGEST_IGNORE: Final = 64 * 2**10
_MOST_PROGRAMS: Final = 200
_MOST_NAMES: Final = 1000
"""Names that a message has; its sentence shows the first few."""
_USUAL: Final = tuple(
    f"{stem}{ending}" for stem in ("main", "run", "train") for ending in (".py", ".sh", ".ipynb", ".R", ".r")
)
"""Names of files that are meant to be run, the likeliest first."""


@dataclass
class Entry:
    """Something in the folder.

    Attributes
    ----------
    path
        Relative to the folder.
    size
        Bytes of its files; of a link 0.
    files
        Number of its files.
    cut
        Of a folder: not all of it was looked at, as it has more than may be copied in any case.
    """

    path: str
    kind: Literal["file", "folder", "link"]
    size: int = 0
    files: int = 0
    cut: bool = False
    children: list[Entry] = field(default_factory=list)

    def walk(self) -> Iterator[Entry]:
        """Yield it and all below it, folders before what is in them."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True)
class CopyPlan:
    """What a submission of a folder copies.

    Attributes
    ----------
    path
        Relative to the server's root, as JupyterLab names it.
    home_path
        Relative to the home.
    place
        Real path.
    copied
        Everything that is copied, folders before what is in them.
    linked
        What is too large; the job sees the original.
    left_out
        Paths that are left out by rule; those of folders end in ``/``.
    unreadable
        Paths that cannot be read.
    """

    path: str
    home_path: str
    place: Path
    copied: list[Entry]
    linked: list[Entry]
    left_out: list[str]
    unreadable: list[str]

    @property
    def name(self) -> str:
        """Of the folder."""
        return PurePosixPath(self.home_path).name

    @property
    def files(self) -> int:
        """Number of files that are copied."""
        return sum(1 for entry in self.copied if entry.kind == "file")

    @property
    def size(self) -> int:
        """Bytes that are copied."""
        return sum(entry.size for entry in self.copied if entry.kind == "file")

    @property
    def programs(self) -> list[str]:
        """Notebooks and scripts that are copied, those at the top first."""
        found = [entry.path for entry in self.copied if entry.kind == "file" and _runs(entry.path)]
        return sorted(found, key=lambda path: (path.count("/"), path))[:_MOST_PROGRAMS]

    @property
    def program(self) -> str | None:
        """The one that is probably meant to run; None if none is likelier than others."""
        programs = self.programs
        top = [path for path in programs if "/" not in path]
        for usual in _USUAL:
            if usual in top:
                return usual
        notebooks = [path for path in top if path.endswith(".ipynb")]
        scripts = [path for path in top if not path.endswith(".ipynb")]
        for some in (scripts, notebooks, programs):
            if len(some) == 1:
                return some[0]
        return None

    @property
    def command(self) -> str:
        """A command that is probably meant; may be empty."""
        names = {entry.path for entry in self.copied}
        if "Makefile" in names:
            return "make"
        return "snakemake --cores all" if "Snakefile" in names else ""

    def has(self, path: str) -> bool:
        """Return whether the job finds something at a path relative to the folder."""
        wanted = os.path.normpath(path)
        gone = (each.rstrip("/") for each in (*self.left_out, *self.unreadable))
        return not any(wanted == each or wanted.startswith(f"{each}/") for each in gone)

    def messages(self) -> tuple[Message, Message]:
        """Return what is copied and left out, and what is linked; the second may be nothing."""
        copied = (
            Message(
                "folder.copied_in_part",
                number=self.files,
                size=self.size,
                left_out=_list(self.left_out),
            )
            if self.left_out
            else Message("folder.copied", number=self.files, size=self.size)
        )
        if not self.linked:
            return copied, Message(NOTHING)
        entries = [_large(entry) for entry in self.linked]
        return copied, Message("folder.linked", entries=entries, number=len(entries))

    def as_json(self) -> dict[str, Any]:
        """Return what a form needs."""
        return {
            "path": self.path,
            "name": self.name,
            "files": self.files,
            "size": self.size,
            "left_out": self.left_out[:_MOST_PROGRAMS],
            "linked": [
                {"path": entry.path, "size": None if entry.cut else entry.size} for entry in self.linked
            ],
            "programs": self.programs,
            "program": self.program,
            "command": self.command,
            "sentence": " ".join(str(each) for each in self.messages() if each),
        }


def plan(path: str, home_path: str, place: Path, program: str | None = None) -> CopyPlan:
    """Look at a folder and decide what is copied. Blocks; call it in a thread.

    Parameters
    ----------
    program
        The file that is to run, relative to the folder; it is copied in any case.

    Raises
    ------
    Refusal
        If it cannot be read, or is too large even without what can be linked.
    """
    look = _Look(place, _ignored(place))
    top = look.folder("", 0)
    linked = _link(top, program)
    copied = [entry for entry in top.walk() if entry.path]
    return CopyPlan(path, home_path, place, copied, linked, sorted(look.left_out), sorted(look.unreadable))


class _Look:
    """One look at a folder; it counts what it sees."""

    def __init__(self, place: Path, ignored: GitIgnoreSpec) -> None:
        self.left_out: list[str] = []
        self.unreadable: list[str] = []
        self._place = place
        self._ignored = ignored
        self._seen = 0
        self._most = 0

    def folder(self, path: str, depth: int) -> Entry:
        """Look at a folder and what is in it, but no further than may be copied."""
        found = Entry(path, "folder")
        try:
            with os.scandir(self._place / path) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except OSError:
            self.unreadable.append(f"{path}/")
            return found
        self._seen += len(entries)
        if self._seen > _MOST_SEEN:
            raise _refuse(
                Reason.TOO_LARGE,
                _("The folder {name} has more than {most} files.").format(
                    name=show(self._place.name), most=number(_MOST_SEEN)
                ),
                _("Submit a smaller folder, or name in a file {rules} what the job does not need.").format(
                    rules=IGNORE_FILE
                ),
            )
        if path and (len(entries) > MOST_FILES or depth > _DEEPEST or self._seen > self._most):
            found.cut, found.files = True, len(entries)
            return found
        for entry in entries:
            self._add(found, entry, f"{path}/{entry.name}" if path else entry.name, depth)
        return found

    def _add(self, parent: Entry, entry: os.DirEntry[str], path: str, depth: int) -> None:
        try:
            is_folder = entry.is_dir(follow_symlinks=False)
        except OSError:
            self.unreadable.append(path)
            return
        shown = f"{path}/" if is_folder else path
        if self._ignored.match_file(shown) or (is_folder and _is_environment(entry.path)):
            self.left_out.append(shown)
            return
        if is_folder:
            if depth == 0:
                self._most = self._seen + _MOST_BELOW
            child = self.folder(path, depth + 1)
            if depth == 0 and self._seen > self._most:
                # It was not looked at to its end.
                child.children, child.cut = [], True
        elif entry.is_symlink():
            child = Entry(path, "link")
        else:
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:
                self.unreadable.append(path)
                return
            if not stat.S_ISREG(status.st_mode):
                self.left_out.append(path)
                return
            if not os.access(entry.path, os.R_OK):
                self.unreadable.append(path)
                return
            child = Entry(path, "file", status.st_size, 1)
        parent.children.append(child)
        parent.size += child.size
        parent.files += child.files
        parent.cut = parent.cut or child.cut


def _link(top: Entry, program: str | None) -> list[Entry]:
    """Take out of the tree what is largest until the rest may be copied, and give it.

    Raises
    ------
    Refusal
        If what may not be linked is too large itself, or too many things had to be.
    """
    linked: list[Entry] = []
    size, files = top.size, top.files
    while top.cut or top.size > MOST_BYTES or top.files > MOST_FILES:
        chosen = _largest(top, program)
        if chosen is None or len(linked) == _MOST_LINKED:
            raise _refuse(
                Reason.TOO_LARGE,
                _(
                    "The folder is too large: it has {files} files, {size}, and {most_files} files of {most_bytes} "
                    "can be copied."
                ).format(
                    files=number(files),
                    size=bytes_in_words(size),
                    most_files=number(MOST_FILES),
                    most_bytes=bytes_in_words(MOST_BYTES),
                ),
                _("Submit a smaller folder, or name in a file {rules} what the job does not need.").format(
                    rules=IGNORE_FILE
                ),
            )
        _remove(top, chosen)
        linked.append(chosen)
    return linked


def _largest(folder: Entry, program: str | None) -> Entry | None:
    """Find the largest thing that can be linked; of a folder that is large because of one thing in it, that thing."""
    for found in sorted(folder.children, key=_weight, reverse=True):
        if not found.files or found.path == program:
            continue
        inner = _largest(found, program)
        keeps = _keeps(found, program)
        if inner is not None and (keeps or inner.cut or 2 * _weight(inner) > _weight(found)):
            return inner
        if keeps:
            continue
        return found
    return None


def _remove(folder: Entry, gone: Entry) -> None:
    """Take something out of a tree, and count again."""
    folder.children = [child for child in folder.children if child is not gone]
    for child in folder.children:
        if _keeps(child, gone.path):
            _remove(child, gone)
    folder.size = sum(child.size for child in folder.children)
    folder.files = sum(child.files for child in folder.children)
    folder.cut = any(child.cut for child in folder.children)


def _keeps(entry: Entry, program: str | None) -> bool:
    return program is not None and (program == entry.path or program.startswith(f"{entry.path}/"))


def _weight(entry: Entry) -> float:
    """How much of what may be copied something takes; what was not looked at to its end is more than all."""
    return float("inf") if entry.cut else max(entry.size / MOST_BYTES, entry.files / MOST_FILES)


def _ignored(place: Path) -> GitIgnoreSpec:
    """Read the rules: ours, and behind them those of the folder."""
    # Loaded only here: a session's server does without it until a folder is submitted.
    from pathspec import GitIgnoreSpec  # noqa: PLC0415

    lines: list[str] = []
    try:
        with (place / IGNORE_FILE).open("rb") as file:
            data = file.read(_LARGEST_IGNORE + 1)
        lines = data.decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        data = b""
    except OSError as error:
        raise _refuse(
            Reason.FORBIDDEN,
            _("{file} cannot be read: {reason}.").format(
                file=show(f"{place.name}/{IGNORE_FILE}"), reason=error.strerror
            ),
            _("Make it a text file that you may read."),
        ) from error
    if len(data) > _LARGEST_IGNORE:
        raise _refuse(
            Reason.TOO_LARGE,
            _("{file} is larger than {size}.").format(file=IGNORE_FILE, size=bytes_in_words(_LARGEST_IGNORE)),
            _("Shorten it."),
        )
    for place_in_file, line in enumerate(lines, 1):
        try:
            GitIgnoreSpec.from_lines([line])
        except ValueError as error:
            raise _refuse(
                Reason.INVALID,
                _("Line {line} of {file} is no pattern: {pattern}.").format(
                    line=place_in_file, file=IGNORE_FILE, pattern=show(line)
                ),
                _("Write it as in a .gitignore."),
            ) from error
    return GitIgnoreSpec.from_lines([*LEFT_OUT, *lines])


def _is_environment(path: str) -> bool:
    return any(look(Path(path, name))[0] or look(Path(path, name), folder=True)[0] for name in _ENVIRONMENT)


def _runs(path: str) -> bool:
    return PurePosixPath(path).suffix in {".ipynb", *LANGUAGES}


def _large(entry: Entry) -> Message:
    shown = show(f"{entry.path}/" if entry.kind == "folder" else entry.path)[1:-1]
    if entry.cut or entry.size < MOST_BYTES / 100:
        return Message("folder.entry.many_files", path=shown)
    return Message("folder.entry.size", path=shown, size=entry.size)


def _list(names: list[str]) -> list[str]:
    return [show(name)[1:-1] for name in names[:_MOST_NAMES]]


def _refuse(reason: Reason, message: str, hint: str) -> Refusal:
    return Refusal(reason, message, hint, field="folder")
