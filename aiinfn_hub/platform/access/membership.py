"""Who may use what: membership of projects, grants with an end, and groups of single things."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.platform.model.fields import CPU_ONLY, show_moment
from aiinfn_hub.platform.model.periods import Grant
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.person import Person

from .denials import Denial, Rule, named
from .limits import MARGIN


def in_groups(person: Person, groups: Iterable[str] | None) -> bool:
    """Return whether a person is in one of the groups of something; None stands for everybody."""
    return groups is None or not person.groups.isdisjoint(groups)


def not_in_groups(person: Person, title: str, groups: Iterable[str] | None, field: str) -> Denial | None:
    """Deny something that is for the members of some groups."""
    if groups is None or in_groups(person, groups):
        return None
    return Denial(Rule.GROUPS, {"title": title, "groups": named(sorted(groups)) or _("no group")}, field)


class Membership:
    """What one person has by groups and grants at one time."""

    def __init__(self, platform: Platform, person: Person, now: datetime) -> None:
        self._platform = platform
        self._person = person
        self._now = now
        self._member = person.projects(platform).keys()
        self._grants: dict[str, list[Grant]] = {}
        for grant in platform.grants.values():
            if self._is_for_me(grant):
                self._grants.setdefault(grant.project, []).append(grant)

    def _is_for_me(self, grant: Grant) -> bool:
        if not grant.groups and not grant.people:
            return grant.project in self._member
        return self._person.name in grant.people or in_groups(self._person, grant.groups)

    def project(self, name: str) -> Denial | None:
        """Explain why a person does not belong to a project; None if the person does."""
        grants = self._grants.get(name, [])
        if name in self._member or any(self._holds(grant) for grant in grants):
            return None
        project = self._platform.projects[name]
        if not grants:
            return Denial(Rule.NOT_MEMBER, {"project": name})
        return self._denial_of(
            grants, Rule.MEMBERSHIP_ENDED, Rule.MEMBERSHIP_LATER, {"project": project.title}
        )

    def accelerator(self, project: str, accelerator: str) -> tuple[Denial | None, datetime | None]:
        """Explain why a project's member may not use an accelerator, or until when; None for both: may, without an end."""
        grants = self._grants.get(project, [])
        if accelerator == CPU_ONLY:
            if project in self._member:
                return None, None
            return self.project(project), self._end(grants)
        whole, device = self._platform.projects[project], self._platform.accelerators[accelerator]
        facts = {"title": device.title, "project": whole.title}
        denial = None
        if whole.accelerators is not None and accelerator not in whole.accelerators:
            denial = Denial(Rule.PROJECT_ACCELERATOR, facts)
        else:
            denial = not_in_groups(self._person, device.title, device.groups, "accelerator")
        if denial is None and project in self._member:
            return None, None
        covering = [
            grant
            for grant in grants
            if (denial is None if grant.accelerators is None else accelerator in grant.accelerators)
        ]
        if end := self._end(covering):
            return None, end
        if covering:
            return self._denial_of(covering, Rule.GRANT_ENDED, Rule.GRANT_LATER, facts), None
        return denial or Denial(Rule.GRANT_WITHOUT, facts), None

    def _holds(self, grant: Grant) -> bool:
        return grant.holds(self._now) and grant.until - self._now >= MARGIN

    def _end(self, grants: list[Grant]) -> datetime | None:
        return max((grant.until for grant in grants if self._holds(grant)), default=None)

    def _denial_of(self, grants: list[Grant], ended: Rule, later: Rule, facts: dict[str, str]) -> Denial:
        """Explain of grants of which none holds when the next begins, else when the last ended."""
        begins = [grant.begin for grant in grants if grant.begin is not None and grant.begin > self._now]
        if begins:
            return Denial(later, facts | {"time": show_moment(min(begins))})
        return Denial(ended, facts | {"time": show_moment(max(grant.until for grant in grants))})
