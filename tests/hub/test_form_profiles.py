"""What the form shows and what the gate grants are the same."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiinfn_hub.platform import gate, loader
from aiinfn_hub.platform.model import CPU_ONLY, Platform
from aiinfn_hub.platform.person import Person
from aiinfn_hub.platform.refusal import Refusal
from aiinfn_hub.platform.selection import Door
from aiinfn_hub.platform.units import format_duration
from aiinfn_hub.spawner import form
from aiinfn_hub.spawner.profiles import outlook, profiles
from aiinfn_hub.vkd.contract import Availability, AvailabilityReading
from tests.hub.realhub import PEOPLE, PLATFORM, ROOT


@pytest.fixture(scope="module", params=["the demo's platform", "a platform with more exceptions"])
def platform(request, tmp_path_factory) -> Platform:
    if request.param == "the demo's platform":
        return loader.load(ROOT / "platform.yaml")
    path = tmp_path_factory.mktemp("platform") / "platform.yaml"
    path.write_text(PLATFORM % {"session_start": "30s"})
    return loader.load(path)


EVERYBODY = [Person.of(name, groups) for name, groups in PEOPLE.items()] + [
    Person.of("meg", ["ai-infn/medphys/managers"]),
    Person.of("ian", ["other/flavour", "flavour", "ai-infn"]),
]


@pytest.mark.parametrize("person", EVERYBODY, ids=lambda person: person.name)
def test_everything_that_is_shown_is_granted(platform, person):
    may = gate.offer(platform, person)
    for card in profiles(platform, person, None):
        for project, images in card.projects.items():
            for image, size, time in itertools.product(images, may.sizes_of(project), card.times):
                for count in range(1, card.most + 1) or [0]:
                    request = {
                        "accelerator": card.name,
                        "project": project,
                        "image": image,
                        "size": size,
                        "time_limit": format_duration(time),
                        "count": str(count),
                    }
                    assert gate.resolve(request, platform, person, Door.SESSION).accelerator_name == card.name


@pytest.mark.parametrize("person", EVERYBODY, ids=lambda person: person.name)
def test_a_profile_that_is_hidden_cannot_be_started(platform, person):
    shown = {card.name: card for card in profiles(platform, person, None)}
    for accelerator in (CPU_ONLY, *platform.accelerators):
        for project, image, size in itertools.product(
            (None, *platform.projects), (None, *platform.images), (None, *platform.sizes)
        ):
            request = {"accelerator": accelerator, "project": project, "image": image, "size": size}
            try:
                selection = gate.resolve(request, platform, person, Door.SESSION)
            except Refusal:
                continue
            assert selection.image_name in shown[accelerator].projects[selection.project]


names = st.sampled_from(
    ["none", "t4", "slice", "a100-1g.5gb", "v70", "flavour", "medphys", "small", "large", "standard", "", "x"]
)
requests = st.dictionaries(
    st.sampled_from(["accelerator", "project", "image", "size", "count", "time_limit"]),
    names | st.integers(-3, 9) | st.none() | st.text(max_size=5),
)


@given(request=requests, person=st.sampled_from(EVERYBODY))
def test_whatever_is_asked_for_only_what_is_shown_is_granted(request, person):
    platform = loader.load(ROOT / "platform.yaml")
    shown = {card.name: card for card in profiles(platform, person, None)}
    try:
        selection = gate.resolve(request, platform, person, Door.SESSION)
    except Refusal:
        return
    card = shown[selection.accelerator_name]
    assert selection.image_name in card.projects[selection.project]
    assert selection.count <= max(card.most, 0)


def test_somebody_without_a_project_is_shown_nothing(platform):
    assert profiles(platform, Person.of("nora", []), None) == []


@pytest.mark.parametrize(
    ("figures", "count", "key", "words"),
    [
        ({"free": 2}, 1, "now", "Starts now on a free NVIDIA T4."),
        ({"free": 2}, 2, "now", "Starts now on 2 free NVIDIA T4."),
        ({"free": 0, "batch": 1, "sessions": 1}, 1, "room", "A batch job will make room: about 10 s."),
        ({"free": 0, "batch": 2}, 2, "room", "2 batch jobs will make room: about 10 s."),
        ({"free": 0, "sessions": 2}, 1, "wait", "All are in use by sessions. Yours waits up to 5 minutes."),
        (
            {"free": 1, "sessions": 1},
            2,
            "wait",
            "Sessions leave only 1 of them. Yours waits up to 5 minutes.",
        ),
        ({"free": 0, "sessions": 2, "end": True}, 1, "wait", "the first ends at {time} at the latest"),
        ({"free": 0, "sessions": 2, "waiting": 2}, 1, "line", "2 sessions are already in line."),
        ({"free": 0, "offline": 2}, 1, "none", "None of them is in operation now."),
        ({"free": 1, "offline": 1}, 2, "few", "Only 1 of them in operation now."),
    ],
)
def test_the_sentence_says_what_happens_if_it_is_chosen(figures, count, key, words):
    platform = loader.load(ROOT / "platform.yaml")
    said = outlook(
        platform.accelerators["t4"],
        availability(**figures),
        count,
        timedelta(seconds=10),
        timedelta(minutes=5),
    )
    assert said.key == key
    assert words in said.sentence


def availability(*, free=0, batch=0, sessions=0, offline=0, waiting=0, end=False) -> Availability:
    return Availability(
        accelerator="t4",
        total=free + batch + sessions + offline,
        free=free,
        batch=batch,
        sessions=sessions,
        offline=offline,
        queued=0,
        waiting_sessions=waiting,
        next_session_end=datetime(2030, 1, 1, 18, 40, tzinfo=UTC) if end else None,
    )


def test_names_from_iam_and_from_the_platform_file_cannot_become_markup(tmp_path):
    path = tmp_path / "platform.yaml"
    path.write_text(
        (PLATFORM % {"session_start": "30s"}).replace("NVIDIA T4", "'<script>alert(1)</script> {{ 7*7 }}'")
    )
    platform = loader.load(path)
    page = form.render(
        platform, Person.of("ada", ["ai-infn/flavour"]), None, {"size": "<img src=x>"}, None, "/u?a=1&b=2"
    )
    assert "<script>alert" not in page
    assert "\\u003cscript\\u003ealert" in page, "in the script's data too"
    assert "{{ 7*7 }}" in page
    assert "<img" not in page
    page = form.render(platform, Person.of("<b>nora", ["<i>x"]), None, {}, None, "")
    assert "<b>nora" not in page
    assert "<i>x" not in page


def test_whatever_was_chosen_before_draws_a_form():
    platform = loader.load(ROOT / "platform.yaml")
    person = Person.of("ben", PEOPLE["ben"])
    reading = AvailabilityReading(accelerators=[availability(free=2)], read_at=datetime.now(UTC), age=0.4)
    for odd in (None, [], {"a": 1}, 10**400, float("nan"), True, "\x00", "x" * 100_000, "8h", "480m", -1):
        previous = dict.fromkeys(form.FIELDS, odd)
        page = form.render(platform, person, reading, previous, None, "")
        assert len(page) < 60_000
    assert '<option value="8h" selected>' in form.render(
        platform, person, reading, {"time_limit": "480m"}, None, ""
    )
