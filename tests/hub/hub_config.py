"""The hub's own configuration, plus a service with which tests look into it and short waits between refreshes."""

import os

from aiinfn_hub.config.hub_config import configure

c = get_config()  # type: ignore[name-defined]  # noqa: F821 - JupyterHub puts it here
configure(c)
c.JupyterHub.services.append({"name": "probe", "api_token": os.environ["TEST_PROBE_TOKEN"]})
c.JupyterHub.load_roles.append(
    {
        "name": "probe",
        "services": ["probe"],
        "scopes": ["admin:users", "admin:servers", "list:users", "read:users", "tokens", "read:metrics"],
    }
)
c.IAMAuthenticator.auth_refresh_age = 1
c.IAMAuthenticator.unreachable_pause = 2
c.KubernetesSpawner.node_patience = int(os.environ.get("TEST_NODE_PATIENCE", "60"))
