"""What a drill concludes from what jobs wrote down, what the platform tells of them, and what was killed: pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

FINAL = frozenset({"succeeded", "failed", "cancelled"})
KILLED = "Failed: the process that supervises it was killed"
RESTARTED = "vkd was restarted just when this was started"


@dataclass(frozen=True)
class Life:
    """One process of an attempt, or a session: from its first to its last sign, in seconds since the machine's start.

    Attributes
    ----------
    job
        Or the name of a session, whose attempt is 0.
    main
        It is the job's own process, and none that detached itself.
    finished
        It did all of its work.
    """

    job: str
    attempt: int
    first: float
    last: float
    devices: tuple[str, ...]
    main: bool = True
    finished: bool = False

    def __str__(self) -> str:
        return f"{self.job}, attempt {self.attempt} ({self.first:.2f} to {self.last:.2f})"


@dataclass(frozen=True)
class Entry:
    """A line of a job's history; ``at`` in seconds since the epoch."""

    at: float
    state: str
    cause: str
    attempt: int
    message: str = ""


@dataclass(frozen=True)
class Story:
    """A job as the platform tells it."""

    job: str
    state: str
    accelerator: str = ""
    history: Sequence[Entry] = ()

    def ends(self) -> list[Entry]:
        """Return how each attempt ended, in order."""
        return [each for each in self.history if each.attempt and each.state in {"queued", *FINAL}]


@dataclass(frozen=True)
class Kill:
    """A process that got SIGKILL while it lived.

    Attributes
    ----------
    at
        In seconds since the epoch.
    job, attempt
        Of a guard or a supervisor.
    stopping
        The platform was just stopping the attempt.
    """

    what: str
    at: float
    job: str = ""
    attempt: int = 0
    stopping: bool = False


@dataclass
class Evidence:
    """Everything that is known after a drill.

    Attributes
    ----------
    accepted
        Ids of the jobs that the platform took.
    stories
        Of all jobs that the platform knows.
    lives
        Of jobs and sessions.
    claimed
        When a session asked for a device, in seconds since the epoch, with its accelerator.
    """

    accepted: Sequence[str]
    stories: Sequence[Story]
    lives: Sequence[Life]
    kills: Sequence[Kill]
    claimed: Sequence[tuple[float, str]] = field(default=())

    def lost(self) -> list[str]:
        """Name the jobs that were taken and are not known, or have no end."""
        known = {story.job: story for story in self.stories}
        return [f"{job} is not known" for job in self.accepted if job not in known] + [
            f"{story.job} is {story.state}" for story in self.stories if story.state not in FINAL
        ]

    def doubled(self) -> list[str]:
        """Name the jobs that exist, ran, or did their work twice."""
        found = [
            f"{story.job} was never submitted" for story in self.stories if story.job not in self.accepted
        ]
        for story in self.stories:
            lives = sorted(
                (life for life in self.lives if life.job == story.job), key=lambda life: life.first
            )
            began = [life.attempt for life in lives if life.main]
            found += [f"{story.job}, attempt {n} began twice" for n in set(began) if began.count(n) > 1]
            found += [
                f"{a} and {b} ran at the same time"
                for n, a in enumerate(lives)
                for b in lives[n + 1 :]
                if a.attempt != b.attempt and b.first <= a.last
            ]
            done = [life for life in lives if life.main and life.finished]
            found += [f"{a} and {b} both did the work" for a, b in pairwise(done)]
        return found

    def shared(self) -> list[str]:
        """Name the devices that two had at the same time."""
        found = []
        for device in sorted({device for life in self.lives for device in life.devices}):
            users = sorted(
                (life for life in self.lives if device in life.devices), key=lambda life: life.first
            )
            for n, a in enumerate(users):
                found += [
                    f"{device}: {a} and {b}"
                    for b in users[n + 1 :]
                    if (a.job, a.attempt) != (b.job, b.attempt) and b.first <= a.last
                ]
        return found

    def untrue(self) -> list[str]:
        """Name the ends of attempts that were not as the platform tells them."""
        found = []
        for story in self.stories:
            attempts = [end.attempt for end in story.ends()]
            if story.state in FINAL and attempts != list(range(1, len(attempts) + 1)):
                found.append(f"{story.job}: its history ends the attempts {attempts}")
            found += [
                f"{story.job}, attempt {end.attempt}: {end.cause}, “{end.message}”: but {wrong}"
                for end in story.ends()
                if (wrong := self._wrong(story, end))
            ]
        ends = [end for story in self.stories for end in story.ends() if end.cause == "preempted"]
        if len(ends) > len(self.claimed):
            found.append(f"{len(ends)} jobs gave way to {len(self.claimed)} sessions")
        return found

    def _wrong(self, story: Story, end: Entry) -> str:
        """Say what is wrong with a reason; nothing if it is true."""
        kills = [kill for kill in self.kills if (kill.job, kill.attempt) == (story.job, end.attempt)]
        mine = [life for life in self.lives if (life.job, life.attempt) == (story.job, end.attempt)]
        finished = any(life.main and life.finished for life in mine)
        if end.cause == "completed":
            return "" if finished and end.state == "succeeded" else "it did not do its work"
        if end.cause == "lost":
            if not kills:
                return "nobody killed what supervises it"
            return "" if end.message.startswith(KILLED) and end.state == "failed" else "it was killed"
        if kills and not any(kill.stopping for kill in kills):
            return f"its {kills[0].what} was killed"
        if end.cause == "preempted":
            asked = any(at <= end.at and name == story.accelerator for at, name in self.claimed)
            return "" if asked and end.state == "queued" else "no session had asked for its device"
        if end.cause == "interrupted":
            # Since the attempt before it ended: a vkd that was killed may not have told that this one began.
            since = max((each.at for each in story.history if each.attempt < end.attempt), default=0.0)
            restarted = any(kill.what in {"hub", "vkd"} and since <= kill.at <= end.at for kill in self.kills)
            if mine:
                return "it had begun"
            true = restarted and end.message.startswith(RESTARTED)
            return "" if true else "vkd was not killed then"
        return "nothing of this was done to it"


def lives_in(folder: Path) -> list[Life]:
    """Read what `beating_job` wrote."""
    found = []
    for path in folder.iterdir():
        job, attempt, role, _ = path.name.split(".")
        # The last line may be cut where its process was killed.
        lines = [line.split() for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
        if lines:
            devices: Iterable[str] = lines[0][2].split(",") if len(lines[0]) > 2 else ()
            moments = [float(line[1]) for line in lines]
            found.append(
                Life(
                    job,
                    int(attempt),
                    moments[0],
                    moments[-1],
                    tuple(devices),
                    role == "main",
                    lines[-1][0] == "end",
                )
            )
    return found
