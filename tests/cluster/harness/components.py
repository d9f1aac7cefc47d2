"""Command lines and configuration of the Kubernetes components; ../README.md has the reason of the unusual ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from . import kueue_manager, prerequisites
from .pki import Pki
from .settings import Settings

HERE = Path(__file__).resolve().parent.parent


def make_pki(folder: Path, settings: Settings) -> Pki:
    """Make every certificate that a cluster needs."""
    pki, node, gateway = Pki(folder), settings.node_name, settings.gateway
    pki.authority()
    server = ("DNS:localhost", "DNS:kubernetes.default.svc", "IP:127.0.0.1", f"IP:{gateway}")
    pki.certificate("apiserver", "kube-apiserver", sans=server)
    pki.certificate("admin", "admin", groups=("system:masters",))
    pki.certificate("controller-manager", "system:kube-controller-manager")
    pki.certificate("scheduler", "system:kube-scheduler")
    pki.certificate("front-proxy", "front-proxy-client")
    kubelet = (f"DNS:{node}", f"IP:{gateway}", "IP:127.0.0.1")
    pki.certificate("kubelet", f"system:node:{node}", groups=("system:nodes",), sans=kubelet)
    pki.certificate(
        "kueue",
        kueue_manager.SERVICE_ACCOUNT,
        groups=("system:serviceaccounts",),
        sans=kueue_manager.TLS_NAMES,
    )
    return pki


def etcd(root: Path, settings: Settings) -> list[str]:
    """Arguments of etcd."""
    client = f"http://127.0.0.1:{settings.port('etcd')}"
    peer = f"http://127.0.0.1:{settings.port('etcd_peer')}"
    return [
        f"--data-dir={root / 'etcd'}",
        "--unsafe-no-fsync",  # the data is thrown away
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--log-level=warn",
    ]


def apiserver(pki: Pki, settings: Settings) -> list[str]:
    """Arguments of kube-apiserver."""
    return [
        f"--etcd-servers=http://127.0.0.1:{settings.port('etcd')}",
        f"--secure-port={settings.port('apiserver')}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",  # a loopback address may not be an endpoint
        f"--tls-cert-file={pki['apiserver.crt']}",
        f"--tls-private-key-file={pki['apiserver.key']}",
        f"--client-ca-file={pki['ca.crt']}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={pki['sa.pub']}",
        f"--service-account-signing-key-file={pki['sa.key']}",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--authorization-mode=Node,RBAC",
        "--allow-privileged=true",
        # Aggregation, for Kueue's visibility API.
        f"--requestheader-client-ca-file={pki['ca.crt']}",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={pki['front-proxy.crt']}",
        f"--proxy-client-key-file={pki['front-proxy.key']}",
        # Logs and exec: the kubelet listens on the bridge, an address of this machine.
        "--kubelet-preferred-address-types=InternalIP",
        f"--kubelet-certificate-authority={pki['ca.crt']}",
        f"--kubelet-client-certificate={pki['admin.crt']}",
        f"--kubelet-client-key={pki['admin.key']}",
    ]


def controller_manager(root: Path, pki: Pki, settings: Settings) -> list[str]:
    """Arguments of kube-controller-manager."""
    return [
        *_control_loop("controller-manager", root, settings),
        f"--root-ca-file={pki['ca.crt']}",
        f"--service-account-private-key-file={pki['sa.key']}",
        f"--cluster-signing-cert-file={pki['ca.crt']}",
        f"--cluster-signing-key-file={pki['ca.key']}",
        "--use-service-account-credentials=true",
        # With the default of 20, 50 fake nodes take 9 s to lose their not-ready taint.
        "--kube-api-qps=200",
        "--kube-api-burst=400",
        f"--flex-volume-plugin-dir={root / 'flex-volumes'}",
    ]


def scheduler(root: Path, settings: Settings) -> list[str]:
    """Arguments of kube-scheduler."""
    return _control_loop("scheduler", root, settings)


def kubelet(root: Path, settings: Settings) -> list[str]:
    """Arguments of the kubelet; `kubelet_config` writes the file."""
    labels = ",".join(f"{key}={value}" for key, value in settings.labels.items())
    return [
        f"--config={root / 'kubelet.yaml'}",
        f"--kubeconfig={root / 'kubelet.conf'}",
        f"--root-dir={root / 'kubelet'}",
        f"--hostname-override={settings.node_name}",
        f"--node-ip={settings.gateway}",  # loopback is refused
        f"--node-labels={labels}",
    ]


def kubelet_config(root: Path, pki: Pki, settings: Settings, containerd_socket: Path) -> str:
    """kubelet.yaml with what differs from cluster to cluster."""
    config: dict[str, Any] = yaml.safe_load((HERE / "kubelet.yaml").read_text())
    config["authentication"]["x509"]["clientCAFile"] = str(pki["ca.crt"])
    config |= {
        "address": settings.gateway,
        "port": settings.port("kubelet"),
        "tlsCertFile": str(pki["kubelet.crt"]),
        "tlsPrivateKeyFile": str(pki["kubelet.key"]),
        "containerRuntimeEndpoint": f"unix://{containerd_socket}",
        "podLogsDir": str(root / "pod-logs"),
        "volumePluginDir": str(root / "flex-volumes"),
        "resolvConf": str(root / "resolv.conf"),
    }
    return yaml.safe_dump(config)


def containerd_config(root: Path) -> str:
    """containerd.toml with the paths of one cluster."""
    template = (HERE / "containerd.toml").read_text()
    return template.replace("@ROOT@", str(root)).replace("@CNI@", str(prerequisites.CNI_FOLDER))


def cni_config(root: Path, settings: Settings) -> str:
    """How pods reach the network.

    They get no gateway and no route: a pod reaches the subnet, so other pods and this machine's servers on the gateway
    address, and nothing else. That needs neither forwarding nor masquerading, so no iptables.
    """
    subnet, (lower, _) = settings.subnet, settings.halves
    addresses = [{"subnet": str(subnet), "rangeStart": str(subnet[2]), "rangeEnd": str(lower[-1])}]
    ipam = {"type": "host-local", "dataDir": str(root / "cni" / "addresses"), "ranges": [addresses]}
    plugin = {"type": "bridge", "bridge": settings.bridge, "ipam": ipam}
    return json.dumps({"cniVersion": "0.4.0", "name": "pods", "plugins": [plugin]})


def _control_loop(name: str, root: Path, settings: Settings) -> list[str]:
    config = root / f"{name}.conf"
    return [
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        "--bind-address=127.0.0.1",
        f"--secure-port={settings.port(name.replace('-', '_'))}",
        "--leader-elect=false",
    ]
