"""The kinds of storage: one table, two projections each, and files of the older form."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from click.testing import CliRunner

from aiinfn_hub.cli.platform import check
from aiinfn_hub.kube.objects.pods import pod_parts
from aiinfn_hub.platform.gate import resolve
from aiinfn_hub.platform.loading.loader import examine
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.model.storage_kinds.base import NoProjectionError, StorageSource, Whose
from aiinfn_hub.platform.model.storage_kinds.table import STORAGE_KINDS
from aiinfn_hub.platform.person import Person
from aiinfn_hub.platform.selection import Door

CLUSTER = """\
backend: kubernetes
images: {std: {title: Std, reference: "r.example.org/a:1"}}
sizes: {s: {title: S, cores: 1, memory: 2Gi}}
projects: {p1: {title: P1, groups: [lab/p1]}}
"""
EXAMPLES = {
    "claim": {"kind": "claim", "claim": "home-{person}", "sub_path": "{project}"},
    "folder": {"kind": "folder", "path": "/srv/{project}/{person}"},
    "volume": {"kind": "volume", "volume": {"csi": {"driver": "nfs.csi.k8s.io"}}, "sub_path": "{person}"},
}
KINDS = f"{', '.join(list(STORAGE_KINDS)[:-1])} or {list(STORAGE_KINDS)[-1]}"
"""As a sentence names them; of the table, so that a kind more changes nothing here."""


def write(folder: Path, text: str, name: str = "platform.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def read(path: Path) -> Platform:
    found = examine(path)
    assert found.platform is not None, list(map(str, found.problems))
    return found.platform


def sections(path: Path) -> dict[str, object]:
    return read(path).model_dump(mode="json")["storage"]


@pytest.mark.parametrize("kind", STORAGE_KINDS)
def test_each_kind_of_the_table_has_a_projection_and_a_sentence_for_the_other(kind: str) -> None:
    model = STORAGE_KINDS[kind]
    assert get_args(model.model_fields["kind"].annotation) == (kind,)
    if kind not in EXAMPLES:
        return
    source = model.model_validate(EXAMPLES[kind])
    answers: list[str] = []
    refused: list[str] = []
    for projection in (source.pod_volume, source.local_folder):
        try:
            answers.append(str(projection(Whose("ada", "one"))))
        except NoProjectionError as error:
            refused.append(str(error))
    assert answers
    assert all("{kind: " in each for each in refused)
    assert all("ada" in each or kind == "volume" for each in answers)
    assert source.is_one_for_each("{person}")
    assert not StorageSource.model_fields


@pytest.mark.parametrize("door", Door)
def test_sessions_and_jobs_get_the_claim_of_the_person_and_its_folder(tmp_path: Path, door: Door) -> None:
    platform = read(
        write(
            tmp_path,
            CLUSTER
            + 'storage: {home: {title: H, use: home, mount: /home/u, kubernetes: {kind: claim, claim: "home-{person}", sub_path: "{project}"}}}\n'
            "queues: {q: {title: Q}}\n",
        )
    )
    parts = pod_parts(resolve({}, platform, Person.of("ada", ["lab/p1"]), door), platform)
    assert {"name": "storage-home", "persistentVolumeClaim": {"claimName": "home-ada"}} in parts.volumes
    assert {"name": "storage-home", "mountPath": "/home/u", "subPath": "p1"} in parts.volume_mounts


@pytest.mark.parametrize(
    ("source", "key", "says"),
    [
        ("kubernetes: {kind: folder, path: /srv}", "storage.h.kubernetes", "forbids folders of a node in a pod"),
        ("local: {kind: claim, claim: homes}", "storage.h.local", "{kind: folder, path: /srv/shares}"),
        ("kubernetes: {kind: clam, claim: homes}", "storage.h.kubernetes.kind", f"this must be {KINDS}; is claim meant?"),
        ("kubernetes: {claim: homes}", "storage.h.kubernetes.kind", f"this must be {KINDS}"),
        ("kubernetes: homes", "storage.h.kubernetes.kind", f"this must be {KINDS}"),
        ("kubernetes: {kind: claim, claim: homes, sub_paht: a}", "storage.h.kubernetes.sub_paht", "is sub_path meant?"),
        ("kubernetes: {kind: claim}", "storage.h.kubernetes.claim", "this key is missing"),
        ("kubernetes: {kind: claim, claim: Homes}", "storage.h.kubernetes.claim", "no name in Kubernetes"),
        ("kubernetes: {kind: claim, claim: 'a-{user}'}", "storage.h.kubernetes.claim", "another name in braces"),
        ("kubernetes: {kind: claim, claim: a, sub_path: /a}", "storage.h.kubernetes.sub_path", "no folder in a volume"),
        ("kubernetes: {kind: volume, volume: {emptyDir: {}}}", "storage.h.kubernetes.volume", "gone with the pod"),
        ("kubernetes: {kind: volume, volume: {hostPath: {path: /}}}", "storage.h.kubernetes.volume", "forbids hostPath"),
        ("read_only: false", "storage.h", "a home without a place in the cluster"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_kind_is_a_sentence_at_its_key(
    tmp_path: Path, source: str, key: str, says: str
) -> None:
    path = write(
        tmp_path, CLUSTER + f"storage:\n  h:\n    title: H\n    use: home\n    mount: /h\n    {source}\n"
    )
    found = {each.key: each for each in examine(path).problems}
    assert list(found) == [key], list(map(str, found.values()))
    assert says in found[key].message
    assert found[key].line == (6 if key == "storage.h" else 10)


OLD = """\
storage:
  home:
    title: Home
    kind: home
    mount: /home/u
    volume: {persistentVolumeClaim: {claimName: homes}}
    sub_path: "{person}"
  data: {title: Data, kind: share, mount: /data, volume: {csi: {driver: a.b.c}}, path: "/srv/{project}"}
  tmp: {title: Tmp, kind: scratch, mount: /tmp/x, sub_path: a}
"""


def test_a_file_of_the_older_form_is_read_and_check_says_what_to_write_now(tmp_path: Path) -> None:
    path = write(tmp_path, CLUSTER + OLD)
    storage = read(path).storage
    whose = Whose("ada", "one")
    home, data, tmp = storage["home"], storage["data"], storage["tmp"]
    assert home.use == "home"
    assert home.kubernetes is not None
    assert home.kubernetes.pod_volume(whose) == {"persistentVolumeClaim": {"claimName": "homes"}}
    assert home.kubernetes.pod_mount(whose) == {"subPath": "ada"}
    assert data.local is not None
    assert data.local.local_folder(whose) == "/srv/one"
    assert tmp.kubernetes is not None
    assert tmp.kubernetes.pod_mount(whose) == {"subPath": "a"}
    said = CliRunner().invoke(check, [str(path)])
    assert said.exit_code == 0
    for line, words in (
        (8, "storage.home.kind: this key is now use"),
        (10, "storage.home.volume: write kubernetes: {kind: claim, claim: homes} instead"),
        (11, "storage.home.sub_path: this key is now kubernetes.sub_path"),
        (
            12,
            "storage.data.volume: write kubernetes: {kind: volume, volume: ...} instead, with the same volume",
        ),
        (12, "storage.data.path: write local: {kind: folder, path: /srv/{project}} instead"),
    ):
        assert f"{path}, line {line}, {words}" in said.output


def test_faults_of_an_older_file_are_told_with_the_keys_that_it_has(tmp_path: Path) -> None:
    path = write(
        tmp_path, CLUSTER + OLD.replace("claimName", "claim").replace("kind: scratch", "kind: scratsh")
    )
    found = {each.key: (each.line, each.message) for each in examine(path).problems}
    assert list(found) == ["storage.tmp.kind"]
    assert "is scratch meant?" in found["storage.tmp.kind"][1]
    path = write(tmp_path, CLUSTER + OLD.replace("claimName", "claim"))
    found = {each.key: (each.line, each.message) for each in examine(path).problems}
    assert found["storage.home.volume.persistentVolumeClaim.claim"][0] == 10
    assert "is claimName meant?" in found["storage.home.volume.persistentVolumeClaim.claim"][1]


def test_an_older_and_a_newer_key_for_one_thing_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, CLUSTER + OLD.replace("    kind: home\n", "    kind: home\n    use: share\n"))
    (found,) = examine(path).problems
    assert (found.line, found.key) == (8, "storage.home.kind")
    assert "storage.home.use is in this file too" in found.message


@pytest.mark.parametrize("above_is_old", [True, False])
def test_files_of_both_forms_are_merged(tmp_path: Path, above_is_old: bool) -> None:
    write(tmp_path, CLUSTER + OLD, "base.yaml")
    change = 'sub_path: "all/{person}"' if above_is_old else 'kubernetes: {sub_path: "all/{person}"}'
    top = f"extends: [base.yaml]\nstorage: {{home: {{{change}}}, data: null}}\n"
    storage = sections(write(tmp_path, top))
    assert storage["home"]["kubernetes"] == {  # type: ignore[index]
        "kind": "volume",
        "volume": {"persistentVolumeClaim": {"claimName": "homes"}},
        "sub_path": "all/{person}",
    }
    assert "data" not in storage
