"""``python -m aiinfn_hub.cli``."""

from .main import main

main()
