"""The documentation knows what the code knows."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
VARIABLE = re.compile(r"\bAIINFN_[A-Z][A-Z_]*[A-Z]\b")


def test_every_environment_variable_is_documented_and_every_documented_one_exists():
    used = {
        name
        for folder in ("aiinfn_hub", "aiinfn_lab")
        for path in (ROOT / folder).rglob("*.py")
        for name in VARIABLE.findall(path.read_text())
    }
    documented = set(VARIABLE.findall((ROOT / "docs/settings.md").read_text()))
    assert used == documented


def test_links_of_the_documentation_lead_somewhere():
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), ROOT / "tests/cluster/README.md"]
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert not broken
