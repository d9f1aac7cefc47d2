"""Who sees which jobs."""

from __future__ import annotations

from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.person import Person
from aiinfn_hub.vkd.domain.records import View


def view(person: Person, platform: Platform) -> View:
    """Return whose jobs a person sees: the own, those of managed projects, and operators all."""
    return View(person.name, person.managed_projects(platform), everything=person.admin)


def no_job() -> Refusal:
    """Return the refusal for a job that there is not, or that somebody may not see: that it exists is nobody's business."""
    return Refusal(Reason.NOT_FOUND, _("There is no such job."), _("It may belong to somebody else."))
