"""Where a job's files are, by what it executes."""

from __future__ import annotations

from typing import Final, Protocol


class WorkLocation(Protocol):
    """What of a `jobs.Work` decides where its files are."""

    @property
    def kind(self) -> str:
        """``notebook``, ``script`` or ``command``."""

    @property
    def path(self) -> str:
        """The input, relative to the home."""

    @property
    def snapshot(self) -> str:
        """The copy of the input, relative to the home."""

    @property
    def folder(self) -> str | None:
        """The folder that was submitted as a whole."""


_NAME_BYTES: Final = 255
"""What file systems take for one name."""


def output_path(work: WorkLocation, job_id: str) -> str:
    """Return the path of a job's result, beside its input: ``NAME.JOBID.ipynb``, or ``NAME.JOBID.log`` of a script.

    Of a submitted folder it is at the top of `output_folder`. A stem that would make the name longer than file systems
    take is shortened.
    """
    folder = output_folder(work, job_id) if work.folder is not None else work.path.rpartition("/")[0]
    return _beside(folder, _stem(work), f".{job_id}{_suffix(work)}")


def output_folder(work: WorkLocation, job_id: str) -> str:
    """Return the folder of a sweep's results, beside its input: ``NAME.SWEEPID``; of a submitted folder, ``FOLDER.JOBID``."""
    path, stem = (work.path, _stem(work)) if work.folder is None else (work.folder, None)
    folder, _, name = path.rpartition("/")
    # Shortened like the result of a single job, so that both have one name.
    ending = f".{job_id}"
    return _beside(folder, stem or name, ending, room=len(_suffix(work)))


def point_output(work: WorkLocation, sweep_id: str, point: int) -> str:
    """Return the path of the result of a point, from 1, in its sweep's folder: ``0001.ipynb``.

    Each point of a submitted folder has a copy of it, ``0001``, and its result is in that.
    """
    folder = output_folder(work, sweep_id)
    if work.folder is None:
        return f"{folder}/{point:04}{_suffix(work)}"
    return _beside(f"{folder}/{point:04}", _stem(work), f".{point:04}{_suffix(work)}")


def folder_copy(work: WorkLocation) -> str:
    """Return the copy of the submitted folder, relative to the home; the job's input is in it."""
    return work.snapshot.removesuffix(work.path.removeprefix(work.folder or work.path))


def _stem(work: WorkLocation) -> str:
    if work.kind == "command":
        return "command"
    filename = work.path.rpartition("/")[2]
    return filename.rpartition(".")[0] or filename


def _suffix(work: WorkLocation) -> str:
    return ".ipynb" if work.kind == "notebook" else ".log"


def _beside(folder: str, stem: str, ending: str, *, room: int = 0) -> str:
    short = stem.encode()[: _NAME_BYTES - len(ending.encode()) - room].decode(errors="ignore")
    return f"{folder}/{short}{ending}" if folder else f"{short}{ending}"
