"""What the Lab half says itself, to an Italian reader: no English sentence over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.lab.conftest import Lab, Peer, Reply

ITALIAN = {"Accept-Language": "it-IT,it;q=0.9,en;q=0.5"}


def ask(lab: Lab, method: str, path: str, **options: Any) -> Reply:
    return lab.ask(method, path, headers=ITALIAN, **options)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"path": "missing.ipynb"}, "Il file 'missing.ipynb' non esiste."),
        ({}, "Manca il percorso del file."),
        ({"path": "a.txt"}, "'a.txt' non è né un notebook né uno script."),
        ({"path": "a.py", "parameters": {"n": 1}}, "Uno script prende argomenti, non parametri."),
        ({"path": "a.py", "work": {}}, "Un invio non ha la chiave 'work'."),
        ({"path": "input.py"}, "La riga 1 di 'input.py' chiede un input, che a un job non dà nessuno."),
    ],
)
def test_a_refused_submission(lab: Lab, body: dict[str, Any], message: str) -> None:
    (lab.home / "a.txt").write_text("x")
    (lab.home / "a.py").write_text("print(1)\n")
    (lab.home / "input.py").write_text("n = input()\n")
    told = ask(lab, "POST", "jobs", body=body).json
    assert told["message"] == message
    # What follows is of another reader again.
    assert lab.ask("POST", "jobs", body=body).json["message"] != message


def test_checks_have_a_code_and_facts_beside_their_sentence(lab: Lab, peer: Peer) -> None:
    (lab.home / "check.py").write_text("import nowhere_to_be_found\nopen('data.csv')\n")
    told = ask(lab, "POST", "check", body={"path": "check.py"}).json
    found = {each["code"]: each for each in told["checks"] if each.get("code")}
    assert found["check.kernel.program"]["sentence"] == "In questo ambiente c'è Python, che esegue lo script."
    missing = found["check.packages.missing"]
    assert (
        missing["sentence"]
        == "In questo ambiente manca il pacchetto nowhere_to_be_found, che lo script importa."
    )
    assert missing["facts"] == {
        "packages": ["nowhere_to_be_found"],
        "number": 1,
        "noun": {"code": "noun.script", "facts": {}},
    }
    assert missing["hint"].startswith("Prima installalo")
    assert found["check.files.missing"]["sentence"] == "Nomina data.csv, che ora non c'è."
    assert found["check.output.beside"]["sentence"].startswith(
        "Il risultato appare accanto come check.ID.log"
    )
    english = lab.ask("POST", "check", body={"path": "check.py"}).json["checks"]
    assert {each.get("code") for each in english} == {each.get("code") for each in told["checks"]}


def test_a_kernel_that_is_not_there(lab: Lab, notebook: Callable[..., dict[str, Any]]) -> None:
    lab.write("a.ipynb", notebook("1"))
    told = ask(lab, "POST", "kernel-state", body={"path": "a.ipynb", "kernel": "none", "cell": 0}).json
    assert told["message"] == "Il notebook non ha un kernel attivo."


def test_a_vkd_that_is_away(lab: Lab, peer: Peer) -> None:
    peer.stop()
    try:
        assert ask(lab, "GET", "status").json["message"] == "Il servizio batch non risponde."
        assert ask(lab, "GET", "jobs").json["message"] == "Il servizio batch non risponde."
    finally:
        peer.start()


def test_a_request_that_fails_before_it_is_looked_at(lab: Lab) -> None:
    told = lab.ask("GET", "jobs", headers=ITALIAN | {"Authorization": "token wrong"}, token="")
    assert told.json["message"] == "Non hai fatto l'accesso a questo server."
