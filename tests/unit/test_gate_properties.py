"""What always holds of the gate, for random platforms, people, times and uses.

`allowed` says once more, in the plainest words and from the file alone, what may be granted; it shares nothing with the gate.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import assume, event, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from aiinfn_hub.contract.problem import Refusal
from aiinfn_hub.platform.access.limits import QuotaUse
from aiinfn_hub.platform.gate import JOB_KEYS, offer, resolve
from aiinfn_hub.platform.model.fields import CPU_ONLY
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.person import Person
from aiinfn_hub.platform.selection import Door, Selection
from aiinfn_hub.spawner.profiles import profiles

ACCELERATORS = ["t4", "big", "slice"]
IMAGES = ["base", "torch"]
SIZES = ["s", "m"]
PROJECTS = ["alpha", "beta", "gamma"]
QUEUES = ["any", "own"]
GROUPS = ["g/a", "g/b", "g/c"]
PEOPLE = ["ann", "bob"]
START = datetime(2026, 12, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def some(names: Any, least: int = 0) -> Any:
    return st.lists(st.sampled_from(names), unique=True, min_size=least, max_size=len(names))


def maybe(strategy: Any) -> Any:
    return st.none() | strategy


@st.composite  # type: ignore[arg-type]
def section(draw: Any, required: Any, **optional: Any) -> Any:
    """A section of the file with few of its optional keys, so that often enough something is allowed."""
    keys = draw(st.lists(st.sampled_from(sorted(optional)), unique=True, max_size=2))
    return {key: draw(each) for key, each in required.items()} | {key: draw(optional[key]) for key in keys}


hours = st.integers(0, 60).map(lambda number: START + timedelta(hours=number))
spans = st.tuples(hours, hours).filter(lambda ends: ends[0] < ends[1])
lengths = st.sampled_from(["30m", "2h", "5h", "12h"])


def text(value: Any) -> Any:
    return st.just(value)


accelerators = st.fixed_dictionaries(
    {
        name: section(
            {"title": text(name), "kind": text("gpu"), "resource": text("nvidia.com/gpu"), "devices": text(4)},
            groups=some(GROUPS), sizes=some(SIZES), max_per_session=st.integers(1, 3), max_per_job=st.integers(1, 3),
            max_per_person=st.integers(0, 3), max_per_project=st.integers(0, 4), session_time=lengths,
        )
        for name in ACCELERATORS
    }
)  # fmt: skip
images = st.fixed_dictionaries(
    {
        name: section(
            {"title": text(name), "reference": text("x:1")},
            groups=some(GROUPS), accelerators=some([*ACCELERATORS, CPU_ONLY]),
        )
        for name in IMAGES
    }
)  # fmt: skip
sizes = st.fixed_dictionaries(
    {
        name: section(
            {"title": text(name), "cores": text(1), "memory": text("1Gi")}, groups=some(GROUPS), session_time=lengths
        )
        for name in SIZES
    }
)  # fmt: skip
projects = st.fixed_dictionaries(
    {
        name: section(
            {"title": text(name), "groups": some(GROUPS, 1)},
            managers=some(GROUPS), accelerators=some(ACCELERATORS), sizes=some(SIZES), images=some(IMAGES),
            session_time=lengths, max_accelerators=st.integers(0, 5),
        )
        for name in PROJECTS
    }
)  # fmt: skip
queues = st.fixed_dictionaries(
    {
        name: section(
            {"title": text(name)},
            projects=some(PROJECTS), groups=some(GROUPS), accelerators=some([*ACCELERATORS, CPU_ONLY]), max_time=lengths,
        )
        for name in QUEUES
    }
)  # fmt: skip
reservations = st.lists(
    st.builds(
        lambda project, accelerator, count, span, batch: {
            "title": "R", "project": project, "accelerator": accelerator, "from": span[0], "to": span[1], "batch": batch,
            **({"count": count} if count else {}),
        },
        st.sampled_from(PROJECTS), st.sampled_from(ACCELERATORS), maybe(st.integers(1, 4)), spans, st.booleans(),
    ),
    max_size=3,
).map(lambda found: {f"r{number}": each for number, each in enumerate(found)})  # fmt: skip
grants = st.lists(
    st.builds(
        lambda project, groups, people, devices, span: {
            "project": project, "groups": groups, "people": people, "from": span[0], "until": span[1],
            **({} if devices is None else {"accelerators": devices}),
        },
        st.sampled_from(PROJECTS), some(GROUPS), some(PEOPLE, 1), maybe(some(ACCELERATORS)), spans,
    ),
    max_size=3,
).map(lambda found: {f"g{number}": each for number, each in enumerate(found)})  # fmt: skip
files = st.fixed_dictionaries(
    {
        "accelerators": accelerators, "images": images, "sizes": sizes, "projects": projects, "queues": queues,
        "reservations": reservations, "grants": grants,
        "limits": section({}, accelerators_per_person=st.integers(0, 5), accelerators_per_project=st.integers(0, 5)),
    }
)  # fmt: skip
people = st.builds(
    Person.of, st.sampled_from(PEOPLE), st.lists(st.sampled_from(GROUPS), unique=True, min_size=1)
)
times = st.integers(0, 61 * 60).map(lambda number: START + timedelta(minutes=number))
held = st.dictionaries(st.sampled_from(ACCELERATORS), st.integers(0, 4), max_size=3)
usages = maybe(st.builds(QuotaUse, held, st.dictionaries(st.sampled_from(PROJECTS), held, max_size=3)))
doors = st.sampled_from(Door)


@st.composite
def platforms(draw: Any) -> Platform:
    try:
        return Platform.model_validate(draw(files))
    except ValidationError:  # more is reserved than there is, and the like
        assume(False)


def holding(platform: Any, project: Any, person: Person, now: Any) -> list[Any]:
    """The grants of a person in a project that hold for another minute."""
    member = in_project(platform.projects[project], person)
    return [
        grant
        for grant in platform.grants.values()
        if grant.project == project
        and (grant.begin is None or grant.begin <= now)
        and now + MINUTE <= grant.until
        and (person.name in grant.people or person.groups & {*grant.groups} or (not grant.people and not grant.groups and member))
    ]  # fmt: skip


def in_project(project: Any, person: Person) -> bool:
    return bool(person.groups & {*project.groups, *project.managers})


def listed(allowed: Any, name: str) -> Any:
    return allowed is None or name in allowed


def for_groups(thing: Any, person: Person) -> Any:
    return thing.groups is None or bool(person.groups & {*thing.groups})


def kept_for_others(platform: Any, project: Any, accelerator: str, at: Any, door: Any) -> int:
    found = [
        each
        for each in platform.reservations.values()
        if each.accelerator == accelerator and each.project != project and each.begin <= at < each.end
        and (door is Door.SESSION or not each.batch)
    ]  # fmt: skip
    return sum(
        platform.accelerators[accelerator].devices if each.count is None else each.count for each in found
    )


def allowed(platform: Any, person: Person, door: Any, now: Any, usage: Any, ask: dict[str, Any]) -> Any:  # noqa: C901, PLR0912
    """Say whether a complete request may be granted, from the file alone; of ``usage`` only the limits at once."""
    project, accelerator, count = platform.projects[ask["project"]], ask["accelerator"], ask["count"]
    size, image, time = platform.sizes[ask["size"]], platform.images[ask["image"]], ask["time_limit"]
    member, mine = in_project(project, person), holding(platform, ask["project"], person, now)
    if not member and not mine:
        return False
    longest = [timedelta(hours=24), *filter(None, [size.session_time, project.session_time])]
    needs = []
    if accelerator == CPU_ONLY:
        if count:
            return False
        if not member:
            needs = mine
    else:
        device = platform.accelerators[accelerator]
        plainly = listed(project.accelerators, accelerator) and for_groups(device, person)
        if not (member and plainly):
            needs = [
                g for g in mine if (plainly if g.accelerators is None else accelerator in g.accelerators)
            ]
            if not needs:
                return False
        if not listed(device.sizes, ask["size"]):
            return False
        if device.session_time:
            longest.append(device.session_time)
        if not 1 <= count <= (device.max_per_session if door is Door.SESSION else device.max_per_job):
            return False
        if door is Door.SESSION:
            at_once = [
                (device.max_per_person, sum_of(usage and usage.person, accelerator)),
                (platform.limits.accelerators_per_person, sum_of(usage and usage.person)),
                (device.max_per_project, sum_of(usage and usage.projects.get(ask["project"]), accelerator)),
                (project.max_accelerators, sum_of(usage and usage.projects.get(ask["project"]))),
                (
                    platform.limits.accelerators_per_project,
                    sum_of(usage and usage.projects.get(ask["project"])),
                ),
            ]
            if any(most is not None and used + count > most for most, used in at_once):
                return False
        during = [now, now + MINUTE]
        if door is Door.SESSION:
            during += [each.begin for each in platform.reservations.values() if now < each.begin < now + time]
        for at in during:
            others = kept_for_others(platform, ask["project"], accelerator, at, door)
            if others and count > device.devices - others:
                return False
    if needs and door is Door.SESSION and now + time > max(grant.until for grant in needs):
        return False
    if not listed(project.sizes, ask["size"]) or not for_groups(size, person):
        return False
    if (
        not listed(project.images, ask["image"])
        or not for_groups(image, person)
        or not listed(image.accelerators, accelerator)
    ):
        return False
    if door is Door.SESSION:
        return time <= min(longest)
    queue = platform.queues[ask["queue"]]
    return (
        listed(queue.projects, ask["project"]) and for_groups(queue, person) and listed(queue.accelerators, accelerator)
        and time <= (queue.max_time or platform.limits.job_max)
    )  # fmt: skip


def sum_of(used: Any, accelerator: str | None = None) -> Any:
    used = used or {}
    return used.get(accelerator, 0) if accelerator else sum(used.values())


def answer(ask: dict[str, Any], platform: Any, person: Person, door: Any, now: Any, usage: Any) -> Any:
    """The gate's Selection, or None for a Refusal; anything else fails the test."""
    try:
        granted = resolve(ask, platform, person, door, now=now, usage=usage)
    except Refusal:
        return None
    assert isinstance(granted, Selection)
    return granted


complete = st.fixed_dictionaries(
    {
        "project": st.sampled_from(PROJECTS), "accelerator": st.sampled_from([CPU_ONLY, *ACCELERATORS]),
        "count": st.integers(0, 3), "size": st.sampled_from(SIZES), "image": st.sampled_from(IMAGES),
        "time_limit": st.integers(1, 24 * 60).map(lambda number: timedelta(minutes=number)),
    }
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(platforms(), people, doors, times, maybe(st.builds(QuotaUse, held)), complete, st.sampled_from(QUEUES))
def test_the_gate_grants_exactly_what_the_file_allows(
    platform: Any, person: Any, door: Any, now: Any, usage: Any, ask: Any, queue: Any
) -> None:
    if door is Door.JOB:
        ask = ask | {"queue": queue}
    if ask["accelerator"] == CPU_ONLY:
        ask = ask | {"count": 0}
    granted = answer(ask, platform, person, door, now, usage)
    event("granted" if granted else "refused")
    assert bool(granted) == allowed(platform, person, door, now, usage, ask)
    if granted is None:
        return
    assert granted.person == person.name
    assert (granted.project, granted.accelerator_name, granted.count) == (
        ask["project"],
        ask["accelerator"],
        ask["count"],
    )
    assert (granted.size_name, granted.image_name, granted.time_limit) == (
        ask["size"],
        ask["image"],
        ask["time_limit"],
    )
    if door is Door.SESSION:  # and it is on a card
        cards = {card.name: card for card in profiles(platform, person, None, now=now, usage=usage)}
        card = cards[granted.accelerator_name]
        assert granted.image_name in card.projects[granted.project]
        assert granted.size_name in card.sizes[granted.project]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from([*ACCELERATORS, *IMAGES, *SIZES, *PROJECTS, *QUEUES, "none", "1h", "1", "0"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip
requests = st.dictionaries(st.sampled_from(sorted(JOB_KEYS)) | st.text(max_size=5), anything, max_size=7)


@settings(max_examples=150, deadline=None)
@given(platforms(), people, doors, times, usages, requests | anything)
def test_the_gate_is_total_and_grants_nothing_that_is_not_allowed(
    platform: Any, person: Any, door: Any, now: Any, usage: Any, request_: Any
) -> None:
    granted = answer(request_, platform, person, door, now, usage)
    event("granted" if granted else "refused")
    if granted is None:
        return
    ask = {
        "project": granted.project, "accelerator": granted.accelerator_name, "count": granted.count, "size": granted.size_name,
        "image": granted.image_name, "time_limit": granted.time_limit, "queue": granted.queue_name,
    }  # fmt: skip
    assert allowed(platform, person, door, now, usage, ask)
    assert Selection.model_validate_json(granted.model_dump_json()) == granted


@settings(max_examples=80, deadline=None)
@given(platforms(), people, times, usages, st.data())
def test_no_profile_list_offers_what_the_gate_refuses(
    platform: Any, person: Any, now: Any, usage: Any, data: st.DataObject
) -> None:
    cards = profiles(platform, person, None, now=now, usage=usage)
    assume(cards)
    card = data.draw(st.sampled_from(cards))
    project = data.draw(st.sampled_from([*card.projects]))
    size = data.draw(st.sampled_from(card.sizes[project]))
    ask = {
        "accelerator": card.name,
        "project": project,
        "size": size,
        "image": data.draw(st.sampled_from(card.projects[project])),
        "count": data.draw(st.integers(1, card.most)) if card.name != CPU_ONLY else 0,
    }
    times = card.times_of(project, size)
    assert times
    asked = data.draw(st.sampled_from([*times, None]))
    granted = resolve(ask | {"time_limit": asked}, platform, person, Door.SESSION, now=now, usage=usage)
    assert granted.time_limit == asked or asked is None
    assert card.usual in card.times
    assert granted.count <= card.most


@settings(max_examples=80, deadline=None)
@given(platforms(), people, doors, times, usages, st.data())
def test_every_thing_is_offered_or_has_one_reason(
    platform: Any, person: Any, door: Any, now: Any, usage: Any, data: st.DataObject
) -> None:
    may = offer(platform, person, now=now, usage=usage, door=door)
    kind, names = data.draw(
        st.sampled_from(
            [("accelerators", ACCELERATORS), ("sizes", SIZES), ("images", IMAGES), ("queues", QUEUES)]
        )
    )
    name = data.draw(st.sampled_from(names))
    denial = may.why_not_anywhere(kind, name)
    if not may.projects:
        assert denial is None
        return
    assert (name in getattr(may, kind)) == (denial is None)
    if denial is None:
        return
    assert denial.sentence.endswith(".")
    key = {"accelerators": "accelerator", "sizes": "size", "images": "image", "queues": "queue"}[kind]
    if key == "queue" and door is Door.SESSION:
        return
    assert answer({key: name}, platform, person, door, now, usage) is None
