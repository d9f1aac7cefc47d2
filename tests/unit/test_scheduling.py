"""The order of the tests: the longest first, nothing that runs together torn apart, and no entry for a file that is gone."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests import scheduling

ROOT = Path(__file__).parents[2]


def test_durations_are_of_files_that_there_are() -> None:
    known = scheduling.recorded()
    assert known
    assert [file for file in known if not (ROOT / file).exists()] == []
    assert all(seconds >= scheduling.LEAST for seconds in known.values())


@given(st.dictionaries(st.text("abc", min_size=1), st.floats(1, 200), min_size=1), st.integers(1, 4))
def test_each_file_is_in_one_hand_and_none_has_a_whole_file_more_than_another(
    seconds: dict[str, float], hands: int
) -> None:
    given_to = scheduling.dealt(seconds, seconds, hands)
    assert given_to.keys() == seconds.keys()
    load = [sum(seconds[file] for file in given_to if given_to[file] == hand) for hand in range(hands)]
    assert max(load) - min(load) <= max(seconds.values()) + 1e-6


def test_the_longest_comes_first_and_what_shares_a_demonstration_stays_together() -> None:
    seconds = {
        "tests/ui/test_a.py": 50.0,
        "tests/ui/test_b.py": 40.0,
        "tests/ui/test_c.py": 30.0,
        "tests/ui/test_d.py": 20.0,
        scheduling.HUB_OF_ITS_OWN: 60.0,
        "tests/hub/test_long.py": 45.0,
    }
    files = ["tests/unit/test_unknown.py", *seconds]
    order = scheduling.Order(files, seconds)
    assert order.scope("tests/ui/test_c.py") == order.scope("tests/ui/test_d.py")
    assert order.scope(scheduling.HUB_OF_ITS_OWN) == scheduling.HUB_OF_ITS_OWN
    assert sorted(files, key=order.key) == [
        scheduling.HUB_OF_ITS_OWN,
        "tests/ui/test_a.py",
        "tests/ui/test_c.py",
        "tests/ui/test_d.py",
        "tests/hub/test_long.py",
        "tests/ui/test_b.py",
        "tests/unit/test_unknown.py",
    ]
