"""What the hub, vkd and the pods of people may do in the cluster, and above all what they may not."""

from __future__ import annotations

from typing import Any

import pytest

from aiinfn_hub.kube import names
from aiinfn_hub.kube.objects import rbac
from tests.cluster import workloads
from tests.cluster.harness import ApiError, Cluster, wait_for
from tests.cluster.site import INSTANCE, Site
from tests.cluster.test_queue_order import BATCH, SESSION_PODS, SESSIONS

SYSTEM = "aiinfn-system"
EVERYWHERE = ""
PERSON, PERSON_S_JOB = "person", "person's job"
ACCOUNTS = {
    "hub": (SYSTEM, rbac.HUB),
    "vkd": (SYSTEM, rbac.VKD),
    PERSON: (SESSIONS, "default"),
    PERSON_S_JOB: (BATCH, "default"),
}
KUEUE, RBAC, VISIBILITY = "kueue.x-k8s.io", "rbac.authorization.k8s.io", "visibility.kueue.x-k8s.io"
VERSIONS = {
    "": "v1",
    "batch": "v1",
    KUEUE: "v1beta2",
    VISIBILITY: "v1beta2",
    RBAC: "v1",
    "apps": "v1",
    "policy": "v1",
}
METHODS = {
    "get": "GET",
    "list": "GET",
    "watch": "GET",
    "create": "POST",
    "patch": "PATCH",
    "delete": "DELETE",
}
QUEUE = names.local_queue("opportunistic", "flavour")

# Verbs, API group, resource, namespace ("" is the whole cluster).
MAY = {
    "hub": [
        ("get list watch create patch delete", "", "pods", SESSIONS),
        ("get list watch", "", "events", SESSIONS),
    ],
    "vkd": [
        ("get list watch create patch delete", "batch", "jobs", BATCH),
        ("get list watch", "", "pods", BATCH),
        ("get", "", "pods/log", BATCH),
        ("get list watch", "", "events", BATCH),
        ("get list watch patch", KUEUE, "workloads", BATCH),
        ("get", VISIBILITY, "localqueues/pendingworkloads", BATCH),
        ("get list watch", "", "nodes", EVERYWHERE),
        ("get list watch", "", "pods", EVERYWHERE),
    ],
    PERSON: [],
    PERSON_S_JOB: [],
}
# Beside these, nobody may do anything of this.
NEVER = [
    ("get list watch create patch delete", "", "secrets", place)
    for place in (SESSIONS, BATCH, SYSTEM, "kube-system", EVERYWHERE)
] + [
    ("create", "", "pods/exec", SESSIONS),
    ("create", "", "pods/exec", BATCH),
    ("create", "", "pods/attach", SESSIONS),
    ("create", "", "pods/portforward", SESSIONS),
    ("create", "", "pods/eviction", BATCH),
    ("get", "", "pods/log", SYSTEM),
    ("create patch delete", "", "pods", SYSTEM),
    ("create patch delete", "", "pods", "kube-system"),
    ("create patch delete", "", "nodes", EVERYWHERE),
    ("get", "", "nodes/proxy", EVERYWHERE),
    ("get list create patch delete", "", "configmaps", SYSTEM),
    ("create", "", "serviceaccounts/token", SYSTEM),
    ("create", "", "serviceaccounts", SYSTEM),
    ("create patch delete", "", "namespaces", EVERYWHERE),
    ("create patch delete", "", "persistentvolumes", EVERYWHERE),
    ("create patch delete", "", "persistentvolumeclaims", SESSIONS),
    ("create patch delete", KUEUE, "clusterqueues", EVERYWHERE),
    ("create patch delete", KUEUE, "cohorts", EVERYWHERE),
    ("create patch delete", KUEUE, "localqueues", BATCH),
    ("create delete", KUEUE, "workloads", BATCH),
    ("patch", KUEUE, "workloads", "batch"),
    ("patch", KUEUE, "workloads/status", BATCH),
    ("create patch delete", "batch", "jobs", "batch"),
    ("create", "apps", "deployments", SYSTEM),
    *(("create patch delete", RBAC, kind, SYSTEM) for kind in ("roles", "rolebindings")),
    *(("create patch delete", RBAC, kind, EVERYWHERE) for kind in ("clusterroles", "clusterrolebindings")),
    # What one of them may, the other may not.
    ("create patch delete", "", "pods", BATCH),
    ("create patch delete", "batch", "jobs", SESSIONS),
    ("get list watch", "", "events", EVERYWHERE),
    *MAY["hub"],
    *MAY["vkd"],
]  # fmt: skip


def single(rules: Any) -> list[tuple[Any, ...]]:
    return [(verb, *rest) for verbs, *rest in rules for verb in verbs.split()]


def granted(account: Any) -> tuple[set[tuple[Any, ...]], set[tuple[Any, ...]]]:
    found = set(single(MAY[account]))
    # What somebody may read in the whole cluster, they may read in every namespace of it.
    everywhere = {rule for rule in found if rule[3] == EVERYWHERE}
    return found, everywhere


def allowed(account: Any, rule: Any) -> bool:
    found, everywhere = granted(account)
    return rule in found or (*rule[:3], EVERYWHERE) in everywhere


@pytest.fixture(scope="module")
def clients(cluster: Cluster, site: Site) -> dict[str, Any]:
    for namespace in (SESSIONS, BATCH):
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/default"
        wait_for(f"the account of {namespace}", lambda p=path: cluster.api.get(p))  # type: ignore[misc]
    return {name: cluster.api.with_token(cluster.token(*account)) for name, account in ACCOUNTS.items()}


def review(api: Any, verb: Any, group: Any, resource: Any, namespace: str) -> bool:
    """Ask the API server, as the account itself."""
    resource, _, part = resource.partition("/")
    attributes = {
        "verb": verb,
        "group": group,
        "resource": resource,
        "subresource": part,
        "namespace": namespace,
    }
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    return api.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body)["status"]["allowed"]


def call(api: Any, verb: Any, group: Any, resource: Any, namespace: str) -> int:
    """Really try; give the status. What is allowed fails for another reason, since there is no such object."""
    resource, _, part = resource.partition("/")
    base = f"/apis/{group}/{VERSIONS[group]}" if group else "/api/v1"
    path = f"{base}/namespaces/{namespace}/{resource}" if namespace else f"{base}/{resource}"
    if part or verb in {"get", "patch", "delete"}:
        path += f"/{QUEUE if group == VISIBILITY else 'no-such-object'}" + (f"/{part}" if part else "")
    if verb == "watch":
        path += "?watch=1&timeoutSeconds=1"
    body: dict[str, Any] | None = {} if verb in {"create", "patch"} else None
    content_type = "application/merge-patch+json" if verb == "patch" else "application/json"
    try:
        api.request(METHODS[verb], path, body, content_type)
    except ApiError as error:
        return error.status
    return 200


# ``all namespaces`` is no place to create a namespaced object in: only the review can ask about that.
NAMESPACED = {"pods", "secrets", "events"}


@pytest.mark.parametrize("account", ACCOUNTS)
def test_nobody_may_do_more_than_the_table_says(account: Any, clients: Any) -> None:
    rules = dict.fromkeys(single(NEVER))
    wrong = [rule for rule in rules if review(clients[account], *rule) != allowed(account, rule)]
    assert not wrong, wrong


@pytest.mark.parametrize("account", ACCOUNTS)
def test_what_is_not_allowed_is_really_refused_and_what_is_allowed_is_not(account: Any, clients: Any) -> None:
    wrong = []
    for rule in dict.fromkeys(single(NEVER)):
        verb, _, resource, place = rule
        if place == EVERYWHERE and resource in NAMESPACED and verb not in {"list", "watch"}:
            continue
        if verb == "watch" and allowed(account, rule):
            continue  # the lists beside them are allowed, and a watch ends only after its time
        if (call(clients[account], *rule) != 403) != allowed(account, rule):
            wrong.append(rule)
    assert not wrong, wrong


@pytest.mark.parametrize("account", ["hub", "vkd"])
def test_the_resource_rules_are_the_table_and_nothing_else(account: Any, clients: Any) -> None:
    """The API server's own list of what an account may do in each namespace, so that no right is merely not asked about."""
    for namespace in (SESSIONS, BATCH, SYSTEM, "default", "kube-system"):
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectRulesReview",
            "spec": {"namespace": namespace},
        }
        status = clients[account].post("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", body)[
            "status"
        ]
        has = {
            (verb, group, resource)
            for rule in status["resourceRules"]
            for verb in rule["verbs"]
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            # Everybody who is signed in may ask what they may do.
            if group not in {"authorization.k8s.io", "authentication.k8s.io"}
        }
        expected = {rule[:3] for rule in single(MAY[account]) if rule[3] in (namespace, EVERYWHERE)}
        assert has == expected, namespace


@pytest.mark.parametrize("account", ["hub", "vkd"])
def test_an_account_cannot_give_itself_more(account: Any, cluster: Any, clients: Any) -> None:
    api = clients[account]
    role = f"/apis/{RBAC}/v1/namespaces/{SESSIONS if account == 'hub' else BATCH}/roles/{rbac.HUB if account == 'hub' else rbac.VKD}"
    everything = {"rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]}
    binding = {
        "metadata": {"name": "more"},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": ACCOUNTS[account][1], "namespace": SYSTEM}],
    }
    other = "vkd" if account == "hub" else "hub"
    token = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    for attempt in (
        lambda: api.patch(role, everything),
        lambda: api.post(f"/apis/{RBAC}/v1/clusterrolebindings", binding),
        lambda: api.post(f"/apis/{RBAC}/v1/namespaces/{SYSTEM}/rolebindings", binding),
        lambda: api.post(f"/api/v1/namespaces/{SYSTEM}/serviceaccounts/{ACCOUNTS[other][1]}/token", token),
    ):
        with pytest.raises(ApiError) as refused:
            attempt()
        assert refused.value.status == 403
    # Nor act as somebody else.
    masked = cluster.api.with_token(cluster.token(*ACCOUNTS[account]))
    masked._headers["Impersonate-User"] = "system:admin"
    with pytest.raises(ApiError) as refused:
        masked.get("/api/v1/namespaces")
    assert refused.value.status == 403


def test_the_hub_cannot_make_a_pod_that_has_rights_or_the_machine_s_files(clients: Any, cluster: Any) -> None:
    """The pods that it may create are held to the restricted standard, and their accounts may do nothing."""
    for change in (
        {"hostPID": True},
        {"hostNetwork": True},
        {"volumes": [{"name": "root", "hostPath": {"path": "/"}}]},
        {"securityContext": {"runAsUser": 0}},
    ):
        pod = workloads.session("bad")
        pod["spec"] |= {"priorityClassName": INSTANCE.session_priority_class} | change
        with pytest.raises(ApiError, match="violates PodSecurity") as refused:
            clients["hub"].post(SESSION_PODS, pod)
        assert refused.value.status == 403
    for account in (rbac.HUB, rbac.VKD):  # accounts of other namespaces cannot be named
        pod = workloads.session("bad")
        pod["spec"] |= {"priorityClassName": INSTANCE.session_priority_class, "serviceAccountName": account}
        with pytest.raises(ApiError, match="not found") as refused:
            clients["hub"].post(SESSION_PODS, pod)
        assert refused.value.status == 403
    assert cluster.api.get(SESSION_PODS)["items"] == []


def test_the_hub_may_start_and_end_a_session_with_exactly_its_rights(clients: Any) -> None:
    pod = workloads.session("allowed")
    pod["spec"]["priorityClassName"] = INSTANCE.session_priority_class
    hub = clients["hub"]
    hub.post(SESSION_PODS, pod)
    wait_for("it to run", lambda: hub.get(f"{SESSION_PODS}/allowed")["status"]["phase"] == "Running")
    hub.delete(f"{SESSION_PODS}/allowed")
    wait_for("it to go", lambda: hub.get(SESSION_PODS)["items"] == [])


def test_a_pod_of_a_person_holds_no_token(cluster: Any, site: Site) -> None:
    from aiinfn_hub.kube.objects import pods
    from aiinfn_hub.platform.selection import Door, Selection

    platform = site.platform
    site.home("ada")
    selection = Selection(
        door=Door.SESSION,
        person="ada",
        project="flavour",
        image_name="standard",
        image=platform.images["standard"],
        size_name="small",
        size=platform.sizes["small"],
        accelerator_name="none",
        accelerator=None,
        count=0,
        queue_name=None,
        priority=0,
        time_limit=platform.limits.session_default,
    )
    look = ["/bin/sh", "-c", "ls -d /var/run/secrets/kubernetes.io /run/secrets/kubernetes.io; env"]
    parts = pods.pod_parts(selection, platform)
    spec = pods.pod_spec(parts, name="main", command=look, environment={}, grace_seconds=1)
    cluster.api.post(SESSION_PODS, {"metadata": {"name": "looks"}, "spec": spec})
    try:
        wait_for(
            "it to end",
            lambda: cluster.api.get(f"{SESSION_PODS}/looks")["status"]["phase"] in ("Failed", "Succeeded"),
        )
        said = cluster.api.get(f"{SESSION_PODS}/looks/log")
    finally:
        cluster.api.delete(f"{SESSION_PODS}/looks")
        wait_for("it to go", lambda: cluster.api.get(SESSION_PODS)["items"] == [])
    assert said.count("No such file or directory") == 2, said
    assert "TOKEN" not in said
