"""What is done with jobs afterwards, in a session: found, labelled, kept and deleted with what they left in the home."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aiinfn_hub.contract.jobs import JobDescription
from aiinfn_lab.cleanup import garbage
from aiinfn_lab.submission import directives, job_request


def make(home: Path, *paths: Any) -> None:
    for path in paths:
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_text("x")


def bulk(real: Any, action: str, *ids: Any) -> Any:
    answer = real.lab.ask("POST", "jobs/bulk", body={"action": action, "ids": ids})
    assert answer.status == 200, answer.body
    return answer.json["results"]


def until(holds: Callable[..., Any], what: str, seconds: int = 30) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not in time: {what}"
        time.sleep(0.05)


def test_what_deleted_jobs_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    home, other = tmp_path / "home", tmp_path / "other"
    make(
        home,
        ".aiinfn/jobs/abc/train.ipynb",
        ".aiinfn/jobs/def/fit.py",
        ".aiinfn/jobs/whole/proj/src/fit.py",
        ".aiinfn/jobs/whole/proj/data/x",
        ".aiinfn/checkpoints/j1/state",
        "work/out.ipynb",
    )
    make(other, "kept")
    (home / ".aiinfn/checkpoints/j3").symlink_to(other)
    left = [
        {"id": "j1", "snapshot": ".aiinfn/jobs/abc/train.ipynb"},
        {"id": "j2", "snapshot": None},
        {"id": "j3", "snapshot": ".aiinfn/jobs/gone/x.py"},
        {"id": "j4", "snapshot": ".aiinfn/jobs/whole/proj/src/fit.py"},
    ]
    assert garbage.clear(home, left) == ["j1", "j2", "j3", "j4"]  # type: ignore[arg-type]
    assert sorted(path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()) == [
        ".aiinfn/jobs/def/fit.py",
        "work/out.ipynb",
    ]
    assert (other / "kept").exists(), "a link is not followed"
    assert garbage.clear(home, left) == ["j1", "j2", "j3", "j4"], "once more is no harm"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "path",
    [
        "work/out.ipynb", ".aiinfn/jobs/../../work/out.ipynb", ".aiinfn/jobs/./out.ipynb", ".aiinfn/jobs/out.ipynb",
        ".aiinfn/jobs//out.ipynb", ".aiinfn/jobs/a/../out.ipynb", "/etc/passwd", "", ".aiinfn/jobs/a\0/b", ".aiinfn/jobs",
    ],
)  # fmt: skip
def test_a_list_that_names_anything_else_removes_nothing(tmp_path: Path, path: str) -> None:
    make(tmp_path, "work/out.ipynb", ".aiinfn/jobs/a/b/out.ipynb", ".aiinfn/jobs/out.ipynb")
    before = sorted(tmp_path.rglob("*"))
    garbage.clear(tmp_path, [{"id": job, "snapshot": path} for job in ("../x", "", ".", "j1")])
    assert sorted(tmp_path.rglob("*")) == before


def test_what_cannot_be_removed_stays_on_the_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, ".aiinfn/checkpoints/j1/state", ".aiinfn/checkpoints/j2/state")
    whole = garbage.shutil.rmtree  # type: ignore[attr-defined]

    def stuck(folder: Path) -> None:
        if folder.name == "j1":
            raise OSError("busy")
        whole(folder)

    monkeypatch.setattr(garbage.shutil, "rmtree", stuck)  # type: ignore[attr-defined]
    assert garbage.clear(tmp_path, [{"id": "j1"}, {"id": "j2"}]) == ["j2"]


@pytest.mark.parametrize(
    ("given", "labels"),
    [(None, None), ([], None), ("a, b,", ["a", " b"]), (["paper-2026"], ["paper-2026"])],
)
def test_labels_come_as_a_list_or_as_a_header_comment_has_them(
    given: list[str] | str | None, labels: list[str] | None
) -> None:
    assert (job_request._labels(given) or None) == labels


def test_a_header_comment_gives_labels_one_by_one_or_several() -> None:
    text = "# AIINFN label=paper-2026 time=2h\n# AIINFN label=trial,night\nprint(1)"
    assert directives.read(text, "a.py") == {"labels": "paper-2026,trial,night", "time_limit": "2h"}


def test_jobs_are_labelled_found_kept_and_deleted_from_a_terminal(real: Any) -> None:
    real.write("after/fit.py", "# AIINFN label=beam-2026\nprint('x')\n")
    real.write("after/bad.py", "import sys\nsys.exit('quench at 7 TeV')\n")
    good = real.aiinfn("submit", "-q", "after/fit.py").out.strip()
    bad = real.aiinfn("submit", "-q", "after/bad.py", "--label", "Trial", "--label", "night").out.strip()
    real.reach(good, "succeeded")
    real.reach(bad, "failed")

    def listed(*words: Any) -> Any:
        return real.aiinfn("list", "-q", *words).out.split()

    assert listed("--label", "beam-2026") == [good]
    assert listed("--search", "AFTER/ bad") == [bad]
    assert listed("--search", "after", "--label", "trial", "-s", "failed") == [bad]
    assert real.aiinfn("list", "--search", "nothingofthekind").err == "No such jobs.\n"
    assert real.aiinfn("label", good, bad, "--add", "done", "--remove", "night").err == "2 jobs labelled.\n"
    assert listed("--label", "done") == [bad, good]
    shown = real.aiinfn("show", bad).out
    assert "trial, done" in shown
    assert "kept until" in shown
    told = real.aiinfn("label", good, "--add", "two words", code=3)
    assert told.err.startswith("Error: 'two words' cannot be a label.")
    real.aiinfn("keep", good)
    assert real.lab.get(f"jobs/{good}").json["pinned"] is True
    real.aiinfn("keep", good, "--release")

    copies = [real.home / real.lab.get(f"jobs/{job}").json["work"]["snapshot"] for job in (good, bad)]
    assert all(copy.is_file() for copy in copies)
    output = real.home / real.lab.get(f"jobs/{good}").json["output"]
    assert "--yes" in real.aiinfn("delete", good, code=2).err, "it asks, and nobody answers"
    told = real.aiinfn("delete", "-y", good, bad, "nothing", code=3)
    assert "2 jobs deleted." in told.err
    assert "Error: nothing: There is no such job." in told.err
    assert not any(copy.parent.exists() for copy in copies)
    assert output.is_file(), "results are the person's own"
    assert listed("--label", "done") == []
    usage = real.aiinfn("usage", "-o", "json").json
    assert "entries" in usage


def test_what_is_said_about_a_job_goes_through_all_programs(real: Any) -> None:
    texts = {name: f"The {name}" for name in JobDescription.model_fields if name != "labels"}
    options = [part for name, text in texts.items() for part in (f"--{name.replace('_', '-')}", text)]
    real.write("after/said.py", "print('x')\n")
    by_command = real.aiinfn("submit", "-q", "after/said.py", *options, "--label", "said").out.strip()
    by_page = real.lab.submit({"path": "after/said.py", "labels": ["said"], **texts}).json["id"]
    for job in (by_command, by_page):
        assert real.lab.get(f"jobs/{job}").json.items() >= {**texts, "labels": ["said"]}.items()
        shown = real.aiinfn("show", job).out
        assert [text for text in (*texts.values(), "said") if text not in shown] == []


def test_the_browser_deletes_edits_and_does_many_at_once(real: Any) -> None:
    real.write("after/many.py", "print('x')\n")
    jobs = [real.aiinfn("submit", "-q", "after/many.py").out.strip() for _ in range(2)]
    for job in jobs:
        real.reach(job, "succeeded")
    copies = [real.home / real.lab.get(f"jobs/{job}").json["work"]["snapshot"] for job in jobs]
    edited = real.lab.ask("PATCH", f"jobs/{jobs[0]}", body={"labels": ["browser"], "name": "Fit"})
    assert (edited.status, edited.json["labels"], edited.json["name"]) == (200, ["browser"], "Fit")
    assert edited.json["lab"]["output_exists"] is True
    found = real.lab.get("jobs", search="fit", label="browser").json
    assert [job["id"] for job in found["jobs"]] == [jobs[0]]
    again = bulk(real, "rerun", jobs[0], "nothing")
    assert again[0]["job"]["rerun_of"] == jobs[0]
    assert again[1]["problem"]["message"] == "There is no such job."
    real.reach(again[0]["job"]["id"], "succeeded")
    assert real.lab.ask("DELETE", f"jobs/{jobs[1]}").status == 204
    until(lambda: not copies[1].parent.exists(), "the copy is removed")
    assert copies[0].is_file()
    ids = [jobs[0], again[0]["job"]["id"]]
    assert [one["problem"] for one in bulk(real, "delete", *ids)] == [None, None]
    until(lambda: not copies[0].parent.exists(), "the copy that both used is removed")
    refused = real.lab.ask("DELETE", f"jobs/{jobs[0]}")
    assert (refused.status, json.loads(refused.body)["reason"]) == (404, "not_found")
