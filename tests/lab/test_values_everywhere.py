"""Values of parameters by every door, against a real vkd with real jobs: what is promised is what Python has."""

import json
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aiinfn_lab.client import AiinfnError, Client

WORDS = (
    "limit = None\nverbose = not True\nscale = 2 * 1.5\ntmax = float('inf')\nalpha = 1\nbig = 1_000_000\n"
    "shape = (3, 4)\nname = 'a'\nopt: 'float | None' = None"
)
NAMES = ("limit", "verbose", "scale", "tmax", "alpha", "big", "shape", "name", "opt")
SHOW = f"print(*(f'{{k}}={{globals()[k]!r}}' for k in {NAMES!r}), sep='|')"


@pytest.fixture
def client(real: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """The Python client, as in anna's session."""
    for name, value in real.session.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(real.home)
    with Client() as connection:
        yield connection


def printed(real: Any, job: str) -> dict[str, Any]:
    """What the notebook said its names are."""
    real.reach(job, "succeeded")
    line = next(line for line in real.aiinfn("logs", job).out.splitlines() if line.startswith("limit="))
    return dict(part.split("=", 1) for part in line.split("|"))


GIVEN = {
    "limit": "7",
    "verbose": "False",
    "scale": "-1e-7",
    "tmax": "nan",
    "alpha": "0.5",
    "big": "2_000_000",
    "shape": "(5, None)",
    "name": "None",
    "opt": "inf",
}
HAD = {
    "limit": "7",
    "verbose": "False",
    "scale": "-1e-07",
    "tmax": "nan",
    "alpha": "0.5",
    "big": "2000000",
    "shape": "(5, None)",
    "name": "'None'",
    "opt": "inf",
}


def test_the_command_line_and_the_dialog_show_and_give_the_values_that_python_has(
    real: Any, notebook: Callable[..., dict[str, Any]]
) -> None:
    real.write("words.ipynb", notebook(WORDS, SHOW, tagged=True))
    words = [word for name, text in GIVEN.items() for word in ("-p", f"{name}={text}")]
    dry = real.aiinfn("submit", "words.ipynb", *words, "--dry-run").out
    assert "The notebook gets limit = 7, verbose = False, scale = -1e-07, tmax = nan, alpha = 0.5, " in dry
    told = real.aiinfn("submit", "words.ipynb", *words).out.splitlines()
    assert told[1] == "with " + ", ".join(f"{name}={value}" for name, value in HAD.items())
    job = told[0].split()[0]
    # The dialog sends what was typed, and shows how it was read.
    checked = real.lab.ask("POST", "check", body={"path": "words.ipynb", "typed": GIVEN}).json
    assert checked["values"] == HAD
    assert checked["problem"] is None
    dialog = real.lab.submit({"path": "words.ipynb", "typed": GIVEN}).json
    assert dialog["work"]["parameters"] == real.lab.get(f"jobs/{job}").json["work"]["parameters"]
    assert printed(real, job) == printed(real, dialog["id"]) == HAD
    shown = real.aiinfn("show", job).out
    assert "name='None', opt=inf" in " ".join(shown.split())
    # The result is a notebook that a browser reads, too.
    text = (real.home / dialog["output"]).read_text()
    assert json.loads(text, parse_constant=pytest.fail)["metadata"]["papermill"]["parameters"]["tmax"] == {
        "$float": "nan"
    }


def test_python_passes_what_it_has(
    real: Any, notebook: Callable[..., dict[str, Any]], client: Client
) -> None:
    real.write("words.ipynb", notebook(WORDS, SHOW, tagged=True))
    job = client.submit(
        "words.ipynb",
        parameters={
            "limit": np.int64(3),
            "verbose": np.bool_(True),
            "scale": np.float32(0.5),
            "tmax": float("-inf"),
            "alpha": 2**60,
            "shape": np.array([1, 2]),
            "name": str(Path("/data")),
            "opt": None,
        },
    )
    had = printed(real, job.id)
    assert had == {
        "limit": "3",
        "verbose": "True",
        "scale": "0.5",
        "tmax": "-inf",
        "alpha": str(2**60),
        "big": "1000000",
        "shape": "[1, 2]",
        "name": "'/data'",
        "opt": "None",
    }
    for wrong in (date(2026, 11, 28), {1}, object(), b"x"):
        with pytest.raises(AiinfnError, match="cannot be passed on"):
            client.submit("words.ipynb", parameters={"limit": wrong})
        with pytest.raises(AiinfnError, match="cannot be passed on"):
            client.check("words.ipynb", sweep={"limit": [wrong]})
        with pytest.raises(AiinfnError, match="cannot be passed on"):
            client.submit("words.ipynb", sweep=[{"limit": wrong}])


def points(real: Any, sweep: str) -> list[Any]:
    real.reach(sweep, "succeeded")
    return [point["parameters"] for point in real.lab.get(f"jobs/{sweep}/points").json["points"]]


def test_sweeps_and_tables_read_the_same_and_an_empty_cell_is_the_default(
    real: Any, notebook: Callable[..., dict[str, Any]]
) -> None:
    real.write("words.ipynb", notebook(WORDS, SHOW, tagged=True))
    sweep = real.aiinfn(
        "submit", "-q", "words.ipynb", "--sweep", "alpha=0.5,1", "--sweep", "limit=None"
    ).out.strip()
    assert points(real, sweep) == [{"alpha": 0.5, "limit": None}, {"alpha": 1, "limit": None}]
    (real.home / "excel.csv").write_bytes("\ufeffscale;name;limit\r\n0,1;a;\r\n0,25;;None\r\n".encode())
    sweep = real.aiinfn("submit", "-q", "words.ipynb", "--table", "excel.csv").out.strip()
    assert points(real, sweep) == [{"scale": 0.1, "name": "a"}, {"scale": 0.25, "limit": None}]
    ran = real.aiinfn("points", sweep, "-o", "json").json
    assert printed(real, ran[0]["job"])["limit"] == "None"
    assert printed(real, ran[1]["job"])["name"] == "'a'"
    refused = real.aiinfn("submit", "words.ipynb", "--sweep", "scale=1e-3,1e400", code=3).err
    assert "larger than Python's can be" in refused


def test_a_script_is_swept_over_argparses_usual_names(real: Any, client: Client) -> None:
    real.write("args.py", "import sys; print(sys.argv[1:])")
    sweep = real.aiinfn("submit", "-q", "args.py", "--sweep", "learning-rate=0.1,inf").out.strip()
    real.reach(sweep, "succeeded")
    ran = real.aiinfn("points", sweep, "-o", "json").json
    said = [real.aiinfn("logs", point["job"]).out.strip() for point in ran]
    assert said == ["['--learning-rate=0.1']", "['--learning-rate=inf']"]
    assert "learning-rate" in real.aiinfn("points", sweep).out
    assert (
        "1e400"
        not in real.aiinfn("submit", "args.py", "--sweep", "v=1e-3,1e400", code=3).err.split("Write")[0]
    )
    for name in ("--n", "a b", ".x"):
        told = real.aiinfn("submit", "args.py", "--sweep", f"{name}=1,2", code=3).err
        assert "must be one word of letters, digits, dashes and underscores" in told
        assert "ask the operators" not in told
    sweep = client.submit("args.py", sweep={"n": (float("nan"), np.int64(2))})
    assert [point.parameters for point in client.points(sweep.id)] == [{"n": {"$float": "nan"}}, {"n": 2}]


def test_what_an_earlier_run_had_set_is_the_default_and_stays(
    real: Any, notebook: Callable[..., dict[str, Any]]
) -> None:
    content = notebook("a = 1\nb = 1", "# Parameters\na = 50\nb = 60", "print('a', a, 'b', b)", tagged=True)
    content["cells"][1]["metadata"]["tags"] = ["injected-parameters"]
    real.write("injected.ipynb", content)
    found = real.lab.get("inspect", path="injected.ipynb").json["parameters"]
    assert [(each["name"], each["default"]) for each in found] == [("a", 50), ("b", 60)]
    for words, said in ((("-p", "a=7"), "a 7 b 60"), ((), "a 50 b 60")):
        job = real.aiinfn("submit", "-q", "injected.ipynb", *words).out.strip()
        real.reach(job, "succeeded")
        assert said in real.aiinfn("logs", job).out


def test_a_value_that_is_computed_from_one_that_is_given_is_told(
    real: Any, notebook: Callable[..., dict[str, Any]]
) -> None:
    real.write("derived.ipynb", notebook("n = 10\nstep = n * 2\nlast = step + 1", "1", tagged=True))
    told = real.aiinfn("submit", "derived.ipynb", "-p", "n=50", "--dry-run").out
    assert "notice   step is computed from n in the cell with the parameters" in told
    assert "last is computed from n" in told
    told = real.aiinfn(
        "submit", "derived.ipynb", "-p", "n=50", "-p", "step=1", "-p", "last=2", "--dry-run"
    ).out
    assert "is computed from" not in told
