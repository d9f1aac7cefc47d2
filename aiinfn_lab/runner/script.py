"""Execution of a script: its output goes to the job's log and to a file beside the script."""

from __future__ import annotations

import contextlib
import fcntl
import os
import selectors
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType
from typing import Final, Self

from aiinfn_hub.contract.jobs import RunSpec
from aiinfn_lab.runner import launcher
from aiinfn_lab.runner.protocol import (
    OUT_OF_MEMORY,
    CannotRunError,
    Reporter,
    RunnerExit,
    die_with_parent,
    no_room,
)
from aiinfn_lab.runner.watch import RunWatch
from aiinfn_lab.submission.inspection import LANGUAGES, PROGRAMS

_TAIL: Final = 4000
"""Bytes of the output that an error record shows."""
_PIPE: Final = 2**20
"""Bytes that the script may be ahead of the log."""
_NO_SIGNAL: Final = 128 + 65
"""Exit codes of a shell from here on stand for no signal."""
_GATHER: Final = 0.01
"""Seconds to wait for more output before what there is is handed on."""
_LINGER: Final = 1.0
"""Seconds that output of processes which the script left behind is still waited for."""


def run(
    spec: RunSpec, snapshot: Path, folder: Path, output: Path, reporter: Reporter, watch: RunWatch
) -> int:
    """Run a script or a command and give the runner's exit code.

    Notes
    -----
    The copy made at submission is what runs, but as if it stood where the original does; see `_command`. Of a folder
    that was submitted as a whole, the file runs where it is in the job's own copy of the folder.
    """
    environment = dict(os.environ)
    start = folder
    scratch = contextlib.ExitStack()
    if spec.work.command is not None:
        # Without pipefail the job would count as successful when `python train.py | tee log` fails.
        command = [*_interpreter("command.sh"), "-o", "pipefail", "-c", spec.work.command]
        environment.setdefault("PYTHONUNBUFFERED", "1")
    elif spec.work.folder is not None:
        script = folder / snapshot.name
        command = [*_interpreter(script.name), str(script), *spec.work.arguments]
    else:
        command, start = _command(snapshot, folder, scratch)
        command += spec.work.arguments
    with scratch, _LogFile(output, reporter) as log:
        process = subprocess.Popen(
            command,
            cwd=start,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - there are no threads here
        )
        stopper = _Stopper(process)
        try:
            _relay(process, log, watch)
        finally:
            stopper.kill_group()
            process.wait()
    shell = Path(command[0]).name == "bash"
    return _result(process.returncode, log, reporter, watch, shell=shell, stopped=stopper.stopped)


def _result(
    code: int, log: _LogFile, reporter: Reporter, watch: RunWatch, *, shell: bool, stopped: bool
) -> int:
    if stopped:
        return RunnerExit.STOPPED
    # What the script printed is in the log already: the log gets one line about its end.
    tail = log.tail.decode(errors="replace")
    # 128 + N is how a shell tells that signal N ended its last command.
    by_signal = code if code < 0 else 128 - code if shell and 128 < code < _NO_SIGNAL else 0
    if by_signal:
        what = "The script" if code < 0 else "The last command of the script"
        name, message = watch.why_ended(what, by_signal)
        name = name if name == OUT_OF_MEMORY else "Killed"
        reporter.error(name, message, traceback=tail, line=f"[{message}]")
        return RunnerExit.FAILED
    if code:
        # Of most languages the last line names the error; that of a group of errors ends with the rule of a box.
        last = next((line for line in reversed(tail.splitlines()) if line.strip(" |+-")), "")
        message = last.strip(" |").strip() or "The script said nothing about it."
        reporter.error(f"Exit code {code}", message, traceback=tail, line=f"[exit code {code}]")
        return RunnerExit.FAILED
    if log.incomplete:
        # What the script is there for was done, and all that it printed is in the job's own log, too.
        reporter.line(f"[The script succeeded. {log.name} in your home is not complete.]")
    return RunnerExit.SUCCESS


def _command(snapshot: Path, folder: Path, scratch: contextlib.ExitStack) -> tuple[list[str], Path]:
    """Return the command that runs a copy under the name of the original, and the folder in which it starts.

    Python has a launcher for that. A shell takes the name of a script from where it reads it, so it reads a file of that name
    in a folder of the job's own, whose first line leads to the folder of the original: ``$0`` and ``BASH_SOURCE`` are ``./NAME``
    there. R sees the copy.
    """
    command = _interpreter(snapshot.name)
    if snapshot.suffix == ".py":
        return [*command, launcher.__file__, str(folder / snapshot.name), str(snapshot)], folder
    if snapshot.suffix != ".sh":
        return [*command, str(snapshot)], folder
    try:
        place = Path(scratch.enter_context(tempfile.TemporaryDirectory(prefix="aiinfn-script-")))
        # The shell has the file open, and goes on reading it when its name is gone.
        start = f"cd -- {shlex.quote(str(folder))} && unset OLDPWD; command rm -rf -- {shlex.quote(str(place))} 2>/dev/null; "
        (place / snapshot.name).write_bytes(os.fsencode(start) + snapshot.read_bytes())
    except OSError:
        # There is no room, or no folder for temporary files. It runs, if under another name.
        return [*command, str(snapshot)], folder
    # Not by `.`: the script would take itself for one that another shell reads, e.g. by `(return 0 2>/dev/null)`.
    return [*command, f"./{snapshot.name}"], place


def _interpreter(name: str) -> list[str]:
    ending = Path(name).suffix
    language = LANGUAGES.get(ending)
    if language == "python":
        return [sys.executable, "-u"]
    program = PROGRAMS.get(language or "")
    if program is None:
        raise CannotRunError(
            "Unknown script", f"Scripts that end in '{ending}' cannot be run; use .py, .sh or .R."
        )
    if (found := shutil.which(program)) is None:
        raise CannotRunError(
            f"No {program}",
            f"This environment has no {program}, which the script needs. Choose another image.",
        )
    return [found]


def _relay(process: subprocess.Popen[bytes], log: _LogFile, watch: RunWatch) -> None:
    """Hand the output on until it ends, or the script did and only what it left behind keeps the pipe open."""
    assert process.stdout is not None  # noqa: S101 - because of stdout=PIPE
    descriptor = process.stdout.fileno()
    with contextlib.suppress(OSError, AttributeError):
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE)
    deadline: float | None = None
    with process.stdout, selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while deadline is None or time.monotonic() < deadline:
            watch.look()
            if selector.select(timeout=0.2):
                # A script that prints line by line would otherwise cost several system calls for each line.
                time.sleep(_GATHER)
                data = os.read(descriptor, _PIPE)
                if not data:
                    return
                log.write(data)
            elif deadline is None and process.poll() is not None:
                deadline = time.monotonic() + _LINGER


class _Stopper:
    """Forwards the order to stop to the script and all that it started."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.stopped = False
        self._group = process.pid
        signal.signal(signal.SIGTERM, self._forward)
        signal.signal(signal.SIGINT, self._forward)

    def kill_group(self) -> None:
        self._signal(signal.SIGKILL)

    def _forward(self, number: int, frame: FrameType | None) -> None:
        self.stopped = True
        self._signal(signal.SIGTERM)

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self._group, number)
        except (ProcessLookupError, PermissionError):
            return


class _LogFile:
    """The file beside the script. A full disk neither stops the script nor makes it fail, but is reported."""

    def __init__(self, path: Path, reporter: Reporter) -> None:
        self.tail = b""
        self.incomplete = False
        self.name = path.name
        self._reporter = reporter
        self._path = path
        self._file = path.open("wb", buffering=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._file.close()
        except OSError:
            # Network file systems report a full disk only now.
            self.incomplete = True

    def write(self, data: bytes) -> None:
        self._reporter.log_bytes(data)
        self.tail = (self.tail + data)[-_TAIL:]
        if self.incomplete:
            return
        view = memoryview(data)
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            self.incomplete = True
            why = "there is no room left" if no_room(error) else error.strerror
            self._reporter.line(f"[{self._path.name} is not written any more: {why}]")
