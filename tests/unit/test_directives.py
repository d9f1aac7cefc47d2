"""Header comments: ``# AIINFN accelerator=t4 time=2h``."""

import json
import shlex
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiinfn_hub.contract.problem import Refusal
from aiinfn_hub.vkd.services.submission import CHOICES
from aiinfn_lab.paths import HomeDocument, is_printable
from aiinfn_lab.submission import directives


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("", {}),
        ("print(1)", {}),
        ("# AIINFN accelerator=t4 time=2h\n", {"accelerator": "t4", "time_limit": "2h"}),
        ("#AIINFN count=2", {"count": "2"}),
        ("## AIINFN count=2\r\n", {"count": "2"}),
        ("\ufeff# AIINFN queue=q", {"queue": "q"}),
        ("#!/bin/bash\n\n# about\n  # AIINFN size=large\necho", {"size": "large"}),
        ("# AIINFN size=large\n# AIINFN image=root\n", {"size": "large", "image": "root"}),
        ("# AIINFN name='a long run' project=\"p\"", {"name": "a long run", "project": "p"}),
        ("%load_ext x\n# AIINFN size=s", {"size": "s"}),
        ("# AIINFN", {}),
        ("# AIINFN size=s size=s", {"size": "s"}),
        ("import os\n# AIINFN size=large", {}),
        ('"""\n# AIINFN size=large\n"""', {}),
        ("# aiinfn size=large", {}),
        ("# AIINFNX size=large", {}),
        ("# see AIINFN size=large", {}),
        ("x = 1  # AIINFN size=large", {}),
    ],
)
def test_what_stands_before_the_code_is_read(source: str, found: dict[str, Any]) -> None:
    assert directives.read(source, "'a.py'") == found


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("# AIINFN acelerator=t4", "Line 2 of 'a.py' has 'acelerator', which is nothing that a job has."),
        ("# AIINFN t4", "Line 2 of 'a.py' has 't4', which is no NAME=VALUE."),
        ("# AIINFN size=", "Line 2 of 'a.py' gives no usable value to 'size'."),
        ("# AIINFN size='large", "Line 2 of 'a.py' has a quote that is not closed."),
        ("# AIINFN time=1h time_limit=2h", "Line 2 of 'a.py' gives 'time_limit' a second value."),
        ("# AIINFN __import__('os')=1", "Line 2 of 'a.py' has '__import__(os)=1', which is no NAME=VALUE."),
    ],
)
def test_a_mistake_is_told_with_its_line_and_an_example(line: str, words: str) -> None:
    with pytest.raises(Refusal) as told:
        directives.read(f"#!/bin/sh\n{line}\n", "'a.py'")
    assert told.value.message == words
    assert "# AIINFN accelerator=t4 time=2h" in told.value.hint


def test_it_sets_only_what_a_submission_has() -> None:
    assert set(directives.KEYS.values()) == {*CHOICES, "name", "labels"}


@pytest.mark.parametrize("parts", [str, lambda source: source.splitlines(keepends=True)])
def test_of_a_notebook_the_first_code_cell_counts(parts: type[Any] | Callable[..., Any]) -> None:
    cells = [
        {"cell_type": "markdown", "source": parts("# AIINFN size=wrong")},
        {"cell_type": "code", "source": parts("# AIINFN size=large\nx = 1")},
        {"cell_type": "code", "source": parts("# AIINFN size=wrong")},
    ]
    data = json.dumps({"cells": cells}).encode()
    document = HomeDocument("a.ipynb", "a.ipynb", Path("/"), "a.ipynb", data, datetime.now(UTC))
    assert directives.of_document(document) == {"size": "large"}


VALUES = st.dictionaries(
    st.sampled_from(sorted(set(directives.KEYS.values()))),
    st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"], include_characters=" "), min_size=1),
    min_size=1,
)


@given(VALUES, st.sampled_from(["", "#!/bin/bash\n", "\n\n# by me\n"]), st.text(st.characters(codec="utf-8")))
def test_what_is_written_is_read_again_whatever_the_code_is(
    values: dict[str, Any], head: str, code: str
) -> None:
    assert directives.read(f"{head}{directives.write(values)}\nx = {shlex.quote(code)}", "f") == values


@given(st.text())
def test_any_text_is_read_or_refused_with_a_sentence(text: str) -> None:
    try:
        found = directives.read(f"# AIINFN {text}", "f")
    except Refusal as refusal:
        found, words = {}, [refusal.message, refusal.hint]
    else:
        words = list(found.values())
    assert found.keys() <= set(directives.KEYS.values())
    assert all(word and is_printable(word) for word in words)
