"""A user image installs the wheel and needs no Node: the built labextension and the server extension's switch are in it."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_wheel_holds_the_built_labextension_and_switches_the_server_extension_on(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (path,) = tmp_path.glob("aiinfn-*.whl")
    with zipfile.ZipFile(path) as wheel:
        data = {name.split(".data/data/", 1)[1]: name for name in wheel.namelist() if ".data/data/" in name}
        built = "share/jupyter/labextensions/@aiinfn/labextension"
        package = json.loads(wheel.read(data[f"{built}/package.json"]))
        assert f"{built}/{package['jupyterlab']['_build']['load']}" in data
        assert f"{built}/schemas/@aiinfn/labextension/plugin.json" in data
        assert f"{built}/install.json" in data
        switch = json.loads(wheel.read(data["etc/jupyter/jupyter_server_config.d/aiinfn_lab.json"]))
        assert switch["ServerApp"]["jpserver_extensions"] == {"aiinfn_lab": True}
        packages = {name.partition("/")[0] for name in wheel.namelist()}
        assert {"aiinfn_hub", "aiinfn_lab"} <= packages
        assert "tests" not in packages
        assert "aiinfn_lab/runner/__main__.py" in wheel.namelist()
        assert "aiinfn_hub/templates/aiinfn/form.js" in wheel.namelist()
        italian = json.loads(wheel.read("aiinfn_lab/locale/it_IT/LC_MESSAGES/aiinfn.json"))
        assert italian["Submit as batch"] == ["Invia come batch"]
        points = next(name for name in wheel.namelist() if name.endswith("entry_points.txt"))
        told = wheel.read(points).decode()
        assert "aiinfn = aiinfn_lab.cli:main" in told
        assert "[jupyterlab.locale]\naiinfn = aiinfn_lab" in told
