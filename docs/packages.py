"""Draw the packages and their arrows into docs/architecture.md, out of the imports in the code.

``python docs/packages.py`` writes the pictures (`make picture`), ``--check`` fails if they are not current.
An arrow that follows from others is left out: what A uses through B needs no arrow of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import grimp

PAGE: Final = Path(__file__).with_name("architecture.md")
Arrows = Mapping[str, set[str]]


def suite(module: str) -> str | None:
    """Return the node of a module in the picture of the whole suite."""
    parts = module.split(".")
    if parts[0] == "aiinfn_lab":
        return "aiinfn_lab"
    return parts[1] if len(parts) > 1 else None


def vkd(module: str) -> str | None:
    """Return the node of a module in the picture of vkd."""
    parts = module.split(".")
    if parts[:2] != ["aiinfn_hub", "vkd"] or len(parts) < 3:
        return None
    return ".".join(parts[2:4]) if parts[2] == "backends" and len(parts) > 3 else parts[2]


def lab(module: str) -> str | None:
    """Return the node of a module in the picture of the Lab half."""
    parts = module.split(".")
    return parts[1] if parts[0] == "aiinfn_lab" and len(parts) > 1 else None


PICTURES: Final[Mapping[str, Callable[[str], str | None]]] = {"suite": suite, "vkd": vkd, "lab": lab}


def arrows(graph: grimp.ImportGraph, node_of: Callable[[str], str | None]) -> dict[str, set[str]]:
    """Return which node imports which, directly."""
    found: dict[str, set[str]] = {}
    for module in graph.modules:
        node = node_of(module)
        if node is None:
            continue
        uses = found.setdefault(node, set())
        uses |= {
            other for used in graph.find_modules_directly_imported_by(module) if (other := node_of(used))
        }
        uses.discard(node)
    return found


def reduced(found: Arrows) -> dict[str, set[str]]:
    """Leave out the arrows that follow from others.

    Raises
    ------
    ValueError
        If nodes import each other in a circle: there is no order to draw then.
    """
    below: dict[str, set[str]] = {}

    def reach(node: str, path: tuple[str, ...]) -> set[str]:
        if node in path:
            raise ValueError(" -> ".join((*path[path.index(node) :], node)))
        if node not in below:
            uses = found[node]
            below[node] = uses.union(*(reach(each, (*path, node)) for each in uses))
        return below[node]

    for node in found:
        reach(node, ())
    return {
        node: {each for each in uses if not any(each in below[other] for other in uses - {each})}
        for node, uses in found.items()
    }


def mermaid(found: Arrows) -> str:
    """Write a picture in mermaid's words."""
    lines = ["```mermaid", "flowchart TD"]
    lines += [f'    {_id(node)}["{node}"]' for node in sorted(found)]
    lines += [f"    {_id(node)} --> {_id(other)}" for node in sorted(found) for other in sorted(found[node])]
    return "\n".join([*lines, "```"])


def _id(node: str) -> str:
    return "m_" + node.replace(".", "_").strip("_")


def drawn(text: str) -> str:
    """Return the page with its pictures as the code is now."""
    graph = grimp.build_graph("aiinfn_hub", "aiinfn_lab", cache_dir=None)
    for name, node_of in PICTURES.items():
        before, begin, rest = text.partition(f"<!-- picture: {name} -->\n")
        _old, end, after = rest.partition("<!-- end of picture -->")
        if not begin or not end:
            raise ValueError(f"{PAGE.name} has no place for the picture {name!r}")
        text = f"{before}{begin}{mermaid(reduced(arrows(graph, node_of)))}\n{end}{after}"
    return text


def main(arguments: list[str]) -> int:
    """Write the pictures, or check them."""
    text = PAGE.read_text(encoding="utf-8")
    current = drawn(text)
    if "--check" in arguments:
        if current != text:
            sys.stderr.write("The pictures of docs/architecture.md are not those of the code: make picture\n")
        return int(current != text)
    PAGE.write_text(current, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
