"""What the runner looks after while the job's code runs."""

from __future__ import annotations

from dataclasses import dataclass

from aiinfn_lab.runner.meter import Meter
from aiinfn_lab.runner.records import Records


@dataclass(frozen=True, slots=True)
class Watch:
    """Tells what the code records and what it uses."""

    records: Records
    meter: Meter

    def look(self) -> None:
        """Tell what is new; to be called at least every half second."""
        self.records.look()
        self.meter.look()

    def why_killed(self, name: str) -> str | None:
        """Say why something of the job was ended by SIGKILL; None if nothing tells.

        Parameters
        ----------
        name
            Of what was ended, at the beginning of a sentence.
        """
        if not self.meter.ran_out_of_memory():
            return None
        return (
            f"{name} was ended because there was no memory left. Choose a larger size, or load less at once."
        )
