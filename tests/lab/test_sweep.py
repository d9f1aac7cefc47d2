"""A sweep from the Lab's server half to real notebooks and back: points, values, files, and what failed once more."""

import csv
import io
from collections.abc import Callable
from typing import Any

from tests.lab.conftest import Lab

SAMPLE = "lr = 0.1\nseed = 1"


def test_points_are_made_of_what_is_typed_by_the_notebooks_own_types(
    lab: Lab, notebook: Callable[..., dict[str, Any]]
) -> None:
    lab.write("work/scan.ipynb", notebook(SAMPLE, tagged=True))
    asked = {"path": "work/scan.ipynb", "grid": {"lr": "0.1, 0.2", "seed": "1..2"}}
    reply = lab.ask("POST", "sweep", body=asked)
    assert reply.json == {
        "points": [{"lr": lr, "seed": seed} for lr in (0.1, 0.2) for seed in (1, 2)],
    }
    table = lab.ask("POST", "sweep", body={"path": "work/scan.ipynb", "table": "lr;seed\n0.1;3\n"})
    assert table.json == {"points": [{"lr": 0.1, "seed": 3}]}
    for wrong, words in (
        ({"grid": {"nothing": "1, 2"}}, "The notebook has no parameter 'nothing'."),
        ({"grid": {"seed": "a"}}, "must be a number"),
        ({"grid": [1]}, "A grid of texts"),
        ({}, "A grid of texts"),
        ({"other": 1}, "The request must have a path"),
    ):
        refused = lab.ask("POST", "sweep", body={"path": "work/scan.ipynb", **wrong})
        assert refused.status in {400, 422}
        assert words in refused.json["message"]
    assert lab.ask("POST", "sweep", body=asked, token=None).status == 403


def test_a_point_with_a_foreign_name_is_refused_before_anything_is_copied(
    lab: Lab, notebook: Callable[..., dict[str, Any]]
) -> None:
    lab.write("work/scan.ipynb", notebook(SAMPLE, tagged=True))
    before = lab.snapshots()
    sweep = {"points": [{"lr": 0.1}, {"depth": 3}], "parallelism": 2}
    refused = lab.submit({"path": "work/scan.ipynb", "sweep": sweep})
    assert refused.status == 422
    assert refused.json["message"] == "Point 2: The notebook has no parameter 'depth'."
    assert lab.snapshots() == before


def test_a_sweep_of_notebooks_gives_a_table_and_only_what_failed_runs_again(
    real: Any, notebook: Callable[..., dict[str, Any]]
) -> None:
    source = (
        "from aiinfn_lab import record\nimport pathlib\n"
        "assert lr < 0.3 or pathlib.Path('mended').exists(), 'too fast'\nrecord(loss=lr * seed)"
    )
    real.write("scans/scan.ipynb", notebook(SAMPLE, source, tagged=True))
    points = [{"lr": lr, "seed": 2} for lr in (0.1, 0.2, 0.3)]
    sweep = real.lab.submit({"path": "scans/scan.ipynb", "sweep": {"points": points, "parallelism": 2}})
    assert sweep.status == 201, sweep.json
    done = real.reach(sweep.json["id"], "succeeded", "failed", seconds=120)
    assert (done["sentence"], done["sweep"]["succeeded"]) == ("Finished, but 1 of 3 points failed", 2)
    assert (done["lab"]["output"], done["lab"]["output_exists"]) == (f"scans/scan.{done['id']}", True)
    rows = real.lab.get(f"jobs/{done['id']}/points").json["points"]
    assert [(row["parameters"]["lr"], row["values"]) for row in rows] == [
        (0.1, {"loss": 0.2}),
        (0.2, {"loss": 0.4}),
        (0.3, {}),
    ]
    assert "too fast" in rows[2]["sentence"]
    assert [row["lab_output"] for row in rows] == [
        f"scans/scan.{done['id']}/000{number}.ipynb" for number in (1, 2, 3)
    ]
    assert all((real.home / row["output"]).is_file() for row in rows)
    real.write("scans/mended", "")
    again = real.lab.ask("POST", f"jobs/{done['id']}/rerun").json
    assert again["sweep"]["points"] == 1
    real.reach(again["id"], "succeeded", seconds=120)
    text = real.lab.ask("GET", f"jobs/{again['id']}/points", query={"format": "csv"})
    assert text.headers["Content-Type"].startswith("text/csv")
    lines = list(csv.DictReader(io.StringIO(text.body.decode())))
    assert [(line["lr"], line["state"]) for line in lines] == [
        ("0.1", "succeeded"),
        ("0.2", "succeeded"),
        ("0.3", "succeeded"),
    ]
    assert float(lines[2]["loss"]) == 0.6


def test_a_sweep_of_a_script_from_the_command_line_and_its_table(real: Any) -> None:
    # A folder of its own: Python looks for modules beside the script, and other tests have files called as some are.
    real.write(
        "swept/fit.py", "import sys\nfrom aiinfn_lab import record\nrecord(args=' '.join(sys.argv[1:]))\n"
    )
    told = real.aiinfn(
        "submit",
        "swept/fit.py",
        "--sweep",
        "lr=0.1,0.2",
        "--sweep",
        "seed=1..2",
        "--parallelism",
        "2",
        "-o",
        "json",
    )
    sweep = told.json
    assert (sweep["sweep"]["points"], sweep["sweep"]["parallelism"]) == (4, 2)
    real.aiinfn("wait", sweep["id"])
    rows = list(csv.DictReader(io.StringIO(real.aiinfn("points", sweep["id"], "-o", "csv").out)))
    assert [row["args"] for row in rows] == [
        f"'--lr={lr} --seed={seed}" for lr in ("0.1", "0.2") for seed in (1, 2)
    ]
    shown = real.aiinfn("points", sweep["id"]).out.splitlines()
    assert shown[0].split() == ["POINT", "lr", "seed", "STATE", "TOOK", "args", "JOB"]
    assert shown[1].split()[:4] == ["1", "0.1", "1", "succeeded"]
    again = real.aiinfn("rerun", sweep["id"], "--points", "2,3", "-o", "json").json
    assert again[0]["sweep"]["points"] == 2
    real.aiinfn("cancel", again[0]["id"])
    assert "Points of this sweep" not in real.aiinfn("rerun", sweep["id"], "--points", "9", code=3).err
    table = real.write("points.csv", "lr,seed\n0.5,7\n")
    told = real.aiinfn("submit", "swept/fit.py", "--table", str(table), "-o", "json").json
    assert told["sweep"]["points"] == 1
    assert (
        "Give either"
        in real.aiinfn("submit", "swept/fit.py", "--table", str(table), "--sweep", "a=1", code=2).err
    )
    assert "A command cannot be swept" in real.aiinfn("submit", "--sweep", "a=1", "--", "true", code=3).err
