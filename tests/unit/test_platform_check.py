"""What ``aiinfn-hub check`` calls in order: by YAML as people mean it, and by Kubernetes' own rules."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiinfn_hub.auth import claims
from aiinfn_hub.cli.platform import check, explain
from aiinfn_hub.contract.jobs import Work
from aiinfn_hub.contract.problem import Refusal
from aiinfn_hub.kube.objects import (
    jobs,
    pods,
    queues,
    rbac,
)
from aiinfn_hub.platform.gate import resolve
from aiinfn_hub.platform.loading import kubernetes_rules
from aiinfn_hub.platform.loading.loader import PlatformError, examine
from aiinfn_hub.platform.loading.reload import PlatformFile
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.person import Person
from aiinfn_hub.platform.selection import Door

ROOT = Path(__file__).parents[2]
CASES = Path(__file__).parent / "platform_cases"

CLUSTER = """\
title: Trial site
backend: kubernetes
images: {std: {title: Std, reference: "r.example.org/a:1"}}
sizes: {s: {title: S, cores: 1, memory: 2Gi}}
projects: {p1: {title: P1, groups: [lab/p1]}}
accelerators: {t4: {title: T4, kind: gpu, resource: nvidia.com/gpu}}
"""


def problems(tmp_path: Path, text: str) -> list[PlatformError]:
    path = tmp_path / "platform.yaml"
    path.write_text(text)
    found = examine(path)
    assert (found.platform is None) == bool(found.problems)
    return found.problems


_MOUNT = "kubernetes: {volumes: [{name: a, emptyDir: {}}], volume_mounts: [{name: a, mountPath: /x}, {name: a, mountPath: %s}]}\n"


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("//x", "/x is mounted twice"),
        ("//proc", "belongs to the system"),
        ("///dev/shm", "/dev/shm is taken"),
    ],
)
def test_two_slashes_at_the_beginning_name_no_other_place(tmp_path: Path, path: str, says: str) -> None:
    (found,) = problems(tmp_path, CLUSTER + _MOUNT % path)
    assert says in found.message


def test_amounts_have_the_digits_that_kubernetes_reads(tmp_path: Path) -> None:
    (found,) = problems(
        tmp_path, CLUSTER + "kubernetes: {volumes: [{name: a, emptyDir: {sizeLimit: \u0661Gi}}]}\n"
    )
    assert "is no amount" in found.message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"{CLUSTER}---\n{CLUSTER}", "expected a single document in the stream, but found another document"),
        ("a: &x 1\nb: &x 2\n", "found duplicate anchor 'x'; first occurrence, second occurrence"),
        ("a: *x\n", "found undefined alias 'x'"),
    ],
)
def test_what_is_wrong_with_documents_and_anchors_is_a_sentence(tmp_path: Path, text: str, says: str) -> None:
    (found,) = problems(tmp_path, text)
    assert found.message == says


def test_the_file_without_its_faults_is_in_order(tmp_path: Path) -> None:
    assert problems(tmp_path, CLUSTER) == []


@pytest.mark.parametrize(
    ("case", "line", "key", "says"),
    [
        ("cores-milli", 4, "sizes.s.cores", "is 0.5 meant?"),
        ("env-number", 3, "images.std.environment.OMP_NUM_THREADS", 'put it in quotes: "4"'),
        ("extends-loop", 1, "extends.0", "there is no such file"),
        ("extends-nul", 1, "extends.0", "U+0000"),
        ("group-long", 5, "projects.p1.groups.0", "more than 255"),
        ("group-space", 5, "projects.p1.groups.0", "is lab/p1 meant?"),
        ("image-emptytag", 3, "images.std.reference", "tag after the colon is missing"),
        ("image-upper", 3, "images.std.reference", "is r.example.org/team/a:1 meant?"),
        ("image-url", 3, "images.std.reference", "is r.example.org/a:1 meant?"),
        ("name-norway", 5, "projects.no", 'put it in quotes: "no"'),
        ("name-year", 5, "projects.2026", 'put it in quotes: "2026"'),
        ("numerals-bytes", 4, "sizes.s.memory", "is 16Gi meant?"),
        ("numerals-clock", 6, "limits.session_default", "write 1h30m"),
        ("numerals-clock", 6, "limits.session_max", "write 12h30m"),
        ("one-namespace", 6, "kubernetes.batch_namespace", "three different namespaces"),
        ("overlapping-kinds", 11, "accelerators.any", "the reservation week of t4 could not be kept"),
        ("resource-bad", 6, "accelerators.t4.resource", "a domain such as nvidia.com"),
        ("toleration-bool", 6, "accelerators.t4.tolerations.0.value", 'put it in quotes: "true"'),
        ("toleration-typo", 6, "accelerators.t4.tolerations.0.keys", "is key meant?"),
        ("toleration-typo", 6, "accelerators.t4.tolerations.0.operator", "is Equal meant?"),
        ("toleration-typo", 6, "accelerators.t4.tolerations.0.effect", "is NoSchedule meant?"),
        ("two-mounts", 6, "storage.b.mount", "is the place of a too"),
    ],
)
def test_each_case_is_refused_with_line_key_and_remedy(case: str, line: int, key: str, says: str) -> None:
    path = CASES / f"{case}.yaml"
    found = {each.key: each for each in examine(path).problems}
    assert key in found, list(map(str, found.values()))
    assert found[key].line == line
    assert says in found[key].message
    result = CliRunner().invoke(check, [str(path)])
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert f"{path}, line {line}, {key}: " in result.output


@pytest.mark.parametrize(
    ("old", "new", "key", "says"),
    [
        # numerals and truth values of YAML 1.1
        ("cores: 1,", "cores: yes,", "sizes.s.cores", "a number is expected"),
        ("cores: 1,", "cores: '0,5',", "sizes.s.cores", "is 0.5 meant?"),
        ("cores: 1,", "cores: .inf,", "sizes.s.cores", "less than or equal to 1024"),
        ("cores: 1,", "cores: .nan,", "sizes.s.cores", "1024"),
        ("cores: 1,", "cores: 010,", "sizes.s.cores", "to the base of 8"),
        ("memory: 2Gi", "memory: 2_000", "sizes.s.memory", "Gi meant?"),
        ("memory: 2Gi", "memory: 16gb", "sizes.s.memory", "is 16Gi meant?"),
        ("memory: 2Gi", "memory: 16k", "sizes.s.memory", "less than the 1Mi"),
        ("memory: 2Gi", "memory: 999999999T", "sizes.s.memory", "more than any machine has"),
        ("title: Trial site", "title: 12:30:00", "title", "write 12h30m"),
        ("title: Trial site", "title: 2026", "title", 'put it in quotes: "2026"'),
        ("title: Trial site", "title: off", "title", 'YAML reads off as false; put it in quotes: "off"'),
        ("title: Trial site", 'title: "a\\u202Eb"', "title", "U+202E"),
        ("title: Trial site", 'title: "\\uD800"', "title", "U+D800"),
        ("title: Trial site", "limits: {session_max: 24}", "limits.session_max", "write 24h for hours"),
        ("title: Trial site", "limits: {grace: 10}", "limits.grace", "10s"),
        ("title: Trial site", "limits: {session_max: '12:30'}", "limits.session_max", "is 12h30m meant?"),
        ("title: Trial site", "limits: {keep_jobs: 999999d}", "limits.keep_jobs", "longer than the 10000d"),
        ("title: Trial site", "limits: {session_extensions: on}", "limits.session_extensions", "number"),
        ("title: Trial site", "limits: {session_extensions: 0644}", "limits.session_extensions", "420 if base 8 is"),
        ("{p1:", "{1.5:", "projects.1.5", 'put it in quotes: "1.5"'),
        ("{p1:", "{~:", "projects.~", "put it in quotes"),
        ("{p1:", "{? [a] : b, p1:", "projects", "a key must be text"),
        ("{p1:", "{12:30:00: {title: A, groups: [a]}, p1:", "projects.12:30:00", "put it in quotes"),
        ("groups: [lab/p1]", "groups: [no]", "projects.p1.groups.0", 'put it in quotes: "no"'),
        ("groups: [lab/p1]", "groups: [!!binary aGk=]", "projects.p1.groups.0", "the tag binary has no meaning"),
        ("title: Trial site", "grants: {g: {project: p1, people: [Ada], until: 2099-01-01}}", "grants.g.people.0", "is ada meant?"),
        # images
        ('"r.example.org/a:1"', '"r.example.org/a@sha256:12"', "images.std.reference", "digest"),
        ('"r.example.org/a:1"', '"r.example.org//a:1"', "images.std.reference", "no image reference"),
        ('"r.example.org/a:1"', '"r.example.org/a:1:2"', "images.std.reference", "no image reference"),
        ('"r.example.org/a:1"', f'"{"f" * 64}"', "images.std.reference", "no image reference"),
        # resources, labels, tolerations
        ("nvidia.com/gpu}", "kubernetes.io/gpu}", "accelerators.t4.resource", "Kubernetes' own"),
        ("nvidia.com/gpu}", f"nvidia.com/{'g' * 64}}}", "accelerators.t4.resource", "at most 63"),
        ("nvidia.com/gpu}", "nvidia.com/gpu, node_labels: {a b: c}}", "accelerators.t4.node_labels.a b", "at most 63"),
        ("nvidia.com/gpu}", "nvidia.com/gpu, node_labels: {a: Tesla T4}}", "accelerators.t4.node_labels.a", "no value of a label"),
        ("nvidia.com/gpu}", "nvidia.com/gpu, node_labels: {a: true}}", "accelerators.t4.node_labels.a", 'put it in quotes: "true"'),
        ("nvidia.com/gpu}", "nvidia.com/gpu, node_labels: {a: 1, b: x}}", "accelerators.t4.node_labels.a", 'put it in quotes: "1"'),
        ("nvidia.com/gpu}", "nvidia.com/gpu, node_labels: {a: x, b: x, c: x, d: x, e: x, f: x, g: x, h: x}}", "accelerators.t4.node_labels", "7 labels at most"),
        ("nvidia.com/gpu}", "nvidia.com/gpu, tolerations: [{operator: Equal}]}", "accelerators.t4.tolerations.0", "must be Exists"),
        ("nvidia.com/gpu}", "nvidia.com/gpu, tolerations: [{key: a, operator: Exists, value: b}]}", "accelerators.t4.tolerations.0.value", "leave it out"),
        ("nvidia.com/gpu}", "nvidia.com/gpu, tolerations: [{key: a, operator: Exists, tolerationSeconds: 3}]}", "accelerators.t4.tolerations.0.tolerationSeconds", "NoExecute"),
        ("nvidia.com/gpu}", "nvidia.com/gpu, quota: 99999999999999999999999}", "accelerators.t4.quota", "more than there can be"),
        # namespaces and the like
        ("title: Trial site", "kubernetes: {batch_namespace: a.b}", "kubernetes.batch_namespace", "no name in Kubernetes"),
        ("title: Trial site", "kubernetes: {sessions_namespace: kube-system}", "kubernetes.sessions_namespace", "Kubernetes' own"),
        ("title: Trial site", "kubernetes: {system_namespace: aiinfn-batch}", "kubernetes.system_namespace", "batch_namespace too"),
        ("title: Trial site", "kubernetes: {user_id: 99999999999}", "kubernetes.user_id", "less than or equal"),
        ("title: Trial site", "kubernetes: {batch_cores: .inf}", "kubernetes.batch_cores", "less than or equal"),
        ("title: Trial site", "kubernetes: {hub_connect_ip: 'a b'}", "kubernetes.hub_connect_ip", "no address"),
        ("title: Trial site", "label_prefix: a..b", "label_prefix", "no name in Kubernetes"),
        # storage and volumes
        ("title: Trial site", "storage: {h: {title: H, kind: home, mount: /h}}", "storage.h", "gone with the pod"),
        ("title: Trial site", "storage: {h: {title: H, kind: share, mount: /h, volume: {emptyDir: {}}}}", "storage.h.volume", "gone with the pod"),
        ("title: Trial site", "storage: {h: {title: H, kind: home, mount: /h, volume: {configMap: {name: a}}}}", "storage.h.volume", "cannot be written"),
        ("title: Trial site", "storage: {h: {title: H, kind: home, mount: /h, volume: {persistentVolumeClaim: {claim: a}}}}", "storage.h.volume.persistentVolumeClaim.claim", "is claimName meant?"),
        ("title: Trial site", "storage: {h: {title: H, kind: home, mount: /h, volume: {persistentVolumeClaim: {claimName: A_b}}}}", "storage.h.volume.persistentVolumeClaim.claimName", "no name in Kubernetes"),
        ("title: Trial site", "storage: {h: {title: H, kind: home, mount: /h, volume: {persistentVolumeClaim: homes}}}", "storage.h.volume.persistentVolumeClaim", "a mapping is expected"),
        ("title: Trial site", "storage: {h: {title: H, kind: scratch, mount: /h/../k}}", "storage.h.mount", "plain path"),
        ("title: Trial site", "storage: {h: {title: H, kind: scratch, mount: /dev/shm}}", "storage.h.mount", "is taken"),
        ("title: Trial site", "storage: {h: {title: H, kind: scratch, mount: /proc/1}}", "storage.h.mount", "belongs to the system"),
        ("title: Trial site", "storage: {h: {title: H, kind: scratch, mount: /h, volume: {emptyDir: {sizeLimit: 10GB}}}}", "storage.h.volume.emptyDir.sizeLimit", "no amount"),
        ("title: Trial site", "storage: {h: {title: H, kind: scratch, mount: /h, volume: {emptyDir: }}}", "storage.h.volume.emptyDir", "emptyDir: {}"),
        ("title: Trial site", "storage: {r: {title: R, kind: share, mount: /r, read_only: true, volume: {persistentVolumeClaim: {claimName: r}}}, h: {title: H, kind: scratch, mount: /r/h}}", "storage.h.mount", "cannot be mounted inside"),
        ("title: Trial site", "kubernetes: {volumes: [{emptyDir: {}}]}", "kubernetes.volumes.0", "name is missing"),
        ("title: Trial site", "kubernetes: {volumes: [{name: shared-memory, emptyDir: {}}]}", "kubernetes.volumes.0.name", "used by the suite"),
        ("title: Trial site", "kubernetes: {volumes: [{name: a, secret: {secretName: s, defaultMode: 999}}]}", "kubernetes.volumes.0.secret.defaultMode", "no mode of a file"),
        ("title: Trial site", "kubernetes: {volume_mounts: [{name: a, mountPath: /a}]}", "kubernetes.volume_mounts.0.name", "there is no a"),
        ("title: Trial site", "kubernetes: {volumes: [{name: a, emptyDir: {}}], volume_mounts: [{name: a, mountPath: 'C:/a'}]}", "kubernetes.volume_mounts.0.mountPath", "absolute"),
        ("title: Trial site", "kubernetes: {volumes: [{name: a, emptyDir: {}}], volume_mounts: [{name: a, mountPath: /a}, {name: a, mountPath: /a/}]}", "kubernetes.volume_mounts.1.mountPath", "mounted twice"),
    ],
)  # fmt: skip
def test_what_the_cluster_would_refuse_is_refused(
    tmp_path: Path, old: str, new: str, key: str, says: str
) -> None:
    assert old in CLUSTER
    text = CLUSTER.replace(old, new, 1)
    found = {each.key: each for each in problems(tmp_path, text)}
    assert key in found, list(map(str, found.values()))
    assert says in found[key].message
    assert found[key].line == next(
        number for number, line in enumerate(text.splitlines(), 1) if new.split("\n", maxsplit=1)[0] in line
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"r.example.org/a:1"', f'"localhost:5000/team/a-b__c:V1@sha256:{"0" * 64}"'),
        ('"r.example.org/a:1"', '"R.example.org/a"'),
        ("cores: 1,", "cores: 0x10,"),
        ("cores: 1,", "cores: 1e1,"),
        ("title: Trial site", "kubernetes: {session_priority: 1_000_000}"),
        ("title: Trial site", "use_real_devices: no"),
        ("title: Trial site", "title: 2026-01-01"),
        ("title: Trial site", 'title: "no"'),
        ("nvidia.com/gpu}", "nvidia.com/gpu, tolerations: [{operator: Exists}]}"),
        ("nvidia.com/gpu}", "nvidia.com/gpu, tolerations: [{key: a, effect: NoExecute, tolerationSeconds: 3}]}"),
        ("title: Trial site", "storage: {s: {title: S, kind: scratch, mount: /s}}"),
        ("title: Trial site", "storage: {h: {title: H, kind: home, mount: /h, volume: {csi: {driver: nfs.csi.k8s.io, volumeAttributes: {server: a}}}}}"),
        ("groups: [lab/p1]", "groups: [/lab/p1/]"),
    ],
)  # fmt: skip
def test_what_people_mean_is_read(tmp_path: Path, old: str, new: str) -> None:
    assert old in CLUSTER
    assert problems(tmp_path, CLUSTER.replace(old, new, 1)) == []


def test_merged_mappings_have_the_places_of_what_they_merge(tmp_path: Path) -> None:
    text = CLUSTER.replace(
        "sizes: {s: {title: S, cores: 1, memory: 2Gi}}",
        "sizes:\n  s: &s {title: S, cores: 1, memory: 2Gi}\n  t:\n    <<: *s\n    cores: 500m\n  u: {<<: [*s, {memory: 16}]}",
    )
    found = problems(tmp_path, text)
    assert [(each.line, each.key) for each in found] == [(8, "sizes.t.cores")]


# --- files below each other --------------------------------------------------------------------------------------------


def _odd_bases(folder: Path) -> dict[str, str]:
    (folder / "loop.yaml").symlink_to("loop.yaml")
    (folder / "folder.yaml").mkdir()
    os.mkfifo(folder / "pipe.yaml")
    (folder / "latin.yaml").write_bytes(b"title: caf\xe9\n")
    (folder / "list.yaml").write_text("- a\n")
    (folder / "device.yaml").symlink_to("/dev/zero")
    (folder / "deep.yaml").write_text("[" * 5000)
    return {
        "[loop.yaml]": "extends.0",
        '["a\\0b.yaml"]': "extends.0",
        '["a\\ud800b.yaml"]': "extends.0",
        "[folder.yaml]": "",
        "[pipe.yaml]": "",
        "[latin.yaml]": "",
        "[list.yaml]": "",
        "[device.yaml]": "",
        "[deep.yaml]": "",
        f"[{'x' * 5000}]": "extends.0",
        "[platform.yaml]": "extends.0",
        "7": "extends",
        "[7]": "extends",
        "[[a]]": "extends",
        "{a: b}": "extends",
        "null": "extends",
    }


def test_a_file_that_cannot_be_below_another_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "platform.yaml"
    for said, key in _odd_bases(tmp_path).items():
        path.write_text(f"extends: {said}\n{CLUSTER}")
        found = examine(path)
        assert found.platform is None, said
        assert key in {each.key for each in found.problems}, (said, list(map(str, found.problems)))
        result = CliRunner().invoke(check, [str(path)])
        assert isinstance(result.exception, SystemExit), said
        assert "Traceback" not in result.output


def test_files_that_name_each_other_many_times_are_bounded(tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"f{number}.yaml").write_text(f"extends: [f{number + 1}.yaml, f{number + 1}.yaml]\n")
    (tmp_path / "f40.yaml").write_text(CLUSTER)
    assert any("more than 100 files" in str(each) for each in examine(tmp_path / "f0.yaml").problems)


def test_while_the_hub_runs_a_bad_file_below_keeps_what_was_in_force(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "platform.yaml"
    path.write_text(CLUSTER)
    file = PlatformFile.open(path)
    before = file.current
    for said in _odd_bases(tmp_path):
        path.write_text(f"extends: {said}\n{CLUSTER}")
        assert not file.look()
        file.look()
        assert file.problem, said
        assert file.current is before
    path.write_text(CLUSTER.replace("Trial site", "Another"))
    file.look()
    assert (file.problem, file.current.title) == ("", "Another")
    assert not [each for each in caplog.records if each.exc_info]


def test_a_link_that_is_mended_is_seen_while_the_hub_runs(tmp_path: Path) -> None:
    path, base = tmp_path / "platform.yaml", tmp_path / "base.yaml"
    path.write_text(CLUSTER)
    file = PlatformFile.open(path)
    base.symlink_to("base.yaml")
    path.write_text("extends: [base.yaml]\n")
    file.look()
    file.look()
    assert file.problem
    base.unlink()
    base.write_text(CLUSTER.replace("Trial site", "Mended"))
    file.look()
    assert file.current.title == "Mended"


# --- groups ------------------------------------------------------------------------------------------------------------


@given(st.text(alphabet="a/ \t\n", max_size=8))
def test_a_group_is_the_same_for_sign_in_explain_and_the_file(text: str) -> None:
    signed_in = claims.groups({"groups": [text]})
    assert Person.of("ada", [text]).groups == signed_in
    body = yaml.safe_load(CLUSTER)
    body["projects"]["p1"]["groups"] = [text]
    try:
        platform = Platform.model_validate(body)
    except ValueError:
        return
    assert set(platform.projects["p1"].groups) == signed_in


def test_explain_reads_groups_as_sign_in_does() -> None:
    path = ROOT / "platform.yaml"
    plain = CliRunner().invoke(explain, [str(path), "--groups", "ai-infn/flavour"])
    spaced = CliRunner().invoke(explain, [str(path), "--groups", " / ai-infn/flavour/ ,"])
    assert plain.exit_code == 0
    assert plain.output == spaced.output
    assert "Flavour physics" in plain.output


# --- two names for one device ------------------------------------------------------------------------------------------

PAIR = """\
title: Pair
backend: kubernetes
images: {std: {title: Std, reference: "r.example.org/a:1"}}
sizes: {s: {title: S, cores: 1, memory: 2Gi}, l: {title: L, cores: 2, memory: 2Gi}}
projects:
  school: {title: School, groups: [lab/school]}
  daily: {title: Daily, groups: [lab/daily]}
accelerators:
  t4: {title: T4, kind: gpu, resource: nvidia.com/gpu, node_labels: {product: t4}}
  any: {title: Any, kind: gpu, resource: nvidia.com/gpu}
"""


def test_two_names_without_rules_of_their_own_are_in_order(tmp_path: Path) -> None:
    assert problems(tmp_path, PAIR) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("title: Pair", "reservations: {w: {title: W, project: school, accelerator: any, from: 2026-01-01, to: 2026-02-01}}"),
        ("title: T4,", "title: T4, groups: [lab/a],"),
        ("title: T4,", "title: T4, max_per_session: 2,"),
        ("title: T4,", "title: T4, max_per_person: 2,"),
        ("title: Any,", "title: Any, max_per_project: 2,"),
        ("title: Any,", "title: Any, quota: 2,"),
        ("title: Any,", "title: Any, session_time: 2h,"),
        ("title: Any,", "title: Any, sizes: [s],"),
        ("title: Daily,", "title: Daily, accelerators: [any],"),
        ("title: Std,", "title: Std, accelerators: [t4],"),
        ("title: Pair", "queues: {q: {title: Q, accelerators: [none, t4]}}"),
        ("title: Pair", "grants: {g: {project: school, accelerators: [t4], until: 2099-01-01}}"),
    ],
)  # fmt: skip
def test_two_names_for_one_device_with_a_rule_for_one_are_refused(tmp_path: Path, old: str, new: str) -> None:
    assert old in PAIR
    text = PAIR.replace(old, new, 1)
    assert [each.key for each in problems(tmp_path, text)] == ["accelerators.any"]
    apart = text.replace(
        "resource: nvidia.com/gpu}", "resource: nvidia.com/gpu, node_labels: {product: a100}}"
    )
    assert problems(tmp_path, apart) == []


def test_on_a_workstation_two_names_of_one_product_are_refused(tmp_path: Path) -> None:
    text = PAIR.replace("kubernetes", "local").replace("title: T4,", "title: T4, product: Tesla T4,")
    assert problems(tmp_path, text) == []
    found = problems(tmp_path, text.replace("title: Any,", "title: Any, product: Tesla-T4,"))
    assert [each.key for each in found] == ["accelerators.any.product"]


# --- anything ----------------------------------------------------------------------------------------------------------

ODD: list[Any] = [
    None, True, False, 0, -1, 1, 7, 8, 16, 750, 10**30, 0.5, -0.1, float("inf"), float("nan"), "", " ", "no", "yes", "2026",
    "12:30", "0755", "1_000", "a b", "A", "ÄÖ", "a" * 64, "a" * 300, "/", "/a", "/a/", "/a:b", "/dev/shm", "/proc", "a/b", "a/b/c",
    "nvidia.com/gpu", "-a", "a-", "a..b", "a.b", "none", "kube-system", "aiinfn-batch", "https://a/b", "a:", "a@b", "T4 x", "500m",
    "16Gi", "16gb", "8h", "2d", "99999999d", "2026-12-01", "\x00", "\u202e", "\ud800", "{person}", "{project}", "{x}", "../a",
    [], [None], ["no"], {}, {"a": "b"}, {"name": "a"}, {"emptyDir": {}}, {"emptyDir": {"sizeLimit": "1:30"}},
    {"persistentVolumeClaim": {"claimName": "A"}}, {"secret": {"secretName": "s", "items": [{"key": "a", "path": "/b"}]}},
    [{"key": "a", "operator": "Equal", "value": True}], [{"operator": "Exists"}], [{"key": "a b"}],
    [{"name": "a", "emptyDir": {}}], [{"name": "a", "mountPath": "/a"}],
]  # fmt: skip


def _paths(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield (*at, key)
            yield from _paths(each, (*at, key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield (*at, index)
            yield from _paths(each, (*at, index))


def merged(name: str) -> Any:
    """Return one of the examples as one file."""
    found = examine(ROOT / "examples/platforms" / name).platform
    assert found is not None
    body = json.loads(found.model_dump_json(exclude_unset=True))
    body["kubernetes"] = {
        "sessions_namespace": "sessions",
        "volumes": [{"name": "cvmfs", "persistentVolumeClaim": {"claimName": "cvmfs"}}],
        "volume_mounts": [{"name": "cvmfs", "mountPath": "/cvmfs", "readOnly": True}],
    }
    body["accelerators"]["t4" if "cnaf" in name else "v100"]["kubernetes"]["tolerations"] = [
        {"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}
    ]
    return body


BODIES = [merged("cnaf.yaml"), merged("recas.yaml"), yaml.safe_load((ROOT / "platform.yaml").read_text())]


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """A platform file with some odd values, keys and types in it."""
    body = copy.deepcopy(draw(st.sampled_from(BODIES)))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(_paths(body)) or [()]))
        if not path:
            break
        holder = body
        for part in path[:-1]:
            holder = holder[part]
        match draw(st.sampled_from(["value", "value", "value", "key", "add", "drop"])):
            case "value":
                holder[path[-1]] = copy.deepcopy(draw(st.sampled_from(ODD)))
            case "key" if isinstance(holder, dict):
                odd = draw(st.sampled_from([each for each in ODD if not isinstance(each, (dict, list))]))
                holder[odd] = holder.pop(path[-1])
            case "add" if isinstance(holder, dict):
                holder[
                    draw(
                        st.sampled_from(
                            ["node_labels", "tolerations", "volume", "groups", "x", "mount", "a/b"]
                        )
                    )
                ] = copy.deepcopy(draw(st.sampled_from(ODD)))
            case "drop":
                del holder[path[-1]]
    return body


def everything(platform: Platform) -> Iterator[dict[str, Any]]:
    """Yield each object that a platform could send to the cluster: its queues, and pods and Jobs of all choices."""
    yield from queues.objects(platform)
    yield from rbac.objects(platform)
    everybody = {
        group for project in platform.projects.values() for group in (*project.groups, *project.managers)
    }
    for section in (
        platform.accelerators,
        platform.images,
        platform.sizes,
        platform.queues,
        platform.storage,
    ):
        everybody |= {group for value in section.values() for group in value.groups or ()}
    person = Person.of("ada", everybody)
    work = Work(kind="script", path="a.py", snapshot=".aiinfn/jobs/j1/a.py")
    for project in platform.projects:
        for accelerator in ("none", *platform.accelerators):
            for door in Door:
                request = {"project": project, "accelerator": accelerator}
                try:
                    selection = resolve(request, platform, person, door)
                except Refusal:
                    continue
                if door is Door.JOB:
                    yield jobs.job("j1", selection, work, "a.out", platform)
                else:
                    parts = pods.pod_parts(selection, platform)
                    spec = pods.pod_spec(
                        parts, name="notebook", command=["a"], environment={}, grace_seconds=1
                    )
                    metadata = {"name": "a", "labels": parts.labels, "annotations": parts.annotations}
                    metadata["namespace"] = platform.kubernetes.sessions_namespace
                    yield {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _right_metadata(metadata: dict[str, Any]) -> None:
    assert kubernetes_rules.dns_subdomain(metadata["name"]) is None
    assert len(metadata["name"]) <= 63
    for key, value in metadata.get("labels", {}).items():
        assert kubernetes_rules.qualified_name(key) is None
        assert kubernetes_rules.label_value(value) is None
    for key, value in metadata.get("annotations", {}).items():
        assert kubernetes_rules.qualified_name(key) is None
        assert isinstance(value, str)
    if "namespace" in metadata:
        assert kubernetes_rules.dns_label(metadata["namespace"]) is None


def _right_pod(spec: dict[str, Any]) -> None:
    names_of_volumes = [each["name"] for each in spec["volumes"]]
    assert len(set(names_of_volumes)) == len(names_of_volumes)
    assert all(kubernetes_rules.dns_label(each) is None for each in names_of_volumes)
    (container,) = spec["containers"]
    places = [each["mountPath"] for each in container["volumeMounts"]]
    assert len(set(places)) == len(places)
    assert all(place.startswith("/") and ":" not in place and ".." not in place for place in places)
    assert {each["name"] for each in container["volumeMounts"]} <= set(names_of_volumes)
    assert kubernetes_rules.image_reference(container["image"]) is None
    for amounts in container["resources"].values():
        for resource, amount in amounts.items():
            assert resource in {"cpu", "memory"} or kubernetes_rules.extended_resource(resource) is None
            assert kubernetes_rules.quantity(amount) is None
    for each in container["env"]:
        assert isinstance(each["value"], str)
    for each in spec.get("tolerations", []):
        assert list(kubernetes_rules.toleration(each)) == []


def right(body: dict[str, Any]) -> None:
    """Fail if an object breaks the rules."""
    json.dumps(body, allow_nan=False).encode()
    kind, spec = body["kind"], body.get("spec", {})
    _right_metadata(body["metadata"])
    if kind == "Pod":
        _right_pod(spec)
    elif kind == "Job":
        _right_metadata(spec["template"]["metadata"] | {"name": "a"})
        _right_pod(spec["template"]["spec"])
        assert 0 < spec["activeDeadlineSeconds"] < 2**31
        assert 0 <= spec["ttlSecondsAfterFinished"] < 2**31
    elif kind == "ResourceFlavor":
        assert 1 <= len(spec["nodeLabels"]) <= 8
        for key, value in spec["nodeLabels"].items():
            assert kubernetes_rules.qualified_name(key) is None
            assert kubernetes_rules.label_value(value) is None
        assert len(spec.get("tolerations", [])) <= 8
    elif kind in {"ClusterQueue", "Cohort"}:
        for group in spec.get("resourceGroups", []):
            assert len(group["coveredResources"]) <= 64
            assert len(group["flavors"]) <= 64


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(body=mutated())
def test_whatever_a_file_says_check_says_a_sentence_or_the_cluster_takes_it(
    tmp_path_factory: pytest.TempPathFactory, body: Any
) -> None:
    path = tmp_path_factory.getbasetemp() / "mutated.yaml"
    try:
        path.write_text(yaml.safe_dump(body, allow_unicode=False))
    except (yaml.YAMLError, TypeError):  # keys of different types cannot be sorted
        path.write_text(yaml.safe_dump(body, allow_unicode=False, sort_keys=False))
    found = examine(path)
    for problem in found.problems:
        assert problem.message
        assert str(problem).isprintable()
    if found.platform is None:
        assert found.problems
        return
    found.platform.model_dump_json().encode()
    if found.platform.sessions.backend == "kubernetes":
        for each in everything(found.platform):
            right(each)


@settings(max_examples=200, deadline=None)
@given(text=st.text(alphabet="abno019:.-_?*&!|>[]{}<'\"#~%@\\ \n\tyes/", max_size=60))
def test_no_text_makes_check_raise(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "text.yaml"
    path.write_text(text)
    assert examine(path).platform is None


def test_names_of_the_rules_are_those_of_the_objects() -> None:
    """The suite's own volumes and places, which nobody may take."""
    assert {pods.SHARED_MEMORY, pods.ACCOUNT_VOLUME, pods.EMPTY_HOME, "run-spec"} == set(
        kubernetes_rules._OWN_VOLUMES
    )
    assert jobs.SPEC_FOLDER in kubernetes_rules._OWN_MOUNTS
    assert pods.storage_volume("a").startswith("storage-")
    assert queues.MOST_FLAVORS == kubernetes_rules.MOST_FLAVORS
