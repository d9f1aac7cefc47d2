"""Who may import whom: platform <- kube <- {spawner, vkd} <- config, and nothing imports config."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FRAMEWORKS = {
    "jupyterhub",
    "kubespawner",
    "kubernetes",
    "fastapi",
    "sqlalchemy",
    "aiohttp",
    "tornado",
    "traitlets",
}


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    package = path.relative_to(ROOT).with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            found.add(module)
            found.update(f"{module}.{alias.name}" for alias in node.names)
    return found


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def below(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


@pytest.mark.parametrize(
    ("folder", "forbidden"),
    [
        ("aiinfn_hub/platform", ["aiinfn_hub.vkd", "aiinfn_hub.spawner", "aiinfn_hub.auth", "aiinfn_hub.config", "aiinfn_lab", *FRAMEWORKS]),
        ("aiinfn_hub/kube", ["aiinfn_hub.vkd.services.jobs", "aiinfn_hub.vkd.backends", "aiinfn_hub.spawner", "aiinfn_hub.auth", "aiinfn_hub.config", "aiinfn_lab", "kubespawner"]),
        ("aiinfn_hub/vkd", ["aiinfn_hub.spawner", "aiinfn_hub.auth", "aiinfn_hub.config", "aiinfn_lab"]),
        ("aiinfn_hub/vkd/backends", ["fastapi", "sqlalchemy", "aiohttp", "aiinfn_hub.vkd.database.jobs", "aiinfn_hub.vkd.services.jobs"]),
        ("aiinfn_hub/spawner", ["aiinfn_hub.config", "aiinfn_hub.vkd.services.jobs", "aiinfn_hub.vkd.database.jobs", "aiinfn_lab"]),
        ("aiinfn_hub/auth", ["aiinfn_hub.config", "aiinfn_hub.spawner", "aiinfn_hub.vkd.services.jobs", "aiinfn_hub.vkd.database.jobs", "aiinfn_hub.vkd.backends", "aiinfn_lab"]),
        ("aiinfn_lab", ["aiinfn_hub.spawner", "aiinfn_hub.auth", "aiinfn_hub.config", "aiinfn_hub.vkd.services.jobs", "fastapi", "sqlalchemy"]),
    ],
)  # fmt: skip
def test_imports_point_downwards(folder, forbidden):
    assert modules(folder)
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules(folder)
        for name in imports(path)
        for package in forbidden
        if below(name, package)
    ]
    assert not wrong


def test_the_contract_loads_nothing_but_pydantic():
    program = (
        "import sys, aiinfn_hub.vkd.contract\n"
        f"print(sorted({FRAMEWORKS!r} & {{name.partition('.')[0] for name in sys.modules}}))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert loaded.stdout.strip() == "[]"
