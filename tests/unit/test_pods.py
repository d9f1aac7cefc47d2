"""From a selection to a pod, as a table: what was granted is what is requested, and nothing else."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiinfn_hub.contract import posix_accounts
from aiinfn_hub.kube import names
from aiinfn_hub.kube.objects.pods import (
    ACCOUNT_FILES,
    ACCOUNT_VOLUME,
    DEFAULT_HOME,
    PodParts,
    home_of,
    pod_parts,
    pod_spec,
)
from aiinfn_hub.platform.gate import resolve
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.person import Person
from aiinfn_hub.platform.selection import Door

INSTANCE = names.Instance("aiinfn-system")
FILE: dict[str, Any] = {
    "accelerators": {
        "t4": {
            "title": "T4",
            "kind": "gpu",
            "resource": "nvidia.com/gpu",
            "node_labels": {"nvidia.com/gpu.product": "Tesla-T4"},
            "max_per_session": 2,
            "max_per_job": 2,
        },
        "single": {
            "title": "A100 slice, every slice of a node alike",
            "kind": "mig",
            "resource": "nvidia.com/gpu",
            "node_labels": {
                "nvidia.com/gpu.product": "NVIDIA-A100-PCIE-40GB-MIG-1g.5gb",
                "nvidia.com/mig.strategy": "single",
            },
        },
        "mixed": {"title": "A100 slice", "kind": "mig", "resource": "nvidia.com/mig-2g.10gb"},
        "v70": {
            "title": "Alveo V70",
            "kind": "fpga",
            "resource": "amd.com/xilinx_v70_gen5x8_qdma_base_2-0",
            "node_labels": {"accelerator": "v70"},
            "tolerations": [{"key": "fpga", "operator": "Exists", "effect": "NoSchedule"}],
        },
    },
    "images": {
        "base": {
            "title": "Base",
            "reference": "registry.example.org/base:1",
            "environment": {"PATH": "/env/bin", "HOME": "/nowhere", "AIINFN_PROJECT": "another"},
        }
    },
    "sizes": {
        "s": {"title": "S", "cores": 0.5, "memory": "1Gi"},
        "l": {"title": "L", "cores": 8, "memory": "64Gi"},
    },
    "projects": {
        "alpha": {"title": "Alpha", "groups": ["a"]},
        "beta": {"title": "Beta", "groups": ["b"]},
    },
    "queues": {"night": {"title": "Night", "priority": 5}},
    "storage": {
        "scratch": {"title": "Scratch", "use": "scratch", "mount": "/tmp"},
        "homes": {
            "title": "Home",
            "use": "home",
            "mount": "/home/user",
            "kubernetes": {"kind": "claim", "claim": "homes", "sub_path": "people/{person}"},
        },
        "data": {
            "title": "Data",
            "use": "share",
            "mount": "/data",
            "projects": ["alpha"],
            "kubernetes": {
                "kind": "volume",
                "volume": {"csi": {"driver": "nfs.csi.k8s.io"}},
                "sub_path": "{project}",
            },
            "read_only": True,
        },
    },
    "kubernetes": {
        "user_id": 1234,
        "group_id": 4321,
        "image_pull_policy": "Always",
        "volumes": [{"name": "licence", "secret": {"secretName": "licence"}}],
        "volume_mounts": [{"name": "licence", "mountPath": "/licence", "readOnly": True}],
    },
}
PLATFORM = Platform.model_validate(FILE)
ADA = Person.of("ada@example.org", ["a", "b"])
PRODUCT = "nvidia.com/gpu.product"


def parts(
    request: dict[str, Any] | None = None,
    *,
    platform: Platform = PLATFORM,
    door: Door = Door.SESSION,
    person: Person = ADA,
) -> PodParts:
    return pod_parts(resolve(request or {}, platform, person, door), platform)


def requirements(affinity: Any) -> dict[str, Any]:
    """The one thing that an affinity may be: every label, required."""
    ((kind, node),) = affinity.items()
    ((how, terms),) = node.items()
    ((part, (term,)),) = terms.items()
    assert (kind, how, part) == (
        "nodeAffinity",
        "requiredDuringSchedulingIgnoredDuringExecution",
        "nodeSelectorTerms",
    )
    assert set(term) == {"matchExpressions"}
    assert all(entry["operator"] == "In" for entry in term["matchExpressions"])
    return {entry["key"]: entry["values"] for entry in term["matchExpressions"]}


@pytest.mark.parametrize(
    ("request_", "devices", "labels", "tolerations"),
    [
        ({"accelerator": "none"}, {}, None, []),
        ({"accelerator": "t4"}, {"nvidia.com/gpu": "1"}, {PRODUCT: ["Tesla-T4"]}, []),
        ({"accelerator": "t4", "count": 2}, {"nvidia.com/gpu": "2"}, {PRODUCT: ["Tesla-T4"]}, []),
        (
            {"accelerator": "single"},
            {"nvidia.com/gpu": "1"},
            {PRODUCT: ["NVIDIA-A100-PCIE-40GB-MIG-1g.5gb"], "nvidia.com/mig.strategy": ["single"]},
            [],
        ),
        ({"accelerator": "mixed"}, {"nvidia.com/mig-2g.10gb": "1"}, None, []),
        (
            {"accelerator": "v70"},
            {"amd.com/xilinx_v70_gen5x8_qdma_base_2-0": "1"},
            {"accelerator": ["v70"]},
            [{"key": "fpga", "operator": "Exists", "effect": "NoSchedule"}],
        ),
    ],
)
@pytest.mark.parametrize("door", list(Door))
def test_the_accelerator_is_requested_and_its_model_required(
    request_: dict[str, Any],
    devices: dict[str, Any],
    labels: dict[str, Any] | None,
    tolerations: list[dict[str, Any]],
    door: Door,
) -> None:
    made = parts(request_, door=door)
    others = {"cpu", "memory"}
    assert {key: value for key, value in made.resources["limits"].items() if key not in others} == devices
    assert {key: value for key, value in made.resources["requests"].items() if key not in others} == devices
    assert (made.affinity and requirements(made.affinity)) == labels
    assert made.tolerations == tolerations


@pytest.mark.parametrize(("size", "cores", "memory"), [("s", "500m", "1Gi"), ("l", "8", "64Gi")])
def test_memory_is_reserved_whole_and_cores_are_a_share(size: str, cores: str, memory: str) -> None:
    made = parts({"size": size})
    assert made.resources == {"requests": {"cpu": cores, "memory": memory}, "limits": {"memory": memory}}


def test_cores_are_limited_only_where_the_file_says_so() -> None:
    settings = PLATFORM.kubernetes.model_copy(update={"cpu_limit_ratio": 2.5})
    platform = PLATFORM.model_copy(update={"kubernetes": settings})
    assert "cpu" not in parts({"size": "l"}).resources["limits"]
    limited = parts({"size": "l"}, platform=platform).resources
    assert (limited["requests"]["cpu"], limited["limits"]["cpu"]) == ("8", "20")


def test_labels_hold_slugs_and_annotations_names() -> None:
    made = parts({"accelerator": "t4", "count": 2})
    assert made.labels == {
        "ai.infn.it/kind": "session",
        "ai.infn.it/user": names.slug("ada@example.org"),
        "ai.infn.it/project": "alpha",
        "ai.infn.it/accelerator": "t4",
        "ai.infn.it/count": "2",
        "ai.infn.it/managed": "aiinfn-system",
    }
    assert made.annotations["ai.infn.it/user"] == "ada@example.org"
    assert made.annotations.keys() - made.labels.keys() == {f"ai.infn.it/{name}" for name in ACCOUNT_FILES}


def test_a_session_and_a_job_of_one_choice_differ_in_what_tells_them_apart_only() -> None:
    session = parts({"accelerator": "t4"})
    job = parts({"accelerator": "t4"}, door=Door.JOB)
    assert session.priority_class_name == INSTANCE.session_priority_class
    assert job.priority_class_name == INSTANCE.batch_priority_class
    assert job.labels["ai.infn.it/kind"] == "job"
    same = (
        "image",
        "environment",
        "home",
        "resources",
        "affinity",
        "tolerations",
        "volumes",
        "volume_mounts",
        "pod_security_context",
        "container_security_context",
    )
    assert all(getattr(session, field) == getattr(job, field) for field in same)


def test_the_image_brings_its_environment_and_the_platform_has_the_last_word() -> None:
    assert parts({"project": "beta"}).environment == {
        "PATH": "/env/bin",
        "HOME": "/home/user",
        "AIINFN_PROJECT": "beta",
        "AIINFN_ACCELERATOR": "none",
        "AIINFN_COUNT": "0",
        "AIINFN_IMAGE": "base",
        "AIINFN_SIZE": "s",
    }


def account_files(made: PodParts) -> dict[str, Any]:
    """Return what the container reads at each place, following the volume to the pod's annotations."""
    (volume,) = [each for each in made.volumes if each["name"] == ACCOUNT_VOLUME]
    texts = {
        item["path"]: made.annotations[item["fieldRef"]["fieldPath"][len("metadata.annotations['") : -2]]
        for item in volume["downwardAPI"]["items"]
    }
    mounts = [each for each in made.volume_mounts if each["name"] == ACCOUNT_VOLUME]
    assert all(each["readOnly"] for each in mounts)
    return {each["mountPath"]: texts[each["subPath"]] for each in mounts}


@pytest.mark.parametrize("door", [Door.SESSION, Door.JOB])
def test_the_persons_uid_has_a_name_in_the_pod_and_login_shells_keep_the_path(door: Door) -> None:
    found = account_files(parts(door=door))
    login = names.slug("ada@example.org")
    assert found["/etc/passwd"].splitlines()[0] == f"{login}:x:1234:4321:ada@example.org:/home/user:/bin/bash"
    assert "\nroot:x:0:0:" in found["/etc/passwd"]
    assert found["/etc/group"].splitlines()[0] == f"{login}:x:4321:"
    assert found["/etc/profile.d/zz-aiinfn.sh"] == posix_accounts.PROFILE


@given(st.text(max_size=60))
def test_no_name_adds_an_account(name: str) -> None:
    found = account_files(parts(person=Person.of(name, ["a"])))
    assert found["/etc/passwd"].split("\n")[1:] == [*posix_accounts.BASE_ACCOUNTS.split("\n")]


def test_an_operators_own_list_of_accounts_goes_first() -> None:
    own = {
        "volumes": [{"name": "own", "configMap": {"name": "own"}}],
        "volume_mounts": [{"name": "own", "mountPath": "/etc/passwd", "subPath": "passwd"}],
    }
    platform = Platform.model_validate(FILE | {"kubernetes": FILE.get("kubernetes", {}) | own})
    made = parts(platform=platform)
    paths = [mount["mountPath"] for mount in made.volume_mounts]
    assert len(paths) == len(set(paths))
    assert "/etc/passwd" not in account_files(made)


def volumes_of(made: PodParts) -> dict[str, Any]:
    """Mount path -> (source, mount without name and path)."""
    sources = {volume["name"]: volume for volume in made.volumes}
    assert len(sources) == len(made.volumes)
    found = {}
    # Those of the person's account stand in each pod; they have a test of their own.
    sources.pop(ACCOUNT_VOLUME)
    for mount in made.volume_mounts:
        if mount["name"] == ACCOUNT_VOLUME:
            continue
        source = {key: value for key, value in sources.pop(mount["name"]).items() if key != "name"}
        found[mount["mountPath"]] = (source, {k: mount[k] for k in mount if k not in {"name", "mountPath"}})
    assert not sources
    return found


def test_a_project_sees_its_own_storage() -> None:
    alpha, beta = volumes_of(parts({"project": "alpha"})), volumes_of(parts({"project": "beta"}))
    assert alpha.pop("/data") == (
        {"csi": {"driver": "nfs.csi.k8s.io"}},
        {"subPath": "alpha", "readOnly": True},
    )
    assert alpha == beta
    assert alpha == {
        "/dev/shm": ({"emptyDir": {"medium": "Memory", "sizeLimit": "512Mi"}}, {}),
        "/tmp": ({"emptyDir": {}}, {}),
        "/home/user": (
            {"persistentVolumeClaim": {"claimName": "homes"}},
            {"subPath": f"people/{names.slug('ada@example.org')}"},
        ),
        "/licence": ({"secret": {"secretName": "licence"}}, {"readOnly": True}),
    }


def test_a_project_without_a_home_gets_an_empty_one() -> None:
    platform = Platform.model_validate(FILE | {"storage": {}})
    assert home_of(platform, "alpha") == DEFAULT_HOME
    made = parts(platform=platform)
    assert made.environment["HOME"] == made.home == DEFAULT_HOME
    assert volumes_of(made)[DEFAULT_HOME] == ({"emptyDir": {}}, {})


@given(st.text(max_size=60))
def test_no_name_leads_out_of_its_folder(name: str) -> None:
    made = parts(person=Person.of(name, ["a"]))
    (path,) = [mount["subPath"] for mount in made.volume_mounts if mount["mountPath"] == "/home/user"]
    folder, _, rest = path.partition("/")
    assert folder == "people"
    assert rest
    assert not set(rest) & set("/.\0")
    assert all(len(value) <= 63 for value in made.labels.values())


def test_the_whole_pod() -> None:
    made = parts({"accelerator": "v70"})
    spec = pod_spec(
        made,
        name="notebook",
        command=["jupyterhub-singleuser", "--debug"],
        environment={"AIINFN_VKD_URL": "http://vkd", "AIINFN_SIZE": "mine"},
        grace_seconds=7,
        extra_volumes=[{"name": "run", "downwardAPI": {}}],
        extra_mounts=[{"name": "run", "mountPath": "/run/aiinfn"}],
    )
    (container,) = spec["containers"]
    environment = {entry["name"]: entry["value"] for entry in container["env"]}
    assert environment == made.environment | {"AIINFN_VKD_URL": "http://vkd", "AIINFN_SIZE": "mine"}
    assert container["command"] == ["jupyterhub-singleuser", "--debug"]
    assert container["workingDir"] == "/home/user"
    assert spec["volumes"][-1] == {"name": "run", "downwardAPI": {}}
    assert container["volumeMounts"][-1] == {"name": "run", "mountPath": "/run/aiinfn"}
    assert spec["terminationGracePeriodSeconds"] == 7
    assert spec["restartPolicy"] == "Never"
    assert spec["affinity"] == made.affinity
    assert spec["tolerations"] == made.tolerations
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert spec["shareProcessNamespace"] is True
    json.dumps(spec, allow_nan=False)
    bare = pod_spec(parts(), name="n", command=["x"], environment={}, grace_seconds=1)
    assert "affinity" not in bare
    assert "tolerations" not in bare


def test_the_security_floor() -> None:
    """What the restricted standard demands; that the API server agrees is tested on a real one."""
    made = parts()
    assert made.pod_security_context == {
        "runAsNonRoot": True,
        "runAsUser": 1234,
        "runAsGroup": 4321,
        "fsGroup": 4321,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert made.container_security_context == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"volume": {"nfs": {"server": "s", "path": "/p"}}}, "forbids nfs"),
        ({"volume": {"hostPath": {"path": "/"}}}, "forbids hostPath"),
        ({"volume": {}}, "one source"),
        ({"volume": {"emptyDir": {}, "csi": {}}}, "one source"),
        ({"sub_path": "../etc"}, "no folder"),
        ({"sub_path": "/etc"}, "no folder"),
        ({"sub_path": "{user}"}, "no folder"),
        ({"sub_path": ""}, "no folder"),
    ],
)
def test_storage_that_no_pod_could_have_is_refused_with_the_file(change: dict[str, Any], says: str) -> None:
    source = {"kind": "volume", "volume": {"persistentVolumeClaim": {"claimName": "a"}}} | change
    storage = {"home": {"title": "Home", "use": "home", "mount": "/home/user", "kubernetes": source}}
    with pytest.raises(ValueError, match=says):
        Platform.model_validate(FILE | {"storage": storage})
