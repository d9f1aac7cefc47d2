"""The page that says why there is no app."""

from __future__ import annotations

import html

from aiinfn_lab.i18n.language import current


def page(title: str, sentence: str, hint: str, *, label: str = "", lines: str = "") -> str:
    """Build a page that says why there is no app, in the language that is spoken now."""
    printed = f"<p>{html.escape(label)}</p><pre>{html.escape(lines)}</pre>" if lines else ""
    return (
        f'<!DOCTYPE html><html lang="{current()}"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        '<meta name="viewport" content="width=device-width"><style>body{font:16px/1.5 sans-serif;max-width:45em;'
        "margin:3em auto;padding:0 1em;color-scheme:light dark}pre{overflow:auto;padding:1em;border:1px solid}</style>"
        f"</head><body><h1>{html.escape(title)}</h1><p>{html.escape(sentence)}</p><p>{html.escape(hint)}</p>"
        f"{printed}</body></html>"
    )
