"""The form of a large platform, against kubespawner's own form of the same choices."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import DEFAULT, patch

import kubespawner.spawner

from aiinfn_hub.contract.platform import Availability, AvailabilityReading
from aiinfn_hub.platform.gate import offer
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.person import Person
from aiinfn_hub.spawner.form import Opening, render
from aiinfn_hub.spawner.profile_list import profile_list
from bench.figures import Figure, percentile

ACCELERATORS, IMAGES, PROJECTS, ROUNDS = 60, 40, 30, 100
KINDS = ("gpu", "mig", "fpga")


def platform_of(accelerators: int, images: int, projects: int) -> Platform:
    """Make a platform with rules: lists of projects, images for some accelerators only, sizes, times, a reservation."""
    devices = [f"device-{number}" for number in range(accelerators)]
    return Platform.model_validate(
        {
            "accelerators": {
                name: {
                    "title": f"Accelerator number {number}",
                    "kind": KINDS[number % 3],
                    "resource": f"example.org/device-{number}",
                    "memory": f"{8 * (1 + number % 10)}Gi",
                    "description": "Training small models, inference, most notebooks",
                    "devices": 8,
                    "max_per_session": 1 + number % 4,
                    **({"sizes": ["small", "medium"]} if number % 5 == 0 else {}),
                    **({"session_time": f"{4 + number % 7}h"} if number % 4 == 0 else {}),
                }
                for number, name in enumerate(devices)
            },
            "images": {
                f"image-{number}": {
                    "title": f"Environment number {number}",
                    "reference": f"registry.example.org/env:{number}",
                    "description": "JupyterLab, scikit-learn, matplotlib",
                    **({"accelerators": devices[number % 7 :: 7]} if number % 4 == 3 else {}),
                }
                for number in range(images)
            },
            "sizes": {
                name: {"title": name.title(), "cores": 2**place, "memory": f"{8 * 2**place}Gi"}
                for place, name in enumerate(("small", "medium", "large", "huge"))
            },
            "projects": {
                f"project-{number}": {
                    "title": f"Project number {number}",
                    "groups": [f"bench/project-{number}"],
                    **({"accelerators": devices[number % 3 :: 2]} if number % 3 == 1 else {}),
                    **(
                        {"images": [f"image-{each}" for each in range(number % 5, images, 2)]}
                        if number % 4 == 1
                        else {}
                    ),
                    **({"session_time": f"{6 + number % 9}h"} if number % 5 == 2 else {}),
                }
                for number in range(projects)
            },
            "reservations": {
                "week": {
                    "title": "a course",
                    "project": "project-0",
                    "accelerator": devices[0],
                    "count": 2,
                    "from": "2020-01-01",
                    "to": "2999-01-01",
                }
            },
        }
    )


def reading_of(platform: Platform) -> AvailabilityReading:
    """Return figures of every accelerator."""
    entries = [
        Availability(accelerator=name, total=8, free=3, sessions=3, batch=2, offline=0, queued=1)
        for name in platform.accelerators
    ]
    return AvailabilityReading.model_validate(
        {"accelerators": entries, "read_at": "2026-12-01T09:00:00Z", "age": 0.4}
    )


def everybody(platform: Platform) -> Person:
    """Return somebody who is in every project: the most that a form can have to show."""
    return Person.of("ada", [group for project in platform.projects.values() for group in project.groups])


def stock_form(profiles: list[dict[str, Any]]) -> Callable[[], str]:
    """Return kubespawner's own rendering of a profile list."""
    # A form asks no cluster for anything.
    with patch.multiple(kubespawner.spawner, load_config=DEFAULT, shared_client=DEFAULT):
        spawner = kubespawner.spawner.KubeSpawner(_mock=True, profile_list=lambda _: profiles)
    loop = asyncio.new_event_loop()
    return lambda: str(loop.run_until_complete(spawner.get_options_form()))


def timed(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Return the CPU time of some calls, made in turn: what else the machine does plays no part."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(rounds):
        for name, call in calls.items():
            began = time.thread_time()
            call()
            found[name].append(time.thread_time() - began)
    return found


def measure() -> Iterator[Figure]:
    """Draw both forms of the same platform and person again and again, and once ours of others, to see how it grows."""
    platform = platform_of(ACCELERATORS, IMAGES, PROJECTS)
    person, reading = everybody(platform), reading_of(platform)
    opening = Opening(availability_url="/services/vkd/availability?ticket=x", spawn_url="/hub/spawn")

    def ours() -> str:
        return render(offer(platform, person), reading, opening)

    stock = stock_form(profile_list(platform, person, reading))
    seconds = timed({"this form": ours, "kubespawner's form": stock}, ROUNDS)
    size = {"this form": len(ours().encode()), "kubespawner's form": len(stock().encode())}
    what = f"{ACCELERATORS} accelerators x {IMAGES} images x {PROJECTS} projects"
    for name in seconds:
        yield Figure(f"{name}, {what}, CPU p95", percentile(seconds[name], 0.95) * 1000, "ms")
        yield Figure(f"{name}, bytes", size[name] / 1000, "kB")
    time_ratio = percentile(seconds["this form"], 0.95) / percentile(seconds["kubespawner's form"], 0.95)
    yield Figure("ratio of p95", time_ratio, "x", "<= 1", time_ratio <= 1)
    ratio = size["this form"] / size["kubespawner's form"]
    yield Figure("ratio of bytes", ratio, "x", "<= 1", ratio <= 1)
    for shape in ((120, 40, 30), (60, 80, 30), (60, 40, 60)):
        larger = platform_of(*shape)
        page = render(offer(larger, everybody(larger)), reading_of(larger), opening)
        growth = len(page.encode()) / size["this form"]
        yield Figure(f"bytes of {shape[0]} x {shape[1]} x {shape[2]}", growth, "x", "<= 2", growth <= 2)
