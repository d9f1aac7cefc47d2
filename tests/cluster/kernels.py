"""Cells that run in the kernel of a session, through the channels that a browser uses."""

from __future__ import annotations

import json
from collections.abc import Sequence

import websocket


def execute(channels: str, headers: Sequence[str], code: str) -> str:
    """Run a cell and give what it prints; an error fails the test. Blocks.

    Parameters
    ----------
    channels
        Address of the kernel's channels.
    headers
        Of the request, as ``Name: value``: what says who asks.
    """
    connection = websocket.create_connection(channels, header=list(headers), timeout=60)
    try:
        header = {
            "msg_id": "cell",
            "msg_type": "execute_request",
            "username": "",
            "session": "test",
            "version": "5.4",
        }
        content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
        message = {
            "channel": "shell",
            "header": header,
            "parent_header": {},
            "metadata": {},
            "content": content,
        }
        connection.send(json.dumps(message))
        printed = ""
        while True:
            answer = json.loads(connection.recv())
            if answer["parent_header"].get("msg_id") != "cell":
                continue
            if answer["msg_type"] == "stream":
                printed += answer["content"]["text"]
            elif answer["msg_type"] == "error":
                raise AssertionError(f"{answer['content']['evalue']}\n{printed}")
            elif answer["msg_type"] == "status" and answer["content"]["execution_state"] == "idle":
                return printed
    finally:
        connection.close()
