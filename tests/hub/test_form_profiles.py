"""What the form shows and what the gate grants are the same."""

import html
import itertools
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiinfn_hub.contract.platform import Availability, AvailabilityReading
from aiinfn_hub.contract.problem import Refusal
from aiinfn_hub.contract.units import format_duration
from aiinfn_hub.platform import gate
from aiinfn_hub.platform.access.denials import Denial, Rule
from aiinfn_hub.platform.access.limits import QuotaUse
from aiinfn_hub.platform.loading import loader
from aiinfn_hub.platform.model.fields import CPU_ONLY
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.person import Person
from aiinfn_hub.platform.selection import Door
from aiinfn_hub.spawner import form
from aiinfn_hub.spawner.profiles import outlook, profiles
from aiinfn_hub.spawner.unavailable import remedy
from bench.form import everybody, platform_of, reading_of
from tests.hub.realhub import PEOPLE, PLATFORM, ROOT


@pytest.fixture(scope="module", params=["the demo's platform", "a platform with more exceptions"])
def platform(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Platform:
    if request.param == "the demo's platform":
        return loader.load(ROOT / "platform.yaml")
    path = tmp_path_factory.mktemp("platform") / "platform.yaml"
    path.write_text(PLATFORM % {"session_start": "30s", "root": ROOT})
    return loader.load(path)


EVERYBODY = [Person.of(name, groups) for name, groups in PEOPLE.items()] + [
    Person.of("meg", ["ai-infn/medphys/managers"]),
    Person.of("ian", ["other/flavour", "flavour", "ai-infn"]),
]


@pytest.mark.parametrize("person", EVERYBODY, ids=lambda person: person.name)
def test_everything_that_is_shown_is_granted(platform: Platform, person: Person) -> None:
    for card in profiles(platform, person, None):
        for project, images in card.projects.items():
            for image, size in itertools.product(images, card.sizes[project]):
                time = card.times_of(project, size)[-1]
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
def test_a_profile_that_is_hidden_cannot_be_started(platform: Platform, person: Person) -> None:
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
def test_whatever_is_asked_for_only_what_is_shown_is_granted(request: dict[str, Any], person: Any) -> None:
    platform = loader.load(ROOT / "platform.yaml")
    shown = {card.name: card for card in profiles(platform, person, None)}
    try:
        selection = gate.resolve(request, platform, person, Door.SESSION)
    except Refusal:
        return
    card = shown[selection.accelerator_name]
    assert selection.image_name in card.projects[selection.project]
    assert selection.count <= max(card.most, 0)


def test_somebody_without_a_project_is_shown_nothing(platform: Platform) -> None:
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
        (
            {"free": 0, "sessions": 1, "others": 1, "end": True},
            1,
            "wait",
            "All are in use, 1 of them by something else in the cluster. Yours waits up to 5 minutes.",
        ),
        (
            {"free": 1, "others": 1},
            2,
            "wait",
            "Of them 1 can be had, and something else in the cluster holds 1.",
        ),
        ({"free": 0, "sessions": 2, "end": True}, 1, "wait", "the first ends at {time} at the latest"),
        ({"free": 0, "sessions": 2, "waiting": 2}, 1, "line", "2 sessions are already in line."),
        ({"free": 0, "offline": 2}, 1, "none", "None of them is in operation now."),
        ({"free": 1, "offline": 1}, 2, "few", "Only 1 of them in operation now."),
    ],
)
def test_the_sentence_says_what_happens_if_it_is_chosen(
    figures: dict[str, Any], count: int, key: str, words: str
) -> None:
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


def availability(
    *,
    free: int = 0,
    batch: int = 0,
    sessions: int = 0,
    others: int = 0,
    offline: int = 0,
    waiting: int = 0,
    end: bool = False,
) -> Availability:
    return Availability(
        accelerator="t4",
        total=free + batch + sessions + others + offline,
        free=free,
        batch=batch,
        sessions=sessions,
        others=others,
        offline=offline,
        queued=0,
        waiting_sessions=waiting,
        next_session_end=datetime(2030, 1, 1, 18, 40, tzinfo=UTC) if end else None,
    )


def test_names_from_iam_and_from_the_platform_file_cannot_become_markup(tmp_path: Path) -> None:
    path = tmp_path / "platform.yaml"
    path.write_text(
        (PLATFORM % {"session_start": "30s", "root": ROOT}).replace(
            "NVIDIA T4", "'<script>alert(1)</script> {{ 7*7 }}'"
        )
    )
    platform = loader.load(path)
    page = drawn(platform, Person.of("ada", ["ai-infn/flavour"]), {"size": "<img src=x>"}, url="/u?a=1&b=2")
    assert "<script>alert" not in page
    assert "\\u003cscript\\u003ealert" in page, "in the script's data too"
    assert "{{ 7*7 }}" in page
    assert "<img" not in page
    page = drawn(platform, Person.of("<b>nora", ["<i>x"]))
    assert "<b>nora" not in page
    assert "<i>x" not in page


def test_whatever_was_chosen_before_draws_a_form() -> None:
    platform = loader.load(ROOT / "platform.yaml")
    person = Person.of("ben", PEOPLE["ben"])
    reading = AvailabilityReading(accelerators=[availability(free=2)], read_at=datetime.now(UTC), age=0.4)
    for odd in (None, [], {"a": 1}, 10**400, float("nan"), True, "\x00", "x" * 100_000, "8h", "480m", -1):  # type: ignore[var-annotated]
        previous = dict.fromkeys(form.fields(), odd)
        for linked in (False, True):
            page = drawn(platform, person, previous, reading=reading, linked=linked)
            assert len(page) < 80_000
    assert '<option value="8h" selected>' in drawn(platform, person, {"time_limit": "480m"}, reading=reading)


def drawn(
    platform: Platform,
    person: Person,
    choice: dict[str, Any] | None = None,
    *,
    reading: AvailabilityReading | None = None,
    refusal: Any = None,
    linked: bool = False,
    url: str = "",
    usage: QuotaUse | None = None,
) -> str:
    opening = form.Opening(
        choice or {}, linked=linked, refusal=refusal, availability_url=url, spawn_url="/hub/spawn"
    )
    return form.render(gate.offer(platform, person, usage=usage), reading, opening)


def words(page: str) -> str:
    """Give what people read of a form."""
    text = re.sub(r"<(style|script).*?</\1>", " ", page, flags=re.DOTALL)
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", text)))


ADA = Person.of("ada", PEOPLE["ada"])
BEN = Person.of("ben", PEOPLE["ben"])


@pytest.fixture(scope="module")
def exceptions(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    path = tmp_path_factory.mktemp("platform") / "platform.yaml"
    path.write_text(
        PLATFORM % {"session_start": "30s", "root": ROOT} + "presets:\n"
        "  fpga: {title: Compile, description: For the board, accelerator: v70, image: fpga-tools, size: large}\n"
        "  course: {title: Course, accelerator: slice, time_limit: 2h}\n"
        "  two: {title: Two GPUs, accelerator: t4, count: 2}\n"
        "support: help@example.org\n"
    )
    return loader.load(path)


def test_a_last_choice_that_is_gone_is_said_kindly(exceptions: Platform) -> None:
    page = drawn(
        exceptions, ADA, {"accelerator": "gone", "size": "small", "image": "old", "time_limit": "7d"}
    )
    said = words(page)
    for choice in ("gone", "old", "7d"):
        assert f"Your last choice “{choice}” is not offered any more; the usual one is selected." in said
    assert "“small”" not in said
    assert page.count('class="af-notice"') == 3
    assert 'id="accelerator-none" aria-labelledby="title-none" aria-describedby="about-none" checked' in page


def test_a_link_fills_in_what_is_there_and_says_why_not_the_rest(exceptions: Platform) -> None:
    good = drawn(exceptions, ADA, {"accelerator": "t4", "count": "2", "size": "small"}, linked=True)
    assert "it is filled in, and nothing is started yet" in words(good)
    assert (
        'value="t4" id="accelerator-t4" aria-labelledby="title-t4" aria-describedby="about-t4" checked'
        in good
    )
    assert '<option value="2" selected>' in good
    bad = words(drawn(exceptions, ADA, {"accelerator": "v70", "image": "nonsense"}, linked=True))
    assert "a choice that you cannot have as it is" in bad
    assert "may not use AMD Alveo V70. The link asks for it; the usual one is selected." in bad
    assert "The link asks for “nonsense”, which is not offered to you; the usual one is selected." in bad
    pair = words(drawn(exceptions, BEN, {"accelerator": "slice", "image": "fpga-tools"}, linked=True))
    assert "The image FPGA tools is not made for A100 slice 1g.5gb. The link asks for it." in pair


def test_what_is_not_offered_is_told_with_the_reason_and_what_to_do(exceptions: Platform) -> None:
    told = words(drawn(exceptions, ADA)).partition("What you cannot use here, and why")[2]
    assert (
        "AMD Alveo V70 The project Flavour physics may not use AMD Alveo V70. "
        "Who can change that: help@example.org." in told
    )
    assert "FPGA tools The image FPGA tools is made for AMD Alveo V70, which you cannot use." in told
    assert "Large The size “large” is not available for this project (Flavour physics)." in told
    assert "Medical physics" not in told, "what projects others have is nobody's business"
    assert "What you cannot use" not in words(drawn(exceptions, BEN))
    holds = QuotaUse({"v70": 1}, {"medphys": {"v70": 1}})
    told = words(drawn(exceptions, BEN, usage=holds))
    assert "Your sessions hold 1 AMD Alveo V70 already, of at most 1 at once." in told
    assert "Stop a session of yours that has one." in told


def test_every_denial_that_a_form_can_meet_says_what_to_do(exceptions: Platform) -> None:
    may = gate.offer(exceptions, ADA)
    assert all(remedy(Denial(rule, {}), may).endswith(".") for rule in Rule)


def test_presets_are_offered_to_who_may_use_them_and_are_links(exceptions: Platform) -> None:
    of_ada, of_ben = drawn(exceptions, ADA), drawn(exceptions, BEN)
    titles = re.compile(r'class="af-preset" href="([^"]*)"[^>]*>([^<]*)<')
    assert [title for _, title in titles.findall(of_ada)] == ["Course", "Two GPUs"]
    found = {title: html.unescape(href) for href, title in titles.findall(of_ben)}
    assert list(found) == ["Compile", "Course", "Two GPUs"]
    assert dict(parse_qsl(found["Compile"][1:])) == {
        "opt-accelerator": "v70",
        "opt-project": "medphys",
        "opt-image": "fpga-tools",
        "opt-size": "large",
        "opt-time_limit": "8h",
    }
    for href in found.values():
        choice = {key.removeprefix("opt-"): value for key, value in parse_qsl(href[1:])}
        assert gate.resolve(choice, exceptions, BEN, Door.SESSION)
        assert 'class="af-notice"' not in drawn(exceptions, BEN, choice, linked=True)


def test_a_large_form_grows_with_what_there_is_and_not_with_the_product() -> None:
    def size(*shape: Any) -> int:
        platform = platform_of(*shape)
        return len(drawn(platform, everybody(platform), reading=reading_of(platform)))

    base = size(10, 10, 10)
    rest = [size(*shape) - base for shape in ((40, 10, 10), (10, 40, 10), (10, 10, 40))]
    assert size(40, 40, 40) - base < 1.5 * sum(rest)
