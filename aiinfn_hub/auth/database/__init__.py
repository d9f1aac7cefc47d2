"""The table of accounts: which person of which identity provider has which user name."""
