"""What a job uses: measured by the real runner, and read from a container's files as the kernel writes them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest

from aiinfn_hub.contract.runner import ResourcePoint, RunnerRecord
from aiinfn_hub.vkd.backends.common.runner_output import Splitter
from aiinfn_lab.runner import accelerator
from aiinfn_lab.runner.protocol import Reporter
from aiinfn_lab.runner.usage import CgroupV1, CgroupV2
from aiinfn_lab.runner.watch import RunWatch
from tests.lab.runner.conftest import Run


def test_a_job_tells_what_it_uses(start: Callable[..., Run], home: Path) -> None:
    code = (
        "import pathlib, time\nheld = bytearray(150 * 2**20)\nheld[::4096] = b'x' * len(held[::4096])\nprint('held')\n"
        "while not pathlib.Path('go').exists(): sum(range(10**5))\n"
    )
    run = start("a.py", code)
    run.until(lambda: run.output.exists() and run.output.read_text() == "held\n")
    # Four points at two seconds' distance, however slow this machine is.
    process = run.process
    records: list[bytes] = []
    while len(records) < 3:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, run.finish()
        if b'"resources"' in line:
            records.append(line)
    (home / "go").touch()
    assert run.finish() == 0
    points = [accelerator_free(line) for line in records]
    assert [point.time for point in points] == sorted(point.time for point in points)
    assert all(point.memory > 150 * 2**20 for point in points[1:])
    assert all(point.cores > 0 for point in points)


def accelerator_free(line: bytes) -> Any:

    point = RunnerRecord.model_validate_json(line[1:]).resources
    assert point is not None
    assert (point.busy, point.accelerator_memory) == (None, None)
    return point


def test_figures_do_not_break_the_lines_that_the_code_prints(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with out.open("wb") as stream:
        reporter = Reporter(stream.fileno())
        reporter.log_bytes(b"one\nhalf a ")
        reporter.resources(ResourcePoint(time=2, cores=1, memory=100))
        reporter.log_bytes(b"line\n")
        reporter.resources(ResourcePoint(time=4, cores=1, memory=100))
    text, records = Splitter().feed(out.read_bytes())
    assert text == b"one\nhalf a line\n"
    assert [record["resources"]["time"] for record in records] == [2, 4]


def test_a_container_is_measured_as_the_kernel_counts_it(tmp_path: Path) -> None:
    write(tmp_path, "cpu.stat", "usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\n")
    write(tmp_path, "memory.current", "1000000\n")
    write(tmp_path, "memory.stat", "anon 600000\nfile 300000\ninactive_file 250000\nactive_file 50000\n")
    write(tmp_path, "memory.events", "low 0\nhigh 0\nmax 7\noom 2\noom_kill 1\noom_group_kill 0\n")
    usage = CgroupV2(tmp_path)
    assert (usage.seconds(), usage.memory(), usage.killed()) == (2.5, 700000, 1)


def test_a_container_of_an_older_node_is_measured_too(tmp_path: Path) -> None:
    write(tmp_path, "cpuacct/cpuacct.usage", "2500000000\n")
    write(tmp_path, "memory/memory.usage_in_bytes", "1000000\n")
    write(
        tmp_path, "memory/memory.stat", "cache 300000\ntotal_inactive_file 250000\ntotal_active_file 50000\n"
    )
    write(tmp_path, "memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n")
    usage = CgroupV1(tmp_path)
    assert (usage.seconds(), usage.memory(), usage.killed()) == (2.5, 700000, 3)


def test_what_cannot_be_read_counts_as_nothing(tmp_path: Path) -> None:
    usage = CgroupV2(tmp_path / "none")
    assert (usage.seconds(), usage.memory(), usage.killed()) == (0, 0, 0)


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


class NvmlError(Exception):
    pass


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """NVML's Python interface with two GPUs and a MIG instance: this machine has none."""
    used = {"GPU-a": 2 * 2**30, "GPU-b": 2**30, "MIG-c": 5 * 2**30}
    busy = {"GPU-a": 90, "GPU-b": 30}

    def rates(handle: Any) -> SimpleNamespace:
        if handle not in busy:
            raise NvmlError("Not Supported")
        return SimpleNamespace(gpu=busy[handle])

    module = ModuleType("pynvml")
    module.__dict__.update(
        NVMLError=NvmlError,
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: 2,
        nvmlDeviceGetHandleByIndex=lambda index: ("GPU-a", "GPU-b")[index],
        nvmlDeviceGetHandleByUUID=lambda name: name,
        nvmlDeviceGetMemoryInfo=lambda handle: SimpleNamespace(used=used[handle]),
        nvmlDeviceGetUtilizationRates=rates,
    )
    monkeypatch.setitem(sys.modules, "pynvml", module)
    for name in ("AIINFN_ACCELERATOR", "AIINFN_DEVICES", "NVIDIA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("environment", "reading"),
    [
        ({"AIINFN_ACCELERATOR": "t4", "AIINFN_DEVICES": "GPU-b"}, (30, 2**30)),
        ({"AIINFN_ACCELERATOR": "t4", "AIINFN_DEVICES": "GPU-a,GPU-b"}, (60, 3 * 2**30)),
        ({"AIINFN_ACCELERATOR": "t4", "NVIDIA_VISIBLE_DEVICES": "all"}, (60, 3 * 2**30)),
        ({"AIINFN_ACCELERATOR": "a100-1g", "NVIDIA_VISIBLE_DEVICES": "MIG-c"}, (None, 5 * 2**30)),
    ],
)
def test_the_granted_accelerators_are_read(
    driver: pytest.MonkeyPatch, environment: dict[str, Any], reading: tuple[Any, ...]
) -> None:
    for name, value in environment.items():
        driver.setenv(name, value)
    assert accelerator.find().read() == reading


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"AIINFN_ACCELERATOR": "none"},
        {"AIINFN_ACCELERATOR": "t4", "AIINFN_DEVICES": "SIM-t4-0"},
    ],
)
def test_of_no_accelerator_and_of_a_simulated_one_nothing_is_read(
    driver: pytest.MonkeyPatch, environment: dict[str, Any]
) -> None:
    for name, value in environment.items():
        driver.setenv(name, value)
    assert accelerator.find() is None


def test_only_what_was_ended_for_want_of_memory_just_now_can_be_this_jobs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from aiinfn_lab.runner import meter as module

    now, kills = [100.0], [7]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    usage = SimpleNamespace(seconds=lambda: 0.0, memory=lambda: 0, killed=lambda: kills[0])
    with module.Meter(Reporter(1), usage=cast("Any", usage)) as meter:
        watch = RunWatch(cast("Any", None), meter)
        for _ in range(40):
            now[0] += 0.5
            meter.look()
        assert watch.why_ended("The kernel", -9) == ("The kernel died", "The kernel was ended by SIGKILL.")
        kills[0] += 1
        assert watch.why_ended("The kernel", -9)[0] == "Out of memory"
        # Another signal is another matter.
        assert watch.why_ended("The kernel", -11)[0] == "The kernel died"
        for _ in range(40):
            now[0] += 0.5
            meter.look()
        assert watch.why_ended("The kernel", -9)[0] == "The kernel died"
