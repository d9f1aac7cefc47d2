"""An account is one person's: attacks on a real hub, by people whom the identity provider gives another's name."""

import asyncio
import json
import os
import re
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from aiinfn_hub.demo.identity_provider.people import ACCOUNTS
from tests.hub.stack import Client, Hub, Iam, browser, wait_for
from tests.hub.test_auth_signin import signed_in
from tests.hub.test_config_hub import session_of

SUBJECTS = {account.username: account.claims["sub"] for account in ACCOUNTS}
FLAVOUR = ["ai-infn/flavour"]
TAKEN = "that name, or one that can be taken for it, belongs to somebody else"


def command(hub: Hub, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run ``aiinfn-hub accounts`` as the operator of a hub."""
    told = subprocess.run(
        [sys.executable, "-P", "-m", "aiinfn_hub.cli", "accounts", *words],
        env=hub.environment(None),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert told.returncode == code, (told.stdout, told.stderr)
    assert "Traceback" not in told.stderr
    return told


def listed(hub: Hub) -> dict[str, Any]:
    return {each["name"]: each for each in json.loads(command(hub, "list", "--json").stdout)}


def vkd(
    hub: Hub, path: str, token: str, method: str = "GET", body: object = None
) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(
        f"{hub.vkd_url}/api/v1/{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"token {token}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def token_of(hub: Hub, who: str) -> str:
    status, made = hub.api(f"/users/{who}/tokens", "POST", {})
    assert status == 201, made
    return made["token"]


def begin(hub: Hub, who: str) -> None:
    status, answer = hub.api(f"/users/{who}/server", "POST", {"user_options": {"accelerator": "none"}})
    assert status in {201, 202}, answer
    wait_for("the session runs", lambda: hub.api(f"/users/{who}")[1]["servers"].get("", {}).get("ready"), 90)


def end(hub: Hub, who: str) -> None:
    hub.api(f"/users/{who}/server", "DELETE")
    wait_for("the session is over", lambda: not hub.api(f"/users/{who}")[1]["servers"], 60)


@pytest_asyncio.fixture
async def ada(hub: Hub) -> AsyncIterator[Client]:
    """Sign Ada in, with a session that runs, and return her browser."""
    async with browser(hub) as hers:
        assert (await hers.sign_in("ada")).status == 200
        if not hub.api("/users/ada")[1]["servers"]:
            begin(hub, "ada")
        yield hers


@pytest.mark.parametrize(
    "name",
    ["ada", "Ada", "ADA", "\N{FULLWIDTH LATIN SMALL LETTER A}da", "ad\N{FEMININE ORDINAL INDICATOR}"],
)
async def test_whoever_comes_under_a_name_that_is_anothers_is_refused_and_reaches_nothing(
    hub: Hub, iam: Iam, client: Client, ada: Client, name: str
) -> None:
    token = token_of(hub, "ada")
    session = session_of(hub, "ada")
    before = hub.log.count("Sign-in refused")
    with iam.claims("bruno", preferred_username=name):
        page = await client.sign_in("bruno")
        assert page.status == 403
        assert TAKEN in page.text
        assert "Ask the people who run this platform" in page.text
        assert "Sign in as somebody else" in page.text
        assert not await signed_in(client)
        assert (await client.get("/user/ada/api/status", allow_redirects=False)).status in {302, 403}
    # One line for operators, with what they need and nothing that opens something.
    assert hub.log.count("Sign-in refused") == before + 1
    line = next(line for line in reversed(hub.log.splitlines()) if "Sign-in refused" in line)
    assert SUBJECTS["ada"] in line
    assert SUBJECTS["bruno"] in line
    assert not any(code in hub.log for code in client.codes)
    assert "Traceback" not in hub.log
    # The first person noticed nothing.
    assert await signed_in(ada)
    assert hub.api("/user", token=token)[0] == 200
    assert session.is_running()
    assert session_of(hub, "ada").pid == session.pid
    # And the other one still has the own account.
    assert (await client.sign_in("bruno")).status == 200


async def test_a_kelvin_sign_is_no_k(hub: Hub, iam: Iam) -> None:
    with iam.claims("carla", preferred_username="kim"):
        async with browser(hub) as hers:
            assert (await hers.sign_in("carla")).status == 200
    assert listed(hub)["kim"]["sub"] == SUBJECTS["carla"]
    for name in ("\N{KELVIN SIGN}im", "\N{FULLWIDTH LATIN CAPITAL LETTER K}im"):
        with iam.claims("nemo", preferred_username=name, groups=FLAVOUR):
            async with browser(hub) as other:
                page = await other.sign_in("nemo")
                assert page.status == 403
                assert TAKEN in page.text


async def test_names_that_cannot_be_seen_whole_are_no_names(iam: Iam, client: Client) -> None:
    for name in ("a\u200bda", "a\u202eda", "a\0da", "\u2066ada", "ada\ufe0f"):
        with iam.claims("nemo", preferred_username=name, groups=FLAVOUR):
            page = await client.sign_in("nemo")
        assert page.status == 502
        assert "IAM gives no usable user name" in page.text


async def test_a_person_whom_iam_calls_otherwise_keeps_the_account(hub: Hub, iam: Iam, ada: Client) -> None:
    with iam.claims("ada", preferred_username="ada.rossi"):
        # Also while somebody works: the check of the groups does not send her out.
        await asyncio.sleep(1.1)
        assert await signed_in(ada)
        async with browser(hub) as again:
            assert (await again.sign_in("ada")).status == 200
            assert "ada" in (await again.get("/hub/home")).text
    assert hub.api("/users/ada.rossi")[0] == 404
    assert hub.api("/users/ada")[1]["servers"][""]["ready"]


async def test_binding_outlasts_sign_out_a_deleted_user_and_a_restart(hub: Hub, iam: Iam) -> None:
    async with browser(hub) as hers:
        assert (await hers.sign_in("dora")).status == 200
        await hers.get("/hub/logout")
    assert hub.api("/users/dora", "DELETE")[0] == 204
    hub.stop()
    hub.start(iam)
    with iam.claims("nemo", preferred_username="dora", groups=FLAVOUR):
        async with browser(hub) as other:
            assert (await other.sign_in("nemo")).status == 403
    assert hub.api("/users/dora")[0] == 404
    async with browser(hub) as hers:
        assert (await hers.sign_in("dora")).status == 200


@pytest.mark.timeout(420)  # a hub starts, a session, a job
async def test_accounts_that_exist_are_bound_once_at_their_next_sign_in_and_operators_see_them(
    hub: Hub, iam: Iam
) -> None:
    async with browser(hub) as hers:
        assert (await hers.sign_in("ada")).status == 200
    hub.api("/users/gina", "POST")
    hub.stop()
    for file in (hub.data / "hub").glob("accounts.sqlite*"):
        file.unlink()
    hub.start(iam)
    told = command(hub, "list", "--unbound")
    assert re.search(r"^ada +not yet bound$", told.stdout, re.M)
    assert re.search(r"^gina +not yet bound$", told.stdout, re.M)
    # Whose it was shows by the sign-in that the hub still keeps: not whoever comes first.
    with iam.claims("nemo", preferred_username="ada", groups=FLAVOUR):
        async with browser(hub) as other:
            assert (await other.sign_in("nemo")).status == 403
    assert listed(hub)["ada"]["sub"] is None
    async with browser(hub) as hers:
        assert (await hers.sign_in("ada")).status == 200
    assert listed(hub)["ada"]["sub"] == SUBJECTS["ada"]
    assert listed(hub)["ada"]["issuer"] == iam.issuer
    # Of one that nobody signed in to, nothing is known: it is the first one's, and then nobody else's.
    with iam.claims("bruno", preferred_username="gina"):
        async with browser(hub) as his:
            assert (await his.sign_in("bruno")).status == 200
    assert listed(hub)["gina"]["sub"] == SUBJECTS["bruno"]
    command(hub, "release", "gina")


@pytest.mark.timeout(420)  # a hub starts, a session, a job
async def test_a_released_name_is_another_persons_who_finds_nothing_and_whom_nothing_old_opens(
    hub: Hub, iam: Iam
) -> None:
    async with browser(hub) as hers:
        assert (await hers.sign_in("ada")).status == 200
        token = token_of(hub, "ada")
        if not hub.api("/users/ada")[1]["servers"]:
            begin(hub, "ada")
        home = hub.data / "homes" / "ada"
        (home / "secret.txt").write_text("of the first person")
        owner = home.stat().st_uid
        snapshot = home / ".aiinfn/jobs/x/wait.py"
        snapshot.parent.mkdir(parents=True, exist_ok=True)
        snapshot.write_text("import time; time.sleep(600)\n")
        (home / "wait.py").write_text(snapshot.read_text())
        for path in (home / ".aiinfn", *(home / ".aiinfn").rglob("*"), home / "wait.py"):
            os.chown(path, owner, owner)
        work = {"kind": "script", "path": "wait.py", "snapshot": ".aiinfn/jobs/x/wait.py"}
        status, job = vkd(hub, "jobs", token, "POST", {"work": work, "accelerator": "none"})
        assert status == 201, job

        assert "Sessions of ada run" in command(hub, "release", "ada", code=1).stderr
        end(hub, "ada")
        assert "ada has 1 job that is not over." in command(hub, "release", "ada", code=1).stderr
        vkd(hub, f"jobs/{job['id']}/cancel", token, "POST", {})
        wait_for("the job is over", lambda: vkd(hub, f"jobs/{job['id']}", token)[1]["state"] == "cancelled")

        told = wait_for("no process is left", lambda: _dry(hub), 30)
        assert "ada would be free" in told
        assert await signed_in(hers)
        assert (home / "secret.txt").exists()

        told = command(hub, "release", "ada").stdout
        archive = (
            next(line for line in told.splitlines() if "The home is at" in line)
            .rpartition(" ")[2]
            .rstrip(".")
        )
        assert stat.S_IMODE((hub.data / "archive").stat().st_mode) == 0o700
        assert (Path(archive) / "secret.txt").read_text() == "of the first person"
        assert not home.exists()
        assert hub.api("/users/ada")[0] == 404
        assert "ada" not in listed(hub)

        with iam.claims("nemo", preferred_username="ada", groups=FLAVOUR):
            async with browser(hub) as other:
                assert (await other.sign_in("nemo")).status == 200
                begin(hub, "ada")
                assert listed(hub)["ada"]["sub"] == SUBJECTS["nemo"]
                assert not (home / "secret.txt").exists()
                if os.geteuid() == 0 and owner:
                    assert home.stat().st_uid not in {owner, 0}
                theirs = token_of(hub, "ada")
                assert vkd(hub, "jobs", theirs)[1]["jobs"] == []
                for path in ("", "/events", "/logs"):  # type: ignore[assignment]
                    assert vkd(hub, f"jobs/{job['id']}{path}", theirs)[0] == 404

                # What the first person still holds opens nothing: cookie, token, sign-in.
                assert hub.api("/user", token=token)[0] == 403
                assert vkd(hub, "jobs", token)[0] == 401
                assert not await signed_in(hers)
                page = await hers.get("/user/ada/api/contents", allow_redirects=False)
                assert page.status in {302, 403}
                page = await hers.sign_in("ada")
                assert page.status == 403
                assert TAKEN in page.text
                assert session_of(hub, "ada").is_running()
                end(hub, "ada")

    # Operators still find the job, under a name that is nobody's.
    async with browser(hub) as operator:
        assert (await operator.sign_in("dora")).status == 200
    status, found = vkd(hub, f"jobs/{job['id']}", token_of(hub, "dora"))
    assert status == 200
    assert found["owner"].startswith("ada/released-")
    assert "Traceback" not in hub.log
    command(hub, "release", "ada")


def _dry(hub: Hub) -> str:
    """Try a release until what the session left behind has ended."""
    told = subprocess.run(
        [sys.executable, "-P", "-m", "aiinfn_hub.cli", "accounts", "release", "ada", "--dry-run"],
        env=hub.environment(None),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert told.returncode == 0 or "still run on this machine" in told.stderr, told.stderr
    return told.stdout


def test_a_name_that_is_nobodys_and_a_hub_that_is_away_are_told_in_a_sentence(hub: Hub) -> None:
    assert "There is no account zoe." in command(hub, "release", "zoe", code=1).stderr
    told = command(hub, "release", "ada", "--hub", "http://127.0.0.1:9", code=1)
    assert "The hub does not answer at http://127.0.0.1:9" in told.stderr


async def test_only_the_operators_command_gives_names_free(hub: Hub) -> None:
    async with browser(hub) as operator:
        assert (await operator.sign_in("dora")).status == 200
        token = token_of(hub, "dora")
        page = await operator.get("/hub/api/aiinfn/accounts/dora/release")
        assert page.status in {403, 405}
    for other in (token, (hub.data / "hub" / "hub-service.token").read_text().strip()):
        assert hub.api("/aiinfn/accounts/dora/release", "POST", {"dry_run": True}, token=other)[0] == 403
    assert hub.api("/users/dora")[0] == 200
    own = (hub.data / "hub" / "accounts.token").read_text().strip()
    status, model = hub.api("/user", token=own)
    assert (status, set(model["scopes"])) == (200, {"custom:aiinfn:accounts"})


@pytest.mark.timeout(420)  # a hub starts, a session, a job
async def test_a_provider_with_a_new_issuer_is_a_move_with_a_dry_run(
    hub: Hub, iam: Iam, tmp_path: Path
) -> None:
    async with browser(hub) as hers:
        assert (await hers.sign_in("ada")).status == 200
    hub.stop()
    new = Iam(tmp_path, hub.callback)
    try:
        new.start()
        hub.start(new)
        async with browser(hub) as hers:
            assert (await hers.sign_in("ada")).status == 403
            told = command(hub, "move", iam.issuer, new.issuer, "--dry-run")
            assert f"ada  {iam.issuer} {SUBJECTS['ada']}  ->  {new.issuer} {SUBJECTS['ada']}" in told.stdout
            assert listed(hub)["ada"]["issuer"] == iam.issuer
            assert (await hers.sign_in("ada")).status == 403
            command(hub, "move", iam.issuer, new.issuer)
            assert (await hers.sign_in("ada")).status == 200
        assert (
            f"No account belongs to the issuer {iam.issuer}; there are: {new.issuer}."
            in command(hub, "move", iam.issuer, new.issuer, code=1).stderr
        )
        subjects = tmp_path / "subjects.csv"
        subjects.write_text(f"# old,new\n{SUBJECTS['ada']},{SUBJECTS['nemo']}\n")
        told = command(hub, "move", new.issuer, new.issuer, "--subjects", str(subjects))
        assert "dora  is not in the file and stays as it is" in told.stdout
        assert listed(hub)["ada"]["sub"] == SUBJECTS["nemo"]
        subjects.write_text("one\n")
        assert (
            "line 1: write OLD,NEW"
            in command(hub, "move", new.issuer, new.issuer, "--subjects", str(subjects), code=1).stderr
        )
        assert "Traceback" not in hub.log
    finally:
        new.stop()
