"""Who may come in, and what they see of others."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from itsdangerous import URLSafeTimedSerializer

from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.contract.states import JobState
from aiinfn_hub.vkd import tickets
from tests.vkd import world
from tests.vkd.memory_backend import MemoryBackend
from tests.vkd.world import TICKET_KEY, Client, notebook, until, vkd


@pytest.fixture
async def v(tmp_path: Path) -> AsyncIterator[world.World]:
    async with vkd(tmp_path, MemoryBackend) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[world.World]:
    """One vkd for the tables of what is refused."""
    async with vkd(tmp_path_factory.mktemp("vkd"), MemoryBackend) as running:
        yield running


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("header", "status", "reason"),
    [
        (None, 401, "unauthenticated"),
        ("token", 401, "unauthenticated"),
        ("Basic dXNlcjpwYXNz", 401, "unauthenticated"),
        ("token unknown", 401, "unauthenticated"),
        ("token " + "x" * 2000, 401, "unauthenticated"),
        ("token a b", 401, "unauthenticated"),
        ("token token-noscope", 403, "forbidden"),
        ("token token-other", 403, "forbidden"),
        ("token token-hub", 403, "forbidden"),
        ("token token-anna", 200, None),
        ("Bearer token-anna", 200, None),
        ("bearer token-anna", 200, None),
    ],
)
async def test_only_people_with_a_good_token_and_the_scope_come_in(
    shared: world.World, header: str | None, status: int, reason: str | None
) -> None:
    client = shared.as_(None)
    got, body = await client.ask("GET", "/jobs", headers={"Authorization": header} if header else {})
    assert got == status
    if reason:
        assert body["reason"] == reason
        assert body["message"].endswith(".")


async def test_the_hub_is_asked_once_for_many_requests_of_one_token(v: world.World) -> None:
    await asyncio.gather(*(v.as_("anna").get("/jobs") for _ in range(20)))
    await v.as_("anna").get("/platform")
    assert v.hub.asked == ["token-anna"]


async def test_a_change_of_groups_arrives_when_the_answer_of_the_hub_is_old(tmp_path: Path) -> None:
    async with vkd(tmp_path, MemoryBackend, keep=0) as v:
        nina = v.as_("nina")
        assert (await nina.get("/platform"))["projects"] == []
        v.hub.people["token-nina"] = world.user_model("nina", "/ai-infn/medical")
        assert [p["name"] for p in (await nina.get("/platform"))["projects"]] == ["medical"]
        del v.hub.people["token-nina"]
        await nina.ask("GET", "/platform", status=401)


async def test_a_token_ends_at_its_second_however_lately_the_hub_was_asked(v: world.World) -> None:
    v.hub.people["token-anna"] = world.PEOPLE["token-anna"] | {"expires_in": 0.4}
    await v.as_("anna").get("/jobs")
    del v.hub.people["token-anna"]

    async def refused() -> bool:
        return (await v.as_("anna").ask("GET", "/jobs"))[0] == 401

    await until(refused, "the token ended", seconds=5)


async def test_a_revoked_token_ends_when_the_hub_says_so_and_others_stay(v: world.World) -> None:
    v.hub.people["token-anna"] = world.PEOPLE["token-anna"] | {"token_id": "a7"}
    for name in ("anna", "bruno"):
        await v.as_(name).get("/jobs")
    v.hub.people.clear()
    revoked = {"token_ids": ["a7", "a999"]}
    v.hub.people["token-hub"] = world.PEOPLE["token-hub"]
    await Client(v.http, v.root, "token-hub").ask("POST", "/token-revocations", status=204, json=revoked)
    await v.as_("anna").get("/jobs", status=401)
    await v.as_("bruno").get("/jobs")


async def test_what_the_hub_said_before_a_revocation_is_not_kept(v: world.World) -> None:
    hub = Client(v.http, v.root, "token-hub")
    await hub.get("/availability")
    v.hub.hold = asyncio.Event()
    asking = asyncio.create_task(v.as_("anna").get("/jobs"))

    async def asked() -> bool:
        return "token-anna" in v.hub.asked

    await until(asked, "vkd asks the hub")
    await hub.ask("POST", "/token-revocations", status=204, json={"token_ids": ["a27"]})
    v.hub.hold.set()
    await asking
    del v.hub.people["token-anna"]
    await v.as_("anna").get("/jobs", status=401)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("who", ["anna", "oscar", "other", None])
async def test_nobody_but_the_hub_revokes(shared: world.World, who: str | None) -> None:
    status, _ = await shared.as_(who).ask("POST", "/token-revocations", json={"token_ids": ["a27"]})
    assert status == (403 if who else 401)


async def test_without_the_hub_nobody_is_let_in_and_the_sentence_says_so(tmp_path: Path) -> None:
    async with vkd(tmp_path, MemoryBackend, keep=0) as v:
        v.hub.broken = True
        body = await v.as_("anna").get("/jobs", status=503)
        assert body["reason"] == "unavailable"
        v.hub.broken = False
        await v.as_("anna").get("/jobs")
    hub = world.Hub()
    async with hub.run():
        pass  # its address stays, nobody listens any more
    async with vkd(tmp_path, MemoryBackend, hub=hub) as v:
        body = await v.as_("anna").get("/jobs", status=503)
        assert body["message"] == "The hub does not answer, so nobody can be identified."


async def test_no_token_and_no_ticket_gets_into_the_log(
    v: world.World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await v.as_("anna").post("/jobs", notebook())
    await v.as_("anna").get("/jobs")
    await v.as_("unknown").ask("GET", "/jobs", status=401)
    ticket = tickets.issue(TICKET_KEY, ["t4"])
    await v.as_(None).get(f"/availability?ticket={ticket}")
    await v.as_(None).ask("GET", f"/availability?ticket={ticket}x", status=401)
    assert "request method=GET path=/services/vkd/api/v1/availability" in caplog.text
    assert "token-" not in caplog.text
    assert ticket[:20] not in caplog.text


async def test_people_see_their_own_jobs_managers_their_projects_operators_all(v: world.World) -> None:
    mine = await v.as_("anna").post("/jobs", notebook())
    brunos = await v.as_("bruno").post("/jobs", notebook(project="flavour"))
    medical = await v.as_("bruno").post("/jobs", notebook(project="medical"))

    async def seen(name: str) -> set[Any]:
        return {job["id"] for job in (await v.as_(name).get("/jobs"))["jobs"]}

    assert await seen("anna") == {mine["id"]}
    assert await seen("bruno") == {brunos["id"], medical["id"]}
    assert await seen("mara") == {mine["id"], brunos["id"]}
    assert await seen("oscar") == {mine["id"], brunos["id"], medical["id"]}
    assert await seen("nina") == set()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("method", "rest"),
    [("GET", ""), ("GET", "/events"), ("GET", "/logs"), ("POST", "/cancel"), ("POST", "/rerun")],
)
async def test_a_job_of_somebody_else_does_not_exist(shared: world.World, method: str, rest: str) -> None:
    job = await shared.as_("bruno").post("/jobs", notebook(project="medical"))
    for name in ("anna", "mara", "nina"):
        _, hidden = await shared.as_(name).ask(method, f"/jobs/{job['id']}{rest}", status=404)
        _, unknown = await shared.as_(name).ask(method, f"/jobs/nosuchjob2{rest}", status=404)
        assert hidden == unknown
    assert shared.backend.cancelled == []


async def test_a_manager_stops_a_job_of_the_project_but_cannot_run_it_again(v: world.World) -> None:
    job = await v.as_("anna").post("/jobs", notebook())
    mara = v.as_("mara")
    assert (await mara.get(f"/jobs/{job['id']}"))["actions"] == ["cancel"]
    told = await mara.post(f"/jobs/{job['id']}/cancel", status=202)
    assert told["sentence"] == "Being cancelled by mara"
    assert (await v.as_("anna").get(f"/jobs/{job['id']}"))["sentence"] == "Being cancelled by mara"
    v.backend.tell(job["id"], JobState.CANCELLED, attempt=0)

    async def over() -> Any:
        found = await mara.get(f"/jobs/{job['id']}")
        return found if found["state"] == "cancelled" else None

    found = await until(over, "the job is cancelled")
    assert found["actions"] == []
    assert (await v.as_("anna").get(f"/jobs/{job['id']}/events"))[-1]["message"] == "Cancelled by mara."
    body = await mara.post(f"/jobs/{job['id']}/rerun", status=403)
    assert body["message"] == "Only its owner can run a job again."


# Tickets


async def test_a_ticket_opens_the_availability_of_its_accelerators_and_nothing_else(v: world.World) -> None:
    ticket = tickets.issue(TICKET_KEY, ["v70", "nosuch"])
    reading = await v.as_(None).get(f"/availability?ticket={ticket}")
    assert [entry["accelerator"] for entry in reading["accelerators"]] == ["v70"]
    assert reading["age"] >= 0
    for path in ("/platform", "/jobs", "/queues", "/usage"):
        await v.as_(None).ask("GET", f"{path}?ticket={ticket}", status=401)


async def test_the_hub_reads_the_availability_of_all(v: world.World) -> None:
    reading = await Client(v.http, v.root, "token-hub").get("/availability")
    assert [entry["accelerator"] for entry in reading["accelerators"]] == ["t4", "v70"]
    await v.as_("anna").ask("GET", "/availability", status=403)
    await v.as_(None).ask("GET", "/availability", status=401)


@pytest.mark.parametrize(
    "ticket",
    [
        "",
        "nonsense",
        tickets.issue("another key", ["t4"]),
        URLSafeTimedSerializer(TICKET_KEY, salt="another use").dumps(["t4"]),
        URLSafeTimedSerializer(TICKET_KEY, salt=tickets.SALT).dumps({"t4": 1}),
        URLSafeTimedSerializer(TICKET_KEY, salt=tickets.SALT).dumps([["t4"]]),
    ],
    ids=["empty", "nonsense", "another key", "another use", "no list", "a list of lists"],
)
def test_a_foreign_ticket_is_refused(ticket: str) -> None:
    with pytest.raises(Refusal) as refused:
        tickets.verify(TICKET_KEY, ticket)
    assert refused.value.reason is Reason.UNAUTHENTICATED


def test_an_old_ticket_is_refused_with_the_advice_to_load_the_page_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ticket = tickets.issue(TICKET_KEY, ["t4"])
    monkeypatch.setattr(tickets, "LIFETIME", -1)
    with pytest.raises(Refusal, match="Load the page again"):
        tickets.verify(TICKET_KEY, ticket)


def test_without_a_key_no_ticket_is_taken() -> None:
    with pytest.raises(Refusal):
        tickets.verify(None, tickets.issue("", ["t4"]))


# Sessions

CLAIM = {
    "owner": "anna",
    "project": "flavour",
    "accelerator": "t4",
    "count": 1,
    "until": "2030-01-01T00:00:00Z",
}


async def test_the_hub_claims_looks_at_and_gives_back_devices(v: world.World) -> None:
    hub = Client(v.http, v.root, "token-hub")
    for name, accelerator in (("anna", "t4"), ("anna%2Fsecond", "t4"), ("a%20b%40c", "v70")):
        wanted = {**CLAIM, "accelerator": accelerator}
        claim = await hub.ask("PUT", f"/claims/{name}", status=200, json=wanted)
        assert claim[1]["state"] == "granted"
        assert await hub.ask("GET", f"/claims/{name}", status=200) == claim
    assert set(v.backend.claims) == {"anna", "anna/second", "a b@c"}
    for _ in range(2):
        await hub.ask("DELETE", "/claims/anna%2Fsecond", status=204)
    await hub.ask("GET", "/claims/anna%2Fsecond", status=404)
    # A line break is no part of a name, and no way around the check.
    await hub.ask("PUT", "/claims/anna%0Abruno", status=400, json=CLAIM)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("who", ["anna", "oscar", "other", None])
@pytest.mark.parametrize("method", ["PUT", "GET", "DELETE"])
async def test_nobody_but_the_hub_touches_sessions(shared: world.World, who: str | None, method: str) -> None:
    status, _ = await shared.as_(who).ask(method, "/claims/anna", json=CLAIM if method == "PUT" else None)
    assert status == (403 if who else 401)
    assert shared.backend.claims == {}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"count": 0}, 400, "count"),
        ({"count": -1}, 400, "count"),
        ({"count": 10**30}, 503, "accelerator"),
        ({"accelerator": "nosuch"}, 422, "accelerator"),
        ({"accelerator": "none"}, 422, "accelerator"),
        ({"until": "tomorrow"}, 400, "until"),
        ({"extra": 1}, 400, "extra"),
    ],
)
async def test_a_bad_claim_is_refused_with_its_field(
    shared: world.World, change: dict[str, Any], status: int, field: str
) -> None:
    _, body = await Client(shared.http, shared.root, "token-hub").ask(
        "PUT", "/claims/anna", status=status, json={**CLAIM, **change}
    )
    assert body["field"] == field


async def test_a_moment_without_a_zone_is_utc(v: world.World) -> None:
    await Client(v.http, v.root, "token-hub").ask(
        "PUT", "/claims/anna", status=200, json={**CLAIM, "until": "2030-01-01T00:00:00"}
    )
    request, _ = v.backend.claims["anna"]
    assert request.until.utcoffset().total_seconds() == 0
