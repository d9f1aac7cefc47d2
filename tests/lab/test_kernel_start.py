"""A kernel that cannot be started: each door says why, in words, and nothing else is lost."""

import json
from typing import Any

import pytest

from aiinfn_hub.platform.selection import Door
from tests.lab.conftest import Lab, Reply

DOORS = ("kernels", "sessions", "change")


def install(lab: Lab, name: str, text: Any) -> Any:
    folder = lab.home / ".local/share/jupyter/kernels" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "kernel.json").write_text(text if isinstance(text, str) else json.dumps(text))
    return folder


def start(lab: Lab, door: Door, name: str) -> Reply:
    """Ask for a kernel by name, as JupyterLab does: alone, with a new notebook, or for one that has another."""
    if door == "kernels":
        return lab.ask("POST", "/api/kernels", body={"name": name})
    body = {"name": "x", "path": "x.ipynb", "type": "notebook", "kernel": {"name": name}}
    if door == "sessions":
        return lab.ask("POST", "/api/sessions", body=body)
    made = lab.ask("POST", "/api/sessions", body=body | {"kernel": {"name": "python3"}})
    assert made.status == 201, made.body
    address = f"/api/sessions/{made.json['id']}"
    try:
        reply = lab.ask("PATCH", address, body={"kernel": {"name": name}})
        assert lab.get(address).json["kernel"]["id"] == made.json["kernel"]["id"]
        return reply
    finally:
        assert lab.ask("DELETE", address).status == 204


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "kernel.json cannot be used"),
        ("[]", "kernel.json cannot be used"),
        ({"argv": 5, "display_name": "X", "language": "x"}, "kernel.json cannot be used"),
        ({"display_name": "X", "language": "x"}, "names no command"),
        (
            {"argv": ["/no/such/program", "{connection_file}"], "display_name": "X", "language": "x"},
            "/no/such/program",
        ),
        ({"argv": ["{", "-f"], "display_name": "X", "language": "x"}, "could not be started"),
    ],
)
def test_a_kernel_that_cannot_be_started_is_told_in_words(lab: Lab, door: Door, text: Any, said: str) -> None:
    install(lab, "odd-100", text)
    reply = start(lab, door, "odd-100")
    assert reply.status == (501 if door == "change" else 500)  # as Jupyter says it
    assert "odd-100" in reply.json["message"]
    assert said in reply.json["message"]
    assert "Traceback" not in reply.body.decode()


@pytest.mark.parametrize(("door", "status"), [("kernels", 404), ("sessions", 501), ("change", 501)])
def test_a_kernel_that_is_not_there_is_named(lab: Lab, door: Door, status: int) -> None:
    reply = start(lab, door, "no%such-kernel")
    assert reply.status == status
    assert "no%such-kernel" in reply.json["message"]
    assert "%%" not in reply.json["message"]
    assert "install" in reply.json["message"]


@pytest.mark.parametrize(
    "body",
    [{"name": 5}, {"name": ["python3"]}, {"path": 5}, {"kernel_id": []}, {"kernel_id": {}}, {"path": {}}],
)
def test_what_is_no_text_is_refused_as_such(lab: Lab, body: dict[str, Any]) -> None:
    reply = lab.ask("POST", "/api/kernels", body=body)
    assert reply.status == 400, reply.body
    assert "must be a text" in reply.json["message"]


def test_a_kernel_without_a_name_is_not_there(lab: Lab) -> None:
    assert lab.ask("POST", "/api/kernels", body={"name": ""}).status == 404


def test_python_starts(lab: Lab) -> None:
    reply = lab.ask("POST", "/api/kernels", body={"name": "python3"})
    assert reply.status == 201, reply.body
    assert lab.ask("DELETE", f"/api/kernels/{reply.json['id']}").status == 204
