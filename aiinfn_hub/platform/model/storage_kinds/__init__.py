"""The kinds of storage: one module each with its fields and what a pod and a machine make of it, and their table."""
