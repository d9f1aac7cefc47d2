"""The hub's own configuration with jupyterhub-idle-culler beside it, as its documentation says, at the pace of a test."""

import os
import sys

from aiinfn_hub.config.hub_config import configure

TIMEOUT = float(os.environ["TEST_CULL_TIMEOUT"])
PACE = min(300, max(1, round(TIMEOUT / 12)))
"""Seconds between two reports of activity; with a timeout of an hour or more JupyterHub's own 300."""

c = get_config()  # type: ignore[name-defined]  # noqa: F821 - JupyterHub puts it here
configure(c)
c.JupyterHub.services += [
    {"name": "probe", "api_token": os.environ["TEST_PROBE_TOKEN"]},
    {
        "name": "idle-culler",
        "command": [
            sys.executable,
            "-m",
            "jupyterhub_idle_culler",
            f"--timeout={TIMEOUT:.0f}",
            f"--cull-every={min(60, PACE)}",
        ],
    },
]
c.JupyterHub.load_roles += [
    {
        "name": "probe",
        "services": ["probe"],
        "scopes": ["admin:users", "admin:servers", "list:users", "read:users", "tokens"],
    },
    {
        "name": "idle-culler",
        "services": ["idle-culler"],
        "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
    },
]
c.JupyterHub.activity_resolution = 1
c.JupyterHub.last_activity_interval = PACE
c.Spawner.environment = {"JUPYTERHUB_ACTIVITY_INTERVAL": str(PACE)}
