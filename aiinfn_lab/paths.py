"""From the path that JupyterLab uses to a file that may be submitted, and back."""

from __future__ import annotations

import errno
import os
import stat
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Final

from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_lab.i18n.formats import bytes_in_words
from aiinfn_lab.i18n.language import gettext as _

DRIVE: Final = "RTC:"
"""Prefix that jupyter-collaboration puts before the paths of its drive."""
MAX_PATH: Final = 1024
"""Characters of a path below the home that vkd accepts."""


def private_folder(home: Path, folder: str) -> Path:
    """Make a folder below the home for its owner only, with the levels above it that are missing, and return it.

    ``mkdir(parents=True)`` would give those the umask's mode. What exists stays as it is.

    Parameters
    ----------
    folder
        Relative to the home.
    """
    place = home
    for name in PurePosixPath(folder).parts:
        place /= name
        place.mkdir(mode=0o700, exist_ok=True)
    return place


@dataclass(frozen=True)
class HomeDocument:
    """A file as it was on disk at one moment.

    Attributes
    ----------
    path
        Relative to the server's root, as JupyterLab names it.
    home_path
        Relative to the home. Folders that are links are followed, the name of the file itself stays: the result
        appears where the person sees the input.
    folder
        Real path of the folder the file is in.
    """

    path: str
    home_path: str
    folder: Path
    name: str
    data: bytes
    modified: datetime


@dataclass(frozen=True)
class Places:
    """The two folders between which paths are translated; both real and absolute."""

    root: Path
    home: Path

    @classmethod
    def find(cls, root_dir: str) -> Places:
        """Resolve the server's root and the home of this process."""
        return cls(Path(root_dir).expanduser().resolve(), Path.home().resolve())

    def read(self, api_path: object, limit: int) -> HomeDocument:
        """Read a file to be submitted. Blocks; call it in a thread.

        Parameters
        ----------
        api_path
            What the browser sent, of any type.
        limit
            Bytes that the file may have.

        Raises
        ------
        Refusal
            If it is not a regular, readable file below both the root and the home.
        """
        path = clean(api_path)
        shown = show(path)
        try:
            folder = (self.root / path).parent.resolve(strict=True)
            name = PurePosixPath(path).name
            if name in {"", ".."} or path.endswith("/.."):
                raise _refuse(
                    Reason.INVALID,
                    _("{shown} is a folder.").format(shown=shown),
                    _("Choose a notebook or a script."),
                )
            target = (folder / name).resolve(strict=True)
            for place in (folder, target):
                if not (place.is_relative_to(self.root) and place.is_relative_to(self.home)):
                    raise self._outside(shown, self.root / path)
            data, modified = _read_regular(target, shown, limit)
        except (OSError, RuntimeError) as error:
            raise _explain(error, shown) from error
        home_path = (folder / name).relative_to(self.home).as_posix()
        _check_length(home_path, shown)
        return HomeDocument(path, home_path, folder, name, data, modified)

    def folder(self, api_path: object) -> tuple[str, str, Path]:
        """Find a folder to be submitted: its path below the root, below the home, and its real place. Blocks.

        Raises
        ------
        Refusal
            If it is no folder below both the root and the home, or is the home itself.
        """
        path = PurePosixPath(clean(api_path, "folder")).as_posix()
        shown = show(path)
        try:
            place = (self.root / path).resolve(strict=True)
            if not (place.is_relative_to(self.root) and place.is_relative_to(self.home)):
                raise self._outside(shown, self.root / path)
            if not place.is_dir():
                raise _refuse(
                    Reason.INVALID,
                    _("{shown} is no folder.").format(shown=shown),
                    _("Choose a folder."),
                    "folder",
                )
        except (OSError, RuntimeError) as error:
            raise _explain(error, shown) from error
        # The result appears beside it, so neither the home nor what the platform keeps in it can be submitted.
        if place in (self.home, self.root) or ".aiinfn" in place.relative_to(self.home).parts:
            raise _refuse(
                Reason.INVALID,
                _("{shown} cannot be submitted as a whole.").format(shown=shown),
                _("Choose a folder in it."),
                "folder",
            )
        home_path = place.relative_to(self.home).as_posix()
        _check_length(home_path, shown)
        return path, home_path, place

    def to_root(self, home_path: str) -> str | None:
        """Translate a path relative to the home for JupyterLab, or None if it is not below the server's root."""
        full = Path(os.path.normpath(self.home / home_path))
        if not full.is_relative_to(self.root) or full == self.root:
            return None
        return full.relative_to(self.root).as_posix()

    def _outside(self, shown: str, full: Path) -> Refusal:
        if full.is_symlink():
            return _refuse(
                Reason.FORBIDDEN,
                _("{shown} is a link that leads out of your home.").format(shown=shown),
                _("Copy the file itself into your home."),
            )
        return _refuse(
            Reason.FORBIDDEN,
            _("{shown} is outside of your home folder.").format(shown=shown),
            _("Copy it into your home: a job sees only that."),
        )


_NOT_THERE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP})


def look(place: Path, *, folder: bool = False) -> tuple[bool, str | None]:
    """Return whether there is a file, or a folder, and if it cannot be looked at why. Blocks.

    `Path.is_file` and its likes let through what a folder without rights or a stale network file system gives, and
    from Python 3.14 on call it missing.
    """
    try:
        mode = place.stat().st_mode
    except OSError as error:
        if error.errno in _NOT_THERE:
            return False, None
        return False, error.strerror or _("the file system gave an error")
    except ValueError:
        return False, None
    return (stat.S_ISDIR(mode) if folder else stat.S_ISREG(mode)), None


def clean(api_path: object, field: str = "path") -> str:
    """Check the path that the browser sent and take off the drive and leading slashes.

    Parameters
    ----------
    field
        The key of the request that it is the value of.

    Raises
    ------
    Refusal
        If it is no text, empty, or has characters that no name should have.
    """
    folder = field == "folder"
    hint = _("Say which folder to submit.") if folder else _("Say which notebook or script to submit.")
    if not isinstance(api_path, str):
        message = _("The path of the folder is missing.") if folder else _("The path of the file is missing.")
        raise _refuse(Reason.INVALID, message, hint, field)
    path = api_path.removeprefix(DRIVE).lstrip("/")
    if not path.strip():
        message = _("The path of the folder is empty.") if folder else _("The path of the file is empty.")
        raise _refuse(Reason.INVALID, message, hint, field)
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in path):
        raise _refuse(
            Reason.INVALID,
            _("The name {name} has control characters, such as a line break.").format(name=show(path)),
            _("Rename the folder, then submit it again.")
            if folder
            else _("Rename the file, then submit it again."),
            field,
        )
    return path


def show(path: str) -> str:
    """Quote a path for a sentence: printable and not too long."""
    shown = printable(path)
    return f"'{shown}'" if len(shown) <= 120 else f"'{shown[:60]}...{shown[-50:]}'"


def is_printable(text: str) -> bool:
    """Return whether a text can be shown in one line: letters, signs and blanks of every width, also those that do not break."""
    return text.isprintable() or all(
        character.isprintable() or unicodedata.category(character) == "Zs" for character in text
    )


def printable(text: str, keep: str = "") -> str:
    """Write a text without what would command a terminal or cannot be shown."""
    return "".join(
        character if character in keep or is_printable(character) else "\N{REPLACEMENT CHARACTER}"
        for character in text
    )


def _read_regular(target: Path, shown: str, limit: int) -> tuple[bytes, datetime]:
    _check_kind(target.stat().st_mode, shown)
    # Not blocking, because between the two looks the file may have become a pipe that nobody writes.
    descriptor = os.open(target, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, not a path
        status = os.fstat(file.fileno())
        _check_kind(status.st_mode, shown)
        if status.st_size > limit:
            raise _too_large(shown, limit)
        data = file.read(limit + 1)
    if len(data) > limit:
        raise _too_large(shown, limit)
    return data, datetime.fromtimestamp(status.st_mtime, UTC)


def _check_kind(mode: int, shown: str) -> None:
    if stat.S_ISDIR(mode):
        raise _refuse(
            Reason.INVALID, _("{shown} is a folder.").format(shown=shown), _("Choose a notebook or a script.")
        )
    if not stat.S_ISREG(mode):
        raise _refuse(
            Reason.INVALID,
            _("{shown} is not a regular file.").format(shown=shown),
            _("Choose a notebook or a script."),
        )


def _too_large(shown: str, limit: int) -> Refusal:
    return _refuse(
        Reason.TOO_LARGE,
        _("{shown} is larger than {size}.").format(shown=shown, size=bytes_in_words(limit)),
        _("Clear the notebook's outputs and save it, or load large data from files."),
    )


def _explain(error: OSError | RuntimeError, shown: str) -> Refusal:
    code = getattr(error, "errno", None)
    if isinstance(error, RuntimeError) or code == errno.ELOOP:
        return _refuse(
            Reason.INVALID,
            _("{shown} is a link that leads in a circle.").format(shown=shown),
            _("Replace it by the file itself."),
        )
    if isinstance(error, PermissionError):
        return _refuse(
            Reason.FORBIDDEN,
            _("{shown} cannot be read.").format(shown=shown),
            _("Give yourself the right to read it (chmod u+r)."),
        )
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return _refuse(
            Reason.NOT_FOUND,
            _("There is no file {shown}.").format(shown=shown),
            _("Save it first, or choose another one."),
        )
    if code == errno.ENAMETOOLONG:
        return _refuse(
            Reason.NOT_FOUND,
            _("There is no file {shown}: the name is longer than the file system takes.").format(shown=shown),
            _("Choose a shorter name."),
        )
    return _refuse(
        Reason.UNAVAILABLE,
        _("{shown} could not be read: {reason}.").format(
            shown=shown, reason=os.strerror(code) if code else _("the file system gave an error")
        ),
        _("Try again in a moment."),
    )


def _check_length(home_path: str, shown: str) -> None:
    if len(home_path) > MAX_PATH:
        raise _refuse(
            Reason.INVALID,
            _("The path of {shown} is longer than {most} characters.").format(shown=shown, most=MAX_PATH),
            _("Move it to a folder that is less deep."),
        )


def _refuse(reason: Reason, message: str, hint: str, field: str = "path") -> Refusal:
    return Refusal(reason, message, hint, field=field)
