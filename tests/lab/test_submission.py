"""Submitting a file: what vkd is asked, and what becomes of the copy."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.lab.conftest import Lab, Peer

SAMPLE = "epochs = 3  # passes\nrate = 0.1\nname = 'x'\nflag = True\nrates = [1, 2]\nwhere = make()\n"


def posted(peer: Peer) -> list[dict[str, Any]]:
    return [
        json.loads(body)
        for method, path, _, body in peer.requests
        if method == "POST" and path.endswith("/jobs")
    ]


def test_a_notebook_becomes_a_job_of_this_sessions_environment(
    lab: Lab, peer: Peer, notebook: Callable[..., dict[str, Any]]
) -> None:
    lab.write("work/train.ipynb", notebook(SAMPLE, tagged=True))
    reply = lab.submit({"path": "work/train.ipynb", "parameters": {"epochs": 9}, "queue": "opportunistic"})
    assert reply.status == 201
    job = reply.json
    assert job["lab"]["input"] == "work/train.ipynb"
    assert job["lab"]["input_exists"] is True
    assert job["lab"]["output"] == f"work/train.{job['id']}.ipynb"
    (request,) = posted(peer)
    snapshot = request["work"].pop("snapshot")
    assert request == {
        "work": {
            "kind": "notebook",
            "path": "work/train.ipynb",
            "kernel": "python3",
            "parameters": {"epochs": 9},
        },
        "project": "demo",
        "image": "standard",
        "size": "small",
        "queue": "opportunistic",
    }
    assert (lab.home / snapshot).read_bytes() == (lab.home / "work/train.ipynb").read_bytes()


def test_the_copy_is_for_its_owner_only(
    lab: Lab, peer: Peer, notebook: Callable[..., dict[str, Any]]
) -> None:
    lab.write("private.ipynb", notebook("1"))
    lab.submit({"path": "private.ipynb"})
    copy = lab.home / posted(peer)[0]["work"]["snapshot"]
    for place in (copy.parent, copy.parent.parent, copy.parent.parent.parent):
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600


def test_a_script_becomes_a_job_with_arguments(lab: Lab, peer: Peer) -> None:
    lab.write("work/fit.sh", "echo hi\n")
    reply = lab.submit({"path": "/work/fit.sh", "arguments": ["--n", "3; rm -rf /", "è"], "name": "  fit  "})
    assert reply.status == 201
    (request,) = posted(peer)
    assert request["work"]["kind"] == "script"
    assert request["work"]["arguments"] == ["--n", "3; rm -rf /", "è"]
    assert request["name"] == "fit"
    assert "kernel" not in request["work"]


def test_the_collaboration_drive_is_taken_off(
    lab: Lab, peer: Peer, notebook: Callable[..., dict[str, Any]]
) -> None:
    lab.write("shared.ipynb", notebook("1"))
    assert lab.get("inspect", path="RTC:shared.ipynb").json["path"] == "shared.ipynb"
    assert lab.submit({"path": "RTC:shared.ipynb"}).status == 201
    assert posted(peer)[0]["work"]["path"] == "shared.ipynb"


def test_all_choices_are_left_to_the_gate(
    lab: Lab, peer: Peer, notebook: Callable[..., dict[str, Any]]
) -> None:
    lab.write("a.ipynb", notebook("1"))
    choices = {
        "project": "other",
        "accelerator": "t4",
        "count": "-1",
        "image": "big",
        "size": 7,
        "time_limit": "4h",
        "queue": ["odd"],
    }
    assert lab.submit({"path": "a.ipynb", **choices}).status == 201
    (request,) = posted(peer)
    assert {key: request[key] for key in choices} == choices


def test_a_dry_run_writes_nothing(lab: Lab, peer: Peer, notebook: Callable[..., dict[str, Any]]) -> None:
    lab.write("dry.ipynb", notebook("1"))
    before = lab.snapshots()
    reply = lab.submit({"path": "dry.ipynb"}, dry_run="1")
    assert (reply.status, reply.json) == (
        200,
        {"sentence": "It would start now.", "ahead": 0, "checks": []},
    )
    assert lab.snapshots() == before
    assert peer.jobs == {}


def test_a_dry_run_refuses_what_a_submission_would(lab: Lab, notebook: Callable[..., dict[str, Any]]) -> None:
    lab.write("dry.ipynb", notebook(SAMPLE, tagged=True))
    assert lab.submit({"path": "dry.ipynb", "parameters": {"nope": 1}}, dry_run="1").status == 422
    assert lab.submit({"path": "missing.ipynb"}, dry_run="1").status == 404


def test_a_double_click_makes_one_job(lab: Lab, peer: Peer, notebook: Callable[..., dict[str, Any]]) -> None:
    lab.write("twice.ipynb", notebook("1"))
    before = set(lab.snapshots())
    replies = []
    clicks = [
        threading.Thread(target=lambda: replies.append(lab.submit({"path": "twice.ipynb"}, key="one-press")))
        for _ in range(2)
    ]
    for click in clicks:
        click.start()
    for click in clicks:
        click.join()
    assert sorted(reply.status for reply in replies) == [200, 201]
    assert replies[0].json["id"] == replies[1].json["id"]
    assert len(peer.jobs) == 1
    assert len(set(lab.snapshots()) - before) == 2  # one folder, one file


def test_a_repeated_request_means_the_same_though_the_file_has_changed(
    lab: Lab, peer: Peer, notebook: Callable[..., dict[str, Any]]
) -> None:
    lab.write("edited.ipynb", notebook("1"))
    first = lab.submit({"path": "edited.ipynb"}, key="press-2")
    lab.write("edited.ipynb", notebook("2"))
    again = lab.submit({"path": "edited.ipynb"}, key="press-2")
    assert (first.status, again.status) == (201, 200)
    copy = lab.home / posted(peer)[0]["work"]["snapshot"]
    assert json.loads(copy.read_text())["cells"][0]["source"] == "1"


def test_a_key_used_for_something_else_is_refused_and_the_first_copy_stays(
    lab: Lab, peer: Peer, notebook: Callable[..., dict[str, Any]]
) -> None:
    lab.write("k1/x.ipynb", notebook("1"))
    lab.write("k2/x.ipynb", notebook("2"))
    lab.submit({"path": "k1/x.ipynb"}, key="press-3")
    reply = lab.submit({"path": "k2/x.ipynb"}, key="press-3")
    assert reply.status == 409
    assert (lab.home / posted(peer)[0]["work"]["snapshot"]).is_file()


def test_what_vkd_refuses_leaves_no_copy(
    lab: Lab, peer: Peer, notebook: Callable[..., dict[str, Any]]
) -> None:
    lab.write("refused.ipynb", notebook("1"))
    before = lab.snapshots()
    peer.refuse = (422, {"reason": "unknown", "message": "No queue x.", "hint": "", "field": "queue"})
    reply = lab.submit({"path": "refused.ipynb", "queue": "x"})
    assert reply.status == 422
    assert reply.json["field"] == "queue"
    assert lab.snapshots() == before


def test_fields_that_vkd_names_are_those_of_the_page(
    lab: Lab, peer: Peer, notebook: Callable[..., dict[str, Any]]
) -> None:
    lab.write("field.ipynb", notebook("1"))
    said = {"reason": "invalid", "message": "No.", "hint": "", "field": "work.parameters"}
    peer.refuse = (400, said)
    assert lab.submit({"path": "field.ipynb"}).json["field"] == "parameters"
    assert lab.submit({"path": "field.ipynb"}, dry_run="1").json["field"] == "parameters"


def test_with_vkd_down_nothing_is_submitted_and_no_copy_stays(
    lab: Lab, peer: Peer, notebook: Callable[..., dict[str, Any]]
) -> None:
    lab.write("down.ipynb", notebook("1"))
    before = lab.snapshots()
    peer.stop()
    reply = lab.submit({"path": "down.ipynb"})
    assert reply.status == 503
    assert lab.snapshots() == before
    peer.start()
    assert lab.submit({"path": "down.ipynb"}).status == 201


def test_when_the_answer_is_lost_the_copy_stays_for_the_job_that_may_exist(
    lab: Lab, peer: Peer, notebook: Callable[..., dict[str, Any]]
) -> None:
    lab.write("lost.ipynb", notebook("1"))
    peer.delay = 4
    assert lab.submit({"path": "lost.ipynb"}, key="press-4").status == 503
    peer.delay = 0
    assert any(name.endswith("lost.ipynb") for name in lab.snapshots())
    assert lab.submit({"path": "lost.ipynb"}, key="press-4").status in {200, 201}


@pytest.mark.parametrize("key", ["a b", "x" * 201, "é"])
def test_an_odd_idempotency_key_is_refused(
    lab: Lab, notebook: Callable[..., dict[str, Any]], key: str
) -> None:
    lab.write("a.ipynb", notebook("1"))
    reply = lab.submit({"path": "a.ipynb"}, key=key)
    assert (reply.status, reply.json["reason"]) == (400, "invalid")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"x"', b"\xff", b'{"path": NaN}', b"[" * 100_000, b"null"]
)
def test_a_body_that_is_no_json_object_is_refused(lab: Lab, body: bytes) -> None:
    reply = lab.submit(body)
    assert (reply.status, reply.json["reason"]) == (400, "invalid")


def test_the_work_itself_is_described_here_and_other_keys_are_handed_on(
    lab: Lab, peer: Peer, notebook: Callable[..., dict[str, Any]]
) -> None:
    lab.write("a.ipynb", notebook("1"))
    reply = lab.submit({"path": "a.ipynb", "work": {}})
    assert (reply.status, reply.json["field"]) == (400, "work")
    lab.submit({"path": "a.ipynb", "newer": [1]})
    assert [request["newer"] for request in posted(peer)] == [[1]]


@pytest.mark.parametrize(
    ("parameters", "status", "field"),
    [
        ({"nope": 1}, 422, "parameters.nope"),
        ({"epochs": "many"}, 400, "parameters.epochs"),
        ({"epochs": None}, 400, "parameters.epochs"),
        ({"epochs": True}, 400, "parameters.epochs"),
        ({"rate": [1]}, 400, "parameters.rate"),
        ({"name": 3}, 400, "parameters.name"),
        ({"flag": 1}, 400, "parameters.flag"),
        ({"rates": {"a": 1}}, 400, "parameters.rates"),
        (["epochs"], 400, "parameters"),
    ],
)
def test_parameters_that_do_not_fit_are_refused_by_name(
    lab: Lab, peer: Peer, notebook: Callable[..., dict[str, Any]], parameters: Any, status: int, field: str
) -> None:
    lab.write("p.ipynb", notebook(SAMPLE, tagged=True))
    reply = lab.submit({"path": "p.ipynb", "parameters": parameters})
    assert (reply.status, reply.json["field"]) == (status, field)
    assert posted(peer) == []


def test_parameters_that_fit_are_taken(lab: Lab, notebook: Callable[..., dict[str, Any]]) -> None:
    lab.write("p.ipynb", notebook(SAMPLE, tagged=True))
    values = {"epochs": 2.5, "rate": 1, "name": "é\n", "flag": False, "rates": [], "where": {"any": None}}
    assert lab.submit({"path": "p.ipynb", "parameters": values}).status == 201


def test_parameters_for_a_notebook_without_the_tag_are_refused_with_the_way_out(
    lab: Lab, notebook: Callable[..., dict[str, Any]]
) -> None:
    lab.write("untagged.ipynb", notebook(SAMPLE))
    reply = lab.submit({"path": "untagged.ipynb", "parameters": {"epochs": 1}})
    assert reply.status == 422
    assert "tag 'parameters'" in reply.json["hint"]


def test_scripts_take_no_parameters_and_notebooks_no_arguments(
    lab: Lab, notebook: Callable[..., dict[str, Any]]
) -> None:
    lab.write("a.ipynb", notebook("1"))
    lab.write("a.py", "1\n")
    assert lab.submit({"path": "a.ipynb", "arguments": ["x"]}).json["field"] == "arguments"
    assert lab.submit({"path": "a.py", "parameters": {"x": 1}}).json["field"] == "parameters"
    assert lab.submit({"path": "a.py", "parameters": {}, "arguments": []}).status == 201


@pytest.mark.parametrize("arguments", ["x", [1], [None], ["a\0b"], ["x" * 5000], ["x"] * 201, {"a": 1}])
def test_arguments_that_are_no_usable_texts_are_refused(lab: Lab, arguments: Any) -> None:
    lab.write("a.py", "1\n")
    reply = lab.submit({"path": "a.py", "arguments": arguments})
    assert reply.status in {400, 422}
    assert reply.json["field"] == "arguments"


@pytest.mark.parametrize("name", [7, "a\nb", "x" * 201])
def test_a_job_name_that_is_no_line_is_refused(
    lab: Lab, notebook: Callable[..., dict[str, Any]], name: int | str
) -> None:
    lab.write("a.ipynb", notebook("1"))
    assert lab.submit({"path": "a.ipynb", "name": name}).json["field"] == "name"


def test_a_missing_kernel_is_refused_before_anything_is_written(
    lab: Lab, peer: Peer, notebook: Callable[..., dict[str, Any]]
) -> None:
    lab.write("r.ipynb", notebook("1", kernel="ir-4.4"))
    before = lab.snapshots()
    reply = lab.submit({"path": "r.ipynb"})
    assert (reply.status, reply.json["reason"]) == (422, "unknown")
    assert "'ir-4.4'" in reply.json["message"]
    assert lab.snapshots() == before
    # Another image may well have it: the job tells.
    assert lab.submit({"path": "r.ipynb", "image": "with-r"}).status == 201


def test_a_notebook_without_kernel_is_refused(lab: Lab, notebook: Callable[..., dict[str, Any]]) -> None:
    lab.write("none.ipynb", notebook("1", kernel=None))
    reply = lab.submit({"path": "none.ipynb"})
    assert (reply.status, reply.json["message"]) == (400, "The notebook has no kernel.")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
def test_a_full_disk_is_told_and_leaves_no_partial_copy(
    lab: Lab, peer: Peer, notebook: Callable[..., dict[str, Any]]
) -> None:
    lab.write("large.ipynb", notebook("x = '" + "y" * 200_000 + "'"))
    place = lab.home / ".aiinfn/jobs"
    place.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount")
    try:
        reply = lab.submit({"path": "large.ipynb"})
        left = list(place.iterdir())
    finally:
        subprocess.run(["umount", str(place)], check=True)
    assert (reply.status, reply.json["reason"]) == (507, "storage_full")
    assert left == []
    assert posted(peer) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_of_copies_that_cannot_be_written_is_told(
    lab: Lab, notebook: Callable[..., dict[str, Any]]
) -> None:
    lab.write("a.ipynb", notebook("1"))
    place = lab.home / ".aiinfn/jobs"
    place.mkdir(parents=True, exist_ok=True)
    place.chmod(0o500)
    try:
        reply = lab.submit({"path": "a.ipynb"})
    finally:
        place.chmod(0o700)
    assert (reply.status, reply.json["reason"]) == (403, "forbidden")


def test_something_in_the_way_of_the_copies_is_told(
    tmp_path: Path,
    notebook: Callable[..., dict[str, Any]],
    start_server: Callable[..., AbstractContextManager[Lab]],
    peer: Peer,
) -> None:
    from aiinfn_hub.contract.problem import Refusal
    from aiinfn_lab.submission import snapshot

    (tmp_path / ".aiinfn").write_text("a file, not a folder")
    with pytest.raises(Refusal, match="could not be written"):
        snapshot.take(tmp_path, "key", "a.ipynb", b"1")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".aiinfn"]
