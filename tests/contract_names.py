"""What a description of an API (OpenAPI) promises, and what of it another one does not keep."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_METHODS = frozenset({"get", "put", "post", "delete", "patch"})


def broken(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Report which names of an older description are missing in a newer one, or ask for more than they did.

    What may be added is not reported: operations, optional parameters and keys of requests, keys and words of answers.
    """
    return sorted({*_gone(set(_names(old)), set(_names(new))), *_demanded(old, new)})


def _gone(before: set[str], after: set[str]) -> set[str]:
    return {f"gone: {name}" for name in before - after}


def _names(description: dict[str, Any]) -> Iterator[str]:
    for path, method, operation in _operations(description):
        where = f"{method.upper()} {path}"
        yield where
        yield f"operation {operation.get('operationId')}"
        for parameter in operation.get("parameters", ()):
            yield f"{where} parameter {parameter['in']} {parameter['name']}"
        for status in operation.get("responses", ()):
            yield f"{where} answers {status}"
    for name, schema in description.get("components", {}).get("schemas", {}).items():
        yield f"schema {name}"
        yield from _inside(schema, name)


def _inside(schema: dict[str, Any], where: str) -> Iterator[str]:
    for word in schema.get("enum", ()):
        yield f"{where} may be {word!r}"
    if "const" in schema:
        yield f"{where} may be {schema['const']!r}"
    for key, part in schema.get("properties", {}).items():
        yield f"{where}.{key}"
        yield from _inside(part, f"{where}.{key}")
    for kind in ("anyOf", "oneOf", "allOf"):
        for part in schema.get(kind, ()):
            yield from _inside(part, where)
    for kind in ("items", "additionalProperties"):
        if isinstance(schema.get(kind), dict):
            yield from _inside(schema[kind], f"{where}[]")
    if "$ref" in schema:
        yield f"{where} is {schema['$ref'].rpartition('/')[2]}"


def _demanded(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    """Yield what a request that was good must name now."""
    before = {(path, method): operation for path, method, operation in _operations(old)}
    for path, method, operation in _operations(new):
        if (path, method) not in before:
            continue
        known = _required_parameters(before[path, method])
        for name in _required_parameters(operation) - known:
            yield f"demanded: {method.upper()} {path} parameter {name}"
    schemas = old.get("components", {}).get("schemas", {})
    asked = _requests(new)
    for name, schema in new.get("components", {}).get("schemas", {}).items():
        if name in schemas and name in asked:
            for key in set(schema.get("required", ())) - set(schemas[name].get("required", ())):
                yield f"demanded: {name}.{key}"


def _required_parameters(operation: dict[str, Any]) -> set[str]:
    return {
        f"{each['in']} {each['name']}" for each in operation.get("parameters", ()) if each.get("required")
    }


def _requests(description: dict[str, Any]) -> set[str]:
    """Return the schemas of which requests are made, whole or in part."""
    schemas = description.get("components", {}).get("schemas", {})
    found: set[str] = set()
    open_ = [
        name
        for _, _, operation in _operations(description)
        for name in _refs(operation.get("requestBody", {}))
    ]
    while open_:
        name = open_.pop()
        if name not in found:
            found.add(name)
            open_ += _refs(schemas.get(name, {}))
    return found


def _refs(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "$ref":
                yield item.rpartition("/")[2]
            else:
                yield from _refs(item)
    elif isinstance(value, list):
        for item in value:
            yield from _refs(item)


def _operations(description: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in description.get("paths", {}).items():
        for method, operation in methods.items():
            if method in _METHODS:
                yield path, method, operation
