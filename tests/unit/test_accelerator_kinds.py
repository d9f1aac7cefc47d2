"""Every kind of accelerator in the table can be shown, sent, found and made visible."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from aiinfn_hub.contract.platform import AcceleratorChoice, AvailabilityReading
from aiinfn_hub.i18n import language
from aiinfn_hub.platform import gate
from aiinfn_hub.platform.loading.loader import load
from aiinfn_hub.platform.model.accelerator_kinds import AcceleratorKind, visible_devices
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.person import Person
from aiinfn_hub.spawner import profiles
from aiinfn_hub.vkd.backends.local.devices import RealDevice, assign
from aiinfn_hub.vkd.backends.local.environment import device_environment
from aiinfn_hub.vkd.presentation import job_view

PLATFORM = """
title: Kinds
accelerators:
ACCELERATORS
images: {standard: {title: Standard, reference: "registry.example.org/lab:1"}}
sizes: {s: {title: S, cores: 1, memory: 1Gi}}
projects: {p: {title: P, groups: [p]}}
queues: {q: {title: Q, priority: 1}}
"""
KINDS = list(AcceleratorKind)
READING = AvailabilityReading(accelerators=[], read_at=datetime(2026, 11, 1, tzinfo=UTC), age=0)


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    # The last kind goes first, so that the order of the form is not the file's.
    lines = [
        f"  dev-{kind.value}: {{title: Device, kind: {kind.value}, resource: example.org/{kind.value}, product: P-{kind.value}}}"
        for kind in reversed(KINDS)
    ]
    path = tmp_path_factory.mktemp("kinds") / "platform.yaml"
    path.write_text(PLATFORM.replace("ACCELERATORS", "\n".join(lines)))
    return load(path)


@pytest.fixture(scope="module")
def may(platform: Platform) -> Any:
    return gate.offer(platform, Person.of("ada", ["p"]))


def test_the_form_has_a_group_for_each_in_the_order_of_the_table(may: Any) -> None:
    groups = [card.group for card in profiles.cards_of(may, None)]
    assert groups == ["cpu", *KINDS]
    assert [profiles.group_title(group) for group in groups] == ["CPU", *(kind.heading for kind in KINDS)]


def test_each_is_sent_with_its_title_in_the_readers_language(may: Any) -> None:
    with language.speaking("it"):
        view = job_view.platform(may, READING, {})
    titles = {choice.kind: choice.kind_title for choice in view.accelerators}
    assert list(titles) == [kind.value for kind in reversed(KINDS)]
    assert titles["mig"] == "Slice MIG"
    assert all(titles.values())


def test_a_client_takes_a_kind_that_it_does_not_know() -> None:
    choice = AcceleratorChoice.model_validate(
        {
            **dict.fromkeys(("name", "title", "kind"), "newer"),
            **dict.fromkeys(("max_per_session", "max_per_job"), 1),
            "projects": [],
            "images": [],
            "memory": None,
            "simulated": False,
            "availability": {"accelerator": "newer"}
            | dict.fromkeys(("total", "free", "sessions", "batch", "queued"), 0),
        }
    )
    assert choice.kind == "newer"


@pytest.mark.parametrize("kind", KINDS)
def test_a_process_sees_its_own_devices_and_those_of_no_other_kind(
    platform: Platform, kind: AcceleratorKind
) -> None:
    environment = device_environment(platform.accelerators[f"dev-{kind.value}"], ["a", "b"])
    assert environment.pop("AIINFN_DEVICES") == "a,b"
    assert environment.keys() == visible_devices(None, ()).keys()
    assert {name for name, value in environment.items() if value} == set(kind.visible_by)
    assert all(value in {"", "a,b"} for value in environment.values())


def test_a_process_without_a_device_sees_none() -> None:
    assert visible_devices(None, ())["CUDA_VISIBLE_DEVICES"] == ""
    assert not any(visible_devices(None, ()).values())


def test_what_nvml_finds_goes_to_kinds_that_it_can_find(platform: Platform) -> None:
    found = [RealDevice(f"id-{kind.value}", f"P-{kind.value}") for kind in KINDS]
    assert set(assign(platform, found)) == {f"dev-{kind.value}" for kind in KINDS if kind.found_by_nvml}
