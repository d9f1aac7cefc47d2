"""Presets of the platform file: what is wrong with them is told with file, line and key, and people get those they may use."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from aiinfn_hub.platform import presets
from aiinfn_hub.platform.loading.loader import examine, load
from aiinfn_hub.platform.person import Person

EXAMPLES = Path(__file__).parents[2] / "examples/platforms"
BASE = f"extends: [{EXAMPLES}/cnaf.yaml]\n"


@pytest.mark.parametrize(
    ("preset", "key", "words"),
    [
        ("{title: P, accelerator: rtx500}", "presets.p.accelerator", "is rtx5000 meant?"),
        ("{title: P, image: torhc}", "presets.p.image", "is torch meant?"),
        ("{title: P, size: hug}", "presets.p.size", "is huge meant?"),
        ("{title: P, project: physics}", "presets.p.project", "there is no physics under projects"),
        (
            "{title: P, accelerator: a100, size: small}",
            "presets.p.size",
            "nobody can be granted this: The size Small does not go with NVIDIA A100.",
        ),
        ("{title: P, accelerator: t4, count: 5}", "presets.p.count", "at most 2 NVIDIA T4, not 5"),
        ("{title: P, count: 2}", "presets.p.count", "no accelerator was chosen"),
        ("{title: P, accelerator: t4, image: vitis}", "presets.p.image", "is not made for NVIDIA T4"),
        ("{title: P, project: training, accelerator: t4}", "presets.p.accelerator", "may not use NVIDIA T4"),
        (
            "{title: P, accelerator: v70, time_limit: 9h}",
            "presets.p.time_limit",
            "longer than the 8h allowed",
        ),
        ("{title: P, time_limit: 9h, project: training}", "presets.p.time_limit", "allowed in the project"),
    ],
)
def test_a_preset_that_nobody_can_have_is_an_error(tmp_path: Path, preset: str, key: str, words: str) -> None:
    path = tmp_path / "platform.yaml"
    path.write_text(f"{BASE}presets:\n  p: {preset}\n")
    examined = examine(path)
    assert examined.platform is None
    [problem] = examined.problems
    assert (problem.key, problem.line) == (key, 3)
    assert words in problem.message


@pytest.mark.parametrize(
    "preset",
    [
        # Of medical physics by a grant that has ended, or has not begun.
        "{title: P, project: medphys, accelerator: a100}",
        # For a group, of which somebody may be.
        "{title: P, image: licensed, size: huge}",
        # In one project it is too long, in the others not.
        "{title: P, accelerator: a100-slice, time_limit: 20h}",
    ],
)
def test_a_preset_that_somebody_can_have_some_day_is_in_order(tmp_path: Path, preset: str) -> None:
    path = tmp_path / "platform.yaml"
    path.write_text(f"{BASE}presets:\n  p: {preset}\n")
    assert examine(path).problems == []


def test_reservations_are_no_error_of_a_preset(tmp_path: Path) -> None:
    """All slices are the hackathon's in its week."""
    path = tmp_path / "platform.yaml"
    path.write_text(
        f"extends: [{EXAMPLES}/hackathon.yaml]\npresets: {{p: {{title: P, accelerator: a100-slice}}}}\n"
    )
    assert examine(path).problems == []


def test_people_get_the_presets_that_the_gate_would_grant_them() -> None:
    platform = load(EXAMPLES / "cnaf.yaml")
    now = datetime(2026, 12, 2, 9, tzinfo=UTC)

    def of(*groups: Any) -> Any:
        return list(presets.granted(platform, Person.of("ada", groups), now=now))

    assert of("ai-infn/flavour") == ["course", "training"]
    assert of("ai-infn/flavour", "ai-infn/medphys") == ["course", "training", "fpga"]
    assert of("ai-infn/training") == ["course"]
    assert of() == []
    fpga = presets.granted(platform, Person.of("ada", ["ai-infn/medphys"]), now=now)["fpga"]
    assert (fpga.accelerator_name, fpga.image_name, fpga.size_name, fpga.project) == (
        "v70",
        "vitis",
        "large",
        "medphys",
    )
