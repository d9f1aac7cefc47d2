"""What runs in the tests' jobs instead of the runner: executes the Python in the job's first argument."""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any


def say(text: str) -> None:
    print(text, flush=True)


def record(**value: Any) -> None:
    sys.stdout.write("\x1e" + json.dumps(value) + "\n")
    sys.stdout.flush()


def ignore_sigterm() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def daemon() -> None:
    """Detach a child as daemons do, which ignores SIGTERM, too; print its process id once it is another program."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            ignore_sigterm()
            os.write(writing, b"%d" % os.getpid())
            os.execve("/bin/sleep", ["sleep", "120"], {})
        os._exit(0)
    os.wait()
    os.close(writing)
    with os.fdopen(reading) as stream:  # ends when the child's copy is closed by its new program
        say(f"daemon {stream.read()} ")


spec = json.loads(Path(sys.argv[1]).read_text() if len(sys.argv) > 1 else sys.stdin.read())
# As the runner: a job that was stopped never ends with success.
signal.signal(signal.SIGTERM, lambda *_: os._exit(75))
sleep, environ = time.sleep, os.environ
exit = sys.exit  # noqa: A001 - the site module that has it is not loaded
exec(spec["work"]["arguments"][0])
