"""The hub's configuration, from the platform file and the environment."""

from .hub_config import configure as configure
