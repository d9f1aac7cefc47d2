"""The folder that a job runs in if a folder was submitted: a copy beside the original, in which all that it writes stays."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from types import FrameType

from aiinfn_hub.contract.jobs import RunSpec
from aiinfn_hub.contract.paths import folder_copy

from .protocol import CannotRunError, RunnerExit, no_room


def prepare(spec: RunSpec) -> Path:
    """Make it, and give the folder in it from which the program's relative names count.

    It is made once: a later attempt goes on in what an earlier one left, as a job that ran in its original folder would.

    Raises
    ------
    CannotRunError
        If there is no room for it.
    OSError
        If it cannot be written.
    """
    home, work = Path(spec.home), spec.work
    place = (home / spec.output).parent
    if not place.is_dir():
        _copy(home / folder_copy(work), place, spec.job)
    if work.kind == "command":
        return place
    return (place / work.path.removeprefix(f"{work.folder}/")).parent


def _copy(source: Path, place: Path, job: str) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)  # the points of a sweep have a folder of their own
    # Not from the folder's name, which may be as long as names can be.
    draft = place.with_name(f".{job}.part")
    shutil.rmtree(draft, ignore_errors=True)

    def stop(number: int, frame: FrameType | None) -> None:
        shutil.rmtree(draft, ignore_errors=True)
        os._exit(RunnerExit.STOPPED)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        shutil.copytree(source, draft, symlinks=True, copy_function=_copy_file)
        draft.rename(place)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _copy_file(source: str, target: str) -> str:
    try:
        return str(shutil.copy2(source, target))
    except OSError as error:
        # copytree would go on, and tell all of them at its end.
        if no_room(error):
            raise CannotRunError(
                "Disk full",
                "There is no room in your home for the folder that the job runs in. Delete something, then run it again.",
            ) from error
        raise
