"""Start of the runner: reads a `RunSpec` as JSON from standard input, or from the file that is named."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import warnings
from pathlib import Path
from types import FrameType
from typing import get_args

from pydantic import ValidationError

from aiinfn_hub.contract.constants import CHECKPOINTS
from aiinfn_hub.contract.jobs import RunSpec, WorkKind
from aiinfn_lab import checkpoint
from aiinfn_lab.paths import private_folder
from aiinfn_lab.runner.meter import Meter
from aiinfn_lab.runner.protocol import CannotRunError, Reporter, RunnerExit, no_room
from aiinfn_lab.runner.records import Records
from aiinfn_lab.runner.watch import RunWatch


def main(arguments: list[str]) -> int:
    """Run one job and give the exit code."""
    # Before there is anything to save or to forward a signal to. The handlers of the parts replace it.
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    # The log belongs to the person's code; deprecations inside Jupyter are of no use there.
    warnings.simplefilter("ignore")
    reporter = Reporter()
    try:
        return _run(_read_spec(arguments), reporter)
    except CannotRunError as error:
        reporter.error(error.name, error.message)
    except OSError as error:
        if no_room(error):
            reporter.error(
                "Disk full",
                "There is no room left in your home for the result. Delete something, then run it again.",
            )
        else:
            reporter.error(
                "File error", f"{error.strerror or error}: {error.filename or 'a file of the job'}."
            )
    return RunnerExit.CANNOT_RUN


def _run(spec: RunSpec, reporter: Reporter) -> int:
    home, work = Path(spec.home), spec.work
    if work.kind not in get_args(WorkKind):
        raise CannotRunError(
            "Unknown kind of job",
            f"The aiinfn in this job's image cannot run what the platform calls {work.kind!r}. Submit it with a newer image.",
        )
    folder = (home / (work.folder or work.path)).parent
    if not folder.is_dir():
        raise CannotRunError(
            "Folder missing", f"The folder of {work.folder or work.path} does not exist any more."
        )
    snapshot = home / work.snapshot
    state = home / work.state if work.state else snapshot
    whole = snapshot.is_dir() if work.kind == "command" else snapshot.is_file() and state.is_file()
    if not whole:
        raise CannotRunError(
            "Input missing", "The copy of the input that was made at submission is gone. Submit it again."
        )
    output = home / spec.output
    if work.folder is not None:
        from aiinfn_lab.runner import workfolder  # noqa: PLC0415

        folder = workfolder.prepare(spec)
    output.parent.mkdir(parents=True, exist_ok=True)  # the points of a sweep have a folder of their own
    checkpoints = home / CHECKPOINTS / spec.job
    # Most jobs keep no checkpoint: a home without room for the folder must not stop them.
    with contextlib.suppress(OSError):
        private_folder(home, f"{CHECKPOINTS}/{spec.job}")
        os.environ[checkpoint.FOLDER] = str(checkpoints)
    with Records(reporter) as records, Meter(reporter) as meter:
        watch = RunWatch(records, meter)
        # Imported only now: a script must not wait for what a notebook needs.
        if work.kind != "notebook":
            from aiinfn_lab.runner import script  # noqa: PLC0415

            code = script.run(spec, snapshot, folder, output, reporter, watch)
        else:
            from aiinfn_lab.runner import notebook  # noqa: PLC0415

            code = notebook.run(spec, snapshot, folder, output, reporter, watch)
    if code == RunnerExit.SUCCESS:
        shutil.rmtree(checkpoints, ignore_errors=True)
    return code


def _read_spec(arguments: list[str]) -> RunSpec:
    if len(arguments) != 1:
        raise CannotRunError("Usage", "Usage: python -m aiinfn_lab.runner FILE, or - for standard input.")
    try:
        text = sys.stdin.buffer.read() if arguments[0] == "-" else Path(arguments[0]).read_bytes()
        return RunSpec.model_validate_json(text)
    except (ValidationError, OSError) as error:
        raise CannotRunError("Bad job", "The description of the job cannot be read.") from error


def _stop(number: int, frame: FrameType | None) -> None:
    os._exit(RunnerExit.STOPPED)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    # Everything is saved and ended: Python would take a quarter of a second to tear down the libraries one by one.
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
