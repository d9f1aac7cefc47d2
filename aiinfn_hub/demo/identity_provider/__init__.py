"""A small OpenID Connect provider for the demonstration and for tests.

It has real authorization codes, PKCE, signed id tokens and refresh tokens (Authlib's grants), and claims shaped as
INDIGO IAM's. It asks for no password: whoever reaches it chooses who to be. So it listens on loopback only, and
production uses a real IAM.
"""
