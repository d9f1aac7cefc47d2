"""Apps: web programs of the platform file, started in the session and reached through its server. See docs/apps.md."""
