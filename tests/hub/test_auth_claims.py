"""What becomes of IAM's claims."""

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
def test_groups_are_whole_paths_and_a_string_is_one_group(given, groups):
    assert claims.groups(given) == groups


@pytest.mark.parametrize("given", ["ada", "Ada.Rossi", "ada@cern.ch", "żółć"])
def test_a_plain_name_is_taken(given):
    assert claims.username({"preferred_username": given}) == given


@pytest.mark.parametrize("given", [None, "", 7, ["ada"], "a b", "a/b", "a\\b", "a\nb", "a\x00", "x" * 201])
def test_what_cannot_be_a_name_is_no_name(given):
    assert claims.username({"preferred_username": given}) is None
