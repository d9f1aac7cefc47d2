"""What of a kernel's variables can be carried, and that it is carried: with real kernels."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.kernels import Kernel, own_kernel

# Starting a kernel costs more than all that is done with it here.


@pytest.fixture(scope="module")
def _kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with own_kernel(tmp_path_factory.mktemp("kernel")) as kernel:
        yield kernel


@pytest.fixture
def kernel(_kernel: Kernel, tmp_path: Path) -> Kernel:
    """A kernel without variables, in the test's folder."""
    _kernel.run("%reset -f")
    _kernel.run(f"import os\nos.chdir({str(tmp_path)!r})\ndel os")
    return _kernel


@pytest.fixture(scope="module")
def _other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with own_kernel(tmp_path_factory.mktemp("kernel")) as kernel:
        yield kernel


@pytest.fixture
def other(_other: Kernel) -> Kernel:
    """Another kernel, as that of a job."""
    _other.run("%reset -f")
    return _other


REFUSED = """
import _thread, csv, mmap, queue, socket, sqlite3, subprocess, threading, concurrent.futures
file = open("notes.txt", "w")
raw = open("notes.txt", "rb")
held = {"deep": [1, {"file": file}]}
numbers = (n for n in range(5))
first = next(numbers)
lock = threading.Lock()
event = threading.Event()
thread = threading.Thread(target=print)
pool = concurrent.futures.ThreadPoolExecutor(1)
process = subprocess.Popen(["sleep", "60"])
database = sqlite3.connect(":memory:")
plug = socket.socket()
jobs = queue.Queue()
table = csv.reader([])
class Stubborn:
    def __reduce__(self):
        raise RuntimeError("not me")
stubborn = Stubborn()
"""
WORDS = {
    "file": "It is an open file.",
    "raw": "It is an open file.",
    "held": "It holds an open file.",
    "numbers": "It is a generator, whose place in its code cannot be written down.",
    "lock": "It is a lock of this process.",
    "event": "It is a lock of this process.",
    "thread": "It is a thread of this process.",
    "pool": "It is a thread of this process.",
    "process": "It is another process that this one has started.",
    "database": "It is a connection, which ends with this process.",
    "plug": "It is a connection, which ends with this process.",
    "jobs": "It is a queue between threads or processes.",
    "table": "It is an object of the type _csv.reader, which only this process has.",
    "stubborn": "It is an object of the type __main__.Stubborn, which only this process has.",
}


def test_what_cannot_be_carried_is_named_with_its_reason_and_left_out_alone(
    kernel: Kernel, tmp_path: Path
) -> None:
    kernel.run(REFUSED)
    found = kernel.look()
    reasons = {each["name"]: each["reason"] for each in found["variables"] if "reason" in each}
    assert reasons == WORDS
    assert {each["name"] for each in found["variables"] if "reason" not in each} == {"first", "Stubborn"}
    saved = kernel.save(tmp_path / "state")
    assert {each["name"]: each["reason"] for each in saved["left_out"]} == WORDS
    assert {"first", "Stubborn", "threading"} <= set(saved["carried"])
    # Nothing was used up, closed or emptied by looking at it.
    assert kernel.run("print(next(numbers), file.closed, lock.locked())") == "1 False False\n"
    kernel.run("process.kill(); process.wait(); file.close(); raw.close(); plug.close()")


STATE = """
import random
import sys
from collections import namedtuple
from dataclasses import dataclass
from enum import Enum

import numpy as np

array = np.arange(100_000.0)
same = array
frozen = np.arange(5)
frozen.flags.writeable = False
loop = []
loop.append(loop)
pairs = {"array": array, "loop": loop}
limit = 3
_private = "kept"
Point = namedtuple("Point", "x y")
point = Point(1, 2)

class Colour(Enum):
    RED = 1

colour = Colour.RED

@dataclass
class Box:
    size: int
    def fits(self):
        return above(self.size), limit

def above(x):
    return x > limit

def make(n):
    def inner(x):
        return x + n + limit
    return inner

box = Box(5)
adder = make(10)
stream = sys.stdout
words = "\\u00e8 \\ud83d\\ude00" + chr(0xDC80)
generator = np.random.default_rng(3)
generator.random()
random.seed(1), np.random.seed(1)
"""
SAME = """
assert same is array and pairs["array"] is array and loop[0] is loop and pairs["loop"] is loop
assert array.flags.writeable and not frozen.flags.writeable
assert type(box) is Box and box == Box(5) and box.fits() == (True, 3) and colour is Colour.RED
assert isinstance(point, Point) and point.y == 2 and _private == "kept"
assert adder(1) == 14 and words == "\\u00e8 \\ud83d\\ude00" + chr(0xDC80)
# Functions of the notebook live in its namespace: what a later cell assigns is seen by them.
limit = 100
assert above(50) is False and box.fits() == (False, 100) and adder(1) == 111
assert above.__globals__ is globals() and Box.__module__ == "__main__"
array[0] = 7
assert same[0] == 7
print("here", file=stream)
print(random.random(), np.random.random(), generator.random(), type(__builtins__).__name__)
"""


def test_the_variables_are_in_another_kernel_as_they_were(
    kernel: Kernel, other: Kernel, tmp_path: Path
) -> None:
    path = tmp_path / "state"
    kernel.run(STATE)
    found = kernel.look("box")
    assert not [each for each in found["variables"] if "reason" in each]
    # What a needed object's class needs is needed as well.
    assert {each["name"] for each in found["variables"] if each["used"]} == {"box", "Box", "above", "limit"}
    sizes = {each["name"]: each["size"] for each in found["variables"]}
    assert 800_000 < sizes["array"] < 801_000
    assert kernel.save(path)["left_out"] == []
    expected = kernel.run("print(random.random(), np.random.random(), generator.random())")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    # Shared data are in the file once.
    assert 800_000 < path.stat().st_size < 850_000
    assert "box" in other.ask(do="restore", path=str(path))["restored"]
    printed = other.run(SAME)
    assert printed == "here\n" + expected.strip() + " module\n"


def test_nothing_of_it_stays_in_the_kernel(kernel: Kernel, tmp_path: Path) -> None:
    kernel.run("x = 1\nimport sys\nnames, modules, cells = set(globals()), set(sys.modules), len(In)")
    kernel.look("x")
    kernel.save(tmp_path / "state")
    said = kernel.run(
        "print(sorted(n for n in set(globals()) - names if not n.startswith('_i')),"
        " [m for m in set(sys.modules) - modules if 'aiinfn' in m], len(In) - cells)"
    )
    assert said == "['cells', 'modules', 'names'] [] 1\n"


def test_a_huge_array_is_neither_read_nor_copied_to_learn_its_size(kernel: Kernel, tmp_path: Path) -> None:
    # Its pages are made only when they are touched.
    kernel.run("import numpy as np, resource\nhuge = np.zeros(125_000_000)\nsame = huge")
    before = int(kernel.run("print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"))
    found = kernel.look()
    after = int(kernel.run("print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"))
    huge, same = [each for each in found["variables"] if each["type"].startswith("ndarray")]
    assert huge["type"] == "ndarray 125000000 float64"
    assert huge["size"] > 10**9
    # Both are the same gigabyte.
    assert huge["buffers"] == same["buffers"]
    assert after - before < 100_000
    refused = kernel.save(tmp_path / "state", limit=10**6)
    assert refused == {"problem": "too_large"}
    assert list(tmp_path.iterdir()) == []


def test_looking_comes_to_an_end(kernel: Kernel, tmp_path: Path) -> None:
    kernel.run("class C: pass\nmany = [C() for _ in range(300_000)]\nsmall = 1")
    found = {each["name"]: each for each in kernel.look("small", seconds=0.05)["variables"]}
    assert found["many"]["unsure"]
    assert found["small"]["size"] < 100
    # It is carried all the same.
    assert "many" in kernel.save(tmp_path / "state")["carried"]


def test_what_belongs_to_the_place_is_carried_and_what_belongs_to_ipython_is_not(
    kernel: Kernel, other: Kernel, tmp_path: Path
) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/mine.py").write_text("def twice(x): return 2 * x\n")
    (tmp_path / "work").mkdir()
    path = tmp_path / "state"
    kernel.run(
        "import os, sys\nsys.path.insert(0, os.path.abspath('lib'))\nimport mine\nfrom mine import twice\nos.chdir('work')\n"
        "%load_ext autoreload\nimport matplotlib\nmatplotlib.rcParams['lines.linewidth'] = 7"
    )
    kernel.run("In = 5")
    kernel.save(path)
    header = json.loads(path.read_bytes().partition(b"\n")[0])
    assert header["extensions"] == ["IPython.extensions.autoreload"]
    answer = other.ask(do="restore", path=str(path))
    assert "restored" in answer, answer
    assert not {"In", "Out", "get_ipython", "exit", "_ih"} & set(answer["restored"])
    assert answer["differences"] == answer["warnings"] == []
    said = other.run(
        "print(mine.twice(2), twice(3), os.path.basename(os.getcwd()), matplotlib.rcParams['lines.linewidth'],"
        " 'IPython.extensions.autoreload' in get_ipython().extension_manager.loaded, type(In).__name__)"
    )
    assert said == "4 6 work 7.0 True list\n"


@pytest.mark.parametrize("damage", ["short", "other", "gone"])
def test_a_damaged_file_is_an_error_in_words_and_leaves_the_kernel_as_it_was(
    kernel: Kernel, tmp_path: Path, damage: str
) -> None:
    path = tmp_path / "state"
    kernel.run("import numpy as np\nfirst = 1\nsecond = np.arange(1000)")
    kernel.save(path)
    data = path.read_bytes()
    if damage == "short":
        path.write_bytes(data[: len(data) - 5000])
    elif damage == "other":
        path.write_bytes(b"something else\n")
    else:
        path.unlink()
    kernel.run("%reset -f")
    answer = kernel.ask(do="restore", path=str(path))
    assert "restored" not in answer
    assert answer["error"]
    assert kernel.run("print([n for n in globals() if n in ('first', 'second')])") == "[]\n"


def test_a_variable_that_cannot_be_read_here_is_named_and_the_others_arrive(
    kernel: Kernel, other: Kernel, tmp_path: Path
) -> None:
    (tmp_path / "gone.py").write_text("class Thing: pass\ndef make(*parts): return parts\n")
    path = tmp_path / "state"
    kernel.run(
        "import numpy as np\nfrom gone import Thing\na = [1]\nshared = {'k': 2}\nbig = np.arange(1000)\n"
        "thing = Thing(); thing.held = ['within', a, big]; thing.more = {'x': b'own'}\n"
        "inner = thing.held\nb = [shared, a, {'y': big}]\nc = b[2]\nd = (c, 'last', np.zeros(3))\n"
        "def f(x): return x + len(b)\nouter = ['whole', Thing()]\nalias = {'outer': outer}\nlast = [a]\ndel Thing"
    )
    assert "thing" in kernel.save(path)["carried"]
    (tmp_path / "gone.py").unlink()
    answer = other.ask(do="restore", path=str(path))
    reasons = {each["name"]: each["reason"] for each in answer["left_out"]}
    assert reasons["thing"].startswith("It cannot be read here: ModuleNotFoundError: No module named 'gone'")
    # What it shared with others is not there, and nothing else stands in for it.
    assert reasons["inner"] == "It cannot be read here: it shares something with another that cannot be read."
    assert set(reasons) == {"thing", "inner", "outer", "alias"}
    assert set(answer["restored"]) >= {"a", "shared", "big", "b", "c", "d", "f", "last"}
    said = other.run(
        "print(b == [{'k': 2}, [1], {'y': big}], b[0] is shared, b[1] is a, b[2] is c, d[0] is c, c['y'] is big, last[0] is a)\n"
        "print(big.sum(), d[1], d[2].tolist(), f(1))"
    )
    assert said == "True True True True True True True\n499500 last [0.0, 0.0, 0.0] 4\n"


VALUES = {
    "newtype": ("import typing\nx = typing.NewType('x', int)", ""),
    "no_new": (
        "class P:\n    def __new__(cls, a):\n        self = super().__new__(cls); self.a = a; return self\nx = P(3)",
        "",
    ),
    "cached": (
        (
            "from functools import lru_cache\n@lru_cache(maxsize=9, typed=True)\n"
            "def x(n):\n    'Fibonacci'\n    return n if n < 2 else x(n - 1) + x(n - 2)\nx(20)"
        ),
        "print(x(30), x.cache_parameters(), x.__doc__, x.__wrapped__(1))",
    ),
    "cached method": (
        "from functools import cache\nclass A:\n    @cache\n    def v(self, n): return n\nx = A()",
        "print(x.v(4))",
    ),
    "error": (
        (
            "class Bad(Exception):\n    def __init__(self, run, reason):\n"
            "        super().__init__(f'run {run}: {reason}'); self.run = run\nx = [Bad(1, 'no beam')]"
        ),
        "print(x[0], x[0].run, x[0].args)",
    ),
    "keywords": (
        "class E(Exception):\n    def __init__(self, *, code): super().__init__(code); self.code = code\nx = E(code=3)",
        "print(x.code, x.args)",
    ),
    "json": ("import json\ntry:\n    json.loads('{')\nexcept ValueError as e:\n    x = e", "print(x.pos)"),
    "unicode": ("try:\n    b'\\xff'.decode()\nexcept ValueError as e:\n    x = e", "print(x.start)"),
    "enum": ("from enum import Enum\nclass C(Enum):\n    R = 1\nx = {C.R: 1}", "print([c.value for c in x])"),
    "exits": (
        "class Leaves:\n    def __setstate__(self, state): raise SystemExit\n    def __init__(self): self.a = 1\nx = Leaves()",
        "",
    ),
}


@pytest.mark.parametrize("name", VALUES)
def test_what_is_promised_can_be_read_back(kernel: Kernel, other: Kernel, tmp_path: Path, name: str) -> None:
    make, show = VALUES[name]
    path = tmp_path / "state"
    kernel.run(f"{make}\ndata = [1]")
    looked = {each["name"]: each.get("reason") for each in kernel.look()["variables"]}
    assert kernel.save(path)["carried"].count("x") == (looked["x"] is None)
    answer = other.ask(do="restore", path=str(path))
    assert "data" in answer["restored"]
    if show:
        assert looked["x"] is None
        assert other.run(show) == kernel.run(show)
    else:
        assert looked["x"].startswith("It can be written but not read back: ")
        assert "x" not in answer["restored"]


@pytest.mark.parametrize(
    "code",
    [
        "class Panic(BaseException): pass\nclass A:\n    def __reduce__(self): raise Panic('of compiled code')\nx = A()",
        "class A:\n    def __reduce__(self): raise SystemExit\nx = A()",
        # As lazy proxies do that have nothing to stand for.
        "class A:\n    @property\n    def __class__(self): raise RuntimeError('not now')\nx = A()",
    ],
)
def test_a_value_whose_code_fails_in_any_way_does_not_keep_others_from_being_carried(
    kernel: Kernel, tmp_path: Path, code: str
) -> None:
    kernel.run(f"{code}\ndata = [1]")
    looked = {each["name"]: each.get("reason") for each in kernel.look()["variables"]}
    assert looked["x"] == "It is an object of the type __main__.A, which only this process has."
    assert looked["data"] is None
    saved = kernel.save(tmp_path / "state")
    assert "data" in saved["carried"]
    assert "x" in {each["name"] for each in saved["left_out"]}


def test_a_value_that_ends_the_process_when_it_is_read_is_named_and_the_others_arrive(
    kernel: Kernel, other: Kernel, tmp_path: Path
) -> None:
    kernel.run(
        "import os\nclass A:\n    def __reduce__(self): return os.abort, ()\n"
        "first = [1]\na = A()\nbetween = [2]\nb = A()\nlast = [3]"
    )
    looked = {each["name"]: each for each in kernel.look()["variables"]}
    why = "It can be written but not read back: reading it ends the process."
    assert {name: each.get("reason") for name, each in looked.items() if name != "A"} == {
        "first": None,
        "a": why,
        "between": None,
        "b": why,
        "last": None,
    }
    assert not any(each.get("unsure") for each in looked.values())
    kernel.save(tmp_path / "state")
    assert {"first", "between", "last"} <= set(
        other.ask(do="restore", path=str(tmp_path / "state"))["restored"]
    )


def test_an_error_that_cannot_be_told_does_not_keep_the_rest_from_being_tried(kernel: Kernel) -> None:
    kernel.run(
        "class A:\n    def __init__(self): self.a = 1\n    def __setstate__(self, state):\n"
        "        class Mute(Exception):\n            def __str__(self): raise ValueError\n        raise Mute\n"
        "a = A()\nlast = [3]"
    )
    looked = {each["name"]: each for each in kernel.look()["variables"]}
    assert looked["a"]["reason"] == "It can be written but not read back: Mute."
    assert not any(each.get("unsure") for each in looked.values())


def test_reading_on_trial_changes_nothing_in_the_kernel(kernel: Kernel, tmp_path: Path) -> None:
    kernel.run(
        "import os\nlog = open('log', 'w'); log.write('once ')\ncount = 0\n"
        "class Tmp:\n    def __init__(self): open('kept', 'w').close()\n"
        "    def __setstate__(self, state):\n        global count\n        count += 1; print('read')\n"
        "    def __getstate__(self): return {'a': 1}\n"
        "    def __del__(self): os.path.exists('kept') and os.unlink('kept')\n"
        "tmp = Tmp()"
    )
    found = kernel.look()
    assert not any(each.get("unsure") for each in found["variables"])
    assert (
        kernel.run("log.close(); print(count, os.path.exists('kept'), open('log').read())")
        == "0 True once \n"
    )


def test_a_value_that_does_not_come_to_an_end_when_it_is_read_is_not_promised(kernel: Kernel) -> None:
    kernel.run(
        "class Slow:\n    def __init__(self): self.a = 1\n"
        "    def __setstate__(self, state): import time; time.sleep(600)\nfirst = 1\nlast = Slow()"
    )
    found = {each["name"]: each for each in kernel.look(seconds=2)["variables"]}
    assert found["last"]["unsure"]
    assert "unsure" not in found["first"]


def test_a_kernel_without_cloudpickle_borrows_it(kernel: Kernel, other: Kernel, tmp_path: Path) -> None:
    path = tmp_path / "state"
    without = (
        "import sys\nclass No:\n    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'cloudpickle':\n            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, No())\n"
        "for name in [name for name in sys.modules if name.startswith('cloudpickle')]:\n    del sys.modules[name]\n"
        "%reset -f"
    )
    kernel.run(without)
    kernel.run("def f(x):\n    return x + 1")
    assert kernel.save(path)["carried"] == ["f"]
    other.run(without)
    assert other.ask(do="restore", path=str(path))["restored"] == ["f"]
    assert other.run("print(f(1))") == "2\n"
