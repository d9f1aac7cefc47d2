"""Read the platform file; every error names file, line and key."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from aiinfn_hub.contract.units import FROM_FILE
from aiinfn_hub.platform import presets
from aiinfn_hub.platform.model.platform import Platform

from . import (
    kubernetes_rules,
    overlaps,
    overlay,
    problems,
)
from .problems import Place, PlatformError
from .yaml_reader import Key

__all__ = ["Examined", "PlatformError", "default_path", "examine", "load"]


@dataclass(frozen=True, slots=True)
class Examined:
    """The result of reading a platform file.

    Attributes
    ----------
    platform
        None if anything is wrong.
    problems
        All that is wrong, in the order of the files and lines.
    files
        The files that were read, those that others extend first.
    hints
        What is right, and is written in another way by now, in the order of the files and lines.
    """

    platform: Platform | None
    problems: list[PlatformError]
    files: list[Path]
    hints: list[PlatformError] = field(default_factory=list)


def default_path() -> Path:
    """Return the platform file in use: ``AIINFN_PLATFORM``, else ``platform.yaml`` in the working directory."""
    return Path(os.environ.get("AIINFN_PLATFORM") or "platform.yaml").absolute()


def load(path: Path) -> Platform:
    """Read and check a platform file and what it extends.

    Raises
    ------
    PlatformError
        For the first thing that is wrong, in the order of the file.
    """
    examined = examine(path)
    if examined.platform is None:
        raise examined.problems[0]
    return examined.platform


def examine(path: Path) -> Examined:
    """Read a platform file and what it extends, and find everything that is wrong."""
    layers = overlay.read(path)
    if not isinstance(layers.data, dict):
        return Examined(None, layers.problems, layers.files)
    if any(each.at[:1] == (overlay.EXTENDS,) for each in layers.problems):
        # What a file below would have said is not there, so most of what else is found would be wrong.
        return Examined(None, layers.problems, layers.files)
    platform, wrong = None, []
    top = Place(len(layers.files), 0, path)
    try:
        platform = Platform.model_validate(layers.data, context=FROM_FILE)
    except ValidationError as error:
        wrong = problems.explain(error, layers.data, layers.places, top)
    else:
        # What the models cannot know: the rules of the cluster, and those of the gate itself.
        found_later = (
            *kubernetes_rules.findings(platform),
            *overlaps.findings(platform),
            *presets.impossible(platform),
        )
        unkept: dict[Key, str] = {}
        for finding in found_later:
            unkept.setdefault(finding.key, str(finding))
        wrong = problems.placed(unkept, layers.places, top)
    said = {each.at for each in layers.problems if each.at}
    found = [*layers.problems, *(each for each in wrong if each.at not in said)]
    return Examined(platform if not found else None, found, layers.files, layers.hints)
