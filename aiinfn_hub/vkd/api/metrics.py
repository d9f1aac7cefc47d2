"""Figures for Prometheus: sums only, nothing about a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Gauge, Histogram, ProcessCollector, generate_latest

from aiinfn_hub.contract.platform import AvailabilityReading
from aiinfn_hub.contract.states import JobState
from aiinfn_hub.vkd.domain.backend import QueueLength

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})


class Metrics:
    """The figures of one vkd."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._jobs = Gauge("vkd_jobs", "Jobs by state", ["state"], registry=self.registry)
        self._devices = Gauge(
            "vkd_devices",
            "Devices by accelerator and holder",
            ["accelerator", "holder"],
            registry=self.registry,
        )
        self._queues = Gauge("vkd_queue_jobs", "Jobs by queue", ["queue", "what"], registry=self.registry)
        self._file = Gauge(
            "vkd_platform_file_in_force",
            "1 if the platform file as it is now is in force, 0 if the last good one is",
            registry=self.registry,
        )
        self._requests = Histogram(
            "vkd_request_seconds",
            "Time to answer a request; of a followed log, its whole length",
            ["method", "route", "status"],
            buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
            registry=self.registry,
        )

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request. Routes and methods are those that exist, so that nobody can fill the memory with labels."""
        self._requests.labels(method if method in _METHODS else "other", route, f"{status // 100}xx").observe(
            seconds
        )

    def expose(
        self,
        states: Mapping[JobState, int],
        reading: AvailabilityReading,
        queues: Mapping[str, QueueLength],
        *,
        file_in_force: bool,
    ) -> bytes:
        """Write all figures in Prometheus' text format."""
        self._file.set(file_in_force)
        for state, number in states.items():
            self._jobs.labels(state.value).set(number)
        for entry in reading.accelerators:
            for holder in ("free", "sessions", "batch", "others", "offline"):
                self._devices.labels(entry.accelerator, holder).set(getattr(entry, holder))
        for name, length in queues.items():
            self._queues.labels(name, "waiting").set(length.waiting)
            self._queues.labels(name, "running").set(length.running)
        return generate_latest(self.registry)
