"""Starts the supervisor of the attempt in a folder: ``python -I -S __main__.py FOLDER``.

It is run as a file because finding it as a module would load the packages above it, which are large.
"""

import importlib
import os
import sys

if __name__ == "__main__":
    # Last on the path, so that no module beside this package can stand in for one of the standard library.
    sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120 - no pathlib here
    importlib.import_module("supervisor.main").main(sys.argv[1])
