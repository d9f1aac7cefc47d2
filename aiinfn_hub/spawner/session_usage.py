"""What the sessions of this hub hold, as sums: asking costs the same however many there are."""

from __future__ import annotations

from collections import Counter

from aiinfn_hub.platform.access.limits import QuotaUse
from aiinfn_hub.platform.selection import Selection


class SessionUsage:
    """Devices by person and by project, from the moment they are granted until the session is over."""

    def __init__(self) -> None:
        self._sessions: dict[str, Selection] = {}
        self._persons: dict[str, Counter[str]] = {}
        self._projects: dict[str, Counter[str]] = {}

    def note(self, session: str, selection: Selection | None) -> None:
        """Return what a session holds now; None if nothing any more."""
        before = self._sessions.pop(session, None)
        if before is not None:
            self._add(before, -before.count)
        if selection is not None and selection.accelerator is not None:
            self._sessions[session] = selection
            self._add(selection, selection.count)

    def _add(self, selection: Selection, count: int) -> None:
        for sums, name in ((self._persons, selection.person), (self._projects, selection.project)):
            held = sums.setdefault(name, Counter())
            held[selection.accelerator_name] += count
            if not held[selection.accelerator_name]:
                del held[selection.accelerator_name]
            if not held:
                del sums[name]

    def usage(self, person: str, *, without: str | None = None) -> QuotaUse:
        """Return what the gate has to know to judge a request of a person; one session may be left aside."""
        mine, projects = Counter(self._persons.get(person, {})), self._projects
        aside = self._sessions.get(without) if without is not None else None
        if aside is not None:
            own = Counter({aside.accelerator_name: aside.count})
            if aside.person == person:
                mine -= own
            projects = projects | {aside.project: projects[aside.project] - own}
        return QuotaUse(mine, projects)
