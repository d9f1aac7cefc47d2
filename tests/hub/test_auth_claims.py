"""What becomes of IAM's claims."""

from typing import Any

import pytest

from aiinfn_hub.auth import claims


@pytest.mark.parametrize(
    ("given", "groups"),
    [
        ({"groups": ["ai-infn/flavour", "ai-infn/medphys"]}, {"ai-infn/flavour", "ai-infn/medphys"}),
        ({"groups": ["/ai-infn/flavour"]}, {"ai-infn/flavour"}),
        ({"wlcg.groups": ["/ai-infn", "/ai-infn/flavour"]}, {"ai-infn", "ai-infn/flavour"}),
        ({"groups": ["a/x"], "wlcg.groups": ["/b/x"]}, {"a/x", "b/x"}),
        ({"groups": "admins"}, {"admins"}),
        ({"groups": ["fine", 7, None, "", "/", {"name": "x"}]}, {"fine"}),
        ({"groups": {"admins": True}}, set()),
        ({"groups": None}, set()),
        ({"groups": ["x" * 256]}, set()),
        ({}, set()),
    ],
)
def test_groups_are_whole_paths_and_a_string_is_one_group(given: dict[str, Any], groups: set[str]) -> None:
    assert claims.groups(given) == groups


@pytest.mark.parametrize("given", ["ada", "Ada.Rossi", "ada@cern.ch", "żółć"])
def test_a_plain_name_is_taken(given: str) -> None:
    assert claims.username({"preferred_username": given}) == given


@pytest.mark.parametrize("given", [None, "", 7, ["ada"], "a b", "a/b", "a\\b", "a\nb", "a\x00", "x" * 201])
def test_what_cannot_be_a_name_is_no_name(given: Any) -> None:
    assert claims.username({"preferred_username": given}) is None


@pytest.mark.parametrize(
    ("urn", "expected"),
    [
        ("urn:mace:infn.it:group:ai-infn:flavour#iam.infn.it", {"ai-infn/flavour"}),
        ("urn:geant:infn.it:ai:group:ai-infn", {"ai-infn"}),
        ("urn:mace:infn.it:group:a:x:role=member#iam", {"a/x"}),
        ("urn:mace:infn.it:group:a:x:role=manager#iam", {"a/x", "a/x/role=manager"}),
        ("URN:mace:infn.it:GROUP:a:Two%20words", {"a/Two words"}),
        ("urn:mace:infn.it:group:a%2Fx", set()),
        ("urn:mace:infn.it:group:a::x", set()),
        ("urn:mace:infn.it:group:", set()),
        ("urn:mace:infn.it:res:storage:act:read", set()),
        ("group:a:x", set()),
        ("", set()),
    ],
)
def test_an_aarc_entitlement_is_a_group_as_a_whole_path(urn: str, expected: set[str]) -> None:
    assert claims.entitlement(urn) == expected
    assert claims.groups({"eduperson_entitlement": urn}) == expected
    assert claims.groups({"entitlements": [urn, 7, None]}) == expected


def test_groups_of_all_claims_count_together() -> None:
    found = claims.groups(
        {"groups": ["a/x"], "wlcg.groups": ["/b/x"], "entitlements": ["urn:mace:infn.it:group:c:x"]}
    )
    assert found == {"a/x", "b/x", "c/x"}
