"""What people read of apps, in the languages of the suite, and the page that says it."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Final

from aiinfn_hub.contract.languages import ENGLISH, preferred

ITALIAN: Final[Mapping[str, str]] = {
    "{title} is not installed any more: there is no program “{program}”.": "{title} non è più installata: non c'è il programma “{program}”.",
    "{title} could not be started: {reason}.": "Non è stato possibile avviare {title}: {reason}.",
    "{title} ended at its start (status {status}).": "{title} è terminata durante l'avvio (stato {status}).",
    "{title} did not begin to listen within {seconds} s.": "{title} non si è messa in ascolto entro {seconds} s.",
    "{title} does not answer.": "{title} non risponde.",
    "Load this page again to start it again. What it printed is in {log}.": "Ricarica questa pagina per avviarla di nuovo. Ciò che ha scritto è in {log}.",
    "Load this page again. What it printed is in {log}.": "Ricarica questa pagina. Ciò che ha scritto è in {log}.",
    "The last lines that it printed:": "Le ultime righe che ha scritto:",
    "This request comes from a page that is not of this app.": "Questa richiesta viene da una pagina che non è di questa app.",
    "Ports cannot be reached through this JupyterLab, because other people of this machine may listen on them. "
    "Ask the operators of the platform to offer the program as an app.": "Le porte non sono raggiungibili attraverso questo JupyterLab, perché potrebbero essere di altre persone "
    "di questa macchina. Chiedi agli operatori della piattaforma di offrire il programma come app.",
}
"""By the English sentence, which is what programs and logs get."""


def spoken(sentence: str, accept: str, **values: object) -> str:
    """Return a sentence in the language of an ``Accept-Language`` header, with its values filled in."""
    language = preferred(accept)
    text = sentence if language == ENGLISH else ITALIAN.get(sentence, sentence)
    return text.format(**values) if values else text


def page(title: str, sentence: str, hint: str, accept: str, *, label: str = "", lines: str = "") -> str:
    """Build a page that says why there is no app."""
    printed = f"<p>{html.escape(label)}</p><pre>{html.escape(lines)}</pre>" if lines else ""
    return (
        f'<!DOCTYPE html><html lang="{preferred(accept)}"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        '<meta name="viewport" content="width=device-width"><style>body{font:16px/1.5 sans-serif;max-width:45em;'
        "margin:3em auto;padding:0 1em;color-scheme:light dark}pre{overflow:auto;padding:1em;border:1px solid}</style>"
        f"</head><body><h1>{html.escape(title)}</h1><p>{html.escape(sentence)}</p><p>{html.escape(hint)}</p>"
        f"{printed}</body></html>"
    )
