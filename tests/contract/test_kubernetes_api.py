"""How a Kubernetes API answers: the same on the test cluster and on a real one."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from tests.contract.conftest import IMAGE, Site, conditions, job


def config(name: str, labels: dict[str, str] | None = None, **data: str) -> Any:
    metadata = {"name": name, "labels": labels or {}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def refused_with(site: Site, obj: Any) -> str:
    return str(site.make(obj, check=False))


def rows(site: Site, path: str) -> list[tuple[str, str]]:
    """Return what a watch tells until the server ends it: kinds of change, and names."""
    told = [json.loads(line) for line in site.raw(path).splitlines()]
    return [(one["type"], one["object"].get("metadata", {}).get("name", "")) for one in told]


def revision(site: Site, plural: str = "configmaps") -> str:
    return str(json.loads(site.raw(f"/api/v1/{{ns}}/{plural}?limit=1"))["metadata"]["resourceVersion"])


def test_refusals_in_their_own_words(site: Site) -> None:
    said = site.kubectl("get", "job", "nope", check=False)
    assert 'Error from server (NotFound): jobs.batch "nope" not found' in said
    lost = {**job("lost", "true")}
    said = site.kubectl("create", "-n", "nonamespace", "-f", "-", stdin=json.dumps(lost), check=False)
    assert 'namespaces "nonamespace" not found' in said
    site.make(config("twice"))
    assert '(AlreadyExists): error when creating "STDIN": configmaps "twice" already exists' in refused_with(
        site, config("twice")
    )
    wrong = job("Bad_Name", "true", pod={"restartPolicy": "Always"})
    said = refused_with(site, wrong)
    assert "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters" in said
    assert 'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"' in said
    nothing = job("nothing", "true", pod={"containers": []})
    assert "spec.template.spec.containers: Required value" in refused_with(site, nothing)
    unmounted = job("unmounted", "true", {"volumeMounts": [{"name": "x", "mountPath": "/x"}]})
    assert 'spec.template.spec.containers[0].volumeMounts[0].name: Not found: "x"' in refused_with(site, unmounted)


def test_wrong_fields_are_named(site: Site) -> None:
    strange = job("strange", "true", pod={"restartPolcy": "Never"})
    assert 'strict decoding error: unknown field "spec.template.spec.restartPolcy"' in refused_with(site, strange)
    said = site.kubectl("create", "--validate=warn", "-f", "-", stdin=json.dumps(strange), check=False)
    assert 'Warning: unknown field "spec.template.spec.restartPolcy"' in said and "created" in said
    number = job("number", "true", {"env": [{"name": "A", "value": 1}]})
    said = site.kubectl("create", "--validate=ignore", "-f", "-", stdin=json.dumps(number), check=False)
    assert "cannot unmarshal number into Go struct field EnvVar.spec.template.spec.containers.env.value" in said


def test_a_watch_sees_labels_come_and_go(site: Site) -> None:
    begun = revision(site)
    site.make(config("colour", {"colour": "blue"}))
    site.kubectl("label", "configmap", "colour", "colour=red", "--overwrite")
    site.kubectl("annotate", "configmap", "colour", "seen=yes")
    site.kubectl("label", "configmap", "colour", "colour=green", "--overwrite")
    site.kubectl("delete", "configmap", "colour")
    watch = f"/api/v1/{{ns}}/configmaps?watch=true&resourceVersion={begun}&timeoutSeconds=1"
    path = f"{watch}&labelSelector=colour%3Dred"
    assert rows(site, path) == [("ADDED", "colour"), ("MODIFIED", "colour"), ("DELETED", "colour")]
    path = f"{watch}&fieldSelector=metadata.name%3Dcolour"
    assert [kind for kind, _ in rows(site, path)] == ["ADDED", "MODIFIED", "MODIFIED", "MODIFIED", "DELETED"]


def test_a_watch_can_begin_with_what_there_is(site: Site) -> None:
    site.make(config("first", {"set": "one"}))
    path = "/api/v1/{ns}/configmaps?watch=true&timeoutSeconds=1&labelSelector=set%3Done&allowWatchBookmarks=true"
    assert rows(site, path)[0] == ("ADDED", "first")
    listed = f"{path}&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion="
    told = [json.loads(line) for line in site.raw(listed).splitlines()]
    ends = [one for one in told if one["type"] == "BOOKMARK"]
    assert told[0]["type"] == "ADDED" and ends
    assert ends[0]["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"] == "true"


def test_a_watch_from_too_long_ago_is_told_so(site: Site) -> None:
    told = [
        json.loads(line)
        for line in site.raw("/api/v1/{ns}/pods?watch=true&resourceVersion=1&timeoutSeconds=5").splitlines()
    ]
    assert told[0]["type"] == "ERROR" and told[0]["object"]["code"] == 410 and told[0]["object"]["reason"] == "Expired"


def test_pages_are_of_one_moment(site: Site) -> None:
    for number in range(3):
        site.make(config(f"page-{number}", {"set": "page"}))
    path = "/api/v1/{ns}/configmaps?labelSelector=set%3Dpage&limit=2"
    first = json.loads(site.raw(path))
    site.make(config("page-9", {"set": "page"}))
    second = json.loads(site.raw(f"{path}&continue={first['metadata']['continue']}"))
    names = [one["metadata"]["name"] for page in (first, second) for one in page["items"]]
    assert names == ["page-0", "page-1", "page-2"] and "continue" not in second["metadata"]
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


def test_selectors(site: Site) -> None:
    for number, tier in enumerate(("a", "b", "c")):
        site.make(config(f"tier-{number}", {"tier": tier, **({"odd": "yes"} if number % 2 else {})}))

    def found(selector: str) -> list[str]:
        said = site.kubectl("get", "configmaps", "-l", f"tier,{selector}", "-o", "name")
        return [line.removeprefix("configmap/tier-") for line in said.splitlines()]

    assert found("tier in (a, c)") == ["0", "2"] and found("tier notin (a)") == ["1", "2"]
    assert found("!odd") == ["0", "2"] and found("odd=yes") == ["1"] and found("tier!=b") == ["0", "2"]
    said = site.kubectl("get", "pods", "--field-selector=spec.colour=red", check=False)
    assert "field label not supported: spec.colour" in said


def test_the_three_patches_and_a_conflict(site: Site) -> None:
    site.make(config("patched", {"keep": "yes"}, a="1", b="2"))
    site.kubectl("patch", "configmap", "patched", "--type=merge", "-p", '{"data": {"a": null, "c": "3"}}')
    site.kubectl(
        "patch", "configmap", "patched", "--type=json", "-p", '[{"op": "add", "path": "/data/d", "value": "4"}]'
    )
    site.kubectl("patch", "configmap", "patched", "--type=strategic", "-p", '{"metadata": {"labels": {"more": "yes"}}}')
    found = site.get("configmap", "patched")
    assert found["data"] == {"b": "2", "c": "3", "d": "4"} and found["metadata"]["labels"] == {
        "keep": "yes",
        "more": "yes",
    }
    site.kubectl("annotate", "configmap", "patched", "somebody=else")
    said = site.kubectl("replace", "-f", "-", stdin=json.dumps(found), check=False)
    assert "Operation cannot be fulfilled on configmaps" in said
    assert "the object has been modified; please apply your changes to the latest version and try again" in said


def test_apply_changes_what_it_made(site: Site) -> None:
    wanted = job("applied", "echo applied; sleep 0.1", {"env": [{"name": "A", "value": "1"}]}, suspend=True)
    assert "created" in site.kubectl("apply", "-f", "-", stdin=json.dumps(wanted))
    assert "unchanged" in site.kubectl("apply", "-f", "-", stdin=json.dumps(wanted))
    wanted["spec"]["template"]["spec"]["containers"][0]["env"].append({"name": "B", "value": "2"})
    wanted["spec"]["suspend"] = False
    assert "configured" in site.kubectl("apply", "-f", "-", stdin=json.dumps(wanted))
    env = site.get("job", "applied")["spec"]["template"]["spec"]["containers"][0]["env"]
    assert env == [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
    site.kubectl("wait", "--for=condition=complete", "job/applied", "--timeout=60s")
    wanted["spec"]["template"]["spec"]["containers"][0]["image"] = "other"
    assert "field is immutable" in site.kubectl("apply", "-f", "-", stdin=json.dumps(wanted), check=False)
    shown = site.kubectl("describe", "job", "applied")
    assert "Pods Statuses:" in shown and "1 Succeeded" in shown and "SuccessfulCreate" in shown
    listed = site.kubectl("get", "job", "applied").splitlines()
    assert listed[0].split() == ["NAME", "STATUS", "COMPLETIONS", "DURATION", "AGE"]
    assert listed[1].split()[:3] == ["applied", "Complete", "1/1"]
    site.kubectl("delete", "job", "applied", "--timeout=60s")
    dry = site.kubectl("apply", "--dry-run=server", "-f", "-", stdin=json.dumps(job("dry", "true")))
    assert "created (server dry run)" in dry and "NotFound" in site.kubectl("get", "job", "dry", check=False)


def test_what_a_container_is_given(site: Site) -> None:
    site.make({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}, "stringData": {"K": "secret"}})
    assert site.get("secret", "key")["data"] == {"K": base64.b64encode(b"secret").decode()}
    site.make(config("words", None, **{"K": "config", "file.txt": "in a file"}))
    env = [
        {"name": "S", "valueFrom": {"secretKeyRef": {"name": "key", "key": "K"}}},
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "requests.cpu"}}},
        {"name": "MADE", "value": "$(S)-$(NOBODY)-$$(S)"},
    ]
    mounts = [
        {"name": "words", "mountPath": "/etc/physlab/words"},
        {"name": "key", "mountPath": "/key", "readOnly": True},
        {"name": "scratch", "mountPath": "/scratch/deep"},
    ]
    script = "echo $S $C_K $POD $CPU $MADE '$(MADE)' $PWD; cat /etc/physlab/words/file.txt /key/K /scratch/deep/begun;"
    container = {
        "env": env, "envFrom": [{"configMapRef": {"name": "words"}, "prefix": "C_"}], "volumeMounts": mounts,
        "command": ["/bin/sh", "-c"], "workingDir": "/scratch/deep", "resources": {"requests": {"cpu": "1"}},
        "args": [f"{script} (echo x > /key/K) 2>/dev/null || echo read-only; echo $HOSTNAME"],
    }  # fmt: skip
    volumes = [{"name": "words", "configMap": {"name": "words"}}, {"name": "key", "secret": {"secretName": "key"}},
               {"name": "scratch", "emptyDir": {}}]  # fmt: skip
    first = {"name": "first", "image": IMAGE, "command": ["/bin/sh", "-c", "echo begun > /s/begun"],
             "volumeMounts": [{"name": "scratch", "mountPath": "/s"}]}  # fmt: skip
    site.make(job("given", "", container, {"volumes": volumes, "initContainers": [first]}))
    assert conditions(site.ended("given"))[-1][0] == "Complete"
    [pod] = site.pods("given")
    name = pod["metadata"]["name"]
    said = site.log(name, "?container=main").splitlines()
    assert said[0] == f"secret config {name} 1 secret-$(NOBODY)-$(S) secret-$(NOBODY)-$(S) /scratch/deep"
    assert said[1] == "in a filesecretbegun" and said[2:] == ["read-only", name]
    assert pod["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 0


def test_a_container_waits_for_what_it_names(site: Site) -> None:
    site.make(
        job(
            "waits",
            "echo $L",
            {"env": [{"name": "L", "valueFrom": {"configMapKeyRef": {"name": "later", "key": "k"}}}]},
        )
    )

    def reason() -> Any:
        states = [one for pod in site.pods("waits") for one in pod["status"].get("containerStatuses") or []]
        return states and states[0]["state"].get("waiting", {}).get("reason") == "CreateContainerConfigError"

    site.wait("it waits", reason)
    assert "is waiting to start: CreateContainerConfigError" in site.log(
        site.pods("waits")[0]["metadata"]["name"], check=False
    )
    site.make(config("later", None, k="late"))
    site.ended("waits")
    assert site.kubectl("logs", "job/waits") == "late\n"


def test_containers_beside_each_other(site: Site) -> None:
    other = {"name": "other", "image": IMAGE, "command": ["/bin/sh", "-c", "echo beside"]}
    site.make(
        job(
            "pair",
            "echo main",
            pod={"containers": [*job("x", "echo main")["spec"]["template"]["spec"]["containers"], other]},
        )
    )
    site.ended("pair")
    name = site.pods("pair")[0]["metadata"]["name"]
    assert site.log(name, "?container=other") == "beside\n" and site.log(name, "?container=main") == "main\n"
    assert "a container name must be specified" in site.log(name, check=False)


def test_a_claim_outlives_its_pods(site: Site) -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    site.make({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": spec})
    mounts = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    pod = {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]}
    for name, script in (("writes", "echo kept > /data/file"), ("reads", "cat /data/file")):
        site.make(job(name, script, mounts, pod))
        site.ended(name)
    assert site.kubectl("logs", "job/reads") == "kept\n"
    assert site.get("pvc", "data")["status"]["phase"] == "Bound"


def test_only_what_a_role_allows(site: Site, tmp_path: Path) -> None:
    rule = {"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get", "list"]}
    group = "rbac.authorization.k8s.io"
    site.make({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "reader"}})
    site.make({"apiVersion": f"{group}/v1", "kind": "Role", "metadata": {"name": "reader"}, "rules": [rule]})
    site.make({"apiVersion": f"{group}/v1", "kind": "RoleBinding", "metadata": {"name": "reader"},
               "roleRef": {"apiGroup": group, "kind": "Role", "name": "reader"},
               "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": site.namespace}]})  # fmt: skip
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    path = f"/api/v1/namespaces/{site.namespace}/serviceaccounts/reader/token"
    made = json.loads(site.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(request)))
    given = json.loads(site.kubectl("config", "view", "--raw", "--minify", "--flatten", "-o", "json"))
    given["users"] = [{"name": "reader", "user": {"token": made["status"]["token"]}}]
    given["contexts"][0]["context"]["user"] = "reader"
    place = tmp_path / "reader"
    place.write_text(json.dumps(given))

    def reader(*words: str, stdin: str = "") -> str:
        return site.kubectl(*words, stdin=stdin, check=False, kubeconfig=str(place))

    who = f'User "system:serviceaccount:{site.namespace}:reader" cannot'
    where = f'in the namespace "{site.namespace}"'
    site.wait("the binding holds", lambda: "No resources found" in reader("get", "pods", "-l", "none=such"))
    assert f'jobs.batch is forbidden: {who} list resource "jobs" in API group "batch" {where}' in reader("get", "jobs")
    said = reader("create", "-f", "-", stdin=json.dumps(job("not", "true")))
    assert f'jobs.batch is forbidden: {who} create resource "jobs" in API group "batch" {where}' in said
    said = reader("delete", "pod", "x")
    assert f'pods "x" is forbidden: {who} delete resource "pods" in API group "" {where}' in said
    said = reader("get", "pods", "--all-namespaces")
    assert f'pods is forbidden: {who} list resource "pods" in API group "" at the cluster scope' in said
    given["users"][0]["user"]["token"] = "wrong"  # noqa: S105
    place.write_text(json.dumps(given))
    assert "You must be logged in to the server" in reader("get", "pods")


def test_a_quota_is_full(site: Site) -> None:
    hard = {"hard": {"count/configmaps": str(len(site.get("configmaps")["items"]) + 1)}}
    site.make({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}, "spec": hard})
    site.wait("it is counted", lambda: site.get("resourcequota", "few").get("status", {}).get("used"))
    site.make(config("fits"))
    said = site.wait("it is full", lambda: refused_with(site, config("toomany")))
    assert '(Forbidden): error when creating "STDIN": configmaps "toomany" is forbidden: exceeded quota: few' in said
    assert "requested: count/configmaps=1" in said and "limited: count/configmaps=" in said
    site.kubectl("delete", "resourcequota", "few")
    compute = {"hard": {"pods": "0"}}
    site.make({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": compute})
    site.wait("it is counted", lambda: site.get("resourcequota", "none").get("status", {}).get("used"))
    site.make(job("refused", "true"))

    def refused() -> Any:
        found = site.get("events", "--field-selector=involvedObject.name=refused,reason=FailedCreate")["items"]
        return found and found[0]["message"]

    said = site.wait("the job tells", refused)
    assert "is forbidden: exceeded quota: none, requested: pods=1, used: pods=" in said and not site.pods("refused")
    site.kubectl("delete", "resourcequota", "none")
    site.kubectl("delete", "job", "refused")


def test_cron_jobs(site: Site) -> None:
    spec = {
        "schedule": "0 5 31 2 *",
        "concurrencyPolicy": "Forbid",
        "jobTemplate": {"spec": job("x", "echo cron")["spec"]},
    }
    cron = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly"}, "spec": spec}
    wrong = {**cron, "spec": {**spec, "schedule": "every night"}}
    assert 'spec.schedule: Invalid value: "every night"' in refused_with(site, wrong)
    made = site.make(cron)
    owner = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "name": "nightly",
        "uid": made["metadata"]["uid"],
        "controller": True,
    }
    by_hand = {
        "apiVersion": "batch/v1", "kind": "Job", "spec": spec["jobTemplate"]["spec"],
        "metadata": {"name": "by-hand", "ownerReferences": [owner],
                     "annotations": {"cronjob.kubernetes.io/instantiate": "manual"}},
    }  # fmt: skip
    site.make(by_hand)
    assert ("Complete", "CompletionsReached") in conditions(site.ended("by-hand"))
    assert site.kubectl("get", "cronjob", "nightly").splitlines()[1].split()[0] == "nightly"
    site.kubectl("delete", "cronjob", "nightly")
    site.wait("its jobs go with it", lambda: "NotFound" in site.kubectl("get", "job", "by-hand", check=False))


def test_an_eviction_is_a_deletion_with_a_reason(site: Site) -> None:
    site.make(job("evicted", "sleep 100"))
    pod = site.phase("evicted", "Running")["metadata"]["name"]
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": site.namespace}}
    path = f"/api/v1/namespaces/{site.namespace}/pods/{pod}/eviction"
    site.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(body))
    assert conditions(site.ended("evicted"))[-1] == ("Failed", "BackoffLimitExceeded")
