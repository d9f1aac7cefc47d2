"""The sums of what sessions hold."""

from collections import Counter
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aiinfn_hub.spawner.session_usage import SessionUsage

CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["ada", "ada/second", "ben"]),
        st.none()
        | st.builds(
            SimpleNamespace,
            person=st.sampled_from(["ada", "ben"]),
            project=st.sampled_from(["flavour", "medphys"]),
            accelerator_name=st.sampled_from(["t4", "v70"]),
            accelerator=st.sampled_from([None, "some"]),
            count=st.integers(1, 3),
        ),
    ),
    max_size=30,
)


@given(CHANGES)
def test_the_sums_are_those_of_the_sessions_that_hold_something_now(changes: list[Any]) -> None:
    held, now = SessionUsage(), {}
    for session, selection in changes:
        held.note(session, selection)
        now[session] = selection
    holders = [each for each in now.values() if each is not None and each.accelerator]
    for person in ("ada", "ben"):
        own: Counter[Any] = Counter()
        for each in holders:
            own[each.accelerator_name] += each.count if each.person == person else 0
        assert held.usage(person).person == +own
    projects: dict[str, Counter[str]] = {}
    for each in holders:
        projects.setdefault(each.project, Counter())[each.accelerator_name] += each.count
    assert held.usage("ada").projects == projects
    for aside, left in now.items():
        rest = SessionUsage()
        for session, selection in now.items():
            rest.note(session, None if session == aside else selection)
        for person in ("ada", "ben"):
            usage = held.usage(person, without=aside)
            assert usage.person == rest.usage(person).person, left
            assert {name: +own for name, own in usage.projects.items() if +own} == rest.usage(person).projects  # type: ignore[operator]
    assert held.usage("ada", without="nobody") == held.usage("ada")
