"""The delegation service: turns a session's request into a batch job and keeps its history."""
