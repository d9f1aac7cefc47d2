"""Compare two descriptions of an API (OpenAPI): what does the newer one break for who was written for the older one?

Allowed are new operations, optional parameters, keys of requests that may be left out, keys of answers, and words of open sets.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_METHODS = frozenset({"get", "put", "post", "delete", "patch"})
_UPPER = ("maxLength", "maxItems", "maxProperties", "maximum", "exclusiveMaximum")
_LOWER = ("minLength", "minItems", "minProperties", "minimum", "exclusiveMinimum")
_ANYTHING = frozenset({"string", "number", "integer", "boolean", "null", "array", "object"})

Json = dict[str, Any]


def breaking_changes(old: Json, new: Json) -> list[str]:
    """Report what of an older description a newer one does not keep, sorted; nothing if they are compatible."""
    return sorted(
        {
            *(f"gone: {name}" for name in set(_names(old)) - set(_names(new))),
            *_operations_changed(old, new),
            *_schemas_changed(old, new),
        }
    )


# Names


def _names(description: Json) -> Iterator[str]:
    for where, operation in _operations(description).items():
        yield where
        yield f"operation {operation.get('operationId')}"
        for name in _parameters(operation):
            yield f"{where} parameter {name}"
        for status, response in operation.get("responses", {}).items():
            yield f"{where} answers {status}"
            for media in response.get("content", ()):
                yield f"{where} answers {status} as {media}"
            for header in response.get("headers", ()):
                yield f"{where} answers {status} with header {header}"
    for name, schema in _schemas(description).items():
        yield f"schema {name}"
        yield from _names_inside(schema, name)


def _names_inside(schema: Json, where: str) -> Iterator[str]:
    for word in (*schema.get("enum", ()), *([schema["const"]] if "const" in schema else ())):
        yield f"{where} may be {word!r}"
    for key, part in schema.get("properties", {}).items():
        yield f"{where}.{key}"
        yield from _names_inside(part, f"{where}.{key}")
    for kind in ("anyOf", "oneOf", "allOf"):
        for part in schema.get(kind, ()):
            yield from _names_inside(part, where)
    for kind in ("items", "additionalProperties"):
        if isinstance(schema.get(kind), dict):
            yield from _names_inside(schema[kind], f"{where}[]")


# What is asked, and what is answered


def _operations_changed(old: Json, new: Json) -> Iterator[str]:
    before = _operations(old)
    for where, operation in _operations(new).items():
        if where in before:
            yield from _parameters_changed(before[where], operation, where)
            yield from _body_changed(before[where].get("requestBody"), operation.get("requestBody"), where)
            for status, response in before[where].get("responses", {}).items():
                answered = _contents(operation.get("responses", {}).get(status))
                for media, schema in _contents(response).items():
                    if media in answered:
                        yield from _answered(schema, answered[media], f"{where} answers {status}")


def _parameters_changed(old: Json, new: Json, where: str) -> Iterator[str]:
    known = _parameters(old)
    for name, parameter in _parameters(new).items():
        if parameter.get("required") and not known.get(name, {}).get("required"):
            yield f"demanded: {where} parameter {name}"
        if name in known:
            place = f"{where} parameter {name}"
            yield from _asked(known[name].get("schema", {}), parameter.get("schema", {}), place)


def _body_changed(old: Json | None, new: Json | None, where: str) -> Iterator[str]:
    if new and new.get("required") and not (old or {}).get("required"):
        yield f"demanded: {where} body"
    for media, schema in _contents(old).items():
        if media in _contents(new):
            yield from _asked(schema, _contents(new)[media], f"{where} body")
        else:
            yield f"gone: {where} body as {media}"


def _schemas_changed(old: Json, new: Json) -> Iterator[str]:
    before, after = _schemas(old), _schemas(new)
    asked, answered = _reached(new, requests=True), _reached(new, requests=False)
    for name in before.keys() & after.keys():
        if name in asked:
            yield from _asked(before[name], after[name], name)
        if name in answered:
            yield from _answered(before[name], after[name], name)


def _asked(old: Json, new: Json, where: str) -> Iterator[str]:
    """Yield why a request that was good might be refused, or mean something else."""
    if lost := _kinds(old, request=True) - _kinds(new, request=False):
        yield f"retyped: {where} may not be {', '.join(sorted(lost))} any more"
    if "default" in old and old["default"] != new.get("default"):
        yield f"default: {where} was {old['default']!r}"
    for key in (*_UPPER, *_LOWER, "pattern"):
        if key in new and _narrower(key, old.get(key), new[key]):
            yield f"narrowed: {where} has {key} {new[key]!r}"
    for key in set(new.get("required", ())) - set(old.get("required", ())):
        yield f"demanded: {where}.{key}"
    yield from _inside(old, new, where, _asked)


def _answered(old: Json, new: Json, where: str) -> Iterator[str]:
    """Yield why who reads an answer might not understand it."""
    if added := _kinds(new, request=True) - _kinds(old, request=False):
        yield f"retyped: {where} may be {', '.join(sorted(added))}"
    if "enum" in old and "anyOf" not in old:
        for word in set(new.get("enum", ())) - set(old["enum"]):
            yield f"new word of a closed set: {where} may be {word!r}"
    for key in set(old.get("required", ())) & new.get("properties", {}).keys() - set(new.get("required", ())):
        yield f"not always there: {where}.{key}"
    yield from _inside(old, new, where, _answered)


def _inside(old: Json, new: Json, where: str, compare: Any) -> Iterator[str]:
    for key, part in old.get("properties", {}).items():
        if key in new.get("properties", {}):
            yield from compare(part, new["properties"][key], f"{where}.{key}")
    for kind in ("items", "additionalProperties"):
        if isinstance(old.get(kind), dict) and isinstance(new.get(kind), dict):
            yield from compare(old[kind], new[kind], f"{where}[]")
    for first in old.get("anyOf", ()):
        same = [
            part
            for part in new.get("anyOf", (new,))
            if _kinds(part, request=True) == _kinds(first, request=True)
        ]
        if len(same) == 1 and (compare is _asked or "enum" not in first):
            yield from compare(first, same[0], where)
    if "anyOf" not in old:
        same = [
            part for part in new.get("anyOf", ()) if _kinds(part, request=True) == _kinds(old, request=True)
        ]
        if len(same) == 1:
            yield from compare(old, same[0], where)


def _narrower(key: str, old: Any, new: Any) -> bool:
    if key == "pattern":
        return bool(old != new)
    if old is None:
        return True
    return bool(new < old) if key in _UPPER else bool(new > old)


def _kinds(schema: Json, *, request: bool) -> frozenset[str]:
    """Return the kinds of values that a schema lets through: JSON's types, with their format, and names of schemas.

    Parameters
    ----------
    request
        Whether only those are wanted that are named; else also those that they include: an integer is a number too.
    """
    found: set[str] = set()
    for kind in ("anyOf", "oneOf", "allOf"):
        for part in schema.get(kind, ()):
            found |= _kinds(part, request=request)
    if "$ref" in schema:
        found.add(schema["$ref"].rpartition("/")[2])
    if "enum" in schema or "const" in schema:
        found.add(f"{schema.get('type', 'string')} of a set")
    elif "type" in schema:
        types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        found |= {f"{each} ({schema['format']})" if "format" in schema else each for each in types}
    if not found:
        found |= _ANYTHING | {"anything"}
    if not request:
        if "number" in found:
            found.add("integer")
        found |= {f"{each} of a set" for each in found & _ANYTHING}
    return frozenset(found)


# Parts of a description


def _operations(description: Json) -> dict[str, Json]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in description.get("paths", {}).items()
        for method, operation in methods.items()
        if method in _METHODS
    }


def _parameters(operation: Json) -> dict[str, Json]:
    return {f"{each['in']} {each['name']}": each for each in operation.get("parameters", ())}


def _schemas(description: Json) -> dict[str, Json]:
    found: dict[str, Json] = description.get("components", {}).get("schemas", {})
    return found


def _contents(part: Json | None) -> dict[str, Json]:
    return {media: content.get("schema", {}) for media, content in (part or {}).get("content", {}).items()}


def _reached(description: Json, *, requests: bool) -> set[str]:
    """Return the schemas of which requests are made, or else answers, whole or in part."""
    schemas, found = _schemas(description), set()
    part = "requestBody" if requests else "responses"
    waiting = [name for each in _operations(description).values() for name in _refs(each.get(part, {}))]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _refs(schemas.get(name, {}))
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
