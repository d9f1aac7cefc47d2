"""What belongs to one back end stands under its name; files and rows of the older form are read on."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from aiinfn_hub.cli.platform import check
from aiinfn_hub.platform.gate import resolve
from aiinfn_hub.platform.loading.loader import examine
from aiinfn_hub.platform.model.moved_keys import MOVED
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.person import Person
from aiinfn_hub.platform.selection import Door, Selection, simulated_devices

NEW = """\
sessions: {backend: kubernetes}
accelerators:
  t4:
    title: T4
    kind: gpu
    kubernetes:
      resource: nvidia.com/gpu
      node_labels: {model: t4}
      tolerations: [{key: gpu, operator: Exists}]
      quota: 3
    local: {product: Tesla-T4, simulated: 2}
images:
  std:
    title: Std
    kubernetes: {reference: "r.example.org/a:1", environment: {A: b}}
    local: {prefix: /opt/a}
sizes: {s: {title: S, cores: 1, memory: 2Gi}}
projects: {p1: {title: P1, groups: [lab/p1]}}
queues: {q: {title: Q}}
"""
OLD = """\
backend: kubernetes
accelerators:
  t4:
    title: T4
    kind: gpu
    resource: nvidia.com/gpu
    node_labels: {model: t4}
    tolerations: [{key: gpu, operator: Exists}]
    quota: 3
    product: Tesla-T4
    simulated: 2
images:
  std:
    title: Std
    reference: "r.example.org/a:1"
    environment: {A: b}
    local_prefix: /opt/a
sizes: {s: {title: S, cores: 1, memory: 2Gi}}
projects: {p1: {title: P1, groups: [lab/p1]}}
queues: {q: {title: Q}}
"""


def write(folder: Path, text: str, name: str = "platform.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def read(path: Path) -> Platform:
    found = examine(path)
    assert found.platform is not None, list(map(str, found.problems))
    return found.platform


def test_both_forms_say_the_same_and_check_names_each_older_key(tmp_path: Path) -> None:
    new, old = write(tmp_path, NEW, "new.yaml"), write(tmp_path, OLD, "old.yaml")
    assert read(old) == read(new)
    assert "Older form" not in CliRunner().invoke(check, [str(new)]).output
    said = CliRunner().invoke(check, [str(old)])
    assert said.exit_code == 0
    expected = [(1, "backend", "sessions.backend")]
    lines = OLD.splitlines()
    for section, name in (("accelerators", "t4"), ("images", "std")):
        for key, now in MOVED[section].items():
            line = next(n for n, text in enumerate(lines, 1) if text.startswith(f"    {key}:"))
            expected.append((line, f"{section}.{name}.{key}", ".".join(now)))
    for line, key, now in expected:  # type: ignore[assignment]
        assert f"Older form: {old}, line {line}, {key}: this key is now {now}" in said.output
    assert said.output.count("Older form") == len(expected) == 10


def test_a_selection_that_an_older_version_kept_is_read(tmp_path: Path) -> None:
    platform = read(write(tmp_path, NEW))
    granted = resolve({"accelerator": "t4"}, platform, Person.of("ada", ["lab/p1"]), Door.JOB)
    kept = granted.model_dump(mode="json")
    for part, section in ((kept["accelerator"], "accelerators"), (kept["image"], "images")):
        sections = {name: part.pop(name) for name in ("kubernetes", "local")}
        part |= {old: sections[back_end][key] for old, (back_end, key) in MOVED[section].items()}
    assert kept["accelerator"]["resource"] == "nvidia.com/gpu"
    assert Selection.model_validate(kept) == granted
    assert simulated_devices(kept) == simulated_devices(granted.model_dump(mode="json")) == 2


def test_an_older_file_is_changed_by_a_newer_one_on_top(tmp_path: Path) -> None:
    write(tmp_path, OLD, "base.yaml")
    top = "extends: [base.yaml]\naccelerators: {t4: {kubernetes: {quota: 1, tolerations: null}}}\nsessions: {backend: local}\n"
    platform = read(write(tmp_path, top))
    device = platform.accelerators["t4"].kubernetes
    assert (device.resource, device.quota, device.tolerations) == ("nvidia.com/gpu", 1, ())
    assert platform.batch_backend == platform.sessions.backend == "local"


@pytest.mark.parametrize(
    ("old", "new", "key", "says"),
    [
        ("      resource: nvidia.com/gpu\n", "", "accelerators.t4.kubernetes.resource", "this key is missing; pods need it"),
        ("      quota: 3\n", "      quotas: 3\n", "accelerators.t4.kubernetes.quotas", "is quota meant?"),
        ('reference: "r.example.org/a:1", ', "", "images.std.kubernetes.reference", "this key is missing; pods need it"),
        ("{backend: kubernetes}\n", "{backend: kubernetes}\nbatch: {backend: local}\n", "batch.backend", "write kubernetes, or leave batch.backend out"),
        ("    kind: gpu\n", "    kind: gpu\n    quota: 4\n", "accelerators.t4.quota", "accelerators.t4.kubernetes.quota is in this file too"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_a_sentence_at_its_key(
    tmp_path: Path, old: str, new: str, key: str, says: str
) -> None:
    assert old in NEW
    (found,) = examine(write(tmp_path, NEW.replace(old, new, 1))).problems
    assert (found.key, says in found.message) == (key, True), str(found)


def test_one_machine_needs_no_words_about_a_cluster(tmp_path: Path) -> None:
    text = "images: {std: {title: Std}}\naccelerators: {t4: {title: T4, kind: gpu, local: {simulated: 1}}}\n"
    platform = read(write(tmp_path, text + NEW[NEW.index("sizes:") :]))
    assert platform.accelerators["t4"].known_devices == 1
