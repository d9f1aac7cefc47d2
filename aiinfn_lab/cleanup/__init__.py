"""Delete copies and checkpoints of jobs that are over from the home."""
