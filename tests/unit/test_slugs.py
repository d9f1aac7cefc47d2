"""The one rule by which names of people, projects and sessions become names of folders and of Kubernetes objects."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubespawner.slugs import safe_slug

from aiinfn_hub.kube import names
from aiinfn_hub.platform.slugs import slug

ROOT = Path(__file__).parents[2]


@given(st.text(max_size=80) | st.from_regex(r"[-a-z0-9 ]{1,70}", fullmatch=True))
def test_slugs_are_those_that_kubespawner_calls_safe(name: Any) -> None:
    assert slug(name) == safe_slug(name)


@pytest.mark.parametrize("name", ["ada", "ada-lovelace", "user007"])
def test_a_safe_name_is_kept(name: str) -> None:
    assert slug(name) == name


@pytest.mark.parametrize(
    "name", ["Ada", "ada@infn.it", "a--b", "../../etc", "9lives", "émile", "", "a" * 64, "\udcff"]
)
def test_any_other_name_becomes_a_safe_one(name: str) -> None:
    assert "---" in slug(name)


@given(st.text(max_size=300), st.text(max_size=300))
def test_slugs_are_safe_and_two_names_never_share_one(one: str, other: str) -> None:
    first, second = slug(one), slug(other)
    assert (first == second) == (one == other)
    for made in (first, second):
        assert 1 <= len(made) <= 63
        assert set(made) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
        assert made[0] != "-"
        assert made[-1] != "-"


def test_there_is_one_such_function_for_both_back_ends() -> None:
    assert names.slug is slug
    defined = [
        path
        for folder in ("aiinfn_hub", "aiinfn_lab")
        for path in (ROOT / folder).rglob("*.py")
        if "\ndef slug(" in path.read_text()
    ]
    assert defined == [ROOT / "aiinfn_hub/platform/slugs.py"]


def test_vkd_need_not_load_kubespawner_for_it() -> None:
    program = "import sys, aiinfn_hub.platform.slugs, aiinfn_hub.host.accounts, aiinfn_hub.kube.names; print('kubespawner' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "False"
