"""Questions that the extension hands on to vkd."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.lab.conftest import Lab, Peer

WORK = {"kind": "notebook", "path": "work/a.ipynb", "snapshot": ".aiinfn/jobs/x/a.ipynb", "kernel": "python3"}


def test_status_names_the_versions_and_the_session(lab: Lab) -> None:
    reply = lab.get("status")
    assert reply.status == 200
    found = reply.json
    assert found["vkd"] == "ok"
    assert found["api_version"] == "v1"
    assert found["version"]
    assert found["root"] == str(lab.home)
    assert found["root_in_home"] is True
    assert found["session"] == {
        "project": "demo",
        "accelerator": "none",
        "count": 0,
        "image": "standard",
        "size": "small",
        "end": "2026-11-24T18:40:00Z",
    }


def test_the_version_of_the_contract_is_the_contracts(lab: Lab) -> None:
    from aiinfn_hub.contract.constants import PREFIX

    assert f"/api/{lab.get('status').json['api_version']}" == PREFIX


def test_status_says_when_vkd_is_down_and_recovers_by_itself(lab: Lab, peer: Peer) -> None:
    peer.stop()
    found = lab.get("status").json
    assert found["vkd"] == "unavailable"
    assert found["message"] == "The batch service does not answer."
    assert found["hint"]
    down = lab.get("jobs")
    assert down.status == 503
    assert down.json["reason"] == "unavailable"
    peer.start()
    assert lab.get("status").json["vkd"] == "ok"
    assert lab.get("jobs").status == 200


def test_a_slow_vkd_becomes_a_sentence_in_time(lab: Lab, peer: Peer) -> None:
    peer.delay = 60
    began = time.monotonic()
    reply = lab.get("platform")
    assert reply.status == 503
    assert reply.json["reason"] == "unavailable"
    assert time.monotonic() - began < 30


def test_platform_queues_and_usage_are_handed_on(lab: Lab) -> None:
    assert lab.get("platform").json == {"asked": "platform", "query": {}}
    assert lab.get("queues").json["asked"] == "queues"
    assert lab.get("usage", since="2026-11-01").json["query"] == {"since": ["2026-11-01"]}


def test_the_hub_token_goes_to_vkd_and_nowhere_else(lab: Lab, peer: Peer) -> None:
    bodies = [lab.get(path).body for path in ("status", "platform", "jobs")]
    assert peer.requests[-1][2]["Authorization"].startswith("token s3cret")
    assert not any(b"s3cret" in body for body in bodies)
    assert b"s3cret" not in lab.log.read_bytes()


def test_the_browsers_token_in_the_address_is_not_handed_on(lab: Lab, peer: Peer) -> None:
    reply = lab.ask(
        "GET", "jobs", query={"token": "t0ken-of-the-browser", "limit": "5", "x": "y"}, token=None
    )
    assert reply.status == 200
    assert peer.requests[-1][1] == "/services/vkd/api/v1/jobs?limit=5"


def test_jobs_tell_where_their_files_are_for_jupyterlab(lab: Lab, peer: Peer) -> None:
    mine = peer.add_job(WORK)
    other = peer.add_job(WORK, owner="bob")
    lab.write(mine.output, b"{}")
    first, second = lab.get("jobs", state=["queued", "running"]).json["jobs"]
    assert peer.requests[-1][1].endswith("jobs?state=queued&state=running")
    assert first["lab"] == {
        "input": "work/a.ipynb",
        "output": mine.output,
        "input_exists": (lab.home / "work/a.ipynb").exists(),
        "output_exists": True,
        "unreadable": None,
    }
    assert second["id"] == other.id
    assert second["lab"] == {
        "input": None,
        "output": None,
        "input_exists": False,
        "output_exists": False,
        "unreadable": None,
    }


def test_an_unchanged_list_is_not_sent_again(lab: Lab, peer: Peer) -> None:
    peer.add_job(WORK)
    first = lab.get("jobs")
    again = lab.ask("GET", "jobs", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")
    peer.add_job(WORK)
    changed = lab.ask("GET", "jobs", headers={"If-None-Match": first.headers["ETag"]})
    assert changed.status == 200
    assert len(changed.json["jobs"]) == 2


def test_one_job_its_history_cancel_and_rerun(lab: Lab, peer: Peer) -> None:
    job = peer.add_job(WORK)
    assert lab.get(f"jobs/{job.id}").json["lab"]["input"] == "work/a.ipynb"
    assert lab.get(f"jobs/{job.id}/events").json[0]["message"] == "Submitted."
    assert lab.ask("POST", f"jobs/{job.id}/cancel").status == 202
    rerun = lab.ask("POST", f"jobs/{job.id}/rerun", headers={"Idempotency-Key": "k1"})
    assert rerun.status == 201
    assert rerun.json["lab"]
    assert peer.requests[-1][2]["Idempotency-Key"] == "k1"


def test_a_job_that_does_not_exist_is_not_found(lab: Lab) -> None:
    reply = lab.get("jobs/nothere")
    assert reply.status == 404
    assert reply.json["reason"] == "not_found"


def test_a_strange_job_id_never_reaches_vkd(lab: Lab, peer: Peer) -> None:
    for strange in ("..%2F..%2Fplatform", "a%20b", "x" * 100, "%0aX"):
        assert lab.get(f"jobs/{strange}").status in {403, 404}
    assert peer.requests == []


def test_what_vkd_refuses_is_passed_on_word_by_word(lab: Lab, peer: Peer) -> None:
    said = {
        "reason": "forbidden",
        "message": "Queue night is not for demo.",
        "hint": "Ask bob.",
        "field": "queue",
    }
    peer.refuse = (403, said)
    reply = lab.get("platform")
    assert (reply.status, reply.json) == (403, said)


def test_a_limit_of_vkd_is_passed_on_with_its_time(lab: Lab, peer: Peer) -> None:
    peer.refuse, peer.retry_after = (429, {"reason": "too_many", "message": "Slow down.", "hint": ""}), "7"
    # The peer's headers are written with dashes.
    reply = lab.get("queues")
    assert reply.status == 429
    assert reply.headers["Retry-After"] == "7"


def test_a_token_that_vkd_does_not_know_is_explained(lab: Lab, peer: Peer) -> None:
    peer.refuse = (401, {"reason": "unauthenticated", "message": "no", "hint": ""})
    reply = lab.get("jobs")
    assert reply.status == 401
    assert "start your server" in reply.json["hint"]


def test_an_answer_of_something_else_is_explained(lab: Lab, peer: Peer) -> None:
    for status, body in ((404, {"detail": "Not Found"}), (502, b"<html>bad gateway"), (200, b"<html>hello")):
        peer.refuse = (status, body)
        reply = lab.get("platform")
        assert reply.status == 503, status
        assert reply.json["reason"] == "unavailable"
        assert b"html" not in reply.body


def test_a_missing_right_without_a_sentence_is_explained(lab: Lab, peer: Peer) -> None:
    peer.refuse = (403, b"Forbidden")
    assert lab.get("jobs").json["message"] == "This server may not use the batch service."


def test_reading_is_no_activity_but_acting_is(lab: Lab, peer: Peer) -> None:
    def activity() -> str:
        return str(lab.get("/api/status", no_track_activity="1").json["last_activity"])

    before = activity()
    time.sleep(0.01)
    lab.get("jobs")
    lab.get("status")
    assert activity() == before
    lab.ask("POST", f"jobs/{peer.add_job(WORK).id}/cancel")
    assert activity() > before


@pytest.mark.parametrize(
    ("headers", "spoken"),
    [
        ({}, "en"),
        ({"Accept-Language": "it-IT,it;q=0.9,en;q=0.5"}, "it"),
        ({"Accept-Language": "en", "Cookie": "aiinfn-language=it"}, "en"),
        ({"Accept-Language": "it", "Cookie": "aiinfn-language=x"}, "it"),
        ({"Accept-Language": "de\tx"}, "en"),
    ],
)
def test_vkd_is_asked_in_the_language_of_who_asks(
    lab: Lab, peer: Peer, headers: dict[str, Any], spoken: str
) -> None:
    assert lab.ask("GET", "platform", headers=headers).status == 200
    assert peer.requests[-1][2]["Accept-Language"] == spoken


@pytest.mark.parametrize(
    ("prefer", "passed_on"),
    [
        ("timezone=Europe/Rome", "timezone=Europe/Rome"),
        ('respond-async, TimeZone="Etc/GMT+2"; x=y', "timezone=Etc/GMT+2"),
        ("timezone=+02:00", "timezone=+02:00"),
        ("timezone=Europe/Rome<script>", None),
        ("atimezone=Europe/Rome", None),
        ("timezone=" + "a" * 65, None),
        ("", None),
    ],
)
def test_vkd_is_asked_for_times_in_the_zone_of_the_page(
    lab: Lab, peer: Peer, prefer: str, passed_on: str | None
) -> None:
    assert lab.ask("GET", "jobs", headers={"Prefer": prefer}).status == 200
    assert peer.requests[-1][2].get("Prefer") == passed_on
