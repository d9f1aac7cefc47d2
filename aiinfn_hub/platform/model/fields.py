"""Types of single values in the platform file: names, IAM groups, times, volumes."""

from __future__ import annotations

import unicodedata
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Final, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from aiinfn_hub.contract.units import is_from_file
from aiinfn_hub.platform import characters
from aiinfn_hub.platform.groups import LONGEST_GROUP, normalised

CPU_ONLY: Final = "none"
"""The accelerator name that means: none."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$")]
"""A key of the platform file: lower-case letters, digits, ``-`` and ``.``, at most 63 (a DNS label, nearly)."""

EnvironmentName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
"""The name of an environment variable."""


_NUMBERS: Final = (int, float)


class Section(BaseModel):
    """Base of every part of the file: unknown keys are errors, and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse what YAML reads as true or false where a number is meant; pydantic would take it as 1 or 0."""
        if isinstance(value, bool) and is_from_file(info):
            annotation = cls.model_fields[info.field_name or ""].annotation
            if annotation in _NUMBERS or any(each in _NUMBERS for each in get_args(annotation)):
                raise ValueError("a number is expected here, and this is true or false")
        return value


class FindingError(ValueError):
    """A name in the file is reserved, or nothing in the file has it.

    Attributes
    ----------
    key
        Where the name stands, as keys and list indices from the top of the file.
    """

    def __init__(self, key: tuple[str | int, ...], message: str) -> None:
        super().__init__(message)
        self.key = key


class FindingsError(ValueError):
    """Everything that `FindingError` is raised for, together."""

    def __init__(self, findings: list[FindingError]) -> None:
        super().__init__("; ".join(map(str, findings)))
        self.findings = findings


def _group_path(value: str, info: ValidationInfo) -> str:
    """Keep an IAM group as its whole path without the leading slash, as INDIGO IAM's ``groups`` claim has it."""
    if is_from_file(info) and (wrong := characters.forbidden(value.strip())):
        raise ValueError(
            f"this group holds a character that cannot be seen: {characters.spelled(wrong)}; type it again without it"
        )
    path = normalised(value)
    if not path or any(not part.strip() for part in path.split("/")):
        raise ValueError(f"'{value[:60]}' is no IAM group path; write for example ai-infn/flavour-physics")
    if is_from_file(info):
        if value.strip("/") != path:
            raise ValueError(f"a group has no spaces at its ends; is {path[:60]} meant?")
        if len(path) > LONGEST_GROUP:
            raise ValueError(
                f"this group has {len(path)} characters, and sign-in leaves out those with more than {LONGEST_GROUP}; "
                "use a group with a shorter path"
            )
        if unicodedata.normalize("NFC", path) != path:
            raise ValueError(
                "this group is written with combining characters; type it again in composed form"
            )
    return path


def _user_name(value: str, info: ValidationInfo) -> str:
    """Keep a user name as the hub has it."""
    if is_from_file(info) and (not value.strip() or value != value.strip().lower()):
        raise ValueError(
            f"user names of the hub are in lower case, without spaces; is {value.strip().lower()[:60]} meant?"
        )
    if is_from_file(info) and (wrong := characters.forbidden(value)):
        raise ValueError(
            f"this name holds a character that cannot be seen: {characters.spelled(wrong)}; type it again without it"
        )
    return value


UserName = Annotated[str, AfterValidator(_user_name)]
"""The name of a person as in the hub."""

GroupPath = Annotated[
    str,
    AfterValidator(_group_path),
    WithJsonSchema({"type": "string", "title": "IAM group path", "examples": ["ai-infn/flavour"]}),
]
"""An IAM group as a path; ``a/x`` and ``b/x`` are two groups."""


def _moment(value: Any, *, end: bool) -> datetime:
    """Read a date or a time; without a zone it is UTC, and a date alone is its first moment or, as an end, its last."""
    if isinstance(value, str):
        try:
            text = value.strip()
            value = date.fromisoformat(text) if len(text) <= 10 else datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(
                f"'{value[:40]}' is no date or time; write for example 2026-12-01 or 2026-12-01T09:00+01:00"
            ) from None
    if isinstance(value, datetime):
        try:
            return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        except OverflowError:
            raise ValueError("this time is beyond the calendar") from None
    if not isinstance(value, date):
        raise ValueError(  # noqa: TRY004 - pydantic wants ValueError
            "a date or a time is expected; write for example 2026-12-01 or 2026-12-01T09:00+01:00"
        )
    try:
        return datetime.combine(value + timedelta(days=end), time(), UTC)
    except OverflowError:
        raise ValueError("this date is beyond the calendar") from None


def parse_moment(value: Any) -> datetime:
    """Read a date or a time; a date alone is its first moment, and without a zone it is UTC.

    Raises
    ------
    ValueError
        If it is none.
    """
    return _moment(value, end=False)


def _end(value: Any) -> datetime:
    return _moment(value, end=True)


def show_moment(value: datetime) -> str:
    """Write a time in UTC, to the minute: ``2026-12-01 09:00 UTC``."""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


_MOMENT_SCHEMA: Final = {
    "type": "string",
    "title": "date or time",
    "examples": ["2026-12-01", "2026-12-01T09:00+01:00"],
}
_AS_ISO: Final = PlainSerializer(lambda value: value.isoformat(), return_type=str, when_used="json")

Begin = Annotated[datetime, BeforeValidator(parse_moment), _AS_ISO, WithJsonSchema(_MOMENT_SCHEMA)]
"""When something begins; a date alone is its first moment."""
End = Annotated[datetime, BeforeValidator(_end), _AS_ISO, WithJsonSchema(_MOMENT_SCHEMA)]
"""When something ends, itself not included; a date alone includes that day."""

VOLUME_SOURCES: Final = (
    "persistentVolumeClaim",
    "csi",
    "ephemeral",
    "emptyDir",
    "configMap",
    "secret",
    "projected",
    "downwardAPI",
)
"""The kinds of volumes that a pod may name under the restricted Pod Security Standard."""


def _volume_source(value: dict[str, Any]) -> dict[str, Any]:
    """Refuse a volume with which the API server would refuse every session."""
    kinds = [key for key in value if key != "name"]
    if len(kinds) != 1:
        raise ValueError(
            "a volume has one source; write for example {persistentVolumeClaim: {claimName: homes}}"
        )
    if kinds[0] not in VOLUME_SOURCES:
        raise ValueError(
            f"the restricted Pod Security Standard forbids {kinds[0]} in a pod; make it a PersistentVolume, "
            "and name its claim here as {persistentVolumeClaim: {claimName: homes}}"
        )
    return value


def _local_path(value: str) -> str:
    """Keep a folder of this machine absolute, with nothing in it but the two names that are filled in."""
    plain = value.replace("{person}", "x").replace("{project}", "x")
    if (
        not plain.startswith("/")
        or plain.strip("/") == ""
        or ".." in plain.split("/")
        or "{" in plain
        or "\0" in plain
    ):
        raise ValueError(
            f"'{value[:60]}' is no folder of a machine; write for example /srv/shares/{{project}}"
        )
    return value


def _folder(value: str) -> str:
    """Keep a folder inside its volume."""
    parts = value.replace("{person}", "x").replace("{project}", "x").split("/")
    if any(part in {"", ".", ".."} for part in parts) or "{" in "".join(parts):
        raise ValueError(f"'{value}' is no folder in a volume; write for example homes/{{person}}")
    return value


Toleration = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {
            "type": "object",
            "title": "toleration as in a pod",
            "additionalProperties": False,
            "properties": {
                "key": {"type": "string"},
                "operator": {"enum": ["Equal", "Exists"]},
                "value": {"type": "string"},
                "effect": {"enum": ["NoSchedule", "PreferNoSchedule", "NoExecute"]},
                "tolerationSeconds": {"type": "integer"},
            },
        }
    ),
]
"""A toleration as in a pod; `kubernetes_rules` checks it."""
LocalPath = Annotated[str, AfterValidator(_local_path)]
"""An absolute path on this machine; ``{person}`` and ``{project}`` stand for their slugs."""
VolumeSource = Annotated[
    dict[str, Any],
    AfterValidator(_volume_source),
    WithJsonSchema({"type": "object", "title": "volume as in a pod"}),
]
"""A volume as in a pod, of a kind that everybody's pods may use."""
Folder = Annotated[str, AfterValidator(_folder)]
"""A relative path in a volume; ``{person}`` and ``{project}`` stand for their slugs."""


GROUPS: Final = (
    "IAM groups whose members may use it; one of them is enough. Default: everybody whose project may."
)
"""Description of the fields ``groups``."""
