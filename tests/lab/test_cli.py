"""The command ``aiinfn``, as processes of its own against a real vkd, beside what the browser is told."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from aiinfn_lab.client import api

EPOCHS = "import os\nprint('epochs', epochs, type(epochs).__name__, lr, os.environ['AIINFN_ACCELERATOR'])"


def submitted(real: Any, *words: Any, **options: Any) -> str:
    """Submit with the command; gives the job's id."""
    return real.aiinfn("submit", "-q", *words, **options).out.strip()


def said(job: dict[str, Any]) -> dict[str, Any]:
    """What is said of a job that must not depend on how it was submitted."""
    own = {"id", "output", "created", "started", "ended", "updated", "rerun_of", "lab", "kept_until"}
    work = {key: value for key, value in job["work"].items() if key != "snapshot"}
    return {key: value for key, value in job.items() if key not in own} | {"work": work}


def lines(text: Any) -> list[Any]:
    return [line.split() for line in text.splitlines()]


@pytest.fixture(scope="module")
def both(real: Any, notebook: Callable[..., dict[str, Any]]) -> tuple[Any, str]:
    """The same notebook, submitted by the browser's API and by the command, both over."""
    real.write("both/train.ipynb", notebook("epochs = 3\nlr = 0.1", EPOCHS, "1 / 0", tagged=True))
    body = {"path": "both/train.ipynb", "accelerator": "t4", "time_limit": "5m", "parameters": {"epochs": 20}}
    browser = real.lab.submit(body).json["id"]
    command = submitted(real, "both/train.ipynb", "-a", "t4", "-t", "5m", "-p", "epochs=20")
    for job in (browser, command):
        real.reach(job, "failed")
    return browser, command


def test_browser_and_command_make_the_same_job(real: Any, both: tuple[Any, str]) -> None:
    browser, command = (real.lab.get(f"jobs/{job}").json for job in both)
    assert said(browser) == said(command)
    assert browser["output"].replace(browser["id"], "ID") == command["output"].replace(command["id"], "ID")
    results = []
    for job in (browser, command):
        cells = json.loads((real.home / job["output"]).read_text())["cells"]
        results.append([cell["outputs"] for cell in cells])
    assert results[0] == results[1]
    assert "epochs 20 int 0.1 t4" in json.dumps(results[0])


@pytest.mark.parametrize("which", [0, 1])
def test_browser_and_command_say_the_same_of_a_job(real: Any, both: tuple[Any, str], which: int) -> None:
    job = both[which]
    shown = real.aiinfn("show", job, "-o", "json").json
    assert shown.pop("events") == real.lab.get(f"jobs/{job}/events").json
    browser = real.lab.get(f"jobs/{job}").json
    browser.pop("lab")
    assert shown.pop("resources") == real.lab.get(f"jobs/{job}/resources").json
    assert shown == browser
    assert real.aiinfn("logs", job).out.encode() == real.lab.get(f"jobs/{job}/logs").body
    words = real.aiinfn("show", job).out
    for part in (
        browser["sentence"],
        browser["output"],
        browser["error"]["message"],
        "5 min",
        "t4 (simulated)",
    ):
        assert part in words
    assert words.index("ZeroDivisionError") < words.index("History")


def test_browser_and_command_list_the_same_and_offer_the_same(real: Any, both: tuple[Any, str]) -> None:
    listed = real.aiinfn("list", "--all", "-o", "json").json
    page = real.lab.get("jobs", limit=200).json["jobs"]
    for job in page:
        job.pop("lab")
    assert listed == page
    for what in ("queues", "platform"):
        command, browser = real.aiinfn(what, "-o", "json").json, real.lab.get(what).json
        if what == "platform":
            for answer in (command, browser):
                del answer["age"], answer["read_at"]
        assert command == browser


@pytest.mark.parametrize(
    ("words", "body"),
    [
        (["gone.py"], {"path": "gone.py"}),
        (["."], {"path": ".", "folder": "."}),
        (["notes.txt"], {"path": "notes.txt"}),
        (["fit.py", "-a", "h100"], {"path": "fit.py", "accelerator": "h100"}),
        (["fit.py", "-a", "t4", "--count", "7"], {"path": "fit.py", "accelerator": "t4", "count": 7}),
        (["fit.py", "-t", "forever"], {"path": "fit.py", "time_limit": "forever"}),
        (["fit.py", "--project", "medical"], {"path": "fit.py", "project": "medical"}),
        (["fit.py", "-p", "x=1"], {"path": "fit.py", "parameters": {"x": 1}}),
        (["x.ipynb", "-p", "y=1"], {"path": "x.ipynb", "parameters": {"y": 1}}),
        (["x.ipynb", "--", "1"], {"path": "x.ipynb", "arguments": ["1"]}),
        (["julia.ipynb"], {"path": "julia.ipynb"}),
    ],
)
def test_browser_and_command_refuse_with_the_same_sentences(
    real: Any, notebook: Callable[..., dict[str, Any]], words: list[str], body: dict[str, Any]
) -> None:
    real.write("fit.py", "")
    real.write("notes.txt", "")
    real.write("x.ipynb", notebook("x = 1", tagged=True))
    real.write("julia.ipynb", notebook("x = 1", kernel="julia-1.11"))
    refused = real.lab.submit(body).json
    told = real.aiinfn("submit", *words, code=3)
    assert told.out == ""
    assert told.err.startswith(f"Error: {refused['message']}\n")
    assert refused["hint"] in told.err
    assert re.search(r"What to do: \S", told.err)
    as_json = json.loads(real.aiinfn("submit", "-o", "json", *words, code=3).err)
    assert {key: as_json[key] for key in ("reason", "message", "hint", "field")} == refused
    assert not [job for job in real.aiinfn("list", "-o", "json").json if job["work"]["path"] in words]


def test_a_script_says_itself_what_it_needs_and_options_win(real: Any) -> None:
    real.write(
        "work/says.sh",
        "#!/bin/bash\n# AIINFN accelerator=t4 time=3m size=large\n# AIINFN name='a long run'\necho $1 $2\n",
    )
    job = submitted(real, "work/says.sh", "--size", "small", "--", "one two", "--three")
    found = real.reach(job, "succeeded")
    assert (found["accelerator"], found["time_limit"], found["size"]) == ("t4", 180, "small")
    assert (found["name"], found["work"]["arguments"]) == ("a long run", ["one two", "--three"])
    assert real.aiinfn("logs", job).out == "one two --three\n"
    real.write("work/wrong.sh", "# AIINFN acelerator=t4\n")
    assert "nothing that a job has" in real.aiinfn("submit", "work/wrong.sh", code=3).err


def test_a_notebook_says_in_its_first_code_cell_what_it_needs(
    real: Any, notebook: Callable[..., dict[str, Any]]
) -> None:
    real.write("says.ipynb", notebook("# AIINFN accelerator=v70 time=3m\nx = 1", tagged=True))
    job = submitted(real, "says.ipynb", "--name", "mine")
    found = real.reach(job, "succeeded")
    assert (found["accelerator"], found["time_limit"], found["name"]) == ("v70", 180, "mine")


def test_a_command_runs_where_it_was_submitted_and_reads_its_own_arguments(real: Any) -> None:
    real.write("here/data.txt", "forty-two\n")
    command = [
        sys.executable,
        "-c",
        "import sys; print(open('data.txt').read(), sys.argv[1:])",
        "--a b",
        "-q",
        "--",
    ]
    told = real.aiinfn("submit", "-f", "--", *command, cwd=real.home / "here")
    assert "forty-two\n ['--a b', '-q', '--']\n" in told.out
    job = real.aiinfn("show", "last", "-o", "json").json
    assert job["work"]["arguments"] == command
    assert (real.home / job["output"]).parent == real.home / "here"
    assert not list((real.home / "here").glob("*.sh"))
    again = real.aiinfn("rerun", "-q", "last").out.strip()
    assert real.reach(again, "succeeded")["work"] == job["work"]
    assert "outside of your home" in real.aiinfn("submit", "--", "ls", cwd=real.folder, code=3).err


def test_the_copy_is_what_runs_and_a_refused_submission_leaves_none(real: Any) -> None:
    script = real.write("copy.py", "print('as submitted')")
    before = set((real.home / ".aiinfn/jobs").iterdir())
    real.aiinfn("submit", "copy.py", "-a", "h100", code=3)
    real.aiinfn("submit", "copy.py", "--dry-run")
    assert set((real.home / ".aiinfn/jobs").iterdir()) == before
    job = submitted(real, "copy.py")
    script.write_text("print('edited')")
    real.reach(job, "succeeded")
    assert real.aiinfn("logs", job).out == "as submitted\n"
    assert submitted(real, "copy.py", "--key", "k1") == submitted(real, "copy.py", "--key", "k1")


@pytest.mark.parametrize("where", ["session", "outside"])
def test_a_dry_run_says_what_the_browser_is_told(
    real: Any, notebook: Callable[..., dict[str, Any]], where: str
) -> None:
    real.write("dry/dry.ipynb", notebook("import nosuch_a, json", "open('gone.csv')"))
    told = real.lab.ask("POST", "check", body={"path": "dry/dry.ipynb", "accelerator": "t4"}).json
    path, environment = (
        ("dry/dry.ipynb", real.session) if where == "session" else ("home:dry/dry.ipynb", real.outside)
    )
    words = ("submit", path, "-a", "t4", "--dry-run")
    answer = real.aiinfn(*words, "-o", "json", environment=environment).json
    assert answer.keys() == {"sentence", "ahead", "checks"}

    def lasting(checks: Any) -> list[Any]:
        # What waits and is free changes while jobs of other tests end.
        return [check for check in checks if check["what"] not in {"limit", "queue"}]

    assert lasting(answer["checks"]) == lasting(told["checks"])
    out = real.aiinfn(*words, environment=environment).out.splitlines()
    assert out[0].startswith(("Starts now on", "Waits "))
    assert "  problem  This environment has no package nosuch_a, which the notebook imports." in out
    assert "  notice   It mentions gone.csv, which is not there now." in out
    refused = real.aiinfn("submit", path, "-a", "x9", "--dry-run", environment=environment, code=None)
    assert refused.code != 0
    assert "x9" in refused.err


def test_wait_and_follow_tell_by_their_status_how_it_ended(real: Any) -> None:
    real.write("ok.sh", "exit 0")
    real.write("bad.sh", "echo no data >&2; exit 3")
    good, bad = submitted(real, "ok.sh"), submitted(real, "bad.sh")
    told = real.aiinfn("wait", good, bad, code=1)
    assert [line[0] for line in lines(told.out)] == [good, bad]
    assert real.aiinfn("wait", good, "-o", "json").json[0]["state"] == "succeeded"
    told = real.aiinfn("submit", "bad.sh", "-f", code=1)
    assert "no data" in told.out
    assert "Failed" in told.err
    assert real.aiinfn("show", "-q", bad).out == "failed\n"


def test_cancel_and_rerun_take_several_and_one_that_cannot_keeps_no_other(real: Any) -> None:
    real.write("long.sh", "sleep 60")
    jobs = [submitted(real, "long.sh") for _ in range(2)]
    told = real.aiinfn("cancel", jobs[0], "nothing", jobs[1], code=3)
    assert [line[0] for line in lines(told.out)] == jobs
    assert "Error: nothing: There is no such job." in told.err
    for job in jobs:
        real.reach(job, "cancelled")
    again = real.aiinfn("rerun", "-q", *jobs).out.split()
    assert len(set(again) | set(jobs)) == 4
    assert real.aiinfn("list", "-q", "-s", "active").out.split() == again[::-1]
    told = real.aiinfn("wait", again[0], "-t", "1s", code=5)
    assert "They go on." in told.err
    real.aiinfn("cancel", "-q", *again)
    assert real.aiinfn("wait", *again, code=1).out.count("Cancelled") == 2


def test_what_is_over_cannot_be_cancelled(real: Any, both: tuple[Any, str]) -> None:
    told = real.aiinfn("cancel", both[0], code=3)
    assert told.err == "Error: The job has ended already.\nWhat to do: There is nothing left to cancel.\n"


@pytest.mark.parametrize("verb", [["logs", "-f"], ["wait"], ["submit", "-f", "steady.sh"]])
def test_ctrl_c_leaves_the_job_alone_and_says_so(real: Any, verb: list[str]) -> None:
    hold = real.write("hold", "")
    real.write("steady.sh", "echo begun; while [ -e hold ]; do sleep 0.05; done; echo over")
    words = verb
    if verb[0] != "submit":
        job = submitted(real, "steady.sh")
        real.reach(job, "running")
        words = [*verb, job]
    with real.popen(*words) as process:
        stream = process.stderr if verb == ["wait"] else process.stdout
        while b"unning" not in (line := stream.readline()) and line != b"begun\n":
            assert line or process.poll() is None
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"Traceback" not in err
    again = re.search(rb"aiinfn ((?:logs -f|wait) \S+)", err)[1].decode().split()  # type: ignore[index]
    job = again[-1]
    assert real.lab.get(f"jobs/{job}").json["state"] == "running"
    hold.unlink()
    told = real.aiinfn(*again)
    assert real.lab.get(f"jobs/{job}").json["state"] == "succeeded"
    assert verb == ["wait"] or told.out == "begun\nover\n"


def test_the_last_lines_and_what_follows_them(real: Any) -> None:
    hold = real.write("hold2", "")
    real.write("count.sh", "seq 1 1000; while [ -e hold2 ]; do sleep 0.05; done; echo è finita")
    job = submitted(real, "count.sh")
    while "1000" not in real.aiinfn("logs", job).out:
        time.sleep(0.1)
    assert real.aiinfn("logs", "-n", "2", job).out == "999\n1000\n"
    with real.popen("logs", "-f", "-n", "1", job) as process:
        assert process.stdout.readline() == b"1000\n"
        hold.unlink()
        out, err = process.communicate(timeout=20)
    assert out.decode() == "è finita\n"
    assert b"Finished" in err
    reader = real.popen("logs", job)
    assert reader.stdout.readline() == b"1\n"
    reader.stdout.close()
    assert b"Traceback" not in reader.stderr.read()
    reader.wait(20)
    reader.stderr.close()


def test_a_log_is_followed_over_a_restart_of_vkd_and_a_preempted_attempt(real: Any) -> None:
    """vkd is killed in the middle, then a session takes the device; nothing is lost and nothing printed twice."""
    hold = real.write("hold3", "")
    real.write("steps.sh", "echo first $AIINFN_ATTEMPT; while [ -e hold3 ]; do sleep 0.05; done; echo last")
    job = submitted(real, "steps.sh", "-a", "v70")
    real.reach(job, "running")
    told, waited = real.folder / "followed", real.folder / "waited"
    with told.open("wb") as stderr, waited.open("wb") as changes:
        process, waiting = (
            real.popen("logs", "-f", job, stderr=stderr),
            real.popen("wait", job, stderr=changes),
        )
        try:
            assert process.stdout.readline() == b"first 1\n"
            eventually(lambda: "Running" in waited.read_text())
            vkd = real.processes[0]
            vkd.kill()
            vkd.wait(10)
            eventually(lambda: "does not answer" in told.read_text())
            real.processes[0] = real.start_vkd()
            real.claim("bruno", "v70")
            real.reach(job, "queued")
            eventually(lambda: "Made room for a session" in waited.read_text())
            real.release("bruno")
            eventually(lambda: "[attempt 2]" in told.read_text())
            hold.unlink()
            out, _ = process.communicate(timeout=40)
            over, _ = waiting.communicate(timeout=40)
        finally:
            hold.unlink(missing_ok=True)
            real.release("bruno")
            process.kill()
            waiting.kill()
    assert out == b"first 2\nlast\n"
    assert (process.returncode, waiting.returncode) == (0, 0)
    assert b"Finished" in over


def eventually(condition: Callable[..., Any], seconds: int = 40) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_names_tables_and_colours(real: Any, both: tuple[Any, str]) -> None:
    told = real.aiinfn("list", "-n", "1")
    assert "These are the newest 1" in told.err
    assert len(lines(told.out)) == 2
    failed = real.aiinfn("list", "-s", "failed", "-q", "--all").out.split()
    assert [job for job in failed if job in both] == [both[1], both[0]], "the newest first"
    assert "\x1b" not in real.aiinfn("list", environment={**real.session, "FORCE_COLOR": ""}).out
    for environment, coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
        shown = on_a_terminal(real, 80, {"TERM": "xterm-256color", **environment}, "list", "--all")
        assert ("\x1b[" in shown) is coloured
        plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
        assert "failed" in plain
        assert all(len(line) <= 80 for line in plain.splitlines())
        assert all(job in plain for job in both)


def on_a_terminal(real: Any, width: int, environment: dict[str, Any], *words: Any) -> str:
    main, terminal = pty.openpty()
    try:
        with real.popen(*words, environment={**real.session, "COLUMNS": str(width), **environment}, stdout=terminal) as process:  # fmt: skip
            os.close(terminal)
            shown = b""
            while True:
                try:
                    piece = os.read(main, 65536)
                except OSError:
                    break
                if not piece:
                    break
                shown += piece
            assert process.wait(20) == 0
    finally:
        os.close(main)
    return shown.decode()


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["submit"], "Say which notebook or script"),
        (["submit", "--"], "Say which notebook or script"),
        (["submit", "a.py", "b"], "aiinfn submit a.py -- b"),
        (["submit", "python", "a b.py"], "aiinfn submit -- python 'a b.py'"),
        (["submit", "a.py", "--epochs", "3"], "aiinfn submit train.py -- --epochs"),
        (["submit", "a.py", "-p", "x"], "NAME=VALUE"),
        (["submit", "a.py", "-p", "x=1", "-p", "x=2"], "twice"),
        (["wait", "a", "-t", "soon"], "90m"),
        (["list", "-s", "asleep"], "active"),
        (["lst"], "--help"),
        (["completion", "tcsh"], "bash"),
    ],
)
def test_a_line_that_is_not_understood_is_told_what_to_write(real: Any, words: list[str], hint: str) -> None:
    told = real.aiinfn(*words, code=2)
    assert hint in told.err
    assert "Usage: aiinfn" in told.err


def test_completion_knows_jobs_accelerators_and_stays_silent_without_a_platform(
    real: Any, both: tuple[Any, str]
) -> None:
    def complete(line: str, environment: dict[str, Any]) -> list[Any]:
        words = {
            "_AIINFN_COMPLETE": "bash_complete",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split(" ")) - 1),
        }
        told = real.aiinfn(environment={**environment, **words})
        assert told.err == ""
        return [line.partition(",")[2] for line in told.out.splitlines()]

    assert "submit" in complete("aiinfn su", real.session)
    assert complete("aiinfn submit -a v", real.session) == ["v70"]
    assert both[0] in complete(f"aiinfn show {both[0][:4]}", real.session)
    assert complete("aiinfn show l", {"HOME": str(real.folder)})[:1] == ["last"]
    for shell in ("bash", "zsh", "fish"):
        assert "_AIINFN_COMPLETE" in real.aiinfn("completion", shell).out


def test_what_the_platform_says_is_in_the_language_and_the_zone_of_the_terminal(
    real: Any, both: tuple[str, str]
) -> None:
    reader = {**real.session, "LANG": "it_IT.UTF-8", "TZ": "Asia/Tokyo"}
    assert "Fallito nella cella" in real.aiinfn("show", both[0], environment=reader).out
    assert "Failed in cell" in real.aiinfn("show", both[0], environment={**reader, "LC_ALL": "C"}).out
    assert "Fallito nella cella" in real.aiinfn("list", "-s", "failed", environment=reader).out
    assert "Europe/Rome" not in real.aiinfn("show", both[0], environment={**reader, "TZ": "No/Where"}).err
    # What is said on this side too.
    away = {**reader, "AIINFN_VKD_URL": "http://127.0.0.1:1/services/vkd"}
    told = real.aiinfn("list", environment=away, code=4)
    assert "Errore: Il servizio batch non risponde." in told.err
    assert "Che fare: I job in esecuzione e in coda non ne risentono" in told.err
    assert "Nessun job di questo tipo." in real.aiinfn("list", "--label", "nobody", environment=reader).err
    lacking = real.aiinfn("submit", "home:missing.py", environment=reader, code=3)
    assert "Il file 'missing.py' non esiste." in lacking.err


def test_a_platform_that_is_away_is_told_from_one_that_refuses(
    real: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "_PAUSES", (0.01,))
    away = {**real.session, "AIINFN_VKD_URL": "http://127.0.0.1:1/services/vkd"}
    told = real.aiinfn("list", environment=away, code=4)
    assert "The batch service does not answer." in told.err
    stranger = {**real.session, "JUPYTERHUB_API_TOKEN": "token-nobody"}
    told = real.aiinfn("list", environment=stranger, code=3)
    assert "stop and start your server" in told.err
    assert "aiinfn login" in real.aiinfn("list", environment={"HOME": str(real.folder)}, code=3).err


def test_help_costs_less_than_a_third_of_a_second() -> None:
    """Time of the processor, which a busy machine does not lengthen as it does that of the clock."""

    def seconds() -> Any:
        process = subprocess.Popen(
            [sys.executable, "-m", "aiinfn_lab.cli", "--help"], stdout=subprocess.DEVNULL
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        return used.ru_utime + used.ru_stime

    assert min(seconds() for _ in range(3)) < 0.3
    program = "import sys, aiinfn_lab.cli; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout
    assert not {"httpx", "rich", "pydantic", "tornado", "jupyter_server", "asyncio"} & set(loaded.split())
