"""The platform file for editors and for people: JSON Schema and documentation, out of the models."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, Final, get_args

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from aiinfn_hub.platform.access.denials import named
from aiinfn_hub.platform.model.platform import Platform

Json = dict[str, Any]

_EXTENDS: Final[Json] = {
    "type": "array",
    "items": {"type": "string"},
    "description": "Files below this one, with paths relative to it; this one is merged on top of them.",
}


class _Plain(GenerateJsonSchema):
    """Leaves out titles that only repeat the key."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def json_schema(*, overlay: bool = False) -> Json:
    """Make the JSON Schema of a platform file.

    Parameters
    ----------
    overlay
        Of a file that says only a part of it: nothing is required, and every key may be ``null``, which removes it.
    """
    schema = Platform.model_json_schema(schema_generator=_Plain)
    definitions: Json = schema.pop("$defs")
    for model in models():
        part = schema if model is Platform else definitions[model.__name__]
        defaults = _defaults(model)
        for key, value in part["properties"].items():
            if key in defaults:
                value["default"] = defaults[key]
            if "patternProperties" in value:  # a name of another form is an error
                value["additionalProperties"] = False
        part["description"] = _about(model)
    schema["properties"] = {"extends": _EXTENDS, **schema["properties"]}
    if overlay:
        for part in (schema, *definitions.values()):
            _loosen(part)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Part of an aiinfn platform file" if overlay else "aiinfn platform file",
        "$defs": definitions,
    }


def markdown() -> str:
    """Write the documentation of every key."""
    return "\n".join([_INTRODUCTION, *(line for model in models() for line in _section(model))])


def models() -> list[type[BaseModel]]:
    """Return the model of the whole file and then those of its sections, in the order of the file."""
    return list(_headings())


@cache
def _headings() -> dict[type[BaseModel], str]:
    """Return the models, each with the key under which it stands in the file, such as ``storage.NAME``."""
    found: dict[type[BaseModel], str] = {Platform: ""}
    for key, field in Platform.model_fields.items():
        named = getattr(field.annotation, "__origin__", None) is dict
        for model in models_in(field.annotation):
            _below(model, f"{key}.NAME" if named else key, found)
    return found


def _below(model: type[BaseModel], at: str, found: dict[type[BaseModel], str]) -> None:
    if model in found:
        return
    found[model] = at
    for key, field in model.model_fields.items():
        for each in models_in(field.annotation):
            _below(each, f"{at}.{field.alias or key}", found)


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the models that a value of some type may have parts of: those of a mapping or a union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if hasattr(annotation, "__metadata__"):
        return models_in(annotation.__origin__)
    return [each for part in getattr(annotation, "__args__", ()) for each in models_in(part)]


def _about(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").split())


def _defaults(model: type[BaseModel]) -> Json:
    """Return the defaults as one would write them in the file."""
    return model.model_construct().model_dump(mode="json", by_alias=True, warnings=False)


def _loosen(part: Json) -> None:
    part.pop("required", None)
    for key, value in part.get("properties", {}).items():
        if key == "extends":
            continue
        for bound in ("minProperties", "default"):
            value.pop(bound, None)
        if (inner := value.get("additionalProperties")) and isinstance(inner, dict):
            value["additionalProperties"] = {"anyOf": [inner, {"type": "null"}]}
        if (patterns := value.get("patternProperties")) is not None:
            value["patternProperties"] = {
                form: {"anyOf": [inner, {"type": "null"}]} for form, inner in patterns.items()
            }
        description = value.pop("description", "")
        part["properties"][key] = {"description": description, "anyOf": [dict(value), {"type": "null"}]}


def _section(model: type[BaseModel]) -> Iterator[str]:
    """Write one section with a table of its keys."""
    yield f"## {_heading(model)}"
    yield ""
    paragraphs = (model.__doc__ or "").split("\n\n")
    if model is Platform:  # its heading says the first
        paragraphs = paragraphs[1:]
    yield from (" ".join(paragraph.split()) + "\n" for paragraph in paragraphs)
    yield "| key | value | default | meaning |"
    yield "|---|---|---|---|"
    schema = json_schema()
    part = schema if model is Platform else schema["$defs"][model.__name__]
    for key, value in part["properties"].items():
        required = key in part.get("required", ())
        yield (
            f"| `{key}` | {_value(value, schema['$defs'])} | {'**required**' if required else _default(value)} "
            f"| {value['description'].replace('|', chr(92) + '|')} |"
        )
    yield ""


def _heading(model: type[BaseModel]) -> str:
    """Name a section by its key in the file, and by its kind where there are several."""
    at = _headings()[model]
    if not at:
        return "The whole file"
    kinds = get_args(model.model_fields["kind"].annotation) if "kind" in model.model_fields else ()
    if not kinds:
        return f"`{at}`"
    return f"`{at.rpartition('.')[0]}.BACKEND` of kind `{kinds[0]}`"


def _value(value: Json, definitions: Json) -> str:  # noqa: C901, PLR0912 - a table of the forms that values have
    """Return what is written for a key."""
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        if "enum" in definitions[name]:
            return _value(definitions[name] | {"title": ""}, definitions)
        return f"[a section](#{_anchor(name)})"
    if "anyOf" in value:
        return _value(next(each for each in value["anyOf"] if each.get("type") != "null"), definitions)
    if "oneOf" in value:
        return "a section of one of the kinds: " + named(
            [_link(each["$ref"].rpartition("/")[2]) for each in value["oneOf"]]
        )
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        return named([f"`{each}`" for each in value["enum"]])
    if value.get("title"):
        return str(value["title"])
    match value.get("type"):
        case "array":
            return f"list: {_value(value['items'], definitions)}"
        case "object":
            inner = value.get("additionalProperties") or next(
                iter(value.get("patternProperties", {}).values()), None
            )
            if isinstance(inner, dict) and "$ref" in inner:
                return f"[sections by name](#{_anchor(inner['$ref'].rpartition('/')[2])})"
            return "mapping"
        case "integer":
            return f"whole number{_range(value)}"
        case "number":
            return f"number{_range(value)}"
        case "boolean":
            return "`true` or `false`"
        case _:
            return "name" if value.get("pattern", "").startswith("^[a-z0-9](") else "text"


def _link(name: str) -> str:
    model = next(each for each in models() if each.__name__ == name)
    return f"[{get_args(model.model_fields['kind'].annotation)[0]}](#{_anchor(name)})"


def _range(value: Json) -> str:
    least, most = value.get("minimum"), value.get("maximum")
    if least is not None and most is not None:
        return f", {least} to {most:g}" if isinstance(most, float) else f", {least} to {most}"
    if least is not None:
        return f", {least} or more"
    if (over := value.get("exclusiveMinimum")) is not None:
        return f" over {over:g}" + (f", at most {most:g}" if most is not None else "")
    return f", at most {most}" if most is not None else ""


def _default(value: Json) -> str:
    default = value.get("default")
    if default is None or default in ("", [], {}) or (isinstance(default, dict) and "$ref" in value):
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _anchor(name: str) -> str:
    """Return the anchor that Markdown renderers make of the heading of a section."""
    model = next(each for each in models() if each.__name__ == name)
    return "".join(c for c in _heading(model).lower().replace(" ", "-") if c.isalnum() or c in "-_")


_INTRODUCTION: Final = """\
<!-- Generated by "aiinfn-hub docs". Change the descriptions in aiinfn_hub/platform instead. -->
# The platform file

One YAML file says what the platform has and who may use it. `AIINFN_PLATFORM` names it; the default is `platform.yaml` in
the working directory. Complete examples of two sites and an event are in [examples/platforms](../examples/platforms).

    aiinfn-hub check FILE                         everything that is wrong with it, each with file, line and key
    aiinfn-hub explain FILE --groups a/x,b/y      what somebody in these groups would see, and why not the rest
    aiinfn-hub schema                             JSON Schema for editors; with --overlay, of a file with "extends"

Editors that know the YAML language server complete and check the file as it is written if it begins with a line that names
[the schema](schema/platform.json): `# yaml-language-server: $schema=PATH_OR_URL` (for a file with `extends`, and for one that
others extend, [the other one](schema/overlay.json)).

**Values.** A duration is written like `90m`, `8h` or `1d12h`, a memory size like `16Gi` or `500M`. A date or time is written like
`2026-12-01` or `2026-12-01T09:00+01:00`; without a zone it is UTC. An IAM group path is written whole and without a leading
slash: `a/x` and `b/x` are two groups.

YAML reads some words as people do not mean them: `12:30` as 750, `0755` as 493, `no` as false. Where that may be so, the file is refused,
and the sentence says what to write instead: `12h30m`, quotes around text and around a name such as `"no"` or `"2026"`. A duration needs a
unit, and so does a memory size below `1Mi`; `cores: 500m` is `0.5` here.

With `sessions: {backend: kubernetes}`, everything that goes on to the cluster is checked by Kubernetes' and Kueue's own rules: names, labels,
tolerations, images, volumes and mounts, amounts, namespaces, and how many accelerators Kueue takes. Two accelerators that can be the same
devices (one `resource`, and no label of which they require different values) are refused where a reservation, a limit, a group or a list
holds for one of them only, because the other name would lead around it.

What belongs to one back end stands under its name: `kubernetes` and `local` in accelerators, images and storage. Files of the older form, with these keys one
level higher and `backend` at the top, are read on; `aiinfn-hub check` says of each such key, with file and line, what to write now.

## Overlays

A file may begin with `extends: [FILES]`, with paths relative to itself: a base for several sites, a site, an event on top. The
files are merged in their order, each on top of the ones before it, and the file that names them on top of all:

- mappings merge key by key; new keys come after those that are there already;
- anything else, lists too, replaces what was there;
- `null` removes a key that was there, and with it everything in it.

A file that is extended may extend others, but not in a circle. What is wrong is told of the file in which it stands.

## Changing it

The hub and vkd look at the file, and at those it extends, twice a second and go over to a change within two seconds. Nothing is
restarted: sessions and jobs run on, also on an accelerator that the file no longer has, and open forms ask for the new
choices. A change that is wrong changes nothing; every page of the hub tells the operators what is wrong with it, in the words of
`aiinfn-hub check`, and so do the logs and the figure `vkd_platform_file_in_force`. A restart of the hub and of vkd is needed for
`sessions.backend`, `label_prefix`, `use_real_devices`, and in `kubernetes` for the namespaces and `hub_connect_ip`. On Kubernetes `aiinfn-hub kueue apply` brings the queues in line.

## Who may use what

A person belongs to a **project** by IAM group, or for a time by a **grant**. What can be chosen in a project is what no rule stands in the
way of: the project's own lists, `groups` of the single thing, and pairs that do not go together (an image and an accelerator, a
size and an accelerator, a queue and an accelerator). The form offers exactly that, the gate grants exactly that, and `explain` gives
the gate's own reasons for the rest.

- **Grants** add to this until a date. They open an accelerator that the project's list or its own `groups` leave out, for some people
  or for the whole project, or make guests members. A session that needs a grant ends with it at the latest.
- **Reservations** keep accelerators for a project in a period. Sessions of others get the rest, and one that would reach into the period ends
  before it. Jobs of others may still use the devices while they are idle, because they give way, unless `batch` is `false`.
- **Limits on what is held at once** (`max_per_person`, `max_per_project`, `max_accelerators`, `accelerators_per_person`,
  `accelerators_per_project`) count sessions. Jobs do not count: they give way to sessions, and wait in a fair order among themselves.
- **The longest session** is the smallest of `limits.session_max` and `session_time` of the accelerator, the size and the project. The
  longest job is that of its queue.

## The form

People get cards of what they may use, and below them what they may not, each with the reason and what to do about it; `support`
names whom to ask. **Presets** are choices with a name above the cards. Who could not be granted one does not see it, and one
that nobody can ever be granted is an error in the file. A choice can be sent as a link, `…/hub/spawn?opt-accelerator=t4&opt-size=small`,
with any of `opt-accelerator`, `opt-count`, `opt-project`, `opt-image`, `opt-size` and `opt-time_limit`: it fills the form in and starts
nothing. With more than eight cards the form can be searched.
"""
