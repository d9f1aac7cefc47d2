"""What the drill's jobs run: it writes down in the home when it ran, as which attempt, and on which devices.

``beating_job.py KILLS [detach]``: it works until the drill has done so many kills more, however long they take. Every line of a
process's own file is a moment at which it lived, in seconds of the clock that goes on since the machine's start. With
``detach`` a second process leaves the first one as daemons do, is deaf to SIGTERM, and goes on until somebody ends it.
"""

import os
import signal
import sys
import time
from pathlib import Path

FOLDER = Path.home() / "drill"
BEAT = 0.05
LONGEST = 900
ALL = 10**9


def main(kills: int, *, detach: bool) -> None:
    """Live until there were so many kills more, or all are done."""
    if detach and os.fork() == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        # It must not keep the job's output open, as a real daemon would not.
        null = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(null, number)
        live("detached", LONGEST)
        os._exit(0)
    live("main", min(kills_done() + kills, ALL))


def live(role: str, until: int) -> None:
    """Write down every moment."""
    environment = os.environ
    name = f"{environment['AIINFN_JOB_ID']}.{environment['AIINFN_ATTEMPT']}.{role}.{os.getpid()}"
    with (FOLDER / "lives" / name).open("a", buffering=1) as file:
        file.write(f"begin {now()} {environment['AIINFN_DEVICES']}\n")
        end = now() + LONGEST
        while now() < end and (role == "detached" or kills_done() < until):
            time.sleep(BEAT)
            file.write(f"beat {now()}\n")
        file.write(f"end {now()}\n")


def kills_done() -> int:
    """Return what the drill tells."""
    return int((FOLDER / "kills").read_text())


def now() -> float:
    """Return the seconds since the machine's start."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


if __name__ == "__main__":
    main(int(sys.argv[1]), detach="detach" in sys.argv[2:])
