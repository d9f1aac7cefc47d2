"""The hub's configuration: everything comes from the platform file and the AIINFN_* environment variables."""

from aiinfn_hub.config.hub_config import configure

configure(get_config())  # type: ignore[name-defined]  # noqa: F821 - JupyterHub puts it here
