"""The session this server runs in."""
