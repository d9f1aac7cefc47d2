"""What holds for all tests."""

from hypothesis import HealthCheck, settings

# How fast examples are made or run says how busy the machine is, and nothing about the code.
settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("project")
