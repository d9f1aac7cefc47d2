"""What one cluster is called, where it listens and what its node pretends to have."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass, field
from pathlib import Path

PORTS = (
    "apiserver",
    "etcd",
    "etcd_peer",
    "controller_manager",
    "scheduler",
    "kubelet",
    "kwok",
    "kueue_webhook",
    "kueue_visibility",
    "kueue_health",
    "kueue_metrics",
)
"""Every port of a cluster, in the order in which they follow `Settings.base_port`."""

FAKE_RESOURCES = {
    "nvidia.com/gpu": 2,
    "nvidia.com/mig-1g.5gb": 2,
    "amd.com/xilinx_v70_gen5x8_qdma_base_2-0": 1,
}
"""One of each kind of accelerator; there is no hardware behind them."""


@dataclass(frozen=True)
class Settings:
    """The settings of one cluster; two clusters differ in port, bridge and subnet.

    Attributes
    ----------
    base_port
        The first of ``len(PORTS)`` ports on loopback.
    node_name
        Name of the one real node.
    bridge, pod_subnet
        The network interface that pods hang on, and their addresses: the first is the gateway, this machine; the
        upper half is for the pods of fake nodes.
    resources
        Extended resources that the real node pretends to have.
    labels
        Labels of the real node.
    kueue
        Whether Kueue runs.
    """

    base_port: int = 16400
    node_name: str = "node-0"
    bridge: str = "aiinfn-pods0"
    pod_subnet: str = "10.244.0.0/16"
    resources: dict[str, int] = field(default_factory=lambda: dict(FAKE_RESOURCES))
    labels: dict[str, str] = field(
        default_factory=lambda: {"nvidia.com/gpu.product": "Tesla-T4", "accelerator": "v70"}
    )
    kueue: bool = True

    @classmethod
    def free(cls, *, kueue: bool = True) -> Settings:
        """Settings that clash with no cluster that runs on this machine now."""
        number = next(n for n in range(1, 10) if not interface_exists(f"aiinfn-pods{n}"))
        base_port = next(p for p in range(16500 + 50 * number, 30000, 50) if not taken_ports(p))
        return cls(
            base_port=base_port,
            bridge=f"aiinfn-pods{number}",
            pod_subnet=f"10.{244 + number}.0.0/16",
            kueue=kueue,
        )

    def port(self, name: str) -> int:
        """Port of one component."""
        return self.base_port + PORTS.index(name)

    @property
    def subnet(self) -> ipaddress.IPv4Network:
        """`pod_subnet`, parsed."""
        return ipaddress.IPv4Network(self.pod_subnet)

    @property
    def gateway(self) -> str:
        """Where pods reach servers of this machine, and where the kubelet listens."""
        return str(self.subnet[1])

    @property
    def halves(self) -> tuple[ipaddress.IPv4Network, ipaddress.IPv4Network]:
        """Addresses of real pods, addresses of the pods of fake nodes."""
        lower, upper = self.subnet.subnets(1)
        return lower, upper


def interface_exists(name: str) -> bool:
    """Whether this machine has a network interface of that name."""
    return Path("/sys/class/net", name).exists()


def taken_ports(base_port: int) -> list[tuple[int, str]]:
    """Ports of a cluster at ``base_port`` that somebody listens on, with what they are for."""
    taken = []
    for number, name in enumerate(PORTS, base_port):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", number))
            except OSError:
                taken.append((number, name))
    return taken
