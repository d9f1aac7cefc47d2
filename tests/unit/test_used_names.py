"""What the cells that remain take from the notebook's namespace."""

import pytest

from aiinfn_lab.kernel_state.used_names import read


@pytest.mark.parametrize(
    ("cells", "needed"),
    [
        (["print(x)"], {"print", "x"}),
        (["x = 1", "x + y"], {"y"}),
        (["y = x", "x = 1"], {"x"}),
        (["x += 1"], {"x"}),
        (["x: int = a"], {"int", "a"}),
        (["x: int"], set()),
        (["x[0] = 1"], {"x"}),
        (["x.y = 1"], {"x"}),
        (["del x"], {"x"}),
        (["x = 1\ndel x\nx"], {"x"}),
        (["import numpy as np, os.path\nnp.zeros(os.sep)"], set()),
        (["from a import b as c\nc, b"], {"b"}),
        # What may not have happened does not count as an assignment; what happens in any case does.
        (["for i in xs:\n    last = i\nlast"], {"xs", "last"}),
        (["for i in xs:\n    t = i\n    t + i"], {"xs"}),
        (["if a:\n    b = 1\nelse:\n    b = 2\nb"], {"a"}),
        (["if a:\n    b = 1\nb"], {"a", "b"}),
        (["while a:\n    b = 1\nb"], {"a", "b"}),
        (["try:\n    b = 1\nexcept E as e:\n    e\nb"], {"E", "b"}),
        (["try:\n    b = 1\nfinally:\n    b\nb"], set()),
        (["with f(x) as g:\n    y = g\ny"], {"f", "x"}),
        (["[i + k for i in xs if i > t]\ni"], {"xs", "k", "t", "i"}),
        (["{a: b for a, b in pairs}"], {"pairs"}),
        (["(n := 10) + n"], set()),
        (["a, (b, *c) = d\na + b + c"], {"d"}),
        # Functions use names when they are called: what a cell assigns before that is not needed.
        (["def f(a, *b, c=d):\n    e = a\n    return a + b + c + e + g + f(1)\nf(1)"], {"d", "g"}),
        (["def f():\n    return late\nlate = 1\nf()"], set()),
        (["def f():\n    global n\n    n = n + 1"], {"n"}),
        (["h = lambda a, b=k: a + b + z"], {"k", "z"}),
        (["class C(Base):\n    x = y\n    def m(self):\n        return w\nC"], {"Base", "y", "w"}),
        # Magics and shell commands
        (["%timeit f(x)"], {"timeit", "f", "x"}),
        (["!ls {folder} $other"], {"folder", "other"}),
        (["files = !ls {folder}\nfiles"], {"folder"}),
        (["%%time\ny = f(x)\ny"], {"time", "f", "x"}),
        (["%%bash\necho $x y"], {"x"}),
        (["data.query('mass > @cut')"], {"data", "cut"}),
        # A cell that cannot be read may need each of its words.
        (["a b"], {"a", "b"}),
    ],
)
def test_names_that_are_read_before_they_are_assigned(cells: list[str], needed: set[str]) -> None:
    assert read(cells).names == needed


def test_history_and_names_that_are_made_while_the_code_runs_are_told() -> None:
    assert read(["y = Out[3] + _ + _12 + _i"]).history == ["Out", "_", "_12", "_i"]
    assert read(["_private = 1\nself_ = 2"]).history == []
    assert read(["exec(text)"]).dynamic
    assert not read(["execute(text)"]).dynamic
