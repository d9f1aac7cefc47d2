"""States in words."""

from datetime import timedelta
from typing import Any

import pytest

from aiinfn_hub.contract.runner import JobError, Progress
from aiinfn_hub.contract.states import Cause, JobState
from aiinfn_hub.i18n import messages
from aiinfn_hub.i18n.messages import Message
from aiinfn_hub.vkd.presentation import status_text
from tests.vkd.jobs import BAD, OFF, OK, Q, R, S

ERROR = JobError(name="ValueError", message="no such file\nmore", cell=7)


@pytest.mark.parametrize(
    ("state", "cause", "more", "sentence"),
    [
        (Q, Cause.SUBMITTED, {"position": 1}, "Waiting: next in line in Opportunistic"),
        (Q, Cause.SUBMITTED, {"position": 2}, "Waiting: 2nd in line in Opportunistic"),
        (Q, Cause.SUBMITTED, {"position": 111}, "Waiting: 111th in line in Opportunistic"),
        (Q, Cause.SUBMITTED, {}, "Waiting in Opportunistic"),
        (
            Q,
            Cause.PREEMPTED,
            {"position": 1},
            "Made room for a session; waiting again, next in line in Opportunistic",
        ),
        (
            Q,
            Cause.INTERRUPTED,
            {"position": 3},
            "Stopped with the platform; waiting again, 3rd in line in Opportunistic",
        ),
        (Q, Cause.DEVICE_LOST, {}, "Its device vanished; waiting again, in Opportunistic"),
        (Q, Cause.SUBMITTED, {"cancelled_by": ""}, "Being cancelled"),
        (R, Cause.STARTED, {"cancelled_by": "mara"}, "Being cancelled by mara"),
        (S, Cause.PLACED, {"attempt": 1}, "Starting"),
        (S, Cause.PLACED, {"attempt": 2}, "Starting again, 2nd attempt"),
        (R, Cause.STARTED, {}, "Running"),
        (R, Cause.STARTED, {"progress": Progress(cell=12, cells=40)}, "Running: cell 12 of 40"),
        (OK, Cause.COMPLETED, {"progress": Progress(cell=40, cells=40)}, "Finished"),
        (OK, Cause.COMPLETED, {"cancelled_by": ""}, "Finished"),
        (OFF, Cause.CANCELLED, {"cancelled_by": ""}, "Cancelled"),
        (OFF, Cause.CANCELLED, {"cancelled_by": "mara"}, "Cancelled by mara"),
        (BAD, Cause.ERROR, {"error": ERROR}, "Failed in cell 7: ValueError: no such file"),
        (BAD, Cause.ERROR, {"error": JobError(name="KeyError", message="")}, "Failed: KeyError"),
        (BAD, Cause.ERROR, {"exit_code": 3}, "Failed with exit code 3"),
        (BAD, Cause.ERROR, {}, "Failed"),
        (
            BAD,
            Cause.TIME_LIMIT,
            {"time_limit": timedelta(minutes=90)},
            "Stopped at its time limit of 1 hour 30 minutes",
        ),
        (BAD, Cause.LOST, {}, "Failed: its process disappeared"),
        (
            BAD,
            Cause.LOST,
            {"told": Message("text", text="Failed: its node went away.")},
            "Failed: its node went away",
        ),
        (
            BAD,
            Cause.LOST,
            {"told": Message("failed.node_shut_down")},
            "Failed: its node was shut down under it. Run it again",
        ),
        (BAD, Cause.LOST, {"told": Message("failed.lost")}, "Failed: its process disappeared"),
        (BAD, Cause.NEVER_FITS, {}, "Failed: the platform does not have what it asks for"),
        (BAD, Cause.START_FAILED, {}, "Failed: it could not be started"),
    ],
)
def test_a_state_is_told_in_words(state: JobState, cause: Cause, more: dict[str, Any], sentence: str) -> None:
    assert str(status_text.job(state, cause, queue="Opportunistic", **more)) == sentence


def test_every_state_and_cause_has_a_sentence_on_one_line() -> None:
    for state in JobState:
        for cause in Cause:
            text = str(status_text.job(state, cause, queue="Q"))
            assert text
            assert text[0].isupper()
            assert "\n" not in text


def test_a_long_or_strange_error_stays_one_short_line() -> None:
    error = JobError(name="Boom", message="x\x1b[31m" * 300)
    text = str(status_text.job(BAD, Cause.ERROR, queue="Q", error=error))
    assert len(text) < 160
    assert text.isprintable()


@pytest.mark.parametrize(
    ("number", "word"),
    [
        (1, "1st"),
        (2, "2nd"),
        (3, "3rd"),
        (4, "4th"),
        (11, "11th"),
        (12, "12th"),
        (13, "13th"),
        (21, "21st"),
        (102, "102nd"),
        (113, "113th"),
    ],
)
def test_ordinals(number: int, word: str) -> None:
    assert messages.ordinal(number) == word


@pytest.mark.parametrize(
    ("count", "free", "ahead", "sentence"),
    [
        (0, 0, 0, "Starts now, without an accelerator."),
        (1, 1, 0, "Starts now on a free T4."),
        (2, 2, 0, "Starts now on 2 free T4."),
        (1, 0, 0, "Waits for a free T4, next in line in Q."),
        (1, 0, 1, "Waits behind 1 job in Q."),
        (1, 1, 4, "Waits behind 4 jobs in Q."),
    ],
)
def test_a_dry_run_says_what_would_happen(count: int, free: int, ahead: int, sentence: str) -> None:
    assert str(status_text.would_start(count, "T4", free, ahead, "Q")) == sentence
