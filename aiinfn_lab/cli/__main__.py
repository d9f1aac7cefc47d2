"""``python -m aiinfn_lab.cli``, where the command itself is not in the path."""

from . import main

main(prog_name="aiinfn")
