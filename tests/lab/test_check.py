"""A check before sending: of the file alone, and over HTTP against a real vkd."""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiinfn_hub.contract.jobs import Check, CheckSubject
from aiinfn_lab.paths import Places
from aiinfn_lab.precheck import packages
from aiinfn_lab.precheck.checks import Kernel, PrecheckFinding, Subject, look
from aiinfn_lab.precheck.packages import Interpreter, how_to_install
from aiinfn_lab.session.environment import Session
from aiinfn_lab.submission.inspection import inspect
from aiinfn_lab.submission.target import Target
from tests.lab.conftest import Lab, Peer

HERE = Interpreter.of_server()
ORDER = list(get_args(CheckSubject))


@pytest.fixture
def home(tmp_path: Path) -> Any:
    return tmp_path.resolve()


@pytest.fixture
def told(home: Path, notebook: Callable[..., dict[str, Any]]) -> Callable[..., Any]:
    """What is said of a file: cells of a notebook, or the text of a script."""

    def tell(
        *content: Any,
        name: str = "work/a.ipynb",
        kernel: Any = HERE,
        image: Any = None,
        spec: str = "python3",
        language: str = "python",
        **body: Any,
    ) -> list[PrecheckFinding]:
        path = home / name
        path.parent.mkdir(exist_ok=True)
        text = (
            json.dumps(notebook(*content, kernel=spec, language=language))
            if name.endswith(".ipynb")
            else content[0]
        )
        path.write_text(text)
        document = Places(home, home).read(name, 10**7)
        known = Kernel("Python 3", kernel) if kernel else None
        found = look(Subject.of({"image": image, **body}, Target(document, inspect(document)), home, Session(image="default"), known))  # fmt: skip
        for each in found:
            Check.model_validate(each.as_json())
        assert [each.what for each in found] == sorted((each.what for each in found), key=ORDER.index)
        return found

    return tell


def only(found: list[PrecheckFinding], what: str) -> list[tuple[Any, Any]]:
    return [(each.verdict, each.sentence) for each in found if each.what == what]


# Packages


def test_packages_are_looked_for_by_the_kernels_own_python_and_those_beside_the_file_count(
    told: Callable[..., Any], home: Any
) -> None:
    (home / "work").mkdir()
    (home / "work/helper.py").write_text("")
    (home / "work/mine").mkdir()
    (home / "src").mkdir()
    (home / "src/deep.py").write_text("")
    found = told("import json, helper, mine, sys\nsys.path.append('../src')", "import deep, nbformat.v4")
    assert only(found, "packages") == [("ok", "All 6 packages that it imports are there.")]
    assert only(found, "kernel") == [("ok", "This environment has its kernel, Python 3.")]
    assert only(told("import json"), "packages") == [("ok", "The package that it imports is there.")]
    assert only(told("x = 1"), "packages") == []


@pytest.mark.parametrize(
    ("cells", "verdict", "sentence"),
    [
        (
            ["import nosuch_a"],
            "problem",
            "This environment has no package nosuch_a, which the notebook imports.",
        ),
        (
            ["import nosuch_a, json", "from nosuch_b.c import d"],
            "problem",
            "This environment has no packages nosuch_a, nosuch_b, which the notebook imports.",
        ),
        (
            ["def f():\n    import nosuch_a"],
            "notice",
            "This environment has no package nosuch_a, which a part of the notebook imports.",
        ),
        (
            ["%pip install nosuch_a", "import nosuch_a"],
            "notice",
            "This environment has no package nosuch_a now; the notebook installs packages itself.",
        ),
        (
            ["import sys\nsys.path.append(somewhere)", "import nosuch_a"],
            "notice",
            "This environment has no package nosuch_a, which a part of the notebook imports.",
        ),
    ],
)
def test_missing_packages(told: Callable[..., Any], cells: list[str], verdict: str, sentence: str) -> None:
    assert only(told(*cells), "packages") == [(verdict, sentence)]


def test_a_missing_package_comes_with_the_way_to_get_it(told: Callable[..., Any]) -> None:
    hints = [each.hint for each in told("import nosuch_a") if each.what == "packages"]
    assert hints == ["Install it first, for example in a cell: %pip install nosuch_a"]
    assert how_to_install(["sklearn", "cv2"], notebook=False).endswith("terminal: pip install scikit-learn opencv-python-headless")  # fmt: skip
    assert "image" in how_to_install(["ROOT"], notebook=True)


def test_nothing_of_the_person_is_executed(told: Callable[..., Any], home: Any) -> None:
    (home / "work").mkdir()
    for name in ("evil", "json", "importlib", "sitecustomize"):
        (home / f"work/{name}.py").write_text(f"open({str(home / 'executed')!r}, 'w')")
    (home / "work/package").mkdir()
    (home / "work/package/__init__.py").write_text(f"open({str(home / 'executed')!r}, 'w')")
    found = told("import evil, json, package.inner\nopen('executed', 'w')")
    assert only(found, "packages") == [("ok", "All 3 packages that it imports are there.")]
    assert not (home / "executed").exists()


def program(folder: Path, text: str) -> str:
    path = folder / "python3.99"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_an_interpreter_that_hangs_or_fails_holds_up_nothing(
    told: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "SECONDS", 0.3)
    begin = time.monotonic()
    for text in ("exec sleep 60", "exit 3", "echo nonsense", "echo 'aiinfn-missing:7'"):
        found = told("import json", kernel=Interpreter(program(tmp_path, text)))
        assert only(found, "packages") == [("notice", "Whether the packages that it imports are there could not be found out: json.")]  # fmt: skip
    assert time.monotonic() - begin < 30
    assert only(told("import json", kernel=Interpreter(str(tmp_path / "gone"))), "packages")[0][0] == "notice"


def test_the_interpreter_of_a_kernel(tmp_path: Path) -> None:
    def of(*argv: Any, **env: Any) -> Any:
        found = Interpreter.of_kernel([*argv, "-m", "ipykernel_launcher", "-f", "{connection_file}"], env, str(tmp_path))  # fmt: skip
        return found and found.program

    assert of("python") == of("python3") == sys.executable
    assert of(sys.executable) == sys.executable
    assert of(program(tmp_path, "")) == of("{resource_dir}/python3.99") == str(tmp_path / "python3.99")
    assert of("python3.99", PATH=f"{tmp_path}:${{PATH}}") == str(tmp_path / "python3.99")
    assert of("/usr/bin/env") is of("no-such-program") is of("bash") is None
    assert Interpreter.of_kernel([], {}, "") is None
    found = Interpreter.of_kernel(["python"], {"PYTHONPATH": "${HOME}/lib"}, "")
    assert found.environment["PYTHONPATH"] == f"{os.environ['HOME']}/lib"
    assert os.environ["HOME"] not in repr(found)


def test_a_kernels_own_environment_counts(told: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/of_the_kernel.py").write_text("")
    kernel = Interpreter.of_kernel(["python"], {"PYTHONPATH": str(tmp_path / "lib")}, "")
    assert only(told("import of_the_kernel", kernel=kernel), "packages")[0][0] == "ok"
    assert only(told("import of_the_kernel"), "packages")[0][0] == "problem"


# Kernels, images, other languages


def test_kernels_that_are_missing_and_environments_that_are_others(told: Callable[..., Any]) -> None:
    missing = "This environment has no kernel 'julia-9', which the notebook asks for."
    assert only(told("import nosuch_a", kernel=None, spec="julia-9"), "kernel") == [("problem", missing)]
    assert only(told("x", kernel=None, spec=None), "kernel") == [("problem", "The notebook has no kernel.")]
    other = told("import nosuch_a\nopen('gone.csv')", image="gpu")
    assert only(other, "kernel")[0][0] == "notice"
    assert only(other, "packages") == []
    assert only(other, "files")[0][0] == "notice"
    assert only(told("import json", image="default"), "packages")[0][0] == "ok"


def test_scripts(told: Callable[..., Any]) -> None:
    found = told("import nosuch_a, json\nopen('gone.csv')\n", name="work/fit.py")
    assert only(found, "packages") == [("problem", "This environment has no package nosuch_a, which the script imports.")]  # fmt: skip
    assert only(found, "files") == [("notice", "It mentions gone.csv, which is not there now.")]
    assert only(found, "output")[0][1].startswith("The result appears beside it as fit.ID.log")
    assert only(told("x = 1\nfor", name="a.py"), "code") == [("problem", "Line 2 of 'a.py' is not Python.")]
    shell = told("import nosuch_a\ncat gone.csv", name="a.sh")
    assert [each.what for each in shell] == ["kernel", "output"]
    assert only(shell, "kernel") == [("ok", "This environment has bash, which runs the script.")]


def test_a_program_that_is_missing(told: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert only(told("x <- 1", name="a.R"), "kernel") == [("problem", "This environment has no Rscript, which runs the script.")]  # fmt: skip


def test_a_notebook_in_another_language_is_not_read_as_python(told: Callable[..., Any]) -> None:
    assert [each.what for each in told("x <- read.csv('a.csv')", language="R", spec="ir")] == [
        "kernel",
        "output",
    ]


def test_cells_that_are_not_python_and_those_that_are_skipped(
    told: Callable[..., Any], notebook: Callable[..., dict[str, Any]]
) -> None:
    found = told("import json", "x = = 1", "%%R\nx <- 1", "for", "import nosuch_a")
    assert only(found, "code") == [("notice", "Cell 2 cannot be read as Python (line 1), nor can 1 more.")]
    assert only(found, "packages")[0][0] == "problem"


# Files


def test_files_that_are_there_and_that_are_not(told: Callable[..., Any], home: Any) -> None:
    (home / "work/data").mkdir(parents=True)
    (home / "work/data/run1.csv").write_text("")
    (home / "top.csv").write_text("")
    assert only(told("open('data/run1.csv'); open('../top.csv'); open('~/top.csv')"), "files") == [("ok", "All 3 files that it reads by name are there.")]  # fmt: skip
    assert only(told("open('data/run1.csv')\npd.read_csv('data/run3.csv')"), "files") == [("notice", "It mentions data/run3.csv, which is not there now.")]  # fmt: skip
    many = "\n".join(f"open('run{n}.csv')" for n in range(8))
    assert only(told(many), "files") == [("notice", "It mentions run0.csv, run1.csv, run2.csv, run3.csv, run4.csv and 3 more, which are not there now.")]  # fmt: skip
    assert only(told("!wget https://x/run3.csv", "open('run3.csv')"), "files") == []
    assert only(told("print('run3.csv')"), "files") == []


def test_files_that_only_the_session_has(told: Callable[..., Any]) -> None:
    sentence = "It reads /tmp/cache.npy, which belongs to this session alone; a job may not see it."
    assert only(told("np.load('/tmp/cache.npy')"), "files") == [("notice", sentence)]


def test_parameters_and_the_values_of_a_sweep_count(told: Callable[..., Any]) -> None:
    cells = ("data = 'gone.csv'", "open(data)")
    assert only(told(*cells), "files")[0][0] == "notice"
    assert only(told(*cells, parameters={"data": "other.csv"}), "files")[0][1].startswith(
        "It mentions other.csv"
    )
    assert only(told(*cells, sweep={"points": [{"data": "a"}, {"data": "b"}]}), "files") == []


def test_points_that_write_one_over_the_other(told: Callable[..., Any]) -> None:
    cells = ("model.save('best.pt')", "plt.savefig(f'{lr}.png')")
    assert len(only(told(*cells), "output")) == 1
    found = only(told(*cells, sweep={"points": [{"lr": 1}]}), "output")
    assert found == [
        ("ok", "The result appears beside it as a.ID/, with the job's ID. Nothing is overwritten."),
        ("notice", "Every point of the sweep writes best.pt, one over the other."),
    ]


def test_a_folder_that_cannot_be_written(
    told: Callable[..., Any], home: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Root, as whom tests may run, is let do everything; so the system's answer is changed.
    monkeypatch.setattr("os.access", lambda path, _: path != home / "work")
    found = [each for each in told("x = 1") if each.what == "output"]
    assert [(each.verdict, each.sentence, each.field) for each in found] == [
        ("problem", "The folder 'work' cannot be written, so the result has no place.", "path")
    ]


def test_too_little_room_is_told(told: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=3 * 2**20))
    assert ("notice", "Only 3 MiB are free where the result is to appear.") in only(told("x = 1"), "output")


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["points", "lr", "a"]), inner, max_size=3), max_leaves=6)  # fmt: skip


@given(image=JSON, parameters=JSON, sweep=JSON)
def test_whatever_the_body_says_nothing_is_raised(image: Any, parameters: Any, sweep: Any) -> None:
    document = Places(Path(__file__).parent, Path(__file__).parent).read("test_check.py", 10**6)
    body = {"image": image, "parameters": parameters, "sweep": sweep}
    subject = Subject.of(body, Target(document, inspect(document)), Path("/"), Session(image="default"), None)
    assert subject.other_image is (image is not None and image != "default")


# Over HTTP


def check(server: Lab, body: Any, status: int = 200) -> Any:
    reply = server.ask("POST", "check", body=body)
    assert reply.status == status, reply.body
    return reply.json


def by_name(answer: Any) -> dict[str, Any]:
    return {each["what"]: each for each in reversed(answer["checks"])}


def test_both_halves_answer_together(real: Any, notebook: Callable[..., dict[str, Any]]) -> None:
    real.write("check/helper.py", "")
    real.write("check/train.ipynb", notebook("data = 'data/run3.csv'", "import helper, nosuch_a\nopen(data)", tagged=True))  # fmt: skip
    jobs = real.lab.get("jobs").json["revision"]
    answer = check(real.lab, {"path": "check/train.ipynb", "accelerator": "t4", "time_limit": "5m"})
    assert answer["problem"] is None
    assert answer["sentence"]
    assert [each["what"] for each in answer["checks"]] == ["allowed", "fits", "limit", "queue", "time", "kernel", "packages", "files", "output"]  # fmt: skip
    found = by_name(answer)
    assert found["fits"]["sentence"] == "It asks for T4, and there are 2 in all."
    assert found["time"]["sentence"].startswith("It is ended after 5m; ")
    assert (
        found["packages"]["sentence"]
        == "This environment has no package nosuch_a, which the notebook imports."
    )
    assert found["files"]["sentence"] == "It mentions data/run3.csv, which is not there now."
    assert real.lab.get("jobs").json["revision"] == jobs
    dry = real.lab.submit({"path": "check/train.ipynb", "accelerator": "t4"}, dry_run=1).json["checks"]
    assert [each["what"] for each in dry] == ["allowed", "fits", "limit", "queue", "time"]
    assert dry[-1]["sentence"].startswith("It is ended after 10m, since nothing else was said; ")


def test_a_sweep_is_checked(real: Any, notebook: Callable[..., dict[str, Any]]) -> None:
    real.write("check/sweep.ipynb", notebook("lr = 1", "model.save('best.pt')", tagged=True))
    points = [{"lr": number} for number in range(20)]
    answer = check(real.lab, {"path": "check/sweep.ipynb", "accelerator": "t4", "sweep": {"points": points, "parallelism": 8}})  # fmt: skip
    said = [each["sentence"] for each in answer["checks"]]
    assert "Of its 20 points 8 may run at a time, but the T4 that there are are enough for 2." in said
    assert "Every point of the sweep writes best.pt, one over the other." in said


def test_what_is_refused_is_told_with_all_the_rest(
    real: Any, notebook: Callable[..., dict[str, Any]]
) -> None:
    real.write("check/refused.ipynb", notebook("import nosuch_a"))
    for choice, field in (({"accelerator": "x9"}, "accelerator"), ({"parameters": {"nope": 1}}, "parameters.nope"), ({"image": []}, "image")):  # fmt: skip
        body = {"path": "check/refused.ipynb", **choice}
        answer = check(real.lab, body)
        assert (answer["sentence"], answer["ahead"]) == ("", None)
        assert answer["problem"] == real.lab.submit(body, dry_run=1).json
        assert answer["problem"]["field"] == field
        allowed = by_name(answer)["allowed"]
        assert (allowed["verdict"], allowed["sentence"], allowed["field"]) == ("problem", answer["problem"]["message"], field)  # fmt: skip
        assert by_name(answer)["output"]["verdict"] == "ok"


@pytest.mark.parametrize("kernel", ["julia-9", None])
def test_a_kernel_that_is_missing_stands_against_it(
    real: Any, notebook: Callable[..., dict[str, Any]], kernel: str | None
) -> None:
    real.write("check/kernel.ipynb", notebook("x = 1", kernel=kernel))
    answer = check(real.lab, {"path": "check/kernel.ipynb"})
    assert answer["problem"] == real.lab.submit({"path": "check/kernel.ipynb"}).json
    assert by_name(answer)["kernel"]["verdict"] == "problem"


def test_what_cannot_be_looked_at_is_an_error(real: Any) -> None:
    assert check(real.lab, {"path": "check/gone.ipynb"}, 404)["field"] == "path"
    assert check(real.lab, {"path": "check/helper.py", "work": {}}, 400)["field"] == "work"
    assert check(real.lab, [], 400)["reason"] == "invalid"


def test_a_key_that_vkd_does_not_know_is_named(real: Any) -> None:
    body = {"path": "check/helper.py", "nope": 1}
    problem = check(real.lab, body)["problem"]
    assert (problem["field"], problem["reason"]) == ("nope", "invalid")
    refused = real.lab.submit(body)
    assert (refused.status, refused.json) == (400, problem)


def test_without_vkd_the_file_is_looked_at_all_the_same(
    lab: Lab, peer: Peer, notebook: Callable[..., dict[str, Any]]
) -> None:
    lab.write("check.ipynb", notebook("import nosuch_a"))
    peer.stop()
    answer = check(lab, {"path": "check.ipynb"})
    assert answer["problem"]["reason"] == "unavailable"
    assert by_name(answer)["allowed"]["verdict"] == by_name(answer)["packages"]["verdict"] == "problem"
    peer.start()
    assert check(lab, {"path": "check.ipynb"})["sentence"] == "It would start now."
