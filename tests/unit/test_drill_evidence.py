"""The drill sees what it looks for: each promise, broken once."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.drills.evidence import Entry, Evidence, Kill, Life, Story, lives_in

MESSAGE = "Failed: the process that supervises it was killed by SIGKILL, and the job was ended with it."


def a_life(
    job: str = "a", attempt: int = 1, first: float = 0.0, last: float = 9.0, *devices: Any, **more: Any
) -> Life:
    return Life(job, attempt, first, last, devices or ("t4-0",), **{"finished": True} | more)


def a_story(
    job: str = "a",
    state: str = "succeeded",
    cause: str = "completed",
    *before: Any,
    message: str = "",
    attempt: int = 1,
) -> Story:
    started = Entry(1, "running", "started", attempt)
    return Story(job, state, "t4", [*before, started, Entry(9, state, cause, attempt, message)])


def evidence(
    *stories: Any,
    lives: Sequence[Any] = (),
    kills: Sequence[Any] = (),
    accepted: tuple[Any, ...] = ("a",),
    claimed: Sequence[tuple[float, str]] = (),
) -> Evidence:
    return Evidence(accepted, stories, lives, kills, claimed)


def problems(found: Evidence) -> list[int]:
    return [len(each) for each in (found.lost(), found.doubled(), found.shared(), found.untrue())]


def test_a_job_that_completed() -> None:
    assert problems(evidence(a_story(), lives=[a_life()])) == [0, 0, 0, 0]


def test_a_job_that_gave_way_and_was_completed_later() -> None:
    gave_way = Entry(0.5, "queued", "preempted", 1)
    lives = [a_life(last=1.0, finished=False), a_life("a", 2, 5.0)]
    story = a_story("a", "succeeded", "completed", gave_way, attempt=2)
    assert problems(evidence(story, lives=lives, claimed=[(0.1, "t4")])) == [0, 0, 0, 0]
    assert problems(evidence(story, lives=lives)) == [0, 0, 0, 2]
    assert problems(evidence(story, lives=lives, claimed=[(0.7, "t4")])) == [0, 0, 0, 1]
    assert problems(evidence(story, lives=lives, claimed=[(0.1, "slice")])) == [0, 0, 0, 1]


def test_lost_jobs() -> None:
    assert evidence().lost() == ["a is not known"]
    assert evidence(Story("a", "running")).lost() == ["a is running"]


def test_doubled_jobs() -> None:
    story = a_story()
    assert evidence(story, a_story("b")).doubled() == ["b was never submitted"]
    assert len(evidence(story, lives=[a_life(), a_life("a", 1, 20.0, 21.0)]).doubled()) == 2
    together = [a_life(finished=False), a_life("a", 2, 8.0, 12.0)]
    assert len(evidence(story, lives=together).doubled()) == 1
    assert len(evidence(story, lives=[together[0], replace(together[1], main=False)]).doubled()) == 1
    assert len(evidence(story, lives=[a_life(), a_life("a", 2, 20.0, 21.0)]).doubled()) == 1
    assert evidence(story, lives=[a_life(), a_life("a", 1, 1.0, 11.0, main=False)]).doubled() == []


def test_devices_that_two_have() -> None:
    session = Life("session of ada", 0, 8.0, float("inf"), ("t4-0",))
    assert len(evidence(lives=[a_life(), session]).shared()) == 1
    assert len(evidence(lives=[a_life(), a_life("b", 1, 2.0, 3.0), session]).shared()) == 2
    assert evidence(lives=[a_life(), a_life("b", 1, 2.0, 3.0, "t4-1")]).shared() == []
    assert evidence(lives=[a_life(last=7.9), session]).shared() == []


def test_reasons_that_are_not_true() -> None:
    lost = a_story("a", "failed", "lost", message=MESSAGE)
    kill = Kill("guard", 5.0, "a", 1)
    assert evidence(lost, kills=[kill]).untrue() == []
    assert len(evidence(lost).untrue()) == 1
    assert len(evidence(lost, kills=[replace(kill, attempt=2)]).untrue()) == 1
    assert len(evidence(a_story(cause="lost", message=MESSAGE), kills=[kill]).untrue()) == 1
    for cause in ("error", "cancelled", "start_failed", "time_limit", "interrupted"):
        assert len(evidence(a_story("a", "failed", cause), kills=[kill]).untrue()) == 1
        assert len(evidence(a_story("a", "failed", cause)).untrue()) == 1
    assert len(evidence(a_story()).untrue()) == 1
    # It came to its end before the kill did.
    assert evidence(a_story(), lives=[a_life()], kills=[kill]).untrue() == []


def test_only_a_killed_vkd_or_hub_keeps_a_job_from_beginning() -> None:
    message = "vkd was restarted just when this was started; waiting again."
    before = [Entry(0.0, "queued", "submitted", 0), Entry(0.5, "queued", "interrupted", 1, message)]
    story = a_story("a", "succeeded", "completed", *before, attempt=2)
    lives = [a_life("a", 2, 5.0)]
    assert evidence(story, lives=lives, kills=[Kill("vkd", 0.2)]).untrue() == []
    assert len(evidence(story, lives=lives, kills=[Kill("vkd", 0.7)]).untrue()) == 1
    assert len(evidence(story, lives=lives, kills=[Kill("proxy", 0.2)]).untrue()) == 1
    began = [a_life("a", 1, 0.0, 0.2, finished=False), *lives]
    assert len(evidence(story, lives=began, kills=[Kill("vkd", 0.2)]).untrue()) == 1


def test_an_attempt_has_one_end() -> None:
    story = a_story("a", "succeeded", "completed", Entry(0.5, "failed", "completed", 1))
    assert any("its history ends the attempts" in each for each in evidence(story, lives=[a_life()]).untrue())


def test_what_a_killed_process_left(tmp_path: Path) -> None:
    (tmp_path / "a.2.main.77").write_text("begin 1.0 t4-0,t4-1\nbeat 1.5\nbeat 9")
    (tmp_path / "a.2.detached.78").write_text("begin 1.0 t4-0\nend 2.5\n")
    found = sorted(lives_in(tmp_path), key=lambda life: life.main)
    assert found == [
        Life("a", 2, 1.0, 2.5, ("t4-0",), main=False, finished=True),
        Life("a", 2, 1.0, 1.5, ("t4-0", "t4-1"), main=True, finished=False),
    ]
