"""jupyter-scheduler in a JupyterLab of its own, with its default settings."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Final

import psutil
from playwright.sync_api import Browser, expect

from bench.comparison.person import Person
from bench.comparison.system import FOLDER, PATIENCE, VIEW, System, Times
from tests.ports import free_port
from tests.ui.demo import ROOT, wait_for

ENVIRONMENT: Final = ROOT / ".cache" / "comparison"
REQUIREMENTS: Final = Path(__file__).with_name("requirements.txt")
LOCK: Final = ROOT / "requirements.lock"
_OVER: Final = {"COMPLETED", "FAILED"}
"""Without STOPPED, which a job also is until its process has started."""
_FILL: Final = """
import sys
from jupyter_scheduler.orm import Job, create_session, create_tables

url, count, now = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
create_tables(url)
ends = ("COMPLETED", "FAILED", "STOPPED")
with create_session(url)() as session:
    for index in range(count):
        created = now - 60_000 * (count - index)
        session.add(Job(
            runtime_environment_name="python3", input_filename=f"train-{index}.ipynb", output_formats=["ipynb"],
            name=f"train-{index}", parameters={"epochs": index, "rate": 0.1}, create_time=created,
            update_time=created, start_time=created + 2_000, end_time=created + 50_000,
            status=ends[index % 10 if index % 10 < 3 else 0],
        ))
    session.commit()
"""


def environment() -> Path:
    """Make the virtual environment, if the one that there is was made of other requirements; gives its bin folder.

    JupyterLab and all that both need come in the versions of this project's own lock.
    """
    made_of, wanted = ENVIRONMENT / "made-of", REQUIREMENTS.read_text() + LOCK.read_text()
    if not made_of.exists() or made_of.read_text() != wanted:
        uv = ROOT / ".tools" / "uv" / "bin" / "uv"
        subprocess.run(
            [uv, "venv", "--quiet", "--clear", "--python", sys.executable, ENVIRONMENT], check=True
        )
        into = ["--python", ENVIRONMENT / "bin" / "python", "--link-mode", "copy", "--compile-bytecode"]
        # Hashes of both files are checked.
        subprocess.run(
            [uv, "pip", "install", "--quiet", *into, "-r", REQUIREMENTS, "-c", LOCK],  # type: ignore[list-item]
            check=True,
        )
        made_of.write_text(wanted)
    return ENVIRONMENT / "bin"


class Peer(System):
    """JupyterLab with jupyter-scheduler, and a person before it."""

    name = "jupyter-scheduler"
    own = re.compile(r"/lab/extensions/@jupyterlab/scheduler/|/scheduler/")
    api = "/scheduler/"

    def __init__(self, folder: Path, browser: Browser, history: int, now: float) -> None:
        programs = environment()
        self._home = folder / "home"
        (self._home / FOLDER).mkdir(parents=True)
        shutil.copy(ROOT / FOLDER / "digits.ipynb", self._home / FOLDER)
        data = self._home / ".local" / "share" / "jupyter"
        data.mkdir(parents=True)
        self._database = data / "scheduler.sqlite"
        subprocess.run(
            [
                programs / "python",
                "-c",
                _FILL,
                f"sqlite:///{self._database}",
                str(history),
                str(int(now * 1000)),
            ],
            check=True,
        )
        port, token = free_port(), secrets.token_hex(16)
        self.base = f"http://127.0.0.1:{port}/"
        command = [
            str(programs / "jupyter-lab"),
            "--no-browser",
            f"--ServerApp.port={port}",
            "--ServerApp.port_retries=0",
            f"--ServerApp.root_dir={self._home}",
            f"--IdentityProvider.token={token}",
        ]
        if os.geteuid() == 0:
            command.append("--allow-root")
        with (folder / "lab.out").open("w") as out:
            self._process = subprocess.Popen(
                command,
                cwd=self._home,
                env={"HOME": str(self._home), "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        printed = folder / "lab.out"
        wait_for("JupyterLab", lambda: "is running at" in printed.read_text(), 300)
        self.page = browser.new_context(viewport=VIEW).new_page()
        self.page.set_default_timeout(PATIENCE)
        self.page.goto(f"{self.base}lab?token={token}")

    def stop(self) -> None:
        """End JupyterLab as Ctrl-C does, and what it left."""
        self.page.context.close()
        server = psutil.Process(self._process.pid)
        left = [server, *server.children(recursive=True)]
        self._process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            # While a job runs it does not end by itself.
            self._process.wait(10)
        for process in psutil.wait_procs(left, 5)[1]:
            process.kill()

    def open_form(self, person: Person) -> None:
        """Press *Create a job* in the notebook's toolbar; the form fills the main area."""
        person.click(self.shown_output().locator("[data-command='scheduling:create-from-notebook']"))
        form = self.page.locator(".jp-create-job-form")
        expect(form.locator("#jp-create-job-inputFile")).to_have_value(re.compile("ipynb"))
        # They come with a request of their own; where there is only one environment no choice of it is shown.
        form.get_by_label("Notebook", exact=True).wait_for()

    def set_parameter(self, person: Person, name: str, value: str) -> None:
        """Add a parameter, and write its name and its value."""
        form = self.page.locator(".jp-create-job-form")
        person.click(form.get_by_title("Add new parameter"))
        person.click(form.locator("[name='parameter-0-name']"))
        person.type(name)
        person.press("Tab")
        person.type(value)
        # The form looks at a value when it is left.
        person.press("Tab")

    def send_form(self, person: Person) -> str:
        """Press *Create*; the list of jobs appears."""
        with self.page.expect_response(
            lambda answer: answer.request.method == "POST" and "/scheduler/jobs" in answer.url
        ) as answer:
            person.click(self.page.get_by_role("button", name="Create", exact=True))
        assert answer.value.ok, answer.value.text()
        return str(answer.value.json()["job_id"])

    def wait_over(self, job: str) -> None:
        """Look into the database: the list is not told, and its user is taken to know the right moment for Reload."""
        wait_for("the job is over", lambda: self._read(job)[0] in _OVER, 300, 0.1)

    def open_output(self, person: Person, job: str) -> None:
        """Press *Reload*, *Download*, and the link to the executed notebook that appears five seconds later."""
        # The newest job of this name is the first of its rows.
        with self.page.expect_response(lambda answer: "/scheduler/jobs?" in answer.url):
            person.click(self.page.get_by_role("button", name="Reload", exact=True))
        row = self.page.locator("tbody tr").filter(
            has=self.page.get_by_title(f'detail view for "{self._read(job)[5]}"')
        )
        row = row.first
        expect(row).to_contain_text(re.compile("Completed|Failed"))
        person.click(row.get_by_label("download"))
        person.click(row.get_by_title(re.compile(r"^Open output file .*\.ipynb")))
        assert list((self._home / "jobs").glob(f"*{job}/*.ipynb"))

    def open_list(self) -> None:
        """Open the list from the launcher."""
        self.page.locator(".jp-LauncherCard").filter(has_text=re.compile("^Jobs$")).click()
        self.page.locator("tbody tr").first.wait_for()

    def times(self, job: str) -> Times:
        """Read them from its database; of a failed job no end is kept, so the last change stands for it."""
        _, created, started, ended, updated, _ = self._read(job)
        return Times(created / 1000, started / 1000, (ended or updated) / 1000)

    def is_running(self, job: str) -> bool:
        """Look into the database."""
        return self._read(job)[0] == "IN_PROGRESS"

    def version(self) -> str:
        """Return its version."""
        command = [
            environment() / "python",
            "-c",
            "import jupyter_scheduler; print(jupyter_scheduler.__version__)",
        ]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()  # type: ignore[arg-type]

    def roots(self) -> list[psutil.Process]:
        """Return the Jupyter server: jobs are its children."""
        return [psutil.Process(self._process.pid)]

    def list_address(self) -> str:
        """Return what its list asks first."""
        return "scheduler/jobs?sort_by=desc(create_time)&max_items=25"

    def _read(self, job: str) -> tuple[str, int, int, int | None, int, str]:
        with sqlite3.connect(f"file:{self._database}?mode=ro", uri=True) as connection:
            columns = "status, create_time, start_time, end_time, update_time, name"
            question = f"select {columns} from jobs where job_id = ?"
            found: tuple[str, int, int, int | None, int, str] = connection.execute(
                question, (job,)
            ).fetchone()
            return found
