"""Start the supervisor of the attempt in a folder: ``python -I -S __main__.py FOLDER``.

It is run as a file, because without `site` no path leads to this package. The packages above it import nothing, so that the
process stays small.
"""

import importlib
import sys

if __name__ == "__main__":
    # Last on the path, so that no module beside this package can stand in for one of the standard library.
    sys.path.append(__file__.rsplit("/", 6)[0])
    importlib.import_module("aiinfn_hub.vkd.backends.local.supervisor.main").main(sys.argv[1])
