"""The batch runner: executes one notebook or script inside a job. ``python -m aiinfn_lab.runner -`` starts it."""
