"""Variables of a job that went on from a session, back in a session: ``aiinfn_lab.load_variables("k3x9")``."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Final

from aiinfn_hub.contract.constants import SNAPSHOT_ROOT

SUFFIX: Final = ".state"
_JOB: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def load_variables(job: str) -> None:
    """Bring the variables that a job had at its end into this notebook.

    The job must have gone on from a session (*Run from here*) and have succeeded. Variables of the same name are replaced,
    others stay. The working folder, random numbers and the like are those of the job, too.

    Parameters
    ----------
    job
        Its id, as the jobs panel and the name of its result say.

    Raises
    ------
    FileNotFoundError
        If there are no such variables in your home.
    RuntimeError
        If this is no notebook, or the file cannot be read; then nothing has changed. A variable that cannot be read here
        is named with the reason, and the others arrive.
    """
    if not _JOB.fullmatch(job):
        raise FileNotFoundError(f"There is no job {job!r}.")
    found = sorted(Path.home().glob(f"{SNAPSHOT_ROOT}/*/{job}{SUFFIX}"))
    if not found:
        raise FileNotFoundError(
            f"There are no variables of job {job!r} in your home: it did not go on from a session, did not succeed, "
            "or was deleted."
        )
    from IPython.core.getipython import get_ipython  # noqa: PLC0415

    from .kernel_side.state import restore  # noqa: PLC0415
    from .kernel_side.words import UNREAD  # noqa: PLC0415

    shell = get_ipython()  # type: ignore[no-untyped-call, unused-ignore]
    if shell is None:
        raise RuntimeError("Variables can be loaded only in a notebook.")
    answer = restore(shell, sys.modules["__main__"].__dict__, {"path": str(found[0]), "lent": ""})
    if "error" in answer:
        name = f"The variable {answer['name']!r}" if answer["name"] else "The file"
        raise RuntimeError(f"{name} cannot be read here: {answer['error']}.")
    said = [f"Back from job {job}: {', '.join(answer['restored'])}."]
    if names := [each["name"] for each in answer["left_out"]]:
        said.append(f"Not carried: {', '.join(names)}.")
    said += [
        f"{each['name']}: {each['reason']}"
        for each in answer["left_out"]
        if each["reason"].startswith(UNREAD)
    ]
    print(" ".join(said))  # noqa: T201 - it is for who called it
