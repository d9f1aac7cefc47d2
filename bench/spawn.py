"""Hub CPU of a local session, against JupyterHub's own SimpleLocalProcessSpawner on the same configuration."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.figures import Figure
from bench.stage import Stage, stage
from tests.hub.stack import HUB_CONFIG, wait_for

PEOPLE = ["ada", "bruno", "carla", "dora"]
ROUNDS = 2
STOCK = """
import os
from jupyterhub.spawner import SimpleLocalProcessSpawner
exec(open(os.environ["BENCH_BASE_CONFIG"]).read())
c.JupyterHub.spawner_class = SimpleLocalProcessSpawner
c.SimpleLocalProcessSpawner.home_dir_template = os.environ["BENCH_HOMES"] + "/{username}"
c.Spawner.args = ["--allow-root"] if os.geteuid() == 0 else []
c.Spawner.poll_interval = 5
c.Spawner.http_timeout = 60
c.JupyterHub.redirect_to_server = False  # signing in would start a session
"""


def measure() -> Iterator[Figure]:
    """Yield the CPU of the hub's own process for a start and a stop, CPU only, one after another."""
    with stage() as running:
        ours = per_session(running)
    with tempfile.TemporaryDirectory(prefix="aiinfn-stock-") as name:
        config = Path(name) / "stock_config.py"
        config.write_text(STOCK)
        with stage(config=config, BENCH_BASE_CONFIG=str(HUB_CONFIG), BENCH_HOMES=name) as running:
            stock = per_session(running)
    yield Figure("hub CPU per session, this spawner", ours * 1000, "ms")
    yield Figure("hub CPU per session, SimpleLocalProcessSpawner", stock * 1000, "ms")
    yield Figure("ratio", ours / stock, "x", "<= 1.25", ours / stock <= 1.25)


def per_session(running: Stage) -> float:
    """Start and stop a session for each person; give the hub's CPU seconds for one."""
    running.sign_in(*PEOPLE)
    hub = running.process("jupyterhub", "-f")
    session(running, PEOPLE[0])  # imports, homes and other first-use costs
    before = sum(hub.cpu_times()[:2])
    for person in PEOPLE * ROUNDS:
        session(running, person)
    return float(sum(hub.cpu_times()[:2]) - before) / (len(PEOPLE) * ROUNDS)


def session(running: Stage, person: str) -> None:
    """Start a session over REST, wait until it answers, and stop it."""
    status, answer = running.hub.api(f"/users/{person}/server", "POST", {})
    assert status in {201, 202}, answer
    wait_for(f"{person} runs", lambda: server(running, person).get("ready"), 90, 0.5)
    running.hub.api(f"/users/{person}/server", "DELETE")
    wait_for(f"{person} is gone", lambda: not server(running, person), 60, 0.5)


def server(running: Stage, person: str) -> dict[str, object]:
    """Return a person's default server as the hub shows it."""
    status, user = running.hub.api(f"/users/{person}")
    assert status == 200, user
    found: dict[str, object] = user["servers"].get("", {})
    return found
