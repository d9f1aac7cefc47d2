"""What the cluster would refuse: Kubernetes' and Kueue's own rules for the values that go on to them.

Each rule returns a sentence that says what is wrong and what to write, or None. `findings` applies them to a platform file
with the back end `kubernetes`. Sources: ``k8s.io/apimachinery/pkg/util/validation``, ``pkg/apis/core/validation``, the
grammar of ``distribution/reference``, and the validation in Kueue's custom resource definitions.
"""

from __future__ import annotations

import ipaddress
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from aiinfn_hub.platform.model.accelerators import Accelerator
from aiinfn_hub.platform.model.cross_checks import meant
from aiinfn_hub.platform.model.fields import FindingError
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.model.storage import Storage, StorageUse
from aiinfn_hub.platform.model.storage_kinds.base import ANYBODY

from .yaml_reader import Key

Rule = Callable[[Any], str | None]

_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z")
_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")
_QUALIFIED: Final = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]\Z")
_QUANTITY: Final = re.compile(
    r"\+?(\d{1,15}(\.\d{0,9})?|\.\d{1,9})([numkMGTPE]|[KMGTPE]i|[eE][-+]?\d{1,2})?\Z",
    re.ASCII,
)
_CONFIG_KEY: Final = re.compile(r"[-._a-zA-Z0-9]{1,253}\Z")
_HOST_PART: Final = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_PATH_PART: Final = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_IMAGE: Final = re.compile(
    rf"(?P<name>(?:{_HOST_PART}(?:\.{_HOST_PART})*(?::[0-9]+)?/)?{_PATH_PART}(?:/{_PATH_PART})*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>[a-z0-9]+:[0-9a-f]+))?\Z",
    re.ASCII,
)
_DIGESTS: Final = {"sha256": 64, "sha384": 96, "sha512": 128}
_LONGEST_IMAGE: Final = 255
_HEX_NAME: Final = re.compile(r"[a-f0-9]{64}\Z")

MOST_FLAVORS: Final = 64
"""Of one resource group in Kueue; one is for processor cores alone."""
MOST_RESOURCES: Final = 64
"""Of one resource group in Kueue; cores and memory are two of them."""
MOST_NODE_LABELS: Final = 8
"""Of one ResourceFlavor; one is the operating system's."""
MOST_TOLERATIONS: Final = 8
MOST_QUOTA: Final = 1_000_000
_EFFECTS: Final = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_OPERATORS: Final = ("Equal", "Exists")
_TOLERATION_KEYS: Final = ("key", "operator", "value", "effect", "tolerationSeconds")
_OWN_MOUNTS: Final = {
    "/dev/shm": "shared memory",  # noqa: S108 - a mount, no file
    "/run/aiinfn": "the description of a job",
}
_SYSTEM: Final = ("/proc", "/sys", "/dev")
_OWN_VOLUMES: Final = ("shared-memory", "account-files", "empty-home", "run-spec")
_NEEDED: Final = "this key is missing; pods need it"
_CLAIM: Final = "kubernetes: {kind: claim, claim: homes}"
_ACCESS: Final = ("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod")


# --- single values ---------------------------------------------------------------------------------------------------


def dns_label(value: Any) -> str | None:
    """Check a name such as that of a namespace (RFC 1123 label)."""
    if isinstance(value, str) and len(value) <= 63 and _LABEL.match(value):
        return None
    return f"{_shown(value)} is no name in Kubernetes: at most 63 lower-case letters, digits and - are allowed here"


def dns_subdomain(value: Any) -> str | None:
    """Check a name such as that of a volume claim (RFC 1123 subdomain)."""
    if isinstance(value, str) and len(value) <= 253 and _SUBDOMAIN.match(value):
        return None
    return (
        f"{_shown(value)} is no name in Kubernetes: lower-case letters, digits, - and . are allowed, with a letter or digit "
        "at both ends and beside each dot"
    )


def qualified_name(value: Any) -> str | None:
    """Check the key of a label, a taint or a resource: a name, or a domain, a slash and a name."""
    if not isinstance(value, str):
        return f"{_shown(value)} is no text; put it in quotes"
    prefix, slash, name = value.rpartition("/")
    if "/" in prefix:
        return f"{_shown(value)} has more than one slash; write for example nvidia.com/gpu"
    if slash and (len(prefix) > 253 or not _SUBDOMAIN.match(prefix)):
        return f"the part {_shown(prefix)} before the slash must be a domain such as nvidia.com"
    if len(name) > 63 or not _QUALIFIED.match(name):
        return f"the name {_shown(name)} must have at most 63 letters, digits, -, _ and ., with a letter or digit at both ends"
    return None


def label_value(value: Any) -> str | None:
    """Check the value of a label or a taint; it may be empty."""
    if not isinstance(value, str):
        return f'{_written(value)} is no text; put it in quotes: "{_written(value)}"'
    if value and (len(value) > 63 or not _QUALIFIED.match(value)):
        return (
            f"{_shown(value)} is no value of a label: at most 63 letters, digits, -, _ and . are allowed, with a letter or "
            "digit at both ends"
        )
    return None


def extended_resource(value: Any) -> str | None:
    """Check the name of a resource that a device plugin publishes."""
    if problem := qualified_name(value):
        return f"this is no resource name: {problem}"
    prefix = value.partition("/")[0]
    if prefix == "kubernetes.io" or prefix.endswith(".kubernetes.io") or len(prefix) + len("requests.") > 253:
        return f"the domain {prefix} is Kubernetes' own; the resources of a device plugin have that of the vendor"
    if value.startswith("requests."):
        return "a resource of a device plugin cannot begin with requests."
    return None


def image_reference(value: str) -> str | None:
    """Check the reference of an image by the grammar that container runtimes use."""
    match = _IMAGE.match(value)
    if match and len(match["name"]) <= _LONGEST_IMAGE and not _HEX_NAME.match(match["name"]):
        if not match["digest"]:
            return None
        algorithm, _, digits = match["digest"].partition(":")
        if _DIGESTS.get(algorithm) == len(digits):
            return None
        return f"the digest {match['digest'][:40]} is not whole; write for example @sha256: and 64 digits"
    if "://" in value:
        guess = value.partition("://")[2]
        return f"an image has no {value.partition('://')[0]}:// in front{_if_right(guess)}"
    if value.endswith(":"):
        return f"the tag after the colon is missing; write for example {value}latest, or leave the colon out"
    lower = re.sub(r"^([^:@]*(?::[0-9]+/[^:@]*)?)", lambda part: part[1].lower(), value)
    if lower != value and not image_reference(lower):
        return f"the name of an image is in lower case; is {lower} meant?"
    if match and len(match["name"]) > _LONGEST_IMAGE:
        return f"the name of an image has at most {_LONGEST_IMAGE} characters"
    return f"{_shown(value)} is no image reference; write for example harbor.example.org/ai/standard:2026.11"


def _if_right(guess: str) -> str:
    return f"; is {guess} meant?" if guess and not image_reference(guess) else ""


def _place(path: str) -> str:
    """Return a path in its plain form; POSIX leaves two slashes at the beginning as they are."""
    return posixpath.normpath(re.sub("^/+", "/", path))


def mount_path(value: Any) -> str | None:
    """Check where something is mounted."""
    if not isinstance(value, str) or not value.startswith("/"):
        return f"{_shown(value)} is no absolute path; write for example /data"
    if ":" in value:
        return f"{_shown(value)} holds a colon, which no mount can have"
    if ".." in value.split("/") or "." in value.split("/") or "\0" in value:
        return f"{_shown(value)} must be a plain path, without . and .. in it"
    where = _place(value)
    if where.strip("/") == "":
        return "nothing can be mounted over the whole file system; write for example /data"
    if what := _OWN_MOUNTS.get(where):
        return f"{where} is taken: {what} is mounted there; choose another place"
    if any(where == each or where.startswith(f"{each}/") for each in _SYSTEM):
        return f"{where} belongs to the system; choose another place"
    return None


def quantity(value: Any) -> str | None:
    """Check an amount such as ``10Gi``."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**15:
        return None
    if isinstance(value, str) and _QUANTITY.match(value):
        return None
    return f"{_shown(value)} is no amount; write for example 10Gi"


def toleration(value: Mapping[str, Any]) -> Iterator[tuple[Key, str]]:
    """Check a toleration, by the rules of pods and of Kueue's flavors."""
    unknown = [name for name in value if name not in _TOLERATION_KEYS]
    for name in unknown:
        yield (name,), "this key is unknown" + meant(str(name), _TOLERATION_KEYS)
    operator, effect = value.get("operator", "Equal"), value.get("effect")
    if operator not in _OPERATORS:
        yield ("operator",), f"this must be Equal or Exists{meant(str(operator), _OPERATORS)}"
    elif not value.get("key") and operator != "Exists" and not unknown:
        yield (("key",) if "key" in value else ()), "without a key, the operator must be Exists"
    if value.get("key") and (problem := qualified_name(value["key"])):
        yield ("key",), problem
    if "effect" in value and effect not in _EFFECTS:
        either = f"{', '.join(_EFFECTS[:-1])} or {_EFFECTS[-1]}"
        yield ("effect",), f"this must be {either}{meant(str(effect), _EFFECTS)}"
    if "value" in value and operator == "Exists":
        yield ("value",), "with the operator Exists there is no value; leave it out"
    elif "value" in value and (problem := label_value(value["value"])):
        yield ("value",), problem
    if "tolerationSeconds" in value and (problem := _toleration_seconds(value["tolerationSeconds"], effect)):
        yield ("tolerationSeconds",), problem


def _toleration_seconds(seconds: Any, effect: Any) -> str | None:
    if isinstance(seconds, bool) or not isinstance(seconds, int) or abs(seconds) >= 2**31:
        return f"a whole number of seconds is expected, not {_shown(seconds)}"
    if effect != "NoExecute":
        return "this goes with the effect NoExecute only; leave it out"
    return None


# --- volumes ---------------------------------------------------------------------------------------------------------


def volume(value: Mapping[str, Any]) -> Iterator[tuple[Key, str]]:
    """Check the source of a volume as in a pod; its kind is one of `VOLUME_SOURCES` already."""
    kind = next(each for each in value if each != "name")
    source = value[kind]
    if kind == "emptyDir" and source is None:
        yield (kind,), "write emptyDir: {} for an empty folder"
        return
    for key, problem in _SOURCES[kind](source):
        yield (kind, *key), problem


Checks = Callable[[Any], Iterator[tuple[Key, str]]]


def _is(rule: Rule) -> Checks:
    def check(value: Any) -> Iterator[tuple[Key, str]]:
        if problem := rule(value):
            yield (), problem

    return check


def _fields(required: tuple[str, ...] = (), /, **checks: Checks) -> Checks:
    """Check a mapping: keys that are unknown or missing, and each value."""

    def check(value: Any) -> Iterator[tuple[Key, str]]:
        if not isinstance(value, Mapping):
            yield (), f"a mapping is expected here{', with ' + required[0] if required else ''}"
            return
        for name in required:
            if value.get(name) is None:
                yield (), f"{name} is missing"
        for name, each in value.items():
            if name not in checks:
                yield (name,), "this key is unknown" + meant(str(name), tuple(checks))
            elif each is None and name not in required:
                yield (name,), "this is empty; leave the key out, or give it a value"
            elif each is not None:
                yield from (((name, *key), problem) for key, problem in checks[name](each))

    return check


def _list(of: Checks, *, least: int = 0) -> Checks:
    def check(value: Any) -> Iterator[tuple[Key, str]]:
        if not isinstance(value, (list, tuple)):
            yield (), "a list is expected here"
            return
        if len(value) < least:
            yield (), "one at least is needed here"
        for index, each in enumerate(value):
            yield from (((index, *key), problem) for key, problem in of(each))

    return check


def _one_of(*choices: str) -> Checks:
    def rule(value: Any) -> str | None:
        if value in choices:
            return None
        return f"this must be {', '.join(filter(None, choices))}{meant(str(value), choices)}"

    return _is(rule)


def _text(value: Any) -> str | None:
    return None if isinstance(value, str) else f"text is expected, not {_written(value)}; put it in quotes"


def _truth(value: Any) -> str | None:
    return None if isinstance(value, bool) else f"true or false is expected, not {_shown(value)}"


def _mode(value: Any) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 0o777:
        return None
    return f"{_shown(value)} is no mode of a file: a decimal number up to 511 is expected, for example 420 for rw-r--r--"


def _relative(value: Any) -> str | None:
    if (
        isinstance(value, str)
        and value
        and not value.startswith("/")
        and ".." not in value.split("/")
        and not value.startswith("..")
        and ":" not in value
    ):
        return None
    return f"{_shown(value)} is no path in a volume; write for example folder/file"


def _config_key(value: Any) -> str | None:
    if (
        isinstance(value, str)
        and _CONFIG_KEY.match(value)
        and value not in {".", ".."}
        and not value.startswith("..")
    ):
        return None
    return f"{_shown(value)} is no key of a ConfigMap or Secret"


def _seconds(value: Any) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool) and 600 <= value < 2**32:
        return None
    return f"a number of seconds from 600 is expected, not {_shown(value)}"


def _csi_driver(value: Any) -> str | None:
    if isinstance(value, str) and len(value) <= 63 and _SUBDOMAIN.match(value.lower()):
        return None
    return f"{_shown(value)} is no name of a CSI driver; write for example nfs.csi.k8s.io"


def _field_path(value: Any) -> str | None:
    fields = {
        "metadata.name",
        "metadata.namespace",
        "metadata.uid",
        "metadata.labels",
        "metadata.annotations",
    }
    if isinstance(value, str):
        whole = re.fullmatch(r"(metadata\.(?:labels|annotations))\['([^']+)'\]", value)
        if value in fields or (whole and not qualified_name(whole[2])):
            return None
    return f"{_shown(value)} cannot be shown in a file; write for example metadata.labels"


def _text_map(rule: Rule = _text, key_rule: Rule | None = None) -> Checks:
    def check(value: Any) -> Iterator[tuple[Key, str]]:
        if not isinstance(value, Mapping):
            yield (), "a mapping of texts is expected here"
            return
        for name, each in value.items():
            if (key_rule and (problem := key_rule(name))) or (problem := rule(each)):
                yield (name,), problem

    return check


def _storage_request(value: Any) -> Iterator[tuple[Key, str]]:
    yield from _fields(("requests",), requests=_fields(("storage",), storage=_is(_positive)))(value)


def _positive(value: Any) -> str | None:
    if problem := quantity(value):
        return problem
    return None if re.search("[1-9]", str(value)) else "more than nothing is needed here"


def _modes(value: Any) -> Iterator[tuple[Key, str]]:
    yield from _list(_one_of(*_ACCESS), least=1)(value)
    if isinstance(value, (list, tuple)) and "ReadWriteOncePod" in value and len(value) > 1:
        yield (), "ReadWriteOncePod goes with no other access mode"


_ITEMS: Final = _list(_fields(("key", "path"), key=_is(_config_key), path=_is(_relative), mode=_is(_mode)))
_DOWNWARD: Final = _list(
    _fields(
        ("path", "fieldRef"),
        path=_is(_relative),
        mode=_is(_mode),
        fieldRef=_fields(("fieldPath",), fieldPath=_is(_field_path), apiVersion=_one_of("v1")),
    )
)
_PROJECTED: Final = _fields(
    secret=_fields(("name",), name=_is(dns_subdomain), items=_ITEMS, optional=_is(_truth)),
    configMap=_fields(("name",), name=_is(dns_subdomain), items=_ITEMS, optional=_is(_truth)),
    downwardAPI=_fields(items=_DOWNWARD),
    serviceAccountToken=_fields(
        ("path",), path=_is(_relative), audience=_is(_text), expirationSeconds=_is(_seconds)
    ),
)


def _projection(value: Any) -> Iterator[tuple[Key, str]]:
    yield from _PROJECTED(value)
    if isinstance(value, Mapping) and len(value) != 1:
        yield (), "each source has one kind: secret, configMap, downwardAPI or serviceAccountToken"


_SOURCES: Final[dict[str, Checks]] = {
    "persistentVolumeClaim": _fields(("claimName",), claimName=_is(dns_subdomain), readOnly=_is(_truth)),
    "csi": _fields(
        ("driver",),
        driver=_is(_csi_driver),
        readOnly=_is(_truth),
        fsType=_is(_text),
        volumeAttributes=_text_map(),
        nodePublishSecretRef=_fields(("name",), name=_is(dns_subdomain)),
    ),
    "ephemeral": _fields(
        ("volumeClaimTemplate",),
        volumeClaimTemplate=_fields(
            ("spec",),
            metadata=_fields(
                labels=_text_map(label_value, qualified_name), annotations=_text_map(_text, qualified_name)
            ),
            spec=_fields(
                ("accessModes", "resources"),
                accessModes=_modes,
                resources=_storage_request,
                storageClassName=_is(dns_subdomain),
                volumeMode=_one_of("Filesystem"),
            ),
        ),
    ),
    "emptyDir": _fields(medium=_one_of("", "Memory"), sizeLimit=_is(quantity)),
    "configMap": _fields(
        ("name",), name=_is(dns_subdomain), items=_ITEMS, defaultMode=_is(_mode), optional=_is(_truth)
    ),
    "secret": _fields(
        ("secretName",),
        secretName=_is(dns_subdomain),
        items=_ITEMS,
        defaultMode=_is(_mode),
        optional=_is(_truth),
    ),
    "projected": _fields(("sources",), sources=_list(_projection, least=1), defaultMode=_is(_mode)),
    "downwardAPI": _fields(items=_DOWNWARD, defaultMode=_is(_mode)),
}
_MOUNT: Final = _fields(
    ("name", "mountPath"),
    name=_is(dns_label),
    mountPath=_is(mount_path),
    subPath=_is(_relative),
    subPathExpr=_is(_relative),
    readOnly=_is(_truth),
    mountPropagation=_one_of("None", "HostToContainer"),
)


# --- the whole file --------------------------------------------------------------------------------------------------


def findings(platform: Platform) -> Iterator[FindingError]:
    """Find what the cluster would refuse of a platform; nothing for another back end."""
    if not platform.uses_kubernetes:
        return
    if problem := dns_subdomain(platform.label_prefix):
        yield FindingError(("label_prefix",), problem)
    for name, image in platform.images.items():
        if problem := image_reference(image.kubernetes.reference) if image.kubernetes.reference else _NEEDED:
            yield FindingError(("images", name, "kubernetes", "reference"), problem)
    yield from _accelerators(platform)
    yield from _namespaces(platform)
    yield from _volumes(platform)
    yield from _mounts(platform)


def _accelerators(platform: Platform) -> Iterator[FindingError]:
    for name, device in platform.accelerators.items():
        at: Key = ("accelerators", name)
        yield from _accelerator(at, device)
    if len(platform.accelerators) > MOST_FLAVORS - 1:
        yield FindingError(
            ("accelerators",),
            f"Kueue takes {MOST_FLAVORS - 1} accelerators at most, and there are {len(platform.accelerators)}",
        )
    resources = {device.kubernetes.resource for device in platform.accelerators.values()}
    if len(resources) > MOST_RESOURCES - 2:
        yield FindingError(
            ("accelerators",),
            f"Kueue takes {MOST_RESOURCES - 2} resource names at most, and there are {len(resources)}",
        )


def _accelerator(part: Key, accelerator: Accelerator) -> Iterator[FindingError]:
    device, at = accelerator.kubernetes, (*part, "kubernetes")
    if problem := extended_resource(device.resource) if device.resource else _NEEDED:
        yield FindingError((*at, "resource"), problem)
    for label, value in device.node_labels.items():
        if problem := qualified_name(label) or label_value(value):
            yield FindingError((*at, "node_labels", label), problem)
    labels = {"kubernetes.io/os"} | device.node_labels.keys()
    if len(labels) > MOST_NODE_LABELS:
        yield FindingError((*at, "node_labels"), f"Kueue takes {MOST_NODE_LABELS - 1} labels at most")
    if len(device.tolerations) > MOST_TOLERATIONS:
        yield FindingError((*at, "tolerations"), f"Kueue takes {MOST_TOLERATIONS} tolerations at most")
    for index, each in enumerate(device.tolerations):
        for key, problem in toleration(each):
            yield FindingError((*at, "tolerations", index, *key), problem)
    if device.quota is not None and device.quota > MOST_QUOTA:
        yield FindingError((*at, "quota"), "this is more than there can be; leave it out for all there are")


def _namespaces(platform: Platform) -> Iterator[FindingError]:
    settings = platform.kubernetes
    keys = ("sessions_namespace", "batch_namespace", "system_namespace")
    seen: dict[str, str] = {}
    for key in keys:
        value = getattr(settings, key)
        if problem := dns_label(value):
            yield FindingError(("kubernetes", key), problem)
        elif value.startswith("kube-") or value == "default":
            yield FindingError(
                ("kubernetes", key), f"{value} is Kubernetes' own namespace; give this one a name of its own"
            )
        elif value in seen:
            other = seen[value]
            # Blamed is what the file says, not what it leaves to the default.
            blamed = key if key in settings.model_fields_set else other
            yield FindingError(
                ("kubernetes", blamed),
                f"{value} is {other if blamed == key else key} too; sessions, jobs and the system need three different "
                "namespaces, because each has rules of its own",
            )
        seen.setdefault(value, key)
    host = settings.hub_connect_ip
    if host is not None and not _is_host(host):
        yield FindingError(
            ("kubernetes", "hub_connect_ip"),
            f"{_shown(host)} is no address; write an IP address or the name of a host",
        )


def _is_host(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return len(text) <= 253 and bool(_SUBDOMAIN.match(text.lower()))
    return True


def _volumes(platform: Platform) -> Iterator[FindingError]:
    for name, storage in platform.storage.items():
        at: Key = ("storage", name)
        source = storage.kubernetes
        if source is not None:
            for key, wrong in volume(source.pod_volume(ANYBODY)):
                yield FindingError((*at, "kubernetes", *source.key_of(key)), wrong)
        if problem := _lost(storage):
            yield FindingError((*at, "kubernetes", *source.key_of(())) if source else at, problem)
        if problem := mount_path(storage.mount):
            yield FindingError((*at, "mount"), problem)
    names: set[Any] = set()
    for index, each in enumerate(platform.kubernetes.volumes):
        at = ("kubernetes", "volumes", index)
        if problem := _volume_name(each.get("name"), names):
            yield FindingError((*at, "name") if "name" in each else at, problem)
        names.add(str(each.get("name")))
        for key, wrong in volume(each):
            yield FindingError((*at, *key), wrong)


def _volume_name(name: Any, taken: set[Any]) -> str | None:
    if name is None:
        return "name is missing; volume_mounts refer to it"
    if problem := dns_label(name):
        return problem
    if name in _OWN_VOLUMES or name.startswith("storage-"):
        return f"the name {name} is used by the suite itself; choose another one"
    return f"the name {name} stands twice; choose another one" if name in taken else None


def _lost(storage: Storage) -> str | None:
    """Explain that what people write would be gone with the pod."""
    source = storage.kubernetes
    if storage.use is StorageUse.SCRATCH:
        return None
    if storage.use is StorageUse.HOME and source is not None and source.read_only_by_nature:
        return f"a home cannot be written to a {source.read_only_by_nature}; write for example {_CLAIM}"
    if source is not None and source.passing is None:
        return None
    what = "a home" if storage.use is StorageUse.HOME else "a share"
    how = f"in {source.passing}" if source else "without a place in the cluster"
    return f"{what} {how} is gone with the pod, with all that is in it; write for example {_CLAIM}, or make it use: scratch"


def _mounts(platform: Platform) -> Iterator[FindingError]:
    names = [each.get("name") for each in platform.kubernetes.volumes]
    further: set[str] = set()
    for index, each in enumerate(platform.kubernetes.volume_mounts):
        for key, problem in _mount(each, names, further):
            yield FindingError(("kubernetes", "volume_mounts", index, *key), problem)
        if isinstance(path := each.get("mountPath"), str):
            further.add(_place(path))
    seen: list[tuple[str, Storage]] = []
    for name, storage in platform.storage.items():
        where = _place(storage.mount)
        problem_here = (
            f"{where} is mounted by kubernetes.volume_mounts too; choose another place"
            if where in further
            else next(filter(None, (_clash(name, storage, *other) for other in seen)), None)
        )
        if problem_here:
            yield FindingError(("storage", name, "mount"), problem_here)
        seen.append((name, storage))


def _mount(value: Mapping[str, Any], names: list[Any], taken: set[str]) -> Iterator[tuple[Key, str]]:
    yield from _MOUNT(value)
    if value.get("subPath") and value.get("subPathExpr"):
        yield ("subPathExpr",), "subPath and subPathExpr exclude each other"
    if isinstance(name := value.get("name"), str) and name not in names:
        yield ("name",), f"there is no {name} under kubernetes.volumes{meant(name, names)}"
    if isinstance(path := value.get("mountPath"), str) and (where := _place(path)) in taken:
        yield ("mountPath",), f"{where} is mounted twice; choose another place"


def _clash(name: str, storage: Storage, other: str, before: Storage) -> str | None:
    """Explain why two folders cannot be in one pod; None if they can, or never are."""
    if not _meet(storage, before):
        return None
    where, there = _place(storage.mount), _place(before.mount)
    if where == there:
        return f"{where} is the place of {other} too; choose another one"
    if before.read_only and where.startswith(f"{there}/"):
        outer, inner = other, name
    elif storage.read_only and there.startswith(f"{where}/"):
        outer, inner = name, other
    else:
        return None
    return f"{outer} can only be read, so that {inner} cannot be mounted inside; choose another place"


def _meet(one: Storage, other: Storage) -> bool:
    """Return whether one pod can have both."""
    return one.projects is None or other.projects is None or not set(one.projects).isdisjoint(other.projects)


def _written(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)[:60]


def _shown(value: Any) -> str:
    return f"'{value[:60]}'" if isinstance(value, str) else "nothing" if value is None else _written(value)
