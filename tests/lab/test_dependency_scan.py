"""What is read from the text of a notebook or a script: never executed, and never an exception."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aiinfn_lab.precheck.dependency_scan import Mentions, read


def mentions(*cells: Any, **options: Any) -> Mentions:
    return read(cells, notebook=True, **options)


@pytest.mark.parametrize(
    ("code", "imports"),
    [
        ("import numpy as np, pandas.io", {"numpy": True, "pandas": True}),
        ("from sklearn.svm import SVC\nfrom . import mine\nfrom .. import a", {"sklearn": True}),
        ("try:\n    import torch\nexcept ImportError:\n    import jax", {}),
        ("try:\n    import torch\nexcept (OSError, ModuleNotFoundError):\n    pass", {}),
        ("try:\n    import torch\nexcept ValueError:\n    import jax", {"torch": True, "jax": False}),
        ("with contextlib.suppress(ImportError):\n    import cupy", {}),
        ("with open('x') as f:\n    import cupy", {"cupy": True}),
        ("def later():\n    import scipy", {"scipy": False}),
        ("def later():\n    import scipy\nimport scipy", {"scipy": True}),
        ("class A:\n    import scipy", {"scipy": True}),
        ("if gpu:\n    import cupy\nelse:\n    import numpy", {"cupy": False, "numpy": False}),
        ("if __name__ == '__main__':\n    import fire", {"fire": True}),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import polars", {"typing": True}),
        ("'import nothing'\n# import nothing", {}),
        ("await x()\nimport aiohttp", {"aiohttp": True}),
    ],
)
def test_imports(code: str, imports: dict[str, Any]) -> None:
    assert mentions(code).imports == imports


@pytest.mark.parametrize(
    ("cell", "imports"),
    [
        ("%matplotlib inline\nimport numpy", ["numpy"]),
        ("!ls -l \\\n  *.csv\nimport numpy", ["numpy"]),
        ("files = !ls\nimport numpy", ["numpy"]),
        ("if x:\n    %time f()\nimport numpy", ["numpy"]),
        ("np.load?\n?np\nnp??\nimport numpy", ["numpy"]),
        ("%%time\nimport numpy", ["numpy"]),
        ("%%bash\nimport numpy", []),
        ("%%html\n<b>", []),
        ('text = """\n!import\n%%time\n"""\nimport numpy', ["numpy"]),
        ("a = (7\n     % 3)\nimport numpy", ["numpy"]),
        ("x = 'what?'\nimport numpy", ["numpy"]),
        ("\n\n%%capture out\nimport numpy", ["numpy"]),
    ],
)
def test_magics_are_no_obstacle(cell: str, imports: list[str]) -> None:
    found = mentions(cell)
    assert list(found.imports) == imports
    assert found.errors == []


def test_what_is_no_python_is_told_with_its_cell_and_line() -> None:
    found = mentions("import numpy", "x = 1\nfor", "import pandas")
    assert (found.errors, list(found.imports)) == ([(2, 2)], ["numpy", "pandas"])
    assert read(["!ls"], notebook=False).errors == [(1, 1)]


@pytest.mark.parametrize("line", ["%pip install x", "!pip install -q x", "%conda install -y x", "import os\nos.system('pip3 install x')", "import subprocess, sys\nsubprocess.run([sys.executable, '-m', 'pip', 'install', 'x'])"])  # fmt: skip
def test_a_notebook_that_installs_packages_says_so(line: str) -> None:
    assert mentions(line).installs
    assert not mentions("# pip install x").installs


@pytest.mark.parametrize(
    ("code", "wanted"),
    [
        ("open('run.csv')", ["run.csv"]),
        ("open('run.csv', 'rb')", ["run.csv"]),
        ("open('run.csv', mode='r')", ["run.csv"]),
        ("open('run.csv', 'w')", []),
        ("open('run.csv', mode)", []),
        ("pd.read_csv('./data//run3.csv')", ["data/run3.csv"]),
        ("pd.read_csv(filepath_or_buffer='data/run3.csv')", ["data/run3.csv"]),
        ("pd.read_sql('select a.b', c)", []),
        ("pd.read_csv('https://example.org/run.csv')", []),
        ("pd.read_csv('data/*.csv')", []),
        ("np.load('w.npy'); np.loadtxt('t.txt'); np.fromfile('b.bin')", ["w.npy", "t.txt", "b.bin"]),
        ("json.load(open('conf.json'))", ["conf.json"]),
        ("yaml.safe_load('a: b')", []),
        ("torch.load('model.pt', map_location='cpu')", ["model.pt"]),
        ("Image.open('a.png'); gzip.open('b.gz'); fits.open('c.fits')", ["a.png", "b.gz", "c.fits"]),
        ("uproot.open('run.root:events')", ["run.root"]),
        ("ROOT.TFile('a.root'); ROOT.TFile.Open('b.root', 'RECREATE')", ["a.root"]),
        ("ROOT.RDataFrame('events', 'run.root')", ["run.root"]),
        ("h5py.File('a.h5', 'r'); h5py.File('b.h5', 'w')", ["a.h5"]),
        ("webbrowser.open('https://infn.it')", []),
        ("load_dataset('imdb'); tokenizer.load('bert')", []),
        # Put together
        ("DATA = 'data'\npd.read_csv(DATA + '/a.csv')", ["data/a.csv"]),
        ("DATA = Path('data')\npd.read_csv(DATA / 'x' / 'a.csv')", ["data/x/a.csv"]),
        ("DATA = 'data'\nopen(f'{DATA}/a.csv')", ["data/a.csv"]),
        ("open(os.path.join('data', 'a.csv'))", ["data/a.csv"]),
        ("Path('data/a.txt').read_text()", ["data/a.txt"]),
        ("p = Path('a.txt')\np.open(); p.open('w')", []),
        ("p = Path('a.txt')\np.open()", ["a.txt"]),
        ("(Path.home() / 'data/a.txt').read_bytes()", ["~/data/a.txt"]),
        # What cannot be told
        ("for n in range(3):\n    open(f'run{n}.csv')", []),
        ("name = 'a.csv'\nname = 'b.csv'\nopen(name)", []),
        ("name = 'a.csv'\ndef f(name):\n    open(name)", []),
        ("open(sys.argv[1])", []),
        # What it makes or looks for itself
        ("df.to_csv('a.csv')\npd.read_csv('a.csv')", []),
        ("os.makedirs('out')\npd.read_csv('out/a.csv')", []),
        ("Path('out').mkdir()\nopen('out/x/a.csv')", []),
        ("if os.path.exists('a.pt'):\n    torch.load('a.pt')", []),
        ("p = Path('a.pt')\nif p.exists():\n    torch.load(p)", []),
        ("torch.save(model.state_dict(), 'a.pt')\ntorch.load('a.pt')", []),
        ("plt.savefig('a.png')\nplt.imread('a.png')", []),
        ("shutil.copy('a.csv', 'b.csv')\nopen('b.csv')", ["a.csv"]),
        ("'a.csv'.replace('.csv', '.png')", []),
    ],
)
def test_files_that_must_be_there(code: str, wanted: list[str]) -> None:
    assert mentions(code).wanted == wanted


def test_files_in_magics() -> None:
    assert mentions("%run helpers/setup.py -v").wanted == ["helpers/setup.py"]
    assert mentions("%%writefile helper.py\nx = 1", "open('helper.py')").wanted == []


def test_names_go_from_one_cell_to_the_next() -> None:
    assert mentions("DATA = 'data/a.csv'", "open(DATA)").wanted == ["data/a.csv"]


def test_a_parameter_that_is_given_counts_instead_of_the_code() -> None:
    cells = ("data = 'a.csv'", "open(data)")
    assert mentions(*cells, values={"data": "b.csv"}).wanted == ["b.csv"]
    assert mentions(*cells, values={"data": None}).wanted == []
    assert mentions(*cells, values={"other": 3}).wanted == ["a.csv"]


@pytest.mark.parametrize("cell", ["%cd data", "import os\nos.chdir('data')", "!wget https://x/a.csv", "!tar xf a.tgz", "urlretrieve(u, 'a.csv')", "!echo 1 > a.csv", "%%bash\ncurl -O https://x/a.csv", "zipfile.ZipFile('a.zip').extractall()"])  # fmt: skip
def test_where_files_may_come_from_elsewhere_nothing_is_sure(cell: str) -> None:
    assert mentions(cell).unsure


def test_it_is_sure_otherwise() -> None:
    assert not mentions("%matplotlib inline\n!nvidia-smi\n%time x = 1\nprint(3 > 2)").unsure


def test_folders_for_modules() -> None:
    assert mentions("sys.path.append('../src')\nsys.path.insert(0, str(here))").search == ["../src", None]


WORDS = """import |from . |    |open(|'a.csv'|)|%%|%run |!|?|\"\"\"|'|=|x|def f():|try:|except|.read_text()|Path(|/|+|f'{x}'|#|(|["""
PIECES = st.sampled_from([*WORDS.split("|"), "sys.path.append(", "\n", "\\\n", "\0", "\ud800"])


@given(st.lists(st.one_of(st.text(max_size=80), st.lists(PIECES, max_size=25).map("".join)), max_size=4), st.booleans())  # fmt: skip
@example(["(" * 5000], True)
@example(["-" * 20_000 + "1"], True)
@example(["+".join("x" * 4000)], True)
@example(["open(" * 90 + "'a.csv'" + ")" * 90], False)
@example(["".join(f"x{n + 1} = x{n} + x{n}\n" for n in range(60)) + "open(x60)"], True)
@example([" " * 50_000 + "=", "%" + "pip " * 20_000, "a = !" + " " * 50_000, "'" * 50_001], True)
def test_it_never_raises(cells: list[Any], notebook: bool) -> None:
    found = read(cells, notebook=notebook)
    assert all(isinstance(path, str) and path for path in found.wanted)
    assert all(1 <= cell <= len(cells) and line >= 1 for cell, line in found.errors)


def test_there_is_an_end_to_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(["x = 1\n" * 100_000], notebook=True).partial
    found = read(["import numpy\nx = f(a, b)\n" * 5] * 3000, notebook=True)
    assert not found.partial
    assert found.imports == {"numpy": True}
    monkeypatch.setattr("aiinfn_lab.precheck.dependency_scan._SECONDS", -1.0)
    assert read(["import numpy"], notebook=True).partial
