"""Sign-in: the authenticator for INDIGO IAM, and a small provider of the same shape for the demonstration."""
