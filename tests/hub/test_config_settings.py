"""What the hub takes from its environment, and the secrets it keeps."""

import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from aiinfn_hub.config.hub_config import (  # type: ignore[attr-defined]
    CONFIG_FILE,
    ConfigurationError,
    HubSettings,
    proxy_command,
    secret_file,
)
from tests.hub.stack import PLATFORM, ROOT, clean_environment

GOOD = {"AIINFN_IAM_ISSUER": "https://iam.example.org/", "AIINFN_IAM_CLIENT_SECRET": "s3cret"}


def test_two_variables_are_enough_and_everything_listens_on_loopback() -> None:
    settings = HubSettings.of(GOOD)
    assert settings.host == "127.0.0.1"
    assert settings.client_id == "aiinfn-hub"
    assert len({settings.port, settings.hub_port, settings.proxy_api_port, settings.vkd_port}) == 4
    assert not settings.keep_servers


def test_the_client_secret_is_not_shown_with_the_settings() -> None:
    assert "s3cret" not in repr(HubSettings.of(GOOD))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"AIINFN_IAM_ISSUER": ""}, "Set AIINFN_IAM_ISSUER"),
        ({"AIINFN_IAM_ISSUER": "iam.example.org"}, "AIINFN_IAM_ISSUER must be a URL"),
        ({"AIINFN_IAM_CLIENT_SECRET": " "}, "Set AIINFN_IAM_CLIENT_SECRET"),
        ({"AIINFN_PUBLIC_URL": "hub.example.org"}, "AIINFN_PUBLIC_URL must be a URL"),
        ({"AIINFN_PORT": "http"}, "AIINFN_PORT must be a port between 1 and 65535, not 'http'"),
        ({"AIINFN_VKD_PORT": "65536"}, "AIINFN_VKD_PORT"),
        ({"AIINFN_HUB_PORT": "-1"}, "AIINFN_HUB_PORT"),
    ],
    ids=str,
)
def test_a_wrong_variable_is_named(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        HubSettings.of(GOOD | change)


def test_a_proxy_command_of_ones_own_may_have_arguments() -> None:
    assert proxy_command({"AIINFN_PROXY_COMMAND": f"{sys.executable} -c 'a b'"}) == [
        sys.executable,
        "-c",
        "a b",
    ]


@pytest.mark.parametrize("command", ["/nowhere/proxy", "/nowhere/proxy --x", '"'])
def test_a_proxy_that_cannot_be_run_is_named(command: str) -> None:
    with pytest.raises(ConfigurationError, match="AIINFN_PROXY_COMMAND"):
        proxy_command({"AIINFN_PROXY_COMMAND": command})


def test_a_missing_proxy_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("aiinfn_hub.config.hub_config.__file__", str(tmp_path / "a" / "b" / "config.py"))
    with pytest.raises(ConfigurationError, match="npm ci --prefix deploy/proxy"):
        proxy_command({})


def test_a_secret_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    secret = secret_file(path)
    assert secret_file(path) == secret
    assert len(bytes.fromhex(secret)) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_two_that_make_a_secret_at_the_same_time_get_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        for number in range(20):
            assert len(set(pool.map(lambda _, n=number: secret_file(tmp_path / str(n)), range(16)))) == 1


def test_a_secret_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    secret_file(path)
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        secret_file(path)


@pytest.mark.parametrize("content", ["", "xyz", "ab" * 31, "zz" * 32])
def test_a_damaged_secret_is_not_used(tmp_path: Path, content: str) -> None:
    path = tmp_path / "secret"
    path.touch(0o600)
    path.write_text(content)
    with pytest.raises(ConfigurationError, match="delete it to get a new one"):
        secret_file(path)


def start(tmp_path: Path, **change: Any) -> subprocess.CompletedProcess[str]:
    """Start a hub that must not start."""
    environment = (
        clean_environment() | GOOD | {"AIINFN_PLATFORM": str(PLATFORM), "AIINFN_DATA": str(tmp_path / "data")}
    )
    return subprocess.run(
        [sys.executable, "-m", "jupyterhub", "-f", str(change.pop("config", CONFIG_FILE))],
        env=environment | change,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_mistake_in_the_platform_file_ends_the_hub_with_one_sentence(tmp_path: Path) -> None:
    wrong = tmp_path / "platform.yaml"
    text = PLATFORM.read_text().replace(
        "managers: [ai-infn/medphys/managers]", "manager: [ai-infn/medphys/managers]"
    )
    wrong.write_text(text)
    line = text.splitlines().index("    manager: [ai-infn/medphys/managers]") + 1
    ended = start(tmp_path, AIINFN_PLATFORM=str(wrong))
    assert ended.returncode != 0
    assert f"The hub does not start. {wrong}, line {line}, projects.medphys.manager: " in ended.stderr
    assert "managers meant?" in ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    assert not (tmp_path / "data" / "hub" / "jupyterhub.sqlite").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"AIINFN_IAM_ISSUER": ""}, "Set AIINFN_IAM_ISSUER"),
        ({"AIINFN_PROXY_COMMAND": "/nowhere/proxy"}, "AIINFN_PROXY_COMMAND names"),
        ({"AIINFN_DATA": "/dev/null/data"}, "cannot be used (Not a directory)"),
        (
            {"config": ROOT / "jupyterhub_config.py", "AIINFN_PLATFORM": "/nowhere.yaml"},
            "there is no such file",
        ),
    ],
    ids=["issuer", "proxy", "data", "platform"],
)
def test_a_hub_that_cannot_be_configured_does_not_start_and_says_why(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    ended = start(tmp_path, **change)
    assert ended.returncode != 0
    assert "The hub does not start." in ended.stderr
    assert words in ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    assert "s3cret" not in ended.stdout + ended.stderr
