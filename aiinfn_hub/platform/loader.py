"""Read the platform file; every error names file, line and key."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from . import overlay, presets, problems
from .model import Platform
from .problems import Place, PlatformError

__all__ = ["Examined", "PlatformError", "default_path", "examine", "load"]


@dataclass(frozen=True, slots=True)
class Examined:
    """What became of a platform file.

    Attributes
    ----------
    platform
        None if anything is wrong.
    problems
        All that is wrong, in the order of the files and lines.
    files
        The files that were read, those that others extend first.
    """

    platform: Platform | None
    problems: list[PlatformError]
    files: list[Path]


def default_path() -> Path:
    """Give the platform file in use: ``AIINFN_PLATFORM``, else ``platform.yaml`` in the working directory."""
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
    platform, wrong = None, []
    top = Place(len(layers.files), 0, path)
    try:
        platform = Platform.model_validate(layers.data)
    except ValidationError as error:
        wrong = problems.explain(error, layers.data, layers.places, top)
    else:
        # Out of the gate itself, which the models cannot know.
        unkept = {finding.key: str(finding) for finding in presets.impossible(platform)}
        wrong = problems.placed(unkept, layers.places, top)
    found = [*layers.problems, *wrong]
    return Examined(platform if not found else None, found, layers.files)
