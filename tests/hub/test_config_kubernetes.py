"""The hub's configuration on Kubernetes: where pods reach it, and who runs vkd."""

from pathlib import Path
from typing import Any

import pytest
from traitlets.config import Config

from aiinfn_hub.config.environment import ConfigurationError
from aiinfn_hub.config.hub_config import HubSettings, Reach, configure
from aiinfn_hub.config.kubernetes import ClusterSettings
from aiinfn_hub.platform.loading import loader
from aiinfn_hub.platform.model.platform import Platform
from tests.hub.stack import PLATFORM, ROOT

pytestmark = pytest.mark.usefixtures("restored_umask")
IAM = {"AIINFN_IAM_ISSUER": "https://iam.example.org/", "AIINFN_IAM_CLIENT_SECRET": "s3cret"}


@pytest.fixture
def kubeconfig(tmp_path: Path) -> str:
    path = tmp_path / "kubeconfig"
    path.touch()
    return str(path)


@pytest.fixture
def platform_file(tmp_path: Path) -> Path:
    path = tmp_path / "platform.yaml"
    path.write_text(PLATFORM.read_text().replace("backend: local", "backend: kubernetes"))
    return path


@pytest.fixture
def platform(platform_file: Path) -> Platform:
    return loader.load(platform_file)


def settings(platform: Platform, **environment: Any) -> ClusterSettings:
    return ClusterSettings.of(environment, platform)


def test_pods_reach_the_hub_at_its_service_by_default(platform: Platform, kubeconfig: str) -> None:
    found = settings(platform, KUBECONFIG=kubeconfig, AIINFN_VKD_KUBECONFIG=kubeconfig)
    assert (found.connect, found.bind) == ("aiinfn-hub.aiinfn-system", "0.0.0.0")


@pytest.mark.parametrize(
    ("environment", "connect", "bind"),
    [
        ({"AIINFN_HUB_CONNECT_IP": "10.0.0.7"}, "10.0.0.7", "10.0.0.7"),
        ({"AIINFN_HUB_CONNECT_IP": "fd00::7"}, "fd00::7", "fd00::7"),
        ({"AIINFN_HUB_CONNECT_IP": "hub.example.org"}, "hub.example.org", "0.0.0.0"),
        (
            {"AIINFN_HUB_CONNECT_IP": "10.0.0.7", "AIINFN_HUB_BIND_IP": "192.168.0.1"},
            "10.0.0.7",
            "192.168.0.1",
        ),
    ],
)
def test_an_address_is_listened_on_and_a_name_is_not(
    platform: Platform, kubeconfig: str, environment: dict[str, Any], connect: str, bind: str
) -> None:
    found = settings(platform, KUBECONFIG=kubeconfig, AIINFN_VKD_KUBECONFIG=kubeconfig, **environment)
    assert (found.connect, found.bind) == (connect, bind)


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"KUBECONFIG": ""}, "Set KUBECONFIG to a kubeconfig of the service account aiinfn-hub"),
        ({"AIINFN_VKD_KUBECONFIG": ""}, "Set AIINFN_VKD_KUBECONFIG"),
        ({"AIINFN_VKD_KUBECONFIG": "/nowhere"}, "there is no such file"),
        ({"AIINFN_VKD_URL": "vkd:8082"}, "AIINFN_VKD_URL must be a URL"),
    ],
    ids=str,
)
def test_what_is_missing_is_named(
    platform: Platform, kubeconfig: str, environment: dict[str, Any], says: str
) -> None:
    known = {"KUBECONFIG": kubeconfig, "AIINFN_VKD_KUBECONFIG": kubeconfig}
    with pytest.raises(ConfigurationError, match=says):
        settings(platform, **known | environment)


def test_a_vkd_that_the_hub_starts_listens_where_pods_reach_it(platform: Platform, kubeconfig: str) -> None:
    own = HubSettings.of(IAM)
    service = settings(platform, KUBECONFIG=kubeconfig, AIINFN_VKD_KUBECONFIG=kubeconfig)
    reach = Reach.of(own, service)
    assert reach == Reach(
        "0.0.0.0",
        vkd="http://127.0.0.1:8082",
        vkd_listens="http://0.0.0.0:8082",
        vkd_of_sessions="http://aiinfn-hub.aiinfn-system:8082",
    )
    address = settings(
        platform, KUBECONFIG=kubeconfig, AIINFN_VKD_KUBECONFIG=kubeconfig, AIINFN_HUB_CONNECT_IP="10.0.0.7"
    )
    here = "http://10.0.0.7:8082"
    assert Reach.of(own, address) == Reach("10.0.0.7", here, here, here)
    six = settings(
        platform, KUBECONFIG=kubeconfig, AIINFN_VKD_KUBECONFIG=kubeconfig, AIINFN_HUB_CONNECT_IP="fd00::7"
    )
    assert Reach.of(own, six).vkd_of_sessions == "http://[fd00::7]:8082"
    everywhere = "http://127.0.0.1:8082"
    assert Reach.of(own, None) == Reach("127.0.0.1", everywhere, everywhere, everywhere)


def configured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, platform_file: Path, **environment: Any
) -> Config:
    for name, value in (
        IAM
        | {
            "AIINFN_PLATFORM": str(platform_file),
            "AIINFN_DATA": str(tmp_path / "data"),
            "PATH": f"{ROOT}/deploy/proxy/node_modules/.bin:/usr/local/bin:/usr/bin:/bin",
        }
        | environment
    ).items():
        monkeypatch.setenv(name, value)
    config = Config()
    configure(config)
    return config


def test_a_vkd_that_the_hub_starts_gets_rights_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, platform_file: Path, kubeconfig: str
) -> None:
    own = tmp_path / "vkd.conf"
    own.touch()
    config = configured(
        monkeypatch, tmp_path, platform_file, KUBECONFIG=kubeconfig, AIINFN_VKD_KUBECONFIG=str(own)
    )
    (vkd, hub, *_others) = config.JupyterHub.services
    assert vkd["environment"]["KUBECONFIG"] == str(own)
    assert "command" in vkd
    assert hub["name"] == "aiinfn-hub"
    assert config.JupyterHub.spawner_class.__name__ == "KubernetesSpawner"
    assert config.JupyterHub.cleanup_servers is False
    assert config.KubernetesSpawner.namespace == "aiinfn-sessions"
    assert config.KubernetesSpawner.context.accounts is None
    assert "LocalSpawner" not in config


def test_a_vkd_in_a_pod_of_its_own_is_not_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, platform_file: Path, kubeconfig: str
) -> None:
    config = configured(
        monkeypatch,
        tmp_path,
        platform_file,
        KUBECONFIG=kubeconfig,
        AIINFN_VKD_URL="http://vkd.aiinfn-system:8082/",
        AIINFN_TICKET_KEY="the same for both",
    )
    (vkd, *_others) = config.JupyterHub.services
    assert vkd == {"name": "vkd", "url": "http://vkd.aiinfn-system:8082", "display": False}
    context = config.KubernetesSpawner.context
    assert context.vkd_url == "http://vkd.aiinfn-system:8082/services/vkd"
    assert context.ticket_key == "the same for both"


def test_without_a_way_into_the_cluster_the_hub_does_not_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, platform_file: Path
) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    with pytest.raises(SystemExit, match=r"The hub does not start\. Set KUBECONFIG"):
        configured(monkeypatch, tmp_path, platform_file)
