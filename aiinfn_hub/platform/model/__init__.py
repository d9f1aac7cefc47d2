"""The sections of the platform file as types."""
