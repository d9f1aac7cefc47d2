"""The hub and a vkd that is newer, and what a newer hub left in it."""

from types import SimpleNamespace

import pytest

from aiinfn_hub.contract.access import AccessReading
from aiinfn_hub.contract.platform import AvailabilityReading
from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.contract.sessions import Claim, ClaimState
from aiinfn_hub.kube.inventory import NodeWarning
from aiinfn_hub.kube.node_notices import sentence
from aiinfn_hub.platform.model.accelerators import Accelerator
from aiinfn_hub.vkd.client import VkdUnavailableError, _claim, _problem

READING = {"accelerators": [], "read_at": "2030-01-01T00:00:00Z", "age": 0.5, "colour": 1}
NOTICE = {"code": "no_coolant", "accelerator": "q1", "nodes": ["node-3"], "number": 1, "colour": 1}


def test_a_claim_in_a_new_state_waits_with_its_sentence() -> None:
    claim = _claim({"id": "anna", "state": "dreaming", "sentence": "Cooling.", "colour": 1})
    assert claim == Claim(id="anna", state="dreaming", sentence="Cooling.")
    assert claim.state is not ClaimState.GRANTED
    assert _claim({"id": "anna", "state": "granted", "sentence": ""}).state is ClaimState.GRANTED


@pytest.mark.parametrize(("status", "reason"), [(409, Reason.CONFLICT), (422, Reason.TOO_LARGE), (418, None)])
def test_a_refusal_for_a_new_reason_is_one_of_its_status(status: int, reason: Reason | None) -> None:
    body = {"reason": "too_odd", "message": "It is too odd.", "hint": "Wait.", "colour": 1}
    found = _problem(status, body)
    if reason is None:
        assert isinstance(found, VkdUnavailableError)
        return
    assert isinstance(found, Refusal)
    assert (found.status, found.message, found.hint) == (status, "It is too odd.", "Wait.")


def test_a_notice_with_a_new_code_is_told_by_its_own_word() -> None:
    reading = AvailabilityReading.model_validate({**READING, "notices": [NOTICE]})
    warning = NodeWarning(**reading.notices[0].model_dump())
    platform = SimpleNamespace(
        accelerators={"q1": Accelerator.model_validate({"title": "Quantum", "kind": "gpu"})}
    )
    assert sentence(warning, platform) == "Quantum (q1): no_coolant node-3"  # type: ignore[arg-type]


def test_a_hold_for_a_new_reason_is_read() -> None:
    hold = {"owner": "anna", "project": "", "reason": "unpaid", "stop": True, "colour": 1}
    reading = AccessReading.model_validate({"holds": [hold], "jobs": {"anna": ["flavour"]}, "colour": 1})
    assert reading.holds[0].reason == "unpaid"
