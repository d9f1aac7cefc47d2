"""Characters that no name may have, and names that are taken for each other."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from aiinfn_hub.auth import claims
from aiinfn_hub.contract.problem import Refusal
from aiinfn_hub.contract.units import FROM_FILE
from aiinfn_hub.platform import characters
from aiinfn_hub.platform.model.fields import GroupPath, UserName
from aiinfn_hub.vkd.services import validation

INVISIBLE = [
    "\0", "\x1b", "\x7f", "\x85", "\n", "\u00ad", "\u034f", "\u061c", "\u115f", "\u180e", "\u200b", "\u200d", "\u200e",
    "\u2028", "\u2029", "\u202a", "\u202e", "\u2060", "\u2066", "\u2069", "\u2800", "\u3164", "\ufe0f", "\ufeff", "\uffa0",
    "\ufff9", "\ud800", "\U000e0041", "\U000e0101", "\U0001d173",
]  # fmt: skip


@pytest.mark.parametrize("wrong", INVISIBLE, ids=characters.spelled)
def test_what_cannot_be_seen_is_refused_at_every_door(wrong: str) -> None:
    text = f"a{wrong}b"
    assert characters.forbidden(text) == wrong
    assert claims.username({"preferred_username": text}) is None
    assert claims.groups({"groups": [f"lab/{text}", "lab/x"], "wlcg.groups": f"/{text}"}) == {"lab/x"}
    assert claims.groups({"entitlements": f"urn:mace:infn.it:group:lab:{text}"}) == set()
    for kind, value in ((GroupPath, f"lab/{text}"), (UserName, text)):
        with pytest.raises(ValidationError, match=r"cannot be seen: U\+"):
            TypeAdapter(kind).validate_python(value, context=FROM_FILE)
    with pytest.raises(Refusal) as refused:
        validation.job_name(text, "a.py")
    assert refused.value.field == "name"
    assert f"cannot be seen: {characters.spelled(wrong)}." in refused.value.message
    with pytest.raises(Refusal) as refused:
        validation.check_labels(["fine", text])
    assert refused.value.field == "labels"
    assert wrong not in refused.value.message
    assert validation.job_name(None, f"folder/{text}.py") == "a?b.py"


@pytest.mark.parametrize(
    "text", ["ada", "Ada.Rossi", "żółć", "данные", "データ", "a\N{NO-BREAK SPACE}b", "σ²", "नमस्ते", "🙂 fit"]
)
def test_what_is_seen_is_let_pass(text: str) -> None:
    assert characters.forbidden(text) == ""
    assert validation.job_name(text, "a.py") == text


@given(st.text())
def test_no_text_with_a_control_or_format_character_passes(text: str) -> None:
    bad = [each for each in text if unicodedata.category(each) in {"Cc", "Cf", "Cs"}]
    assert not bad or characters.forbidden(text)
    assert not characters.forbidden(characters.shown(text, len(text)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ada", "ADA"),
        ("kim", "\N{KELVIN SIGN}im"),
        ("kim", "\N{FULLWIDTH LATIN SMALL LETTER K}im"),
        ("strasse", "straße"),
        ("strasse", "STRAẞE"),
        ("sam", "\N{LATIN SMALL LETTER LONG S}am"),
        ("fin", "\N{LATIN SMALL LIGATURE FI}n"),
        ("s", "\U0001d54a"),
        ("émile", "e\N{COMBINING ACUTE ACCENT}mile"),
        ("a1", "a¹"),
    ],
)
def test_names_that_are_taken_for_each_other(one: str, other: str) -> None:
    assert characters.compared(one) == characters.compared(other)


@pytest.mark.parametrize(("one", "other"), [("ada", "adam"), ("émile", "emile"), ("o", "0")])
def test_names_that_are_two(one: str, other: str) -> None:
    assert characters.compared(one) != characters.compared(other)


@given(st.text())
def test_the_compared_form_is_stable_and_knows_no_letter_case(text: str) -> None:
    form = characters.compared(text)
    assert characters.compared(form) == form
    assert characters.compared(text.lower()) == characters.compared(text.lower().lower())
    assert characters.compared(text.casefold()) == form
    assert characters.compared(unicodedata.normalize("NFKC", text)) == form
