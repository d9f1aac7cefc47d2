"""Bring the objects of the platform into a cluster, and show what would change."""
