"""The platform file: what is wrong is named with file, line and key."""

from pathlib import Path

import pytest

from aiinfn_hub.platform.loading.loader import (
    PlatformError,
    default_path,
    examine,
    load,
)
from aiinfn_hub.platform.model.accelerator_kinds import AcceleratorKind
from aiinfn_hub.platform.model.platform import Platform

KINDS = [kind.value for kind in AcceleratorKind]

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


def test_the_platform_file_of_the_demonstration_loads() -> None:
    platform = load(Path(__file__).parents[2] / "platform.yaml")
    assert {name: device.local.simulated for name, device in platform.accelerators.items()} == {
        "t4": 2,
        "a100-1g.5gb": 7,
        "v70": 1,
    }


def test_a_good_file_loads(tmp_path: Path) -> None:
    assert load(write(tmp_path, GOOD)).projects["alpha"].groups == ("a/x",)


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "says"),
    [
        ("kind: gpu", "kind: gup", 12, "accelerators.t4.kind", f"must be {', '.join(map(repr, KINDS[:-1]))} or {KINDS[-1]!r}"),
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
def test_what_is_wrong_is_named_with_file_line_and_key(
    tmp_path: Path, old: str, new: str, line: int, key: str, says: str
) -> None:
    assert old in GOOD
    path = write(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(PlatformError) as wrong:
        load(path)
    assert (wrong.value.line, wrong.value.key) == (line, key), str(wrong.value)
    assert says in wrong.value.message
    assert str(wrong.value).startswith(f"{path}, line {line}")
    assert "\n" not in str(wrong.value)


@pytest.mark.parametrize("text", ["", "[]", "3", "# nothing\n", "a: b", "projects: {}", "\x00", "- 1"])
def test_a_file_that_is_no_platform_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(PlatformError):
        load(write(tmp_path, text))


def test_a_missing_file_says_which_variable_to_set(tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match="AIINFN_PLATFORM"):
        load(tmp_path / "none.yaml")


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "platform.yaml"
    path.write_bytes(b"title: \xff\xfe")
    with pytest.raises(PlatformError, match="UTF-8"):
        load(path)


def test_the_file_in_use_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AIINFN_PLATFORM", str(tmp_path / "p.yaml"))
    assert default_path() == tmp_path / "p.yaml"
    monkeypatch.delenv("AIINFN_PLATFORM")
    assert default_path() == Path.cwd() / "platform.yaml"


def test_a_loaded_platform_survives_json(tmp_path: Path) -> None:
    platform = load(write(tmp_path, GOOD))
    assert Platform.model_validate_json(platform.model_dump_json()) == platform


RESERVED = """\
reservations:
  week:
    title: Week
    project: alpha
    accelerator: t4
    from: 2026-12-01
    to: 2026-12-05
"""
GRANTED = """\
grants:
  more:
    project: alpha
    people: [ada]
    until: 2026-12-05
"""


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "says"),
    [
        ("from: 2026-12-01", "from: 2026-12-06", 15, "reservations.week", "ends before it begins"),
        ("from: 2026-12-01", "from: tomorrow", 19, "reservations.week.from", "no date or time; write for example"),
        ("from: 2026-12-01", "from: 2026-02-30", 19, "reservations.week.from", "no date or time"),
        ("from: 2026-12-01", "from: 20261201", 19, "reservations.week.from", "a date or a time is expected"),
        ("to: 2026-12-05", "to: 2026-12-05\n    until: 1", 21, "reservations.week.until", "unknown"),
        ("to: 2026-12-05", "to: 9999-12-31", 20, "reservations.week.to", "beyond the calendar"),
        ("accelerator: t4", "accelerator: t44", 18, "reservations.week.accelerator", "is t4 meant?"),
        ("project: alpha\n    accel", "project: alhpa\n    accel", 17, "reservations.week.project", "is alpha meant?"),
        ("title: Week", "title: Week\n    count: 2", 17, "reservations.week.count", "how many t4 there are is not said"),
        ("people: [ada]", "people: []", 22, "grants.more", "it gives nothing"),
        ("people: [ada]", "accelerators: [t4, t5]", 24, "grants.more.accelerators.1", "is t4 meant?"),
        ("until: 2026-12-05", "from: 2027-01-01\n    until: 2026-12-05", 22, "grants.more", "ends before it begins"),
        ("cores: 1", "cores: 1, groups: ['/']", 4, "sizes.s.groups.0", "no IAM group path"),
        ("kind: gpu", "kind: gpu\n    sizes: [s, m]", 13, "accelerators.t4.sizes.1", "there is no m under sizes"),
        ("groups: [a/x]", "groups: [a/x]\n    accelerators: []", 19, "reservations.week.accelerator", "the project alpha may not use t4"),
        ("images:\n", "storage: {h: {title: H, kind: home, mount: /h, groups: [a]}}\nimages:\n", 1, "storage.h", "a home cannot be for some groups only"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_period_or_a_pair_is_named(
    tmp_path: Path, old: str, new: str, line: int, key: str, says: str
) -> None:
    text = GOOD + RESERVED + GRANTED
    assert old in text
    path = write(tmp_path, text.replace(old, new, 1))
    with pytest.raises(PlatformError) as wrong:
        load(path)
    found = str(wrong.value)
    assert (wrong.value.key, says in wrong.value.message) == (key, True), found
    assert wrong.value.line == line, found


def test_more_than_there_is_cannot_be_reserved_at_one_time(tmp_path: Path) -> None:
    good = GOOD.replace("    kind: gpu", "    devices: 4\n    kind: gpu")
    one = RESERVED + "    count: 3\n"
    two = one.replace("week", "other").replace("2026-12-05", "2026-12-08").replace("reservations:\n", "")
    second = two.replace("2026-12-01", "2026-12-06")  # the first includes the 5th, and ends with it
    assert len(load(write(tmp_path, good + one + second)).reservations) == 2
    third = two.replace("2026-12-01", "2026-12-05")
    with pytest.raises(PlatformError, match="6 t4 are reserved at the same time, but there are 4"):
        load(write(tmp_path, good + one + third))


def test_all_devices_cannot_be_kept_for_two_projects(tmp_path: Path) -> None:
    text = GOOD.replace("projects:\n", "projects:\n  beta: {title: Beta, groups: [b/x]}\n") + RESERVED
    text += "  other: {title: O, project: beta, accelerator: t4, from: 2026-12-05, to: 2026-12-06}\n"
    with pytest.raises(PlatformError, match="it keeps all t4 while other keeps some for another project"):
        load(write(tmp_path, text))


def test_dates_include_the_last_day_and_are_utc(tmp_path: Path) -> None:
    platform = load(write(tmp_path, GOOD + RESERVED + GRANTED))
    held = platform.reservations["week"]
    assert held.begin.isoformat() == "2026-12-01T00:00:00+00:00"
    assert held.end.isoformat() == platform.grants["more"].until.isoformat() == "2026-12-06T00:00:00+00:00"
    text = (
        (GOOD + RESERVED)
        .replace("2026-12-01", "2026-12-01T09:30+01:00")
        .replace("to: 2026-12-05", "to: 2026-12-05 18:00")
    )
    held = load(write(tmp_path, text)).reservations["week"]
    assert (held.begin.isoformat(), held.end.isoformat()) == (
        "2026-12-01T08:30:00+00:00",
        "2026-12-05T18:00:00+00:00",
    )


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("kind: gpu", "kind: gup", "is gpu meant?"),
        ("  t4:", "  T 4:", "is t-4 meant?"),
        ("memory: 1Gi", "memory: 1GB", "is 1G meant?"),
        ("groups: [a/x]", "groups: a/x", "is [a/x] meant?"),
        ("groups: [a/x]", "group: [a/x]", "is groups meant?"),
        ("sizes:", "extend: [x]\nsizes:", "is extends meant?"),
    ],
)
def test_what_was_probably_meant_is_said(tmp_path: Path, old: str, new: str, says: str) -> None:
    path = write(tmp_path, GOOD.replace(old, new, 1))
    assert any(says in each.message for each in examine(path).problems)


def test_all_that_is_wrong_is_found_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = (GOOD + RESERVED).replace("cores: 1", "cores: 0").replace("kind: gpu", "kind: gup")
    text = text.replace("groups: [a/x]", "groups: [a/x]\n    images: [bsae]").replace(
        "project: alpha", "project: alhpa"
    )
    found = examine(write(tmp_path, text))
    assert found.platform is None
    assert [each.key for each in found.problems] == [
        "sizes.s.cores",
        "projects.alpha.images.0",
        "accelerators.t4.kind",
        "reservations.week.project",
    ]
    assert [each.line for each in found.problems] == sorted(each.line for each in found.problems)  # type: ignore[type-var]


def test_a_platform_with_periods_survives_json(tmp_path: Path) -> None:
    platform = load(write(tmp_path, GOOD + RESERVED + GRANTED))
    assert Platform.model_validate_json(platform.model_dump_json()) == platform
    assert Platform.model_validate(platform.model_dump()) == platform
