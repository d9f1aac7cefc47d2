"""The hub's configuration, from the platform file and the environment."""
