"""An app of the tests: an HTTP server on a Unix socket. Arguments: the socket, and perhaps its own address."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingUnixStreamServer


class App(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self) -> str:
        return "person"

    def do_GET(self) -> None:
        if self.headers.get("Upgrade", "").lower() == "websocket":
            self.echo()
        elif self.path.endswith("/told"):
            about = {
                "path": self.path,
                "headers": dict(self.headers),
                "pid": os.getpid(),
                "word": os.environ.get("WORD"),
            }
            self.answer("application/json", json.dumps(about))
        elif self.path.endswith("/end"):
            print("somebody asked for the end", flush=True)
            os._exit(3)
        elif self.path.endswith("/away"):
            self.send_response(302)
            self.send_header("Location", "/told")
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self.answer("text/html", PAGE)

    def do_POST(self) -> None:
        self.answer("text/plain", "got " + self.rfile.read(int(self.headers["Content-Length"])).decode())

    def answer(self, kind: str, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def echo(self) -> None:
        """Send one short text back (RFC 6455)."""
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header(
            "Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        )
        self.end_headers()
        _, length = self.rfile.read(2)
        mask, text = self.rfile.read(4), self.rfile.read(length & 127)
        said = b"echo " + bytes(each ^ mask[i % 4] for i, each in enumerate(text))
        self.wfile.write(bytes((0x81, len(said))) + said + b"\x88\x00")
        self.close_connection = True


PAGE = """<!DOCTYPE html><title>The app</title><h1>Hello from the app</h1><p id="posted"></p><p id="echoed"></p><script>
fetch("save", {method: "POST", body: "a word"}).then(r => r.text()).then(t => posted.textContent = t);
const socket = new WebSocket(new URL("echo", location.href.replace("http", "ws")));
socket.onopen = () => socket.send("hello"); socket.onmessage = e => echoed.textContent = e.data;
setInterval(() => fetch("told"), 300);
</script>"""


if __name__ == "__main__":
    if "--refuse" in sys.argv:
        print("no <licence> found", flush=True)
        sys.exit(7)
    if "--child" in sys.argv:
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
    if "--deaf" in sys.argv:
        sys.stdin.read()
        import time

        time.sleep(1000)
    ThreadingUnixStreamServer(sys.argv[1], App).serve_forever()
