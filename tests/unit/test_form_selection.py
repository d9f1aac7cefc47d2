"""What a start without a choice selects: the same as the form when it is opened."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiinfn_hub.platform.gate import offer, resolve
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.person import Person
from aiinfn_hub.platform.selection import Door
from aiinfn_hub.spawner import form

PLATFORM = Platform.model_validate(
    {
        "accelerators": {
            "t4": {"title": "T4", "kind": "gpu", "resource": "nvidia.com/gpu", "max_per_session": 2, "session_time": "4h"},
            "v70": {"title": "V70", "kind": "fpga", "resource": "amd.com/v70", "sizes": ["l"]},
        },
        "images": {
            "std": {"title": "Std", "reference": "a:1", "accelerators": ["none", "t4"]},
            "fpga": {"title": "FPGA", "reference": "b:1", "accelerators": ["v70"]},
        },
        "sizes": {"s": {"title": "S", "cores": 1, "memory": "1Gi"}, "l": {"title": "L", "cores": 2, "memory": "1Gi", "session_time": "2h"}},
        "projects": {
            "one": {"title": "One", "groups": ["a"], "accelerators": ["t4"]},
            "two": {"title": "Two", "groups": ["a"], "accelerators": ["t4", "v70"], "session_time": "1h"},
            "three": {"title": "Three", "groups": ["b"]},
        },
    }
)  # fmt: skip
PERSON = Person.of("ada", ["a"])
VALUES: dict[str, list[Any]] = {
    "accelerator": ["none", "t4", "v70", "k80", "", 7, None],
    "project": ["one", "two", "three", "gone", "", ["one"]],
    "image": ["std", "fpga", "x", ""],
    "size": ["s", "l", "x", 1.5],
    "time_limit": ["1h", "2h", "4h", "8h", "3h", "90d", "x", 3600],
    "count": ["1", "2", "3", "-1", 2, 10**30, "x", True],
}


@settings(max_examples=300, deadline=None)
@given(st.fixed_dictionaries({}, optional={key: st.sampled_from(values) for key, values in VALUES.items()}))
def test_whatever_was_chosen_last_the_form_selects_something_that_is_granted(last: dict[str, Any]) -> None:
    may = offer(PLATFORM, PERSON)
    selected = form.selected(may, last)
    granted = resolve(selected, PLATFORM, PERSON, Door.SESSION)
    assert granted.project == selected["project"]
    text = form.render(may, None, form.Opening(choice=last))
    checked = re.search(r'value="([^"]+)" id="accelerator-[^"]+"[^>]* checked', text)
    assert checked is not None
    assert checked[1] == selected["accelerator"]
    for key in ("project", "image", "size", "time_limit", "count"):
        options = re.search(rf'<select [^>]*name="{key}".*?</select>', text, re.DOTALL)
        assert options is not None
        if picked := re.search(r'<option value="([^"]+)"[^>]* selected', options[0]):
            # What goes together stays; else the script takes the first that does.
            whole = {**selected, key: picked[1]}
            if whole != selected:
                assert key != "project" or picked[1] == "one", "only V70 is not for project one"


@pytest.mark.parametrize("last", [{}, {"x": 1}, {"accelerator": {}}, [], "text", None])
def test_odd_choices_lead_to_the_usual_one(last: Any) -> None:
    selected = form.selected(offer(PLATFORM, PERSON), last)
    assert selected == {"accelerator": "none", "project": "one", "image": "std", "size": "s"}


def test_who_has_no_project_has_nothing_selected() -> None:
    assert form.selected(offer(PLATFORM, Person.of("nora", [])), {"accelerator": "t4"}) == {}
