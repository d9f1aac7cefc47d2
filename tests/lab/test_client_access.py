"""Which platform the client talks to, and as whom."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiinfn_hub.contract.jobs import Job
from aiinfn_hub.contract.platform import QueueChoice
from aiinfn_lab import AiinfnError
from aiinfn_lab.client import access
from aiinfn_lab.client.api import read_model
from aiinfn_lab.client.logs import _incomplete, _Reading
from aiinfn_lab.client.options import submission

SESSION = {"AIINFN_VKD_URL": "http://10.0.0.7:8082/services/vkd/", "JUPYTERHUB_API_TOKEN": "own"}
OUTSIDE = {"AIINFN_URL": "https://hub.example.org", "AIINFN_TOKEN": "mine"}


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    return {"XDG_CONFIG_HOME": str(tmp_path / "config")}


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("hub.example.org", "https://hub.example.org"),
        ("https://hub.example.org/", "https://hub.example.org"),
        ("https://hub.example.org/hub/token", "https://hub.example.org"),
        ("https://hub.example.org/user/anna/lab/tree/x?reset", "https://hub.example.org"),
        ("https://hub.example.org/services/vkd", "https://hub.example.org"),
        ("https://example.org:8443/jupyter/hub/home", "https://example.org:8443/jupyter"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("http://127.0.0.1:8000/hub/", "http://127.0.0.1:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_an_address_may_be_copied_from_any_page(typed: str, url: str) -> None:
    assert access.platform_url(typed) == url


@pytest.mark.parametrize(
    "typed",
    ["http://hub.example.org", "http://10.0.0.7", "ftp://x", "https://", "https://u:p@x", "https://x:y", " ", "https://[x"],
)  # fmt: skip
def test_an_address_that_would_give_the_token_away_or_is_none_is_refused(typed: str) -> None:
    with pytest.raises(AiinfnError) as told:
        access.platform_url(typed)
    assert told.value.hint


def test_in_a_session_there_is_nothing_to_set_up(config: dict[str, Any]) -> None:
    found = access.find(environment={**SESSION, **config})
    assert (found.vkd, found.hub, found.token) == ("http://10.0.0.7:8082/services/vkd", None, "own")
    assert found.in_session


def test_what_is_said_wins_over_the_session_and_that_over_what_was_kept(config: dict[str, Any]) -> None:
    access.save(access.PlatformAccess.outside("https://kept.example.org", "kept"), config)
    both = {**SESSION, **OUTSIDE, **config}
    assert access.find("https://arg.example.org", "arg", both).token == "arg"
    assert access.find(environment=both).token == "mine"
    assert access.find(environment={**SESSION, **config}).token == "own"
    assert access.find(environment=config).token == "kept"
    assert access.find(environment=config).vkd == "https://kept.example.org/services/vkd"


def test_a_kept_token_goes_to_no_other_address(config: dict[str, Any]) -> None:
    access.save(access.PlatformAccess.outside("https://kept.example.org", "kept"), config)
    assert (
        access.find(environment={**config, "AIINFN_URL": "https://kept.example.org/hub/home"}).token == "kept"
    )
    with pytest.raises(AiinfnError, match=r"There is no token for https://other\.example\.org"):
        access.find(environment={**config, "AIINFN_URL": "https://other.example.org"})


def test_nobody_signed_in_is_told_how_to(config: dict[str, Any]) -> None:
    with pytest.raises(AiinfnError) as told:
        access.find(environment=config)
    assert "aiinfn login" in told.value.hint


def test_the_token_is_kept_for_nobody_else(config: dict[str, Any]) -> None:
    path = access.save(access.PlatformAccess.outside("https://kept.example.org", "s3cret"), config)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["login.json"]
    path.chmod(0o640)
    with pytest.raises(AiinfnError) as told:
        access.load(config)
    assert f"chmod 600 {path}" in told.value.hint
    assert "s3cret" not in str(told.value)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"url": "https://x"}', "\x00", '{"url": 1, "token": "x y"}']
)
def test_a_damaged_file_is_told(config: dict[str, Any], content: str) -> None:
    path = access.save(access.PlatformAccess.outside("https://kept.example.org", "kept"), config)
    path.write_text(content)
    with pytest.raises(AiinfnError):
        access.load(config)
    assert access.forget(config)
    assert not access.forget(config)


def test_tokens_are_in_no_text() -> None:
    found = access.PlatformAccess.outside("https://hub.example.org", "s3cret")
    assert "s3cret" not in f"{found} {found!r}"
    for bad in ("s3cret two", "s3cr\xe9t", "", "s3cret\n" + "x" * 2000):
        with pytest.raises(AiinfnError) as told:
            access.PlatformAccess.outside("https://hub.example.org", bad)
        assert "s3cr" not in f"{told.value!r} {told.value}"


def test_keys_of_a_newer_platform_are_left_out() -> None:
    queue = QueueChoice(
        name="q", title="Q", projects=[], accelerators=[], priority=0, max_time=1, queued=0, running=0
    )
    newer = [{**queue.model_dump(), "colour": {"a": 1}}, {**queue.model_dump(), "more": 1}]
    assert read_model(list[QueueChoice], json.dumps(newer).encode()) == [queue, queue]


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b"[]", b'{"state": "dreaming"}'])
def test_an_answer_in_other_words_is_no_traceback(body: bytes) -> None:
    with pytest.raises(AiinfnError, match="another version"):
        read_model(Job, body)


@given(st.text(), st.data())
def test_parts_of_a_log_are_whole_characters_and_lose_nothing(text: str, data: st.DataObject) -> None:
    whole = text.encode("utf-8", "replace")
    reading, rest = _Reading(1, 0), whole
    parts: list[Any] = []
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        part = reading.take(rest[:size])
        rest = rest[size:]
        if part:
            assert part.offset == sum(len(before.data) for before in parts)
            part.data.decode()
            parts.append(part)
    assert b"".join(part.data for part in parts) == whole
    assert reading.rest() is None


@given(st.binary(max_size=8))
def test_what_is_no_text_is_handed_out_as_well(data: bytes) -> None:
    reading = _Reading(1, 0)
    parts = [reading.take(data), reading.rest()]
    assert b"".join(part.data for part in parts if part) == data
    assert 0 <= _incomplete(data) <= 3


@pytest.mark.parametrize(
    ("path", "options"),
    [(None, {}), (None, {"command": []}), (None, {"command": ["a"], "arguments": ["b"]}), (None, {"command": ["a"], "parameters": {"b": 1}})],
)  # fmt: skip
def test_a_submission_is_a_file_or_a_command(path: Any, options: dict[str, Any]) -> None:
    with pytest.raises(AiinfnError):
        submission(path, options)  # type: ignore[arg-type]


def test_an_option_that_does_not_exist_is_a_mistake_of_the_program() -> None:
    with pytest.raises(TypeError, match="acelerator"):
        submission("a.py", {"acelerator": "t4"})  # type: ignore[typeddict-unknown-key]
