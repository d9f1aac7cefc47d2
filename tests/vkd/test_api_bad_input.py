"""Bad input over REST: a clear sentence, the right status, nothing lost."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from aiinfn_hub.vkd.services import validation
from tests.vkd.memory_backend import MemoryBackend
from tests.vkd.world import API, Client, World, notebook, vkd

SNAPSHOT = ".aiinfn/jobs/x/a.py"
NB_SNAPSHOT = ".aiinfn/jobs/x7f/train.ipynb"
STATE = ".aiinfn/jobs/x7f/variables.state"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def v(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with vkd(tmp_path_factory.mktemp("vkd"), MemoryBackend) as running:
        yield running


pytestmark = pytest.mark.asyncio(loop_scope="module")


def script(**changes: Any) -> dict[str, Any]:
    return {"work": {"kind": "script", "path": "a.py", "snapshot": SNAPSHOT, **changes}}


def command(**changes: Any) -> dict[str, Any]:
    work = {"kind": "command", "path": "proj", "snapshot": ".aiinfn/jobs/x/proj", "folder": "proj"}
    return {"work": {**work, "command": "make", **changes}}


def nb(**changes: Any) -> dict[str, Any]:
    return notebook(work=changes)


def nested(depth: int) -> list[Any]:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("request_body", "status", "reason", "field"),
    [
        # choices: the gate's business, told by vkd
        (notebook(accelerator="nosuch"), 422, "unknown", "accelerator"),
        (notebook(image="nosuch"), 422, "unknown", "image"),
        (notebook(size="nosuch"), 422, "unknown", "size"),
        (notebook(project="nosuch"), 422, "unknown", "project"),
        (notebook(queue="nosuch"), 422, "unknown", "queue"),
        (notebook(project="medical"), 403, "forbidden", "project"),
        (notebook(queue="urgent"), 403, "forbidden", "queue"),
        (notebook(accelerator="t4", count=0), 422, "impossible", "count"),
        (notebook(count=2), 422, "impossible", "count"),
        (notebook(accelerator="t4", count=-1), 400, "invalid", "count"),
        (notebook(accelerator="t4", count=3), 422, "too_large", "count"),
        (notebook(accelerator="t4", count=10**40), 422, "too_large", "count"),
        (notebook(accelerator="t4", count=1.5), 400, "invalid", "count"),
        (notebook(accelerator="t4", count=True), 400, "invalid", "count"),
        (notebook(accelerator="t4", count=[1]), 400, "invalid", "count"),
        (notebook(accelerator={"a": 1}), 400, "invalid", "accelerator"),
        (notebook(time_limit="-1h"), 400, "invalid", "time_limit"),
        (notebook(time_limit=-5), 400, "invalid", "time_limit"),
        (notebook(time_limit=10**30), 400, "invalid", "time_limit"),
        (notebook(time_limit="400d"), 422, "too_large", "time_limit"),
        (notebook(time_limit="soon"), 400, "invalid", "time_limit"),
        # keys
        (notebook(priority=1000), 400, "invalid", "priority"),
        (nb(home="/root"), 400, "invalid", "work.home"),
        ({}, 400, "invalid", "work"),
        ({"work": {}}, 400, "invalid", "work.kind"),
        ({"work": None}, 400, "invalid", "work"),
        (notebook(**{"x\n" * 50: 1}), 400, "invalid", "x?" * 30),  # type: ignore[arg-type]
        # paths
        (nb(path="/etc/passwd.ipynb"), 400, "invalid", "work.path"),
        (nb(path="../other/a.ipynb"), 400, "invalid", "work.path"),
        (nb(path="a/../../b.ipynb"), 400, "invalid", "work.path"),
        (nb(path="~root/a.ipynb"), 400, "invalid", "work.path"),
        (nb(path="a\0.ipynb"), 400, "invalid", "work.path"),
        (nb(path="a\nb.ipynb"), 400, "invalid", "work.path"),
        (nb(path="a\x1b[31m.ipynb"), 400, "invalid", "work.path"),
        (nb(path="."), 400, "invalid", "work.path"),
        (nb(path=""), 400, "invalid", "work.path"),
        (nb(path="x" * 300 + ".ipynb"), 422, "too_large", "work.path"),
        (nb(path="é" * 130 + ".ipynb"), 422, "too_large", "work.path"),
        (nb(path="d/" * 600 + "a.ipynb"), 400, "invalid", "work.path"),
        (nb(path="a.txt"), 400, "invalid", "work.path"),
        (nb(path=3), 400, "invalid", "work.path"),
        (nb(snapshot="a/train.ipynb"), 400, "invalid", "work.snapshot"),
        (nb(snapshot=".aiinfn/jobs/../../etc/x.ipynb"), 400, "invalid", "work.snapshot"),
        (nb(snapshot="/home/anna/.aiinfn/jobs/x.ipynb"), 400, "invalid", "work.snapshot"),
        (nb(snapshot=".aiinfn/jobs"), 400, "invalid", "work.snapshot"),
        # going on from a session's kernel
        (nb(start_cell=1), 400, "invalid", "work.state"),
        (nb(state=STATE), 400, "invalid", "work.state"),
        (nb(start_cell=-1, state=STATE), 400, "invalid", "work.start_cell"),
        (nb(start_cell="a", state=STATE), 400, "invalid", "work.start_cell"),
        (nb(start_cell=1, state="/etc/passwd"), 400, "invalid", "work.state"),
        (nb(start_cell=1, state=".aiinfn/jobs/x/../../secret"), 400, "invalid", "work.state"),
        (nb(start_cell=1, state=".aiinfn/jobs/other/v.state"), 400, "invalid", "work.state"),
        (nb(start_cell=1, state="v.state"), 400, "invalid", "work.state"),
        (nb(start_cell=1, state=NB_SNAPSHOT), 400, "invalid", "work.state"),
        (nb(start_cell=1, state=STATE, parameters={"x": 1}), 400, "invalid", "work.parameters"),
        (
            {**nb(start_cell=1, state=STATE), "sweep": {"points": [{"x": 1}]}},
            400,
            "invalid",
            "sweep",
        ),
        (script(start_cell=1, state=STATE), 400, "invalid", "work.state"),
        # notebooks and scripts
        (nb(kernel=None), 400, "invalid", "work.kernel"),
        (nb(kernel=""), 400, "invalid", "work.kernel"),
        (nb(kernel="py\0thon"), 400, "invalid", "work.kernel"),
        (nb(kernel="k" * 300), 400, "invalid", "work.kernel"),
        (nb(kind="binary"), 400, "invalid", "work.kind"),
        (nb(arguments=["--x"]), 400, "invalid", "work.arguments"),
        (nb(parameters={"not a name": 1}), 400, "invalid", "work.parameters"),
        (nb(parameters={"x": "y" * validation.PARAMETER_BYTES}), 422, "too_large", "work.parameters"),
        (nb(parameters={f"p{i}": 1 for i in range(500)}), 400, "invalid", "work.parameters"),
        (nb(parameters=[1]), 400, "invalid", "work.parameters"),
        (script(path="a.exe"), 400, "invalid", "work.path"),
        (script(parameters={"x": 1}), 400, "invalid", "work.parameters"),
        (script(arguments=["a\0b"]), 400, "invalid", "work.arguments"),
        (script(arguments=["x" * 5000]), 400, "invalid", "work.arguments.0"),
        (script(arguments="--x"), 400, "invalid", "work.arguments"),
        # folders and commands
        (script(folder="b"), 400, "invalid", "work.path"),
        (script(path="proj2/a.py", folder="proj"), 400, "invalid", "work.path"),
        (script(path="proj/a.py", folder="proj/a.py"), 400, "invalid", "work.path"),
        (script(path="proj/b.py", folder="proj"), 400, "invalid", "work.snapshot"),
        (
            script(path="p/a.py", folder="p", snapshot=".aiinfn/jobs/a.py"),
            400,
            "invalid",
            "work.snapshot",
        ),
        (script(path="a.py", folder="."), 400, "invalid", "work.folder"),
        (script(path="proj/a.py", folder="../proj"), 400, "invalid", "work.folder"),
        (script(command="make"), 400, "invalid", "work.command"),
        (nb(command="make"), 400, "invalid", "work.command"),
        (command(folder=None), 400, "invalid", "work.folder"),
        (command(path="proj/a.py"), 400, "invalid", "work.path"),
        (command(command=None), 400, "invalid", "work.command"),
        (command(command="  "), 400, "invalid", "work.command"),
        (command(command="a\nb"), 400, "invalid", "work.command"),
        (command(command="x" * 5000), 400, "invalid", "work.command"),
        (command(arguments=["-v"]), 400, "invalid", "work.command"),
        ({**command(), "sweep": {"points": [{"a": 1}]}}, 400, "invalid", "sweep"),
        (notebook(name="a\nb"), 400, "invalid", "name"),
        (notebook(name="n" * 201), 400, "invalid", "name"),
    ],
    ids=lambda value: json.dumps(value)[:60] if isinstance(value, dict) else None,
)
async def test_a_bad_request_is_refused_about_its_field_and_nothing_is_kept(
    v: World, request_body: dict[str, Any], status: int, reason: str, field: str
) -> None:
    anna = v.as_("anna")
    for path in ("/jobs", "/jobs?dry_run=1"):
        body = await anna.post(path, request_body, status=status)
        assert (body["reason"], body["field"]) == (reason, field)
        assert body["message"].endswith((".", "…"))
        assert body["message"].isprintable()
        assert len(body["message"]) < 300
    assert v.backend.all == {}
    assert (await anna.get("/jobs"))["jobs"] == []


@pytest.mark.parametrize(
    ("raw", "kind", "status"),
    [
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"null", "application/json", 400),
        (b'"text"', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"work=1", "application/x-www-form-urlencoded", 400),
        (json.dumps(notebook()).encode(), "text/plain", 400),
        (json.dumps(notebook()).encode(), "nonsense", 400),
        (b'{"work": ' + b" " * 2_000_000 + b"1}", "application/json", 413),
        (
            json.dumps(nb(parameters={"x": "SURROGATE"})).replace("SURROGATE", "\\ud800").encode(),
            "application/json",
            400,
        ),
        (
            json.dumps(notebook(project="SURROGATE")).replace("SURROGATE", "\\ud800").encode(),
            "application/json",
            422,
        ),
        (
            json.dumps(nb(path="SURROGATE.ipynb")).replace("SURROGATE", "\\ud800").encode(),
            "application/json",
            400,
        ),
        (
            json.dumps(nb(kernel="SURROGATE")).replace("SURROGATE", "\\ud800").encode(),
            "application/json",
            400,
        ),
        (
            json.dumps(notebook(name="SURROGATE")).replace("SURROGATE", "\\ud800").encode(),
            "application/json",
            400,
        ),
        (json.dumps(nb(parameters={"x": float("nan")})).encode(), "application/json", 400),
        (json.dumps(notebook(accelerator="t4", count=float("inf"))).encode(), "application/json", 400),
        (json.dumps(notebook(time_limit=float("nan"))).encode(), "application/json", 400),
        (json.dumps(nb(parameters={"x": nested(900)})).encode(), "application/json", 422),
    ],
    ids=lambda value: repr(value[:40]) if isinstance(value, bytes) else None,
)
async def test_a_body_that_is_no_request_is_told_as_such(
    v: World, raw: bytes, kind: str, status: int
) -> None:
    got, body = await v.as_("anna").ask("POST", "/jobs", data=io.BytesIO(raw), headers={"Content-Type": kind})
    assert got == status
    assert set(body) == {"reason", "message", "hint", "field"}


async def test_a_large_body_without_a_length_is_cut_off(v: World) -> None:
    async def endless() -> AsyncIterator[Any]:
        for _ in range(64):
            yield b"x" * 65536

    status, body = await v.as_("anna").ask(
        "POST", "/jobs", data=endless(), headers={"Content-Type": "application/json"}
    )
    assert (status, body["reason"]) == (413, "too_large")


@pytest.mark.parametrize(
    "name",
    [
        "it's.ipynb",
        'a "quoted" name.ipynb',
        "$(touch x); `id` & |.ipynb",
        "naïve 日本語 🙂.ipynb",
        "-rf.ipynb",
        ".hidden.ipynb",
        "back\\slash.ipynb",
        "x" * 249 + ".ipynb",
        "a.b.c.ipynb",
    ],
)
async def test_an_unusual_name_is_a_name(tmp_path: Path, name: str) -> None:
    async with vkd(tmp_path, MemoryBackend) as v:
        job = await v.as_("anna").post("/jobs", notebook(f"dir/{name}"))
    assert job["work"]["path"] == f"dir/{name}"
    assert len(job["output"].rpartition("/")[2].encode()) <= 255


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("state=nosuch", "state"),
        ("state=running,nosuch", "state"),
        ("limit=0", "limit"),
        ("limit=100000", "limit"),
        ("limit=x", "limit"),
        ("since_revision=-1", "since_revision"),
        ("since_revision=99999999999999999999999", "since_revision"),
        ("since_revision=x", "since_revision"),
        ("cursor=x", "cursor"),
        ("cursor=n5x", "cursor"),
        ("cursor=c1-2", "cursor"),
        ("cursor=n5&since_revision=0", "cursor"),
        ("cursor=n%D9%A3", "cursor"),
        ("project=", "project"),
        ("project=a%00b", "project"),
        ("owner=a%0Ab", "owner"),
        ("owner=" + "x" * 300, "owner"),
    ],
)
async def test_a_bad_filter_is_refused(v: World, query: str, field: str) -> None:
    body = await v.as_("anna").get(f"/jobs?{query}", status=400)
    assert body["field"] == field


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", f"{API}/nosuch", 404),
        ("GET", "/", 404),
        ("GET", f"{API}/jobs/", 404),
        ("GET", f"{API}/jobs/..%2f..%2fetc", 404),
        ("GET", f"{API}/jobs/%00", 404),
        ("GET", f"{API}/jobs/{'x' * 5000}", 404),
        ("GET", f"{API}/jobs/%F0%28", 404),
        ("DELETE", f"{API}/jobs", 405),
        ("PUT", f"{API}/platform", 405),
        ("PUT", f"{API}/jobs/abc", 405),
    ],
)
async def test_a_wrong_address_or_method_is_a_problem_too(
    v: World, method: str, path: str, status: int
) -> None:
    headers = {"Authorization": "token token-anna"}
    async with v.http.request(method, v.root + path, headers=headers) as answer:
        assert answer.status == status
        assert set(await answer.json()) == {"reason", "message", "hint", "field"}


@pytest.mark.parametrize("key", ["x" * 201, "schlüssel"])
async def test_a_bad_idempotency_key_is_refused(v: World, key: str) -> None:
    body = await v.as_("anna").post("/jobs", notebook(), headers={"Idempotency-Key": key}, status=400)
    assert body["field"] == "Idempotency-Key"


async def test_somebody_in_no_group_is_told_whom_to_ask(v: World) -> None:
    body = await v.as_("nina").post("/jobs", notebook(), status=403)
    assert body["reason"] == "forbidden"
    assert "manager" in body["hint"]


async def test_a_refusal_is_in_the_language_that_is_asked_for(v: World) -> None:
    italian, english = {"Accept-Language": "it-IT,it;q=0.9"}, {"Accept-Language": "en"}

    async def asked(headers: Any) -> Any:
        return (await v.as_("nina").post("/jobs", notebook(), headers=headers, status=403))["message"]

    told = await asyncio.gather(*(asked(headers) for headers in (italian, english, {}) * 3))
    assert set(told[::3]) == {"Non fai parte di alcun progetto di questa piattaforma."}
    assert set(told[1::3]) == set(told[2::3]) == {"You do not belong to any project of this platform."}
    nobody = await v.as_(None).get("/jobs", headers=italian, status=401)
    assert nobody["message"] == "Serve un token dell'hub."
    assert (await v.as_("nina").get("/nowhere", headers=italian, status=404))["message"].startswith(
        "A questo"
    )


async def test_a_bad_offset_of_a_log_is_refused(v: World) -> None:
    client: Client = v.as_("anna")
    for query in ("offset=99999999999999999999999", "limit=0", "attempt=0", "offset=x"):
        await client.get(f"/jobs/whatever/logs?{query}", status=400)


# A full disk


async def test_a_full_disk_refuses_new_jobs_changes_nothing_and_shows_the_old_ones(tmp_path: Path) -> None:
    import sqlalchemy as sa

    async with vkd(tmp_path, MemoryBackend) as v:
        anna = v.as_("anna")
        engine = v.service.store._database.engine
        async with engine.connect() as connection:
            pages = (await connection.execute(sa.text("PRAGMA page_count"))).scalar()

        @sa.event.listens_for(engine.sync_engine, "connect")
        def full(connection: Any, _record: Any) -> None:
            connection.execute(f"PRAGMA max_page_count={pages}")

        await engine.dispose()
        kept = []
        for number in range(300):
            status, body = await anna.ask("POST", "/jobs", json=notebook(name=str(number)))
            if status != 201:
                break
            kept.append(body["id"])
            v.backend.waiting.pop(body["id"])
        assert (status, body["reason"]) == (507, "storage_full")
        assert body["message"] == "The platform's disk is full; nothing was changed."
        assert set(v.backend.all) == set(kept)
        page = await anna.get("/jobs?limit=200")
        assert [job["id"] for job in page["jobs"]] == kept[::-1]
