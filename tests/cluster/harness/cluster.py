"""A real Kubernetes cluster with Kueue on one machine: no registry, no Docker, nothing outside the machine.

All state lies under one root folder. `Cluster.up` starts everything, `Cluster.down` stops exactly that and undoes it,
also after a crash.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import yaml

from . import binaries, components, fake_nodes, host, images, kueue_manager, prerequisites, volumes
from .api import Api, ApiError, has_condition, is_ready, wait_for
from .pki import Pki
from .prerequisites import Missing
from .processes import Processes
from .settings import Settings, interface_exists, taken_ports

T = TypeVar("T")
Document = dict[str, Any]

OBJECTS = components.HERE / "objects"
SOCKET_PATH = 107
"""Longest path of a Unix socket."""

CLIENTS = ("kubelet", "kube-scheduler", "kube-controller-manager", "kueue")
"""What back off while the API server is away, the longer the longer (docs/kubernetes.md has how far)."""
STOP_ORDER = ("kueue", "kwok", "kubelet", "kube-scheduler", "kube-controller-manager")


class Cluster:
    """One cluster, up or down.

    Parameters
    ----------
    root
        The folder for all its state. Its ``logs`` survive `down`.
    bin_dir
        Where `binaries.build` put the programs.
    settings
        For `up`; default: those it was brought up with, else the standard ones.
    say
        Gets a line for each step.
    """

    def __init__(
        self,
        root: Path,
        bin_dir: Path,
        settings: Settings | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.root, self.bin_dir, self.say = root.resolve(), bin_dir.resolve(), say
        self._settings_file = self.root / "settings.json"
        self.settings = settings or self._saved_settings() or Settings()
        self.processes = Processes(self.root)
        self.pki = Pki(self.root / "pki")
        self.kubeconfig = self.root / "admin.conf"
        self.containerd_socket = self.root / "containerd.sock"

    # -- up and down ---------------------------------------------------------------------------------------------

    def up(self, objects: Path | None = OBJECTS) -> float:
        """Start everything and return when pods can run and, with Kueue, jobs can be queued.

        What an earlier cluster of this root left, dead or alive, is taken down first.

        Parameters
        ----------
        objects
            Folder of YAML files to apply.

        Returns
        -------
        float
            Seconds it took.
        """
        prerequisites.need_root()
        prerequisites.need_packages(self.say)
        binaries.need_built(
            self.bin_dir, binaries.CONTROL_PLANE, *([binaries.KUEUE] if self.settings.kueue else [])
        )
        if self._settings_file.exists():
            Cluster(self.root, self.bin_dir, say=self.say).down()
        self._check_room()
        begin = time.monotonic()
        self.root.mkdir(parents=True, exist_ok=True)
        self._save_settings()
        shutil.rmtree(self.processes.logs, ignore_errors=True)
        try:
            self._make_bridge()
            self._make_pki()
            self._start_control_plane()
            self._start_containerd()
            self._start_kubelet()
            if self.settings.kueue:
                self._install_kueue()
            self._wait_for_node()
            if objects:
                self._apply_objects(objects)
        except BaseException:
            self.say(f"It did not come up; logs are in {self.processes.logs}.")
            raise
        return time.monotonic() - begin

    def down(self) -> None:
        """Stop what `up` started and remove what it made, also after a crash; logs stay."""
        if not self._settings_file.exists():
            return
        self.settings = self._saved_settings() or self.settings
        for name in STOP_ORDER:
            self.processes.stop(name)
        ctr = self._ctr() if self.processes.alive("containerd") else None
        host.end_containers(self.root / "containerd" / "state", self.containerd_socket, ctr)
        for name in ("containerd", "kube-apiserver", "etcd"):
            self.processes.stop(name)
        host.unmount_under(self.root)
        host.ip("link", "delete", self.settings.bridge, check=False)
        host.sweep(self.root)
        # The settings go last: while they are there, an interrupted down can be repeated.
        paths = (p for p in self.root.iterdir() if p not in (self.processes.logs, self._settings_file))
        for path in paths:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        self._settings_file.unlink()

    @property
    def is_up(self) -> bool:
        """Whether every component runs and the API server is ready."""
        names = self.processes.names()
        if not self._settings_file.exists() or not names or not all(map(self.processes.alive, names)):
            return False
        try:
            return bool(self.api.get("/readyz") == "ok")
        except (OSError, ApiError):
            return False

    def status(self) -> dict[str, str]:
        """Component or node -> its state in words. Empty: nothing was started."""
        found = {}
        for name in self.processes.names():
            pid = self.processes.pid(name)
            found[name] = f"running (pid {pid})" if pid else "dead"
        if self.processes.alive("kube-apiserver"):
            try:
                for node in self.api.get("/api/v1/nodes")["items"]:
                    found[f"node {node['metadata']['name']}"] = "ready" if is_ready(node) else "not ready"
            except (OSError, ApiError) as error:
                found["kube-apiserver"] = f"does not answer: {error}"
        return found

    # -- talking to it -------------------------------------------------------------------------------------------

    @property
    def server(self) -> str:
        """URL of the API server."""
        return f"https://127.0.0.1:{self.settings.port('apiserver')}"

    @property
    def api(self) -> Api:
        """An administrator's client."""
        return Api(
            self.server, self.pki["ca.crt"], certificate=self.pki["admin.crt"], key=self.pki["admin.key"]
        )

    def token(self, namespace: str, service_account: str, hours: int = 4) -> str:
        """Return a token of a service account: what a pod, or our services on this machine, log in with."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{service_account}/token"
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": hours * 3600},
        }
        return str(self.api.post(path, request)["status"]["token"])

    def kubeconfig_of(self, namespace: str, service_account: str) -> Path:
        """Write a kubeconfig that logs in as a service account, for programs that run outside the cluster."""
        target = self.root / f"{namespace}.{service_account}.conf"
        user = {"token": self.token(namespace, service_account)}
        self.pki.kubeconfig(self.server, user, target, namespace)
        return target

    def kubectl(self, *arguments: str | Path) -> str:
        """Run kubectl as administrator and return its output."""
        words = [str(word) for word in arguments]
        command = [str(self.bin_dir / "kubectl"), f"--kubeconfig={self.kubeconfig}", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        if done.returncode:
            raise RuntimeError(f"kubectl {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    def apply(self, documents: Iterable[Document]) -> None:
        """Create or change objects, in this order."""
        api = self.api
        for document in documents:
            api.apply(document)

    def claim_folders(self, namespace: str, folders: dict[str, Path]) -> None:
        """Make folders of this machine mountable in a namespace (claim name -> folder); return when they are."""
        self.apply(
            [d for name, folder in folders.items() for d in volumes.folder_claim(namespace, name, folder)]
        )
        for name in folders:
            path = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{name}"
            wait_for(f"claim {name}", self._look(path, lambda claim: claim["status"]["phase"] == "Bound"))

    # -- its parts -----------------------------------------------------------------------------------------------

    def stop(self, component: str) -> None:
        """Stop one component, such as "kueue" or "kube-apiserver"."""
        self.processes.stop(component)

    def kill(self, component: str) -> None:
        """Stop one component without letting it finish anything."""
        self.processes.kill(component)

    def start(self, component: str) -> None:
        """Start a stopped component again and return when it is ready."""
        self.processes.start_again(component)
        if component == "kube-apiserver":
            self._wait_for_apiserver()
        elif component == "kueue":
            self._wait_for_kueue()

    def restart_clients(self) -> None:
        """Start again what backed off while the API server was away, as docs/kubernetes.md tells operators to."""
        for name in filter(self.processes.alive, CLIENTS):
            self.stop(name)
            self.start(name)

    def add_fake_nodes(self, names: Iterable[str], resources: dict[str, int], labels: dict[str, str]) -> None:
        """Add nodes on which nothing really runs; return when pods can be bound to them."""
        if not self.processes.alive("kwok"):
            self._start_kwok()
        names = list(names)
        for name in names:
            self.api.post("/api/v1/nodes", fake_nodes.manifest(name, resources, labels))

        def ready() -> bool:
            nodes = self.api.get(f"/api/v1/nodes?{fake_nodes.SELECTOR}")["items"]
            mine = [n for n in nodes if n["metadata"]["name"] in names]
            # Besides its own taint, a new node has not-ready until the controller manager takes it away.
            return len(mine) == len(names) and all(
                is_ready(n) and len(n["spec"]["taints"]) == 1 for n in mine
            )

        self._wait("kwok", f"{len(names)} fake nodes", ready)

    def remove_node(self, name: str) -> None:
        """Remove a node, with the pods that are bound to it."""
        self.api.delete(f"/api/v1/nodes/{name}")
        pods = f"/api/v1/pods?fieldSelector=spec.nodeName%3D{name}"
        for pod in self.api.get(pods)["items"]:
            meta = pod["metadata"]
            now = {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0}
            self.api.delete(f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}", now)

    # -- steps of up ---------------------------------------------------------------------------------------------

    def _check_room(self) -> None:
        if len(str(self.root / "kubelet/pod-resources/kubelet.sock")) > SOCKET_PATH:
            raise Missing(f"The path {self.root} is too long for Unix sockets: use a shorter folder.")
        if interface_exists(self.settings.bridge):
            raise Missing(
                f"The network interface {self.settings.bridge} is there already: another cluster's?"
            )
        if taken := taken_ports(self.settings.base_port):
            raise Missing("Ports are taken: " + ", ".join(f"{port} ({name})" for port, name in taken))

    def _make_bridge(self) -> None:
        """First of all: without it, packets to the pod subnet would leave by the default route."""
        bridge, subnet = self.settings.bridge, self.settings.subnet
        host.ip("link", "add", bridge, "type", "bridge")
        host.ip("addr", "add", f"{self.settings.gateway}/{subnet.prefixlen}", "dev", bridge)
        host.ip("link", "set", bridge, "up")
        self._write("cni/conf/10-bridge.conflist", components.cni_config(self.root, self.settings))

    def _make_pki(self) -> None:
        self.pki = components.make_pki(self.pki.folder, self.settings)
        for name in ("admin", "controller-manager", "scheduler", "kubelet", "kueue"):
            self.pki.certificate_kubeconfig(name, self.server, self.root / f"{name}.conf")

    def _start_control_plane(self) -> None:
        self._start("etcd", components.etcd(self.root, self.settings))
        self._start("kube-apiserver", components.apiserver(self.pki, self.settings))
        self._wait_for_apiserver()
        arguments = components.controller_manager(self.root, self.pki, self.settings)
        self._start("kube-controller-manager", arguments)
        self._start("kube-scheduler", components.scheduler(self.root, self.settings))

    def _start_containerd(self) -> None:
        config = self._write("containerd.toml", components.containerd_config(self.root))
        self.processes.start("containerd", [prerequisites.find("containerd"), f"--config={config}"])
        probe = [*self._ctr(), "images", "list"]
        answers = lambda: subprocess.run(probe, capture_output=True, check=False).returncode == 0  # noqa: E731
        self._wait("containerd", "containerd", answers)
        archive = self.root / "images.tar"
        images.write_archive(archive, Path(prerequisites.find("busybox")))
        images.import_archive(archive, self._ctr())

    def _start_kubelet(self) -> None:
        # Pods find no name server but this machine, so no lookup leaves it.
        self._write("resolv.conf", f"nameserver {self.settings.gateway}\n")
        config = components.kubelet_config(self.root, self.pki, self.settings, self.containerd_socket)
        self._write("kubelet.yaml", config)
        self._start("kubelet", components.kubelet(self.root, self.settings))

    def _install_kueue(self) -> None:
        ports = {n: self.settings.port(f"kueue_{n}") for n in ("webhook", "visibility", "health", "metrics")}
        documents = []
        for document in _load([self.bin_dir / binaries.KUEUE_MANIFESTS]):
            lead = kueue_manager.adapt(document, self.pki.ca_base64, ports["webhook"], ports["visibility"])
            documents += [lead] if lead else []
        first = [d for d in documents if d["kind"] in ("Namespace", "CustomResourceDefinition")]
        self.apply(first)
        self.apply([d for d in documents if d not in first])
        definitions = [d["metadata"]["name"] for d in first if d["kind"] == "CustomResourceDefinition"]
        self._wait("kube-apiserver", "Kueue's resources", lambda: all(map(self._established, definitions)))
        kueue_manager.write_root(
            self.root / "kueue",
            self.bin_dir / "kueue",
            components.HERE / "kueue" / "config.yaml",
            self.root / "kueue.conf",
            (self.pki["kueue.crt"], self.pki["kueue.key"]),
            ports,
        )
        self.processes.start(
            "kueue", [prerequisites.find("chroot"), self.root / "kueue", *kueue_manager.COMMAND]
        )
        self._wait_for_kueue()

    def _wait_for_node(self) -> None:
        node = f"/api/v1/nodes/{self.settings.node_name}"
        self._wait("kubelet", "node", self._look(node, is_ready))
        amounts = {name: str(amount) for name, amount in self.settings.resources.items()}
        self.api.patch(f"{node}/status", {"status": {"capacity": amounts, "allocatable": amounts}})
        # Every new node has the taint not-ready, which only the node-lifecycle controller takes away.
        untainted = self._look(node, lambda found: not found["spec"].get("taints"))
        self._wait("kube-controller-manager", "node without taints", untainted)

    def _apply_objects(self, folder: Path) -> None:
        documents = _load(sorted(folder.glob("*.yaml")))
        self.apply([d for d in documents if self.settings.kueue or "kueue.x-k8s.io" not in d["apiVersion"]])
        for name in (d["metadata"]["name"] for d in documents if d["kind"] == "Namespace"):
            # Pods are refused until the namespace's own service account is there.
            account = self._look(f"/api/v1/namespaces/{name}/serviceaccounts/default", bool)
            self._wait("kube-controller-manager", f"namespace {name}", account)

    def _start_kwok(self) -> None:
        binaries.need_built(self.bin_dir, binaries.KWOK)
        port = self.settings.port("kwok")
        self._start(
            "kwok",
            [
                f"--kubeconfig={self.kubeconfig}",
                f"--config={self.bin_dir / binaries.KWOK_STAGES}",
                f"--manage-nodes-with-annotation-selector={fake_nodes.KIND}=fake",
                # A call to the address of a fake pod stays on the bridge.
                f"--cidr={self.settings.halves[1]}",
                "--node-ip=127.0.0.1",
                f"--node-port={port}",
                f"--server-address=127.0.0.1:{port}",
                "--node-lease-duration-seconds=40",
            ],
        )

    # -- helpers -------------------------------------------------------------------------------------------------

    def _wait_for_apiserver(self) -> None:
        self._wait("kube-apiserver", "API server", self._look("/readyz", lambda answer: answer == "ok"))

    def _wait_for_kueue(self) -> None:
        health = self.settings.port("kueue_health")
        self._wait("kueue", "Kueue", lambda: kueue_manager.answers(health))
        for version in ("v1beta1", "v1beta2"):
            # Aggregated by the API server, which looks again every few seconds after a failure.
            look = self._look(f"/apis/visibility.kueue.x-k8s.io/{version}", bool)
            self._wait("kueue", f"visibility {version}", look)

    def _established(self, definition: str) -> bool:
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{definition}"
        return has_condition(self.api.get(path), "Established")

    def _start(self, component: str, arguments: list[str]) -> None:
        self.processes.start(component, [self.bin_dir / component, *arguments])

    def _wait(self, process: str, what: str, condition: Callable[[], T], timeout: float = 60) -> None:
        """Wait for ``condition``, but not for a process that died; show its last words."""

        def check() -> T:
            if not self.processes.alive(process):
                raise RuntimeError(f"{process} died:\n{self.processes.tail(process)}")
            return condition()

        begin = time.monotonic()
        wait_for(what, check, timeout)
        self.say(f"{what}: ready after {time.monotonic() - begin:.1f} s")

    def _look(self, path: str, good: Callable[[Any], bool]) -> Callable[[], bool]:
        """Make a condition for waiting out of what the API server has at ``path``."""
        return lambda: good(self.api.get(path))

    def _write(self, relative: str, content: str) -> Path:
        path = self.root / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(content)
        return path

    def _ctr(self) -> list[str]:
        return [prerequisites.find("ctr"), f"--address={self.containerd_socket}", "--namespace=k8s.io"]

    def _save_settings(self) -> None:
        fresh = self._settings_file.with_suffix(".new")
        fresh.write_text(json.dumps(dataclasses.asdict(self.settings)))
        fresh.replace(self._settings_file)

    def _saved_settings(self) -> Settings | None:
        if not self._settings_file.exists():
            return None
        known = {field.name for field in dataclasses.fields(Settings)}
        saved = json.loads(self._settings_file.read_text())
        # They may be those of another version of this file; `down` must work all the same.
        return Settings(**{name: value for name, value in saved.items() if name in known})


def _load(files: Iterable[Path]) -> list[Document]:
    return [document for file in files for document in yaml.safe_load_all(file.read_text()) if document]
