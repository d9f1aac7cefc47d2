"""Both systems through the same tasks with the same notebooks, in turn, on the same machine in the same run."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import nbformat.v4
from playwright.sync_api import Response, expect

from bench.comparison.ours import Ours
from bench.comparison.peer import Peer
from bench.comparison.person import Person
from bench.comparison.processes import Watch, memory, tree
from bench.comparison.result import Acts, Comparison, Measured, Run, machine
from bench.comparison.system import PATIENCE, VIEW, System
from bench.store import fill
from tests.ui.conftest import chromium
from tests.ui.demo import wait_for

RUNS = 5
MINUTES = float(os.environ.get("COMPARISON_MINUTES", "60"))
HISTORY = 1_000
WINDOW = 30
"""Seconds for which a page is left alone; what is counted in them is told per minute."""
LISTS = 40
DIGITS, FAILING, LONG = "digits.ipynb", "failing.ipynb", "long.ipynb"
FAILING_CELL = 12
_ERROR = "ZeroDivisionError"


def failing() -> dict[str, Any]:
    """Make a notebook whose error stands below what a screen shows."""
    cells = [
        nbformat.v4.new_code_cell(f"for line in range(12):\n    print({number}, line)")
        for number in range(1, 16)
    ]
    cells[FAILING_CELL - 1]["source"] = "total = 1 / 0"
    return notebook(cells)


def long() -> dict[str, Any]:
    """Make a notebook that runs longer than it is looked at."""
    return notebook([nbformat.v4.new_code_cell(f"import time\ntime.sleep({WINDOW + 120})")])


def notebook(cells: list[Any]) -> dict[str, Any]:
    """Make a notebook of this Python."""
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    made: dict[str, Any] = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    return made


@contextlib.contextmanager
def both(history: int = HISTORY) -> Iterator[tuple[Ours, Peer]]:
    """Start both, each with a history of ended jobs, and leave nothing behind."""
    with tempfile.TemporaryDirectory(prefix="aiinfn-bench-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o711)
        for part in ("ours", "peer"):
            (folder / part).mkdir(mode=0o711)
        # Before the browser, while which no other event loop can run in this thread.
        fill(folder / "ours" / "data", history)
        browser = stack.enter_context(chromium())
        expect.set_options(timeout=PATIENCE)
        peer = Peer(folder / "peer", browser, history, time.time())
        stack.callback(peer.stop)
        ours = Ours(folder / "ours" / "data", browser)
        stack.callback(ours.stop)
        yield ours, peer


def compare(keep: Callable[[Comparison], object], runs: int = RUNS, minutes: float = MINUTES) -> Comparison:
    """Measure both; takes about twenty minutes on two idle cores.

    Parameters
    ----------
    keep
        Is given what was found so far, after each part.
    runs
        Of each task in each system.
    minutes
        After which no other round of tasks begins, so that it comes to an end on a busy machine, too.
    """
    end = time.monotonic() + 60 * minutes
    with both() as systems:
        ours, peer = systems
        found = {system.name: Measured(window=WINDOW) for system in systems}
        assert ours.page.context.browser
        versions = peer.version(), ours.page.context.browser.version
        began = machine(*versions)

        def kept() -> Comparison:
            so_far = Comparison(began, machine(*versions), HISTORY, found)
            keep(so_far)
            return so_far

        def round_of(systems: Sequence[System]) -> None:
            for system in systems:
                measured = found[system.name]
                for runs_of, task in (
                    (measured.plain, plain),
                    (measured.parameter, with_parameter),
                    (measured.failing, after_failure),
                ):
                    runs_of.append(task(system))
                    print(f"  {system.name}, {task.__name__}: {runs_of[-1].to_open:.1f} s", flush=True)
            kept()

        for system in systems:
            system.prepare()
            system.write(FAILING, failing())
            system.write(LONG, long())
            # Warm: files are in memory, Python's are compiled, the browser has what it keeps.
            plain(system)
        round_of(systems)
        for system in systems:
            measured = found[system.name]
            fetched(system, measured)
            measured.list_ms = [1000 * seconds for seconds in listing(system)]
            left_alone(system, measured)
            while_running(system, measured)
        found[ours.name].shared_mb = memory(ours.shared())
        kept()
        for number in range(1, runs):
            if time.monotonic() > end:
                print(f"  After {minutes:g} minutes no other round begins: {number} of {runs} were made.")
                break
            round_of(systems[:: -1 if number % 2 else 1])
        return kept()


def plain(system: System) -> Run:
    """From the open notebook to its open output, with what the form offers by itself."""
    return _run(system, DIGITS, lambda person: None, "trained in")


def with_parameter(system: System) -> Run:
    """The same with one parameter changed."""
    return _run(system, DIGITS, lambda person: system.set_parameter(person, "epochs", "5"), "epoch   5")


def after_failure(system: System) -> Run:
    """From a failed job to the error at its cell, on the screen."""
    return _run(system, FAILING, lambda person: None, _ERROR, failed=True)


def _run(
    system: System, name: str, fill: Callable[[Person], None], sign: str, *, failed: bool = False
) -> Run:
    system.open_notebook(name)
    person = Person(system.page)
    with Watch(lambda: tree(system.roots())) as watch:
        clock = time.monotonic()
        system.open_form(person)
        fill(person)
        job = system.send_form(person)
        sent = time.monotonic()
        system.wait_over(job)
        over = time.monotonic()
        before = Acts.of(person)
        system.open_output(person, job)
        # The original has no outputs yet, so what has them is the executed notebook.
        output = system.shown_output().locator(".jp-OutputArea-output").filter(has_text=sign).first
        output.wait_for()
        if failed:
            person.see(output)
            expect(output).to_be_in_viewport()
        opened = time.monotonic()
    acts = Acts.of(person)
    times = system.times(job)
    system.leave()
    return Run(
        to_sent=sent - clock,
        to_over=over - clock,
        to_open=opened - clock,
        over_to_open=opened - over,
        queued_for=times.started - times.created,
        ran_for=times.ended - times.started,
        acts=acts - before if failed else acts,
        cpu=watch.usage.cpu,
        peak_mb=watch.usage.peak,
    )


def fetched(system: System, measured: Measured) -> None:
    """Listen to what a browser that kept nothing fetches: at the start, for the form, and for the list."""
    usual = system.page
    assert usual.context.browser
    heard: list[Response] = []

    def fresh() -> None:
        context = usual.context.browser.new_context(
            storage_state=usual.context.storage_state(), viewport=VIEW
        )
        system.page = context.new_page()
        system.page.set_default_timeout(PATIENCE)
        heard.clear()
        system.page.on(
            "response", lambda answer: heard.append(answer) if system.own.search(answer.url) else None
        )

    def weighed() -> tuple[int, int]:
        system.page.wait_for_timeout(4000)
        found = _weigh(system, heard)
        heard.clear()
        return found

    try:
        fresh()
        system.open_lab()
        measured.start_bytes, measured.start_requests = weighed()
        system.open_list()
        measured.list_bytes, _ = weighed()
        system.page.context.close()
        fresh()
        system.open_notebook(DIGITS)
        weighed()
        system.open_form(Person(system.page))
        measured.form_bytes, _ = weighed()
        system.leave()
        system.page.context.close()
    finally:
        system.page = usual


def _weigh(system: System, heard: list[Response]) -> tuple[int, int]:
    """Return the bytes of files, as they are without compression, and the number of requests to the server half."""
    files = [answer for answer in heard if "/lab/extensions/" in answer.url and answer.ok]
    return sum(len(answer.body()) for answer in files), sum(system.api in answer.url for answer in heard)


def listing(system: System) -> list[float]:
    """Time the request by which the page lists jobs, with the page's own cookies."""
    system.open_lab()
    seconds = []
    for index in range(LISTS + 5):
        began = time.perf_counter()
        system.ask(system.list_address())
        if index >= 5:
            seconds.append(time.perf_counter() - began)
    return seconds


def left_alone(system: System, measured: Measured) -> None:
    """Leave the open list of jobs alone, with nothing running."""
    system.open_lab()
    system.open_list()
    system.page.wait_for_timeout(5000)
    with Watch(lambda: tree(system.roots())) as watch:
        measured.idle_requests = system.traffic(WINDOW)
    measured.idle_cpu = watch.usage.cpu
    measured.idle_mb = memory(tree(system.roots()))


def while_running(system: System, measured: Measured) -> None:
    """Leave the open list of jobs alone while a job runs that does nothing."""
    system.open_notebook(LONG)
    system.open_form(Person(system.page))
    job = system.send_form(Person(system.page))
    wait_for("it runs", lambda: system.is_running(job), 60, 0.2)
    system.open_lab()
    system.open_list()
    system.page.wait_for_timeout(3000)
    with Watch(lambda: tree(system.roots())) as watch:
        measured.busy_requests = system.traffic(WINDOW)
    measured.busy_cpu, measured.busy_mb = watch.usage.cpu, watch.usage.peak
    system.leave()
