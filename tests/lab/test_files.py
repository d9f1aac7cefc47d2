"""What may be submitted: the path, the file, the notebook in it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.lab.conftest import Lab, Peer, Reply

GOOD = "train.ipynb"


def refused(reply: Reply, status: int, reason: str) -> dict[str, Any]:
    assert (reply.status, reply.json["reason"]) == (status, reason), reply.body
    assert set(reply.json) == {"reason", "message", "hint", "field"}
    assert reply.json["message"].endswith(".")
    assert "Traceback" not in reply.json["message"]
    return reply.json


def test_a_notebook_is_described(lab: Lab, notebook: Callable[..., dict[str, Any]]) -> None:
    source = (
        "# how often\n"
        "epochs = 20  # passes over the data\n"
        "rates: list = [0.1, 0.01]\n"
        "name, other = 'a', 'b'\n"
        "workdir = Path.home() / 'runs'\n"
        "import os\n"
    )
    content = notebook(source, "print(1)", "", tagged=True)
    content["cells"].append({"cell_type": "markdown", "metadata": {}, "source": ["# ", "hi"]})
    lab.write("work/è 'q\" $x.ipynb", content)
    found = lab.get("inspect", path="work/è 'q\" $x.ipynb").json
    assert found.pop("modified").endswith("Z")
    assert found.pop("size") == (lab.home / "work/è 'q\" $x.ipynb").stat().st_size
    assert found.pop("kernel") == {"name": "python3", "title": "Python 3 (ipykernel)", "available": True}
    assert found == {
        "path": "work/è 'q\" $x.ipynb",
        "name": "è 'q\" $x.ipynb",
        "kind": "notebook",
        "language": "python",
        "cells": 4,
        "code_cells": 2,
        "parameters": [
            {"name": "epochs", "type": "int", "default": 20, "source": "20", "help": "passes over the data"},
            {"name": "rates", "type": "list", "default": [0.1, 0.01], "source": "[0.1, 0.01]", "help": ""},
            {
                "name": "workdir",
                "type": "unknown",
                "default": None,
                "source": "Path.home() / 'runs'",
                "help": "",
            },
        ],
        "parameters_note": "",
        "header": {},
        "header_problem": None,
        "problem": None,
    }


@pytest.mark.parametrize(
    ("name", "language"), [("a.py", "python"), ("a.sh", "shell"), ("a.R", "r"), ("b.r", "r")]
)
def test_a_script_is_described(lab: Lab, name: str, language: str) -> None:
    lab.write(name, "anything ' at all \x00\xff")
    found = lab.get("inspect", path=name).json
    assert (found["kind"], found["language"], found["kernel"]) == ("script", language, None)
    assert found["parameters"] == []
    assert lab.submit({"path": name, "anyway": True}).status == 201


def test_a_notebook_in_another_language_has_no_parameters_but_can_be_run(
    lab: Lab, notebook: Callable[..., dict[str, Any]]
) -> None:
    lab.write("julia.ipynb", notebook("x = 1", tagged=True, language="julia"))
    found = lab.get("inspect", path="julia.ipynb").json
    assert found["parameters"] == []
    assert "julia" in found["parameters_note"]
    assert found["problem"] is None


def test_header_comments_are_told_as_they_are_written(
    lab: Lab, notebook: Callable[..., dict[str, Any]]
) -> None:
    lab.write("h.py", "#!/usr/bin/env python\n# AIINFN accelerator=t4 time=2h name='a run'\nprint(1)\n")
    found = lab.get("inspect", path="RTC:h.py").json
    assert found["header"] == {"accelerator": "t4", "time_limit": "2h", "name": "a run"}
    assert found["header_problem"] is None
    lab.write("h.ipynb", notebook("# AIINFN size=large\nx = 1"))
    assert lab.get("inspect", path="h.ipynb").json["header"] == {"size": "large"}
    lab.write("plain.py", "print(1)")
    assert lab.get("inspect", path="plain.py").json["header"] == {}


def test_a_malformed_header_is_told_and_nothing_of_it_is_used(lab: Lab, peer: Peer) -> None:
    lab.write("h.py", "# AIINFN time=2h\n# AIINFN accel=t4\n")
    reply = lab.get("inspect", path="h.py")
    assert (reply.status, reply.json["header"], reply.json["problem"]) == (200, {}, None)
    assert (
        reply.json["header_problem"]["message"]
        == "Line 2 of 'h.py' has 'accel', which is nothing that a job has."
    )
    # What is sent is said by who sends it: the header is read by the dialog and the command line, not here.
    assert lab.submit({"path": "h.py"}).status == 201
    lab.write("h.py", "# AIINFN size=large\n")
    lab.submit({"path": "h.py"})
    assert json.loads(peer.requests[-1][3])["size"] == "small"


def test_a_missing_kernel_is_a_problem_that_inspection_tells(
    lab: Lab, notebook: Callable[..., dict[str, Any]]
) -> None:
    lab.write("k.ipynb", notebook("1", kernel="gone\nkernel"))
    found = lab.get("inspect", path="k.ipynb").json
    assert found["kernel"]["available"] is False
    assert found["problem"]["reason"] == "unknown"
    lab.write("k.ipynb", notebook("1", kernel=None))
    found = lab.get("inspect", path="k.ipynb").json
    assert found["kernel"] is None
    assert found["problem"]["reason"] == "invalid"


@pytest.mark.parametrize(
    "path", ["../outside.ipynb", "a/../../outside.ipynb", "..", "a/..", "../../etc/passwd"]
)
def test_a_path_that_leads_out_is_refused(
    lab: Lab, notebook: Callable[..., dict[str, Any]], path: str
) -> None:
    (lab.home / "a").mkdir(exist_ok=True)
    (lab.home.parent / "outside.ipynb").write_text(json.dumps(notebook("1")))
    for reply in (lab.get("inspect", path=path), lab.submit({"path": path})):
        assert reply.status in {400, 403, 404}
        assert reply.json["field"] == "path"


def test_an_absolute_path_is_one_below_the_root(lab: Lab) -> None:
    refused(lab.get("inspect", path="/etc/hostname"), 404, "not_found")


def test_a_link_that_leads_out_is_refused(lab: Lab, notebook: Callable[..., dict[str, Any]]) -> None:
    (lab.home.parent / "secret.ipynb").write_text(json.dumps(notebook("1")))
    (lab.home / "link.ipynb").unlink(missing_ok=True)
    (lab.home / "link.ipynb").symlink_to(lab.home.parent / "secret.ipynb")
    found = refused(lab.submit({"path": "link.ipynb"}), 403, "forbidden")
    assert "link that leads out" in found["message"]
    (lab.home / "folder-link").unlink(missing_ok=True)
    (lab.home / "folder-link").symlink_to(lab.home.parent)
    refused(lab.get("inspect", path="folder-link/secret.ipynb"), 403, "forbidden")


def test_a_link_within_the_home_is_followed_and_keeps_its_name(
    lab: Lab, peer: Peer, notebook: Callable[..., dict[str, Any]]
) -> None:
    lab.write("real/b.ipynb", notebook("1"))
    (lab.home / "a-link.ipynb").unlink(missing_ok=True)
    (lab.home / "a-link.ipynb").symlink_to("real/b.ipynb")
    reply = lab.submit({"path": "a-link.ipynb"})
    assert reply.json["work"]["path"] == "a-link.ipynb"
    copy = lab.home / reply.json["work"]["snapshot"]
    assert not copy.is_symlink()
    assert copy.is_file()


def test_a_link_in_a_circle_is_refused(lab: Lab) -> None:
    (lab.home / "round.ipynb").unlink(missing_ok=True)
    (lab.home / "round.ipynb").symlink_to("round.ipynb")
    refused(lab.get("inspect", path="round.ipynb"), 400, "invalid")


def test_what_is_no_regular_file_is_refused_without_waiting(lab: Lab) -> None:
    (lab.home / "dir.ipynb").mkdir(exist_ok=True)
    assert "folder" in refused(lab.get("inspect", path="dir.ipynb"), 400, "invalid")["message"]
    if not (lab.home / "pipe.py").exists():
        os.mkfifo(lab.home / "pipe.py")
    refused(lab.submit({"path": "pipe.py"}), 400, "invalid")


@pytest.mark.parametrize(
    "path", ["gone.ipynb", "no/such/folder.py", "a.py/x.py", "x" * 300 + ".ipynb", "y/" * 600 + "z.py"]
)
def test_what_does_not_exist_is_not_found(lab: Lab, path: str) -> None:
    lab.write("a.py", "1")
    refused(lab.get("inspect", path=path), 404, "not_found")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_cannot_be_read_is_refused(lab: Lab) -> None:
    lab.write("locked.py", "1").chmod(0)
    refused(lab.get("inspect", path="locked.py"), 403, "forbidden")


@pytest.mark.parametrize(
    "path", ["", " ", "/", None, 7, ["a.py"], "a\nb.py", "a\0.py", "tab\t.py", "\ud800.py", "\x85.py"]
)
def test_a_path_that_is_no_usable_text_is_refused(lab: Lab, path: Any) -> None:
    refused(lab.submit({"path": path}), 400, "invalid")


def test_a_missing_path_is_refused(lab: Lab) -> None:
    refused(lab.submit({}), 400, "invalid")
    refused(lab.get("inspect"), 400, "invalid")


@pytest.mark.parametrize("name", ["data.csv", "noending", ".py", "a.IPYNB", "a.exe"])
def test_what_is_neither_notebook_nor_script_is_refused(lab: Lab, name: str) -> None:
    lab.write(name, "x")
    refused(lab.get("inspect", path=name), 400, "invalid")


@pytest.mark.parametrize(
    "name",
    [
        "quote'\".ipynb",
        "日本語 🚀.ipynb",
        "a;rm -rf ~.ipynb",
        "x" * 249 + ".ipynb",
        "{a}%s$(x).ipynb",
        "-n.ipynb",
        "a:b.ipynb",
    ],
)
def test_a_name_may_be_whatever_the_file_system_takes(
    lab: Lab, peer: Peer, notebook: Callable[..., dict[str, Any]], name: str
) -> None:
    lab.write(f"names/{name}", notebook("1"))
    reply = lab.submit({"path": f"names/{name}"})
    assert reply.status == 201
    work = reply.json["work"]
    assert work["path"] == f"names/{name}"
    assert (lab.home / work["snapshot"]).name == name
    assert (lab.home / work["snapshot"]).is_file()
    assert reply.json["lab"]["input"] == f"names/{name}"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"  \n",
        b"not json",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b"null",
        b"[" * 200_000,
        b'{"nbformat": 3, "worksheets": []}',
        b'{"nbformat": 4}',
        b'{"nbformat": 4, "metadata": {}, "cells": {}}',
        b'{"nbformat": 4, "metadata": {}, "cells": [1]}',
        b'{"nbformat": 4, "metadata": {}, "cells": [{"cell_type": "code", "source": 3}]}',
        b'{"nbformat": 4, "metadata": {}, "cells": [{"source": "x"}]}',
    ],
)
def test_what_is_no_notebook_is_refused(lab: Lab, content: bytes) -> None:
    lab.write("bad.ipynb", content)
    refused(lab.get("inspect", path="bad.ipynb"), 400, "invalid")
    refused(lab.submit({"path": "bad.ipynb"}), 400, "invalid")


@pytest.mark.parametrize(
    "metadata", [None, [], {"kernelspec": None}, {"kernelspec": {"name": 7}}, {"kernelspec": []}]
)
def test_odd_metadata_means_no_kernel(lab: Lab, metadata: Any) -> None:
    lab.write("odd.ipynb", {"nbformat": 4, "metadata": metadata, "cells": []})
    assert lab.get("inspect", path="odd.ipynb").json["problem"]["message"] == "The notebook has no kernel."


def test_a_file_that_is_too_large_is_refused(lab: Lab, notebook: Callable[..., dict[str, Any]]) -> None:
    lab.write("huge.ipynb", notebook("x" * 400_000))
    found = refused(lab.submit({"path": "huge.ipynb"}), 422, "too_large")
    assert "293 KiB" in found["message"]


def test_a_root_inside_the_home_still_gives_paths_of_the_home(
    tmp_path: Path,
    start_server: Callable[..., AbstractContextManager[Lab]],
    peer: Peer,
    notebook: Callable[..., dict[str, Any]],
) -> None:
    home = tmp_path / "home"
    (home / "projects").mkdir(parents=True)
    (home / "projects/a.py").write_text("1")
    (home / "other.py").write_text("1")
    environment = {"AIINFN_VKD_URL": peer.url, "JUPYTERHUB_API_TOKEN": "s3cret-of-the-session"}
    with start_server(tmp_path, environment, root="projects") as lab:
        job = lab.submit({"path": "a.py"}).json
        assert job["work"]["path"] == "projects/a.py"
        assert job["lab"]["input"] == "a.py"
        refused(lab.get("inspect", path="../other.py"), 403, "forbidden")


def test_a_server_that_the_platform_did_not_start_says_so(
    tmp_path: Path, start_server: Callable[..., AbstractContextManager[Lab]]
) -> None:
    with start_server(tmp_path, {}) as lab:
        found = lab.get("status").json
        assert found["vkd"] == "unavailable"
        assert "not started by the platform" in found["message"]
        assert set(found["session"].values()) == {None}
        refused(lab.get("platform"), 503, "unavailable")
