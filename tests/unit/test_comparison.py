"""The comparison with jupyter-scheduler: what the page claims can be read again, and what counts acts counts them."""

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from bench.comparison import result
from bench.comparison.peer import LOCK, REQUIREMENTS
from bench.comparison.result import Acts, Comparison, Machine, Measured, Run

NUMBER = re.compile(r"\d+(?:\.\d+)?")


def shown() -> Any:
    return result.figures_of(result.DOCUMENT.read_text())


def complete(tables: Any) -> None:
    assert tables.keys() == result.TABLES.keys()
    for title, rows in result.TABLES.items():
        assert list(tables[title]) == [name for name, _ in rows]
        for cell in (cell for cells in tables[title].values() for cell in cells):
            assert NUMBER.match(cell)
            if "(" in cell:
                median, least, most = (float(number) for number in NUMBER.findall(cell))
                assert least <= median <= most


def test_the_page_says_that_it_was_not_measured_or_has_every_row_with_figures_of_both() -> None:
    if result.UNMEASURED in result.DOCUMENT.read_text():
        assert shown() == {}
    else:
        complete(shown())


def test_a_comparison_writes_every_row_into_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "comparison.md"
    page.write_text(result.DOCUMENT.read_text())
    monkeypatch.setattr(result, "DOCUMENT", page)
    result.document(comparison())
    complete(shown())
    assert result.UNMEASURED not in page.read_text()
    assert "## What each can do" in page.read_text()


def run(**changes: Any) -> Run:
    values = dict.fromkeys(Run.__annotations__, 1.5) | {"acts": Acts(3, 0, 1)} | changes
    return Run(**values)


def comparison(**changes: Any) -> Comparison:
    runs = [run(), run(to_open=2.5), run(to_open=0.5)]
    measured = Measured(plain=runs, parameter=runs, failing=runs, list_ms=[1.0, 2.0], **changes)
    machine = Machine("2026-11-26 22:00 UTC", 2, 24.0, (1.0, 1.0, 1.0), "3.11", "4.6.6", "2.12.1", "150")
    return Comparison(machine, machine, 1000, {result.OURS: measured, result.PEER: measured})


def test_what_is_kept_gives_the_same_tables(tmp_path: Path) -> None:
    found = comparison(start_bytes=28_269)
    kept = tmp_path / "kept.json"
    kept.write_text(json.dumps(asdict(found)))
    assert result.load(kept) == found
    text = result.tables(result.load(kept))
    assert "| open notebook to open output | 1.5 (0.5 to 2.5) | 1.5 (0.5 to 2.5) |" in text
    assert "| fetched at JupyterLab's start, kB | 28 | 28 |" in text
    assert (
        result.figures_of(f"<!-- figures -->\n{text}\n<!-- end of figures -->").keys() == result.TABLES.keys()
    )


def test_runs_that_need_other_acts_are_not_averaged() -> None:
    found = comparison()
    found.systems[result.OURS].plain.append(run(acts=Acts(4, 0, 1)))
    with pytest.raises(ValueError, match="values"):
        result.tables(found)


def test_the_other_environment_has_its_own_packages_with_hashes_and_no_version_of_ours_twice() -> None:
    locked = set(re.findall(r"^([a-z0-9-]+)==", LOCK.read_text(), re.MULTILINE))
    own = re.findall(r"^([a-z0-9-]+)(==.*)?$", REQUIREMENTS.read_text(), re.MULTILINE)
    assert ("jupyter-scheduler", "==2.12.1 \\") in own
    for name, version in own:
        assert (name in locked) != bool(version), name
    blocks = re.findall(
        r"^[a-z0-9-]+==.*\n(?: +--hash=sha256:[0-9a-f]{64}.*\n?)+", REQUIREMENTS.read_text(), re.MULTILINE
    )
    assert len(blocks) == sum(bool(version) for _, version in own)
