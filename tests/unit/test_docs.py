"""The documentation knows what the code knows."""

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
VARIABLE = re.compile(r"\bAIINFN_[A-Z][A-Z_]*[A-Z]\b")


def test_every_environment_variable_is_documented_and_every_documented_one_exists() -> None:
    used = {
        name
        for folder in ("aiinfn_hub", "aiinfn_lab")
        for path in (ROOT / folder).rglob("*.py")
        for name in VARIABLE.findall(path.read_text())
    }
    documented = set(VARIABLE.findall((ROOT / "docs/settings.md").read_text()))
    assert used == documented


def test_links_of_the_documentation_lead_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in [
            ROOT / "README.md",
            ROOT / "CONTRIBUTING.md",
            *(ROOT / "docs").rglob("*.md"),
            ROOT / "tests/cluster/README.md",
        ]
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert not broken


def test_files_and_folders_that_the_architecture_names_are_there() -> None:
    bases = [
        ROOT,
        *(ROOT / part for part in ("aiinfn_hub", "aiinfn_hub/vkd", "aiinfn_hub/vkd/backends", "aiinfn_lab")),
    ]
    text = re.sub(r"```.*?```", "", (ROOT / "docs/architecture.md").read_text(), flags=re.DOTALL)
    named = set(re.findall(r"`([A-Za-z_./-]+(?:\.(?:py|tsx?|toml)|/))`", text))
    assert named
    assert not {name for name in named if not any((base / name).exists() for base in bases)}


@pytest.fixture(scope="module")
def packages() -> Any:
    spec = importlib.util.spec_from_file_location("packages", ROOT / "docs/packages.py")
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    spec.loader.exec_module(module)
    return module


def test_the_pictures_of_the_packages_are_those_of_the_code(packages: Any) -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    assert packages.drawn(page) == page, "make picture"


def test_an_arrow_that_follows_from_others_is_not_drawn(packages: Any) -> None:
    assert packages.reduced({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == {"a": {"b"}, "b": {"c"}, "c": set()}


def test_a_circle_is_not_drawn(packages: Any) -> None:
    with pytest.raises(ValueError, match="a -> b -> a"):
        packages.reduced({"a": {"b"}, "b": {"a"}})
