"""Kernels on a machine that is shared: who may reach them, which are offered, and how they start."""
