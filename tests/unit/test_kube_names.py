from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aiinfn_hub.kube import names


@given(*[st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?", fullmatch=True)] * 4)
def test_each_pair_of_queue_and_project_has_a_queue_of_its_own(
    queue: Any, project: Any, other_queue: Any, other_project: Any
) -> None:
    one, two = names.local_queue(queue, project), names.local_queue(other_queue, other_project)
    assert (one == two) == ((queue, project) == (other_queue, other_project))
    assert len(one) <= 63
