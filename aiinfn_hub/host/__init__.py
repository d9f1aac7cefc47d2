"""The machine that the local back end runs on: accounts, user ids and files of the platform."""
