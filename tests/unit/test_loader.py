"""The platform file: what is wrong is named with file, line and key."""

from pathlib import Path

import pytest

from aiinfn_hub.platform.loader import PlatformError, default_path, load
from aiinfn_hub.platform.model import Platform

GOOD = """\
images:
  base: {title: Base, reference: "base:1"}
sizes:
  s: {title: S, cores: 1, memory: 1Gi}
projects:
  alpha:
    title: Alpha
    groups: [a/x]
accelerators:
  t4:
    title: T4
    kind: gpu
    resource: nvidia.com/gpu
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "platform.yaml"
    path.write_text(text)
    return path


def test_the_platform_file_of_the_demonstration_loads():
    platform = load(Path(__file__).parents[2] / "platform.yaml")
    assert {name: device.simulated for name, device in platform.accelerators.items()} == {
        "t4": 2,
        "a100-1g.5gb": 7,
        "v70": 1,
    }


def test_a_good_file_loads(tmp_path):
    assert load(write(tmp_path, GOOD)).projects["alpha"].groups == ("a/x",)


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "says"),
    [
        ("kind: gpu", "kind: gup", 12, "accelerators.t4.kind", "must be 'gpu', 'mig' or 'fpga'"),
        ("    kind: gpu\n", "", 10, "accelerators.t4.kind", "missing"),
        ("kind: gpu", "kind: gpu\n    memroy: 4Gi", 13, "accelerators.t4.memroy", "is memory meant?"),
        ("accelerators:", "acelerators:", 9, "acelerators", "is accelerators meant?"),
        ("memory: 1Gi", "memory: 1GB", 4, "sizes.s.memory", "no memory size"),
        ("cores: 1", "cores: -1", 4, "sizes.s.cores", "greater than 0"),
        ("cores: 1", "cores: one", 4, "sizes.s.cores", "number"),
        ("groups: [a/x]", "groups: []", 8, "projects.alpha.groups", "at least 1"),
        ("groups: [a/x]", "groups: a/x", 8, "projects.alpha.groups", "list"),
        ("groups: [a/x]", "groups: ['a//x']", 8, "projects.alpha.groups.0", "no IAM group path"),
        ("groups: [a/x]", "groups: [a/x]\n    accelerators: [t5]", 9, "projects.alpha.accelerators.0", "is t4 meant?"),
        ("  t4:", "  none:", 10, "accelerators.none", "cannot be the name"),
        ("  t4:", "  T 4:", 10, "accelerators.T 4", "not allowed"),
        ("resource: nvidia.com/gpu", "resource: gpu", 13, "accelerators.t4.resource", "not allowed"),
        ("    title: T4", "    title: T4\n    title: T5", 12, "accelerators.t4.title", "twice; first on line 11"),
        ("projects:\n", "projects: 3\nother:\n", 5, "projects", "mapping"),
        ("sizes:", "limits: {job_default: 3d}\nsizes:", 3, "limits", "job_default is longer than job_max"),
        ("sizes:", "limits: {grace: 0s}\nsizes:", 3, "limits.grace", "longer than zero"),
        ("sizes:", "queues: {q: {title: Q, accelerators: [none, t44]}}\nsizes:", 3, "queues.q.accelerators.1", "is t4 meant?"),
        ("  s: {", "  s: [", 4, "", ""),
        ("sizes:", "\tsizes:", 3, "", "indentation"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_file_line_and_key(tmp_path, old, new, line, key, says):
    assert old in GOOD
    path = write(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(PlatformError) as wrong:
        load(path)
    assert (wrong.value.line, wrong.value.key) == (line, key), str(wrong.value)
    assert says in wrong.value.message
    assert str(wrong.value).startswith(f"{path}, line {line}")
    assert "\n" not in str(wrong.value)


@pytest.mark.parametrize("text", ["", "[]", "3", "# nothing\n", "a: b", "projects: {}", "\x00", "- 1"])
def test_a_file_that_is_no_platform_is_refused(tmp_path, text):
    with pytest.raises(PlatformError):
        load(write(tmp_path, text))


def test_a_missing_file_says_which_variable_to_set(tmp_path):
    with pytest.raises(PlatformError, match="AIINFN_PLATFORM"):
        load(tmp_path / "none.yaml")


def test_a_file_in_another_encoding_is_refused(tmp_path):
    path = tmp_path / "platform.yaml"
    path.write_bytes(b"title: \xff\xfe")
    with pytest.raises(PlatformError, match="UTF-8"):
        load(path)


def test_the_file_in_use_comes_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("AIINFN_PLATFORM", str(tmp_path / "p.yaml"))
    assert default_path() == tmp_path / "p.yaml"
    monkeypatch.delenv("AIINFN_PLATFORM")
    assert default_path() == Path.cwd() / "platform.yaml"


def test_a_loaded_platform_survives_json(tmp_path):
    platform = load(write(tmp_path, GOOD))
    assert Platform.model_validate_json(platform.model_dump_json()) == platform
