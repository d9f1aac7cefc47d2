"""Apps in the platform file, and as a session is told of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiinfn_hub.contract import apps as contract
from aiinfn_hub.platform.loading.loader import Examined, examine, load
from aiinfn_hub.platform.model.apps import variable
from tests.unit.test_loader import GOOD

ROOT = Path(__file__).parents[2]
SVG = '<svg xmlns="http://www.w3.org/2000/svg">%s</svg>'


def examined(tmp_path: Path, **app: Any) -> Examined:
    values = {"title": "Board", "command": ["board", "{unix_socket}"]} | app
    path = tmp_path / "platform.yaml"
    path.write_text(f"{GOOD}apps: {json.dumps({'board': values})}\n")
    return examine(path)


def test_the_examples_have_tensorboard_and_tell_sessions_of_it() -> None:
    for path in (ROOT / "platform.yaml", ROOT / "examples/platforms/cnaf.yaml"):
        told, problems = contract.parse_apps(variable(load(path).apps))
        assert problems == []
        assert [(each.name, each.title, each.requires) for each in told] == [
            ("tensorboard", "TensorBoard", ("tensorboard",))
        ]
        assert told[0].start_timeout == 30


@pytest.mark.parametrize(
    ("change", "key", "says"),
    [
        ({"command": []}, "command", "at least 1"),
        ({"command": "board {unix_socket}"}, "command", "list"),
        ({"command": ["board", "--port=6006"]}, "", "the app must listen on a Unix socket"),
        ({"command": ["board", "{unix_socket}", "{port}"]}, "command", "an app gets no port"),
        ({"command": ["board --now", "{unix_socket}"]}, "command", "is no program"),
        ({"command": ["{unix_socket}"]}, "command", "is no program"),
        ({"comand": ["board"]}, "comand", "is command meant?"),
        ({"requires": [""]}, "requires", "is no program"),
        ({"start_timeout": "30"}, "start_timeout", "has no unit"),
        ({"start_timeout": "1h"}, "start_timeout", "10 minutes"),
        ({"environment": {"JUPYTERHUB_API_TOKEN": "x"}}, "environment", "is set by the platform"),
        ({"environment": {"aiinfn_session": "x"}}, "environment", "is set by the platform"),
        ({"environment": {"A B": "x"}}, "environment", ""),
        ({"icon": "board.svg"}, "icon", "this icon is no SVG"),
        ({"icon": "<svg></svg>"}, "icon", "this icon is no SVG"),
        ({"icon": SVG % "<script>alert(1)</script>"}, "icon", "only shapes"),
        ({"icon": SVG % '<path onload="alert(1)"/>'}, "icon", "only shapes"),
        ({"icon": SVG % '<path href="http://x"/>'}, "icon", "only shapes"),
        ({"icon": '<!DOCTYPE svg [<!ENTITY a "b">]>' + SVG % "&a;"}, "icon", "without declarations"),
        ({"icon": SVG % ("x" * 5000)}, "icon", "4096"),
    ],
)
def test_what_is_wrong_with_an_app_is_told_with_its_key(
    tmp_path: Path, change: dict[str, Any], key: str, says: str
) -> None:
    found = examined(tmp_path, **change).problems
    assert len(found) == 1
    assert found[0].key.startswith(f"apps.board.{key}".rstrip("."))
    assert says in str(found[0])


def test_a_good_app_is_fine(tmp_path: Path) -> None:
    good = examined(
        tmp_path,
        command=["board", "--json={}", "$(HOME)"],
        environment={"SOCKET": "unix://{unix_socket}"},
        icon=SVG % '<linearGradient id="a"/><path d="M0 0h1" fill="url(#a)"/>',
    )
    assert good.problems == []
    assert good.platform is not None
    text = variable(good.platform.apps)
    assert "$" not in text, "Kubernetes would replace $(HOME)"
    told, _ = contract.parse_apps(text)
    assert told[0].command == ("board", "--json={}", "$(HOME)")


@pytest.mark.parametrize(("name", "good"), [("a-b", True), ("a.b", False), ("A", False), ("x" * 33, False)])
def test_names_are_parts_of_addresses(tmp_path: Path, name: str, good: bool) -> None:
    path = tmp_path / "platform.yaml"
    path.write_text(f'{GOOD}apps: {{"{name}": {{title: T, command: [t, "{{unix_socket}}"]}}}}\n')
    assert (examine(path).problems == []) == good


@pytest.mark.parametrize(
    ("count", "length", "says"), [(21, 1, "there are 21 apps"), (20, 900, "characters together")]
)
def test_apps_fit_into_a_sessions_environment(tmp_path: Path, count: int, length: int, says: str) -> None:
    app = {"title": "T", "command": ["t", "{unix_socket}", *["x" * length] * 4]}
    path = tmp_path / "platform.yaml"
    path.write_text(f"{GOOD}apps: {json.dumps({f'a{n}': app for n in range(count)})}\n")
    assert [says in str(each) for each in examine(path).problems] == [True]


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from([*contract.SessionApp.model_fields, "x"]), inner, max_size=8)
    ),
    max_leaves=20,
)


@given(JSON)
def test_whatever_a_session_is_told_is_offered_or_explained(told: Any) -> None:
    apps, problems = contract.parse_apps(json.dumps(told))
    assert all(isinstance(each, contract.SessionApp) for each in apps)
    assert apps or problems or told == []
