"""What JupyterLab fetches of the labextension at each start stays small."""

import json
import re
from pathlib import Path

BUILT = Path(__file__).parents[2] / "aiinfn_lab/labextension"


def test_the_container_and_the_plugins_are_no_more_than_twenty_kilobytes() -> None:
    entry = BUILT / json.loads((BUILT / "package.json").read_text())["jupyterlab"]["_build"]["load"]
    exposed = re.search(r'"\./extension":\(\)=>(.*?)then', entry.read_text())
    assert exposed
    chunks = [
        path
        for number in re.findall(r"\.e\((\d+)\)", exposed[1])
        for path in entry.parent.glob(f"{number}.*.js")
    ]
    assert chunks
    assert sum(path.stat().st_size for path in (entry, *chunks)) <= 20_000
