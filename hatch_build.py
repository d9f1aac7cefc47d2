"""Makes the labextension's catalogues out of their sources when the package is built, also for an editable install."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

DOMAIN: Final = "aiinfn"
CONTEXT: Final = "\x04"
"""Stands between a context and its message, as in gettext's own files."""


class Catalogues(BuildHookInterface):  # type: ignore[type-arg]
    """Writes ``aiinfn.json`` beside each ``aiinfn.po`` of the Lab: JupyterLab reads nothing else."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write them before the files are collected."""
        del version, build_data
        compile_catalogues(Path(self.root))


def compile_catalogues(root: Path) -> None:
    """Write the catalogues of a checkout."""
    version = json.loads((root / "labextension/package.json").read_text(encoding="utf-8"))["version"]
    for source in (root / "aiinfn_lab/locale").glob(f"*/LC_MESSAGES/{DOMAIN}.po"):
        with source.open("rb") as stream:
            catalogue = read_po(stream, locale=source.parents[1].name)
        source.with_suffix(".json").write_text(to_json(catalogue, version), encoding="utf-8")


def to_json(catalogue: Catalog, version: str) -> str:
    """Write a catalogue as JupyterLab's front end reads it (Jed's format).

    Parameters
    ----------
    version
        Of this package. A language pack that has the same catalogue in an older version gives way.
    """
    told: dict[str, Any] = {
        "": {
            "domain": DOMAIN,
            "language": str(catalogue.locale).replace("_", "-"),
            "plural_forms": catalogue.plural_forms,
            "version": version,
        }
    }
    for message in catalogue:
        # Of a plural the English singular is the key.
        english = message.id if isinstance(message.id, str) else message.id[0]
        forms = [message.string] if isinstance(message.string, str) else list(message.string)
        if english and all(forms) and not message.fuzzy:
            told[f"{message.context}{CONTEXT}{english}" if message.context else english] = forms
    return json.dumps(told, ensure_ascii=False, indent=1, sort_keys=True)


if __name__ == "__main__":
    compile_catalogues(Path(__file__).parent)
