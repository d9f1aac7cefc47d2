"""A real Kubernetes cluster with Kueue on one machine, for tests: see ../README.md."""

from .api import Api, ApiError, Deadline, has_condition, is_ready, wait_for
from .cluster import Cluster
from .prerequisites import Missing
from .settings import Settings

__all__ = [
    "Api",
    "ApiError",
    "Cluster",
    "Deadline",
    "Missing",
    "Settings",
    "has_condition",
    "is_ready",
    "wait_for",
]
