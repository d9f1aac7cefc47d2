"""More time for a session that runs: a table on the platform of gate_cases.yaml, and what always holds."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from aiinfn_hub.contract.problem import Refusal
from aiinfn_hub.contract.units import parse_duration
from aiinfn_hub.platform.access.limits import QuotaUse
from aiinfn_hub.platform.gate import resolve
from aiinfn_hub.platform.model.fields import parse_moment
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.model.settings import Limits
from aiinfn_hub.platform.person import Person
from aiinfn_hub.platform.selection import Door
from aiinfn_hub.platform.session_extension import (
    Running,
    extend,
    opens,
    warnings,
)
from tests.unit import test_gate_properties as random
from tests.unit.test_gate_cases import PEOPLE, PLATFORM

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
EXTENDED = {"session_extension": "1h", "session_extensions": 2}


def platform(**limits: Any) -> Platform:
    """The table's platform: sessions of 8 h at most, with the size L of 3 h, with Big of 6 h, in Beta of 4 h."""
    known = PLATFORM.limits.model_dump() | EXTENDED | limits
    return PLATFORM.model_copy(update={"limits": Limits.model_validate(known)})


def running(who: str, began: str = "2026-11-24T08:00", extensions: int = 0, **ask: Any) -> Running:
    start = parse_moment(began)
    granted = resolve(ask, platform(), PEOPLE[who], Door.SESSION, now=start)
    return Running(granted, start, start + granted.time_limit + extensions * HOUR, extensions)


T4: dict[str, Any] = {"accelerator": "t4"}
CASES = [
    # what runs, limits, minutes before its end, what else -> minutes more and extensions left, or reason and words
    ("first", running("ann"), {}, 30, {}, (60, 1)),
    ("second and last", running("ann", extensions=1), {}, 30, {}, (60, 0)),
    ("third", running("ann", extensions=2), {}, 30, {}, ("too_many", "extended 2 times")),
    ("the only one was used", running("ann", extensions=1), {"session_extensions": 1}, 30, {}, ("too_many", "extended once")),
    ("never", running("ann"), {"session_extensions": 0}, 30, {}, ("forbidden", "cannot be extended on this platform")),
    ("in the last second", running("ann"), {}, 1 / 60, {}, (60, 1)),
    ("too late", running("ann"), {}, 0, {}, ("conflict", "reached its end")),
    ("too early", running("ann"), {}, 61, {}, ("conflict", "when less than 1h of it is left")),
    ("on time", running("ann"), {}, 60, {}, (60, 1)),
    ("more than a warning early", running("ann"), {"session_extension": "10m"}, 15, {}, (10, 1)),
    ("longest was asked for", running("ann", time_limit="8h"), {}, 30, {}, ("too_large", "8h is the most")),
    ("half an hour was left out", running("ann", time_limit="7h30m"), {}, 30, {}, (30, 1)),
    ("overtime", running("ann", time_limit="8h"), {"session_overtime": "40m"}, 30, {}, (40, 1)),
    ("longest of the size", running("ann", size="l", time_limit="3h"), {}, 30, {}, ("too_large", "3h is the most")),
    ("longest with the accelerator", running("big", accelerator="big", size="m", time_limit="6h"), {}, 30, {}, ("too_large", "6h")),
    ("longest of the project", running("bob", time_limit="3h50m"), {}, 30, {}, (10, 1)),
    ("somebody waits", running("ann", **T4), {}, 30, {"waiting": 1}, ("capacity", "Another session waits for T4")),
    ("some wait", running("ann", **T4), {}, 30, {"waiting": 3}, ("capacity", "3 other sessions wait for T4")),
    ("nobody waits", running("ann", **T4), {}, 30, {"waiting": 0}, (60, 1)),
    ("who waits wants no CPU", running("ann"), {}, 30, {"waiting": 3}, (60, 1)),
    ("a grant ends", running("gus", "2026-11-29T17:00", **T4, time_limit="6h30m"), {}, 20, {}, (30, 1)),
    ("a grant ends with the session", running("gus", "2026-11-29T17:00", **T4, time_limit="7h"), {}, 20, {}, ("too_large", "granted ends at 2026-11-30 00:00 UTC")),
    ("a reservation begins", running("ann", "2026-11-30T18:00", accelerator="slice", time_limit="5h40m"), {}, 20, {}, (20, 1)),
    ("a reservation begins at the end", running("ann", "2026-11-30T18:00", accelerator="slice", time_limit="6h"), {}, 20, {}, ("too_large", "reserved for the event from 2026-12-01 00:00 UTC on")),
    ("a reservation of their own", running("eva", "2026-11-30T18:00", accelerator="slice", time_limit="6h"), {}, 20, {}, (60, 1)),
    ("as many as a person may hold", running("ann", **T4, count=2), {}, 30, {"usage": QuotaUse({"t4": 1})}, (60, 1)),
    ("others came to hold them", running("ann", **T4, count=2), {}, 30, {"usage": QuotaUse({}, {"alpha": {"t4": 4}})}, ("too_many", "hold 4 T4 already")),
    ("membership was withdrawn", running("ann"), {}, 30, {"who": Person.of("ann", [])}, ("forbidden", "do not belong to any project")),
    ("another project is left", running("ann"), {}, 30, {"who": PEOPLE["bob"]}, ("forbidden", "not a member of the project “alpha”")),
    ("the group of an accelerator was withdrawn", running("big", accelerator="big", size="m"), {}, 30, {"who": PEOPLE["ann"]}, ("forbidden", "only for members of g/big")),
    ("the group of an image was withdrawn", running("lic", image="licensed"), {}, 30, {"who": PEOPLE["ann"]}, ("forbidden", "image Licensed")),
]  # fmt: skip


@pytest.mark.parametrize(("session", "limits", "left", "more", "answer"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])  # fmt: skip
def test_an_extension_is_granted_as_the_table_says(
    session: Running, limits: dict[str, Any], left: float, more: dict[str, Any], answer: tuple[Any, ...]
) -> None:
    more = dict(more)
    person = more.pop("who", None) or PEOPLE[session.selection.person]
    now = session.end - left * MINUTE
    if isinstance(answer[0], int):
        granted = extend(session, platform(**limits), person, now=now, **more)
        assert ((granted.end - session.end) / MINUTE, granted.left) == answer
        return
    with pytest.raises(Refusal) as refused:
        extend(session, platform(**limits), person, now=now, **more)
    assert refused.value.reason == answer[0]
    assert answer[1] in refused.value.message
    for sentence in (refused.value.message, refused.value.hint):
        assert sentence.endswith(".")
        assert sentence.isprintable()
    assert "Choose" not in refused.value.hint


def test_what_went_from_the_platform_file_is_not_extended() -> None:
    session = running("ann", image="torch")
    images = {name: image for name, image in PLATFORM.images.items() if name != "torch"}
    with pytest.raises(Refusal, match="There is no image") as refused:
        extend(
            session, platform().model_copy(update={"images": images}), PEOPLE["ann"], now=session.end - MINUTE
        )
    assert refused.value.reason == "unknown"


@pytest.mark.parametrize(
    ("hours", "first", "second"), [(8, "15m", "5m"), (2.5, "15m", "5m"), (1, "6m", "2m"), (0.1, "36s", "12s")]
)
def test_a_session_warns_in_its_last_tenth_at_the_earliest(hours: float, first: str, second: str) -> None:
    session = running("ann", time_limit=hours * 3600)
    assert warnings(platform().limits, session) == (parse_duration(first), parse_duration(second))


def test_the_end_is_certain_until_it_can_be_extended() -> None:
    session = running("ann")
    assert opens(platform().limits, session) == session.end - HOUR
    # Whoever is warned can extend, however little an extension gives.
    assert opens(platform(session_extension="1m").limits, session) == session.end - 15 * MINUTE
    assert opens(platform(session_extensions=0).limits, session) is None
    assert opens(platform().limits, running("ann", extensions=2)) is None


@settings(max_examples=100, deadline=None)
@given(
    random.platforms(), random.people, random.times, random.usages, random.complete,
    st.integers(0, 120), st.integers(0, 2),
    st.builds(
        dict, extensions=st.integers(0, 1), session_extension=random.lengths, session_extensions=st.integers(1, 4),
        session_overtime=random.maybe(random.lengths),
    ),
)  # fmt: skip
def test_an_extension_never_gives_what_the_gate_would_not(
    file: Any, person: Any, now: Any, usage: Any, ask: Any, left: int, waiting: int, limits: Any
) -> None:
    ask["count"] = 0 if ask["accelerator"] == "none" else ask["count"]
    began = min(now, now - ask["time_limit"] + left * MINUTE)
    extensions = limits.pop("extensions")
    try:
        granted = resolve(ask, file, person, Door.SESSION, now=began)
    except Refusal:
        assume(False)
    file = file.model_copy(update={"limits": Limits.model_validate(file.limits.model_dump() | limits)})
    session = Running(granted, began, began + granted.time_limit, extensions)
    try:
        more = extend(session, file, person, now=now, usage=usage, waiting=waiting)
    except Refusal as refusal:
        event(f"refused: {refusal.reason}")
        return
    event("extended")
    assert session.end < more.end <= session.end + file.limits.session_extension
    assert 0 <= more.left < file.limits.session_extensions
    assert not (waiting and granted.accelerator)
    longest = ask | {"time_limit": more.end - began - (file.limits.session_overtime or timedelta())}
    rest = (more.end - now) // MINUTE * MINUTE
    if rest and not file.limits.session_overtime:
        # A new session with these choices and the time that it then has left would be granted, and so would one of its whole
        # length but for what begins or ends meanwhile.
        assert resolve(ask | {"time_limit": rest}, file, person, Door.SESSION, now=now, usage=usage)
    if longest["time_limit"] > timedelta():
        timeless = file.model_copy(update={"reservations": {}, "grants": far(file.grants)})
        assert resolve(longest, timeless, person, Door.SESSION, now=now)


def far(grants: Any) -> dict[str, Any]:
    """The same grants, which end much later."""
    until = datetime.max.replace(year=9000, tzinfo=random.START.tzinfo)
    return {name: grant.model_copy(update={"until": until}) for name, grant in grants.items()}
