"""Builds etcd, Kubernetes, Kueue and kwok from pinned Go modules.

Every module folder beside this package (control-plane/, kueue/, kwok/) is a go.mod and go.sum of its own, because the
three families do not agree on the versions of their dependencies. A build is skipped while the stamp beside the
binary matches the folder's content; afterwards a cluster needs neither Go nor its module cache.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from . import prerequisites
from .prerequisites import Missing

MODULES_FOLDER = Path(__file__).resolve().parent.parent
COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kubectl")
KUEUE_MANIFESTS = "kueue-manifests.yaml"
KWOK_STAGES = "kwok-stages.yaml"


@dataclass(frozen=True)
class Module:
    """One pinned Go module and the one program that is built from it.

    Attributes
    ----------
    links
        Names under which the program acts as something else.
    variables
        Go variables set at link time.
    extras
        Files that are made from the module's sources, beside the program.
    """

    folder: str
    package: str
    binary: str
    links: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)
    extras: tuple[str, ...] = ()

    def stamp(self) -> str:
        """Tell one content of the module from another."""
        digest = hashlib.sha256(repr((self.package, self.variables)).encode())
        for file in ("go.mod", "go.sum", "main.go"):
            if (path := MODULES_FOLDER / self.folder / file).exists():
                digest.update(path.read_bytes())
        return digest.hexdigest()

    def built(self, folder: Path) -> bool:
        """Whether all that comes from this content is in ``folder``."""
        stamp = folder / f".{self.binary}.stamp"
        files = (self.binary, *self.links, *self.extras)
        return (
            all((folder / f).exists() for f in files) and stamp.exists() and stamp.read_text() == self.stamp()
        )


_VERSION = "k8s.io/component-base/version."
_KUBERNETES = "1.36.3"
_KUEUE = "0.19.2"
CONTROL_PLANE = Module(
    "control-plane",
    ".",
    "kube-multi",
    links=COMPONENTS,
    # Without these variables the server calls itself v0.0.0-master.
    variables={
        f"{_VERSION}gitVersion": f"v{_KUBERNETES}",
        f"{_VERSION}gitMajor": "1",
        f"{_VERSION}gitMinor": "36",
    },
)
KUEUE = Module(
    "kueue",
    "sigs.k8s.io/kueue/cmd/kueue",
    "kueue",
    variables={"sigs.k8s.io/kueue/pkg/version.GitVersion": f"v{_KUEUE}"},
    extras=(KUEUE_MANIFESTS,),
)
KWOK = Module("kwok", "sigs.k8s.io/kwok/cmd/kwok", "kwok", extras=(KWOK_STAGES,))
MODULES = (CONTROL_PLANE, KUEUE, KWOK)


def programs() -> Path:
    """Return where the programs of these versions are kept, for all checkouts of an account."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    content = hashlib.sha256("".join(module.stamp() for module in MODULES).encode()).hexdigest()[:8]
    versions = f"kubernetes-{_KUBERNETES}_kueue-{_KUEUE}_{content}"
    return root / "aiinfn" / "cluster" / versions


def build(folder: Path, say: Callable[[str], None]) -> None:
    """Build into ``folder`` what is missing or outdated there; of two at once, the second waits."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for module in MODULES:
            if not module.built(folder):
                begin = time.monotonic()
                say(f"Building {module.binary} (minutes the first time) ...")
                _build(module, folder)
                say(f"{module.binary}: built in {time.monotonic() - begin:.0f} s")


def need_built(folder: Path, *modules: Module) -> None:
    """Say so where one of these is not built."""
    if names := [module.binary for module in modules if not module.built(folder)]:
        raise Missing(f"{' and '.join(names)} must be built first: make cluster-build")


def _build(module: Module, folder: Path) -> None:
    target, stamp = folder / module.binary, folder / f".{module.binary}.stamp"
    stamp.unlink(missing_ok=True)
    variables = [f"-X {name}={value}" for name, value in module.variables.items()]
    fresh = target.with_suffix(".new")
    flags = ["-mod=readonly", "-buildvcs=false", "-ldflags", " ".join(["-s", "-w", *variables])]
    _go(module, "build", *flags, "-o", str(fresh), module.package)
    fresh.replace(target)  # a cluster that runs the old one goes on
    for name in module.links:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(module.binary)
    if module is KUEUE:
        source = _source(module, "sigs.k8s.io/kueue") / "config" / "default"
        (folder / KUEUE_MANIFESTS).write_text(_run([folder / "kubectl", "kustomize", source]))
    if module is KWOK:
        source = _source(module, "sigs.k8s.io/kwok") / "kustomize" / "stage"
        (folder / KWOK_STAGES).write_text(_kwok_stages(source))
    stamp.write_text(module.stamp())


def _kwok_stages(folder: Path) -> str:
    """How fake nodes and their pods live.

    Upstream's stages, except that the pods of a Job run until they are deleted, or for the time (such as 30s) in
    their annotation pod-complete.stage.kwok.x-k8s.io/delay; upstream ends them at once.
    """
    stages: list[dict[str, Any]] = []
    for part in ("node/fast", "node/heartbeat-with-lease", "pod/fast"):
        files = sorted(p for p in (folder / part).glob("*.yaml") if p.name != "kustomization.yaml")
        stages += [yaml.safe_load(p.read_text()) for p in files]
    complete = next(s for s in stages if s["metadata"]["name"] == "pod-complete")["spec"]
    duration = '.metadata.annotations["pod-complete.stage.kwok.x-k8s.io/delay"]'
    complete["selector"]["matchExpressions"].append({"key": duration, "operator": "Exists"})
    complete["delay"] = {"durationFrom": {"expressionFrom": duration}}
    return yaml.safe_dump_all(stages)


def _source(module: Module, path: str) -> Path:
    """Where the source of a module lies; it has the files that are not Go, too."""
    return Path(_go(module, "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", path).strip())


def _go(module: Module, *arguments: str) -> str:
    go, variables = prerequisites.go()
    # It takes every core for minutes: others come first.
    command = ["nice", "-n", "19", go, *arguments]
    return _run(command, cwd=MODULES_FOLDER / module.folder, env={**os.environ, **variables})


def _run(command: list[Any], cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    words = [str(word) for word in command]
    done = subprocess.run(words, text=True, stdout=subprocess.PIPE, check=False, cwd=cwd, env=env)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)} failed with status {done.returncode}")
    return done.stdout
