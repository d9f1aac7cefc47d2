"""TensorBoard on a Unix socket: ``python -P -m aiinfn_lab.apps.tensorboard SOCKET [TensorBoard's own options]``.

TensorBoard's own command listens on ports only, and reads its files through a second process that listens on one, too. Whoever
can connect to these reads everything in the log folder.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from typing import Any


def main(arguments: Sequence[str]) -> int:
    """Serve until a signal ends it."""
    from tensorboard import default, main_lib, program  # noqa: PLC0415 - not in every image

    class SocketServer(program.WerkzeugServer):
        """TensorBoard's server, which has no URL here."""

        def get_url(self) -> str:
            return str(self._host)

    socket, *options = arguments
    main_lib.global_init()
    board: Any = program.TensorBoard(plugins=default.get_plugins(), server_class=SocketServer)
    board.configure(["tensorboard", *options, f"--host=unix://{socket}", "--port=0", "--load_fast=false"])
    # Not its `main`, which writes into a folder of /tmp that everybody can read.
    board.launch()
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    return 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python -m aiinfn_lab.apps.tensorboard SOCKET [TensorBoard's own options]")
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    sys.exit(main(sys.argv[1:]))
