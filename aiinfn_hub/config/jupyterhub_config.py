"""The hub's configuration file for an installed package; what it says is in `aiinfn_hub.config`."""

from aiinfn_hub.config.hub_config import configure

configure(get_config())  # type: ignore[name-defined]  # noqa: F821 - JupyterHub puts it here
