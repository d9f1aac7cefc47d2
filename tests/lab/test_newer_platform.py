"""A vkd that is newer than the image: what nobody knows here yet is shown as its own text, and breaks nothing."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from aiinfn_lab import AiinfnError, Client
from aiinfn_lab.cli import main
from tests.lab.conftest import Lab, Peer
from tests.newer import answers

from .conftest import HUB_TOKEN


@pytest.fixture
def newer(peer: Peer) -> Peer:
    """A peer that speaks of things nobody knows. Jobs are over once they were asked for a few times."""
    asked = []

    def answer(path: str) -> Any:
        asked.append(path)
        over = sum(path in {"jobs", "jobs/j1"} for path in asked) > 3
        return answers(final=over).get(path)

    peer.answers = answer
    return peer


@pytest.fixture
def environment(newer: Peer, tmp_path: Path) -> dict[str, Any]:
    return {
        "HOME": str(tmp_path),
        "AIINFN_VKD_URL": newer.url,
        "JUPYTERHUB_API_TOKEN": HUB_TOKEN,
        "JUPYTERHUB_USER": "ada",
        "NO_COLOR": "1",
    }


@pytest.fixture
def client(environment: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with Client() as connection:
        yield connection


def test_the_python_client_gives_new_words_as_text(client: Client) -> None:
    listed = list(client.jobs())
    assert [job.id for job in listed] == ["j1", "s1"]
    job = client.job("j1")
    assert (job.state, job.cause, job.work.kind) == ("dreaming", "node_lost", "qpu")
    assert job.actions == ["teleport", "cancel"]
    (entry,) = client.events("j1")
    assert (entry.state, entry.cause) == ("dreaming", "node_lost")
    assert client.resources("j1").accelerator == "q1"
    platform = client.platform()
    assert (platform.backend, platform.accelerators[0].kind) == ("slurm", "qpu")
    assert [queue.name for queue in client.queues()] == ["opportunistic"]
    assert client.usage().entries == []
    assert client.points("s1")[0].state == "dreaming"
    assert client.cancel("j1").state == "dreaming"
    assert client.rerun("j1").state == "dreaming"


def test_known_words_are_still_the_members_of_their_set(client: Client, newer: Peer) -> None:
    from aiinfn_lab.client import JobState

    newer.answers = None
    known = newer.add_job({"kind": "script", "path": "a.py", "snapshot": ".aiinfn/jobs/a/a.py"})
    assert client.job(known.id).state is JobState.QUEUED


def test_waiting_ends_when_the_platform_says_that_it_is_over(client: Client) -> None:
    seen = []
    (job,) = client.wait("j1", 20, on_change=lambda job: seen.append(job.final))
    assert (job.state, job.final) == ("dreaming", True)
    assert seen[0] is False


def test_following_a_log_goes_on_until_the_job_is_over(client: Client, newer: Peer) -> None:
    newer.complete = "1"
    parts = [part.data for part in client.logs("j1", follow=True)]
    assert b"".join(parts) == newer.log


def test_an_answer_that_makes_no_sense_is_still_refused_in_a_sentence(client: Client, newer: Peer) -> None:
    newer.answers = lambda path: {"colour": "red"}
    with pytest.raises(AiinfnError, match="another version"):
        client.job("j1")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["list"], ["dreaming", "Cooling its qubits", "q1"]),
        (["list", "-o", "json"], ['"dreaming"', '"node_lost"']),
        (["list", "-q"], ["j1"]),
        (["show", "j1"], ["dreaming", "Cooling its qubits."]),
        (["show", "j1", "-q"], ["dreaming"]),
        (["show", "j1", "-o", "json"], ['"dreaming"', '"qpu"']),
        (["points", "s1"], ["dreaming", "p1"]),
        (["platform"], ["Quantum"]),
        (["platform", "-o", "json"], ['"qpu"', '"slurm"']),
        (["queues"], ["opportunistic"]),
        (["cancel", "j1"], ["j1"]),
    ],
)
def test_the_command_line_shows_them(
    environment: dict[str, Any], words: list[str], expected: list[str]
) -> None:
    said = CliRunner().invoke(main, words, env=environment)
    assert said.exit_code == 0, said.output
    for part in expected:
        assert part in said.stdout


def test_the_command_line_waits_and_a_state_it_does_not_know_is_no_success(
    environment: dict[str, Any],
) -> None:
    said = CliRunner().invoke(main, ["wait", "j1"], env=environment)
    assert said.exit_code == 1, said.output
    assert "Cooling its qubits" in said.stdout


def test_the_command_line_shows_checks_of_a_newer_platform(
    environment: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "fit.py").write_text("print(1)\n")
    said = CliRunner().invoke(main, ["submit", "--dry-run", str(tmp_path / "fit.py")], env=environment)
    assert "A licence is free." in said.stdout, said.output


@pytest.mark.parametrize(
    "path",
    ["jobs", "jobs/j1", "jobs/j1/events", "jobs/j1/resources", "jobs/s1/points", "platform", "queues", "usage"],
)  # fmt: skip
def test_the_lab_server_hands_them_on(lab: Lab, newer: Peer, path: str) -> None:
    reply = lab.get(path)
    assert reply.status == 200
    text = json.dumps(reply.json)
    assert '"colour"' in text
    for word in ("dreaming", "node_lost", "qpu", "slurm"):
        assert (word in text) == (word in json.dumps(answers()[path])), word


def test_the_lab_server_acts_on_such_jobs(lab: Lab, newer: Peer) -> None:
    lab.write("fit.py", "print(1)\n")
    assert lab.ask("POST", "jobs/j1/cancel").json["state"] == "dreaming"
    found = lab.ask("POST", "jobs/bulk", body={"action": "cancel", "ids": ["j1"]}).json
    assert found["results"][0]["job"]["state"] == "dreaming"
    checked = lab.ask("POST", "check", body={"path": "fit.py"}).json
    assert {"licences"} <= {check["what"] for check in checked["checks"]}


def test_a_refusal_for_a_new_reason_keeps_its_sentence_and_its_status(
    lab: Lab, newer: Peer, client: Client
) -> None:
    newer.refuse = (
        409,
        {"reason": "too_odd", "message": "It is too odd.", "hint": "", "field": None, "colour": 1},
    )
    reply = lab.get("jobs/j1")
    assert (reply.status, reply.json["message"]) == (409, "It is too odd.")
    with pytest.raises(AiinfnError, match="It is too odd"):
        client.job("j1")
