"""Each line of a pod's log is kept once, wherever the stream is cut."""

from __future__ import annotations

import json
import random
import time
import tracemalloc
from pathlib import Path

import pytest

from aiinfn_hub.vkd.backends.common.attempt_files import AttemptFolder
from aiinfn_hub.vkd.backends.common.runner_output import Splitter
from aiinfn_hub.vkd.backends.kubernetes.archive import LogArchive, NoLineError


@pytest.fixture
def folder(tmp_path: Path) -> AttemptFolder:
    return AttemptFolder(tmp_path / "1")


def archive(folder: AttemptFolder, pod: str = "p1", limit: int = 10_000) -> LogArchive:
    made = LogArchive(folder, pod, limit)
    made.open()
    return made


def stamp(number: int) -> str:
    """Several lines have the same stamp."""
    return f"2026-11-24T12:00:{number // 4:02}.{number // 4:09}Z"


LINES = [f"line {number}\n".encode() for number in range(40)]
STREAM = [f"{stamp(number)} ".encode() + line for number, line in enumerate(LINES)]


def test_a_stream_in_one_piece(folder: AttemptFolder) -> None:
    made = archive(folder)
    made.feed(b"".join(STREAM))
    made.finish()
    assert folder.log.read_bytes() == b"".join(LINES)
    assert archive(folder).complete


def test_a_stream_that_is_cut_anywhere_and_taken_up_again(folder: AttemptFolder) -> None:
    rng = random.Random(1)
    text = b"".join(STREAM)
    made = archive(folder)
    for _ in range(300):
        if rng.random() < 0.3:
            made = archive(folder)  # vkd was restarted
        made.reconnect()
        # The server gives whole seconds only, so lines that are known come again.
        since = made.since[:19] if made.since else ""
        begin = next((i for i, line in enumerate(STREAM) if line.decode()[:19] >= since), 0)
        rest = b"".join(STREAM[begin:])
        end = rng.randrange(len(rest) + 1)
        middle = rng.randrange(end + 1)
        made.feed(rest[:middle])
        made.feed(rest[middle:end])
        assert text  # nothing is lost, nothing comes twice:
        have = folder.log.read_bytes()
        assert have == b"".join(LINES)[: len(have)]
    made.reconnect()
    made.feed(b"".join(STREAM))
    assert folder.log.read_bytes() == b"".join(LINES)


def test_what_was_written_but_not_noted_comes_again(folder: AttemptFolder) -> None:
    made = archive(folder)
    made.feed(STREAM[0])
    with folder.log.open("ab") as log:
        log.write(b"half a li")
    again = archive(folder)
    again.feed(STREAM[0] + STREAM[1])
    assert folder.log.read_bytes() == LINES[0] + LINES[1]


def test_another_pods_log_is_thrown_away(folder: AttemptFolder) -> None:
    archive(folder, "p1").feed(STREAM[0])
    archive(folder, "p2").feed(STREAM[7])
    assert folder.log.read_bytes() == LINES[7]


def test_records_are_taken_out_and_the_last_is_kept(folder: AttemptFolder) -> None:
    made = archive(folder)
    at = "2026-11-24T12:00:00.000000000Z"
    progress = [json.dumps({"type": "progress", "progress": {"cell": n, "cells": 9}}) for n in (1, 2)]
    error = json.dumps({"type": "error", "error": {"name": "E", "message": "m"}})
    told = made.feed(
        f"{at} a\n{at} \x1e{progress[0]}\n{at} b\n{at} \x1e{progress[1]}\n{at} \x1e{error}\n".encode()
    )
    assert (told.progress.cell, told.progress.cells) == (2, 9)
    assert folder.log.read_bytes() == b"a\nb\n"
    assert folder.read_records()["progress"]["progress"]["cell"] == 2
    assert folder.read_records()["error"]["error"]["name"] == "E"
    assert not made.feed(f"{at} \x1enonsense\n".encode())
    assert folder.log.read_bytes() == b"a\nb\n\x1enonsense\n"


def test_what_the_kubelet_says_in_between_is_no_log(folder: AttemptFolder) -> None:
    made = archive(folder)
    with pytest.raises(NoLineError):
        made.feed(STREAM[0] + b"unable to retrieve container logs for containerd://1\n")
    assert folder.log.read_bytes() == LINES[0]


def test_a_last_line_without_an_end_is_kept(folder: AttemptFolder) -> None:
    made = archive(folder)
    made.feed(STREAM[0] + STREAM[5].rstrip())
    made.finish()
    assert folder.log.read_bytes() == LINES[0] + LINES[5]


def test_a_log_that_is_too_long_ends_with_a_word_about_it(folder: AttemptFolder) -> None:
    made = archive(folder, limit=20)
    for line in STREAM:
        made.feed(line)
    text = folder.log.read_bytes()
    assert text.startswith(b"line 0\nline 1\nline 2\n"[:20])
    assert text.count(b"The log ends here") == 1
    again = archive(folder, limit=20)
    again.feed(STREAM[-1])
    assert folder.log.read_bytes() == text


def test_a_line_without_an_end_is_written_as_it_comes_and_held_nowhere(folder: AttemptFolder) -> None:
    made = archive(folder, limit=2**30)
    made.feed(STREAM[0] + f"{stamp(1)} ".encode())
    piece = b"\r[" + b"#" * 65533 + b"]"
    tracemalloc.start()
    try:
        for number in range(1, 257):
            made.feed(piece)
            assert folder.log.stat().st_size == len(LINES[0]) + number * len(piece)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * 2**20
    # It goes on where it was, in another vkd too.
    again = archive(folder, limit=2**30)
    again.feed(STREAM[0] + f"{stamp(1)} ".encode() + 256 * piece + b" done\n" + STREAM[2])
    again.finish()
    assert folder.log.read_bytes() == LINES[0] + 256 * piece + b" done\n" + LINES[2]


@pytest.mark.parametrize("restart", [False, True])
def test_a_line_of_which_part_was_written_is_completed_once(folder: AttemptFolder, restart: bool) -> None:
    made = archive(folder)
    at = stamp(1)
    made.feed(STREAM[0] + f"{at} half of".encode())
    assert folder.log.read_bytes() == LINES[0] + b"half of"
    if restart:
        made = archive(folder)
    else:
        made.reconnect()
    made.feed(STREAM[0] + f"{at} half".encode())
    made.feed(b" of it\n" + f"{at} \x1e{{".encode())
    made.reconnect()
    progress = json.dumps({"type": "progress", "progress": {"cell": 1, "cells": 9}})
    told = made.feed(STREAM[0] + f"{at} half of it\n{at} \x1e{progress}\n".encode())
    assert told.progress.cell == 1
    assert folder.log.read_bytes() == LINES[0] + b"half of it\n"


def test_a_line_that_is_no_line_of_the_log_is_noticed_before_it_ends(folder: AttemptFolder) -> None:
    made = archive(folder)
    for _ in range(63):
        assert not made.feed(b"x")
    with pytest.raises(NoLineError):
        made.feed(b"x")


@pytest.mark.parametrize("text", [b"\x1e", b"\x1e{", b"\x1e\n", b"\n\x1e\x1e", b"a\x1e" + b"b" * 50])
def test_what_only_looks_like_records_takes_time_in_proportion(text: bytes) -> None:
    data = text * (2**20 // len(text))
    splitter = Splitter()
    began = time.perf_counter()
    said, records = splitter.feed(data)
    assert said + splitter.rest() == data
    assert not records
    # It takes about a second; with a copy of the rest for each one it would take minutes.
    assert time.perf_counter() - began < 30
