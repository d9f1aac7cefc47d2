"""What the runner looks after while the job's code runs."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from aiinfn_lab.runner.meter import Meter
from aiinfn_lab.runner.protocol import OUT_OF_MEMORY, signal_name
from aiinfn_lab.runner.records import Records


@dataclass(frozen=True, slots=True)
class RunWatch:
    """Tells what the code records and what it uses."""

    records: Records
    meter: Meter

    def look(self) -> None:
        """Report what is new; to be called at least every half second."""
        self.records.look()
        self.meter.look()

    def why_ended(self, name: str, code: int | None) -> tuple[str, str]:
        """Return why a process of the job ended that should not have.

        Parameters
        ----------
        name
            Of what ended, at the beginning of a sentence.
        code
            Its exit code, negative for a signal; None if it is not known.

        Returns
        -------
        tuple
            Name of the error, and a sentence. Lack of memory is only told where the system says so.
        """
        if code is None:
            return f"{name} died", f"{name} died."
        if code >= 0:
            return f"{name} died", f"{name} ended itself with {code} before its work was done."
        if code == -signal.SIGKILL and self.meter.ran_out_of_memory():
            return OUT_OF_MEMORY, (
                f"{name} was ended because there was no memory left. Choose a larger size, or load less at once."
            )
        return f"{name} died", f"{name} was ended by {signal_name(-code)}."
