"""Sentences for people: found by the extraction, all of them translated, and none forgotten."""

from __future__ import annotations

import ast
import asyncio
import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import jinja2
import pytest
from babel.messages.catalog import Catalog, Message
from hypothesis import given
from hypothesis import strategies as st
from jupyterhub.scopes import scope_definitions

from aiinfn_hub.contract.languages import ENGLISH, LANGUAGES, preferred
from aiinfn_hub.i18n import language
from aiinfn_hub.web import page_language
from tests import catalogues
from tests.catalogues import forms

ROOT = Path(__file__).parents[2]
HUB = ROOT / "aiinfn_hub"
TEMPLATES = HUB / "templates"
OTHERS = sorted(code for code in LANGUAGES if code != ENGLISH)
NAMES = {"JupyterHub", "JupyterLab", "aiinfn", "IAM"}
"""What is called the same in all languages."""
MAY_BE_LEFT_OUT = {"what"}
"""“session” or “job”: a sentence whose grammar would hang on it may do without."""

# The catalogue


def sentences() -> dict[str | tuple[str, ...], str]:
    return catalogues.sentences(HUB)


def catalogue(code: str) -> Catalog:
    return catalogues.catalogue(language.FOLDER, language.DOMAIN, code)


def entries(code: str) -> list[Message]:
    return catalogues.entries(catalogue(code))


def placeholders(text: str) -> Counter[str]:
    python = re.findall(r"(?<![%{])\{(\w*(?::[a-z]+)?)\}", text) if "{" in text and '{"' not in text else []
    return Counter(python + re.findall(r"%\((\w+)\)s", text))


@pytest.mark.parametrize("code", OTHERS)
def test_every_sentence_is_in_the_catalogue(code: str) -> None:
    known = {message.id for message in entries(code)}
    missing = [f"{place}: {message!r}" for message, place in sentences().items() if message not in known]
    assert not missing, "run `make messages`:\n" + "\n".join(missing)


@pytest.mark.parametrize("code", OTHERS)
def test_every_sentence_is_translated(code: str) -> None:
    lacking = [
        m.id for m in entries(code) if not all(forms(m.string)) or len(forms(m.string)) != len(forms(m.id))
    ]
    assert not lacking
    assert not [message.id for message in entries(code) if message.fuzzy]


@pytest.mark.parametrize("code", OTHERS)
def test_the_catalogue_has_nothing_that_is_not_said(code: str) -> None:
    stale = [message.id for message in entries(code) if message.id not in sentences()]
    assert not stale, "run `make messages`"
    assert not catalogue(code).obsolete


@pytest.mark.parametrize("code", OTHERS)
def test_a_translation_is_filled_in_with_the_same_facts(code: str) -> None:
    wrong = []
    for message in entries(code):
        # Of a singular with “one” for the number, the plural knows more.
        allowed = set().union(*(placeholders(form) for form in forms(message.id)))
        for english, other in zip(forms(message.id), forms(message.string), strict=True):
            asked, given_ = placeholders(english), placeholders(other)
            if set(given_) - allowed or set(asked) - set(given_) - MAY_BE_LEFT_OUT:
                wrong.append(f"{english!r} -> {other!r}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("code", OTHERS)
def test_a_translation_has_the_same_markup_and_ends_alike(code: str) -> None:
    for message in entries(code):
        for english, other in zip(forms(message.id), forms(message.string), strict=True):
            assert Counter(re.findall(r"</?\w+", english)) == Counter(re.findall(r"</?\w+", other)), english
            for end in ("…", "?", "."):
                assert english.endswith(end) == other.endswith(end), f"{english!r} -> {other!r}"
            assert other == other.strip(), other
            assert "  " not in other, other


@pytest.mark.parametrize("code", OTHERS)
def test_every_translation_can_be_looked_up_and_filled_in(code: str) -> None:
    with language.speaking(code):
        for message in entries(code):
            if isinstance(message.id, str):
                assert language.gettext(message.id) == message.string
            else:
                assert [language.ngettext(*message.id, number) for number in (1, 2)] == list(message.string)  # type: ignore[arg-type, call-arg]


def test_what_jupyterhub_says_of_its_scopes_is_still_said() -> None:
    known = {definition["description"] for definition in scope_definitions.values()}
    assert set(page_language.SCOPES) <= known


# Nothing forgotten in Python

WRAPPING = {"_", "gettext", "ngettext", "marked", "Sentence"}
TOLD = {
    # What of its arguments is read by people.
    "Refusal": (1, 2),
    "SignInProblem": (1, 2),
    "ProviderBroken": (0,),
    "HTTPError": (1,),
    "tell": (1,),
    "remember_ending": (0,),
    "remember": (0,),
    "refusal": (0,),
    "Step": (1,),
    "_invalid": (0, 1),
    "_rule": (4,),
    "_Words": (2,),
}
FOLDERS = ("auth", "kube", "platform", "spawner", "storage", "vkd", "web")
FOR_OPERATORS = {HUB / "auth/accounts/release.py"}
"""Answers a command of operators, which speaks English."""


def words(node: ast.AST) -> Iterator[str]:
    """Give the texts of an expression that go through no catalogue."""
    if isinstance(node, ast.Call):
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name in WRAPPING:
            return
        if isinstance(node.func, ast.Attribute):
            # Of `_("…").format(title=…)` the arguments are facts.
            yield from words(node.func.value)
            if node.func.attr in {"format", "format_map", "replace", "join"}:
                return
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str) and re.search(r"[A-Za-z]{2}", node.value):
            yield node.value
        return
    if isinstance(node, ast.Subscript | ast.Compare | ast.Dict):
        return
    for child in ast.iter_child_nodes(node):
        yield from words(child)


def unwrapped(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        arguments = [node.args[place] for place in TOLD.get(name, ()) if place < len(node.args)]
        for argument in arguments:
            for text in words(argument):
                yield f"{path.relative_to(ROOT)}:{argument.lineno}: {text!r}"


@pytest.mark.parametrize("folder", FOLDERS)
def test_what_people_are_told_goes_through_the_catalogue(folder: str) -> None:
    found = [
        hit for path in sorted({*(HUB / folder).rglob("*.py")} - FOR_OPERATORS) for hit in unwrapped(path)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ('Refusal(Reason.INVALID, "No such thing.")', True),
        ('Refusal(Reason.INVALID, f"No {thing}.")', True),
        ('Refusal(Reason.INVALID, _("No {thing}.").format(thing=x), "Choose another.")', True),
        ('Refusal(Reason.INVALID, _("No {thing}.").format(thing="t4"), _("Choose another."))', False),
        ('self.told.tell("asked", "On this machine")', True),
        ('self.told.tell("asked", Sentence("On this machine"))', False),
        ('Refusal(Reason.INVALID, _("One.") if one else "Two things.")', True),
        ("Refusal(Reason.INVALID, NAMES[key], hint)", False),
    ],
)
def test_a_forgotten_sentence_is_found(
    tmp_path: Path, code: str, found: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    path = tmp_path / "module.py"
    path.write_text(code)
    assert bool(list(unwrapped(path))) is found


# Nothing forgotten in pages


class Visible(HTMLParser):
    """Collects what a page shows or says."""

    SAID = frozenset({"title", "alt", "aria-label", "placeholder", "aria-description", "data-label"})

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in {"script", "style"}
        self.found += [value for name, value in attrs if name in self.SAID and value]

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in {"script", "style"}

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.found.append(data)


def bare(source: str) -> list[str]:
    """Give the text of a template that is in no ``{% trans %}``."""
    source = re.sub(r"\{#.*?#\}", "", source, flags=re.DOTALL)
    source = re.sub(r"\{%-?\s*trans\b.*?endtrans\s*-?%\}", "", source, flags=re.DOTALL)
    source = re.sub(r"\{\{.*?\}\}|\{%.*?%\}", "", source, flags=re.DOTALL)
    page = Visible()
    page.feed(source)
    texts = (re.sub(r"\s+", " ", text).strip() for text in page.found)
    # A macro that gives attributes stands outside of any tag.
    texts = (text for text in texts if not re.match(r"[\w-]+=", text))
    return [text for text in texts if re.search(r"[A-Za-z]{2}", text) and text not in NAMES | {"UTC"}]


def quoted(source: str) -> list[str]:
    """Give the texts in expressions of a template that go through no catalogue."""
    environment = jinja2.Environment(extensions=[page_language.Translated], autoescape=True)
    environment.filters |= dict.fromkeys(("spoken", "duration", "memory"), str)
    found: list[str] = []

    def look(node: jinja2.nodes.Node) -> None:
        called = node.node if isinstance(node, jinja2.nodes.Call) else None
        if isinstance(called, jinja2.nodes.Name) and called.name in {"_", "gettext", "ngettext"}:
            return
        if isinstance(node, jinja2.nodes.Const) and isinstance(node.value, str):
            text = node.value
            if re.search(r"[A-Za-z]{2}", text) and (" " in text.strip() or text[:1].isupper()):
                found.append(text)
            return
        for child in node.iter_child_nodes():
            look(child)

    look(environment.parse(source))
    return [
        text
        for text in found
        if text not in NAMES and not re.search(r'[<>="%]|^(af|btn|alert)-| selected| checked| hidden', text)
    ]


def pages() -> list[Path]:
    return sorted(TEMPLATES.rglob("*.html"))


@pytest.mark.parametrize("path", pages(), ids=lambda path: str(path.relative_to(TEMPLATES)))
def test_what_a_page_shows_goes_through_the_catalogue(path: Path) -> None:
    source = path.read_text()
    assert bare(source) + quoted(source) == []


@pytest.mark.parametrize(
    ("page", "count"),
    [
        ("<p>Nothing here</p>", 1),
        ("<p>{% trans %}Nothing here{% endtrans %}</p>", 0),
        ('<input placeholder="Your name">', 1),
        ('<b aria-label="{{ _("Close") }}">{{ name }}</b>', 0),
        ('{{ title or "Main session" }}', 1),
        ('{{ title or _("Main session") }}', 0),
        ("<script>const text = 'not looked at here';</script>", 0),
    ],
)
def test_forgotten_words_of_a_page_are_found(page: str, count: int) -> None:
    assert len(bare(page) + quoted(page)) == count


@pytest.mark.parametrize("path", sorted(TEMPLATES.rglob("*.js")), ids=lambda path: path.name)
def test_scripts_get_their_words_from_the_page(path: Path) -> None:
    source = re.sub(r"/\*.*?\*/|^\s*//.*?$", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
    texts = re.findall(r'"([^"\n]*)"', source) + re.findall(r"`([^`]*)`", source)
    plain = (re.sub(r"\$\{[^}]*\}|\{\w+\}", "", text) for text in texts)
    found = [text for text in plain if re.search(r"[A-Za-z]{2,} [a-z]{2,}|^[A-Z][a-z]+…?[.!]?$", text)]
    known = (
        "use strict",
        "main ",
        "[",
        "#",
        ".",
        "GET",
        "DELETE",
        "Escape",
        "Enter",
        "Tab",
        "Arrow",
        "Home",
        "End",
    )
    assert not [text for text in found if not text.startswith(known)], found


# Which language


@pytest.mark.parametrize(
    ("accept", "chosen", "spoken"),
    [
        ("", None, "en"),
        ("it", None, "it"),
        ("IT", None, "it"),
        ("IT-it", None, "it"),
        ("EN", None, "en"),
        ("it-IT,it;q=0.9,en-US;q=0.8,en;q=0.7", None, "it"),
        ("en-US,en;q=0.9,it;q=0.8", None, "en"),
        ("de-DE,de;q=0.9,it;q=0.8,en;q=0.7", None, "it"),
        ("de", None, "en"),
        ("it;q=0", None, "en"),
        ("it;q=0.1, en;q=0.2", None, "en"),
        ("it;q=x", None, "en"),
        ("*", None, "en"),
        ("it", "en", "en"),
        ("en", "it", "it"),
        ("it", "tlh", "it"),
        ("en", "", "en"),
    ],
)
def test_the_choice_goes_first_then_the_browser(accept: str, chosen: str | None, spoken: str) -> None:
    assert preferred(accept, chosen) == spoken


@given(st.text(max_size=200), st.none() | st.text(max_size=20))
def test_whatever_a_browser_sends_some_language_is_spoken(accept: str, chosen: str | None) -> None:
    assert preferred(accept, chosen) in LANGUAGES


def test_a_kept_sentence_is_read_in_the_readers_language() -> None:
    size = language.Sentence("{cores} core, {memory}", cores="1", memory="2 GiB")
    kept = language.Sentence("Asked for {count} {title} ({size})", count=2, title="T4", size=size)
    assert str(kept) == "Asked for 2 T4 (1 core, 2 GiB)"
    with language.speaking("it"):
        assert str(kept) == "Chiesta una sessione con 2 T4 (1 core, 2 GiB)"
        assert f"{kept:.6}" == "Chiest"
        assert str(language.Sentence("")) == ""
    assert str(kept).startswith("Asked")
    assert kept == language.Sentence("Asked for {count} {title} ({size})", count=2, title="T4", size=size)
    assert kept != size


async def test_a_task_speaks_the_language_of_who_began_it() -> None:
    async def speak(code: str) -> str:
        language.use(code)
        await asyncio.sleep(0)
        return language.gettext("queue")

    assert await asyncio.gather(*(asyncio.create_task(speak(code)) for code in ("it", "en", "it", "xx"))) == [
        "coda",
        "queue",
        "coda",
        "queue",
    ]
    assert language.current() == "en"
