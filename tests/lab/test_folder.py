"""A folder that is submitted as a whole: what is copied, left out and linked; the requests that do it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aiinfn_hub.contract.problem import Refusal
from aiinfn_lab.i18n.formats import bytes_in_words
from aiinfn_lab.paths import private_folder
from aiinfn_lab.submission import folder, snapshot
from aiinfn_lab.submission.folder import plan
from tests.lab.conftest import Lab, Peer


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Any]:
    """Make a folder out of a table of paths and contents."""

    def make(files: dict[str, str | bytes | int], name: str = "project") -> Path:
        top = tmp_path / name
        for path, content in files.items():
            target = top / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, int):
                with target.open("wb") as file:
                    file.truncate(content)
            else:
                target.write_bytes(content if isinstance(content, bytes) else content.encode())
        return top

    return make


def look(top: Path, program: str | None = None) -> folder.CopyPlan:
    return plan(top.name, top.name, top, program)


def copied(found: folder.CopyPlan) -> list[str]:
    return sorted(entry.path for entry in found.copied if entry.kind != "folder")


def test_what_is_made_by_tools_is_left_out(project: Callable[..., Any]) -> None:
    top = project(
        {
            "main.py": "1",
            "src/model.py": "2",
            ".git/config": "",
            "src/__pycache__/model.pyc": "",
            ".ipynb_checkpoints/a.ipynb": "",
            "web/node_modules/x/index.js": "",
            "env/pyvenv.cfg": "",
            "env/lib/a.py": "",
            "conda/conda-meta/history": "",
            ".env": "secret",
            "gitignore": "",
        }
    )
    os.mkfifo(top / "pipe")
    found = look(top)
    assert copied(found) == [".env", "gitignore", "main.py", "src/model.py"]
    assert found.left_out == [
        ".git/",
        ".ipynb_checkpoints/",
        "conda/",
        "env/",
        "pipe",
        "src/__pycache__/",
        "web/node_modules/",
    ]
    assert (found.files, found.size) == (4, 8)
    sentence, large = map(str, found.messages())
    assert sentence == (
        "A copy of the folder is made: 4 files, 8 bytes. "
        "Left out: .git/, .ipynb_checkpoints/, conda/, env/, pipe and 2 more."
    )
    assert large == ""


def test_an_ignore_file_is_read_as_git_reads_it(project: Callable[..., Any]) -> None:
    lines = "# notes\n*.log\n/data/\n!keep.log\nout/**\n!__pycache__/\n\n"
    top = project(
        {
            ".aiinfnignore": lines,
            "a.log": "",
            "keep.log": "",
            "data/x": "",
            "src/data/x": "",
            "out/x": "",
            "__pycache__/kept": "",
        }
    )
    found = look(top)
    assert copied(found) == [".aiinfnignore", "__pycache__/kept", "keep.log", "src/data/x"]
    assert found.left_out == ["a.log", "data/", "out/"]


def test_an_ignore_file_that_cannot_be_read_is_told(project: Callable[..., Any]) -> None:
    with pytest.raises(Refusal, match=r"Line 2 of .aiinfnignore is no pattern"):
        look(project({".aiinfnignore": "ok\n!\n"}))
    with pytest.raises(Refusal, match="larger than 64 KiB"):
        look(project({".aiinfnignore": "x\n" * 40_000}, "other"))


def test_what_is_too_large_is_linked_and_the_rest_copied(project: Callable[..., Any]) -> None:
    top = project(
        {
            "main.py": "1",
            "data/a.bin": 60 * 2**20,
            "data/b.bin": 60 * 2**20,
            "analysis/fit.py": "2",
            "analysis/ntuples/big.root": 300 * 2**20,
            "model.pt": 30 * 2**20,
        }
    )
    found = look(top)
    assert [entry.path for entry in found.linked] == ["analysis/ntuples/big.root", "data"]
    assert copied(found) == ["analysis/fit.py", "main.py", "model.pt"]
    assert str(found.messages()[1]) == (
        "Too large to be copied: analysis/ntuples/big.root (300 MiB), data/ (120 MiB). "
        "The job works with the original of them."
    )
    # The file that runs is copied wherever it is.
    found = look(top, "data/a.bin")
    assert [entry.path for entry in found.linked] == ["analysis/ntuples/big.root", "data/b.bin"]


def test_many_files_are_linked_without_looking_at_them_all(
    project: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "MOST_FILES", 10)
    monkeypatch.setattr(folder, "_MOST_BELOW", 20)
    flat = {f"flat/{number}": "" for number in range(30)}
    nested = {f"nested/{number}/{inner}": "" for number in range(9) for inner in range(4)}
    top = project({"main.py": "", **flat, **nested})
    found = look(top)
    assert sorted(entry.path for entry in found.linked) == ["flat", "nested"]
    assert copied(found) == ["main.py"]
    assert "flat/ (many files)" in str(found.messages()[1])


def test_a_folder_that_is_too_large_in_itself_is_refused(
    project: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "MOST_FILES", 10)
    with pytest.raises(Refusal, match="too large: it has 40 files, 40 bytes, and 10 files of 100 MiB can be"):
        look(project({f"{number}.txt": "x" for number in range(40)}))
    with pytest.raises(Refusal, match="too large"):
        look(project({"big.ipynb": 200 * 2**20, "x": "1"}, "other"), "big.ipynb")
    monkeypatch.setattr(folder, "_MOST_SEEN", 30)
    with pytest.raises(Refusal, match="more than 30 files"):
        look(project({f"{number}/x": "" for number in range(20)}, "third"))


@pytest.mark.parametrize(
    ("files", "program"),
    [
        (["main.py", "run.sh", "a.ipynb"], "main.py"),
        (["run.sh", "a.ipynb", "train.py"], "run.sh"),
        (["a.ipynb", "README.md"], "a.ipynb"),
        (["a.ipynb", "b.ipynb", "fit.py"], "fit.py"),
        (["a.ipynb", "b.ipynb"], None),
        (["a.py", "b.py", "src/main.py"], None),
        (["src/fit.py", "README.md"], "src/fit.py"),
        (["README.md"], None),
    ],
)
def test_what_is_meant_to_run_is_guessed_and_not_invented(
    project: Callable[..., Any], files: list[str], program: str | None
) -> None:
    assert look(project(dict.fromkeys(files, ""))).program == program


def test_a_command_is_guessed_where_a_build_tool_is_used(project: Callable[..., Any]) -> None:
    assert look(project({"Makefile": ""})).command == "make"
    assert look(project({"Snakefile": ""}, "b")).command == "snakemake --cores all"
    assert look(project({"src/Makefile": ""}, "c")).command == ""


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (3_250_586, "3.1 MiB"), (10**8, "95.4 MiB"), (2**40, "1 TiB")],
)
def test_bytes_in_words(size: int, words: str) -> None:
    assert bytes_in_words(size) == words


def test_the_copy_keeps_modes_times_and_links(project: Callable[..., Any], tmp_path: Path) -> None:
    top = project({"run.sh": "echo", "data/big": 200 * 2**20, "src/a.py": "1"})
    (top / "run.sh").chmod(0o755)
    os.utime(top / "src/a.py", ns=(10**18, 10**18))
    (top / "inner").symlink_to("src/a.py")
    (top / "src/outer").symlink_to("../../shared/x")
    (top / "gone").symlink_to("/nowhere/at all")
    (top / "empty").mkdir()
    home = tmp_path / "home"
    home.mkdir()
    copy = snapshot.take_folder(home, "key", look(top))
    place = home / copy.path
    assert copy.fresh
    assert (place / "run.sh").stat().st_mode & 0o777 == 0o755
    assert (place / "src/a.py").stat().st_mtime_ns == 10**18
    assert str((place / "inner").readlink()) == "src/a.py"
    assert (place / "src/outer").readlink() == tmp_path / "shared/x"
    assert str((place / "gone").readlink()) == "/nowhere/at all"
    assert (place / "data/big").readlink() == top / "data/big"
    assert (place / "empty").is_dir()
    assert place.parent.stat().st_mode & 0o777 == 0o700
    # The same key is the same copy, whatever has changed since.
    (top / "src/a.py").write_text("2")
    again = snapshot.take_folder(home, "key", look(top))
    assert (again.path, again.fresh) == (copy.path, False)
    assert (place / "src/a.py").read_text() == "1"
    again.discard()
    assert place.exists()
    copy.discard()
    assert not place.exists()


def test_a_copy_that_does_not_succeed_leaves_nothing(
    project: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    top = project({"a.py": "1", "b.py": "2"})
    home = tmp_path / "home"
    home.mkdir()

    def full(source: str, target: Any, length: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(Refusal, match="Your home is full"):
        snapshot.take_folder(home, "key", look(top))
    assert list((home / ".aiinfn/jobs").iterdir()) == []


# The requests


@pytest.fixture
def tree(lab: Lab) -> str:
    shutil.rmtree(lab.home / "work", ignore_errors=True)
    for path, content in {
        "main.py": "# AIINFN time=1h\nimport json, model\nopen('data/in.csv'); open('left.log')\n",
        "model.py": "",
        "data/in.csv": "1",
        "left.log": "",
        ".aiinfnignore": "*.log\n",
        ".git/config": "",
    }.items():
        lab.write(f"work/proj/{path}", content)
    return "work/proj"


def test_a_folder_is_described(lab: Lab, tree: str) -> None:
    found = lab.get("folder", path=f"RTC:{tree}").json
    assert found == {
        "path": "work/proj",
        "name": "proj",
        "files": 4,
        "size": found["size"],
        "left_out": [".git/", "left.log"],
        "linked": [],
        "programs": ["main.py", "model.py"],
        "program": "main.py",
        "command": "",
        "sentence": f"A copy of the folder is made: 4 files, {found['size']} bytes. Left out: .git/, left.log.",
    }


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        ("nowhere", 404, "not_found"),
        ("/etc", 404, "not_found"),
        ("..", 403, "forbidden"),
        (".", 400, "invalid"),
        ("work/proj/main.py", 400, "invalid"),
        (".aiinfn/jobs", 400, "invalid"),
        ("a\nb", 400, "invalid"),
    ],
)
def test_what_is_no_folder_to_submit(lab: Lab, tree: str, path: str, status: int, reason: str) -> None:
    private_folder(lab.home, ".aiinfn/jobs")  # as the product makes it: other tests look at the same home
    reply = lab.get("folder", path=path)
    assert (reply.status, reply.json["reason"], reply.json["field"]) == (status, reason, reply.json["field"])
    assert reply.json["hint"]


def sent(peer: Peer) -> dict[str, Any]:
    return json.loads(peer.requests[-1][3])


def test_a_file_is_submitted_with_its_folder(lab: Lab, peer: Peer, tree: str) -> None:
    reply = lab.submit({"path": f"{tree}/main.py", "folder": tree, "arguments": ["-v"]})
    assert reply.status == 201, reply.body
    work = sent(peer)["work"]
    assert (work["kind"], work["path"], work["folder"]) == ("script", "work/proj/main.py", "work/proj")
    place = lab.home / work["snapshot"]
    assert place.name == "main.py"
    assert sorted(each.name for each in place.parent.iterdir()) == [
        ".aiinfnignore",
        "data",
        "main.py",
        "model.py",
    ]
    lab_part = reply.json["lab"]
    assert lab_part["input"] == "work/proj/main.py"
    job = reply.json["id"]
    assert (lab_part["output"], lab_part["output_exists"]) == (f"work/proj.{job}/main.{job}.log", False)


def test_a_command_is_submitted_with_a_folder(lab: Lab, peer: Peer, tree: str) -> None:
    reply = lab.submit({"folder": f"/{tree}/", "command": " python main.py | tee log.txt "})
    assert reply.status == 201, reply.body
    request = sent(peer)
    assert request["name"] == "python main.py | tee log.txt"
    work = request["work"]
    assert (work["kind"], work["path"], work["folder"]) == ("command", "work/proj", "work/proj")
    assert work["command"] == "python main.py | tee log.txt"
    assert (lab.home / work["snapshot"] / "data/in.csv").is_file()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"command": "make"}, "command"),
        ({"folder": "work/proj", "command": ""}, "command"),
        ({"folder": "work/proj", "command": "a\nb"}, "command"),
        ({"folder": "work/proj", "command": "x" * 5000}, "command"),
        ({"folder": "work/proj", "command": ["make"]}, "command"),
        ({"folder": "work/proj", "command": "make", "path": "work/proj/main.py"}, "path"),
        ({"folder": "work/proj", "command": "make", "arguments": ["x"]}, "arguments"),
        ({"folder": "work/proj", "command": "make", "sweep": {"points": [{"a": 1}]}}, "sweep"),
        ({"folder": "work/proj"}, "path"),
        ({"folder": "work/proj", "path": "elsewhere.py"}, "path"),
        ({"folder": "work/proj", "path": "work/proj/model.py/../../../elsewhere.py"}, "path"),
        ({"folder": 7, "path": "work/proj/main.py"}, "folder"),
    ],
)
def test_bodies_that_make_no_sense(lab: Lab, tree: str, body: dict[str, Any], field: str) -> None:
    lab.write("elsewhere.py", "")
    before = lab.snapshots()
    for verb in ("jobs", "check"):
        reply = lab.ask("POST", verb, body=body)
        told = reply.json if reply.status != 200 else reply.json["problem"]
        assert told["field"] == field, reply.body
    assert lab.snapshots() == before


def test_a_file_that_is_left_out_cannot_run(lab: Lab, tree: str) -> None:
    lab.write("work/proj/.aiinfnignore", "main.py\n")
    reply = lab.submit({"path": f"{tree}/main.py", "folder": tree})
    assert (reply.status, reply.json["message"]) == (400, "'main.py' is left out when the folder is copied.")


def test_the_check_says_what_the_job_gets(lab: Lab, tree: str) -> None:
    told = lab.ask("POST", "check", body={"path": f"{tree}/main.py", "folder": tree}).json
    assert told["problem"] is None
    sentences = {(each["what"], each["verdict"]): each["sentence"] for each in told["checks"]}
    assert sentences["files", "notice"] == "It mentions left.log, which is left out of the copy."
    assert "4 files" in sentences["files", "ok"]
    assert sentences["packages", "ok"] == "All 2 packages that it imports are there."
    assert "proj.ID/" in sentences["output", "ok"]
    told = lab.ask("POST", "check", body={"folder": tree, "command": "make"}).json
    assert [each["what"] for each in told["checks"]] == ["kernel", "files", "output"]
    assert all(each["verdict"] == "ok" for each in told["checks"])


def test_a_swept_folder_says_how_many_copies_there_will_be(lab: Lab, tree: str) -> None:
    sweep = {"points": [{"a": 1}, {"a": 2}]}
    told = lab.ask("POST", "check", body={"path": f"{tree}/main.py", "folder": tree, "sweep": sweep}).json
    assert any(
        "Each point runs in a copy of its own, proj.ID/0001/" in each["sentence"] for each in told["checks"]
    )


# From the command line, with real jobs


@pytest.fixture
def work(real: Any) -> Any:
    top = real.home / "work"
    shutil.rmtree(top, ignore_errors=True)
    for path, content in {
        "proj/main.py": "# AIINFN name='from the header'\nimport model, pathlib, sys\n"
        "pathlib.Path('made').write_text(model.WORD)\nprint('main', sys.argv[1:])\n",
        "proj/model.py": "WORD = 'x'\n",
        "proj/other.py": "print('other')\n",
        "bare/a.py": "",
        "bare/b.py": "",
    }.items():
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_text(content)
    return top


def over(real: Any, job: str) -> dict[str, Any]:
    real.aiinfn("wait", job, "-t", "120s")
    return real.aiinfn("show", job, "-o", "json").json


def test_a_folder_from_the_command_line(real: Any, work: Any) -> None:
    job = real.aiinfn("submit", "-q", "proj", cwd=work).out.strip()
    told = over(real, job)
    assert (told["state"], told["name"], told["work"]["kind"]) == ("succeeded", "from the header", "script")
    assert (work / f"proj.{job}/made").read_text() == "x"
    assert told["output"] == f"work/proj.{job}/main.{job}.log"
    # What was edited since does not count: "run again" begins from the copy.
    (work / "proj/model.py").write_text("WORD = 'edited'\n")
    again = real.aiinfn("rerun", "-q", job).out.strip()
    assert over(real, again)["state"] == "succeeded"
    assert (work / f"proj.{again}/made").read_text() == "x"


def test_a_command_in_a_folder_from_the_command_line(real: Any, work: Any) -> None:
    line = "python main.py a 'b c' | tee log.txt"
    job = real.aiinfn("submit", "-q", "proj/", "--", line, cwd=work).out.strip()
    told = over(real, job)
    assert (told["state"], told["work"]["command"], told["name"]) == ("succeeded", line, line)
    assert (work / f"proj.{job}/log.txt").read_text() == "main ['a', 'b c']\n"
    job = real.aiinfn("submit", "-q", "proj", "--", "python", "main.py", "d e", cwd=work).out.strip()
    assert over(real, job)["work"]["command"] == "python main.py 'd e'"


def test_a_sweep_of_a_file_with_its_folder(real: Any, work: Any) -> None:
    words = ("submit", "-q", "proj/main.py", "--with-folder", "--sweep", "n=1,2", "--", "-v")
    sweep = real.aiinfn(*words, cwd=work).out.strip()
    over(real, sweep)
    for number in (1, 2):
        place = work / f"proj.{sweep}/000{number}"
        assert (place / "made").read_text() == "x"
        assert f"['-v', '--n={number}']" in (place / f"main.000{number}.log").read_text()


def test_a_folder_of_the_home_from_outside(real: Any, work: Any) -> None:
    job = real.aiinfn("submit", "-q", "home:work/proj/", environment=real.outside).out.strip()
    assert over(real, job)["name"] == "from the header"
    words = ("submit", "-q", "home:work/proj/", "--", "ls | sort > names")
    job = real.aiinfn(*words, environment=real.outside).out.strip()
    over(real, job)
    assert "model.py" in (work / f"proj.{job}/names").read_text()
    words = ("submit", "home:work/proj/other.py", "--with-folder", "--dry-run")  # type: ignore[assignment]
    told = real.aiinfn(*words, environment=real.outside)
    assert "A copy of the folder is made: 3 files" in told.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("bare",), "It is not clear what is to run in 'bare'."),
        (("proj/..", "--with-folder"), "It is not clear what is to run in 'work'."),
        (("proj", "--sweep", "n=1,2", "--", "make"), "A command cannot be swept."),
        (("proj", "-p", "n=1", "--", "make"), "A command has its arguments in itself"),
    ],
)
def test_what_is_refused_on_the_command_line(
    real: Any, work: Any, words: tuple[str, ...], message: str
) -> None:
    told = real.aiinfn("submit", *words, cwd=work, code=3)
    assert message in told.err


def test_the_home_itself_is_no_folder_to_submit(real: Any, work: Any) -> None:
    assert "cannot be submitted as a whole" in real.aiinfn("submit", ".", code=3).err


def test_a_folder_of_another_machine_is_refused(real: Any, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("")
    told = real.aiinfn("submit", f"{tmp_path}/", environment=real.outside, code=3)
    assert "must be in your home already" in told.err
