"""JupyterLab in Italian: the catalogue of the labextension reaches the page, and the settings are translated."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from tests.lab.conftest import Lab

SETTINGS = "/lab/api/settings"
TRANSLATIONS = "/lab/api/translations/"


def test_with_jupyterlabs_language_pack_ours_speaks_it_too(
    start_server: Callable[..., AbstractContextManager[Lab]], tmp_path: Path
) -> None:
    with start_server(tmp_path, {"LANG": "C.UTF-8"}, extensions=["jupyterlab"]) as lab:
        languages = lab.get(TRANSLATIONS).json["data"]
        assert languages["it_IT"]["nativeName"] == "Italiano (Italia)"

        def settings() -> dict[str, Any]:
            return lab.get(f"{SETTINGS}/@aiinfn/labextension:plugin").json["schema"]

        english = settings()
        assert english["properties"]["notifications"]["title"] == "Notifications"

        told = lab.get(f"{TRANSLATIONS}it_IT").json["data"]["aiinfn"]
        assert told[""]["language"] == "it-IT"
        assert told["Submit as batch"] == ["Invia come batch"]
        assert told["%1 waiting"] == ["%1 in attesa", "%1 in attesa"]

        chosen = lab.ask(
            "PUT",
            f"{SETTINGS}/@jupyterlab/translation-extension:plugin",
            body={"raw": '{"locale": "it_IT"}'},
        )
        assert chosen.status == 204
        italian = settings()
        assert italian["properties"]["notifications"]["title"] == "Notifiche"
        assert italian["jupyter.lab.toolbars"]["Notebook"][0]["label"] == "Invia come batch"
        # What is no text is as it was.
        assert italian["jupyter.lab.menus"] == english["jupyter.lab.menus"]
