"""What is claimed about speed and memory, measured: `python -m bench [NAME ...]`.

Each module beside this one has a ``measure()`` that yields `Figure` objects. A claim about speed is a ratio against a
peer or a raw call in the same run, so that it holds on a slow or busy machine; absolute figures are given with it.
"""
