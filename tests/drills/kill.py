"""Kills parts of a running platform at random, again and again, and looks what became of jobs, sessions and devices.

    python -m tests.drills.kill --seed 1 --kills 40 --jobs 40

The hub, its proxy, vkd, jobs and sessions are real; accelerators are simulated. This program is also what a service manager
is to the hub: it starts it again when it has ended. The seed decides what is killed in which order, after which pauses, and
how long jobs take; which job a kill meets depends on which runs at that moment.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import aiohttp
import psutil

from aiinfn_hub.host.accounts import Accounts
from aiinfn_hub.vkd.backends.common.system import start_ticks, stat_fields
from tests.drills import beating_job
from tests.drills.evidence import Entry, Evidence, Kill, Life, Story, lives_in
from tests.hub.stack import HUB_CONFIG, Hub, Iam, answers, browser

HERE: Final = Path(__file__).parent
VICTIMS: Final = ("hub", "vkd", "proxy", "guard", "supervisor", "kernel")
PEOPLE: Final = ("ada", "bruno")
"""Each has a session with a T4, and half of the jobs."""
DEVICES: Final = 6
"""Of both accelerators in the drill's platform file, half of each; a job takes one."""
AT_ONCE: Final = DEVICES - len(PEOPLE)
"""Jobs that run at the same time while both sessions have their devices."""
AT_FIRST: Final = 7
"""So many jobs are needed to take all devices, because one in three wants a T4."""
RECOVERY: Final = 3.0
"""Seconds in which a device that was wrongly taken for free would be given out again."""
GONE: Final = 20.0
"""Seconds for everything to end once the hub was told to."""
T = TypeVar("T")


class DrillError(Exception):
    """The drill cannot go on."""


@dataclass
class Result:
    """What a drill found; ``problems`` by what was promised."""

    seed: int
    kills: Counter[str]
    ends: Counter[str]
    attempts: int
    seconds: float
    sessions: dict[str, str] = field(default_factory=dict)
    problems: dict[str, list[str]] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Whether all promises were kept."""
        return not any(self.problems.values())

    def table(self) -> str:
        """Return the figures as a table."""
        rows = [
            ("seed", str(self.seed)),
            ("kills", f"{self.kills.total()}: {_counted(self.kills)}"),
            ("attempts of jobs", f"{self.attempts}: {_counted(self.ends)}"),
            *((f"session of {who}", how) for who, how in self.sessions.items()),
            *((what, str(len(found))) for what, found in self.problems.items()),
            ("seconds", f"{self.seconds:.0f}"),
        ]
        width = max(len(name) for name, _ in rows)
        lines = [f"  {name:<{width}}  {value}" for name, value in rows]
        lines += [f"  {what}: {each}" for what, found in self.problems.items() for each in found]
        return "\n".join(lines)


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counter.items()))


class Drill:
    """One drill.

    Parameters
    ----------
    folder
        For everything that is written; its name marks the processes. Everybody must be able to pass through it, so that
        people get a uid each where this runs as root.
    say
        Is told what happens.
    """

    def __init__(
        self, folder: Path, *, seed: int, kills: int, jobs: int, say: Callable[[str], None] = print
    ) -> None:
        self.folder, self.seed = folder, seed
        self._jobs, self._say = jobs, say
        self._random = random.Random(seed)
        self._plan = list(self._planned(kills))
        # So long that some job runs at each kill, even if others lost theirs early.
        mean = kills * AT_ONCE / jobs
        self._lengths = [self._random.randint(1 + int(0.6 * mean), 1 + int(1.6 * mean)) for _ in range(jobs)]
        self.hub = Hub(folder)
        self._iam = Iam(folder, self.hub.callback, 3600)
        self._began = time.monotonic()
        self._deadline = self._began + 120 + 15 * kills + 5 * jobs
        self._tokens: dict[str, str] = {}
        self._homes: dict[str, Path] = {}
        self._kernels: dict[str, str] = {}
        self._due = 0
        self._accepted: list[str] = []
        self._kills: list[Kill] = []
        self._claimed: list[tuple[float, str]] = []
        self._sessions: dict[str, Life] = {}

    def _planned(self, kills: int) -> Iterator[str]:
        """Give what is killed: everything once in each round, in another order."""
        while kills > 0:
            round_ = self._random.sample(VICTIMS, len(VICTIMS))[:kills]
            yield from round_
            kills -= len(round_)

    def run(self) -> Result:
        """Do all of it, and leave nothing running."""
        told: dict[str, str] = {}
        try:
            self._start()
            first = self._due
            for number, victim in enumerate(self._plan, 1):
                self._due = first + (self._jobs - first) * number // len(self._plan)
                self._pause(self._random.uniform(0.1, 2.0))
                self._kill(number, victim)
                # Some kills meet a platform that is starting. After others it finds its jobs again while they run.
                if victim in {"hub", "vkd"} and self._plan[:number].count(victim) % 2 == 0:
                    self._recover()
            self._recover()
            self._due = self._jobs
            stories = self._finish()
            told = {who: self._session(who) for who in PEOPLE}
            left = self._stop()
        except BaseException:
            self._stop()
            raise
        lives = [life for home in self._homes.values() for life in lives_in(home / "drill/lives")]
        evidence = Evidence(
            self._accepted, stories, [*lives, *self._sessions.values()], self._kills, self._claimed
        )
        ends = [end for story in stories for end in story.ends()]
        return Result(
            self.seed,
            Counter(kill.what for kill in self._kills),
            Counter(end.cause for end in ends),
            len(ends),
            time.monotonic() - self._began,
            told,
            {
                "jobs lost": evidence.lost(),
                "jobs doubled": evidence.doubled(),
                "devices given to two": evidence.shared(),
                "reasons not true": evidence.untrue(),
                "sessions that do not answer": [who for who, how in told.items() if how != "answers"],
                "processes left": left,
            },
        )

    # The platform

    def _launch_hub(self) -> None:
        environment = self.hub.environment(
            self._iam, AIINFN_PLATFORM=str(HERE / "platform.yaml"), AIINFN_JOBS_END_WITH_VKD="0"
        )
        self.hub.launch([sys.executable, "-m", "jupyterhub", "-f", str(HUB_CONFIG)], environment, self.folder)

    def _tick(self) -> None:
        """Do what a service manager does, and submit what is due."""
        if self.hub.process is not None and self.hub.process.poll() is not None:
            self._launch_hub()
        if len(self._accepted) < self._due:
            self._submit(len(self._accepted))

    def _wait(self, what: str, check: Callable[[], T], seconds: float = 90, step: float = 0.1) -> T:
        end = min(time.monotonic() + seconds, self._deadline)
        while not (found := check()):
            if time.monotonic() > end:
                raise DrillError(f"not in time: {what}\n{self.hub.log[-4000:]}")
            self._tick()
            time.sleep(step)
        return found

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        self._wait("a pause", lambda: time.monotonic() >= end)

    def _answering(self) -> bool:
        return answers(f"{self.hub.vkd_url}/health") and answers(f"{self.hub.url}/hub/health")

    def _recover(self) -> None:
        """Wait until hub and vkd are there again, and have had the time to start what they take for startable."""
        self._wait("the hub and vkd answer again", self._answering)
        self._pause(RECOVERY)

    def _start(self) -> None:
        self._say(f"Seed {self.seed}: {len(self._plan)} kills, {self._jobs} jobs.")
        self._iam.start()
        self._launch_hub()
        self._wait("the hub and vkd answer", self._answering)
        accounts = Accounts(self.hub.data)
        for who in PEOPLE:
            asyncio.run(self._sign_in(who))
            status, model = self.hub.api(f"/users/{who}/tokens", "POST", {})
            assert status == 201, model
            self._tokens[who] = model["token"]
            account = accounts.get(who)
            self._homes[who] = account.home
            lives, copies = account.home / "drill/lives", account.home / ".aiinfn/jobs/drill"
            for folder in (lives, copies):
                folder.mkdir(parents=True)
            shutil.copy(beating_job.__file__, account.home / "drill")
            shutil.copy(beating_job.__file__, copies)
            for path in (account.home / "drill", account.home / ".aiinfn"):
                for each in (path, *path.rglob("*")):
                    os.chown(each, -1 if account.uid is None else account.uid, account.gid or -1)
        self._tell_jobs(0)
        self._due = max(self._jobs // 2, AT_FIRST)
        # Jobs have all devices, so that sessions make them give way.
        self._wait("the first jobs run", lambda: len(self._running()) == DEVICES)
        for who in PEOPLE:
            self._claimed.append((time.time(), "t4"))
            status, answer = self.hub.api(
                f"/users/{who}/server", "POST", {"user_options": {"accelerator": "t4"}}
            )
            assert status in {201, 202}, answer
        for who in PEOPLE:
            self._wait(f"the session of {who} runs", lambda who=who: self._model(who).get("ready"), 120, 0.5)  # type: ignore[misc]
            self._sessions[who] = self._life_of_session(who)
            status, kernel = self._ask(who, f"/user/{who}/api/kernels", {"name": "python3"})
            assert status == 201, kernel
            self._kernels[who] = kernel["id"]
        self._say(f"After {time.monotonic() - self._began:.0f} s: two sessions, and jobs run.")

    async def _sign_in(self, who: str) -> None:
        async with browser(self.hub) as client:
            seen = await client.sign_in(who)
            assert seen.status == 200, seen.text

    def _model(self, who: str) -> dict[str, Any]:
        status, model = self.hub.api(f"/users/{who}")
        found: dict[str, Any] = model["servers"].get("", {}) if status == 200 else {}
        return found

    def _ask(
        self, who: str, path: str, body: Any = None, key: str = "", timeout: float = 60
    ) -> tuple[int, Any]:
        """Ask through the proxy, as a person's program."""
        request = urllib.request.Request(
            self.hub.url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"token {self._tokens[who]}", "Content-Type": "application/json"}
            | ({"Idempotency-Key": key} if key else {}),
        )
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                request, timeout=timeout
            ) as response:
                return response.status, json.loads(response.read() or "null")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode(errors="replace")

    def _submit(self, number: int) -> None:
        """Submit a job; while a part of the platform is away, nothing happens, and the next call tries it again."""
        arguments = [str(self._lengths[number]), *(["detach"] if number % 4 == 3 else [])]
        work = {"kind": "script", "path": "drill/beating_job.py", "arguments": arguments}
        work["snapshot"] = ".aiinfn/jobs/drill/beating_job.py"
        name = f"drill {number}"
        accelerator = "slice" if number % 3 else "t4"
        body = {"work": work, "name": name, "accelerator": accelerator}
        try:
            status, answer = self._ask(
                self._owner(number), "/services/vkd/api/v1/jobs", body, f"{name} {self.folder.name}", 5
            )
        except OSError:
            return
        if status in {200, 201}:
            self._accepted.append(answer["id"])
        elif status < 500:
            raise DrillError(f"{name} is refused with {status}: {answer}")

    def _tell_jobs(self, kills: int) -> None:
        """Tell jobs how many kills are done."""
        for home in self._homes.values():
            draft = home / "drill/kills.new"
            draft.write_text(str(kills))
            draft.chmod(0o644)
            draft.rename(home / "drill/kills")

    def _owner(self, number: int) -> str:
        return PEOPLE[number % len(PEOPLE)]

    # Processes

    def _running(self) -> list[dict[str, Any]]:
        """List the attempts of which guard, supervisor and job live."""
        found = []
        for path in self.hub.data.glob("vkd/local/jobs/*/*/run.json"):
            with contextlib.suppress(OSError, ValueError):
                facts = json.loads(path.read_text())
                alive = all(
                    start_ticks(facts[pid]) == facts[ticks]
                    for pid, ticks in (("pid", "ticks"), ("supervisor", "supervisor_ticks"))
                )
                if facts["child"] and alive and not (path.parent / "exit.json").exists():
                    found.append(facts | {"folder": path.parent})
        return sorted(found, key=lambda facts: str(facts["folder"]))

    def _find(self, *words: str, **environment: str) -> list[int]:
        """Find processes by the last words of their command and parts of their environment."""
        found = []
        for path in Path("/proc").iterdir():
            if path.name.isdigit():
                with contextlib.suppress(OSError):
                    command = path.joinpath("cmdline").read_bytes().decode(errors="replace").split("\0")
                    if all(word in command for word in words):
                        own = path.joinpath("environ").read_bytes().split(b"\0")
                        if all(f"{name}={value}".encode() in own for name, value in environment.items()):
                            found.append(int(path.name))
        return sorted(found)

    def _life_of_session(self, who: str) -> Life:
        (pid,) = self._find("aiinfn_lab.singleuser", HOME=str(self._homes[who]))
        devices = psutil.Process(pid).environ()["AIINFN_DEVICES"].split(",")
        return Life(f"session of {who}", 0, _since_boot(pid), float("inf"), tuple(devices))

    def _victim(self, what: str) -> tuple[int, dict[str, Any]] | None:
        """Choose a living process of a kind."""
        if what in {"guard", "supervisor"}:
            running = self._running()
            if not running:
                if len(self._accepted) == self._jobs and self._active() == 0:
                    raise DrillError("All jobs are over before all kills are done: take more jobs.")
                return None
            facts = self._random.choice(running)
            return facts["pid" if what == "guard" else "supervisor"], facts
        if what == "hub":
            process = self.hub.process
            return None if process is None or process.poll() is not None else (process.pid, {})
        if what == "vkd":
            found = self._find("aiinfn_hub.vkd", AIINFN_DATA=str(self.hub.data))
        elif what == "proxy":
            with contextlib.suppress(OSError, ValueError):
                number = int((self.hub.data / "hub/proxy.pid").read_text())
                if b"configurable-http-proxy" in Path(f"/proc/{number}/cmdline").read_bytes():
                    return number, {}
            return None
        else:
            home = str(self._homes[self._random.choice(PEOPLE)])
            found = self._find("ipykernel_launcher", HOME=home)
        return (self._random.choice(found), {}) if found else None

    def _active(self) -> int | None:
        """Count the jobs that are not over; None if nobody says so now."""
        with contextlib.suppress(OSError):
            answers_ = [self._ask(who, "/services/vkd/api/v1/jobs?limit=1", timeout=5) for who in PEOPLE]
            if all(status == 200 for status, _ in answers_):
                return sum(answer["active"] for _, answer in answers_)
        return None

    def _kill(self, number: int, what: str) -> None:
        while True:
            pid, facts = self._wait(f"there is a {what} to kill", lambda: self._victim(what))  # type: ignore[misc]
            folder = facts.get("folder")
            stopping = folder is not None and (folder / "intent.json").exists()
            at = time.time()
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                break
        job, attempt = (folder.parent.name, int(folder.name)) if folder else ("", 0)
        self._tell_jobs(number)
        self._kills.append(Kill(what, at, job, attempt, stopping))
        of = f" of {job}, attempt {attempt}" if job else ""
        self._say(f"{time.monotonic() - self._began:6.1f} s  kill {number:2}: {what} (process {pid}){of}")

    # The end

    def _finish(self) -> list[Story]:
        """Wait until every job is over, and return what the platform tells of them."""
        self._tell_jobs(beating_job.ALL)
        self._wait("all jobs are submitted", lambda: len(self._accepted) == self._jobs)
        with contextlib.suppress(DrillError):  # what is not over then is lost
            self._wait("all jobs are over", lambda: self._active() == 0, 60 + 5 * self._jobs, 0.5)
        self._wait("the hub and vkd answer", self._answering)
        return [story for who in PEOPLE for story in self._stories(who)]

    def _stories(self, who: str) -> Iterator[Story]:
        api = "/services/vkd/api/v1/jobs"
        cursor = ""
        while True:
            status, page = self._ask(who, f"{api}?limit=100{cursor}")
            assert status == 200, page
            for job in page["jobs"]:
                status, history = self._ask(who, f"{api}/{job['id']}/events")
                assert status == 200, history
                entries = [
                    Entry(
                        datetime.fromisoformat(each["time"]).timestamp(),
                        each["state"],
                        each["cause"],
                        each["attempt"],
                        each["message"],
                    )
                    for each in history
                ]
                yield Story(job["id"], job["state"], job["accelerator"], entries)
            if not page["next_cursor"]:
                return
            cursor = f"&cursor={page['next']}"

    def _session(self, who: str) -> str:
        """Say what became of a session: its kernel is asked through the proxy."""
        if not self._model(who).get("ready"):
            return "has ended"
        try:
            return asyncio.run(self._compute(who))
        except (aiohttp.ClientError, TimeoutError) as error:
            return f"does not answer: {type(error).__name__} {error}"

    async def _compute(self, who: str) -> str:
        url = f"{self.hub.url}/user/{who}/api/kernels/{self._kernels[who]}/channels"
        headers = {"Authorization": f"token {self._tokens[who]}"}
        identity = uuid.uuid4().hex
        header = {"msg_id": identity, "msg_type": "execute_request", "username": who, "session": identity}
        header |= {"version": "5.3", "date": datetime.now().astimezone().isoformat()}
        content = {"code": "", "silent": True, "user_expressions": {"answer": "6 * 7"}}
        message = {
            "header": header,
            "parent_header": {},
            "metadata": {},
            "content": content,
            "channel": "shell",
        }
        async with (
            asyncio.timeout(60),
            aiohttp.ClientSession(headers=headers) as http,
            http.ws_connect(url) as socket,
        ):
            await socket.send_json(message)
            async for received in socket:
                reply = json.loads(received.data)
                if reply["msg_type"] == "execute_reply" and reply["parent_header"]["msg_id"] == identity:
                    value = reply["content"]["user_expressions"]["answer"]["data"]["text/plain"]
                    return "answers" if value == "42" else f"computes {value}"
        return "closes the connection"

    def _stop(self) -> list[str]:
        """End the hub as an operator does, and then, by force, what is left, which is named."""
        process = self.hub.process
        if process is not None and process.poll() is None:
            process.terminate()
            with contextlib.suppress(psutil.TimeoutExpired):
                psutil.Process(process.pid).wait(60)
            if process.poll() is None:
                process.kill()
                process.wait(10)
        self._iam.stop()
        end = time.monotonic() + GONE
        while (left := self._marked()) and time.monotonic() < end:
            time.sleep(0.2)
        named = []
        for each in left:
            with contextlib.suppress(psutil.Error):
                named.append(f"{each.pid}: {' '.join(each.cmdline())[:200]}")
        for each in left:
            with contextlib.suppress(psutil.Error):
                each.kill()
        return named

    def _marked(self) -> list[psutil.Process]:
        """Find what runs in the drill's folder, or was started by it."""
        mark, found = os.fsencode(self.folder), []
        for path in Path("/proc").iterdir():
            if path.name.isdigit() and int(path.name) != os.getpid():
                with contextlib.suppress(OSError, psutil.Error):
                    parts = (path / "cmdline").read_bytes(), (path / "environ").read_bytes()
                    if any(mark in part for part in (*parts, os.fsencode((path / "cwd").readlink()))):
                        found.append(psutil.Process(int(path.name)))
        return found


def _since_boot(pid: int) -> float:
    return int(stat_fields(pid)[19]) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def drill_folder(*, keep: Callable[[], bool] = lambda: False) -> Iterator[Path]:
    """Make a folder for a drill, and remove it unless it is to be kept."""
    folder = Path(tempfile.mkdtemp(prefix="aiinfn-drill-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        if not keep():
            shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    """Run a drill and print its figures; 0 if all promises were kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.drills.kill", description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=None, help="default: a random one, which is printed")
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--jobs", type=int, default=40)
    options = parser.parse_args()
    if options.kills < 1 or options.jobs < AT_FIRST:
        parser.error(f"at least one kill and {AT_FIRST} jobs, please")
    seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    # What it started is ended then, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    good = False
    with drill_folder(keep=lambda: not good) as folder:
        drill = Drill(
            folder,
            seed=seed,
            kills=options.kills,
            jobs=options.jobs,
            say=lambda text: print(text, flush=True),
        )
        try:
            result = drill.run()
        except DrillError as error:
            print(f"{error}\nThe drill ended before its end; its files are in {folder}.")
            return 1
        good = result.good
        print(f"\n{result.table()}")
        if not good:
            print(f"\nNot all promises were kept; its files are in {folder}.")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
