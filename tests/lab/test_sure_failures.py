"""What is sure to fail is said before it is sent, and refused at submission unless one asks to go on."""

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from aiinfn_hub.contract.problem import Refusal
from aiinfn_lab.paths import Places
from aiinfn_lab.precheck.checks import Subject, look, refuse
from aiinfn_lab.runner import notebook_file
from aiinfn_lab.session.environment import Session
from aiinfn_lab.submission.inspection import inspect, read_notebook
from aiinfn_lab.submission.target import Target

CRLF = "#!/bin/bash\r\nset -e\r\nfor i in 1 2; do\r\n  echo $i\r\ndone\r\n"


@pytest.fixture
def verdicts(tmp_path: Path) -> Callable[..., Any]:
    """What is said of the code of a file, and whether it would be refused."""

    def tell(name: str, data: Any) -> list[tuple[Any, Any]]:
        (tmp_path / name).write_bytes(data if isinstance(data, bytes) else data.encode())
        document = Places(tmp_path.resolve(), tmp_path.resolve()).read(name, 10**6)
        subject = Subject.of({}, Target(document, inspect(document)), tmp_path, Session(), None)
        found = [each for each in look(subject) if each.what == "code"]
        assert all(each.hint for each in found if each.verdict != "ok")
        return [(each.verdict, each.sentence) for each in found]

    return tell


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("crlf.sh", CRLF, [("problem", "'crlf.sh' has Windows line ends, with which bash fails.")]),
        ("ok.sh", "echo 'a\\r\\n'\n", []),
        ("crlf.py", "# AIINFN time=20m\r\nprint('x')\r\n", []),
        ("latin.py", b"# -*- coding: latin-1 -*-\nprint('perch\xe9')\n", []),
        ("bytes.py", "import sys\nsys.stdout.buffer.write(b'\\xff\\x00'); sys.exit('perch\\u00e9 no')\n", []),
        ("bad.py", b"print('perch\xe9')\n", [("problem", "'bad.py' is not in UTF-8 and does not say what it is in, so Python cannot read it.")]),
        ("odd.py", b"# coding: nonsense\nprint(1)\n", [("problem", "'odd.py' is not in UTF-8 and does not say what it is in, so Python cannot read it.")]),
        ("shebang.py", "#!/usr/bin/env -S bash\necho I am bash\n", [("problem", "Line 2 of 'shebang.py' is not Python.")]),
        ("exported.py", "# %%\nget_ipython().run_line_magic('matplotlib', 'inline')\n", [("problem", "Line 2 of 'exported.py' calls get_ipython, which there is in notebooks only.")]),
        ("asks.py", "x = 1\nn = int(input('how many? '))\n", [("problem", "Line 2 of 'asks.py' asks for input, which nobody gives to a job.")]),
        ("main.py", "if __name__ == '__main__':\n    input()\n", [("problem", "Line 2 of 'main.py' asks for input, which nobody gives to a job.")]),
        ("maybe.py", "import sys\nif sys.stdin.isatty():\n    input()\n", [("notice", "Line 3 of 'maybe.py' asks for input, which nobody gives to a job.")]),
        ("inside.py", "def ask():\n    return input()\n", [("notice", "Line 2 of 'inside.py' asks for input, which nobody gives to a job.")]),
        ("caught.py", "try:\n    input()\nexcept EOFError:\n    pass\n", [("notice", "Line 2 of 'caught.py' asks for input, which nobody gives to a job.")]),
        ("own.py", "def input(x): return x\ninput(1)\n", []),
        ("named.py", "input = read()\nmodel(input)\n", []),
        ("method.py", "form.input('x')\n", []),
        ("pass.py", "from getpass import getpass\np = getpass()\n", [("problem", "Line 2 of 'pass.py' asks for a password, which nobody gives to a job.")]),
        ("pass2.py", "import getpass\np = getpass.getpass('word: ')\n", [("problem", "Line 2 of 'pass2.py' asks for a password, which nobody gives to a job.")]),
        ("user.py", "import getpass\nprint(getpass.getuser())\n", []),
        ("both.py", "if 'get_ipython' in globals():\n    get_ipython().x()\n", []),
        ("imported.py", "from IPython import get_ipython\nshell = get_ipython()\n", []),
    ],
)  # fmt: skip
def test_scripts(
    verdicts: Callable[..., Any], name: str, data: bytes | str, said: list[tuple[str, ...]]
) -> None:
    assert verdicts(name, data) == said


def of_cells(*sources: Any, tags: Sequence[str] = ()) -> dict[str, Any]:
    cells = [
        {"cell_type": "code", "metadata": {"tags": list(tags)}, "source": source, "outputs": [], "execution_count": None, "id": f"c{number}"}
        for number, source in enumerate(sources)
    ]  # fmt: skip
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (of_cells("1", "x = input('how many? ')"), [("problem", "Cell 2 asks for input, which nobody gives to a job.")]),
        (of_cells("from getpass import getpass\np = getpass()"), [("problem", "Cell 1 asks for a password, which nobody gives to a job.")]),
        (of_cells("get_ipython().run_line_magic('time', '1')"), []),
        (of_cells("x = input()", tags=["raises-exception"]), [("notice", "Cell 1 asks for input, which nobody gives to a job.")]),
        (of_cells("x = input()", tags=["skip-execution"]), []),
        (of_cells("def input(p): return '3'", "x = input()"), []),
    ],
)  # fmt: skip
def test_notebooks(
    verdicts: Callable[..., Any], content: dict[str, Any], said: list[tuple[str, ...]]
) -> None:
    assert verdicts("n.ipynb", json.dumps(content)) == said


def test_the_check_says_what_really_happens(tmp_path: Path, verdicts: Callable[..., Any]) -> None:
    """Each script of the table that is said to fail fails, and the others do not."""
    for name, code in (
        ("a.py", "input()\n"),
        ("b.py", "get_ipython().x\n"),
        ("c.sh", CRLF),
        ("d.py", "print(1)\n"),
    ):
        problem = any(verdict == "problem" for verdict, _ in verdicts(name, code))
        program = [shutil.which("bash")] if name.endswith(".sh") else ["python3"]
        ran = subprocess.run(
            [*program, str(tmp_path / name)], stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        assert problem == (ran.returncode != 0), name


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.py").write_text("print(1)\n")
    document = Places(tmp_path.resolve(), tmp_path.resolve()).read("a.py", 10**6)
    subject = Subject.of({}, Target(document, inspect(document)), tmp_path, Session(), None)
    refuse(look(subject))
    # As root everything can be written.
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(Refusal, match="cannot be written"):
        refuse(look(subject))


# One reading of files


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le"])
def test_a_notebook_is_read_in_every_encoding_of_json(encoding: str) -> None:
    text = json.dumps(of_cells("print('è')"), ensure_ascii=False)
    assert read_notebook(text.encode(encoding), "n.ipynb")["cells"][0]["source"] == "print('è')"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe\x00",
        "é".encode("latin-1"),
        b"[]",
        b"{}",
        b'{"nbformat": 3}',
        b"\x00" * 8,
        b'{"nbformat": %s}' % (b"9" * 5000),
    ],
)
def test_what_is_no_notebook_is_refused(data: bytes) -> None:
    with pytest.raises(Refusal):
        read_notebook(data, "n.ipynb")


def test_what_may_be_missing_in_a_notebook_is_added() -> None:
    content = {"nbformat": 4, "cells": [{"cell_type": "code", "source": "1", "metadata": {"tags": "x"}}, {"cell_type": "markdown", "source": ["a"]}]}  # fmt: skip
    found = read_notebook(json.dumps(content).encode(), "n.ipynb")
    assert found["metadata"] == {}
    assert found["cells"][0]["outputs"] == []
    assert found["cells"][0]["metadata"] == {}


ODD: Any = (None, True, 1.5, "x", "", [], [1], ["a", None], {}, {"a": 1}, [[]])


@pytest.mark.parametrize(
    "path",
    [
        ("nbformat_minor",),
        ("metadata",),
        ("metadata", "kernelspec"),
        ("metadata", "language_info"),
        ("metadata", "papermill"),
        ("cells",),
        ("cells", 0),
        *(("cells", 0, key) for key in ("cell_type", "id", "source", "metadata", "outputs", "attachments")),
        ("cells", 0, "metadata", "tags"),
        ("cells", 0, "metadata", "papermill"),
    ],
)
@pytest.mark.parametrize("odd", ODD)
def test_what_submission_takes_for_a_notebook_the_runner_does_too(path: tuple[Any, ...], odd: Any) -> None:
    content = of_cells("x = 1")
    *outer, last = path
    holder = content
    for key in outer:
        holder = holder[key]
    holder[last] = odd
    data = json.dumps(content).encode()
    with contextlib.suppress(Refusal):
        read_notebook(data, "n.ipynb")
        notebook = notebook_file.load(data, "n.ipynb")
        notebook_file.parameterize(notebook, {"x": 2}, "python3", "python")


# At submission

INTERPRETER = "This environment has no Rscript, which runs the script."


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("sure/crlf.sh", CRLF, "has Windows line ends"),
        ("sure/asks.py", "input()\n", "asks for input"),
        ("sure/missing.py", "import no_such_package_anywhere\n", "no package no_such_package_anywhere"),
        ("sure/fit.R", "1\n", INTERPRETER),
    ],
)
def test_what_is_sure_to_fail_is_refused_by_every_door_unless_one_goes_on(
    real: Any, name: str, data: str, words: str
) -> None:
    real.write(name, data)
    if words == INTERPRETER and shutil.which("Rscript"):
        pytest.skip("R is installed here")
    told = real.aiinfn("submit", name, code=3)
    assert words in told.err
    assert "--anyway" in told.err
    refused = real.lab.submit({"path": name})
    assert (refused.status, words in refused.json["message"]) == (400, True)
    assert words in real.aiinfn("submit", name, "--dry-run").out
    outside = real.aiinfn("submit", f"home:{name}", environment=real.outside, code=3)
    assert words in outside.err
    jobs = [job for job in real.aiinfn("list", "--all", "-o", "json").json if job["work"]["path"] == name]
    assert jobs == []
    # Nothing is left of what was refused.
    kept = {path.parent.name for path in (real.home / ".aiinfn/jobs").glob("*/" + name.rpartition("/")[2])}
    assert kept == set()
    for job in (
        real.aiinfn("submit", "-q", "--anyway", name).out.strip(),
        real.aiinfn("submit", "-q", "--anyway", f"home:{name}", environment=real.outside).out.strip(),
        real.lab.submit({"path": name, "anyway": True}).json["id"],
    ):
        assert real.reach(job, "failed")["work"]["path"] == name


def test_of_several_things_the_first_is_told_and_that_there_are_more(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("import no_such_one_a\ninput()\n")
    document = Places(tmp_path.resolve(), tmp_path.resolve()).read("a.py", 10**6)
    found = look(Subject.of({}, Target(document, inspect(document)), tmp_path, Session(), None))
    with pytest.raises(Refusal, match=r"asks for input.* So is 1 other thing; see the checks"):
        refuse(found)
    refuse([each for each in found if each.verdict != "problem"])


def test_a_line_of_the_shell_runs_as_in_a_folder(real: Any) -> None:
    (real.home / "line").mkdir()
    for line, state in (
        ("echo one | tee log.txt", "succeeded"),
        ("false | cat", "failed"),
        ("echo $((1+1)) && ls", "succeeded"),
    ):
        job = real.aiinfn("submit", "-q", "--", line, cwd=real.home / "line").out.strip()
        found = real.reach(job, state)
        assert found["name"] == line
    assert (real.home / "line/log.txt").read_text() == "one\n"
    job = real.aiinfn("submit", "-q", "--", "echo", "a | b", cwd=real.home / "line").out.strip()
    real.reach(job, "succeeded")
    assert real.aiinfn("logs", job).out == "a | b\n"
