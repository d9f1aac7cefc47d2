"""What people would see with the example platforms, kept as text.

After a wanted change: ``UPDATE_GOLDEN=1 pytest tests/unit/test_explain.py``, then read the difference.
"""

import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from aiinfn_hub.cli.main import main
from aiinfn_hub.contract.problem import Refusal
from aiinfn_hub.platform.gate import offer, resolve
from aiinfn_hub.platform.loading.loader import load
from aiinfn_hub.platform.person import Person
from aiinfn_hub.platform.selection import Door

EXAMPLES = Path(__file__).parents[2] / "examples/platforms"
GOLDEN = Path(__file__).with_name("explain")
UPDATE = bool(os.environ.get("UPDATE_GOLDEN"))

PEOPLE = {
    "member": [
        "--name",
        "ada",
        "--groups",
        "/ai-infn/flavour,ai-infn/a100,ai-infn/production,ai-infn/detector-data",
    ],
    "two-projects": ["--name", "bruno", "--groups", "ai-infn/flavour,ai-infn/medphys,ai-infn/large-memory"],
    "manager": ["--name", "carla", "--groups", "ai-infn/medphys/managers"],
    "student": ["--name", "sam", "--groups", "ai-infn/training"],
    "guest": ["--name", "gina", "--groups", "other/flavour"],
    "operator": ["--name", "dora", "--groups", "ai-infn/operators", "--admin"],
}
CASES = [
    *(("cnaf", person, "2026-12-02T09:00") for person in PEOPLE),
    *(("recas", person, "2026-12-02T09:00") for person in PEOPLE),
    ("hackathon", "student", "2026-12-02T09:00"),
    ("hackathon", "two-projects", "2026-11-30T01:00"),
    ("hackathon", "tutor", "2026-12-02T09:00"),
    ("cnaf", "guest-later", "2027-03-01"),
]
PEOPLE_OF_EVENTS = {
    "tutor": ["--name", "teo"],
    "guest-later": ["--name", "gina", "--groups", "other/flavour"],
}


def run(*arguments: Any) -> Any:
    return CliRunner().invoke(main, [str(each) for each in arguments])


def explained(platform: str, person: str, at: str) -> Any:
    ended = run("explain", EXAMPLES / f"{platform}.yaml", *(PEOPLE | PEOPLE_OF_EVENTS)[person], "--at", at)
    assert ended.exit_code == 0, ended.output
    return ended.output


@pytest.mark.parametrize(("platform", "person", "at"), CASES)
def test_what_people_would_see_is_as_it_was_read(platform: str, person: str, at: str) -> None:
    path = GOLDEN / f"{platform}-{person}.txt"
    text = explained(platform, person, at)
    if UPDATE:
        GOLDEN.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()


def test_nothing_is_kept_that_no_test_reads() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == {
        f"{platform}-{person}" for platform, person, _ in CASES
    }


@pytest.mark.parametrize("platform", ["cnaf", "recas", "hackathon"])
@pytest.mark.parametrize("person", PEOPLE)
def test_the_reasons_are_the_gates_own(platform: str, person: str) -> None:
    """Whatever is not offered is refused by the gate, of accelerators, sizes and images in the same words."""
    whole = load(EXAMPLES / f"{platform}.yaml")
    groups = next(iter(PEOPLE[person][3:4])).split(",")
    somebody = Person.of(PEOPLE[person][1], groups)
    may = offer(whole, somebody)
    for kind, key in (("accelerators", "accelerator"), ("sizes", "size"), ("images", "image")):
        for name in getattr(whole, kind):
            denial = may.why_not_anywhere(kind, name)
            if denial is None:
                continue
            with pytest.raises(Refusal) as refused:
                resolve({key: name}, whole, somebody, Door.SESSION, now=may.now)
            if len(may.projects) == 1:
                assert refused.value.message == denial.sentence


def test_explain_without_a_name_or_groups_is_about_a_stranger() -> None:
    ended = run("explain", EXAMPLES / "cnaf.yaml")
    assert ended.exit_code == 0
    assert "Nothing else is offered to somebody who belongs to no project." in ended.output


@pytest.mark.parametrize("time", ["soon", "2026-13-01", "12:00"])
def test_a_time_that_is_none_is_refused_in_words(time: str) -> None:
    ended = run("explain", EXAMPLES / "cnaf.yaml", "--at", time)
    assert ended.exit_code == 2
    assert "no date or time; write for example" in ended.output


def test_a_broken_file_is_not_explained(tmp_path: Path) -> None:
    path = tmp_path / "platform.yaml"
    path.write_text("extends: [gone.yaml]\n")
    ended = run("explain", path)
    assert (ended.exit_code, ended.output) == (
        1,
        f"Error: {path}, line 1, extends.0: there is no such file\n",
    )


def test_check_lists_everything_that_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "platform.yaml"
    path.write_text(
        f"extends: [{EXAMPLES}/cnaf.yaml]\nprojects: {{flavour: {{gruops: [a]}}}}\nsizes: {{small: {{memory: 8GB}}}}\n"
    )
    ended = run("check", path)
    assert ended.exit_code == 1
    assert ended.output.splitlines() == [
        f"Error: {path}, line 2, projects.flavour.gruops: this key is unknown; is groups meant?",
        f"Error: {path}, line 3, sizes.small.memory: '8GB' is no memory size; write for example 16Gi or 500M; is 8G meant?",
    ]


def test_check_says_what_a_good_file_declares_and_what_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "platform.yaml"
    path.write_text(
        f"extends: [{EXAMPLES}/cnaf.yaml]\ngrants: {{old: {{project: flavour, people: [x], until: 2020-01-01}}}}\n"
    )
    ended = run("check", path)
    assert ended.exit_code == 0
    assert "files         base.yaml, cnaf.yaml, platform.yaml" in ended.output
    assert "The grant old ended at 2020-01-02 00:00 UTC; it can be removed." in ended.output


@pytest.mark.parametrize(
    ("groups", "told"), [("ai-infn/flavour", True), ("ai-infn/flavour,infn/guests", False)]
)
def test_who_lacks_a_required_group_is_told_first(tmp_path: Path, groups: str, told: bool) -> None:
    platform = tmp_path / "strict.yaml"
    platform.write_text(
        f"extends: [{EXAMPLES / 'cnaf.yaml'}]\niam: {{required_groups: [infn/members, infn/guests]}}\n"
    )
    result = CliRunner().invoke(main, ["explain", str(platform), "--name", "ada", "--groups", groups])
    assert result.exit_code == 0, result.output
    sentence = "CANNOT SIGN IN: everybody must be in one of the groups infn/members, infn/guests (iam.required_groups)."
    assert (sentence in result.output) is told
