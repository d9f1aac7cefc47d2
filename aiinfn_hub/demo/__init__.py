"""The demonstration: the platform on one machine, with an identity provider of its own for development."""
